"""The contract that every explainer passes, ours and everybody's: ``check_explainer(MyExplainer)``."""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xsiamese.attribution import PairAttribution
from xsiamese.comparison import Function
from xsiamese.model import SiameseModel

PAIRS = 3


class ContractError(AssertionError):
    """An explainer breaks the contract; the message names the check and says what is wrong."""


@dataclass
class Subject:
    """An explainer class on trial, with options that keep it quick."""

    cls: type[PairAttribution]
    options: dict[str, Any] = field(default_factory=dict)

    def attribute(self, model: Callable[..., Any], inputs: tuple[Tensor, Tensor], layer: Any = "3", **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The maps of a model made by this module."""
        explainer = self.cls(model, layer) if self.cls.needs_layer else self.cls(model)
        options = {k: tuple(m.to(inputs[0].device) for m in v) if k == "feature_mask" else v for k, v in self.options.items()}
        if inputs[0].dim() != 4:
            options = {k: v for k, v in options.items() if k not in ("feature_mask", "sliding_window_shapes")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found: tuple[Tensor, Tensor] = explainer.attribute(inputs, **{**options, **kwargs})
        return found


def encoder(*, inplace: bool = False, norm: bool = False) -> nn.Sequential:
    """A small CNN in float64, always with the same weights; its layer "3" is a convolution."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        layers = [
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU(inplace),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
        ]  # fmt: skip
        with torch.no_grad():
            layers[-1].weight.mul_(4)  # type: ignore[operator, union-attr]
        return nn.Sequential(*layers).double().eval()


