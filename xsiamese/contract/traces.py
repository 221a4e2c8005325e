"""Whether anything is left behind, and how the explainer bears what models and inputs are like."""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xsiamese.branches.intact import seeded
from xsiamese.contract.subject import ContractError, Subject, names_of, near
from xsiamese.model.comparison import Dot, Function
from xsiamese.model.pair import SiameseModel

CALLS = 4


def _traces(model: nn.Module) -> dict[str, Any]:
    hooks = [k for k in vars(nn.Module()) if k.endswith("hooks") or k.endswith("_kwargs")]
    return {
        name: (
            sorted(k for k in vars(m) if k != "training"),
            [len(getattr(m, h)) for h in hooks if isinstance(getattr(m, h, None), dict)],
            list(m._modules),
        )
        for name, m in model.named_modules()
    }


def check_nothing_left(subject: Subject) -> None:
    """No hook, mask or attribute stays on the model, also after an exception."""
    failing = False

    def compare(z_a: Tensor, z_b: Tensor) -> Tensor:
        if failing:
            raise KeyError("on purpose")
        return (z_a * z_b).sum(1)

    model = SiameseModel(subject.encoder(), Function(compare))
    before = _traces(model)
    subject.attribute(model, subject.pairs())
    if _traces(model) != before:
        raise ContractError("hooks, masks or attributes stay on the model after attribute")
    failing = True
    try:
        subject.attribute(model, subject.pairs())
    except Exception:
        failing = False
    if failing and not subject.cls.of_activations:
        raise ContractError("an exception in the model's forward pass is swallowed")
    if _traces(model) != before:
        raise ContractError("hooks, masks or attributes stay on the model after an exception in its forward pass")


def check_state(subject: Subject) -> None:
    """Training flags, buffers, requires_grad, .grad and random numbers are as they were."""
    with seeded(12345):  # a state that no explainer leaves by chance
        _check_state(subject)


