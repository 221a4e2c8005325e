"""Situations that nobody plans for: the maps are what they are without them, or one line says what is in the way."""

from __future__ import annotations

import random
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from tests.problems import conv_encoder
from tests.strangers.test_bad_input import refused
from xsiamese import (
    PairActivationDecomposition,
    PairFeatureAblation,
    PairGradCAM,
    PairGradientShap,
    PairIntegratedGradients,
    PairOcclusion,
    PairRISE,
    PairSaliency,
    PairShapleyValueSampling,
    SiameseModel,
    load,
)

A, B = torch.rand(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
METHODS = (PairSaliency, PairIntegratedGradients, PairGradCAM, PairFeatureAblation)


def maps(model: Any, pair: Any = (A, B), cls: Any = PairSaliency) -> list[Tensor]:
    found = cls(model).explain(pair)
    return [*found.maps, found.scores]


def same(found: list[Tensor], expected: list[Tensor]) -> None:
    for x, y in zip(found, expected, strict=True):
        assert y.any()
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-12)


class Around(nn.Module):
    """An encoder, and something that is done to what goes in or comes out."""

    def __init__(self, after: Callable[[Any, Tensor], Any], before: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.inner, self.after, self.before = conv_encoder(), after, before

    def forward(self, x: Tensor) -> Any:
        return self.after(self, self.inner(self.before(x)))


def plain(model: nn.Module, z: Tensor) -> Tensor:
    return z


class Falsy(nn.Sequential):
    def __bool__(self) -> bool:
        return False


class Uncopied(nn.Sequential):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("no copies")


def in_a_circle() -> nn.Module:
    model = Around(plain)
    model.me = model
    return model


def locked_up() -> nn.Module:
    model = Uncopied(conv_encoder())
    vars(model)["lock"] = threading.Lock()
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "is false": lambda: Falsy(conv_encoder()),
    "cannot be copied": locked_up,
    "holds itself": in_a_circle,
}


@pytest.mark.parametrize("name", MODELS)
def test_odd_models_are_explained_as_what_they_compute(name: str) -> None:
    for cls in METHODS:
        same(maps(SiameseModel(MODELS[name]()), cls=cls), maps(SiameseModel(conv_encoder()), cls=cls))


class Tagged(Tensor):
    pass


def by_columns(x: Tensor) -> Tensor:
    return x.transpose(2, 3).contiguous().transpose(2, 3)


def from_inference(x: Tensor) -> Tensor:
    with torch.inference_mode():
        return x * 1


STACK = torch.cat([A, B])
PAIRS: dict[str, Callable[[], Any]] = {
    "by columns": lambda: (by_columns(A), by_columns(B)),
    "views of one tensor": lambda: (STACK[:3], STACK[3:]),
    "every other row": lambda: (A.repeat_interleave(2, 0)[::2], B.repeat_interleave(2, 0)[::2]),
    "parameters": lambda: (nn.Parameter(A.clone()), nn.Parameter(B.clone())),
    "with a graph": lambda: (A.clone().requires_grad_() * 1, B),
    "with a hook": lambda: (hooked(A), B),
    "from inference mode": lambda: (from_inference(A), from_inference(B)),
    "of a subclass": lambda: (A.as_subclass(Tagged), B.as_subclass(Tagged)),
}


