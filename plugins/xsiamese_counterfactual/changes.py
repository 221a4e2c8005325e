"""What a swapped cell adds to the embedding, where that does not depend on the other cells."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from xsiamese_counterfactual.cells import Place


class Changes(ABC):
    """What each edit (i, j) adds to the embedding."""

    targets: int
    sources: int

    @abstractmethod
    def along(self, x: Tensor) -> Tensor:
        """The change's product with a vector, (targets, sources)."""

    @abstractmethod
    def squares(self) -> Tensor:
        """The change's squared length, (targets, sources)."""

    @abstractmethod
    def of(self, i: int) -> Tensor:
        """The changes of one cell, (sources, dimensions)."""


class Pooled(Changes):
    """(theirs_j - own_i): the same wherever the cell is."""

    def __init__(self, own: Tensor, theirs: Tensor) -> None:
        self.own, self.theirs = own, theirs
        self.targets, self.sources = len(own), len(theirs)

    def along(self, x: Tensor) -> Tensor:
        return (self.theirs @ x)[None] - (self.own @ x)[:, None]

    def squares(self) -> Tensor:
        return self.theirs.square().sum(1)[None] + self.own.square().sum(1)[:, None] - 2 * self.own @ self.theirs.T

    def of(self, i: int) -> Tensor:
        return self.theirs - self.own[i]


class Placed(Changes):
    """One change for each cell and each source, (targets, sources, dimensions)."""

    def __init__(self, change: Tensor) -> None:
        self.change = change
        self.targets, self.sources = change.shape[:2]

    def along(self, x: Tensor) -> Tensor:
        return self.change @ x

    def squares(self) -> Tensor:
        return self.change.square().sum(2)

    def of(self, i: int) -> Tensor:
        return self.change[i]


def changes_of(place: Place, cells: Tensor, source: Tensor) -> tuple[Changes | None, Tensor]:
    """What each edit adds to the embedding, if edits add up, and the embedding before."""
    count, tolerance = len(cells), 100 * torch.finfo(cells.dtype).eps
    probe = cells.clone()
    probe[::2] = source[torch.arange(0, count, 2, device=cells.device) % len(source)]
    filled = torch.cat([cells, source])[:, None].expand(-1, count, -1)
    found = place.embeddings(torch.cat([cells[None], probe[None], filled]))
    start, probed, each = found[0], found[1], found[2:]
    own, theirs = each[:count], each[count:]
    scale = float(each.abs().max().clamp_min(1e-30))
    swapped = own.clone()
    swapped[::2] = theirs[torch.arange(0, count, 2, device=cells.device) % len(source)]
    if (
        float((own.mean(0) - start).abs().max()) <= tolerance * scale
        and float((swapped.mean(0) - probed).abs().max()) <= tolerance * scale
    ):
        return Pooled(own / count, theirs / count), start
    change = _linear_changes(place, cells, source, start, probed=probed, probe=probe, tolerance=tolerance)
    return None if change is None else Placed(change), start


def _linear_changes(
    place: Place, cells: Tensor, source: Tensor, start: Tensor, *, probed: Tensor, probe: Tensor, tolerance: float
) -> Tensor | None:
    """The same for a head that is linear in the cells but not alike in all places: by its Jacobian, which is then
    checked.
    """
    size = len(start) * cells.numel()
    if size > 2**26 or len(cells) * len(source) * len(start) > 2**26:
        return None
    moved = cells.detach().clone().requires_grad_()
    with torch.enable_grad():
        z = place.embedding(place.made_of(moved[None])).flatten()
        if not z.requires_grad:
            return None
        (jacobian,) = torch.autograd.grad(
            z, moved, torch.eye(len(z), dtype=z.dtype, device=z.device), is_grads_batched=True
        )
    jacobian = jacobian.double()  # (dimensions, cells, numbers)
    expected = start + torch.einsum("dif,if->d", jacobian, (probe - cells).double())
    if float((expected - probed).abs().max()) > tolerance * max(
        float(start.abs().max()), float(probed.abs().max()), 1e-30
    ):
        return None
    return (
        torch.einsum("dif,jf->ijd", jacobian, source.double())
        - torch.einsum("dif,if->id", jacobian, cells.double())[:, None]
    )