class Remembers(Dot):
    """The inner product, which counts its calls in a buffer, and keeps an average in one that it assigns anew."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("average", torch.zeros(1))
        self.calls: Tensor
        self.average: Tensor

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        score = super().forward(z_a, z_b)
        self.calls += 1
        self.average = self.average / 2 + score.detach().mean() / 2 + 1
        return score


def _check_state(subject: Subject) -> None:
    layers = subject.encoder(norm=True)
    model = SiameseModel(layers, Remembers()).train()
    layers[0].eval()
    first, second = (next(layers[i].parameters()) for i in (0, 3))
    second.requires_grad_(False)
    first.grad = torch.ones_like(first)
    flags = [m.training for m in model.modules()]
    state, buffers = {k: v.clone() for k, v in model.state_dict().items()}, dict(model.named_buffers())
    grads = [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    torch_state, random_state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state()[1].copy()  # type: ignore[index]
    subject.attribute(model, subject.pairs())
    if [m.training for m in model.modules()] != flags:
        raise ContractError("training flags are not as they were: they must be put back module by module")
    same_buffers = all(buffer is buffers.get(name) for name, buffer in model.named_buffers())
    if not same_buffers or any(not torch.equal(v, state[k]) for k, v in model.state_dict().items()):
        raise ContractError("parameters or buffers changed: run the model in evaluation mode and put its weights back")
    for (flag, grad), parameter in zip(grads, model.parameters(), strict=True):
        same = (grad is None and parameter.grad is None) or (
            grad is not None and parameter.grad is not None and torch.equal(grad, parameter.grad)
        )
        if parameter.requires_grad != flag or not same:
            raise ContractError(
                "requires_grad or .grad of a parameter changed: use torch.autograd.grad on what is explained only"
            )
    if (
        not torch.equal(torch_state, torch.get_rng_state())
        or random.getstate() != random_state
        or not np.array_equal(numpy_state, np.random.get_state()[1])  # type: ignore[index]
    ):
        raise ContractError("the state of a random generator (torch, numpy or random) changed")


def check_frozen(subject: Subject) -> None:
    """Frozen parameters change nothing."""
    frozen = subject.model().requires_grad_(False)
    near(
        subject.attribute(frozen, subject.pairs()),
        subject.attribute(subject.model(), subject.pairs()),
        "when the parameters are frozen",
    )


def check_inplace(subject: Subject) -> None:
    """An in-place activation changes nothing."""
    found = subject.attribute(subject.model(subject.encoder(inplace=True)), subject.pairs())
    near(
        found,
        subject.attribute(subject.model(), subject.pairs()),
        "when the ReLUs work in place: clone what a hook records",
    )


def check_inputs_kept(subject: Subject) -> None:
    """Inputs are not modified."""
    inputs = subject.pairs()
    before = [t.clone() for t in inputs]
    subject.attribute(subject.model(), inputs)
    for side, now, then in zip("ab", inputs, before, strict=True):
        if not torch.equal(now, then) or now.requires_grad or now.grad is not None:
            raise ContractError(f"input {side} was modified (its values, requires_grad or .grad)")


def check_dtype(subject: Subject) -> None:
    """Device and dtype are kept, for float64 and bfloat16, on the processor and, where there is one, on an accelerator,
    which gives the same maps.
    """
    found: dict[tuple[torch.device, torch.dtype], Sequence[Tensor]] = {}
    for device, dtype in product(_devices(), (torch.float64, torch.bfloat16)):
        if device.type == "mps" and dtype == torch.float64:
            continue
        model = subject.model(subject.encoder().to(device, dtype))
        a, b = (t.to(device, dtype) if t.is_floating_point() else t.to(device) for t in subject.pairs())
        maps = subject.attribute(model, (a, b))
        found[device, dtype] = maps
        for name, value in zip(names_of(maps), maps, strict=True):
            if subject.mapless:  # columns are of what dtype they are
                continue
            if value.dtype != dtype or value.device != a.device or not bool(torch.isfinite(value).all()):
                raise ContractError(f"{name} is {value.dtype} on {value.device} for inputs in {dtype} on {a.device}")
    here = found[torch.device("cpu"), torch.float64]
    for (device, dtype), there in found.items():
        # an accelerator has other draws, and where a search ends is not continuous in what it sees
        comparable = not subject.cls.stochastic and subject.cls.traits.takes_target
        if dtype == torch.float64 and device.type != "cpu" and comparable:
            near([one.cpu() for one in there], here, f"on {device} from that on the processor")


def _devices() -> list[torch.device]:
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return [torch.device("cpu"), *([torch.device(accelerator.type, 0)] if accelerator is not None else [])]


def check_deterministic(subject: Subject) -> None:
    """The same seed gives the same maps; another seed gives others if the method draws."""
    model = subject.model()
    first = subject.attribute(model, subject.pairs(), seed=3)
    torch.rand(5)
    np.random.rand(5)
    for x, y in zip(first, subject.attribute(model, subject.pairs(), seed=3), strict=True):
        if not torch.equal(x, y):
            raise ContractError("two calls with one seed give different maps")
    if subject.cls.stochastic and all(map(torch.equal, first, subject.attribute(model, subject.pairs(), seed=4))):
        raise ContractError(
            "two seeds give the same maps, and stochastic=True says that it draws: draw from torch's, numpy's or "
            "random's generator"
        )


def check_memory(subject: Subject) -> None:
    """Calls leave no tensor behind: one a call is too much."""
    model, inputs = subject.model(), subject.given(subject.pairs(1))
    explainer = subject.make(model)

    def tensors(calls: int) -> int:
        for _ in range(calls):
            explainer.explain(inputs, **subject.options)
        gc.collect()
        return sum(issubclass(type(o), Tensor) for o in gc.get_objects())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.freeze()  # what is there by now is not looked at: hundreds of thousands of objects that are not ours
        try:
            before = tensors(2)  # what is found out once about a model may stay
            grown = tensors(CALLS) - before
        finally:
            gc.unfreeze()
    if grown >= CALLS:
        raise ContractError(
            f"{grown} tensors are still alive after {CALLS} calls: something keeps activations or graphs"
        )


def check_described(subject: Subject) -> None:
    """It has a name, a docstring, a repr that names it, and a formula and a source unless it is the layer's output
    itself.
    """
    cls = subject.cls
    if not cls.name or not cls.__doc__:
        raise ContractError("name and docstring are needed")
    if cls.__name__ not in repr(cls(subject.model())):
        raise ContractError(f"repr does not name {cls.__name__}")
    if not cls.formula or not (cls.reference or cls.of_activations):
        raise ContractError("formula (LaTeX) and reference (bibliography keys or BibTeX entries) are needed")