def hooked(x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    x.register_hook(lambda gradient: gradient * 0 + 7)  # type: ignore[no-untyped-call]
    return x


@pytest.mark.parametrize("name", PAIRS)
def test_odd_tensors_are_the_numbers_that_they_hold(name: str) -> None:
    pair = PAIRS[name]()
    for cls in METHODS:
        same(maps(SiameseModel(conv_encoder()), pair, cls), maps(SiameseModel(conv_encoder()), cls=cls))


def test_one_picture_held_for_all_pairs() -> None:
    found = maps(SiameseModel(conv_encoder()), (A[:1].expand(3, -1, -1, -1), B))
    same(found, maps(SiameseModel(conv_encoder()), (A[:1].repeat(3, 1, 1, 1), B)))


class Watching(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextmanager
def switched(switch: Callable[[Any], None], value: Any, usual: Any) -> Iterator[None]:
    switch(value)
    try:
        yield
    finally:
        switch(usual)


@contextmanager
def hooked_everywhere() -> Iterator[None]:
    hook = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


AROUND: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "another default dtype": lambda: switched(torch.set_default_dtype, torch.float64, torch.float32),
    "deterministic": lambda: switched(torch.use_deterministic_algorithms, True, False),
    "anomalies": lambda: torch.autograd.detect_anomaly(False),
    "saved elsewhere": torch.autograd.graph.save_on_cpu,
    "no gradients": torch.no_grad,
    "a hook on every module": hooked_everywhere,
    "every function watched": Watching,
    "warnings are errors": strict,
    "numpy raises": lambda: np.errstate(all="raise"),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", AROUND)
def test_what_is_switched_on_around_it_changes_no_map(name: str) -> None:
    for cls in METHODS:
        model = SiameseModel(conv_encoder())
        expected = maps(model, cls=cls)
        with AROUND[name]():
            found = maps(model, cls=cls)
        same(found, expected)


class Mixed(nn.Module):
    """Two pairs of one item each: an encoder whose scale is kept in another precision."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.inner = nn.Parameter(torch.tensor(2.0)), conv_encoder()

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.inner(x) * self.scale
        return z


def test_a_model_that_keeps_one_number_in_another_precision() -> None:
    same(maps(SiameseModel(Mixed())), maps(SiameseModel(conv_encoder())))  # the cosine does not see the scale
    said = "input a, shape (3, 1, 8, 8), is torch.bfloat16, the model torch.float32: use a.to(torch.float32)"
    refused(lambda: maps(SiameseModel(Mixed()), (A.bfloat16(), B.bfloat16())), said)


def doubled_in_place(x: Tensor) -> Tensor:
    x.mul_(2)
    return x


def centred_in_a_view(x: Tensor) -> Tensor:
    rows = x.view(len(x), -1)
    rows -= rows.mean(1, keepdim=True)
    return x


@pytest.mark.parametrize(
    ("writes", "makes"),
    [
        (doubled_in_place, lambda x: 2 * x),
        (centred_in_a_view, lambda x: x - x.flatten(1).mean(1)[:, None, None, None]),
        (lambda x: nn.functional.relu_(x), torch.relu),
    ],
    ids=["doubles", "centres", "relu"],
)
@pytest.mark.parametrize("cls", [*METHODS, PairOcclusion])
def test_a_model_that_writes_into_its_input(writes: Any, makes: Any, cls: Any) -> None:
    """The same network that makes a tensor of its own is the oracle; what the user gave stays."""
    pair = A.clone(), B.clone()
    same(maps(SiameseModel(Around(plain, writes)), pair, cls), maps(SiameseModel(Around(plain, makes)), cls=cls))
    assert torch.equal(pair[0], A)
    assert torch.equal(pair[1], B)


def decayed(model: Any, z: Tensor) -> Tensor:
    with torch.no_grad():
        next(model.inner.parameters()).mul_(0.9)
    return z


@pytest.mark.parametrize("cls", METHODS)
def test_a_model_that_changes_its_weights_is_refused(cls: Any) -> None:
    said = "encoder.inner.0.weight was written to while the model was explained"
    refused(lambda: maps(SiameseModel(Around(decayed)), cls=cls), said)


class Standardised(nn.Module):
    """Batch normalisation in training mode whatever the model's, which writes its means without counting a version."""

    mean: Tensor
    variance: Tensor

    def __init__(self, training: bool = True) -> None:
        super().__init__()
        self.each = training
        self.register_buffer("mean", torch.zeros(64, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(64, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(x.flatten(1), self.mean, self.variance, training=self.each)


def test_what_batch_normalisation_writes_is_put_back() -> None:
    encoder = Standardised()
    encoder.mean.fill_(3.0)
    maps(SiameseModel(encoder))
    assert encoder.mean.tolist() == [3.0] * 64
    assert encoder.variance.tolist() == [1.0] * 64


def test_nan_in_the_model_is_not_the_inputs_fault() -> None:
    model = SiameseModel(conv_encoder())
    nn.init.constant_(next(model.parameters()), float("nan"))
    refused(lambda: maps(model), "the score is NaN or infinite in pair 0, 1, 2: so is the model's own encoder.0.weight")
    encoder = Standardised(training=False)
    encoder.variance[0] = float("nan")
    refused(lambda: maps(SiameseModel(encoder)), "so is the model's own encoder.variance")
    refused(lambda: maps(SiameseModel(conv_encoder()), (A * 1e200, B)), "look at that pair's inputs and embeddings")


RETURNED: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "nothing": (lambda model, z: None, "the encoder returned a NoneType: a tensor (pairs, dimensions) is needed"),
    "a text": (lambda model, z: "alike", "the encoder returned a str: a tensor (pairs, dimensions) is needed"),
    "an array": (
        lambda model, z: z.detach().numpy(),
        "the encoder returned a ndarray: a tensor (pairs, dimensions) is needed",
    ),
    "a generator": (
        lambda model, z: (one for one in z),
        "the encoder returned a generator: a tensor (pairs, dimensions) is needed",
    ),
    "lists": (lambda model, z: z.tolist(), "returned a list of"),
    "complex": (lambda model, z: torch.complex(z, z), "the encoder returned complex numbers (torch.complex128)"),
}


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("cls", [PairSaliency, PairGradCAM, PairFeatureAblation])
def test_what_is_no_embedding_is_named(name: str, cls: Any) -> None:
    returns, said = RETURNED[name]
    refused(lambda: maps(SiameseModel(Around(returns)), cls=cls), said)


@pytest.mark.parametrize("cls", [PairSaliency, PairFeatureAblation])
def test_a_complex_score_is_refused(cls: Any) -> None:
    """Its imaginary part would be dropped from the maps."""

    class Fourier(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            score: Tensor = (torch.fft.fft2(a) * b).flatten(1).sum(1)
            return score

    refused(lambda: maps(Fourier(), cls=cls), "the value to explain is complex (torch.complex128)")


def quantised() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(A.float(), 0.1, 0, torch.quint8)


TENSORS: dict[str, tuple[Callable[[], Tensor], str]] = {
    "sparse": (lambda: A.to_sparse(), "is sparse (torch.sparse_coo): x.to_dense()"),
    "quantised": (quantised, "is quantised (torch.quint8): x.dequantize()"),
    "complex": (lambda: torch.complex(A, A), "is complex (torch.complex128)"),
    "of eight bits": (lambda: A.to(torch.float8_e4m3fn), "is torch.float8_e4m3fn, with which torch does not calculate"),
    "nested": (lambda: torch.nested.as_nested_tensor(list(A), layout=torch.jagged), "is a nested tensor"),
}


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("cls", [PairSaliency, PairFeatureAblation])
def test_tensors_that_hold_no_plain_numbers_are_named(name: str, cls: Any) -> None:
    make, said = TENSORS[name]
    model = SiameseModel(nn.Flatten())
    refused(lambda: maps(model, (make(), B), cls), f"input a {said}")
    refused(lambda: maps(model, (A, make()), cls), f"input b {said}")


def test_models_that_are_not_ready() -> None:
    refused(lambda: maps(SiameseModel(conv_encoder().to("meta"))), "the model is on the meta device")
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(3, dtype=torch.float64))
    refused(lambda: maps(SiameseModel(lazy)), "encoder.1.weight has no size yet")
    refused(lambda: PairSaliency(SiameseModel), "SiameseModel is a class: make the model of it first", TypeError)


def test_layers_that_are_none() -> None:
    model = SiameseModel(conv_encoder())
    refused(lambda: PairGradCAM(model, []).attribute((A, B)), "layer=[] names no layer")
    three: Any = ("0", "1", "2")
    refused(lambda: PairGradCAM(model, three).attribute((A, B)), "a tuple is (of a, of b)")


@pytest.mark.parametrize(
    ("ids", "first"),
    [
        (["ab", "cd", "ef"], "'ab'"), ("abc", "'a'"), ([1, 2, 3], "1"), ([("a", "b", "c")] * 3, "('a', 'b', 'c')"),
        (np.array(["x", "y", "z"]), "np.str_('x')" if np.__version__ >= "2" else "'x'"),
    ],
)  # fmt: skip
def test_ids_that_are_no_two_names(ids: Any, first: str) -> None:
    said = f"ids= holds {first}: two names for each pair, (of a, of b), are needed"
    refused(lambda: PairSaliency(SiameseModel(conv_encoder())).explain((A, B), ids=ids), said)


@pytest.mark.parametrize("ids", [(("a", "b") for _ in range(3)), np.array([["a", "b"]] * 3), [["a", "b"]] * 3])
def test_ids_in_every_form(ids: Any) -> None:
    assert PairSaliency(SiameseModel(conv_encoder())).explain((A, B), ids=ids).ids == (("a", "b"),) * 3


@pytest.mark.parametrize("count", [0, -3, 1.5, True, "7", 10**9])
def test_how_many_is_a_whole_number_that_ends(count: Any) -> None:
    """Captum gives zeros for some of these, and never ends for others."""
    model, pair = SiameseModel(nn.Linear(2, 2)), (torch.rand(1, 2), torch.rand(1, 2))
    asked: tuple[tuple[Any, str], ...] = (
        (PairIntegratedGradients, "n_steps"), (PairShapleyValueSampling, "n_samples"), (PairGradientShap, "n_samples"),
    )  # fmt: skip
    for cls, name in asked:
        refused(partial(cls(model).attribute, pair, **{name: count}), f"{name}={count!r}: a whole number")


@pytest.mark.parametrize("baseline", [float("nan"), float("inf"), -float("inf"), 1e39])
@pytest.mark.parametrize("cls", [PairIntegratedGradients, PairFeatureAblation])
def test_a_baseline_that_is_no_number_is_named(baseline: float, cls: Any) -> None:
    model, pair = SiameseModel(nn.Linear(2, 2)), (torch.rand(2, 1, 2)).unbind(0)
    refused(lambda: cls(model).attribute(pair, baselines=baseline), f"the baseline of a is {baseline}")
    given = torch.zeros(1, 2), torch.tensor([[0.0, baseline]])
    refused(
        lambda: cls(model).attribute(pair, baselines=given), "the baseline of b, shape (1, 2), holds NaN or infinite"
    )


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    explanation = PairSaliency(SiameseModel(conv_encoder())).explain((A, B))
    for folder in ("", tmp_path):
        refused(partial(explanation.save, folder), f"{Path(folder)} is a folder: the name of a file is needed")
    refused(partial(explanation.save, tmp_path / ("n" * 300 + ".safetensors")), "File name too long", OSError)
    refused(partial(explanation.save, "\0"), r"'\x00' cannot be written", OSError)


def test_explanations_are_saved_while_one_goes_through_them(tmp_path: Path) -> None:
    explanation = PairSaliency(SiameseModel(conv_encoder())).explain((A, B))
    for number, one in enumerate(explanation):
        one.save(tmp_path / "one.safetensors")
        explanation.save(tmp_path / "all.safetensors")  # over the one before
        assert torch.equal(load(tmp_path / "one.safetensors").scores, explanation.scores[number : number + 1])
    assert torch.equal(load(tmp_path / "all.safetensors").maps[0], explanation.maps[0])


class Drawing(nn.Module):
    """Multiplies an embedding by a number that is drawn in each pass, whatever the mode."""

    def __init__(self, drawn: Callable[[], float]) -> None:
        super().__init__()
        self.drawn, self.inner = drawn, conv_encoder()

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.inner(x)
        return z * (1 + self.drawn())


DRAWN = r"the model draws random numbers in evaluation mode: asked twice, it gives pair \d (\S+) and (\S+), so"
ASKED: dict[Any, dict[str, Any]] = {
    PairGradCAM: {}, PairSaliency: {}, PairIntegratedGradients: {"n_steps": 2}, PairFeatureAblation: {},
    PairShapleyValueSampling: {"n_samples": 1}, PairRISE: {"masks": 4}, PairActivationDecomposition: {},
}  # fmt: skip


@pytest.mark.parametrize("cls", ASKED)
@pytest.mark.parametrize("drawn", [lambda: float(torch.rand(())), random.random], ids=["torch", "random"])
def test_a_model_that_draws_in_evaluation_mode_is_told_with_what_it_gave(cls: Any, drawn: Callable[[], float]) -> None:
    explainer = cls(SiameseModel(Drawing(drawn), "dot"))
    masks = {"feature_mask": (torch.zeros(1, 1, 8, 8).long(),) * 2} if cls is PairShapleyValueSampling else {}
    with pytest.warns(UserWarning, match=DRAWN) as told:
        found = explainer.explain((A, B), **ASKED[cls], **masks)
    lines = [str(one.message) for one in told if "random numbers" in str(one.message)]
    assert len(lines) == 1  # once a call, however many parts it had
    said = re.search(DRAWN, lines[0])
    assert said is not None
    once, twice = map(float, said.groups())
    assert once != twice
    assert any(float(score) == pytest.approx(once, rel=1e-3) for score in found.scores)  # the value of the map
    assert "F.dropout(x, p, self.training)" in lines[0]


@pytest.mark.parametrize("cls", ASKED)
def test_a_model_that_draws_what_it_does_not_use_is_not_blamed(cls: Any) -> None:
    masks = {"feature_mask": (torch.zeros(1, 1, 8, 8).long(),) * 2} if cls is PairShapleyValueSampling else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cls(SiameseModel(Drawing(lambda: 0 * float(torch.rand(()))), "dot")).explain((A, B), **ASKED[cls], **masks)


def test_only_a_model_that_draws_is_asked_once_more() -> None:
    """The promise of one pass: two items encoded, at once or one after the other."""
    for drawn, passes in ((lambda: 0.0, 1), (lambda: 0 * random.random(), 2)):
        rows: list[int] = []
        encoder = Drawing(drawn)
        encoder.register_forward_pre_hook(lambda module, given, rows=rows: rows.append(len(given[0])))
        explainer = PairGradCAM(SiameseModel(encoder))
        explainer.explain((A, B))  # watches the model at work once
        rows.clear()
        explainer.explain((A, B))
        assert sum(rows) == 6 * passes


class Inside(nn.Module):
    """The same encoder called inside a transform."""

    def __init__(self, transform: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.transform, self.inner = transform, conv_encoder()

    def forward(self, x: Tensor) -> Tensor:
        return self.transform(self.inner, x)


def by_rows(model: nn.Module, x: Tensor) -> Tensor:
    found: Tensor = torch.func.vmap(lambda row: model(row[None])[0])(x)
    return found


def called(model: nn.Module, x: Tensor) -> Tensor:
    found: Tensor = torch.func.functional_call(model, dict(model.named_parameters()), (x,))
    return found


def test_transforms_inside_a_model() -> None:
    for cls in METHODS:
        expected = maps(SiameseModel(conv_encoder()), cls=cls)
        same(maps(SiameseModel(Inside(called)), cls=cls), expected)
        if cls is not PairGradCAM:
            same(maps(SiameseModel(Inside(by_rows)), cls=cls), expected)
    said = "the model calls its layers inside a transform of torch.func (vmap, grad, jvp)"
    for layer in (None, "inner.0"):
        explainer = PairGradCAM(SiameseModel(Inside(by_rows)), layer)
        refused(partial(explainer.attribute, (A, B)), said)
        refused(partial(explainer.attribute, (A, B)), "explain the inputs, as PairIntegratedGradients")


@pytest.mark.parametrize("cls", METHODS)
def test_an_explanation_inside_a_transform_is_refused(cls: Any) -> None:
    explainer = cls(SiameseModel(conv_encoder()))
    said = (
        "inside a transform of torch.func (vmap, grad, jvp), where tensors hold no numbers to look at: call it outside"
    )
    refused(lambda: torch.func.vmap(lambda a, b: explainer.attribute((a[None], b[None]))[0])(A, B), said)
    refused(lambda: torch.func.grad(lambda a: explainer.attribute((a, B))[0].sum())(A), said)
    refused(lambda: torch.func.jvp(lambda a: explainer.attribute((a, B))[0], (A,), (A,)), said)
    with FakeTensorMode(allow_non_fake_inputs=True):
        refused(lambda: explainer.attribute((A, B)), "FakeTensorMode is on, in which tensors hold no numbers")
    with FakeTensorMode():
        fake = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    refused(lambda: explainer.attribute((fake, B)), "input a is a FakeTensor, which holds no numbers")


def test_what_autocast_rounds_away_is_told() -> None:
    """Embeddings in bfloat16 move a score by some 0.0005; the map of one pixel is some 0.00001."""
    model, pair = SiameseModel(conv_encoder().float()), (A.float(), B.float())
    with torch.autocast("cpu", torch.bfloat16), pytest.warns(UserWarning, match="what it shows is rounding") as told:
        PairFeatureAblation(model).attribute(pair)
    assert "and autocast keeps what scores are made of in torch.bfloat16, to 0.00049: what it" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PairFeatureAblation(model).attribute(pair)
        with torch.autocast("cpu", torch.bfloat16):  # a mask of all of it loses more than a step
            whole = torch.zeros(1, 1, 8, 8).long()
            PairFeatureAblation(SiameseModel(nn.Flatten(), "dot")).attribute(pair, feature_mask=(whole, whole))


@pytest.mark.parametrize(
    "cls", [*METHODS, PairActivationDecomposition, PairRISE, PairShapleyValueSampling, PairGradientShap]
)
def test_a_default_device_that_holds_no_numbers_is_left(cls: Any) -> None:
    """As where large models are made: what is made for a model lies where the model is."""
    model, pair = SiameseModel(conv_encoder()), (A, B)
    expected = cls(model).explain(pair)
    with torch.device("meta"):
        found = cls(model).explain(pair)
        scores = cls(model).scores(pair)
        assert torch.empty(1).is_meta
    same([*found.maps, scores], [*expected.maps, expected.scores])
