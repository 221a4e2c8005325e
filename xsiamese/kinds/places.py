"""How a layer's output lies: which of its dimensions holds the channels, and which the places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

# what these give has its channels in dimension 1, or in the last one, whatever the input is
_FIRST = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.InstanceNorm1d, nn.MaxPool1d, nn.AvgPool1d)
GRIDS = {"image": 4, "series": 3, "volume": 5}
"""The dimensions of a map whose places lie beside each other, by the kind of its input."""
_LAST = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer)


@dataclass(frozen=True)
class Places:
    """The places of a layer's output (N, ...), each with its channels.

    Attributes:
        name: "grid" (N, C, H, W), "time" (N, C, T), "volume" (N, C, D, H, W), "tokens" (N, T, C), "features" (N, C) or
            "nodes" (nodes, C).
        channel: the dimension that holds the channels.

    Example:
        >>> Places("tokens", channel=2).first(torch.zeros(3, 47, 8)).shape
        torch.Size([3, 8, 47])
    """

    name: str
    channel: int = 1

    def first(self, activation: Tensor) -> Tensor:
        """An output with its channels in dimension 1."""
        return activation.movedim(self.channel, 1)

    def given(self, activation: Tensor) -> Tensor:
        """What :meth:`first` gave, as the layer gives it."""
        return activation.movedim(1, self.channel)

    def real(self, tensor: Tensor) -> Tensor:
        """What :meth:`first` gives, or something of its shape, with zeros where there is only padding."""
        return tensor

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all places of each input, channels in dimension 1, with the dimensions kept."""
        return tensor.mean(tuple(range(2, tensor.dim())), keepdim=True) if tensor.dim() > 2 else tensor

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all places of each input."""
        return tensor.sum(tuple(range(2, tensor.dim())), keepdim=True) if tensor.dim() > 2 else tensor


@dataclass(frozen=True)
class Padded(Places):
    """Places some of which are padding, which has no part in means and sums: an item beside a longer one has the same
    as alone.

    Attributes:
        mask: which places are an item's own, boolean, (N, places).

    Example:
        >>> places = Padded("tokens", channel=2, mask=torch.tensor([[True, True, False]]))
        >>> places.mean(torch.tensor([[[1.0, 3.0, 8.0]]]))
        tensor([[[2.]]])
    """

    mask: Tensor = field(kw_only=True)

    def real(self, tensor: Tensor) -> Tensor:
        return torch.where(self.mask[:, None], tensor, 0)

    def mean(self, tensor: Tensor) -> Tensor:
        return self.total(tensor) / self.mask.sum(1).clamp(min=1)[:, None, None]

    def total(self, tensor: Tensor) -> Tensor:
        return self.real(tensor).sum(2, keepdim=True)


@dataclass(frozen=True)
class Nodes(Places):
    """The nodes of graphs, of which each graph has its own number.

    Attributes:
        pair_of: the graph of each node, ascending.
    """

    name: str = "nodes"
    pair_of: Tensor = field(kw_only=True)

    def mean(self, tensor: Tensor) -> Tensor:
        return self.total(tensor) / torch.bincount(self.pair_of)[self.pair_of, None]

    def total(self, tensor: Tensor) -> Tensor:
        # summed into one row a graph, and read again at each of its nodes
        sums = tensor.new_zeros(int(self.pair_of[-1]) + 1, *tensor.shape[1:]).index_add(0, self.pair_of, tensor)
        return sums[self.pair_of]


def softened(values: Tensor, kind: str) -> Tensor:
    """A map whose places share what they have with their neighbours, 1 : 2 : 1 along each dimension; one of an image,
    a series or a volume whose places do not lie in a grid, as those of tokens, stays as it is.

    What stands on the edge of two places is seen by both, or by one of them a little beside it; this puts its peak in
    the middle. Beyond the border is nothing, so that no place counts more than another, and what would leave the map
    is dropped.

    Args:
        values: (pairs, channels, ...) on a grid of an image or a volume, or on the times of a series.
        kind: of the input.

    Raises:
        ValueError: if items of this kind have no places beside each other, as texts and graphs.

    Example:
        >>> softened(torch.tensor([[[0.0, 4.0, 0.0, 0.0, 8.0]]]), "series")
        tensor([[[1., 2., 1., 2., 4.]]])
    """
    if kind not in GRIDS:
        raise ValueError(
            f"soften=True: {kind} input has no places beside each other; it is for images, series and volumes, leave "
            "it out"
        )
    if values.dim() != GRIDS[kind]:
        return values
    for dim in range(2, values.dim()):
        border = torch.zeros_like(values.narrow(dim, 0, 1))
        beside = torch.cat([border, values, border], dim).unfold(dim, 3, 1)  # before, itself, after
        values = beside @ values.new_tensor((0.25, 0.5, 0.25))
    return values


def is_plane(value: Tensor, item: Tensor) -> bool:
    """Whether a map (pairs, 1, h, w) lies over both dimensions of items (pairs, ., .), as of a spectrogram."""
    return value.dim() == 4 and item.dim() == 3 and value.shape[1] == 1


def over_plane(value: Tensor, item: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
    """Such a map brought to the size of its items, (pairs, ., .), linearly in between; others unchanged.

    Example:
        >>> over_plane(torch.ones(2, 1, 3, 4), torch.zeros(2, 30, 16)).shape
        torch.Size([2, 30, 16])
    """
    if not is_plane(value, item):
        return value
    return nn.functional.interpolate(value, size or tuple(item.shape[1:]), mode="bilinear", align_corners=False)[:, 0]


def by_module(module: nn.Module | None) -> str | None:
    """Where the channels of a (N, ., .) output are, "first" or "last", if the layer's type tells it."""
    if isinstance(module, nn.Sequential) and len(module):
        return by_module(module[-1])
    return "first" if isinstance(module, _FIRST) else "last" if isinstance(module, _LAST) else None


def by_width(module: nn.Module | None, shape: Sequence[int]) -> str | None:
    """The same as the last parameters of a module tell it, which are as many as it has channels."""
    if module is None:
        return None
    widths = [p.shape[0] for p in module.parameters() if p.dim()][-2:]
    first, last = shape[1] in widths, shape[2] in widths
    return None if first == last else "first" if first else "last"


def of_tensor(activation: Tensor, module: nn.Module | None, three: str) -> Places:
    """The places of a dense output by its number of dimensions.

    Args:
        activation: the output of the layer.
        module: the layer, whose type may tell where the channels are.
        three: what (N, ., .) is if the layer's type does not tell: "time" or "tokens".
    """
    if activation.dim() == 3:
        three = {"first": "time", "last": "tokens", None: three}[
            by_module(module) or by_width(module, activation.shape)
        ]
        return Places(three, 1 if three == "time" else 2)
    return Places({2: "features", 4: "grid", 5: "volume"}.get(activation.dim(), "features"))
