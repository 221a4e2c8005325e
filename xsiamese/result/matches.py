r"""The strongest cells of a product :math:`L R^\top` and those that are each other's best, from its factors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CELLS = 2**24  # the most numbers of a matrix that is formed to assign its rows to its columns
BLOCK = 1024  # rows and columns of one block of a search
FIRST, MOST = 2**10, 2**19  # strongest cells among which matches are looked for before all cells are


def strongest(left: Tensor, right: Tensor, k: int, sign: int) -> Tensor:
    r"""The k largest cells as (row, column), shape (k, 2), the largest first.

    Blocks in which no value can be large enough, by :math:`|A_{ij}| \le |l_i| |r_j|`, are never made.

    Args:
        left: shape (n, r).
        right: shape (m, r).
        k: how many.
        sign: 1 for the largest, -1 for the smallest, 0 for the largest by size; cells of the other sign are left out.
    """
    (size_a, order_a), (size_b, order_b) = (factor.norm(dim=1).sort(descending=True) for factor in (left, right))
    blocks = [(i, j) for i in range(0, len(left), BLOCK) for j in range(0, len(right), BLOCK)]
    blocks.sort(key=lambda at: -float(size_a[at[0]] * size_b[at[1]]))
    best, places = left.new_zeros(0), torch.zeros(0, 2, dtype=torch.long, device=left.device)
    for i, j in blocks:
        if len(best) == k and float(size_a[i] * size_b[j]) <= float(best[-1]):
            break  # blocks come by their bounds: no later one can hold more either
        rows, columns = order_a[i : i + BLOCK], order_b[j : j + BLOCK]
        found = _signed(left[rows] @ right[columns].T, sign).flatten()
        chosen = found.topk(min(k, len(found))).indices
        # the flat number of a cell of the block is row * columns + column
        here = torch.stack([rows[chosen // len(columns)], columns[chosen % len(columns)]], 1)
        best, places = torch.cat([best, found[chosen]]), torch.cat([places, here])
        kept = best.argsort(descending=True, stable=True)[:k]
        best, places = best[kept], places[kept]
    return places[best > 0] if sign else places


def mutual(left: Tensor, right: Tensor, sign: int, k: int | None = None) -> Tensor:
    """The k largest of the cells (row, column) that are the largest of their row and of their column, the largest
    first; all of them, in any order, if k is None. Shape (matches, 2).

    From the largest cell on, a cell is such a one if neither its row nor its column was met before: so that few of the
    cells must be looked at for few matches.
    """
    looked = FIRST
    while k is not None and looked <= MOST:
        cells = strongest(left, right, looked, sign)
        found = _first_of_both(cells)
        if len(found) >= k or len(cells) < looked:
            return found[:k]
        looked *= 8
    return _all_mutual(left, right, sign)


def _first_of_both(cells: Tensor) -> Tensor:
    """Those of some cells, in their order, whose row and whose column no earlier one has."""
    rows, columns, found = set(), set(), []
    for i, j in cells.tolist():
        if i not in rows and j not in columns:
            found.append((i, j))
        rows.add(i)
        columns.add(j)
    return torch.tensor(found, dtype=torch.long, device=cells.device).reshape(-1, 2)


def _all_mutual(left: Tensor, right: Tensor, sign: int) -> Tensor:
    """All such cells; in memory for one block of rows."""
    best = left.new_full((len(right),), -math.inf)
    row_of, column_of = torch.zeros_like(best, dtype=torch.long), []
    for start in range(0, len(left), BLOCK):
        found = _signed(left[start : start + BLOCK] @ right.T, sign)
        column_of.append(found.argmax(1))
        here = found.max(0)
        row_of = torch.where(here.values > best, here.indices + start, row_of)
        best = torch.maximum(best, here.values)
    columns = torch.cat(column_of)
    rows = torch.arange(len(columns), device=columns.device)
    return torch.stack([rows, columns], 1)[row_of[columns] == rows]


def assigned(left: Tensor, right: Tensor, sign: int) -> Tensor:
    """A partner of its own for each row or column, whichever are fewer, such that the sum is largest, shape
    (partners, 2).

    Raises:
        ImportError: if scipy is not installed.
        ValueError: if the matrix is too large to be formed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError("to assign parts to parts needs scipy: pip install scipy") from error
    if len(left) * len(right) > CELLS:
        raise ValueError(f"{len(left)} x {len(right)} parts are too many to assign: pool() them first")
    whole = _signed(left @ right.T, sign).detach().cpu().double()
    rows, columns = linear_sum_assignment(whole.numpy(), maximize=True)
    return torch.stack([torch.as_tensor(rows), torch.as_tensor(columns)], 1).to(left.device)


def _signed(values: Tensor, sign: int) -> Tensor:
    return values * sign if sign else values.abs()
