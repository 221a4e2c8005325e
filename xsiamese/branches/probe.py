"""The last place where cells of the image still stand apart and reach the score, found by one backward pass.

A shape tells where cells may lie. Whether they lie there is told by what handed them on from a convolution, or else by
halves of the image that change: what is tied to a place moves most with the half that it lies in, and learned latents,
each of which gathers from the whole image, do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Survey
from xsiamese.branches.layout import (
    ChannelsLast,
    Grid,
    KnownLayout,
    Layout,
    PatchesLast,
    Tokens,
    by_width,
    described,
    layouts,
    lies_over,
)
from xsiamese.branches.lineage import laid_last, turned
from xsiamese.branches.origin import origin_of

_AT_ONCE = 8
ATTENTION = re.compile(r"(?<!fl)atten|attn", re.IGNORECASE)
# what leaves each token of (N, T, C) where it is
_KEEPS_PLACES = re.compile(r"(Add|Mul|Cat|NativeLayerNorm|Transpose|Permute|View|ToCopy)Backward\d")

Moved = Mapping[nn.Module, Tensor]


@dataclass(frozen=True)
class Taken:
    """The layer that is explained on if the user names none.

    Attributes:
        module: the layer.
        layout: how its output lies; None where its kind tells.
        why: both, in words.
    """

    module: nn.Module
    layout: Layout
    why: str


@dataclass
class PassedBy:
    """What comes after the place that is taken and is none: its cells do not reach the score, its tokens are no cells,
    or they lie as those of an input that was turned.
    """

    unread: list[nn.Module] = field(default_factory=list)
    gathered: list[nn.Module] = field(default_factory=list)
    turned: list[nn.Module] = field(default_factory=list)

    def __str__(self) -> str:
        unread, gathered = (
            ", ".join([*dict.fromkeys(type(m).__name__ for m in some)][:2]) for some in (self.unread, self.gathered)
        )
        lines = []
        if unread:
            lines.append(f"of what comes after it, {unread}, the score reads no place, only what is gathered from them")
        if gathered:
            lines.append(f"the tokens of {gathered}, after it, do not lie as the places of the input")
        return f" ({'; '.join(lines)})" if lines else ""


def last_cells(
    survey: Survey, roots: Sequence[nn.Module], image: Grid, halves: Callable[[], Moved]
) -> tuple[Taken | None, PassedBy]:
    """The last layer in which cells of an image stand apart and reach the score, and what was passed by.

    What lies inside an attention is passed by: keys and values are no cells. A layer inside a residual block, or one
    that an encoder calls more than once, is taken only if no other is there: what lies around it is a better place.

    Args:
        survey: what every module returned, and the score.
        roots: the modules that serve one side, the later ones first.
        image: height and width of the input.
        halves: what each module's outputs change by, see :func:`halves_of`, stacked; asked only where an output may lie
            in more than one way, or its tokens may be no cells.
    """
    grids = _grids(survey, image)
    passed = PassedBy()
    for root in roots:
        passed = PassedBy()
        worse: list[tuple[tuple[bool, bool], nn.Module, KnownLayout]] = []
        for module, layout, reaches in _from_the_end(survey, root, image, grids, halves):
            if in_attention(root, module):
                continue
            if not reaches:
                passed.unread.append(module)
                continue
            if not tied(survey, module, layout, halves):
                (passed.turned if _cells(survey, module, layout) else passed.gathered).append(module)
                continue
            flaws = not all_pass(survey, root, module), survey.calls(module) > max(1, survey.calls(root))
            if not any(flaws):
                return Taken(module, layout, _why(survey, module, layout, passed)), passed
            worse.append((flaws, module, layout))
        if worse:
            _, module, layout = min(worse, key=lambda one: one[0])
            return Taken(module, layout, _why(survey, module, layout, passed)), passed
    return None, passed


def halves_of(grid: Sequence[int]) -> Tensor:
    """Halves of a grid, the share of each cell that lies in them, shape (halves, ...), of which no two are alike in
    any half: one along each dimension, and the parts across in which an even number of them lack; of a line its first
    quarter with each of the others.

    Example:
        >>> halves_of((2, 2)).flatten(1)
        tensor([[1., 1., 0., 0.],
                [1., 0., 1., 0.],
                [1., 0., 0., 1.]])
    """
    if len(grid) == 1:
        quarter = torch.arange(4 * grid[0]) // grid[0]  # of each quarter of a cell
        first, *others = nn.functional.one_hot(quarter).view(grid[0], 4, 4).float().mean(1).T
        return torch.stack([first + other for other in others])
    ends = [(torch.arange(2 * n) < n).view(n, 2).float().mean(1) for n in grid]
    halves = [end.view(-1, *[1] * (len(grid) - 1 - i)).expand(*grid) for i, end in enumerate(ends)]
    return torch.stack([*halves, (1 + (2 * torch.stack(halves) - 1).prod(0)) / 2])


def _from_the_end(
    survey: Survey,
    root: nn.Module,
    image: Grid,
    grids: set[Grid],
    halves: Callable[[], Moved],
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
            layout = options[0]
            if len(options) > 1 and (moved := halves().get(module)) is not None:
                layout = max(options, key=lambda one: follows(moved, one))
            yield module, layout, reach is None or _reaches(reach[module], layout)


def _options(survey: Survey, module: nn.Module, image: Grid, grids: set[Grid]) -> list[KnownLayout]:
    """The layouts in which a module's output is a grid of cells that differ; none if it does not serve a side."""
    usage = survey.usage[module]
    output = usage.outputs[-1]
    alike = len({one.shape[1:] for one in usage.outputs}) == 1
    if not alike or not output.is_floating_point() or len(output) not in (survey.pairs, 2 * survey.pairs):
        return []
    options = traced(output, leaves_of(survey), layouts(output.shape, image, grids), image)
    if not options or not any(survey.serves(module, side) for side in (0, 1)):
        return []
    if ChannelsLast() in options and not laid_last(output):
        options.remove(ChannelsLast())
    return [one for one in by_width(module, output.shape, options) if _apart(one(output.detach()))]


