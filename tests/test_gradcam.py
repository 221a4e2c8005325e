"""Pair Grad-CAM and its family: exact identities, pytorch-grad-cam on one branch, layers, tokens and
planted patches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import PairGradCAM, PairHiResCAM, PairInputXGradient, PairOcclusion, SiameseModel
from xsiamese.branches.layers import ChannelsLast, Tokens
from xsiamese.model.comparison import Cosine

LAST = "3"  # the last activation of problems.gap_dot
CAMS = (
    "PairGradCAM",
    "PairHiResCAM",
    "PairGradCAMPlusPlus",
    "PairLayerCAM",
    "PairXGradCAM",
    "PairEigenCAM",
    "PairScoreCAM",
    "PairAblationCAM",
)


def sums(maps: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    first, second = (m.flatten(1).sum(1) for m in maps)
    return first, second


def close(found: Tensor, expected: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def bias_free(comparison: Any, pool: type[nn.Module] = nn.AdaptiveAvgPool2d) -> SiameseModel:
    torch.manual_seed(4)
    first, second, last = nn.Conv2d(1, 5, 3, bias=False), nn.Conv2d(5, 7, 2, bias=False), nn.Linear(7, 6, bias=False)
    return SiameseModel(
        nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), pool(1), nn.Flatten(), last).double(),
        comparison,
    )


def features(model: SiameseModel, item: Tensor) -> Tensor:
    """The last activation (pairs, channels, places)."""
    return model.encoder[:5](item).flatten(2)


# identities


def test_i3_gradient_times_input_of_a_dot_product_sums_to_the_score_on_each_side() -> None:
    model, inputs = bias_free("dot"), problems.images(4)
    score = model(*inputs)
    for total in sums(PairInputXGradient(model).attribute(inputs)):
        close(total, score)


@pytest.mark.parametrize("name", ["PairInputXGradient", "PairHiResCAM", "PairGradCAM"])
def test_i4_maps_of_the_full_cosine_sum_to_zero(name: str) -> None:
    model, inputs = bias_free("cosine"), problems.images(4)
    cls = xsiamese.explainers()[name]
    maps = (cls(model, "4") if cls.needs_layer else cls(model)).attribute(inputs)
    assert min(float(m.abs().sum()) for m in maps) > 1e-3
    for total in sums(maps):
        close(total, torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("name", ["PairInputXGradient", "PairHiResCAM", "PairGradCAM"])
def test_i5_with_the_norms_detached_they_sum_to_the_cosine(name: str) -> None:
    model, inputs = bias_free(Cosine(detach_norms=True)), problems.images(4)
    cls = xsiamese.explainers()[name]
    maps = (cls(model, "4") if cls.needs_layer else cls(model)).attribute(inputs)
    for total in sums(maps):
        close(total, bias_free("cosine")(*inputs))


@pytest.mark.parametrize("cls", [PairGradCAM, PairHiResCAM])
def test_i8_cams_of_pooled_dot_products_are_the_decomposition_summed_over_the_other_side(cls: Any) -> None:
    model, (a, b) = bias_free("dot"), problems.images(4)
    weight = model.encoder[7].weight
    e_a, e_b = (torch.einsum("dk,nkp->npd", weight, f) / f.shape[2] for f in (features(model, a), features(model, b)))
    matrix = torch.einsum("npd,nqd->npq", e_a, e_b).detach()
    map_a, map_b = cls(model, "4").attribute((a, b))
    close(map_a.flatten(1), matrix.sum(2))
    close(map_b.flatten(1), matrix.sum(1))
    for total in sums((map_a, map_b)):
        close(total, model(a, b).detach())


def test_i9_full_cosine_is_the_decomposition_less_cos_times_the_map_of_the_self() -> None:
    model, (a, b) = bias_free("cosine"), problems.images(4)
    weight = model.encoder[7].weight
    e = torch.einsum("dk,nkp->npd", weight, features(model, a)) / features(model, a).shape[2]
    u, v = model.encode(a), model.encode(b)
    cos = model(a, b)[:, None]
    expected = (
        torch.einsum("npd,nd->np", e, v) / (u.norm(dim=1) * v.norm(dim=1))[:, None]
        - cos * torch.einsum("npd,nd->np", e, u) / u.square().sum(1)[:, None]
    )
    map_a, _ = PairGradCAM(model, "4").attribute((a, b))
    close(map_a.flatten(1), expected.detach())


def test_i10_under_max_pooling_hirescam_is_the_decomposition_and_gradcam_is_not() -> None:
    model, (a, b) = bias_free("dot", nn.AdaptiveMaxPool2d), problems.images(4)
    found = features(model, a)
    chosen = torch.nn.functional.one_hot(found.argmax(2), found.shape[2]) * found
    expected = torch.einsum("dk,nkp,nd->np", model.encoder[7].weight, chosen, model.encode(b)).detach()
    hires, _ = PairHiResCAM(model, "4").attribute((a, b))
    close(hires.flatten(1), expected)
    grad, _ = PairGradCAM(model, "4").attribute((a, b))
    score = model(a, b).detach()
    close(hires.flatten(1).sum(1), score)
    assert ((grad.flatten(1).sum(1) - score).abs() > 1e-3).any()


@pytest.mark.parametrize(("comparison", "degree"), [("squared_euclidean", 2), ("euclidean", 1), ("manhattan", 1)])
def test_i11_gradient_times_input_of_a_distance_sums_to_degree_times_the_distance(comparison: str, degree: int) -> None:
    model, inputs = bias_free(comparison), problems.images(4)
    first, second = sums(PairInputXGradient(model).attribute(inputs))
    close(first + second, -degree * model(*inputs).detach())  # maps are about closeness: minus the distance


# pytorch-grad-cam on one branch


def keeping(name: str) -> tuple[type[Any], list[np.ndarray[Any, Any]]]:
    """A class of pytorch-grad-cam, and the list to which it adds what it computes before its ReLU and its scaling."""
    kept: list[np.ndarray[Any, Any]] = []

    class Keeping(getattr(pytorch_grad_cam, name)):  # type: ignore[misc]
        def get_cam_image(self, *args: Any, **kwargs: Any) -> Any:
            kept.append(super().get_cam_image(*args, **kwargs))
            return kept[-1]

    return Keeping, kept


class OneBranch(nn.Module):
    """x -> s(x, y0) as a network of one input; the fixed embeddings of one pair."""

    def __init__(self, encoder: nn.Module, compare: Callable[[Tensor, Tensor], Tensor], fixed: Tensor) -> None:
        super().__init__()
        self.encoder, self.compare, self.fixed = encoder, compare, fixed

    def forward(self, x: Tensor) -> Tensor:
        return self.compare(self.encoder(x), self.fixed.expand(len(x), -1))[:, None]


def theirs(name: str, model: SiameseModel, x: Tensor, fixed: Tensor, layer: str) -> Tensor:
    rows = []
    for one, z in zip(x, fixed, strict=True):
        method, kept = keeping(name)
        cam = method(
            model=OneBranch(model.encoder, model.comparison, z[None]),
            target_layers=[model.encoder.get_submodule(layer)],
        )
        cam(input_tensor=one[None].clone(), targets=[lambda output: output[0]])
        cam.activations_and_grads.release()
        rows.append(torch.from_numpy(np.asarray(kept[0], dtype=np.float64)))
    return torch.cat(rows)[:, None]


@pytest.mark.parametrize("layer", ["1", "3"])
@pytest.mark.parametrize("comparison", ["dot", "cosine"])
@pytest.mark.parametrize(
    ("ours", "name", "tolerance"),
    [
        ("PairGradCAM", "GradCAM", 1e-12),
        ("PairHiResCAM", "HiResCAM", 1e-12),
        ("PairLayerCAM", "LayerCAM", 1e-12),
        ("PairXGradCAM", "XGradCAM", 1e-5),  # they add 1e-7 below the fraction
    ],
)
def test_equals_pytorch_grad_cam_on_one_branch(
    ours: str, name: str, tolerance: float, comparison: str, layer: str
) -> None:
    model, (a, b) = SiameseModel(problems.conv_encoder(), comparison), problems.images(3)
    found = xsiamese.explainers()[ours](model, layer).attribute((a, b))
    with torch.no_grad():
        z_a, z_b = model.encode(a), model.encode(b)
    for value, x, fixed in ((found[0], a, z_b), (found[1], b, z_a)):
        expected = theirs(name, model, x, fixed, layer)
        assert expected.abs().max() > 0
        torch.testing.assert_close(value, expected, atol=tolerance * float(expected.abs().max()), rtol=0)


def test_gradcam_plus_plus_equals_pytorch_grad_cam_where_their_constant_does_not_count() -> None:
    """They add 1e-6 below the fraction, of the size of the squared gradients: with gradients 1e3 times as large nothing
    is left of it.
    """
    model, (a, b) = SiameseModel(problems.conv_encoder(), lambda u, v: 1e3 * (u * v).sum(1)), problems.images(3)
    map_a, _ = xsiamese.PairGradCAMPlusPlus(model, "3").attribute((a, b))
    expected = theirs("GradCAMPlusPlus", model, a, model.encode(b).detach(), "3")
    torch.testing.assert_close(map_a, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def test_eigencam_equals_pytorch_grad_cam_up_to_the_sign_of_the_direction() -> None:
    model, (a, b) = SiameseModel(problems.conv_encoder(), "dot"), problems.images(3)
    map_a, _ = xsiamese.PairEigenCAM(model, "3").attribute((a, b))
    expected = theirs("EigenCAM", model, a, model.encode(b).detach(), "3")
    for x, y in zip(map_a, expected, strict=True):
        torch.testing.assert_close(x * (x * y).sum().sign(), y, atol=1e-6, rtol=1e-4)


def test_ablationcam_is_theirs_times_the_score() -> None:
    """The published weight is (s - s_k) / s; ours stays in the units of the score."""
    model, (a, b) = SiameseModel(problems.conv_encoder(), "dot"), problems.images(3)
    map_a, _ = xsiamese.PairAblationCAM(model, "3").attribute((a, b))
    with torch.no_grad():
        z_b, score = model.encode(b), model(a, b)
    expected = theirs("AblationCAM", model, a, z_b, "3") * score[:, None, None, None]
    torch.testing.assert_close(map_a, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)


def test_scorecam_has_the_published_definition() -> None:
    """Theirs scales each upsampled channel by its own extremes after upsampling with aligned corners; here: before,
    unaligned. So, by hand.
    """
    model, (a, b) = SiameseModel(problems.conv_encoder(), "dot"), problems.images(1)
    activation = model.encoder[:4](a).detach()
    low, high = activation.amin((2, 3), keepdim=True), activation.amax((2, 3), keepdim=True)
    masks = torch.nn.functional.interpolate((activation - low) / (high - low), (8, 8), mode="bilinear")[0][:, None]
    with torch.no_grad():
        gain = model(a * masks, b.expand(7, -1, -1, -1)) - model(torch.zeros_like(a), b)
    map_a, _ = xsiamese.PairScoreCAM(model, "3").attribute((a, b))
    close(map_a, torch.einsum("k,nkhw->nhw", gain, activation)[:, None])
    softmaxed, _ = xsiamese.PairScoreCAM(model, "3").attribute((a, b), softmax=True)
    close(softmaxed, torch.einsum("k,nkhw->nhw", gain.softmax(0), activation)[:, None])


def test_pytorch_grad_cam_alone_explains_the_first_call_only() -> None:
    shared, (a, b) = problems.Shared(problems.conv_encoder(), lambda u, v: (u * v).sum(1)), problems.images(1)

    class OneArgument(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = shared

        def forward(self, both: Tensor) -> Tensor:
            return self.shared(both[:, :1], both[:, 1:])[:, None]

    method, kept = keeping("GradCAM")
    method(model=OneArgument(), target_layers=[shared.encoder[3]])(
        input_tensor=torch.cat([a, b], 1), targets=[lambda output: output[0]]
    )
    map_a, map_b = PairGradCAM(shared, "encoder.3").attribute((a, b))
    torch.testing.assert_close(torch.from_numpy(kept[0]), map_a[:, 0])
    assert (map_a - map_b).abs().max() > 1e-6


# layers, sides, tokens


@pytest.mark.parametrize("name", [n for n in CAMS if n not in ("PairScoreCAM", "PairAblationCAM")])
def test_several_layers_at_once_equal_one_by_one(name: str) -> None:
    cls = xsiamese.explainers()[name]
    model, inputs = SiameseModel(problems.conv_encoder(), "cosine"), problems.images(2)
    together = cls(model, ["1", "3", "4"]).attribute(inputs)
    for i, layer in enumerate(["1", "3", "4"]):
        alone = cls(model, layer).attribute(inputs)
        for side in (0, 1):
            close(together[side][i], alone[side])


@pytest.mark.parametrize("name", ["PairScoreCAM", "PairAblationCAM"])
def test_black_box_cams_take_one_layer_and_say_so(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} takes one layer, called once a side, not 2"):
        xsiamese.explainers()[name](SiameseModel(problems.conv_encoder()), ["1", "3"]).attribute(problems.images(1))


@pytest.mark.parametrize("name", CAMS)
def test_wrt_gives_the_other_side_zeros_and_changes_nothing_else(name: str) -> None:
    explainer = xsiamese.explainers()[name](SiameseModel(problems.conv_encoder(), "cosine"), "3")
    inputs = problems.images(2)
    both, first, second = (
        explainer.attribute(inputs),
        explainer.attribute(inputs, wrt="first"),
        explainer.attribute(inputs, wrt="second"),
    )
    close(first[0], both[0])
    close(second[1], both[1])
    assert not first[1].any()
    assert not second[0].any()


@pytest.mark.parametrize("name", CAMS)
def test_relu_keeps_what_pulls_together(name: str) -> None:
    explainer = xsiamese.explainers()[name](SiameseModel(problems.conv_encoder(), "cosine"), "3")
    inputs = problems.images(2)
    for signed, positive in zip(explainer.attribute(inputs), explainer.attribute(inputs, relu=True), strict=True):
        close(positive, signed.relu())


class AsTokens(nn.Module):
    """A grid (N, C, H, W) as a class token (zeros) and patches (N, 1 + tokens, C)."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return torch.cat([torch.zeros_like(tokens[:, :1]), tokens], 1)


class FromTokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 1:].mean(1)


class Permute(nn.Module):
    """A grid (N, C, H, W) with its channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class MeanOfChannelsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2))


@pytest.mark.parametrize("name", [n for n in CAMS if n != "PairScoreCAM"])
@pytest.mark.parametrize(
    ("layout", "into", "out"), [(Tokens(), AsTokens, FromTokens), (ChannelsLast(), Permute, MeanOfChannelsLast)]
)
def test_tokens_and_channels_last_give_the_maps_of_the_grid(name: str, layout: Any, into: Any, out: Any) -> None:
    torch.manual_seed(0)
    convolution = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU()).double()
    cls = xsiamese.explainers()[name]
    inputs = problems.images(2)
    grid = cls(
        SiameseModel(nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten()), "cosine"), "0"
    ).attribute(inputs)
    other = cls(SiameseModel(nn.Sequential(convolution, into(), out()), "cosine"), "1", layout=layout).attribute(inputs)
    for x, y in zip(other, grid, strict=True):
        close(x, y)


# planted patches


def energy() -> SiameseModel:
    """Counts how much strong texture each image has, place by place: what both share is what both have."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).double()
    encoder[0].weight.data = torch.tensor([1.0, -1.0], dtype=torch.float64)[:, None, None, None]
    return SiameseModel(encoder, "dot")


