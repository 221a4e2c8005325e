"""Wrapped, normalised, pruned, exported and distributed models, triplets, and models that cannot be copied."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn

from tests import problems
from xsiamese import (
    PairAblationCAM,
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairInteraction,
    PairKernelShap,
    PairLayerConductance,
    PairLRP,
    PairOcclusion,
    PairSaliency,
    PairShapleyValues,
    SiameseModel,
    TwoInputModel,
    load,
)


def encoder() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 6)
    return nn.Sequential(*layers).double().eval()


def images(size: int = 8) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 2, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return a, b


def same(found: Any, expected: Any) -> None:
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-9)
        assert y.any()


METHODS: tuple[Any, ...] = (
    PairDeepLift,
    PairLRP,
    partial(PairGradCAM, layer="3"),
    partial(PairLayerConductance, layer="3"),
)


# weights that are computed: the same as the plain ones they come to


def _spectral(conv: nn.Module) -> None:
    nn.utils.parametrizations.spectral_norm(conv)


def _weight(conv: nn.Module) -> None:
    nn.utils.parametrizations.weight_norm(conv)


def _pruned(conv: nn.Module) -> None:
    from torch.nn.utils import prune

    prune.l1_unstructured(conv, "weight", 0.4)


COMPUTED: dict[str, Callable[[nn.Module], None]] = {
    "spectral norm": _spectral,
    "weight norm": _weight,
    "pruned": _pruned,
}


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_weights_are_explained_as_what_they_come_to(name: str) -> None:
    made, inputs = encoder(), images()
    COMPUTED[name](made[2])
    made.eval()
    made(inputs[0]).sum().backward()  # as after a training step
    plain = encoder()
    with torch.no_grad():
        made(inputs[0])
        plain[2].weight.copy_(made[2].weight)
        plain[2].bias.copy_(made[2].bias)
    for method in METHODS:
        same(method(SiameseModel(made, "dot")).attribute(inputs), method(SiameseModel(plain, "dot")).attribute(inputs))


# what is kept between calls


class Keeps(nn.Module):
    """An encoder that keeps activations, in every way that people do, and a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.lock = encoder(), threading.Lock()
        self.kept: list[Tensor] = []
        self.by_name: dict[str, Any] = {}
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        with self.lock:
            y = self.inner(x)
        self.kept.append(y)
        self.by_name["y"] = {"z": [y]}
        self.last = y
        return y  # type: ignore[no-any-return]


def test_models_that_cannot_be_copied_are_explained() -> None:
    made, inputs = SiameseModel(Keeps(), "dot"), images()
    made(*inputs).sum().backward()  # what is kept has a graph now
    with pytest.raises((RuntimeError, TypeError)):
        deepcopy(made)
    plain = SiameseModel(encoder(), "dot")
    for method in (PairDeepLift, PairLRP):
        same(method(made).attribute(inputs), method(plain).attribute(inputs))
    same(PairLayerConductance(made, "inner.3").attribute(inputs), PairLayerConductance(plain, "3").attribute(inputs))


# wrappers


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    import torch.distributed as distributed

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_distributed_models_are_explained_by_methods_with_hooks(alone: None) -> None:
    inputs, wrapper = images(), nn.parallel.DistributedDataParallel
    for method in METHODS:
        expected = method(SiameseModel(encoder(), "dot")).attribute(inputs)
        same(method(SiameseModel(wrapper(encoder()), "dot")).attribute(inputs), expected)
        if not isinstance(method, partial):
            same(method(wrapper(SiameseModel(encoder(), "dot"))).attribute(inputs), expected)


