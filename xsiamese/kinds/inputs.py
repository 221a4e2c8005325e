"""The two inputs that a user gives, as two checked sides, and the baselines that they start from."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xsiamese.door.arguments import shown
from xsiamese.kinds.catalogue import kinds
from xsiamese.kinds.catalogue import side as side
from xsiamese.kinds.dense import all_finite
from xsiamese.kinds.kind import Kind
from xsiamese.kinds.pool import Pool
from xsiamese.kinds.side import SIDES, Leaves, Side

Kinds = str | Kind | tuple[str | Kind | None, str | Kind | None] | None

FROM_PAIRS = "a list of pairs becomes two sides by tuple(map(torch.stack, zip(*pairs)))"


def two_items(inputs: Any) -> Any:
    """The two inputs that an object holds: the values of a mapping, the graphs of a ``PairData``; anything else as it
    is.
    """
    if isinstance(inputs, (tuple, list, Tensor)):
        return inputs
    if isinstance(inputs, Mapping):
        return tuple(inputs.values())
    found = (kind.two(inputs) for kind in kinds().values())
    return next((two for two in found if two is not None), inputs)


def refuse_unsplit(inputs: Any, target: Any = None) -> None:
    """Refuses what would be taken for the two sides in silence, texts pair by pair and what a tokenizer made of texts,
    and a b that was given as the target.

    Raises:
        TypeError: with what to give.
    """
    if target is not None and (isinstance(inputs, Tensor) or _an_input(target)):
        raise TypeError(
            f"the two sides are one argument, ((a, b)), and the second one is the target: got {shown(inputs)} and "
            f"target={shown(target)}"
        )
    if isinstance(inputs, Mapping) and "input_ids" in inputs and "pixel_values" not in inputs:
        raise TypeError(
            f"inputs are what a tokenizer made of texts ({', '.join(map(str, inputs))}), of one side or of both "
            "joined: give the two sides, (of a, of b)"
        )
    if isinstance(inputs, list) and len(inputs) in (2, 3) and all(map(_two_texts, inputs)):
        raise TypeError(
            f"inputs are a list of {len(inputs)} times two texts, which may be pairs or sides: give a tuple of sides, "
            "(texts of a, texts of b); tuple(zip(*pairs)) makes it of pairs"
        )


def _an_input(target: Any) -> bool:
    """Whether a target is an input: no index, no list of them, and no function."""
    if isinstance(target, Tensor):
        return target.is_floating_point() or target.dim() > 1
    if isinstance(target, (list, tuple)):
        return any(isinstance(one, (str, Tensor)) for one in target)
    return hasattr(target, "edge_index")


def _two_texts(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and len(item) == 2 and all(isinstance(text, str) for text in item)


def how_given(inputs: Any) -> tuple[str, str] | Callable[[Any, Any], Any] | None:
    """How a model of one argument gets the two inputs again as it was given them: keys of a dictionary, or what joins
    them.
    """
    if isinstance(inputs, (tuple, list, Tensor)):
        return None
    if isinstance(inputs, Mapping):
        first, *rest = inputs
        return (first, rest[0]) if len(rest) == 1 else None
    found = (kind.joined(inputs) for kind in kinds().values())
    return next((join for join in found if join is not None), None)


def two_sides(
    inputs: Any,
    parts: Sequence[str] | None = None,
    default: Sequence[str] = ("nodes",),
    moving: bool = True,
    kind: Kinds = None,
) -> tuple[Side, Side]:
    """The two sides of ``inputs``, checked: one batch size, not empty, every number finite.

    Args:
        inputs: the pairs.
        parts: what of a graph is explained, see :class:`xsiamese.kinds.graphs.side.GraphSide`; ``default`` if the user
            does not say.
        moving: whether the parts' values are to be moved, which whole numbers cannot be.
        kind: the kind of input, or (of a, of b), where the items do not show it.

    Raises:
        TypeError: if they are not two inputs, or not tensors.
        ValueError: if a batch is empty, the batches differ, or a value is NaN or infinite.
    """
    items = two_items(inputs)
    if isinstance(items, Tensor) or not isinstance(items, (tuple, list)) or len(items) != 2:
        what = f"a tensor of shape {tuple(items.shape)}" if isinstance(items, Tensor) else f"a {type(inputs).__name__}"
        of_three = isinstance(items, (tuple, list)) and len(items) == 3
        hint = "; a triplet (a, p, n) is for explain, which gives s(a, p) - s(a, n)" if of_three else ""
        listed = isinstance(items, (tuple, list)) and items
        if listed and all(isinstance(one, (tuple, list)) and len(one) == 2 for one in items):
            hint = f"; {FROM_PAIRS}, or torch.cat of batches"
        raise TypeError(f"inputs must be the two sides of the pairs, (a, b); got {what}{hint}")
    said = kind if isinstance(kind, tuple) else (kind, kind)
    if len(said) != 2:
        raise ValueError(f"kind={kind!r}: one kind, or a pair (of a, of b), is needed")
    a, b = (
        side(item, name, of).explaining(parts, name, default, moving)
        for item, name, of in zip(items, SIDES, said, strict=True)
    )
    if a.pairs != b.pairs:
        raise ValueError(
            f"a holds {a.pairs} items (shape {tuple(a.leaves[0].shape)}) and b holds {b.pairs} (shape "
            f"{tuple(b.leaves[0].shape)}): "
            "a pair needs one of each; repeat the shorter one with .expand or .repeat_interleave"
        )
    return a, b.beside(a)


def without_missing(baselines: Any, a: Side, b: Side) -> tuple[Side, Side, Any]:
    """Both sides with what comes in place of a missing token or column, where their own numbers cannot move, and the
    baselines that are left.
    """
    if not (a.still or b.still):
        return a, b, baselines
    if baselines == "partner" if isinstance(baselines, str) else False:
        raise ValueError("baselines='partner': the tokens of two texts have no common order; give ids, (of a, of b)")
    each = baselines if isinstance(baselines, (tuple, list)) and len(baselines) == 2 else (baselines, baselines)
    (first, of_a), (second, of_b) = (
        one.missing(value, name) for one, value, name in zip((a, b), each, SIDES, strict=True)
    )
    return first, second, (of_a, of_b)


def with_background(baselines: Any, a: Side, b: Side, background: Sequence[float] | None) -> Any:
    """The baselines, with an image of the background's colour where they say "background"; a side beside it that is no
    image gets None.

    Raises:
        ValueError: if the background is not known, has another number of channels, or there is no image.
    """
    if not _named(baselines, "background"):
        return baselines
    both = not isinstance(baselines, (tuple, list))
    each = (baselines, baselines) if both else tuple(baselines)
    sides = (a, b)
    asked = [one for value, one in zip(each, sides, strict=False) if _named(value, "background")]
    images = [one for one in asked if one.kind == "image"]
    if not images or (not both and len(images) < len(asked)):
        raise ValueError(f"baselines='background' is for images, and these are of the kinds {a.kind} and {b.kind}")
    if background is None:
        raise ValueError(
            "baselines='background': nothing says what the images of this model hold where they show nothing; set "
            "model.background, a value for each channel (-mean / std of what normalises them is black), or give a "
            "number"
        )
    return tuple(
        _image_of(background, one, name) if one in images else None if both else value
        for value, one, name in zip(each, sides, SIDES, strict=False)
    )


def with_typical(baselines: Any, a: Side, b: Side, typical: Tensor | None) -> Any:
    """The baselines, with the rows that the model was trained on where they say "typical".

    Raises:
        ValueError: if these are not known, have other columns, or the inputs are no rows.
    """
    if not _named(baselines, "typical"):
        return baselines
    if not isinstance(baselines, str) or {a.kind, b.kind} != {"row"}:
        raise ValueError(
            f"baselines='typical' is for rows on both sides, and these are of the kinds {a.kind} and {b.kind}: give a "
            "Pool of items of your own"
        )
    if typical is None:
        raise ValueError(
            "baselines='typical': nothing says what rows this model was trained on; set model.typical, some rows as it "
            "takes them, or give a Pool of rows"
        )
    for name, leaf in (("a", a.leaves[0]), ("b", b.leaves[0])):
        if typical.dim() != 2 or typical.shape[1:] != leaf.shape[1:]:
            raise ValueError(
                f"baselines='typical': model.typical has shape {tuple(typical.shape)} and input {name} "
                f"{tuple(leaf.shape)}: rows of as many columns are needed"
            )
    return Pool(typical.to(a.leaves[0]), most=len(typical))


def _image_of(background: Sequence[float], like: Side, name: str) -> Tensor:
    """One image of the background's colour, shape (1, channels, height, width)."""
    leaf = like.leaves[0]
    if leaf.shape[1] != len(background):
        raise ValueError(
            f"baselines='background': the background has {len(background)} channels and input {name} {leaf.shape[1]}: "
            "set model.background"
        )
    return leaf.new_tensor(background)[None, :, None, None].expand(1, *leaf.shape[1:])