def test_gradcam_hits_the_planted_patch() -> None:
    a, b, *masks = problems.planted_patches(30)
    maps = PairGradCAM(energy(), "2").explain((a, b)).upsample().maps
    for value, mask in zip(maps, masks, strict=True):
        peak = value.flatten(1).argmax(1)
        assert mask.flatten(1).gather(1, peak[:, None]).all()
        inside, outside = (
            (value[:, 0] * mask).sum((1, 2)) / mask.sum((1, 2)),
            (value[:, 0] * ~mask).sum((1, 2)) / (~mask).sum((1, 2)),
        )
        assert (inside > 4 * outside).all()


def test_occlusion_hits_the_planted_patch() -> None:
    a, b, *masks = problems.planted_patches(30)
    for value, mask in zip(
        PairOcclusion(energy()).attribute((a, b), sliding_window_shapes=(1, 4, 4)), masks, strict=True
    ):
        assert mask.flatten(1).gather(1, value.flatten(1).argmax(1)[:, None]).all()


# any size


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(CAMS),
    pairs=st.integers(1, 3),
    height=st.integers(4, 9),
    width=st.integers(4, 9),
    other=st.integers(4, 9),
    seed=st.integers(0, 1000),
)
def test_swapping_swaps_and_shapes_follow_the_layer(
    name: str, pairs: int, height: int, width: int, other: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(pairs, 1, height, width, generator=generator, dtype=torch.float64)
    b = torch.randn(pairs, 1, other, other, generator=generator, dtype=torch.float64)
    explainer = xsiamese.explainers()[name](SiameseModel(problems.conv_encoder(), "cosine"), "3")
    map_a, map_b = explainer.attribute((a, b))
    assert map_a.shape == (pairs, 1, height // 2, width // 2)
    assert map_b.shape == (pairs, 1, other // 2, other // 2)
    swapped = explainer.attribute((b, a))
    close(swapped[0], map_b, 1e-9)
    close(swapped[1], map_a, 1e-9)


@pytest.mark.parametrize("name", CAMS)
def test_soften_is_the_map_shared_with_its_neighbours(name: str) -> None:
    """By a convolution with the outer product of 1 : 2 : 1."""
    model = bias_free("dot")
    pair = torch.rand(2, 1, 9, 9).double(), torch.rand(2, 1, 9, 9).double()
    method = xsiamese.explainers()[name](model, "4")
    weights = torch.tensor([1.0, 2.0, 1.0]).double() / 4
    for plain, soft in zip(method.attribute(pair), method.attribute(pair, soften=True), strict=True):
        close(soft, torch.nn.functional.conv2d(plain, torch.outer(weights, weights)[None, None], padding=1))


def test_soften_in_a_gallery_is_that_of_each_pair() -> None:
    model, items = bias_free("cosine"), torch.rand(3, 1, 9, 9).double()
    method = PairHiResCAM(model, "4")
    found = xsiamese.Gallery(method, items, soften=True).explain([(0, 1), (1, 2)])[:]
    expected = method.explain((items[[0, 1]], items[[1, 2]]), soften=True)
    for one, other in zip(found.maps, expected.maps, strict=True):
        close(one, other)