def pairs(count: int = PAIRS) -> tuple[Tensor, Tensor]:
    """Always the same pairs of 6 x 6 images in float64."""
    generator = torch.Generator().manual_seed(11)
    a, b = (torch.randn(count, 1, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    return a, b


def _near(found: Any, expected: Any, what: str, tolerance: float = 1e-7) -> None:
    for side, x, y in zip("ab", found, expected, strict=True):
        worst = float((x - y).abs().max())
        if not worst <= tolerance * (1 + float(y.abs().max())):
            raise ContractError(f"the map of {side} is off by {worst:.2g} {what}")


def check_two_results(subject: Subject) -> None:
    """Two tensors with one row a pair, shaped as the inputs unless they are of a layer."""
    inputs = pairs()
    found = subject.attribute(SiameseModel(encoder(), "dot"), inputs)
    if not isinstance(found, tuple) or len(found) != 2:
        raise ContractError(f"attribute must return a tuple of two maps, it returned {type(found).__name__}")
    of_layer = subject.cls.needs_layer and not getattr(subject.cls, "input_level", False)
    for side, value, leaf in zip("ab", found, inputs, strict=True):
        if not isinstance(value, Tensor) or value.shape[0] != PAIRS or (not of_layer and value.shape != leaf.shape):
            wanted = "with one row a pair" if of_layer else f"of shape {tuple(leaf.shape)}"
            raise ContractError(f"the map of {side} must be a tensor {wanted}, it is {getattr(value, 'shape', value)}")
        if not bool(value.any()):
            raise ContractError(f"the map of {side} is zero for a pair that is not alike")


def check_swap(subject: Subject) -> None:
    """Swapping a and b swaps the maps of a symmetric model."""
    if not subject.cls.symmetric or subject.cls.stochastic:
        return
    a, b = pairs()
    model = SiameseModel(encoder(), "dot")
    first, second = subject.attribute(model, (a, b))
    _near(subject.attribute(model, (b, a)), (second, first), "when the inputs are swapped")


def check_twin(subject: Subject) -> None:
    """Equals the model with two separate encoders of equal weights."""
    shared = subject.attribute(SiameseModel(encoder(), "dot"), pairs())
    twin = SiameseModel((encoder(), encoder()), "dot")
    _near(shared, subject.attribute(twin, pairs()), "from that of the model's two-encoder twin: one branch sees the other's activations")


def check_batch_is_loop(subject: Subject) -> None:
    """A batch of pairs equals a loop over them."""
    if subject.cls.across_pairs:
        return
    a, b = pairs()
    model = SiameseModel(encoder(), "dot")
    rows = [subject.attribute(model, (a[i : i + 1], b[i : i + 1])) for i in range(PAIRS)]
    _near(subject.attribute(model, (a, b)), [torch.cat(side) for side in zip(*rows, strict=True)], "from that of each pair alone: pairs leak into each other")


def check_internal_batch_size(subject: Subject) -> None:
    """``internal_batch_size`` changes no value."""
    model = SiameseModel(encoder(), "dot")
    _near(subject.attribute(model, pairs(), internal_batch_size=1), subject.attribute(model, pairs()), "with internal_batch_size=1")


def _traces(model: nn.Module) -> dict[str, Any]:
    hooks = [k for k in vars(nn.Module()) if k.endswith("hooks") or k.endswith("_kwargs")]
    return {
        name: (sorted(k for k in vars(m) if k != "training"), [len(getattr(m, h)) for h in hooks if isinstance(getattr(m, h, None), dict)], list(m._modules))
        for name, m in model.named_modules()
    }


def check_nothing_left(subject: Subject) -> None:
    """No hook, mask or attribute stays on the model, also after an exception."""
    failing = False

    def compare(z_a: Tensor, z_b: Tensor) -> Tensor:
        if failing:
            raise KeyError("on purpose")
        return (z_a * z_b).sum(1)

    model = SiameseModel(encoder(), Function(compare))
    before = _traces(model)
    subject.attribute(model, pairs())
    if _traces(model) != before:
        raise ContractError("hooks, masks or attributes stay on the model after attribute")
    failing = True
    try:
        subject.attribute(model, pairs())
    except Exception:
        failing = False
    if failing and not subject.cls.of_activations:
        raise ContractError("an exception in the model's forward pass is swallowed")
    if _traces(model) != before:
        raise ContractError("hooks, masks or attributes stay on the model after an exception in its forward pass")


def check_state(subject: Subject) -> None:
    """Training flags, buffers, requires_grad, .grad and random numbers are as they were."""
    layers = encoder(norm=True)
    model = SiameseModel(layers, "dot").train()
    layers[0].eval()
    first, second = (next(layers[i].parameters()) for i in (0, 3))
    second.requires_grad_(False)
    first.grad = torch.ones_like(first)
    flags = [m.training for m in model.modules()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    grads = [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    torch_state, numpy_state, random_state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    subject.attribute(model, pairs())
    if [m.training for m in model.modules()] != flags:
        raise ContractError("training flags are not as they were: they must be put back module by module")
    if any(not torch.equal(v, state[k]) for k, v in model.state_dict().items()):
        raise ContractError("parameters or buffers changed: run the model in evaluation mode and put its weights back")
    for (flag, grad), parameter in zip(grads, model.parameters(), strict=True):
        same = (grad is None and parameter.grad is None) or (grad is not None and parameter.grad is not None and torch.equal(grad, parameter.grad))
        if parameter.requires_grad != flag or not same:
            raise ContractError("requires_grad or .grad of a parameter changed: use torch.autograd.grad on what is explained only")
    if not torch.equal(torch_state, torch.get_rng_state()) or random.getstate() != random_state or not np.array_equal(numpy_state, np.random.get_state()[1]):  # type: ignore[index]
        raise ContractError("the state of a random generator (torch, numpy or random) changed")


def check_frozen(subject: Subject) -> None:
    """Frozen parameters change nothing."""
    frozen = SiameseModel(encoder(), "dot").requires_grad_(False)
    _near(subject.attribute(frozen, pairs()), subject.attribute(SiameseModel(encoder(), "dot"), pairs()), "when the parameters are frozen")


def check_inplace(subject: Subject) -> None:
    """An in-place activation changes nothing."""
    found = subject.attribute(SiameseModel(encoder(inplace=True), "dot"), pairs())
    _near(found, subject.attribute(SiameseModel(encoder(), "dot"), pairs()), "when the ReLUs work in place: clone what a hook records")


def check_inputs_kept(subject: Subject) -> None:
    """Inputs are not modified."""
    inputs = pairs()
    before = [t.clone() for t in inputs]
    subject.attribute(SiameseModel(encoder(), "dot"), inputs)
    for side, now, then in zip("ab", inputs, before, strict=True):
        if not torch.equal(now, then) or now.requires_grad or now.grad is not None:
            raise ContractError(f"input {side} was modified (its values, requires_grad or .grad)")


def check_identical_pair(subject: Subject) -> None:
    """Two identical inputs give finite maps, also under a Euclidean distance."""
    a, _ = pairs()
    found = subject.attribute(SiameseModel(encoder(), "euclidean"), (a, a.clone()))
    if not all(bool(torch.isfinite(m).all()) for m in found):
        raise ContractError("the maps of two identical inputs are NaN or infinite")


def check_unused_input(subject: Subject) -> None:
    """An input that the score does not depend on gets zeros, and a warning that names it."""
    if subject.cls.of_activations or subject.cls.fitted:
        return
    model = SiameseModel(encoder(), Function(lambda z_a, z_b: z_a.sum(1)))
    explainer = subject.cls(model, "3") if subject.cls.needs_layer else subject.cls(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, map_b = explainer.attribute(pairs(), **subject.options)
    if bool(map_b.abs().max() > 1e-6):
        raise ContractError("input b is not used by the model, and its map is not zero")
    if not any("input b" in str(w.message) for w in caught):
        raise ContractError("input b is not used by the model, and no warning names it")


def check_dtype(subject: Subject) -> None:
    """Device and dtype are kept, for float64 and bfloat16."""
    for dtype in (torch.float64, torch.bfloat16):
        model = SiameseModel(encoder().to(dtype), "dot")
        a, b = pairs()
        found = subject.attribute(model, (a.to(dtype), b.to(dtype)))
        for side, value in zip("ab", found, strict=True):
            if value.dtype != dtype or value.device != a.device or not bool(torch.isfinite(value).all()):
                raise ContractError(f"the map of {side} is {value.dtype} on {value.device} for inputs in {dtype} on {a.device}")


def check_deterministic(subject: Subject) -> None:
    """The same seed gives the same maps; another seed gives others if the method draws."""
    model = SiameseModel(encoder(), "dot")
    first = subject.attribute(model, pairs(), seed=3)
    torch.rand(5)
    np.random.rand(5)
    for x, y in zip(first, subject.attribute(model, pairs(), seed=3), strict=True):
        if not torch.equal(x, y):
            raise ContractError("two calls with one seed give different maps")
    if subject.cls.stochastic and all(map(torch.equal, first, subject.attribute(model, pairs(), seed=4))):
        raise ContractError("two seeds give the same maps, and stochastic=True says that it draws: draw from torch's, numpy's or random's generator")


def check_complete(subject: Subject) -> None:
    """Where completeness is claimed, both maps sum to F(a, b) - F(baselines) within 2 %."""
    if not subject.cls.complete:
        return
    with torch.random.fork_rng():
        torch.manual_seed(5)
        smooth = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.Tanh(), nn.Flatten(), nn.Linear(4, 3)).double()
    model = SiameseModel(smooth, "dot")
    explainer = subject.cls(model, "3") if subject.cls.needs_layer else subject.cls(model)
    options = {**subject.options, **({"n_steps": 100} if "n_steps" in subject.cls.options() else {})}
    (map_a, map_b), delta = explainer.attribute(pairs(), return_convergence_delta=True, **options)
    with torch.no_grad():
        zeros = [torch.zeros_like(t) for t in pairs()]
        change = explainer.model(*pairs()) - explainer.model(*zeros)
    gap = explainer.total((map_a, map_b), options) - change
    if bool((gap.abs() > 0.02 * change.abs().max()).any()):
        raise ContractError(f"the maps sum to {float((gap + change)[0]):.4g} and the score changes by {float(change[0]):.4g}")
    if bool((gap - delta).abs().max() > 1e-9):
        raise ContractError("the returned delta is not the pair's: sum of both maps less F(a, b) - F(baseline of a, baseline of b)")


def check_constant_model(subject: Subject) -> None:
    """A constant score gets zeros."""
    if subject.cls.of_activations:
        return
    found = subject.attribute(SiameseModel(encoder(), Function(lambda z_a, z_b: 0 * (z_a * z_b).sum(1) + 1)), pairs())
    if any(bool(m.abs().max() > 1e-9) for m in found):
        raise ContractError("the maps of a constant score are not zero")


def check_memory(subject: Subject) -> None:
    """50 calls leave no tensor behind."""
    model, inputs = SiameseModel(encoder(), "dot"), pairs(2)
    explainer = subject.cls(model, "3") if subject.cls.needs_layer else subject.cls(model)

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(o), Tensor) for o in gc.get_objects())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            explainer.attribute(inputs, **subject.options)
        before = tensors()
        for _ in range(50):
            explainer.attribute(inputs, **subject.options)
    grown = tensors() - before
    if grown > 10:
        raise ContractError(f"{grown} tensors are still alive after 50 calls: something keeps activations or graphs")


def check_differentiable(subject: Subject) -> None:
    """``create_graph=True`` gives maps that can be differentiated with respect to the inputs."""
    if not (subject.cls.uses_gradients and subject.cls.differentiable):
        return
    a, b = (t.requires_grad_() for t in pairs())
    found = subject.attribute(SiameseModel(encoder(), "dot"), (a, b), create_graph=True)
    total = sum(m.square().sum() for m in found)
    assert isinstance(total, Tensor)
    slopes = torch.autograd.grad(total, (a, b), allow_unused=True) if total.requires_grad else (None, None)
    if any(g is None or not bool(torch.isfinite(g).all()) or not bool(g.any()) for g in slopes):
        raise ContractError("the maps made with create_graph=True have no gradient with respect to the inputs")


def check_described(subject: Subject) -> None:
    """It has a name, a docstring, a repr that names it, and a formula and a source unless it is the layer's output itself."""
    cls = subject.cls
    if not cls.name or not cls.__doc__:
        raise ContractError("name and docstring are needed")
    if cls.__name__ not in repr(cls(SiameseModel(encoder(), "dot"))):
        raise ContractError(f"repr does not name {cls.__name__}")
    if not cls.formula or not (cls.reference or cls.of_activations):
        raise ContractError("formula (LaTeX) and reference (bibliography keys or BibTeX entries) are needed")


CHECKS: dict[str, Callable[[Subject], None]] = {
    "1 two results": check_two_results, "2 swap": check_swap, "3 twin": check_twin, "4 batch is loop": check_batch_is_loop,
    "5 internal batch size": check_internal_batch_size, "6 nothing left": check_nothing_left, "7 state": check_state, "8 frozen parameters": check_frozen,
    "9 in-place": check_inplace, "10 inputs kept": check_inputs_kept, "11 identical pair": check_identical_pair, "12 unused input": check_unused_input,
    "13 device and dtype": check_dtype, "14 deterministic": check_deterministic, "15 complete": check_complete, "16 constant model": check_constant_model,
    "17 memory": check_memory, "18 differentiable": check_differentiable, "described": check_described,
}  # fmt: skip


def quick_options(cls: type[PairAttribution]) -> dict[str, Any]:
    """Options that keep an explainer quick on the contract's small pairs."""
    known = cls.options()
    halves = torch.zeros(1, 1, 6, 6, dtype=torch.long)
    halves[..., 3:] = 1
    quick = {
        "n_samples": 64 if cls.name in ("kernel_shap", "lime") else 8,
        "nt_samples": 2,
        "feature_mask": (halves, halves),
        "sliding_window_shapes": (1, 2, 2),
    }
    return {k: v for k, v in quick.items() if k in known and not (cls.name == "noise_tunnel" and k != "nt_samples")}


def check_explainer(cls: type[PairAttribution], *, only: str | None = None, options: dict[str, Any] | None = None) -> None:
    """Runs the contract on an explainer class.

    Args:
        cls: the class; it is made as ``cls(model)`` or ``cls(model, layer)``.
        only: the name of a single check, of ``xsiamese.testing.CHECKS``.
        options: options for ``attribute`` that keep it quick; sensible ones are found if left out.

    Raises:
        ContractError: naming every check that fails, and what is wrong.
        ValueError: if there is no check of that name.

    Example:
        >>> from xsiamese import PairGradCAM
        >>> check_explainer(PairGradCAM, only="3 twin")
    """
    if only is not None and only not in CHECKS:
        near = get_close_matches(only, CHECKS, n=1)
        raise ValueError(f"no check is called {only!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CHECKS)}"))
    subject = Subject(cls, quick_options(cls) if options is None else options)
    failures = []
    for name, check in CHECKS.items():
        if only in (None, name):
            try:
                check(subject)
            except ContractError as error:
                failures.append(f"{name}: {error}")
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {error}")
    if failures:
        raise ContractError(f"{cls.__name__} breaks the contract:\n" + "\n".join(failures))