def traced(output: Tensor, leaves: Sequence[Tensor], options: list[KnownLayout], image: Grid) -> list[KnownLayout]:
    """The layout of tokens (N, T, C) or (N, C, T) as their graph tells it, which knows how many of those that are no
    patch come before them, and how many after them; what may be where it does not tell.
    """
    for where in (1, 2) if output.dim() == 3 else ():
        found = origin_of(output, (where,), leaves)
        if found is None or found.parted or found.dims not in ((), (2, 3)) or len(found.grid) != 2:
            continue
        rows, columns = found.grid
        after = output.shape[where] - found.first - rows * columns
        if lies_over((rows, columns), image) and (where == 1 or found.first == after == 0):
            return [Tokens((rows, columns), found.first, after) if where == 1 else PatchesLast((rows, columns))]
    return options


def leaves_of(survey: Survey) -> list[Tensor]:
    """The inputs of both sides."""
    return [leaf for side in survey.leaves for leaf in side]


def _grids(survey: Survey, image: Grid) -> set[Grid]:
    """The grids of convolutions, such as the one that makes the patches."""
    return {
        (int(u.outputs[-1].shape[2]), int(u.outputs[-1].shape[3]))
        for m, u in survey.usage.items()
        if isinstance(m, nn.Conv2d) and u.outputs and u.outputs[-1].dim() == 4
    }


def has_odd_grid(survey: Survey, image: Grid | None) -> bool:
    """Whether some convolution has a grid that lies over an image, and not in its proportions."""
    return image is not None and any(prod(grid) > 1 and not lies_over(grid, image) for grid in _grids(survey, image))


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


