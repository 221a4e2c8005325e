"""The one number per pair that is explained, as a function of the tensors that move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from xsiamese.branches.cut import NoGradientError
from xsiamese.branches.standins import Branches
from xsiamese.door.arguments import shown
from xsiamese.kinds.graphs.gates import gated
from xsiamese.kinds.side import SIDES, Side, Wrt
from xsiamese.model.held import Holding
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.model.precision import wide
from xsiamese.pairs.refused import naming, unbatched
from xsiamese.pairs.split import WHOLE, Split
from xsiamese.pairs.witness import Witness

Target = int | tuple[int, ...] | Sequence[int] | Tensor | Callable[[Any], Tensor] | None

DECIDES = "where the model makes it so: explain what it decides by"
MOVING: dict[Wrt, tuple[int, ...]] = {"both": (0, 1), "first": (0,), "second": (1,)}


class NotFiniteError(ValueError):
    """A value to explain is NaN or infinite."""


class Objective(nn.Module):
    """What an explainer differentiates or perturbs: ``objective(*moved, *held, *extra)`` gives one value per pair.

    Without a target the value is *closeness*: the model's score, negated if it is a distance. With one it is what the
    target picks.
    ``split`` may ask to run both sides through a shared encoder in one call.
    When one side of a factored model moves, the other side's embedding is held, so it is encoded once only.
    """

    def __init__(
        self,
        model: PairModel,
        a: Side,
        b: Side,
        *,
        target: Target = None,
        wrt: Wrt = "both",
        split: Split = WHOLE,
        first_pair: int = 0,
        witness: Witness | None = None,
        described: str = "",
    ) -> None:
        super().__init__()
        self.witness = witness
        self.model = model
        self.target = target
        self.first_pair = first_pair
        self.sides = (a.template(), b.template())
        self.moving = MOVING[wrt]
        self.encodes_held = model.factored and len(self.moving) == 1
        self.stacked = split.stacked and not self.encodes_held
        self.layout = split.layout or torch.preserve_format
        counts = (len(a.leaves), len(b.leaves))
        floating = tuple(leaf.is_floating_point() and len(leaf) > 0 for leaf in (*a.leaves, *b.leaves))
        sides = [side for side in (0, 1) for _ in range(counts[side])]
        self.moved_at = [i for i, side in enumerate(sides) if side in self.moving and floating[i]]
        self.held_at = [
            i
            for i in range(len(sides))
            if i not in self.moved_at and not (self.encodes_held and sides[i] not in self.moving)
        ]
        self.first = counts[0]
        leaves = (*a.leaves, *b.leaves)
        self.pairs = a.pairs
        self.described = described or described_as(list(zip(leaf_names(a, b), leaves, strict=True)))
        self.dtypes: list[torch.dtype | None] = [leaves[i].dtype for i in self.moved_at]

    def select(self, which: Tensor) -> Objective:
        """The value of the pairs with these numbers."""
        some = copy(self)
        some.witness = None
        some.sides = (self.sides[0].template(which), self.sides[1].template(which))
        return some

    def in_float32(self) -> Objective:
        """This objective with its model in float32, for tools that do not keep to bfloat16."""
        self.dtypes = [None] * len(self.moved_at)
        return self.float()

    def forward(self, *tensors: Any) -> Tensor:
        count = len(self.moved_at)
        tensors = (
            tuple(_cast(t, dtype) for t, dtype in zip(tensors[:count], self.dtypes, strict=True)) + tensors[count:]
        )
        held = tensors[count:]
        if self.encodes_held:
            embedding, held = held[0], held[1:]
        leaves: dict[int, Any] = dict(
            zip((*self.moved_at, *self.held_at), (*tensors[:count], *held[: len(self.held_at)]), strict=True)
        )
        extra = held[len(self.held_at) :]
        with self.naming_inputs(), self._pass(leaves):
            output = self._one_side(leaves, embedding) if self.encodes_held else self._output(leaves, extra)
        rows = [
            self.sides[i >= self.first].count(i - self.first * (i >= self.first), t)
            for i, t in leaves.items()
            if t.dim()
        ]
        rows += [len(embedding)] if self.encodes_held else []
        value = self._value(output, extra, max(rows), tensors[:count])
        if self.witness is not None:
            self.witness.see(self.moved_at, tensors[:count], value)
        return value

    def _pass(self, leaves: dict[int, Any]) -> AbstractContextManager[None]:
        """What the witness sees of a pass."""
        device = next((leaf.device for leaf in leaves.values()), None)
        return nullcontext() if self.witness is None or device is None else self.witness.pass_(device)

    def naming_inputs(self) -> AbstractContextManager[None]:
        """What the model says against its inputs, as an error that names them by the shapes that the user gave."""
        return naming(self.model, lambda: self.described)

    def _leaves(self, leaves: dict[int, Any], side: int) -> list[Tensor]:
        return [
            leaves[i]
            for i in (range(self.first) if side == 0 else range(self.first, self.first + len(self.sides[1].leaves)))
        ]

    def _side(self, leaves: dict[int, Any], side: int) -> Any:
        return self.sides[side].rebuild(self._leaves(leaves, side))

    def _gates(self, leaves: dict[int, Any], *sides: int) -> list[Any]:
        return [gate for side in sides for gate in self.sides[side].gates(self._leaves(leaves, side))]

    def _encoded(self, leaves: dict[int, Any], side: int) -> Any:
        assert isinstance(self.model, SiameseModel)
        with gated(self.model, self._gates(leaves, side)):
            return self.model.encode(self._side(leaves, side), side)

    def _one_side(self, leaves: dict[int, Any], embedding: Any) -> Any:
        assert isinstance(self.model, SiameseModel)
        side = self.moving[0]
        moving = self._encoded(leaves, side)
        compare = self.model.comparison.explained if self.target is None else self.model.comparison
        return compare(*((moving, embedding) if side == 0 else (embedding, moving)))

    def _output(self, leaves: dict[int, Any], extra: Sequence[Any]) -> Any:
        run = self.model.explained if self.target is None else self.model
        if isinstance(self.target, (Tensor, list)):
            extra = extra[:-1]
        if self.stacked and isinstance(self.model, SiameseModel):
            z_a, z_b = self.model.encode(torch.cat([leaves[0], leaves[1]]).to(memory_format=self.layout)).chunk(2)
            return self.model.comparison.explained(z_a, z_b) if self.target is None else self.model.compare(z_a, z_b)
        gates = self._gates(leaves, 0, 1)
        if (
            gates and isinstance(self.model, SiameseModel) and not extra
        ):  # which branch a message belongs to is known here
            z_a, z_b = (self._encoded(leaves, side) for side in (0, 1))
            return self.model.comparison.explained(z_a, z_b) if self.target is None else self.model.compare(z_a, z_b)
        with gated(self.model, gates):
            return run(self._side(leaves, 0), self._side(leaves, 1), *extra)

    def _value(self, output: Any, extra: Sequence[Any], rows: int, moved: Sequence[Tensor]) -> Tensor:
        if callable(self.target):
            output = self.target(output)
        elif self.target is not None:
            output = self._picked(output, extra)
        if not isinstance(output, Tensor):
            raise ValueError(f"the model returned a {type(output).__name__}: {needed(output)}")
        if output.is_complex():
            raise ValueError(
                f"the value to explain is complex ({output.dtype}): give target= a function such as torch.abs"
            )
        if output.dim() == 0 and rows == 1:
            output = output.reshape(1)  # one pair's score, squeezed
        value: Tensor = output.flatten(1).squeeze(1) if output.dim() > 1 and output[0].numel() == 1 else output
        if value.dim() != 1 or value.shape[0] != rows:
            raise ValueError(
                f"the value to explain has shape {tuple(output.shape)} for {rows} pairs: one score per pair is needed; "
                "give target=an index or a callable on the model's output" + unbatched(self.model, self.described)
            )
        if not value.is_floating_point():  # a decision, which may be asked about without its slope
            if any(one.requires_grad for one in moved):
                raise NoGradientError(f"the score is of {value.dtype}, and a gradient needs one of floats", DECIDES)
            value = value.to(torch.get_default_dtype())
        self.check_finite(value)
        value = wide(value)
        return value if self.target is not None else self.model.closeness(value)

    def _picked(self, output: Any, extra: Sequence[Any]) -> Any:
        """What an index, or one for each pair, picks from the model's output."""
        try:
            if isinstance(self.target, (Tensor, list)):
                return output[torch.arange(len(output), device=output.device), extra[-1]]
            return output[(slice(None), *(self.target if isinstance(self.target, tuple) else (self.target,)))]
        except (IndexError, TypeError) as error:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"target={shown(self.target)} does not fit the model's output, {shape}: {error}; without a target the "
                "score is explained"
            ) from error

    def check_finite(self, value: Tensor) -> None:
        """Refuses values to explain that are NaN or infinite.

        Raises:
            NotFiniteError: with the pairs, or the rows of what was asked, and the parameter of the model that is, too.
        """
        finite = torch.isfinite(value.detach())
        if bool(finite.all()):
            return
        bad, rows = (~finite).nonzero().flatten().tolist(), len(value)
        of_pairs = rows == self.pairs  # else: points on a path to the pairs, or copies with something removed
        where = (
            f"pair {', '.join(str(self.first_pair + i) for i in bad[:8])}"
            if of_pairs
            else f"row {', '.join(map(str, bad[:8]))} of {rows}"
        )
        broken = _broken(self.model)
        raise NotFiniteError(
            f"the score is NaN or infinite in {where}: "
            + (f"so is the model's own {broken}" if broken else "look at that pair's inputs and embeddings")
        )

    def reported(self, value: Tensor) -> Tensor:
        """The model's own score from the value explained."""
        if self.target is not None:
            return value
        return self.model.reported(self.model.closeness(value))


