"""The last layer of one side whose places stand apart, reach the score and are those of the item: of series, texts,
volumes and rows, and of images of which no layer has a grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Survey
from xsiamese.branches.layout import MOST_PREFIX, ChannelsFirst, InOrder
from xsiamese.branches.lineage import features_last, handed_on, turned
from xsiamese.branches.probe import Moved, PassedBy, Taken, all_pass, follows, in_attention
from xsiamese.kinds.places import Places, of_tensor

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
    """

    axis: int = 0
    layout: InOrder | ChannelsFirst | None = None


def last_places(
    survey: Survey, roots: Sequence[nn.Module], side: int, lies: Lies
) -> tuple[Taken | None, PassedBy, Along]:
    """The last layer of one side with places, what was passed by, and where its places lie.

    A layer around which something passes, or that is called more than once, is taken only if no other is there.

    Args:
        survey: what every module returned, and the score.
        roots: the modules that serve the side, the later ones first.
        side: 0 for a, 1 for b.
        lies: where the places of its items lie.
    """
    passed, worse = PassedBy(), list[tuple[tuple[bool, bool, bool], Taken, Along]]()
    flat: tuple[Taken, Along] | None = None
    for root in roots:
        for module, places, output in _spread(survey, root, side, lies):
            along = _along(survey, module, places, output, lies)
            if not _reaches(survey, output, places.first if along is None or along.layout is None else along.layout):
                if flat is None and along is not None and _flat(survey, output):
                    flat = Taken(module, along.layout, _why(places, output, along, passed, False)), along
                passed.unread.append(module)
            elif along is None:
                turns = places.name != "tokens"
                (passed.turned if turns else passed.gathered).append(module)
            else:
                flaws = (
                    not all_pass(survey, root, module),
                    survey.calls(module) > max(1, survey.calls(root)),
                    in_attention(root, module),
                )
                taken = Taken(module, along.layout, _why(places, output, along, passed, any(flaws)))
                if not any(flaws):
                    return taken, passed, along
                worse.append((flaws, taken, along))
        if worse:
            _, taken, along = min(worse, key=lambda one: one[0])
            return taken, passed, along
    if flat is not None and not passed.gathered and not passed.turned:  # of a model that gives the same of anything
        return flat[0], passed, flat[1]
    return None, passed, Along()


def _spread(survey: Survey, root: nn.Module, side: int, lies: Lies) -> Iterator[tuple[nn.Module, Places, Tensor]]:
    """The modules of one side with more than one place that differ, the last first, and their output."""
    inside = [module for module in dict.fromkeys(root.modules()) if survey.serves(module, side)]
    for module in sorted(inside, key=lambda module: -survey.usage[module].finished):
        outputs = survey.usage[module].outputs
        own = [o for i, o in enumerate(outputs) if survey.stacked(module) or side in survey.made_of(module, i)]
        output = own[-1]
        if len(output) not in (survey.pairs, 2 * survey.pairs) or output.dim() < 3:  # times first, (T, N, C), are none
            continue
        places = _read(output, module, lies.three)
        cells = places.first(output.detach()).flatten(2)
        if cells.shape[2] > 1 and bool((cells != cells[:, :, :1]).any()):
            yield module, places, output


def _read(output: Tensor, module: nn.Module, three: str) -> Places:
    """How an output lies: as its module's type or width tells, or what gave it."""
    found = of_tensor(output, module, three)
    if output.dim() == 3 and of_tensor(output, module, "tokens") != of_tensor(output, module, "time"):
        last = features_last(output)
        return found if last is None else of_tensor(output, None, "tokens" if last else "time")
    return found


def _reaches(survey: Survey, output: Tensor, first: Callable[[Tensor], Tensor]) -> bool:
    """Whether more than one place of an item reaches the score: of its class token or its last time alone, no place
    does. A score without a gradient tells nothing.
    """
    if survey.value is None or not survey.value.requires_grad or not output.requires_grad or not survey.moves():
        return True
    slope = _slope(survey.value, output)
    return slope is not None and int((first(slope).flatten(2).abs().sum(1) > 0).sum(1).max()) > 1


def _flat(survey: Survey, output: Tensor) -> bool:
    """Whether an output is read, and moves nothing."""
    if survey.value is None or not survey.value.requires_grad or not output.requires_grad:
        return False
    slope = _slope(survey.value, output)
    return slope is not None and not bool(slope.any())


def _slope(value: Tensor, output: Tensor) -> Tensor | None:
    return torch.autograd.grad(value.sum(), [output], retain_graph=True, allow_unused=True)[0]


def _along(survey: Survey, module: nn.Module, places: Places, output: Tensor, lies: Lies) -> Along | None:
    """Where the places of a module lie; None if they are not those of the item."""
    leaves = [leaf for of in survey.leaves for leaf in of]
    if places.name != "tokens":
        if not turned(output, leaves):
            return Along(0, _layout(module, places, output, lies))
        return _tried(module, places, output, lies)
    if not lies.axes:
        return Along()
    found = handed_on(output, leaves)
    if found is not None and ((found.dim,) in lies.axes or (not found.dim and not turned(output, leaves))):
        whole = found.many == output.shape[1]
        layout = _layout(module, places, output, lies) if whole else InOrder(found.first, found.many)
        return Along(lies.axes.index((found.dim,)) if found.dim else 0, layout)
    return _tried(module, places, output, lies)


def _layout(module: nn.Module, places: Places, output: Tensor, lies: Lies) -> InOrder | ChannelsFirst | None:
    """The layout of all of an output, where its kind would read it in another way."""
    if places == of_tensor(output, module, lies.three):
        return None
    return InOrder(0, output.shape[1]) if places.name == "tokens" else ChannelsFirst()


def _tried(module: nn.Module, places: Places, output: Tensor, lies: Lies) -> Along | None:
    """Where the places of a module lie by what moves with halves of the item."""
    grid = tuple(places.first(output).shape[2:])
    best: tuple[float, Along] = (0.0, Along())
    for number, axes in enumerate(lies.axes):
        if len(axes) != len(grid) or grid == (2,) or (moved := lies.halves(number).get(module)) is None:
            continue
        before = grid[0] - lies.shape[axes[0]] if len(axes) == 1 else 0
        options: list[InOrder | ChannelsFirst | None] = [_layout(module, places, output, lies)]
        if places.name == "tokens" and 0 < before <= MOST_PREFIX:
            options.append(InOrder(before, grid[0] - before))
        for option in options:
            one = option or places.first
            count = one(moved[0]).shape[2:].numel()
            found = follows(moved, one)
            fits = len(axes) > 1 or _LEAST <= count <= lies.shape[axes[0]]
            if fits and found > max(best[0], min(0.85, 2 / (count - 1) ** 0.5)):
                best = found, Along(number, option)
    return best[1] if best[0] else None


def _why(places: Places, output: Tensor, along: Along, passed: PassedBy, flawed: bool) -> str:
    found = (along.layout or places.first)(output.detach())
    lie = " x ".join(map(str, found.shape[2:]))
    names = {"tokens": "(N, tokens, C)", "time": "(N, C, times)", "grid": "(N, C, h, w)", "volume": "(N, C, d, h, w)"}
    others = output.shape[1] - found.shape[2] if places.name == "tokens" else 0
    beside = f" beside {others} {'that is none' if others == 1 else 'that are none'}" if others else ""
    around = "; the score also reads what passes around it" if flawed else ""
    return f"{names[places.name]}, {lie} places{beside}; the last that stand apart and reach the score{around}{passed}"
