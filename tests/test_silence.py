"""Zero maps are explained: no gradient, an unused output, a flat score and no effect are four different sentences."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests import problems
from xsiamese import (
    PairAblationCAM,
    PairAttribution,
    PairBiLRP,
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairGradCAMPlusPlus,
    PairIntegratedGradients,
    PairLayerConductance,
    PairLayerGradientXActivation,
    PairSaliency,
    SiameseModel,
    explainers,
)
from xsiamese.author import PairBatch


class Cut(nn.Module):
    """An encoder whose graph is cut in its forward pass."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.inner, self.how = problems.conv_encoder(), how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                return self.inner(x)  # type: ignore[no-any-return]
        return torch.from_numpy(self.inner(x).detach().numpy()).clone()


@pytest.mark.parametrize("how", ["no_grad", "numpy"])
@pytest.mark.parametrize("cls", [PairSaliency, PairIntegratedGradients, PairGradCAM])
def test_a_score_without_a_gradient_is_an_error_that_says_so(cls: Any, how: str) -> None:
    with pytest.raises(ValueError, match="the score carries no gradient"):
        cls(SiameseModel(Cut(how), "dot")).attribute(problems.images(2))


def test_where_the_graph_is_cut_is_said_and_methods_that_ask_again_are_right() -> None:
    inputs = problems.images(2)
    with pytest.raises(
        ValueError, match=r"to input a, though it changes with it: the graph is cut after 'encoder.inner"
    ):
        PairSaliency(SiameseModel(Cut("numpy"), "dot")).attribute(inputs)
    for cls in (PairFeatureAblation, functools.partial(PairAblationCAM, layer="inner.4")):
        plain = functools.partial(PairAblationCAM, layer="4") if cls is not PairFeatureAblation else cls
        for x, y in zip(
            cls(SiameseModel(Cut("numpy"), "dot")).attribute(inputs),
            plain(SiameseModel(problems.conv_encoder(), "dot")).attribute(inputs),
            strict=True,
        ):
            torch.testing.assert_close(x, y)


class Hidden(nn.Module):
    """A recurrent encoder that reads the hidden state, which is not the first output of its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 4, batch_first=True).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[1][1][-1]  # type: ignore[no-any-return]


def warned(run: Callable[[], Any]) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return " ".join(str(one.message) for one in caught)


def test_an_output_that_is_not_used_a_flat_score_and_no_effect() -> None:
    series = tuple(
        torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (0, 1)
    )
    said = warned(lambda: PairLayerGradientXActivation(SiameseModel(Hidden(), "dot"), "lstm").attribute(series))
    assert "the layer's first output is not used by the score of input a" in said
    flat = problems.Shared(problems.smooth_encoder(), lambda u, v: (10 * u * v).sum(1).round())
    a, b = problems.vectors(8)
    said = warned(lambda: PairSaliency(flat).attribute((a, b)))
    assert "the score is flat here: it changes with input a, and its gradient at this pair is zero" in said
    said = warned(
        lambda: PairSaliency(problems.IgnoresB(problems.smooth_encoder(), lambda u, v: u.sum(1))).attribute((a, b))
    )
    assert "input b has no effect on the value explained: its map is zero" in said
    assert "input a" not in said


class Stacked(nn.Module):
    """Two views of either side in one call, of both sides or in the encoder."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z = self.encoder(torch.cat([a, a.flip(-1), b, b.flip(-1)])).chunk(4)
        return ((z[0] + z[1].square()) * (z[2] + z[3].square())).sum(1)  # type: ignore[no-any-return]


class Augmented(Stacked):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        z = self.encoder(torch.cat([x, x.flip(-1)])).chunk(2)
        return z[0] + z[1].square()  # type: ignore[no-any-return]


