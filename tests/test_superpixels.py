"""Superpixels of images, as features of a method and as what a picture shows; and maps that are smoothed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairExplanation, PairFeatureAblation, SiameseModel
from xsiamese.plot.compared import compare
from xsiamese.plot.pixels import check, seen, smoothed

pytest.importorskip("skimage", reason='superpixels need pip install "xsiamese[superpixels]"')
LEFT = 10  # columns of the dark part of a flat image


def flat(channels: int = 1) -> Tensor:
    """An image of two flat regions."""
    image = torch.zeros(channels, 16, 16)
    image[:, :, LEFT:] = 1
    return image


def explained(images: Tensor, maps: Tensor, **changes: Any) -> PairExplanation:
    known: dict[str, Any] = {"maps": (maps, maps.flip(-2)), "inputs": (images, images), "scores": torch.ones(len(maps))}
    return PairExplanation(method="Method", **known | changes)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [4, 9, 40])
def test_no_superpixel_reaches_over_the_edge_of_a_region(channels: int, count: int) -> None:
    (parts,) = xsiamese.superpixels(flat(channels), count)[:, 0]
    dark, light = (set(side.unique().tolist()) for side in (parts[:, :LEFT], parts[:, LEFT:]))
    assert not dark & light
    assert dark | light == set(range(int(parts.max()) + 1))
    assert len(dark | light) > 1


def test_images_have_superpixels_of_their_own() -> None:
    both = xsiamese.superpixels(torch.stack([flat(), flat().mT.contiguous()]), 4)
    assert both.shape == (2, 1, 16, 16)
    assert torch.equal(both[0], xsiamese.superpixels(flat(), 4)[0])
    assert not torch.equal(both[0], both[1])


@pytest.mark.parametrize(
    ("images", "count", "said"),
    [
        (torch.ones(2, 3), 4, "images"),
        (torch.ones(2, 5, 4, 4), 4, "1 or 3 channels"),
        (torch.ones(1, 4, 4), 0, "count"),
    ],
)
def test_what_cannot_be_cut_is_refused(images: Tensor, count: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        xsiamese.superpixels(images, count)


def test_superpixels_show_the_mean_of_their_pixels() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    images = torch.stack([flat(), flat().mT.contiguous()])
    found = seen(explained(images, maps), superpixels=4).maps[0]
    parts = xsiamese.superpixels(images, 4)
    for shown, given, own in zip(found, maps, parts, strict=True):
        for number in own.unique():
            inside = own == number
            assert torch.allclose(shown[inside], given[inside].mean())
            assert torch.isclose(shown[inside].sum(), given[inside].sum())


@pytest.mark.parametrize("sigma", [0.3, 2.0, 30.0])
def test_smoothing_keeps_the_sum_and_is_a_gaussian_inside(sigma: float) -> None:
    torch.manual_seed(0)
    maps = torch.randn(1, 2, 9, 16, dtype=torch.float64)
    found = seen(explained(torch.rand(1, 3, 9, 16), maps), smooth=sigma).maps[0]
    assert torch.allclose(found.sum((2, 3)), maps.sum((2, 3)))
    if sigma == 2.0:
        point = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
        point[..., 20, 20] = 1
        (found, _) = seen(explained(torch.rand(1, 1, 41, 41), point), smooth=sigma).maps
        ratio = found[0, 0, 20, 23] / found[0, 0, 20, 20]
        assert torch.isclose(ratio, torch.exp(torch.tensor(-9 / 8, dtype=torch.float64)))


def test_a_picture_shows_them_and_says_so() -> None:
    shown = explained(flat()[None], torch.randn(1, 1, 16, 16))
    smooth, parts = shown.plot(smooth=2.0), shown.plot(superpixels=4)
    assert smooth.axes[1].get_title() == "map, smoothed (2 px)"
    assert parts.axes[1].get_title() == "mean of each superpixel"
    drawn = torch.tensor(parts.axes[1].images[-1].get_array())
    assert torch.allclose(drawn, seen(shown, superpixels=4).maps[0][0, 0])
    beside = compare([shown, shown], superpixels=4)
    assert torch.allclose(torch.tensor(beside.axes[0].images[-1].get_array()), drawn)


def test_a_magnitude_is_averaged_by_its_size() -> None:
    maps = torch.ones(1, 1, 16, 16)
    maps[..., ::2] = -1
    assert seen(explained(flat()[None], maps, shows="magnitude"), superpixels=4).maps[0].min() == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"smooth": 1.0, "superpixels": 4}, "only one of them"),
        ({"smooth": 0.0}, "smooth=0.0: a positive number"),
        ({"superpixels": 0}, "superpixels=0: a whole number from 1 on"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        explained(flat()[None], torch.ones(1, 1, 16, 16)).plot(**options)


def test_only_maps_over_the_pixels_are_smoothed() -> None:
    """Of several layers each; the other side's row and a map of another size stay as they are."""
    image, row = torch.rand(1, 1, 8, 8), torch.rand(1, 3)
    layers = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    found = seen(PairExplanation((layers, row), (image, row), torch.ones(1), "M", kinds=("image", "row")), smooth=1.5)
    assert found.maps is not None
    for one, of in zip(found.maps[0], layers, strict=True):
        torch.testing.assert_close(one, smoothed(of.double(), 1.5).float())
    assert found.maps[1] is row
    with pytest.raises(ValueError, match=r"^superpixels=0: at least one is needed$"):
        check(None, 0)


