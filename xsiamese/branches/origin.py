"""Which dimensions of an input the places of an output lie along, as its graph tells: none is guessed by its size."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

_NAME = re.compile(r"(\w+?)(?:Backward\d*)?$")
# what leaves each place where it is
_KEEPS = re.compile(
    r"(Add|Sub|Rsub|Mul|Div|Where|MaskedFill|IndexPut|Pow|Neg|Abs|Exp|Expm1|Log|Log1P|Log2"
    r"|Log10|Sqrt|Rsqrt|Reciprocal|Sin|Cos|Erf"
    r"|Clamp\w*|Maximum|Minimum|Relu|LeakyRelu|Elu|Selu|Celu|Gelu|Silu|Mish|Tanh|Sigmoid|Softplus|Hard\w+|PreluKernel"
    r"|\w*LayerNorm|\w*GroupNorm|\w*BatchNorm|FusedRmsNorm|Expand|Clone|Alias|ToCopy"
    r"|NativeDropout|CopySlices|AsStrided)"
)
_RESCALES = re.compile(r"\w*Pool[123]D\w*|Upsample\w+")
_PADS = re.compile(r"\w*Pad\w*")
_CONVOLVES = re.compile(r"\w*Convolution\w*")
_VIEWS = re.compile(r"View|UnsafeView|ReshapeAlias|Unsqueeze|Squeeze")
_MOST_CUT = 4  # of what comes between a place and the input at the most a fourth may be cut off at its ends


class Origin(NamedTuple):
    """Where the places of an output come from.

    Attributes:
        dims: the dimensions of the leaf that they lie along; () where the graph loses them behind a convolution.
        first: how many tokens come before them.
        grid: how many they are along each of these dimensions, the last of which runs fastest among tokens.
        parted: whether tokens that are none of them stand between them, so that none of this tells where one lies.
    """

    dims: tuple[int, ...]
    first: int
    grid: tuple[int, ...]
    parted: bool = False


class _At(NamedTuple):
    """A node of the graph with the shape of what it gave, the dimensions of that which hold the places, and which of
    the output's tokens they are; ``fixed`` once they are no longer as many as there. What was put behind other tokens
    tells only of its ``own``, from one of the output's on, up to another.
    """

    node: Any
    shape: tuple[int, ...]
    where: tuple[int, ...]
    first: int
    grid: tuple[int, ...]
    fixed: bool
    own: tuple[int, int]


def origin_of(output: Tensor, where: Sequence[int], leaves: Collection[Tensor]) -> Origin | None:
    """Where the places of an output come from, followed through sums, norms, linear layers, convolutions, views and the
    like; None if nothing hands them on.

    Args:
        output: (N, ...).
        where: its dimensions that hold places.
        leaves: the inputs.

    Example:
        >>> import torch
        >>> x, layer = torch.ones(1, 4, 4, requires_grad=True), torch.nn.Linear(4, 4)
        >>> origin_of(torch.cat([torch.zeros(1, 1, 4), layer(x).tanh()], 1), [1], [x])
        Origin(dims=(1,), first=1, grid=(4,), parted=False)
        >>> origin_of(layer(x.mT), [1], [x]), origin_of(layer(x), [2], [x])
        (Origin(dims=(2,), first=0, grid=(4,), parted=False), None)
        >>> patches = torch.nn.Conv2d(1, 2, 2, 2)(x.mT[:, None]).flatten(2).mT
        >>> origin_of(patches, [1], [x])
        Origin(dims=(2, 1), first=0, grid=(2, 2), parted=False)
    """
    own, rows = {id(leaf) for leaf in leaves}, len(output)
    grid = tuple(int(output.shape[i]) for i in where)
    many = prod(grid)
    waiting = [_At(output.grad_fn, tuple(output.shape), tuple(where), 0, grid, len(where) > 1, (0, many))]
    seen, lost, parts = set[_At](), dict[bool, Origin](), defaultdict[Origin, set[int]](set)
    while waiting:
        at = waiting.pop()
        if at.node is None or at in seen:
            continue
        seen.add(at)
        inside = at.first >= 0 and at.first + prod(at.grid) <= many
        whole = at.first >= at.own[0] and at.first + prod(at.grid) <= at.own[1]
        if id(getattr(at.node, "variable", None)) in own:
            found = Origin(at.where, at.first, at.grid)
            if (inside or at.own != (0, many)) and all(at.where) and len(at.where) == len(at.grid):
                last = at.first + prod(at.grid)
                parts[found].update(range(max(at.first, at.own[0]), min(last, at.own[1])))
                if inside and len(parts[found]) == prod(at.grid):  # each place was met, in one piece or in several
                    return found
            continue
        name = _NAME.match(type(at.node).__name__)
        if name is None:
            continue
        if inside and _CONVOLVES.fullmatch(name[1]) and min(at.where) > 1:
            lost.setdefault(whole, Origin((), at.first, at.grid, parted=not whole))
        if name[1] != "Bmm" or not _reaches(at.node.next_functions[1][0], own):  # weights, or what attends
            waiting += _before(at, name[1], rows)
    parted = next((one._replace(parted=True) for one, places in parts.items() if places), None)
    return parted or lost.get(True) or lost.get(False)


def _reaches(node: Any, own: Collection[int]) -> bool:
    """Whether a node is made of a leaf."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.add(one)
        if id(getattr(one, "variable", None)) in own:
            return True
        waiting += [before for before, _ in one.next_functions]
    return False


