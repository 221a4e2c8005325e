"""Where the places of items lie, asked by changing halves of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import nn

from xsiamese.branches.along import Lies
from xsiamese.branches.calls import Survey, survey
from xsiamese.branches.layout import ChannelsFirst, ChannelsLast, Grid
from xsiamese.branches.probe import Moved, halves_of, tied
from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.side import Side
from xsiamese.pairs.pairs import Pairs

Axes = tuple[int, ...]
# a series may also be (pairs, times), or what it is not: items whose places come before their features; and of each
# (pairs, ., .) both may be places, as of spectrograms
_ALONG: dict[tuple[str, int], tuple[Axes, ...]] = {
    ("series", 3): ((2,), (1,), (1, 2)), ("series", 2): ((1,),), ("text", 3): ((1,), (1, 2)), ("row", 2): ((1,),),
    ("image", 3): ((1, 2),), ("image", 4): ((2, 3),), ("volume", 5): ((2, 3, 4),),
}  # fmt: skip


Halves = Callable[[tuple[Axes | None, ...]], Moved]


def halves_by(few: Pairs, seen: Survey) -> Halves:
    """What :func:`halves_along` finds, once for each dimensions."""
    return cache(partial(halves_along, few, seen))


def lies_of(few: Pairs, by: Halves) -> tuple[Lies, Lies]:
    """Where the places of either side's items lie."""
    sides = (few.a, few.b)
    along = tuple(_along(side) for side in sides)

    def halves(number: int) -> Moved:
        return by(tuple(axes[number] if number < len(axes) else None for axes in along))

    first, second = (
        Lies(kind(side.kind).three, axes, tuple(side.leaves[0].shape), halves)
        for side, axes in zip(sides, along, strict=True)
    )
    return first, second


def image_of(side: Side) -> Grid | None:
    """Height and width of a side's images; None for a side of another kind."""
    shown = side.leaves[0]
    return (int(shown.shape[2]), int(shown.shape[3])) if shown.dim() == 4 and shown.is_floating_point() else None


def halves_of_images(few: Pairs, by: Halves) -> Moved:
    """What the outputs of modules change by where each of three halves of the images changes, shape (3, items, ...)."""
    return by(tuple(None if image_of(side) is None else (2, 3) for side in (few.a, few.b)))


def halves_along(few: Pairs, seen: Survey, axes: Sequence[Axes | None]) -> Moved:
    """What the outputs of modules change by where each of some halves of the items changes, shape (halves, items, ...).

    Args:
        few: some pairs.
        seen: how the model uses its modules on them.
        axes: for each side the dimensions that the halves lie along; None leaves it as it is.
    """
    changed, of_each = [], max(len(halves_of([2] * len(along))) for along in axes if along)
    for leaf, (side, _) in zip(few.moved, (few.place(i) for i in range(len(few.moved))), strict=True):
        along, start, shown = axes[side is few.b], leaf.detach(), side.leaves[0]
        if along is None or leaf.shape != shown.shape:
            changed.append([start] * of_each)
            continue
        # not even, or a normalisation would take it away
        stripes = torch.arange(leaf.numel(), device=leaf.device).cos().reshape(leaf.shape).to(leaf)
        sizes = [leaf.shape[i] if i in along else 1 for i in range(leaf.dim())]
        parts = halves_of([leaf.shape[i] for i in along]).to(start).reshape(of_each, *sizes)
        changed.append([start + 3 * start.std() * stripes * half for half in parts])
    with torch.no_grad():
        runs = [
            survey(partial(few.value, *leaves), [*seen.usage], ((), ()), few.pairs)
            for leaves in zip(*changed, strict=True)
        ]
    found = {}
    for module, usage in seen.usage.items():
        others = [one.usage[module].outputs for one in runs if module in one.usage]
        # what is of neither side is not among those that were seen
        calls = [usage.outputs, *([o for i, o in enumerate(of) if i not in usage.of_neither] for of in others)]
        shapes = {output.shape for output in usage.outputs}
        alike = len(calls) == 1 + of_each and len({shape[1:] for shape in shapes}) == 1
        if alike and usage.outputs[0].is_floating_point():
            before, *after = (torch.cat(outputs).detach() for outputs in calls)
            if all(moved.shape == before.shape for moved in after):  # not of experts, which get other rows
                found[module] = torch.stack([moved - before for moved in after])
    return found


def warn_turned(few: Pairs, seen: Survey, layers: Sequence[tuple[nn.Module, nn.Module]], names: Sequence[str]) -> None:
    """Says so if a layer that the user named gives a grid over an image that the model turned first. How the model was
    seen at work tells it; only where something is turned is it asked whether the places lie elsewhere.

    Args:
        few: some pairs.
        seen: how the model uses its modules on them.
        layers: of a and of b.
        names: what they are called.
    """
    changed, layouts = partial(halves_of_images, few, halves_by(few, seen)), (ChannelsFirst(), ChannelsLast())
    for pair, name in zip(layers, names, strict=True):
        for module, side in zip(pair, (few.a, few.b), strict=True):
            grids = [output.dim() == 4 for output in seen.usage[module].outputs] if module in seen.usage else []
            # of more calls than sides some are of other views, as of a mirrored one, which calls= tells apart
            on_grid = image_of(side) and 0 < len(grids) <= 2 and all(grids)
            if on_grid and not any(tied(seen, module, layout, changed) for layout in layouts):
                warnings.warn(
                    f"the model turns its input (transpose, permute or flip) before {name!r}, whose places do not lie "
                    "as those of the input: a map of it is one of the turned image; give that, turned outside of the "
                    "model, or explain the inputs",
                    stacklevel=2,
                )
                break


def _along(side: Side) -> tuple[Axes, ...]:
    shown = side.leaves[0]
    return _ALONG.get((side.kind, shown.dim()), ()) if shown.is_floating_point() and not side.still else ()
