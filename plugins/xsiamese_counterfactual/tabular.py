"""Tabular counterfactuals: the fewest feature changes, within what is allowed, that flip the decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from xsiamese.author import AtLeast, Decision, PairBatch
from xsiamese_counterfactual.result import Counterfactual, Edit
from xsiamese_counterfactual.search import SIDE_NAMES, Neighbours, PairCounterfactual, pairs_of
from xsiamese_counterfactual.space import Feature, Space, allowed

CHUNK = 2**14
SUBSETS = 2**15
WHOLE, COUNTED = 1e-3, 100  # a column of whole numbers, by its rows, of so many steps at most


class PairTabularCounterfactual(PairCounterfactual):
    r"""Counterfactual by features: the fewest features of one side that, changed within their ranges, flip the
    decision.

    Every feature has a list of values it may take: its range in its steps, or in ``levels`` even parts, and the
    partner's value if that is allowed. All sets of one, two, ... features are tried with all their values as long as
    ``budget`` allows, which is exact on these values; beyond that the best single change is made again and again, and
    changes that turn out to be needless are taken back. Of the answers with the fewest features the one with the
    smallest change is taken, in parts of the ranges, and each of its changes is then made as small as the decision
    allows.

    Example:
        >>> from xsiamese import SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), "euclidean")
        >>> a, b = torch.zeros(1, 3), torch.tensor([[0.2, 3.0, 0.1]])
        >>> search = PairTabularCounterfactual(model, threshold=1.0)
        >>> found = search.find((a, b), wrt="first", ranges=(0, 4), steps=1.0, names=["x", "y", "z"])
        >>> print(found[0].edits[0])
        y: 0 -> 3
    """

    name = "tabular_counterfactual"
    formula = (
        r"\min_{x'} |\{k : x'_k \ne x_k\}| \;\text{s.t.}\; x'_k \in V_k,\; [s(x', y) \ge \tau] \ne [s(x, y) \ge \tau]"
    )
    reference = ("wachter2018",)
    modalities: ClassVar[frozenset[str]] = frozenset({"tabular"})
    files: ClassVar[Mapping[str, str]] = {
        "reference": "a table whose rows say between which values each column of numbers may change; categories and "
        "texts stay"
    }

    def from_files(
        self, given: Mapping[str, str], read: Callable[[str], Any], inputs: tuple[Any, Any], seed: int
    ) -> dict[str, Any]:
        """The rows of a table as the reference; its columns' names and units; what is whole there stays so."""
        columns = getattr(read, "columns", None)  # a table's reader knows them
        if columns is None or "reference" not in given:
            raise ValueError(
                "a counterfactual of rows needs the values that each column may take: add --reference TABLE, a table "
                "of such rows"
            )
        real = read.pool(Path(given["reference"]), inputs)  # type: ignore[attr-defined]
        if not len(real):
            raise ValueError(f"--reference {given['reference']} has no row but the two that are explained")
        features = [(name, column) for column in columns.columns for name in column.features]
        scale = torch.tensor([[column.mean, column.std] for _, column in features], dtype=torch.float64)
        plain = real.double() * scale[:, 1] + scale[:, 0]
        whole = (plain - plain.round()).abs().amax(0) < WHOLE
        few = plain.amax(0) - plain.amin(0) <= COUNTED
        return {
            "reference": real,
            "names": [name for name, _ in features],
            "immutable": [name for name, column in features if not column.number],
            "steps": {k: 1 / float(scale[k, 1]) for k in (whole & few).nonzero().flatten().tolist()},
            "scale": scale,
        }

    def spread(self, found: Counterfactual, row: Tensor) -> Tensor:
        """The closeness that each changed feature takes away, in the order of the edits."""
        lost = torch.zeros_like(row)
        for edit, start, end in zip(found.edits, found.path, found.path[1:], strict=False):
            lost[edit.where[0]] = found.decision.closeness(start - end)
        return lost

    def search(
        self,
        batch: PairBatch,
        decision: Decision,
        side: int,
        *,
        ranges: Any = None,
        steps: Any = None,
        immutable: Sequence[Feature] = (),
        names: Sequence[str] | None = None,
        levels: int = 21,
        most: int | None = None,
        budget: Annotated[int, AtLeast(0)] = 200_000,
        reference: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> list[Counterfactual]:
        """Changes features.

        Args:
            batch: the pairs.
            decision: what is to flip.
            side: which side is changed.
            ranges: the least and the greatest value of each feature: one (low, high) for all, a mapping from a name or
                an index, or a tensor (features, 2). None takes those of the ``reference``.
            steps: the step of each feature within its range: one number, or a mapping. A feature without one is
                continuous.
            immutable: features that must stay, by name or index.
            names: of the features.
            levels: how many values of a continuous feature are tried.
            most: the most features that may change; None is all.
            budget: how many rows the exact search may ask the model for, for each pair.
            reference: real rows; they give ranges, and the distance to the nearest real one, in parts of the ranges.
            scale: the mean and the standard deviation that each feature was standardised by, shape (features, 2): edits
                are told in the units before.

        Raises:
            ValueError: if nothing may change, a range is empty, a step is not positive, or a feature is unknown.
        """
        leaves = (batch.a, batch.b)[side].leaves
        if len(leaves) != 1 or leaves[0].dim() != 2:
            raise ValueError(
                f"a tabular counterfactual needs rows of features (pairs, features); input {'ab'[side]} is "
                f"{tuple(leaves[0].shape)}"
            )
        if scale is not None and tuple(scale.shape) != (leaves[0].shape[1], 2):
            raise ValueError(f"scale is {tuple(scale.shape)}: ({leaves[0].shape[1]}, 2) is needed")
        space = allowed(leaves[0], ranges, steps, immutable, names=names, reference=reference)
        if levels < 2 or budget < 0 or (most is not None and most < 1):
            raise ValueError(
                f"levels={levels}, budget={budget}, most={most}: two levels, and at least one change, must be allowed"
            )
        rows = torch.cat(
            [side_.leaves[0] for side_ in (batch.a, batch.b) if side_.leaves[0].shape[1:] == leaves[0].shape[1:]]
        )
        real = Neighbours((rows if reference is None else reference.to(leaves[0])) / space.width)
        most = min(most or len(space.free), len(space.free))
        return [
            self._one(one, decision, side, space=space, levels=levels, most=most, budget=budget, real=real, scale=scale)
            for one in pairs_of(batch, f"{type(self).__name__} {SIDE_NAMES[side]}")
        ]

    def _one(
        self,
        one: PairBatch,
        decision: Decision,
        side: int,
        *,
        space: Space,
        levels: int,
        most: int,
        budget: int,
        real: Neighbours,
        scale: Tensor | None,
    ) -> Counterfactual:
        moved = one.one_sided("second" if side else "first")
        row, partner = moved.moved[0][0], (one.a, one.b)[1 - side].leaves[0][0]
        before = self._ask(moved, row[None])
        alike = bool(decision.alike(before))
        values = space.values(row, partner if partner.shape == row.shape else None, levels)

        def progress(rows: Tensor) -> Tensor:
            return decision.progress(self._ask(moved, rows), alike)

        def flips(rows: Tensor) -> Tensor:
            return decision.flipped(self._ask(moved, rows), alike)

        best = exact(row, values, space, flips, most=most, budget=budget)
        if best is None:
            best = greedy(row, values, progress, flips, most)
        if bool(flips(best[None])):
            best = closer(row, best, space, flips)
        changed = (best != row).nonzero().flatten().tolist()
        edits, now, score_after = [], row.clone(), float(decision.score(before))
        for k in changed:
            now[k] = best[k]
            score_after = float(decision.score(self._ask(moved, now[None])))
            mean, std = (0.0, 1.0) if scale is None else scale[k].tolist()
            old, new = (float(one[k]) * std + mean for one in (row, best))
            edits.append(Edit((k,), None, old, new, score_after, space.names[k]))
        flipped = bool(flips(best[None]))
        images = tuple(s.rebuild(s.leaves) for s in (one.a, one.b))
        edited = [*images]
        edited[side] = best[None]
        size = float(((best - row).abs() / space.width)[space.free].mean())
        return Counterfactual(
            kind="tabular",
            side=SIDE_NAMES[side],
            flipped=flipped,
            score_before=float(decision.score(before)),
            score_after=score_after,
            threshold=decision.threshold,
            higher_is_closer=decision.higher_is_closer,
            edits=tuple(edits),
            count=len(edits),
            size=size,
            inputs=images,
            edited=tuple(edited),
            nearest=real.distance(best / space.width),
            typical=real.typical,
            reason=""
            if flipped
            else f"no allowed change of up to {most} of {len(space.free)} features reaches the threshold",
        )

    @staticmethod
    def _ask(one: PairBatch, rows: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([one.value(part) for part in torch.split(rows, one.rows or CHUNK)])


def exact(
    row: Tensor, values: Mapping[int, Tensor], space: Space, flips: Any, *, most: int, budget: int
) -> Tensor | None:
    """The smallest change of the fewest features, by trying all sets of one, two, ... as long as the budget allows;
    None if it ends first.
    """
    for count in range(1, most + 1):
        subsets, cost = [], 0
        for subset in combinations(values, count):
            subsets.append(subset)
            cost += int(torch.tensor([len(values[k]) for k in subset]).prod())
            if cost > budget or len(subsets) > SUBSETS:
                return None
        budget -= cost
        best, least = None, float("inf")
        for subset in subsets:
            rows = row.repeat(int(torch.tensor([len(values[k]) for k in subset]).prod()), 1)
            rows[:, list(subset)] = torch.cartesian_prod(*(values[k] for k in subset)).reshape(len(rows), -1)
            good = rows[flips(rows)]
            if len(good):
                change = ((good - row).abs() / space.width).sum(1)
                if float(change.min()) < least:
                    best, least = good[change.argmin()], float(change.min())
        if best is not None:
            return best
    return None


def greedy(row: Tensor, values: Mapping[int, Tensor], progress: Any, flips: Any, most: int) -> Tensor:
    """The best single change again and again; then changes that are not needed are taken back."""
    now, reached, changed = row.clone(), float(progress(row[None])), set[int]()
    while len(changed) < most and not bool(flips(now[None])):
        where = [(k, v) for k in values if k not in changed for v in values[k]]
        if not where:
            break
        rows = now.repeat(len(where), 1)
        rows[torch.arange(len(where)), torch.tensor([k for k, _ in where])] = torch.stack([v for _, v in where])
        gained = progress(rows)
        best = int(gained.argmax())
        if float(gained[best]) <= reached:
            break
        now, reached = rows[best], float(gained[best])
        changed.add(where[best][0])
    for k in sorted(changed) if bool(flips(now[None])) else ():
        without = now.clone()
        without[k] = row[k]
        now = without if bool(flips(without[None])) else now
    return now


def closer(row: Tensor, best: Tensor, space: Space, flips: Any, rounds: int = 20) -> Tensor:
    """Each change made as small as the decision allows: by halving the way back, in whole steps where a feature has
    one.
    """
    for k in (best != row).nonzero().flatten().tolist():
        near, far = 0.0, 1.0  # parts of the way from the row to the change; far flips
        step = float(space.step[k])
        for _ in range(rounds):
            middle = best.clone()
            target = float(row[k]) + (near + far) / 2 * float(best[k] - row[k])
            if step:
                target = float(space.low[k]) + step * round((target - float(space.low[k])) / step)
            middle[k] = min(max(target, float(space.low[k])), float(space.high[k]))
            part = float((middle[k] - row[k]) / (best[k] - row[k]))
            if not near < part < far:
                break
            near, far = (near, part) if bool(flips(middle[None])) else (part, far)
            if far == part:
                kept = middle
        if far < 1.0:
            best = kept
    return best