def test_exported_programs_have_inputs_and_no_layers() -> None:
    inputs = images()
    fixed = torch.export.export(encoder(), (inputs[0],)).module()
    free = torch.export.export(encoder(), (inputs[0],), dynamic_shapes=({0: torch.export.Dim("n")},)).module()
    plain = SiameseModel(encoder(), "dot")
    expected = PairIntegratedGradients(plain).attribute(inputs, n_steps=4)
    same(PairIntegratedGradients(SiameseModel(free, "dot")).attribute(inputs, n_steps=4), expected)
    same(PairSaliency(SiameseModel(fixed, "dot")).attribute(inputs), PairSaliency(plain).attribute(inputs))
    with pytest.raises(ValueError, match=r"torch\.export, which takes only batches as it was exported with"):
        PairIntegratedGradients(SiameseModel(fixed, "dot")).attribute(inputs)
    for method in (PairGradCAM, PairDeepLift):
        with pytest.raises(ValueError, match=r"encoder is a program of torch\.export, which has no layers left"):
            method(SiameseModel(free, "dot")).attribute(inputs)
    traced = torch.fx.symbolic_trace(encoder())
    same(PairGradCAM(SiameseModel(traced, "dot"), "3").attribute(inputs), PairGradCAM(plain, "3").attribute(inputs))


class Packed(nn.Module):
    """A recurrent encoder of sequences with their lengths."""

    def __init__(self, pack: bool) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.cells, self.pack = nn.LSTM(3, 4, batch_first=True).double(), pack

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.pack:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.cells(packed)[1][0][-1]  # type: ignore[no-any-return]
        return self.cells(x)[0][torch.arange(len(x)), lengths - 1]  # type: ignore[no-any-return]


