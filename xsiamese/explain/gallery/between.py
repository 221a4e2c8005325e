"""The explanations and scores of pairs of encoded items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xsiamese.branches.intact import outside_inference
from xsiamese.explain.gallery.compared import Compared
from xsiamese.explain.gallery.encoded import Encoded
from xsiamese.explain.gallery.explained import Pairs
from xsiamese.explain.gallery.kept import EMBEDDING
from xsiamese.explain.maps import warn_identical
from xsiamese.model.comparison import one_each
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation

UNIT = 1024  # pairs that are explained at once, at the most
ROOM = 2**23  # bytes of the items of one side of them: more is new memory from the system for every unit
COPIES = 4  # of an item's numbers in a unit, about: those that are explained, a map, and what is made on the way


@dataclass(frozen=True)
class Between:
    """Items of side a with items of side b, both encoded; a pair is (number in first, number in second).

    Attributes:
        first: those of side a.
        second: those of side b.
    """

    first: Encoded
    second: Encoded

    @outside_inference()
    def explain(self, pairs: Pairs, ids: Sequence[tuple[str, str]]) -> PairExplanation:
        """The explanation of some pairs."""
        for one in {self.first, self.second}:
            one.unchanged()
        explainer, asked = self.first.explainer, self.first.items.asked
        which = [i for i, _ in pairs], [j for _, j in pairs]
        a, b = self.first.items.some(0, which[0]), self.second.items.some(1, which[1])
        if self.first.kept(0) is None or self.second.kept(1) is None:
            starts = None if asked.baselines is None else (_alone(a.baselines), _alone(b.baselines))
            return explainer.explain(
                (a.given, b.given),
                ids=tuple(ids),
                baselines=starts,
                kind=asked.kind,
                internal_batch_size=asked.size,
                seed=asked.seed,
                **asked.options,
            )
        assert isinstance(explainer.model, SiameseModel)
        batch = replace(
            self.first.items.pairs(a, b),
            model=Compared(explainer.model),
            prepared=(self.first.prepared_of(0, which[0]), self.second.prepared_of(1, which[1])),
            rows=min(self.row_unit, len(pairs)),
        )
        if explainer.traits.uses_gradients and _may_be_same(batch):
            warn_identical(batch)
        asked = replace(asked, inputs=(a.given, b.given))
        return explainer.of_prepared(batch, asked, ids=tuple(ids), layers=self.first.layers)

    @outside_inference()
    def scores(self, pairs: Pairs) -> Tensor:
        """The model's own scores of pairs, shape (pairs,)."""
        model = self.first.explainer.model
        if not isinstance(model, SiameseModel):
            return torch.cat([self._scored(pairs[start : start + UNIT]) for start in range(0, len(pairs), UNIT)])
        u, v = self.first.embeddings(0), self.second.embeddings(1)
        i, j = torch.tensor(list(pairs), device=u.device).reshape(-1, 2).T
        with self.first.open(), torch.no_grad():
            parts = zip(torch.split(i, UNIT), torch.split(j, UNIT), strict=True)
            return torch.cat([one_each(model.compare(u[some], v[others])) for some, others in parts])

    @property
    def unit(self) -> int:
        """How many pairs are explained at once: what half of the budget allows, and not more than serves speed."""
        largest = max(1, self.first.items.size, self.second.items.size)
        return max(1, min(self._allowed, ROOM // largest))

    @property
    def row_unit(self) -> int:
        """The same of pairs of one item with a run of others: items that are in memory are not copied for them."""
        copied = self.first.items.read is not None or self.second.items.read is not None
        return self.unit if copied else self._allowed

    @property
    def _allowed(self) -> int:
        return min(_allowed(self.first), _allowed(self.second))

    def _scored(self, pairs: Pairs) -> Tensor:
        a = self.first.items.some(0, [i for i, _ in pairs])
        b = self.second.items.some(1, [j for _, j in pairs])
        return self.first.explainer.scores((a.given, b.given), kind=self.first.items.asked.kind)


def _allowed(encoded: Encoded) -> int:
    """How many pairs' items, and what is kept of them, take half of the budget."""
    of_item = COPIES * max(1, encoded.items.size) + encoded.row_bytes
    return max(1, min(UNIT, encoded.keeping.budget // 2 // (2 * of_item)))


def _may_be_same(batch: PairBatch) -> bool:
    """Whether some pair's items have one embedding: only then they can be equal."""
    u, v = (side.get(EMBEDDING) for side in batch.prepared)
    if not (isinstance(u, Tensor) and isinstance(v, Tensor)):
        return True
    return u.shape == v.shape and bool((u == v).flatten(1).all(1).any())


def _alone(baselines: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    return baselines[0] if len(baselines) == 1 else baselines
