"""Along which dimensions of the item the places of a layer lie: as its graph tells, or halves of the item that change.

How many places there are tells nothing alone: a spectrogram may have as many bands as frames, or as patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from torch import Tensor, nn

from xsiamese.branches.calls import Survey
from xsiamese.branches.layout import (
    MOST_PREFIX,
    ChannelsFirst,
    ChannelsLast,
    InGrid,
    InOrder,
    KnownLayout,
    PatchesLast,
    Turned,
)
from xsiamese.branches.lineage import turned
from xsiamese.branches.origin import Origin, origin_of
from xsiamese.branches.probe import Moved, follows
from xsiamese.kinds.places import Places, by_module, of_tensor

_LEAST = 3  # of two places no half tells more than that one is the other's opposite


@dataclass(frozen=True)
class Lies:
    """Where the places of one side's items lie.

    Attributes:
        three: what (N, ., .) is if a layer's type does not tell, "time" or "tokens".
        axes: the dimensions of the item that places may lie along, those of its kind first; () where it is not known.
        shape: of a batch of items.
        halves: what each module's outputs change by if a half of the item along one of the axes changes, see
            :func:`xsiamese.branches.probe.halves_of`; by the number of the axes.
    """

    three: str
    axes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    halves: Callable[[int], Moved]


@dataclass(frozen=True)
class Along:
    """The places of a layer, along which dimensions of the item.

    Attributes:
        axis: the number of these dimensions among those that they may lie along.
        layout: how they lie in its output; None where its kind tells.
        told: how that was found out, in words.
    """

    axis: int = 0
    layout: KnownLayout | None = None
    told: str = ""


@dataclass(frozen=True)
class _Reading:
    """An output with its channels in one of its dimensions."""

    module: nn.Module
    output: Tensor
    lies: Lies
    channel: int

    @property
    def where(self) -> tuple[int, ...]:
        return tuple(i for i in range(1, self.output.dim()) if i != self.channel)

    @property
    def whole(self) -> KnownLayout | None:
        """The layout of all of the output; None where its kind reads it so."""
        if of_tensor(self.output, self.module, self.lies.three).channel == self.channel:
            return None
        if self.channel == 1:
            return ChannelsFirst()
        return InOrder(0, self.output.shape[1]) if self.output.dim() == 3 else ChannelsLast()

    def laid(self, found: Origin) -> Along | None:
        """The places of an origin as some dimensions of the item hold them; None if none do."""
        if found.parted:
            return None
        for number, axes in enumerate(self.lies.axes):
            grid, dims = found.grid, found.dims
            if len(dims) == 1 < len(axes) and dims[0] in axes:  # columns or rows of an image
                grid, dims = tuple(grid[0] if i == dims[0] else 1 for i in axes), axes
            if dims == axes and self._able(found.first, grid):
                return Along(number, self._layout(found.first, grid))
            if sorted(dims) == sorted(axes) and len(axes) > 1 and self._able(found.first, grid):
                inner = self._layout(found.first, grid) or ChannelsFirst()
                if isinstance(inner, ChannelsFirst | ChannelsLast | InGrid):
                    return Along(number, Turned(inner, tuple(dims.index(i) for i in axes)))
        return None

    def _able(self, first: int, grid: Sequence[int]) -> bool:
        """Whether there is a layout: of channels first only for what is all places, of up to two dimensions."""
        return self.output.dim() > 3 or self.channel == 2 or (first == 0 and len(grid) < 3)

    def _layout(self, first: int, grid: tuple[int, ...]) -> KnownLayout | None:
        if self.output.dim() > 3:
            return self.whole
        if len(grid) == 1:
            return (
                self.whole if first == 0 and grid[0] == self.output.shape[3 - self.channel] else InOrder(first, *grid)
            )
        return InGrid(first, grid) if self.channel == 2 else PatchesLast((grid[0], grid[1]))


def along_of(survey: Survey, module: nn.Module, places: Places, output: Tensor, lies: Lies) -> Along | None:
    """Where the places of a module lie; None if they are not those of the item.

    Args:
        survey: how the model uses its modules.
        module: the layer.
        places: how its output is read by its type, its width or its kind.
        output: the output.
        lies: where the places of the items lie.
    """
    leaves = [leaf for of in survey.leaves for leaf in of]
    turns = places.name != "tokens" and turned(output, leaves)
    readings = [_Reading(module, output, lies, channel) for channel in _channels(module, places, output)]
    if not lies.axes:
        return None if turns else Along(layout=readings[0].whole)
    lost: dict[int, Origin] = {}
    for one in readings:
        found = origin_of(output, one.where, leaves)
        if found is not None and found.dims:
            return one.laid(found)
        if found is not None:
            lost[one.channel] = found
    tried = _tried(survey, readings, lost)
    if tried is None and output.dim() == len(lies.shape) > 3 and not turns:
        return Along(layout=readings[0].whole)  # of a grid that looks at all places
    return tried


def _channels(module: nn.Module, places: Places, output: Tensor) -> list[int]:
    """The dimension that holds the channels of an output, the likelier first; one where the module's type tells it."""
    if output.dim() == 3 and by_module(module) is not None:
        return [places.channel]
    return [places.channel, output.dim() - 1 if places.channel == 1 else 1]


