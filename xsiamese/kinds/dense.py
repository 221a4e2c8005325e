"""Kinds of input whose items are tensors: a tensor, a tuple of them or a mapping, dimension 0 being the pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xsiamese.kinds.kind import Kind
from xsiamese.kinds.places import Padded, Places
from xsiamese.kinds.presence import PresenceSide
from xsiamese.kinds.side import Form, Leaves, Side, TensorSide


class Dense(Kind):
    """Items that are told by the number of dimensions of their first floating point tensor.

    Attributes:
        dims: of a batch of items.
        also: those that are taken where the user says that the items are of this kind.
        shapes: how errors call the shapes.
    """

    dims: ClassVar[frozenset[int]]
    also: ClassVar[frozenset[int]] = frozenset()
    shapes: ClassVar[str]

    def side(self, item: Any, name: str, *, asked: bool = False) -> Side | None:
        if not _is_of_tensors(item):
            return None
        form, leaves = Form.of(item)
        shown = next((leaf for leaf in leaves if leaf.is_floating_point()), leaves[0])
        if not asked and not self.shows(form, leaves, shown):
            return None
        check(form, leaves, name)
        if shown.dim() not in self.dims | self.also:
            raise ValueError(
                f"input {name} has shape {tuple(shown.shape)} and cannot be a {self.name}, {self.shapes}: give it that "
                "shape, or another kind="
            )
        if any(leaf.is_floating_point() for leaf in leaves):
            return TensorSide(leaves, form, self.name)
        return self.gated(form, leaves)

    def shows(self, form: Form, leaves: Leaves, shown: Tensor) -> bool:
        """Whether tensors are of this kind by their form."""
        return shown.dim() in self.dims

    def places(self, activation: Tensor, side: Side, module: nn.Module | None = None) -> Places:
        found = super().places(activation, side, module)
        mask = self.mask(side.form.keys, side.own) if isinstance(side, TensorSide) else None
        if mask is None or activation.dim() != 3 or mask.shape != found.first(activation)[:, 0].shape:
            return found
        own = mask != 0
        return found if bool(own.all()) else Padded(found.name, found.channel, mask=own)

    def counted(self, side: Side) -> Mapping[int, tuple[int, Tensor]]:
        found: dict[int, tuple[int, Tensor]] = {}
        if isinstance(side, PresenceSide):
            found = {0: (1, side.movable)} if side.movable.dim() == 2 else {}
        elif isinstance(side, TensorSide) and (mask := self.mask(side.form.keys, side.own)) is not None:
            for i, leaf in enumerate(side.leaves):
                places = self.places(leaf, side)
                if isinstance(places, Padded):
                    found[i] = 3 - places.channel, places.mask
                elif leaf is not mask and leaf.shape == mask.shape and leaf.is_floating_point():
                    found[i] = 1, mask != 0
        return {i: (dim, own) for i, (dim, own) in found.items() if not bool(own.all())}

    def mask(self, keys: tuple[str, ...], leaves: Leaves) -> Tensor | None:
        """Which places of items of different lengths count and which are padding: the ``attention_mask`` of a
        mapping, or None.
        """
        return dict(zip(keys, leaves, strict=False)).get("attention_mask")

    def gated(self, form: Form, leaves: Leaves) -> Side:
        """The side of whole numbers, each of which is there or missing."""
        return PresenceSide.of(leaves, form, self.name)


class Tensors(Dense):
    """Any other tensors: of no kind that draws itself."""

    name = "tensor"
    dims = frozenset(range(65))
    shapes = "(pairs, ...)"


def check(form: Form, leaves: Leaves, name: str) -> None:
    """Refuses empty batches, numbers that are none, and tensors of unlike batches."""
    names = [name] if form.single else [f"{name}[{key!r}]" for key in form.keys] or numbered(name, len(leaves))
    for leaf, called in zip(leaves, names, strict=True):
        if said := _unfit(leaf):
            raise ValueError(f"input {called} {said}")
        if leaf.dim() == 0 or leaf.shape[0] == 0:
            raise ValueError(f"input {called} has shape {tuple(leaf.shape)}: it holds no pair")
        if leaf.is_floating_point() and not leaf.is_meta and not all_finite(leaf):
            finite = torch.isfinite(leaf.detach().reshape(len(leaf), -1)).all(1)
            raise ValueError(
                f"input {called}, shape {tuple(leaf.shape)}, holds NaN or infinite values in pair "
                f"{_some((~finite).nonzero().flatten().tolist())}: clean or leave out"
            )
        if len(leaf) != len(leaves[0]):
            raise ValueError(
                f"{called} has {len(leaf)} rows and {names[0]} has {len(leaves[0])}: dimension 0 of all must be the "
                "pair"
            )


def _unfit(leaf: Tensor) -> str:
    """What is said of a tensor that holds no plain numbers, and what makes one of it; "" if it does."""
    if type(leaf).__name__ == "FakeTensor":
        return "is a FakeTensor, which holds no numbers: give the tensor that it stands for"
    if leaf.is_nested:
        return "is a nested tensor: torch.nested.to_padded_tensor(x, 0.0) makes one whose pairs are of one size"
    if leaf.layout is not torch.strided:
        return f"is sparse ({leaf.layout}): x.to_dense() makes one that can be explained"
    if leaf.is_quantized:
        return f"is quantised ({leaf.dtype}): x.dequantize() makes one that can be explained"
    if leaf.is_complex():
        return f"is complex ({leaf.dtype}): give torch.view_as_real(x), and a model that puts it together again"
    if leaf.is_floating_point() and leaf.element_size() < 2:
        return f"is {leaf.dtype}, with which torch does not calculate: use x.to(torch.float32)"
    return ""


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds neither NaN nor infinities: these are its extremes wherever they stand, and the extremes
    are found in a tenth of the time that asking each number takes.
    """
    seen = tensor.detach()
    if seen.dim() and not seen.stride(0):
        seen = seen[:1]  # one row, as often as there are pairs
    return not seen.numel() or bool(torch.isfinite(torch.stack(torch.aminmax(seen))).all())


def numbered(name: str, count: int) -> list[str]:
    """What the tensors of a tuple are called."""
    return [f"{name}[{i}]" for i in range(count)]


def _is_of_tensors(item: Any) -> bool:
    if isinstance(item, Tensor):
        return True
    if not isinstance(item, (tuple, list, Mapping)) or not item:
        return False
    return all(isinstance(leaf, Tensor) for leaf in (item.values() if isinstance(item, Mapping) else item))


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:8])) + (", ..." if len(indices) > 8 else "")
