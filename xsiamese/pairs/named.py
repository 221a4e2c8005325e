"""How the output of a layer that the user named lies over an image or a volume: as its shape tells, its graph, or
halves that change.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import survey
from xsiamese.branches.layers import names_of
from xsiamese.branches.layout import ChannelsFirst, ChannelsLast, InGrid, KnownLayout, Layout, Turned, by_width, layouts
from xsiamese.branches.origin import origin_of
from xsiamese.branches.probe import ATTENTION, follows, leaves_of, tied, traced
from xsiamese.kinds.side import Side
from xsiamese.pairs.halves import halves_by, halves_of_images
from xsiamese.pairs.pairs import Pairs


def layout_of_named(batch: Pairs, side: Side, layer: nn.Module, activation: Tensor) -> Layout:
    """How the output of a layer that the user named lies; None where it does not, or where its kind tells.

    Where its shape does not tell it, as of tokens and in models of attention, which cut images into windows, one pair
    passes the model, up to four times where the graph does not tell it either: once for a layer and a shape.
    """
    item, shape = side.leaves[0], tuple(activation.shape)
    volume = item.dim() == 5
    if item.dim() not in (4, 5) or not item.is_floating_point() or len(shape) not in ((5,) if volume else (3, 4)):
        return None
    options = by_width(layer, shape, _in_volume(shape, item) if volume else layouts(shape, _image(item)))
    cuts = not volume and any(ATTENTION.search(type(module).__name__) for module in batch.model.modules())
    if len(options) == 1 and len(shape) > 3 and not cuts:
        return options[0]
    plans = batch.plans if batch.plans is not None else {}
    key = ("lies as", layer, shape[1:], tuple(item.shape[1:]))
    if key not in plans:
        with torch.enable_grad():  # the graph tells it, also for a caller in no_grad
            plans[key] = _asked(batch, layer, shape, item, options)
    found: Layout = plans[key]
    return found


def _image(item: Tensor) -> tuple[int, int]:
    return int(item.shape[2]), int(item.shape[3])


def _in_volume(shape: Sequence[int], item: Tensor) -> list[KnownLayout]:
    """The layouts of an output of five dimensions that has no more cells along any than the volume has."""
    fits = [all(n <= size for n, size in zip(shape[i : i + 3], item.shape[2:], strict=True)) for i in (2, 1)]
    both: tuple[KnownLayout, ...] = (ChannelsFirst(), ChannelsLast())
    return [one for one, fit in zip(both, fits, strict=True) if fit]


@dataclass(frozen=True)
class _Seen:
    """A layer at work on one pair.

    Attributes:
        name: what it is called.
        output: what it gave.
        item: a batch of items as the user gave them.
        inputs: those that it was made of.
        options: how it may lie by its shape.
        tied: whether it lies so, as the graph or halves that change tell.
        changed: what it changes by with each half of the item; None where that is not known.
    """

    name: str
    output: Tensor
    item: Tensor
    inputs: Sequence[Tensor]
    options: Sequence[KnownLayout]
    tied: Callable[[KnownLayout], bool]
    changed: Callable[[], Tensor | None]

    @property
    def likeliest(self) -> Layout:
        return self.options[0] if self.options else None


def _asked(batch: Pairs, layer: nn.Module, shape: Sequence[int], item: Tensor, options: list[KnownLayout]) -> Layout:
    """How the output lies, from watching the model at work on one pair."""
    few = next(replace(batch, wrt="both", create_graph=False, plans={}).split(1))
    moved = tuple(leaf.requires_grad_() for leaf in few.moved)
    seen = survey(lambda: few.value(*moved), [layer], (moved, ()), few.pairs)
    outputs = seen.usage[layer].outputs if layer in seen.usage else []
    output = next((one for one in outputs if tuple(one.shape[1:]) == tuple(shape[1:])), None)
    if output is None:
        return options[0] if options else None
    halves, name = partial(halves_of_images, few, halves_by(few, seen)), names_of(batch.model, [(layer, layer)])[0]
    one = _Seen(
        *(name, output, item, leaves_of(seen), options),
        lambda layout: tied(seen, layer, layout, halves),
        lambda: halves().get(layer),
    )
    return _of_tokens(one) if output.dim() == 3 else _of_grid(one)


def _of_grid(one: _Seen) -> Layout:
    """The layout of (N, C, ...) or (N, ..., C), which is none of windows that an image was cut into."""
    over, output = tuple(range(2, one.item.dim())), one.output
    both: tuple[KnownLayout, ...] = (ChannelsFirst(), ChannelsLast())
    for layout, where in zip(both, (over, tuple(i - 1 for i in over)), strict=True):
        found = origin_of(output, where, one.inputs)
        if found is not None and sorted(found.dims) == list(over):
            return layout
    if one.item.dim() == 5 or (changed := one.changed()) is None:
        return one.likeliest
    follow, best = max(((follows(changed, layout), layout) for layout in one.options or both), key=lambda pair: pair[0])
    count = best(output.detach()).shape[2:].numel()
    # what is of the image's proportions is believed, unless it moves as little with its own half as with another
    if follow > (0 if one.options else min(0.85, 2 / max(count - 1, 1) ** 0.5)):
        return best
    warnings.warn(
        f"layer {one.name!r} gives {tuple(output.shape)}, and no two of its dimensions are found to lie over the "
        f"image, as of cells that were cut into windows: its map is {output.shape[2]} x {output.shape[3]} of its own "
        "last dimensions, and no place of the image; name the layer around it, whose output is a grid, or say how it "
        "lies, layout=ChannelsFirst() or ChannelsLast()",
        stacklevel=2,
    )
    return None


def _of_tokens(one: _Seen) -> Layout:
    """The layout of (N, tokens, C) or (N, C, tokens), which is none where other tokens stand among the patches."""
    for where in (1, 2):
        found = origin_of(one.output, (where,), one.inputs)
        if found is not None and found.parted and len(found.grid) == 2:
            warnings.warn(
                f"the {one.output.shape[where]} tokens of layer {one.name!r} are no {found.grid[0]} x {found.grid[1]} "
                "grid of patches one after the other: others stand among them, or some are missing; its map is one of "
                "all tokens in their order; name a layer before they come in, or explain the inputs",
                stacklevel=2,
            )
            return None
    found = origin_of(one.output, (1,), one.inputs)
    if found is not None and found.dims == (3, 2):  # of a model that transposes its images, as one of spectrograms
        return Turned(InGrid(found.first, found.grid))
    known = traced(one.output, one.inputs, list(one.options), _image(one.item))
    return known[0] if known and one.tied(known[0]) else None
