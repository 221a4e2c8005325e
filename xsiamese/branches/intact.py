"""The user's model is left exactly as it was: flags, hooks, buffers, gradients and random numbers, also after an
exception, after Ctrl-C however often, and with other threads at work on it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import chain
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from xsiamese.branches.fastpath import without_fast_path
from xsiamese.branches.lock import locked
from xsiamese.branches.signals import SIGNALS


class intact:  # reads as what it does: with intact(model)
    """Puts ``model`` into evaluation mode, and everything back as it was at the end.

    One thread at a time is inside the block of a model; one block inside another of the same thread sees none of its
    hooks. Left inside the block is ``torch.inference_mode``, in which nothing can be explained. Attributes that the
    model's own forward pass sets are its own affair, and so are buffers that it registers for the first time.

    Args:
        model: the model, whole.
        seed: seeds torch, numpy (captum's GradientShap draws from it) and random; None leaves them where they are.
        freeze: takes ``requires_grad`` off the parameters, so that only what is explained has a graph.

    Example:
        >>> model = nn.Sequential(nn.Dropout()).train()
        >>> with intact(model, seed=0):
        ...     model.training
        False
        >>> model.training
        True
    """

    def __init__(self, model: nn.Module, *, seed: int | None = None, freeze: bool = True) -> None:
        self.model, self.seed, self.freeze = model, seed, freeze
        self._undo = ExitStack()
        self._parameters: list[tuple[nn.Parameter, int]] = []

    @SIGNALS.whole
    def __enter__(self) -> None:
        try:
            SIGNALS.begin(self)
            with ExitStack() as undo:
                undo.enter_context(locked(self.model, seeded=self.seed is not None, waiting=SIGNALS.deliver))
                # an interrupt that meets torch.no_grad() as it ends would leave gradients off for good
                undo.callback(torch.set_grad_enabled, torch.is_grad_enabled())
                undo.enter_context(outside_inference())
                undo.enter_context(beside(self.model))
                undo.enter_context(seeded(self.seed))
                modules = list(self.model.modules())
                undo.enter_context(without_fast_path(modules))
                if any(map(_is_compiled, modules)):
                    undo.enter_context(torch.compiler.set_stance("force_eager"))  # no hook fires in compiled code
                own = (p for module in modules for p in module._parameters.values() if p is not None)
                parameters = [p for p in dict.fromkeys(own) if p.is_leaf and not p.is_inference()]
                kept: list[_Kept] = []
                undo.callback(_put_back, kept)  # one for all of them: a callback each costs more than all else here
                kept += (_Kept(module) for module in modules)
                _copy([one for module in kept for one in module.buffers])
                undo.callback(_give_flags, [(p, p.requires_grad) for p in parameters])
                _prepare(modules, parameters if self.freeze else [])
                self._parameters = [(p, p._version) for p in parameters]
                SIGNALS.deliver()
                self._undo = undo.pop_all()
        except BaseException:
            SIGNALS.end(self)
            raise

    @SIGNALS.whole
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._undo.close()
        finally:
            SIGNALS.end(self)
        if kind is None or issubclass(kind, RuntimeError):
            self._refuse_another_model(error)

    def _refuse_another_model(self, error: BaseException | None) -> None:
        changed = {id(parameter) for parameter, version in self._parameters if parameter._version != version}
        if changed:
            name = next((name for name, p in self.model.named_parameters() if id(p) in changed), "a parameter")
            raise ValueError(
                f"{name} was written to while the model was explained, in its own forward pass or by another thread, "
                "so that each pass was of another model: explain a copy, or take the writing out of forward"
            ) from error


def _put_back(kept: list[_Kept]) -> None:
    """Puts all modules back, also those after one that cannot be."""
    failure: BaseException | None = None
    for one in reversed(kept):
        try:
            one.put_back()
        except BaseException as error:
            failure = error
    if failure is not None:
        raise failure


class _Copy:
    """A copy of what stands in many buffers of one type and device, made at the price of one."""

    def __init__(self, buffers: list[Tensor]) -> None:
        self.buffers = buffers
        self.numbers = self._now()

    def _now(self) -> Tensor:
        return torch.cat([buffer.detach().reshape(-1) for buffer in self.buffers])

    @cached_property
    def same(self) -> bool:
        """Whether the buffers still hold it; batch normalisation writes without counting a version."""
        return torch.equal(self._now(), self.numbers)


class _Buffer:
    """A buffer of a module, and what stands in it: its numbers from ``start`` on of the copy of many."""

    def __init__(self, name: str, buffer: Tensor | None) -> None:
        self.name, self.buffer = name, buffer
        self.version = None if buffer is None or buffer.is_inference() else buffer._version
        self.alone: Tensor | None = None  # the copy of one that cannot be among many
        self.copy: _Copy | None = None
        self.start: int  # comes with the copy

    def put_back(self) -> None:
        """Writes into the buffer what stood there, if it has been written to."""
        if self.buffer is None or self.version is None:
            return
        stood = self.alone if self.buffer._version != self.version else None
        if self.copy is not None and not self.copy.same:
            whole = self.copy.numbers[self.start : self.start + self.buffer.numel()].view(self.buffer.shape)
            # writing into one that is as it was would break a graph of the explanation around this one
            stood = None if torch.equal(self.buffer, whole) else whole
        if stood is not None:
            with torch.no_grad():
                self.buffer.copy_(stood)


def _copy(buffers: list[_Buffer]) -> None:
    """Copies what stands in many small buffers, at the price of one copy for each type and device."""
    groups: dict[Any, list[tuple[_Buffer, Tensor]]] = {}
    for one in buffers:
        if one.buffer is None or one.version is None:
            continue
        if one.buffer.layout is not torch.strided or one.buffer.is_quantized:
            one.alone = one.buffer.detach().clone()
        else:
            groups.setdefault((one.buffer.dtype, one.buffer.device), []).append((one, one.buffer))
    for group in groups.values():
        copy, start = _Copy([buffer for _, buffer in group]), 0
        for one, buffer in group:
            one.copy, one.start = copy, start
            start += buffer.numel()


_NAMES: dict[tuple[str, ...], tuple[str, ...]] = {}  # of a module's attributes those that hold hooks


class _Kept:
    """What a module is like, to be put back: its flag, its hooks and its buffers."""

    _hooks_outside: ClassVar[dict[int, dict[str, dict[Any, Any]]]] = {}  # by id, for as long as a block holds it

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.training = getattr(module, "training", False)  # frozen by torch.jit a module has none
        self.dropout = module.dropout if isinstance(module, nn.RNNBase) else 0.0
        # its own forward pass waits for the other processes, and takes their buffers
        self.waits = isinstance(module, DistributedDataParallel) and "forward" not in vars(module)
        self.hooks = _hooks(module)
        self.buffers = [_Buffer(name, buffer) for name, buffer in module._buffers.items()]
        self.outermost = id(module) not in self._hooks_outside
        if self.outermost:
            self._hooks_outside[id(module)] = self.hooks
        else:  # one explanation inside another: the hooks of the outer one are not for its passes
            _replace_hooks(module, self._hooks_outside[id(module)])

    def put_back(self) -> None:
        if getattr(self.module, "training", False) != self.training:  # setting an attribute of a module is slow
            self.module.training = self.training
        if isinstance(self.module, nn.RNNBase):
            self.module.dropout = self.dropout
        if self.waits:
            del self.module.forward
        _replace_hooks(self.module, self.hooks)
        for one in self.buffers:
            now = dict(self.module._buffers.items())  # of a scripted module they are no dictionary
            if now.get(one.name) is not one.buffer:  # forward has assigned another tensor
                self.module._buffers[one.name] = one.buffer
            one.put_back()
        if self.outermost:
            del self._hooks_outside[id(self.module)]


def _hooks(module: nn.Module) -> dict[str, dict[Any, Any]]:
    """The hooks of a module by the attributes that hold any: dictionaries, torch's own and torch_geometric's."""
    held = vars(module)
    names = _NAMES.get(key := tuple(held))  # going through all attributes of all modules takes long
    if names is None:
        names = _NAMES[key] = tuple(name for name in held if "_hooks" in name)
    return {name: value.copy() for name in names if isinstance(value := held[name], dict) and value}


def _replace_hooks(module: nn.Module, wanted: dict[str, dict[Any, Any]]) -> None:
    there = _hooks(module)
    if there == wanted:
        return
    for name in {**there, **wanted}:
        value = getattr(module, name)
        value.clear()
        value.update(wanted.get(name, {}))


def _prepare(modules: list[nn.Module], frozen: list[nn.Parameter]) -> None:
    copies: dict[int, Tensor] = {}
    for module in modules:
        if getattr(module, "training", False):
            module.training = False
        if isinstance(module, nn.RNNBase) and any(p.is_cuda for p in module._parameters.values() if p is not None):
            # cuDNN differentiates in training mode only; without dropout its values are those of evaluation mode
            module.training, module.dropout = True, 0.0
        if isinstance(module, DistributedDataParallel):
            vars(module)["forward"] = module.module.__call__
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_inference():  # re-assigned while the model served: bears no gradient
                module._buffers[name] = copies.setdefault(id(buffer), buffer.clone())
    _give_flags([(parameter, False) for parameter in frozen])


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__name__ == "OptimizedModule" or vars(module).get("_compiled_call_impl") is not None


def _give_flags(flags: list[tuple[nn.Parameter, bool]]) -> None:
    for parameter, flag in flags:
        parameter.requires_grad_(flag)


@contextmanager
def outside_inference() -> Iterator[None]:
    """Leaves ``torch.inference_mode`` for the block, but not no_grad, which the bare switch would end, too."""
    if not torch.is_inference_mode_enabled():
        yield
        return
    with torch.inference_mode(False):
        yield


@contextmanager
def beside(model: nn.Module) -> Iterator[None]:
    """Leaves for the block a default device (``torch.set_default_device``, ``with torch.device(...)``) that is neither
    the model's nor the processor: what is made for the model would lie there, and on "meta" hold no numbers.
    """
    default = torch.get_default_device().type
    own = next(chain(model.parameters(), model.buffers()), None) if default != "cpu" else None
    device = torch.device("cpu") if own is None else own.device
    if default in ("cpu", device.type):
        yield
        return
    with device:
        yield


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seeds every generator for the time of the block and puts their states back after it."""
    if seed is None:
        yield
        return
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(enabled=True):
        try:
            reseed(seed)
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def reseed(seed: int) -> None:
    """Seeds torch, numpy and random."""
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # that notes the lines of the whole stack for devices that are not here, longer than a small network takes
        torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