def _before(at: _At, name: str, rows: int) -> Iterator[_At]:
    """What a node was given, where places are."""
    node, where = at.node, at.where
    before = [(one, tuple(one._input_metadata[i].shape) if one else ()) for one, i in node.next_functions]
    one, shape = before[0] if before else (None, ())
    dim = _dim(node, len(shape)) if name in ("Slice", "Select", "Split", "SplitWithSizes", "Unbind", "Glu") else -1
    if name in ("Transpose", "T"):
        swapped = [_dim(node, len(shape), f"_saved_dim{i}", i) for i in (0, 1)]
        order = {swapped[0]: swapped[1], swapped[1]: swapped[0]}
        yield at._replace(node=one, shape=shape, where=tuple(order.get(i, i) for i in where))
    elif name == "Permute":
        yield at._replace(node=one, shape=shape, where=tuple(_signed(node._saved_dims[i]) % len(shape) for i in where))
    elif _VIEWS.fullmatch(name):
        yield from _viewed(at, one, shape, rows)
        while one is not None and (inner := _NAME.match(type(one).__name__)) and _VIEWS.fullmatch(inner[1]):
            (one, i), *_ = one.next_functions  # of a view of a view the ends may tell more
            shape = tuple(one._input_metadata[i].shape)
            yield from _viewed(at, one, shape, rows)
    elif name == "Cat":
        yield from _joined(at, before)
    elif name == "Stack":
        along = _dim(node, len(at.shape))
        if along not in where:
            moved = tuple(i - (i > along) for i in where)
            yield from (at._replace(node=part, shape=of, where=moved) for part, of in before)
    elif name in ("Select", "Unbind"):
        yield at._replace(node=one, shape=shape, where=tuple(i + (i >= dim) for i in where))
    elif name == "Slice":
        yield from _cut(at, one, shape, dim)
    elif name in ("Split", "SplitWithSizes", "Glu"):
        if dim not in where:
            yield at._replace(node=one, shape=shape)
    elif _CONVOLVES.fullmatch(name) or _RESCALES.fullmatch(name) or _PADS.fullmatch(name):
        same = len(shape) == len(at.shape) and [shape[i] for i in where] == [at.shape[i] for i in where]
        convolved = bool(_CONVOLVES.fullmatch(name))
        if len(shape) == len(at.shape) and (min(where) > 1 or _PADS.fullmatch(name)):
            yield at._replace(node=one, shape=shape, fixed=at.fixed or convolved or not same)
    elif name == "Unfold":
        if len(shape) not in where:
            along = _dim(node, len(shape), "_saved_dimension")
            yield at._replace(node=one, shape=shape, fixed=at.fixed or along in where)
    elif name == "Im2Col" and where == (2,):
        yield from _unfolded(at, one, shape)
    elif name in ("Addmm", "Mm"):
        part, of = before[1 if name == "Addmm" else 0]
        if where == (0,):  # what is weighed is the last dimension
            yield at._replace(node=part, shape=of)
    elif name == "Bmm":
        if 2 not in where:
            yield at._replace(node=one, shape=shape)
    elif _KEEPS.fullmatch(name):
        for part, of in before:
            less = len(at.shape) - len(of)  # what has fewer dimensions is spread over the first ones
            moved = tuple(i - less for i in where)
            if part is not None and min(moved) >= 0 and [of[i] for i in moved] == [at.shape[i] for i in where]:
                yield at._replace(node=part, shape=of, where=moved)


