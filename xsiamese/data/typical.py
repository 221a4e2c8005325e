"""Rows as a table usually has them, column by column: what a path starts from where no data are at hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ROWS = 16


def typical_rows(rows: Tensor, widths: Sequence[int] | None = None, count: int = ROWS, seed: int = 0) -> Tensor:
    r"""Rows with the same columns as ``rows``, each drawn by itself: a Latin hypercube (:cite:`mckay1979`).

    The k-th value of a column is its quantile at :math:`(\pi(k) + \tfrac12) / n`, with another order :math:`\pi` for
    each column, so that no row of the data is kept, and all of the columns' ranges are there.

    Args:
        rows: the data, shape (rows, features).
        widths: how many features each column is, where a category is one feature a value; one each if left out. The
            features of a column stay together; where they are numbers other than 0 and 1 it is their mean.
        count: how many rows.
        seed: of the orders.

    Returns:
        The rows, shape (count, features).

    Raises:
        ValueError: if there is no row, or the widths are of another number of features.

    Example:
        >>> typical_rows(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), count=2).sort(0).values.tolist()
        [[0.75], [2.25]]
    """
    widths = [1] * rows.shape[1] if widths is None else list(widths)
    if not len(rows) or count < 1 or sum(widths) != rows.shape[1]:
        raise ValueError(
            f"typical rows, {count} of {tuple(rows.shape)} with columns of {sum(widths)} features: rows, at least one "
            "of each, and a width for every column are needed"
        )
    generator = torch.Generator().manual_seed(seed)
    at = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    drawn = [_column(part, at)[torch.randperm(count, generator=generator)] for part in torch.split(rows, widths, 1)]
    return torch.cat(drawn, 1)


def _column(part: Tensor, at: Tensor) -> Tensor:
    """A column's values at some shares of its rows, in order."""
    if part.shape[1] == 1:
        return torch.quantile(part.double(), at, dim=0).to(part)
    if not bool(((part == 0) | (part == 1)).all()):
        return part.mean(0).expand(len(at), -1)
    # a missing category is all zeros and comes first: each value as often as the data have it
    value = torch.where(part.any(1), part.argmax(1) + 1, 0).sort().values
    chosen = value[(at * len(value)).long()]
    return torch.nn.functional.one_hot(chosen, part.shape[1] + 1)[:, 1:].to(part)