def _named(baselines: Any, name: str) -> bool:
    """Whether baselines, or one of a pair of them, are these by name."""
    each = baselines if isinstance(baselines, (tuple, list)) else (baselines,)
    return any(isinstance(one, str) and one == name for one in each)


def baseline_leaves(baselines: Any, a: Side, b: Side, *, distribution: bool = False) -> tuple[Leaves, Leaves]:
    """One baseline tensor for each leaf of each side.

    Args:
        baselines: None (zeros), a number, "partner" (the other side's own values), or a pair of baselines, each None, a
            number, a tensor of one row or one row a pair, or a tuple of those for a side of several tensors.
        distribution: whether a tensor holds samples to draw from, any number of rows, rather than one row a pair.
    """
    if isinstance(baselines, str):
        if baselines != "partner":
            raise ValueError(
                f"baselines={baselines!r}: a number, a Pool, a pair of tensors, 'partner', 'background' or 'typical' "
                "is needed"
            )
        if not (a.aligned and b.aligned):
            raise ValueError(
                "baselines='partner': the nodes of two graphs have no common order; give a number, or tensors (of a, "
                "of b)"
            )
        baselines = (b.leaves if len(b.leaves) > 1 else b.leaves[0], a.leaves if len(a.leaves) > 1 else a.leaves[0])
    if baselines is None or isinstance(baselines, (numbers.Number, Pool)):
        baselines = (baselines, baselines)
    if isinstance(baselines, Tensor) or not isinstance(baselines, (tuple, list)) or len(baselines) != 2:
        raise ValueError("baselines must be None, a number, a Pool, 'partner' or a pair (baseline of a, baseline of b)")
    if pooled(baselines):
        drawn = [len(one.drawn()[0]) if isinstance(one, Pool) else None for one in baselines]
        if len(set(drawn)) > 1:
            raise ValueError("both baselines must be Pools, which draw the same number of items, or neither")
        if not (a.aligned and b.aligned):
            raise ValueError("a Pool is for tensors: the nodes of graphs and the tokens of texts have no common order")
    return _baseline(baselines[0], a, "a", distribution), _baseline(baselines[1], b, "b", distribution)