def _tried(survey: Survey, readings: Sequence[_Reading], lost: Mapping[int, Origin]) -> Along | None:
    """Where places lie by what moves with halves of the item: grids before lines, which a grid may follow as well."""
    found: list[tuple[float, Along]] = []
    others: list[tuple[float, int]] = []
    axes = readings[0].lies.axes
    for one in readings:
        for number, origin in _possible(survey, one, lost.get(one.channel)):
            moved = one.lies.halves(number).get(one.module)
            along = one.laid(origin)
            if moved is None or along is None or not _fits(one.lies, origin):
                continue
            layout = along.layout or of_tensor(one.output, one.module, one.lies.three).first
            least = min(0.85, 2 / (prod(origin.grid) - 1) ** 0.5)
            follow = follows(moved, layout)
            others.append((follow, along.axis))
            if follow > (least if len(origin.grid) == 1 else max(0.5, least)):
                found.append((follow, along))
    if not found:
        return None
    most = max(len(axes[along.axis]) for _, along in found)
    best, along = max((pair for pair in found if len(axes[pair[1].axis]) == most), key=lambda pair: pair[0])
    told = "as halves of the input that change tell"
    alike = {axis for follow, axis in others if follow > best / 2 and len(axes[axis]) == most} - {along.axis}
    for axis in alike:
        told += f", and it cannot be told whether they lie along dimension {axes[axis][0]}: they move with it as well"
    return replace(along, told=told)


def _possible(survey: Survey, one: _Reading, lost: Origin | None) -> Iterator[tuple[int, Origin]]:
    """Where places may lie by their number: for each the number of the axes."""
    lies, many = one.lies, [one.output.shape[i] for i in one.where]
    if lost is None and one.output.dim() == 3:
        lost = _of_others(survey, one)
    for number, axes in enumerate(lies.axes):
        sizes = [lies.shape[i] for i in axes]
        if len(many) > 1:
            if len(axes) == len(many):
                yield number, Origin(axes, 0, tuple(many))
                if len(axes) == 2:
                    yield number, Origin(axes[::-1], 0, tuple(many))
        elif lost is not None:
            if lost.dims in ((), axes, axes[::-1]) and len(lost.grid) == len(axes):
                yield number, lost._replace(dims=lost.dims or axes)
            if not lost.dims and len(axes) == 2 == len(lost.grid):
                yield number, lost._replace(dims=axes[::-1])
        elif len(axes) == 1:
            yield number, Origin(axes, 0, (many[0],))
            if 0 < (before := many[0] - sizes[0]) <= MOST_PREFIX:
                yield number, Origin(axes, before, (sizes[0],))
        elif len(axes) == 2:
            for first, grid in _tilings(many[0], sizes):
                yield number, Origin(axes, first, grid)
                yield number, Origin(axes[::-1], first, grid[::-1])


def _tilings(tokens: int, sizes: Sequence[int]) -> Iterator[tuple[int, tuple[int, int]]]:
    """The grids of patches of whole numbers that some tokens may be, after some that are none."""
    for first, rows in product(range(min(MOST_PREFIX, tokens - 4) + 1), range(2, sizes[0] + 1)):
        columns, left = divmod(tokens - first, rows)
        if not left and columns > 1 and not sizes[0] % rows and not sizes[1] % columns:
            yield first, (rows, columns)


def _of_others(survey: Survey, one: _Reading) -> Origin | None:
    """Where the places of another module with as many tokens come from, as of the one that embeds them."""
    leaves = [leaf for of in survey.leaves for leaf in of]
    for usage in survey.usage.values():
        for output in usage.outputs[-1:]:
            if output.dim() == 3 and output.shape[one.where[0]] == one.output.shape[one.where[0]]:
                found = origin_of(output, one.where, leaves)
                if found is not None:
                    return found
    return None


def _fits(lies: Lies, origin: Origin) -> bool:
    """Whether there are no more places than the item has, and enough of them."""
    if any(n > lies.shape[dim] for n, dim in zip(origin.grid, origin.dims, strict=True)):
        return False
    return prod(origin.grid) >= _LEAST and (len(origin.grid) > 1 or origin.grid[0] != 2)
