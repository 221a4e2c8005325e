"""Whether the layer taken by itself is a grid over the image: a patch that changes moves the cell where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xsiamese import PairHiResCAM, SiameseModel
from xsiamese.branches.outputs import first_tensor

Cell = tuple[int, int]


@dataclass(frozen=True)
class Marked:
    """What was found of one encoder.

    Attributes:
        taken: the line that says which layer was taken and why.
        grid: rows and columns of its cells.
        peaks: of two cells whose patch changed, the cell and the one that moved most.
        whole: whether both maps have values at all.
    """

    taken: str
    grid: Cell
    peaks: tuple[tuple[Cell, Cell], ...]
    whole: bool

    @property
    def follows(self) -> bool:
        """Whether what moves most lies at the patch, or beside it where cells are many."""
        most = 0 if self.grid[0] == 2 else 1
        return self.whole and all(max(abs(r - y), abs(c - x)) <= most for (r, c), (y, x) in self.peaks)


def looks_at_its_own_place(encoder: nn.Module, size: int, others: float = 0.03) -> None:
    """Weights with which each place of every layer depends most on the same place of the one before.

    Args:
        encoder: of images (N, 3, size, size).
        size: of the images.
        others: what is left of a convolution's weights of other places; 0 is exact, but a head of strided convolutions
            then reads one place alone.
    """
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if name.endswith("attention_biases"):
                weight[:, 0] = 15  # # column 0 is of no distance
            elif name.endswith("bn.weight"):
                weight.fill_(1)  # some are 0 at first
        for conv in (m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.kernel_size > m.stride):
            own, (row, column) = conv.weight.clone(), (size // 2 for size in conv.kernel_size)
            conv.weight.mul_(others)[:, :, row, column] = own[:, :, row, column]
        for norm in norms:
            norm.train().momentum = None  # the statistics of one batch
        encoder(torch.randn(4, 3, size, size))
    encoder.eval()


def marked(encoder: nn.Module, size: int, own_place: bool = False) -> Marked:
    """What two corners that change move in the layer that is taken by itself.

    Args:
        encoder: of images (N, 3, size, size).
        size: of the images.
        own_place: whether to look at the change of either patch beside that of the other, with small changes, as for
            :func:`looks_at_its_own_place`.
    """
    a, b = torch.randn(2, 1, 3, size, size)
    explainer = PairHiResCAM(SiameseModel(encoder, "dot"))
    explained = explainer.explain((a, b))
    rows, columns = explained.maps[0].shape[2:]
    batch: Any = next(plan for plan in explainer._plans.values() if hasattr(plan, "taken"))
    layer, layout = batch.layers[0][0], batch.taken[0].layout
    outputs: list[Any] = []
    handle = layer.register_forward_hook(lambda module, args, output: outputs.append(first_tensor(output)))
    targets = ((0, columns - 1), (rows - 1, 0))
    with torch.no_grad():
        encoder(a)
        for row, column in targets:
            changed, (h, w) = a.clone(), (size // rows, size // columns)
            patch = changed[:, :, row * h : (row + 1) * h, column * w : (column + 1) * w]
            noise = torch.randn(3, h, w)
            patch.copy_(patch + 0.1 * noise if own_place else 2 * noise)
            encoder(changed)
    handle.remove()
    moved = [(layout(output) - layout(outputs[0])).abs().sum(1)[0] for output in outputs[1:]]
    if own_place:  # and what either patch moves is no sign of one
        least = 1e-6 * torch.stack(moved).max()  # most places move with neither
        moved = [moved[0] / (moved[1] + least), moved[1] / (moved[0] + least)]
    peaks = tuple((t, divmod(int(m.argmax()), int(columns))) for t, m in zip(targets, moved, strict=True))
    taken = explained.parameters["taken"]
    return Marked(taken, (int(rows), int(columns)), peaks, all(bool(one.any()) for one in explained.maps))