class FourEncoders(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.all = nn.ModuleList(deepcopy(encoder) for _ in range(4))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z = [one(x) for one, x in zip(self.all, (a, a.flip(-1), b, b.flip(-1)), strict=True)]
        return ((z[0] + z[1].square()) * (z[2] + z[3].square())).sum(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["both sides", "in the encoder"])
def test_several_views_in_one_call_are_explained_as_with_an_encoder_for_each(kind: str) -> None:
    encoder, inputs = problems.conv_encoder(), problems.images(3)
    model = Stacked(encoder) if kind == "both sides" else SiameseModel(Augmented(encoder), "dot")
    for name in ("DeepLift", "IntegratedGradients", "Saliency", "InputXGradient"):
        options: dict[str, Any] = {"n_steps": 4} if name == "IntegratedGradients" else {}
        ours = {**options, "joint": True} if name in ("DeepLift", "IntegratedGradients") else options
        truth = getattr(captum, name)(FourEncoders(encoder))
        expected = truth.attribute(inputs, **options)
        found = explainers()[f"Pair{name}"](model).attribute(inputs, **ours)
        for x, y in zip(found, expected, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-10)
            assert y.any()


def test_views_that_are_mixed_or_explained_on_and_checkpoints_are_refused() -> None:
    encoder, inputs = problems.conv_encoder(), problems.images(2)

    class Mixed(nn.Module):  # each row is taken less the mean of all
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.relu = encoder, nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            z = self.inner(x)
            return self.relu(z - z.mean(0))  # type: ignore[no-any-return]

    class Checkpointed(Stacked):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            z = [checkpoint(self.encoder, x, use_reentrant=False) for x in (a, b)]
            return (z[0] * z[1]).sum(1)  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match="gets several views of a side in one call"):
        PairDeepLift(Stacked(Mixed().double())).attribute(inputs)
    for cls in ("PairLayerDeepLift", "PairGradCAM", "PairLayerGradCam"):
        with pytest.raises(ValueError, match=r"several views of a side in one call|sees both inputs together"):
            explainers()[cls](Stacked(encoder), "encoder.4").attribute(inputs)
    with pytest.raises(ValueError, match="the model checkpoints its activations"):
        PairDeepLift(Checkpointed(encoder)).attribute(inputs)
    for x, y in zip(
        PairSaliency(Checkpointed(encoder)).attribute(inputs),
        PairSaliency(SiameseModel(encoder, "dot")).attribute(inputs),
        strict=True,
    ):
        torch.testing.assert_close(x, y)


class Tempered(problems.Shared):
    """A model with an argument that goes by name only."""

    def forward(self, a: Tensor, b: Tensor, *, t: Any = 1.0) -> Tensor:  # type: ignore[override]
        return super().forward(a, b) / t


def test_partials_bound_methods_and_arguments_by_name() -> None:
    inputs = problems.images(2)
    model = Tempered(problems.conv_encoder(), lambda u, v: (u * v).sum(1))
    expected = PairGradCAM(model).attribute(inputs)
    for found in (
        PairGradCAM(functools.partial(model, t=2.0)).attribute(inputs),
        PairGradCAM(model).attribute(inputs, additional_forward_args={"t": 2.0}),
        PairGradCAM(model).attribute(
            inputs, additional_forward_args={"t": torch.tensor([2.0, 2.0])}, internal_batch_size=1
        ),
    ):
        for x, y in zip(found, expected, strict=True):
            torch.testing.assert_close(x, y / 2)
    for x, y in zip(PairGradCAM(model.forward).attribute(inputs), expected, strict=True):
        torch.testing.assert_close(x, y)
    deep = PairDeepLift(model).attribute(inputs)
    for x, y in zip(PairDeepLift(functools.partial(model, t=2.0)).attribute(inputs), deep, strict=True):
        torch.testing.assert_close(x, y / 2)


