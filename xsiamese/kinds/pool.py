"""Real items to start from: a baseline that lies where the data do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Pool:
    """Real items as baselines: an explanation is the mean over the items, each as the baseline of both sides.

    Zeros are often no item at all, and two of them are an identical pair: a path or a game that starts there says which
    features are present rather than which make the two inputs alike. Real items are unlike the other side on average.

    Args:
        items: a tensor of shape (items, ...), or a tuple of tensors for inputs of several.
        most: how many are drawn, without replacement; the cost grows with them.
        seed: of the draw.

    Example:
        >>> import torch
        >>> from xsiamese import PairIntegratedGradients, SiameseModel
        >>> model, items = SiameseModel(torch.nn.Linear(4, 3)), torch.randn(100, 4)
        >>> a, b = torch.randn(2, 5, 4)
        >>> map_a, map_b = PairIntegratedGradients(model).attribute((a, b), baselines=Pool(items, most=8))
        >>> map_a.shape
        torch.Size([5, 4])
    """

    items: Tensor | Sequence[Tensor]
    most: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        leaves = [self.items] if isinstance(self.items, Tensor) else list(self.items)
        if not leaves or not all(isinstance(leaf, Tensor) and leaf.dim() and len(leaf) for leaf in leaves):
            raise TypeError("a Pool takes a tensor of items, or a tuple of them, with at least one row")
        if len({len(leaf) for leaf in leaves}) > 1:
            raise ValueError(f"the tensors of a Pool have {[len(leaf) for leaf in leaves]} rows: one number is needed")
        if self.most < 1:
            raise ValueError(f"most={self.most!r}: at least one item is needed")

    def __repr__(self) -> str:
        drawn = self.drawn()
        return f"Pool({len(drawn[0])} items of {', '.join(str(tuple(t.shape[1:])) for t in drawn)}, seed={self.seed})"

    def drawn(self) -> tuple[Tensor, ...]:
        """The items that are used, each leaf of shape (drawn, ...)."""
        leaves = (self.items,) if isinstance(self.items, Tensor) else tuple(self.items)
        if len(leaves[0]) <= self.most:
            return leaves
        generator = torch.Generator().manual_seed(self.seed)
        which = torch.randperm(len(leaves[0]), generator=generator)[: self.most].sort().values
        return tuple(leaf[which.to(leaf.device)] for leaf in leaves)