def test_packed_sequences_take_their_lengths_along() -> None:
    a, b = torch.randn(2, 3, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([7, 4, 2])
    inputs = (a, lengths), (b, lengths.flip(0))
    for method in (PairIntegratedGradients, PairFeatureAblation):
        found = [method(SiameseModel(Packed(pack), "dot")).attribute(inputs) for pack in (True, False)]
        for (x, none), (y, _) in zip(*found, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-9)
            assert y.any()
            assert not none.any()
    assert not found[0][0][0][2, 2:].any()  # what comes after the end
    for layered in (PairGradCAM, PairLayerConductance):  # its output is packed: a row for each time of any pair
        with pytest.raises(ValueError, match=r"layer 'cells' gives a packed sequence.* choose a layer after"):
            layered(SiameseModel(Packed(True), "dot"), layer="cells").attribute(inputs)


# triplets


def test_a_triplet_is_a_pair_against_a_foil() -> None:
    a, positive = images()
    negative, model = a.flip(0) + positive, SiameseModel(encoder(), "euclidean")
    found = PairIntegratedGradients(model).explain((a, positive, negative), n_steps=4)

    class Three(nn.Module):
        def forward(self, a: Tensor, p: Tensor, n: Tensor) -> Tensor:
            return model(a, n) - model(a, p)  # type: ignore[no-any-return]

    triple = (a, positive, negative)
    zeros = tuple(torch.zeros_like(one) for one in triple)
    for place, map_ in enumerate((found.maps[0], found.maps[1], found.foil_map)):  # type: ignore[attr-defined]

        def moved(x: Tensor, place: int = place) -> Tensor:
            return Three()(*[x if i == place else t.repeat(len(x) // 2, 1, 1, 1) for i, t in enumerate(triple)])

        expected = captum.IntegratedGradients(moved).attribute(triple[place], baselines=zeros[place], n_steps=4)
        torch.testing.assert_close(map_, expected, rtol=1e-6, atol=1e-9)
    same(PairIntegratedGradients(Three()).attribute((a, positive), additional_forward_args=(negative,), n_steps=2),
         PairIntegratedGradients(TwoInputModel(lambda a, p: Three()(a, p, negative.repeat(len(a) // 2, 1, 1, 1))))
         .attribute((a, positive), n_steps=2))  # fmt: skip
    with pytest.raises(TypeError, match=r"a triplet \(a, p, n\) is for explain, which gives s\(a, p\) - s\(a, n\)"):
        PairIntegratedGradients(model).attribute((a, positive, negative))


# items that are mappings


class TakesBatch(nn.Module):
    """An encoder whose one argument is the mapping itself, as many a LightningModule has it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = encoder()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.inner(batch["image"])  # type: ignore[no-any-return]


class TakesName(TakesBatch):
    def forward(self, image: Tensor) -> Tensor:  # type: ignore[override]
        return self.inner(image)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [TakesBatch, TakesName])
def test_a_mapping_is_given_by_name_or_whole_as_the_encoder_takes_it(kind: Any, tmp_path: Path) -> None:
    a, b = images()
    model, plain = SiameseModel(kind(), "dot"), SiameseModel(encoder(), "dot")
    for method in (PairDeepLift, PairLRP, PairIntegratedGradients, PairSaliency, PairFeatureAblation):
        found = method(model).attribute(({"image": a}, {"image": b}))
        same([one["image"] for one in found], method(plain).attribute((a, b)))
    same(PairGradCAM(model).attribute(({"image": a}, {"image": b})), PairGradCAM(plain).attribute((a, b)))
    explained = PairIntegratedGradients(model).explain(({"image": a}, {"image": b}), internal_batch_size=1, n_steps=4)
    expected = PairIntegratedGradients(plain).explain((a, b), n_steps=4)
    explained.save(tmp_path / "found.safetensors")
    for one in (explained, load(tmp_path / "found.safetensors")):
        same([side["image"] for side in one.maps], expected.maps)
        assert torch.equal(one[1].maps[0]["image"], one.maps[0]["image"][1:])


# sides of several tensors


class Masked(nn.Module):
    """An encoder of an image and of a mask of it."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.inner = problems.conv_encoder()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.inner(x * mask)  # type: ignore[no-any-return]


def test_windows_and_masks_are_for_each_tensor_of_each_side() -> None:
    (a, b), model = problems.images(2), SiameseModel(Masked(), "dot")
    inputs = (a, torch.ones_like(a)), (b, torch.full_like(b, 0.5))
    windows = ((1, 4, 4), (1, 2, 2)), ((1, 3, 3), (1, 8, 8))
    strides = ((1, 4, 4), (1, 2, 2)), ((1, 1, 1), 1)
    halves = torch.arange(8).div(4, rounding_mode="floor").expand(1, 1, 8, 8)
    masks = (halves, halves.mT + 2), (halves.mT + 1, halves + 700)  # numbers are names
    theirs_by_number = (halves, halves.mT + 2), (halves.mT, halves + 2)  # captum has a feature for every number
    held = model.encode(inputs[1]).detach(), model.encode(inputs[0]).detach()
    options = {"sliding_window_shapes": windows, "strides": strides}
    occluded = PairOcclusion(model).attribute(inputs, **options)
    for cls in (PairFeatureAblation, PairShapleyValues):
        grouped = cls(model).attribute(inputs, feature_mask=masks)
        for side in (0, 1):

            def value(x: Tensor, m: Tensor, side: int = side) -> Tensor:
                return (model.encode((x, m)) * held[side].repeat(len(x) // 2, 1)).sum(1)

            theirs = getattr(captum, cls.__name__.removeprefix("Pair"))(value)
            groups = tuple(mask.contiguous() for mask in theirs_by_number[side])
            truth = theirs.attribute(inputs[side], feature_mask=groups)
            same(grouped[side], [one.double() for one in truth])  # captum adds up in float32
            windowed = captum.Occlusion(value).attribute(inputs[side], windows[side], strides[side])
            same(occluded[side], [one.double() for one in windowed])  # captum adds up in float32
    told = PairKernelShap(model).explain(inputs, feature_mask=masks, n_samples=50)
    assert told.delta is not None
    assert float(told.delta.abs().max()) < 1e-3
    plain = PairOcclusion(model)
    for wrong in ({"sliding_window_shapes": (((1, 2, 2),), ((1, 2, 2),))}, {"sliding_window_shapes": ((1, 2, 2),) * 3}):
        with pytest.raises(ValueError, match="sliding_window_shapes"):
            plain.attribute(inputs, **wrong)
    with pytest.raises(ValueError, match="feature_mask holds 1 for the 2 tensors of a: one for each"):
        PairFeatureAblation(model).attribute(inputs, feature_mask=(halves, halves))


# graphs that are cut, made anew, or hidden


class Half(nn.Module):
    """An encoder whose first half has no graph, or one that is made anew in the backward pass."""

    def __init__(self, around: Callable[..., Any]) -> None:
        super().__init__()
        self.backbone, self.head, self.around = encoder()[:3], encoder()[3:], around

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.around(self.backbone, x))  # type: ignore[no-any-return]


def without_gradients(module: nn.Module, x: Tensor) -> Any:
    with torch.no_grad():
        return module(x)


def test_where_a_graph_is_cut_or_made_anew_is_said() -> None:
    inputs = images()
    whole, cut = SiameseModel(encoder(), "dot"), SiameseModel(Half(without_gradients), "dot")
    with pytest.raises(ValueError, match=r"cut at 'encoder\.backbone', which is called inside no_grad"):
        PairIntegratedGradients(cut).attribute(inputs)
    with pytest.raises(ValueError, match=r"cut after 'encoder\.backbone'"):
        PairIntegratedGradients(SiameseModel(Half(lambda m, x: m(x).detach()), "dot")).attribute(inputs)
    same(PairFeatureAblation(cut).attribute(inputs), PairFeatureAblation(whole).attribute(inputs))
    anew = SiameseModel(Half(partial(torch.utils.checkpoint.checkpoint, use_reentrant=False)), "dot")
    same(PairIntegratedGradients(anew).attribute(inputs), PairIntegratedGradients(whole).attribute(inputs))
    same(PairGradCAM(anew, "head.3").attribute(inputs), PairGradCAM(whole, "3").attribute(inputs))
    with pytest.raises(ValueError, match="checkpoints its activations around this layer"):
        PairGradCAM(anew, "backbone.1").attribute(inputs)


EVERYWHERE = PairIntegratedGradients, PairGradCAM, PairDeepLift, PairInteraction


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_cut_graph_is_told_with_its_place_whatever_method_meets_it() -> None:
    """Dynamic quantisation gives a graph that leads nowhere, which hooks meet as gradients that are None."""
    inputs = tuple(side.float() for side in images())
    quantised = torch.ao.quantization.quantize_dynamic(encoder().float(), {nn.Linear})
    for model, place in (
        (SiameseModel(quantised, "dot"), r"cut after 'encoder\.4' \(no_grad, .* or a quantised layer\)"),
        (
            SiameseModel(Half(without_gradients).float(), "dot"),
            r"cut at 'encoder\.backbone', which is called inside no",
        ),
        (SiameseModel(Half(lambda m, x: m(x).detach()).float(), "dot"), r"cut after 'encoder\.backbone'"),
    ):
        for method in EVERYWHERE:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "the integral misses")  # what is nothing is not blamed on the rule
                with pytest.raises(ValueError, match=rf"the score carries no gradient.*: the graph is {place}") as said:
                    method(model).attribute(inputs)
            assert "\n" not in str(said.value)
    whole = PairAblationCAM(SiameseModel(encoder().float(), "dot"), layer="3").attribute(inputs)
    found = PairAblationCAM(SiameseModel(Half(without_gradients).float(), "dot"), layer="head.3").attribute(inputs)
    for x, y in zip(found, whole, strict=True):
        torch.testing.assert_close(x, y)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_reentrant_checkpoints_are_named_and_methods_that_ask_again_are_right() -> None:
    inputs = images()
    whole = SiameseModel(encoder(), "dot")
    anew = SiameseModel(Half(partial(torch.utils.checkpoint.checkpoint, use_reentrant=True)), "dot")
    for method in (
        PairIntegratedGradients,
        PairDeepLift,
        PairInteraction,
        PairLRP,
        partial(PairGradCAM, layer="backbone.1"),
    ):
        with pytest.raises(ValueError, match=r"^the model checkpoints its activations.* use_reentrant=False"):
            method(anew).attribute(inputs)
    same(PairFeatureAblation(anew).attribute(inputs), PairFeatureAblation(whole).attribute(inputs))


def test_an_error_of_the_model_itself_is_not_blamed_on_a_graph_that_is_whole() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AttributeError("no such thing")

    with pytest.raises(AttributeError, match="no such thing"):
        PairSaliency(SiameseModel(nn.Sequential(encoder(), Own()), "dot")).attribute(images())


def test_programs_are_told_what_to_give_and_settings_where_they_are_said() -> None:
    inputs = images()
    program = torch.export.export(encoder(), (inputs[0],))
    with pytest.raises(TypeError, match=r"give program\.module\(\)"):
        SiameseModel(program, "dot")
    with pytest.raises(ValueError, match=r"encoder is a program of torch\.export, which has no layers left"):
        PairLRP(SiameseModel(program.module(), "dot")).attribute(inputs)
    with pytest.raises(TypeError, match=r"no option 'calls'; it is said before, PairGradCAM\(model, calls=\.\.\.\)"):
        PairGradCAM(SiameseModel(encoder(), "dot")).attribute(inputs, calls="all")  # type: ignore[call-overload]


class Both(nn.Module):
    """A model of two inputs around an encoder, whatever that is wrapped in."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (self.inner(a) * self.inner(b)).sum(1)  # type: ignore[no-any-return]


def test_distributed_encoders_inside_a_model_of_two_inputs_are_explained_by_methods_with_hooks(alone: None) -> None:
    """Such a wrapper cannot be copied: torch ends with an internal assertion."""
    inputs, wrapped = images(), nn.parallel.DistributedDataParallel(encoder())
    plain = Both(encoder())
    for method in (PairDeepLift, PairLRP):
        same(method(Both(wrapped)).attribute(inputs), method(plain).attribute(inputs))
    with pytest.MonkeyPatch.context() as patch:  # each process explains by itself: none waits for another
        patch.setattr(type(wrapped), "forward", lambda *_: pytest.fail("the wrapper's own forward pass"))
        same(PairSaliency(Both(wrapped)).attribute(inputs), PairSaliency(plain).attribute(inputs))
    assert "forward" not in vars(wrapped)
    for layered in (PairLayerConductance, PairGradCAM):
        found = layered(Both(wrapped), layer="inner.module.3").attribute(inputs)
        same(found, layered(plain, layer="inner.3").attribute(inputs))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_scripted_traced_and_frozen_modules_with_buffers_have_inputs() -> None:
    inputs = images()
    plain = nn.Sequential(encoder()[:1], nn.BatchNorm2d(4).double(), encoder()[1:]).eval()
    expected = PairSaliency(SiameseModel(plain, "dot")).attribute(inputs)
    scripted = torch.jit.script(deepcopy(plain).train())
    for made in (scripted, torch.jit.trace(plain, inputs[0]), torch.jit.freeze(torch.jit.script(plain))):
        same(PairSaliency(SiameseModel(made, "dot")).attribute(inputs), expected)
    assert scripted.training
    torch.testing.assert_close(scripted.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_compiled_functions_are_explained_as_they_are_without() -> None:
    inputs, net = images(), encoder()
    compiled = torch.compile(lambda x: net(x), backend="eager")
    plain = SiameseModel(encoder(), "dot")
    for method in METHODS:
        named = partial(PairGradCAM, layer="net.3") if isinstance(method, partial) else method
        made = partial(PairLayerConductance, layer="net.3") if method is METHODS[3] else named
        same(made(SiameseModel(compiled, "dot")).attribute(inputs), method(plain).attribute(inputs))


def test_a_score_that_depends_on_the_batch_is_told_and_asked_one_by_one_it_does_not() -> None:
    """Dynamic quantisation takes its range from all rows: 0.1 beside 10 is rounded to steps of 10 / 127."""
    torch.manual_seed(0)
    net = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6)), {nn.Linear}
    )
    a, b = torch.randn(2, 3, 8)
    with torch.no_grad():
        alone, beside = (
            float(torch.cosine_similarity(*(net(torch.cat([x[:1], 10 * x[:1], 0 * x[:1]][:rows])) for x in (a, b)))[0])
            for rows in (1, 3)
        )
    model = SiameseModel(net, "cosine")
    told = rf"the value of pair 0 is {alone:.4g} alone and {beside:.4g} beside others.*internal_batch_size=1 asks one"
    assert abs(alone - beside) > 1e-3
    with pytest.warns(UserWarning, match=told):
        PairFeatureAblation(model).explain((a, b))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="layers of the model are quantised")
        together = PairFeatureAblation(model).explain((a, b), internal_batch_size=1)
        single = [PairFeatureAblation(model).explain((a[[i]], b[[i]]), internal_batch_size=1) for i in range(3)]
        PairFeatureAblation(SiameseModel(nn.Linear(8, 6), "cosine")).explain((a, b))
    for side in (0, 1):
        assert torch.equal(together.maps[side], torch.cat([one.maps[side] for one in single]))