def needed(output: Any) -> str:
    """What is needed in place of what a model returned that is no tensor."""
    if isinstance(output, (bool, int, float, np.ndarray, np.generic)):
        return "a tensor of one score a pair, shape (pairs,), is needed, with the graph of its inputs for gradients"
    return "give comparison= for two embeddings, or a callable target="


def leaf_names(a: Side, b: Side) -> list[str]:
    """What errors call the tensors of both sides."""
    return [*a.names(SIDES[0]), *b.names(SIDES[1])]


def described_as(named: Sequence[tuple[str, Tensor]]) -> str:
    """Tensors with their names, shapes and dtypes, for an error."""
    return ", ".join(f"{name} {tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for name, t in named)


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A tensor in the dtype of the input it stands for: interpolations by float32 factors leave bfloat16."""
    return tensor if dtype is None or tensor.dtype == dtype else tensor.to(dtype)


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype of a model's parameters, or torch's default if it has none."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())


def _broken(model: nn.Module) -> str | None:
    """The first parameter or buffer of a model that holds NaN or infinite values, as the user knows it."""
    every = (*model.named_parameters(), *model.named_buffers())
    found = next((name for name, one in every if one.is_floating_point() and not bool(torch.isfinite(one).all())), None)
    if found is None:
        return None
    known: list[str] = []
    here: Any = model
    parts = iter(found.split("."))
    for part in parts:
        if isinstance(here, Branches):  # each side has a view of a shared module, which is the user's own
            here = here.views[int(next(parts))]
        else:
            known.append(part)
            here = getattr(here, part)
    return ".".join(known)


def check_fit(model: nn.Module, sides: tuple[Side, Side]) -> None:
    """Refuses a dtype or a device that the model's parameters do not have, and parameters that cannot carry gradients,
    before any work is done.
    """
    unmade = next((name for name, p in model.named_parameters() if is_lazy(p)), None)
    if unmade is not None:
        raise ValueError(f"{unmade} has no size yet, as lazy modules have until they are called: call model(a, b) once")
    if any(p is not None and p.is_inference() for module in model.modules() for p in module._parameters.values()):
        made_inside = next(name for name, p in model.named_parameters() if p.is_inference())
        raise ValueError(
            f"{made_inside} was made inside torch.inference_mode() and can carry no gradient: make or move the model "
            "outside it, or explain copy.deepcopy(model) made outside it"
        )
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    if parameter is None:
        return
    if parameter.is_meta:
        raise ValueError("the model is on the meta device, where it has no weights: load them before it is explained")
    if any(isinstance(module, Holding) for module in model.modules()):
        return  # a function may bring its inputs to where its modules are
    for name, side in zip(SIDES, sides, strict=True):
        for i, leaf in enumerate(side.leaves):
            if leaf.device != parameter.device:
                raise ValueError(
                    f"input {name}, shape {tuple(leaf.shape)}, is on {leaf.device}, the model on {parameter.device}: "
                    f"use {name}.to({str(parameter.device)!r})"
                )
            if side.is_gate(i):
                continue  # gates are ours, and take the dtype of what they multiply
            if (
                leaf.is_floating_point()
                and leaf.dtype != parameter.dtype
                and all(leaf.dtype != p.dtype for p in model.parameters())  # some models keep a few in another
                and not torch.is_autocast_enabled(leaf.device.type)
            ):
                raise ValueError(
                    f"input {name}, shape {tuple(leaf.shape)}, is {leaf.dtype}, the model {parameter.dtype}: use "
                    f"{name}.to({parameter.dtype})"
                )