def test_errors_say_what_is_wrong() -> None:
    encoder, inputs = problems.conv_encoder(), problems.images(2)

    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("my own trouble")

    with pytest.raises(RuntimeError, match="my own trouble") as caught:
        PairSaliency(SiameseModel(Broken())).attribute(inputs)
    assert caught.value.__notes__[-1].startswith("raised inside the model, on the pair a (2, 1, 8, 8) float64")

    class OfOne(nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]  # a pair, for all that it says
            return encoder(x)

    with pytest.raises(ValueError, match=r"OfOne takes one input and was given the pair.*SiameseModel\(encoder"):
        PairSaliency(OfOne(), comparison="cosine").attribute(inputs)
    found = PairSaliency(encoder, comparison="cosine").attribute(inputs)  # a Sequential says more
    right = PairSaliency(SiameseModel(encoder, "cosine")).attribute(inputs)
    assert all(torch.equal(x, y) for x, y in zip(found, right, strict=True))
    with pytest.raises(ValueError, match=r"called with other arguments than it takes.*additional_forward_args="):
        PairSaliency(problems.Shared(encoder, lambda u, v: (u * v).sum(1))).attribute(
            inputs, additional_forward_args=(1, 2)
        )
    with pytest.raises(ValueError, match="encoder is scripted or traced, which hides its layers from hooks"):
        PairGradCAM(SiameseModel(torch.jit.trace(encoder, inputs[0]))).attribute(inputs)
    hidden, item = SiameseModel(torch.jit.trace(encoder, inputs[0])), (inputs[0][:1], inputs[1][:1])
    with pytest.raises(ValueError, match="encoder is scripted or traced"):  # its rules were left out in silence
        PairBiLRP(hidden).explain(item)
    found, known = (PairBiLRP(one).explain(item, gamma=0) for one in (hidden, SiameseModel(encoder)))
    torch.testing.assert_close(found.matrix.dense(), known.matrix.dense())
    ids = torch.randint(1, 9, (2, 4))
    with pytest.raises(TypeError, match="whole numbers cannot move"):
        PairLayerConductance(SiameseModel(nn.Sequential(nn.Embedding(9, 3), nn.Flatten())), "0").attribute((ids, ids))


def test_an_encoder_in_a_parallel_wrapper_is_explained_without_it_and_keeps_it() -> None:
    encoder, inputs = problems.conv_encoder(), problems.images(2)
    model = SiameseModel(nn.DataParallel(encoder), "dot")
    for x, y in zip(
        PairDeepLift(model).attribute(inputs), PairDeepLift(SiameseModel(encoder, "dot")).attribute(inputs), strict=True
    ):
        torch.testing.assert_close(x, y)
    assert isinstance(model.encoder, nn.DataParallel)


class Words(nn.Module):
    """The mean over tokens of rows of a table: the first two negative, the others positive."""

    def __init__(self, cut: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(torch.tensor([[-1.0, -2.0], [-2.0, -1.0], [1.0, 2.0], [3.0, 1.0]]))
        self.cut = cut

    def forward(self, ids: Tensor) -> Tensor:
        found = self.table(ids)
        return (found.detach() if self.cut else found).mean(1)


def test_a_zero_map_of_ids_is_not_blamed_on_a_graph_that_is_whole() -> None:
    """Grad-CAM++ drops channels that push apart: with a on the other side all of b's do."""
    pair = torch.tensor([[0, 1]]), torch.tensor([[2, 3]])
    with pytest.warns(UserWarning, match="the map of input b is zero, though the score has a gradient to it"):
        found = PairGradCAMPlusPlus(SiameseModel(Words(), "dot"), layer="encoder.table").attribute(pair)
    assert not found[1].any()
    with pytest.raises(ValueError, match=r"carries no gradient to input a, .* cut after 'encoder"):
        PairGradCAMPlusPlus(SiameseModel(Words(cut=True), "dot"), layer="encoder.table").attribute(pair)


@pytest.mark.parametrize(("step", "told"), [(2.0**-52, ["input b has no effect on the value explained"]), (1e-9, [])])
def test_a_map_of_roundings_is_one_of_no_effect(step: float, told: list[str]) -> None:
    """Other kernels take other numbers of rows, so that scores that are equal differ in their last digit."""

    def score(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = a.sum(1) * (1 + step * (b.sum(1) > 1).to(a))
        return found

    pair = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3.0, 0.5]]).double()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        of_b = PairFeatureAblation(score).attribute(pair)[1]
    assert bool(of_b.any())
    assert [str(one.message).partition(":")[0] for one in caught] == told


class Breaking(PairAttribution):
    """Asks the model in a way in which it has no score."""

    name = "breaking"
    takes_baselines = False

    def compute(self, batch: PairBatch) -> Any:
        return batch.moved[0] * batch.value(*(leaf * torch.nan for leaf in batch.moved)).sum(), batch.moved[1]


def test_a_score_that_a_method_breaks_is_blamed_on_neither_pairs_nor_baselines() -> None:
    with pytest.raises(ValueError, match="where the method changes what layers give, and not of the pairs themselves"):
        Breaking(SiameseModel(problems.conv_encoder(), "dot")).attribute(problems.images(2))
