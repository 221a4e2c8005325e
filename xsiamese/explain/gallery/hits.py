"""What a search found, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xsiamese.explain.gallery.explained import Explanations, Pairs
from xsiamese.model.comparison import Bilinear, Comparison, Cosine, Dot, Euclidean, Manhattan, SquaredEuclidean
from xsiamese.model.pair import PairModel, SiameseModel

ROOM = 2**24  # scores at once


class Explains(Protocol):
    """What hits ask of a gallery: the explanations of a query with an item."""

    def __call__(self, pairs: Pairs) -> Explanations: ...


@dataclass(frozen=True, eq=False)
class Hits:
    """The items that were found for each query.

    Attributes:
        numbers: where the items stand in the gallery, from 0, for each query a list, the closest first; a gallery whose
            ids are whole numbers is asked again by ``ids``.
        ids: what these are called.
        scores: those of the search: the model's own, or those that an index gave, or None where it gave none.
    """

    numbers: tuple[tuple[int, ...], ...]
    ids: tuple[tuple[str, ...], ...]
    scores: tuple[tuple[float, ...], ...] | None
    explains: Explains

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return f"Hits({len(self)} queries, {sum(map(len, self.numbers))} items)"

    def __iter__(self) -> Iterator[Hits]:
        return (self[query] for query in range(len(self)))

    def __getitem__(self, query: int) -> Hits:
        """The hits of one query."""
        chosen = range(len(self))[query]
        scores = None if self.scores is None else (self.scores[chosen],)
        return Hits(
            (self.numbers[chosen],),
            (self.ids[chosen],),
            scores,
            lambda pairs: self.explains([(chosen, j) for _, j in pairs]),
        )

    def explain(self) -> Explanations:
        """Why: the explanations of every query with its hits, query by query, made when they are asked for."""
        return self.explains([(query, number) for query, found in enumerate(self.numbers) for number in found])


def embedding_model(model: PairModel) -> SiameseModel:
    """A model as one whose embeddings are compared.

    Raises:
        ValueError: if it is none.
    """
    if not isinstance(model, SiameseModel):
        raise ValueError(
            f"{type(model).__name__} has no embeddings to search by: wrap the encoder as SiameseModel(encoder, "
            "comparison), or explain pairs"
        )
    return model


def every_score(comparison: Comparison, z_a: Tensor, z_b: Tensor) -> Tensor:
    """The scores of all rows of a with all of b, shape (rows of a, rows of b): by products of matrices where the
    comparison is one, or distances that torch computes for all pairs at once.
    """
    kind, a, b = type(comparison), z_a.flatten(1), z_b.flatten(1)
    if kind is Cosine:
        a, b = (z / torch.where(size > 0, size, 1) for z in (a, b) for size in [z.norm(dim=1, keepdim=True)])
        return a @ b.T
    if kind is Dot:
        return a @ b.T
    if isinstance(comparison, Bilinear):
        return a @ comparison.weight.detach() @ b.T
    if kind in (Euclidean, SquaredEuclidean, Manhattan):
        exact = "donot_use_mm_for_euclid_dist"  # a product of matrices loses small distances
        found = torch.cdist(a, b, p=1.0 if kind is Manhattan else 2.0, compute_mode=exact)
        return found.square() if kind is SquaredEuclidean else found
    rows = max(1, ROOM // max(1, len(z_b) * z_b[0].numel()))
    parts = [
        comparison(part.repeat_interleave(len(z_b), 0), z_b.repeat(len(part), *[1] * (z_b.dim() - 1)))
        for part in torch.split(z_a, rows)
    ]
    return torch.cat(parts).reshape(len(z_a), len(z_b))


def closest(
    comparison: Comparison,
    queries: Tensor,
    items: Tensor,
    k: int,
    *,
    without: Sequence[int] | None = None,
    side: int = 1,
) -> tuple[Tensor, Tensor]:
    """The k items that are closest to each query, and their scores, both (queries, k); of equals the first.

    Args:
        comparison: of the model.
        queries: embeddings of what is asked.
        items: embeddings of what is found.
        k: how many.
        without: of each query an item that is left out: itself.
        side: where the items stand in a pair, 0 or 1.

    Raises:
        ValueError: if a score that was found is NaN or infinite: NaN is sorted before all else.
    """
    sign = 1.0 if comparison.higher_is_closer else -1.0
    numbers, scores = [], []
    at_once = max(1, ROOM // len(items))
    for start in range(0, len(queries), at_once):
        asked = queries[start : start + at_once]
        found = every_score(comparison, asked, items) if side else every_score(comparison, items, asked).T
        order = found * sign
        if without is not None:
            own = torch.as_tensor(without[start : start + at_once], device=order.device)
            order[torch.arange(len(order), device=order.device), own] = -torch.inf
        best = torch.sort(order, dim=1, descending=True, stable=True).indices[:, :k]
        numbers.append(best)
        scores.append(found.gather(1, best))
    which, values = torch.cat(numbers), torch.cat(scores)
    if len(bad := (~values.isfinite()).nonzero()):
        query, place = bad[0].tolist()
        item, value = int(which[query, place]), float(values[query, place])
        raise ValueError(
            f"the score of query {query} with item {item} is {value}: look at what the encoder gives for the two"
        )
    return which, values