def _dim(node: Any, dims: int, key: str = "_saved_dim", default: int = 0) -> int:
    """A dimension that a node keeps, which counts from the end where it is negative."""
    return _signed(getattr(node, key, default)) % max(dims, 1)


def _signed(number: int) -> int:
    """A number that a node keeps without its sign."""
    return number if number < 2**63 else number - 2**64


def _viewed(at: _At, one: Any, before: tuple[int, ...], rows: int) -> Iterator[_At]:
    """Places before a view: dimensions are one, or parts of one, where as many numbers lie behind each other."""
    left, right = ([i for i, n in enumerate(shape) if n != 1] for shape in (at.shape, before))
    came, settled = dict[int, list[int]](), at.fixed
    while left and right:
        outs, ins = [left.pop(0)], [right.pop(0)]
        while (p := prod(at.shape[i] for i in outs)) != (q := prod(before[i] for i in ins)):
            if not (left if p < q else right):
                return
            (outs if p < q else ins).append((left if p < q else right).pop(0))
        here = [i for i in at.where if i in outs]
        if not here:
            continue
        if outs == [0] and rows > 1 and len(ins) > 1:  # rows of all items, one after the other
            came[0] = ins[1:] if before[ins[0]] == rows else []
        elif here == outs or (outs[0] == 0 and here == outs[1:] and ins == [0]):
            came[here[0]] = ins
        elif here == outs[:1] and not max(n := at.shape[here[0]], m := before[ins[0]]) % min(n, m):
            # each place is of several that lie behind each other, or several are of one
            came[here[0]], settled = ins[:1], True
        else:
            return
    found = [i for place in at.where for i in came.get(place, [])]
    grid = at.grid if len(found) <= len(at.grid) else tuple(before[i] for i in found)
    if found and prod(grid) == prod(at.grid):
        yield at._replace(node=one, shape=before, where=tuple(found), grid=grid, fixed=settled or len(found) > 1)


def _joined(at: _At, before: Sequence[tuple[Any, tuple[int, ...]]]) -> Iterator[_At]:
    """Places among those that were put behind each other."""
    dim = _dim(at.node, len(at.shape))
    if dim not in at.where:
        yield from (at._replace(node=one, shape=shape) for one, shape in before)
        return
    most = max((shape[dim] for one, shape in before if one is not None), default=0)
    # how long what has no gradient is, as a frozen class token, no shape tells: where numbers come back to does
    numbers = torch.arange(at.shape[dim], dtype=torch.float64).view(-1, *[1] * (len(at.shape) - dim - 1))
    with torch.no_grad():
        parts = at.node(numbers.expand(at.shape))
    for (one, shape), part in zip(before, [parts] if isinstance(parts, Tensor) else parts, strict=True):
        if one is None or not part.numel():
            continue
        if at.fixed:
            if shape[dim] == most:
                yield at._replace(node=one, shape=shape)
            continue
        start = at.first + int(part.flatten()[0])
        own = max(start, at.own[0]), min(start + shape[dim], at.own[1])
        if own[0] < own[1]:
            yield at._replace(node=one, shape=shape, first=start, grid=(shape[dim],), own=own)


def _cut(at: _At, one: Any, before: tuple[int, ...], dim: int) -> Iterator[_At]:
    """Places among more that were cut off."""
    if dim not in at.where:
        yield at._replace(node=one, shape=before)
    elif at.node._saved_step != 1:
        yield at._replace(node=one, shape=before, fixed=True)
    elif at.fixed:
        if (before[dim] - at.shape[dim]) * _MOST_CUT <= before[dim]:
            yield at._replace(node=one, shape=before)
    else:
        start = _dim(at.node, before[dim], "_saved_start")
        yield at._replace(node=one, shape=before, first=at.first - start, grid=(before[dim],))


def _unfolded(at: _At, one: Any, before: tuple[int, ...]) -> Iterator[_At]:
    """Places of patches that were laid behind each other."""
    node = at.node
    each = zip(
        before[2:], node._saved_kernel_size, node._saved_dilation, node._saved_padding, node._saved_stride, strict=True
    )
    grid = tuple((n + 2 * pad - dilation * (size - 1) - 1) // step + 1 for n, size, dilation, pad, step in each)
    if prod(grid) == at.grid[0]:
        yield at._replace(node=one, shape=before, where=(2, 3), grid=grid, fixed=True)