def test_rows_are_not_smoothed() -> None:
    rows = PairExplanation((torch.ones(1, 3),) * 2, (torch.ones(1, 3),) * 2, torch.ones(1), "Method")
    with pytest.raises(ValueError, match=r"smooth= is for maps of images, and the inputs are \w+ and \w+"):
        rows.plot(smooth=1.0)
    with pytest.raises(ValueError, match=r"^superpixels= is for maps of images, and the inputs are row and row$"):
        seen(rows, superpixels=3)


@pytest.mark.parametrize("name", ["PairFeatureAblation", "PairShapleyValueSampling", "PairKernelShap", "PairLime"])
def test_each_pair_has_the_features_of_its_own_images(name: str) -> None:
    """Two pairs at once are what each is by itself, and their maps are flat in every superpixel."""
    torch.manual_seed(0)
    model = SiameseModel(nn.Sequential(nn.Flatten(), nn.Linear(256, 4)), "dot").double()
    images = torch.stack([flat(), flat().mT.contiguous()]).double()
    masks = xsiamese.superpixels(images, 4), xsiamese.superpixels(images.flip(0), 4)
    options: dict[str, Any] = {} if name == "PairFeatureAblation" else {"n_samples": 4}
    explainer = xsiamese.explainers()[name](model)
    both = explainer.explain((images, images.flip(0)), feature_mask=masks, **options)
    assert both.maps is not None
    for i in (0, 1):
        inputs = images[i : i + 1], images.flip(0)[i : i + 1]
        alone = explainer.explain(inputs, feature_mask=tuple(mask[i : i + 1] for mask in masks), **options)
        for side, of_all, mask in zip(alone.maps, both.maps, masks, strict=True):
            assert torch.allclose(of_all[i], side[0])
            assert all(
                of_all[i][mask[i] == number].std(correction=0) < 1e-9 for number in set(mask[i].flatten().tolist())
            )


def test_what_their_maps_sum_to_is_each_pair_s_own() -> None:
    """Of a sum the ablation of every superpixel is exact, so nothing is left over."""
    images = torch.stack([flat() + 1, flat().mT + 2]).double()
    model = SiameseModel(nn.Flatten(), lambda u, v: u.sum(1) + 2 * v.sum(1))
    masks = xsiamese.superpixels(images, 4), xsiamese.superpixels(images, 4)
    explainer = xsiamese.explainers()["PairShapleyValueSampling"](model)
    found = explainer.explain((images, images), feature_mask=masks, n_samples=1)
    assert found.delta is not None
    assert torch.allclose(found.delta, torch.zeros(2, dtype=torch.float64), atol=1e-9)
    sums = PairFeatureAblation(model).explain((images, images), feature_mask=masks).maps[0]
    for i in (0, 1):
        for number in set(masks[0][i].flatten().tolist()):
            inside = masks[0][i] == number
            assert torch.allclose(sums[i][inside], images[i][inside].sum())


@pytest.mark.parametrize("pairs", [2, 3])
def test_a_row_of_numbers_is_a_mask_for_all_pairs(pairs: int) -> None:
    model, row = SiameseModel(torch.nn.Linear(3, 2).double(), "dot"), torch.tensor([0, 0, 1])
    inputs = tuple(torch.rand(2, pairs, 3, dtype=torch.float64))
    for cls in (xsiamese.PairFeatureAblation, xsiamese.PairShapleyValueSampling):
        flat, whole = (cls(model).explain(inputs, feature_mask=(mask, mask), seed=0) for mask in (row, row[None]))
        assert all(torch.equal(one, other) for one, other in zip(flat.maps, whole.maps, strict=True))
        assert (flat.delta is None) == (whole.delta is None)
        assert flat.delta is None or flat.delta.abs().max() < 1e-6


def test_a_gaussian_far_wider_than_a_picture_is_flat_and_costs_nothing() -> None:
    maps = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flat = maps.mean((2, 3), keepdim=True).expand_as(maps)
    for sigma, atol in ((27.9, 1e-4), (28.1, 1e-4), (1e9, 1e-12)):  # on both sides of four times its longer edge
        torch.testing.assert_close(smoothed(maps, sigma), flat, rtol=0, atol=atol)
