"""The last layer of one side whose places stand apart, reach the score and are those of the item: of series, texts,
volumes and rows, and of images of which no layer has a grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from xsiamese.branches.along import Along, Lies, along_of
from xsiamese.branches.calls import Survey
from xsiamese.branches.layout import Turned, channel_of
from xsiamese.branches.lineage import features_last
from xsiamese.branches.probe import PassedBy, Taken, all_pass, in_attention
from xsiamese.kinds.places import Places, of_tensor

_AROUND = "; the score also reads what passes around it"


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
            along = along_of(survey, module, places, output, lies)
            if not _reaches(survey, output, places.first if along is None or along.layout is None else along.layout):
                if flat is None and along is not None and _flat(survey, output):
                    flat = Taken(module, along.layout, _why(output, lies, along, places, str(passed))), along
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
                around = f"{_AROUND if any(flaws) else ''}{passed}"
                taken = Taken(module, along.layout, _why(output, lies, along, places, around))
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


def _why(output: Tensor, lies: Lies, along: Along, places: Places, rest: str) -> str:
    channel = channel_of(along.layout, output.dim()) if along.layout else places.channel
    found = (along.layout or places.first)(output.detach())
    many = " x ".join(map(str, found.shape[2:]))
    names = {3: ["times" if channel == 1 else "tokens"], 4: ["h", "w"], 5: ["d", "h", "w"]}.get(output.dim(), ["..."])
    lie = ", ".join(["N", *names[: channel - 1], "C", *names[channel - 1 :]])
    others = output.shape[1] - found.shape[2:].numel() if names == ["tokens"] else 0
    beside = f" beside {others} {'that is none' if others == 1 else 'that are none'}" if others else ""
    axes = lies.axes[along.axis] if along.axis else ()
    dims = f" along dimension{'s'[: len(axes) > 1]} {' and '.join(map(str, axes))} of the input" if axes else ""
    turned = isinstance(along.layout, Turned)
    turns = (", which the model turns" if found.dim() == 4 else ", which it has in another order") if turned else ""
    told = f", {along.told}" if along.told else ""
    return f"({lie}), {many} places{dims}{turns}{beside}{told}; the last that stand apart and reach the score{rest}"
