"""The last place where cells of the image still stand apart and reach the score, found by one backward pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Survey
from xsiamese.branches.layout import Grid, KnownLayout, by_width, described, layouts

_AT_ONCE = 8
_ATTENTION = re.compile(r"atten|attn", re.IGNORECASE)


@dataclass(frozen=True)
class Taken:
    """The layer that is explained on if the user names none.

    Attributes:
        module: the layer.
        layout: how its output lies.
        why: both, in words.
    """

    module: nn.Module
    layout: KnownLayout
    why: str


def last_cells(
    survey: Survey, roots: Sequence[nn.Module], image: Grid, mark: Callable[[], Mapping[nn.Module, Tensor]]
) -> Taken | None:
    """The last layer in which cells of an image stand apart and reach the score.

    What lies inside an attention is passed by: keys and values are no cells. A layer inside a residual block, or one
    that an encoder calls more than once, is taken only if no other is there: what lies around it is a better place.

    Args:
        survey: what every module returned, and the score.
        roots: the modules that serve one side, the later ones first.
        image: height and width of the input.
        mark: what each module changes by, for one pair, where a patch of the image changes, see :func:`marked_patch`;
            asked only where an output may lie in more than one way.
    """
    grids = _grids(survey, image)
    for root in roots:
        unread: list[nn.Module] = []
        worse: list[tuple[tuple[bool, bool], nn.Module, KnownLayout]] = []
        for module, layout, reaches in _from_the_end(survey, root, image, grids, mark):
            if _in_attention(root, module):
                continue
            if not reaches:
                unread.append(module)
                continue
            flaws = not _all_pass(survey, root, module), survey.calls(module) > max(1, survey.calls(root))
            if not any(flaws):
                return Taken(module, layout, _why(survey, module, layout, unread))
            worse.append((flaws, module, layout))
        if worse:
            _, module, layout = min(worse, key=lambda one: one[0])
            return Taken(module, layout, _why(survey, module, layout, unread))
    return None


def marked_patch(image: Grid) -> tuple[slice, slice]:
    """Rows and columns of the patch that is marked: off the middle, and off the diagonal."""
    height, width = image
    return slice(height // 8, height // 8 + max(1, height // 4)), slice(
        5 * width // 8, 5 * width // 8 + max(1, width // 4)
    )


def _from_the_end(
    survey: Survey,
    root: nn.Module,
    image: Grid,
    grids: set[Grid],
    mark: Callable[[], Mapping[nn.Module, Tensor]],
) -> Iterator[tuple[nn.Module, KnownLayout, bool]]:
    """The modules whose output is a grid over the image, the last first, with the layout and whether it reaches the
    score.
    """
    inside = [m for m in root.modules() if m in survey.usage and survey.usage[m].outputs]
    order = sorted(inside, key=lambda module: -survey.usage[module].finished)
    for start in range(0, len(order), _AT_ONCE):  # a backward pass goes no further than it must
        found = [
            (m, options) for m in order[start : start + _AT_ONCE] if (options := _options(survey, m, image, grids))
        ]
        reach = _reach(survey, [module for module, _ in found])
        for module, options in found:
            layout = options[0] if len(options) == 1 else _told_by(mark(), module, options)
            yield module, layout, reach is None or _reaches(reach[module], layout)


def _options(survey: Survey, module: nn.Module, image: Grid, grids: set[Grid]) -> list[KnownLayout]:
    """The layouts in which a module's output is a grid of cells that differ; none if it does not serve a side."""
    usage = survey.usage[module]
    output = usage.outputs[-1]
    alike = len({one.shape[1:] for one in usage.outputs}) == 1
    if not alike or not output.is_floating_point() or len(output) not in (survey.pairs, 2 * survey.pairs):
        return []
    options = layouts(output.shape, image, grids)
    if not options or not any(survey.serves(module, side) for side in (0, 1)):
        return []
    return [one for one in by_width(module, output.shape, options) if _apart(one(output.detach()))]


def _grids(survey: Survey, image: Grid) -> set[Grid]:
    """The grids of convolutions, such as the one that makes the patches."""
    return {
        (int(u.outputs[-1].shape[2]), int(u.outputs[-1].shape[3]))
        for m, u in survey.usage.items()
        if isinstance(m, nn.Conv2d) and u.outputs and u.outputs[-1].dim() == 4
    }


def _apart(cells: Tensor) -> bool:
    """Whether the cells (N, C, h, w) differ: those of a global mean that was spread over a grid do not."""
    return bool((cells != cells[:, :, :1, :1]).any())


def _reach(survey: Survey, modules: Sequence[nn.Module]) -> dict[nn.Module, Tensor] | None:
    """The size of the score's gradient at each module's output, or None where the score has no gradient at all."""
    value = survey.value
    if value is None or not value.requires_grad or not survey.moves():
        return None
    outputs = {m: [o for o in survey.usage[m].outputs if o.requires_grad] for m in modules}
    wanted = [o for found in outputs.values() for o in found]
    slopes = iter(torch.autograd.grad(value.sum(), wanted, retain_graph=True, allow_unused=True) if wanted else ())
    found = {}
    for module, parts in outputs.items():
        sizes = [torch.zeros_like(o) if g is None else g.abs() for o, g in zip(parts, slopes, strict=False)]
        found[module] = torch.cat(sizes) if sizes else torch.zeros_like(survey.usage[module].outputs[-1])
    return found


def _reaches(size: Tensor, layout: KnownLayout) -> bool:
    """Whether more than one cell reaches the score: of a class token alone, no cell of the image does."""
    return int(layout(size).sum(1).any(0).sum()) > 1


def _all_pass(survey: Survey, root: nn.Module, module: nn.Module) -> bool:
    """Whether all that the root's output knows of the inputs passes the module's output."""
    ends = [o.grad_fn for o in survey.usage[root].outputs] if root in survey.usage else []
    ends = ends or ([survey.value.grad_fn] if survey.value is not None else [])
    stops = {o.grad_fn for o in survey.usage[module].outputs}
    leaves = {id(leaf) for side in survey.leaves for leaf in side}
    seen, waiting = set(stops), [end for end in ends if end is not None and end not in stops]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in leaves:
            return False
        waiting += [following for following, _ in node.next_functions if following is not None]
    return True


def _in_attention(root: nn.Module, module: nn.Module) -> bool:
    return any(
        _ATTENTION.search(type(around).__name__) and any(inner is module for inner in around.modules())
        for around in root.modules()
        if around is not root
    )


def _told_by(changes: Mapping[nn.Module, Tensor], module: nn.Module, options: Sequence[KnownLayout]) -> KnownLayout:
    """The layout in which the change of a patch lies where the patch does."""
    change = changes.get(module)
    if change is None:
        return options[0]

    def share(layout: KnownLayout) -> float:
        energy = layout(change).square().sum(1)
        rows, columns = marked_patch((energy.shape[1], energy.shape[2]))
        return float(energy[:, rows, columns].mean() / energy.mean().clamp(min=1e-30))

    return max(options, key=share)


def _why(survey: Survey, module: nn.Module, layout: KnownLayout, unread: Sequence[nn.Module]) -> str:
    shape = survey.usage[module].outputs[-1].shape
    line = f"{described(layout, shape)}; the last place where cells stand apart and reach the score"
    if unread:
        names = ", ".join(dict.fromkeys(type(later).__name__ for later in unread[:2]))
        line += f" (of what comes after it, {names}, the score reads no patch, only what is gathered from them)"
    return line