def pooled(baselines: Any) -> bool:
    """Whether baselines are items to average over."""
    return any(isinstance(one, Pool) for one in (baselines if isinstance(baselines, (tuple, list)) else (baselines,)))


def _largest(dtype: torch.dtype) -> float:
    return 1 if dtype == torch.bool else torch.finfo(dtype).max if dtype.is_floating_point else torch.iinfo(dtype).max


def _baseline(value: Any, of: Side, name: str, distribution: bool) -> Leaves:
    if isinstance(value, Pool):
        value, distribution = value.drawn(), True
    values = (
        value if isinstance(value, (tuple, list)) else (value,) * (1 if isinstance(value, Tensor) else len(of.leaves))
    )
    if len(values) != len(of.leaves):
        raise ValueError(f"input {name} has {len(of.leaves)} tensors and its baseline {len(values)}")
    made = []
    for one, leaf in zip(values, of.leaves, strict=True):
        if not isinstance(one, Tensor):
            if one is not None and not abs(one) <= _largest(leaf.dtype):  # NaN is no less than anything
                raise ValueError(
                    f"the baseline of {name} is {one}, which {leaf.dtype} does not hold: a finite number is needed"
                )
            like = leaf[:1].expand(2, *leaf.shape[1:]) if distribution else leaf
            made.append(
                leaf.new_full((), 0 if one is None else one).expand_as(like)
            )  # takes no memory until it is used
            continue
        if one.shape[1:] != leaf.shape[1:] or not (distribution or one.shape[0] in (1, leaf.shape[0])):
            raise ValueError(
                f"the baseline of {name} has shape {tuple(one.shape)}: {tuple(leaf.shape)} or one row of it is needed"
            )
        if not all_finite(one := one.to(leaf)):
            raise ValueError(f"the baseline of {name}, shape {tuple(one.shape)}, holds NaN or infinite values")
        made.append(one if distribution else one.expand_as(leaf))
    return tuple(made)