def all_pass(survey: Survey, root: nn.Module, module: nn.Module) -> bool:
    """Whether all that the root's output knows of the inputs passes the module's output; of a root that returns several
    tensors, all that the score knows.
    """
    alone = root in survey.usage and survey.usage[root].alone
    ends = [o.grad_fn for o in survey.usage[root].outputs] if alone else []
    ends = ends or ([survey.value.grad_fn] if survey.value is not None else [])
    stops = {o.grad_fn for o in survey.usage[module].outputs}
    sides = [side for side in (0, 1) if survey.serves(root, side)] or [0, 1]  # what another tower reads goes past it
    leaves = {id(leaf) for side in sides for leaf in survey.leaves[side]}
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


def in_attention(root: nn.Module, module: nn.Module) -> bool:
    return any(
        ATTENTION.search(type(around).__name__) and any(inner is module for inner in around.modules())
        for around in root.modules()
        if around is not root
    )


def tied(survey: Survey, module: nn.Module, layout: KnownLayout, halves: Callable[[], Moved]) -> bool:
    """Whether tokens are cells of the image, as grids of four dimensions are; neither is where the image was turned
    first, unless cells move with their own half.

    By chance, as of latents, a correlation is about one through the root of their number: twice that is asked of each
    half.
    """
    output, leaves = survey.usage[module].outputs[-1], leaves_of(survey)
    if isinstance(layout, Tokens | PatchesLast):
        found = origin_of(output, (1 if isinstance(layout, Tokens) else 2,), leaves)
        if found is not None and (found.dims or found.parted):
            return layout in traced(output, leaves, [], (found.grid[0], found.grid[-1]))
    if (_cells(survey, module, layout) and not turned(output, leaves)) or (moved := halves().get(module)) is None:
        return True
    count = layout(output.detach()).shape[2:].numel()
    asked: float = min(0.85, 2 / (count - 1) ** 0.5)
    return follows(moved, layout) > asked


def _cells(survey: Survey, module: nn.Module, layout: KnownLayout) -> bool:
    """Whether an output is the grid of a convolution, or tokens that hand on one."""
    output = survey.usage[module].outputs[-1]
    if not isinstance(layout, Tokens | PatchesLast):
        return True
    rows, columns = layout(output.detach()).shape[2:]
    return _handed_on(output, (rows, columns))


def _handed_on(output: Tensor, grid: Grid) -> bool:
    """Whether sums, norms and the like, which leave each token in its place, hand on a convolution's cells."""
    seen, waiting = set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or not _KEEPS_PLACES.match(type(node).__name__):
            continue
        seen.add(node)
        before = [following for following, _ in node.next_functions]
        sizes = getattr(node, "_saved_self_sym_sizes", (0, 0, 0))  # of what a view was made of
        if len(sizes) == 4 and tuple(sizes[2:]) == grid and type(before[0]).__name__.startswith("Convolution"):
            return True
        waiting += before if len(sizes) == 3 else []
    return False


def follows(moved: Tensor, layout: Callable[[Tensor], Tensor]) -> float:
    """How far cells move with the half that they lie in sooner than with another, the least of some correlations: 1
    where they move with nothing else, 0 where they know only their row or their column.
    """
    energies = torch.stack([layout(one).square().sum(1) for one in moved]).double()  # (halves, items, ...)
    shares = energies / energies.sum(0).clamp(min=1e-300)  # some cells move more than others whatever changes
    lie = halves_of(tuple(energies.shape[2:])).to(shares)[:, None]
    of_two = shares - shares.roll(1, 0), lie - lie.roll(1, 0)  # of each two halves
    found, known = (x.flatten(2) - x.flatten(2).mean(2, keepdim=True) for x in of_two)
    norms = (found.norm(dim=2) * known.norm(dim=2)).clamp(min=1e-300)
    return float(((found * known).sum(2) / norms).mean(1).min())


def _why(survey: Survey, module: nn.Module, layout: KnownLayout, passed: PassedBy) -> str:
    shape = survey.usage[module].outputs[-1].shape
    return f"{described(layout, shape)}; the last place where cells stand apart and reach the score{passed}"
