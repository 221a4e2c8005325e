"""Region swap: the fewest cells of one image that, replaced by cells of the other, flip the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese.author import Decision, Found, PairBatch
from xsiamese.author import side as side_of
from xsiamese_counterfactual.cells import LayerPlace, PixelPlace, Place, Source, composed, place_of
from xsiamese_counterfactual.decision import unclamped
from xsiamese_counterfactual.moves import Head, Moves, edited, moves
from xsiamese_counterfactual.reach import Search, reached
from xsiamese_counterfactual.recorded import Recorded, one_pass, raws_of, recorded
from xsiamese_counterfactual.result import Counterfactual, Edit
from xsiamese_counterfactual.search import SIDE_NAMES, Neighbours, PairCounterfactual, pairs_of

WRONG = "the distractor is on the wrong side"


class PairRegionSwap(PairCounterfactual):
    r"""Counterfactual by region swap: copies cells of the partner, or of a distractor, over cells of one image until
    the decision flips.

    Goyal et al. 2019 for pairs. Cells are those of a layer's grid, or patches of pixels; any cell may be copied to any
    place. Each step takes the edit that moves the closeness furthest; all edits of a step are one batch through the
    head, or a few matrix products if the head adds up over cells (global pooling, linear). At the end edits that turned
    out to be needless are taken back, and the model itself is asked once more.

    A pair called different is made alike with cells of the partner. A pair called alike usually needs a ``distractor``
    to be made different:
    an item that the model calls different from the side that stays.

    :meth:`attribute` gives, without a threshold, what closeness loses on average when a cell is replaced by one of the
    partner's.

    Example:
        >>> from xsiamese import PairRegionSwap, SiameseModel
        >>> _ = torch.manual_seed(0)
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> a, b = torch.rand(1, 1, 8, 8), 3 * torch.rand(1, 1, 8, 8)
        >>> swap = PairRegionSwap(SiameseModel(encoder, "euclidean"), layer="1", threshold=0.3)
        >>> found = swap.find((a, b))[0]
        >>> found.flipped, found.score_before > 0.3, found.score_after <= 0.3
        (True, True, True)
    """

    name = "counterfactual"
    formula = r"\min_{E} |E| \;\text{s.t.}\; [s(x_{i \leftarrow y_j,\,(i,j) \in E}, y) \ge \tau] \ne [s(x, y) \ge \tau]"
    reference = ("goyal2019", "vandenhende2022")
    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    needs_layer: ClassVar[bool] = True
    needs_threshold: ClassVar[bool] = False  # of its maps
    files: ClassVar[Mapping[str, str]] = {"distractor": "an image to copy regions from, instead of the partner"}
    across_pairs: ClassVar[bool] = True  # the nearest real item may be one of another pair

    @classmethod
    def for_kind(cls, kind: str | None) -> type[PairCounterfactual]:
        """The search of graphs or of rows, where the inputs are these."""
        from xsiamese_counterfactual.graph import PairGraphEdits
        from xsiamese_counterfactual.tabular import PairTabularCounterfactual

        return {"graph": PairGraphEdits, "row": PairTabularCounterfactual, "tabular": PairTabularCounterfactual}.get(
            kind or "", cls
        )

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Found:
        """What flips each decision, where a threshold is known, and the mean loss of closeness over all cells of the
        partner, for each cell; shape (pairs, 1, rows, columns), or (pairs, 1, tokens).
        """
        known: dict[tuple[int, int], Moves] = {}
        with unclamped():
            kept = recorded(batch, self.layer)
            rows = [
                self._lost(self.places(one, None, kept.row(i)), one, i, known) for i, one in enumerate(batch.split(1))
            ]
            first, second = (torch.cat(side) for side in zip(*rows, strict=True))
            if self.known_threshold() is None:
                return Found((first, second), kept.closeness)
            shared = (kept if options.get("patch") is None else None, known)
            sides = [self.search(batch, self.decision(), side, *shared, **options) for side in batch.objective.moving]
        found = [min(each, key=self.preferred) for each in zip(*sides, strict=True)]
        wrong = [i for i, one in enumerate(found) if one.reason.startswith(WRONG)]
        if wrong:
            pairs = ", ".join(str(batch.first_pair + i) for i in wrong[:8])
            raise ValueError(
                f"{found[wrong[0]].reason} (pair {pairs}): choose one for which the decision is the opposite of the "
                "pair's"
            )
        return Found((first, second), kept.closeness, {"counterfactuals": found})

    def check(self, options: Mapping[str, Any], *, explaining: bool) -> None:
        """Refuses to explain a decision without a threshold; the maps alone need none."""
        if explaining:
            self.decision()

    def _lost(
        self, places: tuple[Place, Place], one: PairBatch, number: int, known: dict[tuple[int, int], Moves]
    ) -> tuple[Tensor, Tensor]:
        """The maps of a single pair; what its moves do is added to ``known``, by the pair's number and the side."""
        maps = []
        for side, place in enumerate(places):
            shape = (1, 1, *place.grid)
            if side not in one.objective.moving:
                maps.append(place.raw.new_zeros(shape))
                continue
            found = moves(place, place.cells(place.raw)[0], _fitting(places[1 - side], place))
            known[number, side] = found
            lost = found.value([]) - found.values([])
            lost[lost.abs() <= 1e-13 * max(1.0, abs(found.value([])))] = 0  # what is lost to rounding is not lost
            maps.append(lost.mean(1).reshape(shape).to(place.raw.dtype))
        return maps[0], maps[1]

    def search(
        self,
        batch: PairBatch,
        decision: Decision,
        side: int,
        kept: Recorded | None = None,
        known: Mapping[tuple[int, int], Moves] = MappingProxyType({}),
        *,
        patch: int | None = None,
        distractor: Tensor | None = None,
        search: Search = "greedy",
        limit: int | None = None,
        reference: Tensor | None = None,
    ) -> list[Counterfactual]:
        """Swaps regions.

        Args:
            batch: the pairs.
            decision: what is to flip.
            side: which side is edited.
            kept: what was recorded of the batch, if it was.
            known: what the partner's cells do in each pair on each side, where it was found out.
            patch: swaps square patches of so many pixels instead of cells of the layer.
            distractor: where cells come from instead of the partner: one row, or one a pair, shaped as the edited side.
            search: "greedy", or "exhaustive": all sets of one and two edits, then greedy for more.
            limit: the most edits; None is all cells.
            reference: real items, shaped as the edited side; the result says how far the edited one is from the
                nearest.
                None takes the items of the batch.

        Raises:
            ValueError: if options do not fit the model or its layers.
        """
        check_items(batch, side, distractor, "distractor", (1, batch.pairs))
        check_items(batch, side, reference, "reference", None)
        kept = kept or recorded(batch, self.layer, patch)
        real = Neighbours(kept.like(side) if reference is None else raws_of(batch, self.layer, side, reference, patch))
        found = []
        for i, one in enumerate(pairs_of(batch, f"{type(self).__name__} {SIDE_NAMES[side]}")):
            places = self.places(one, patch, kept.row(i))
            row = None if distractor is None else distractor[i if len(distractor) > 1 else 0][None].to(places[side].raw)
            own = known.get((i, side)) if row is None and patch is None else None
            found.append(
                self._swap(
                    places,
                    kept.closeness[i : i + 1],
                    decision,
                    side=side,
                    distractor=row,
                    search=search,
                    limit=limit,
                    real=real,
                    known=own,
                )
            )
        return found

    def _swap(
        self,
        places: tuple[Place, Place],
        before: Tensor,
        decision: Decision,
        *,
        side: int,
        distractor: Tensor | None,
        search: Search,
        limit: int | None,
        real: Neighbours,
        known: Moves | None,
    ) -> Counterfactual:
        """One pair."""
        place = places[side]
        cells = place.cells(place.raw)[0]
        alike = bool(decision.alike(before))
        source, wrong = self._source(places, side, distractor, decision, alike)
        done, why = (
            ([], wrong)
            if wrong
            else reached(known or moves(place, cells, source.cells), decision.cut, alike, limit or len(cells), search)
        )
        path = place.values(torch.stack([edited(cells, source.cells, done[:k]) for k in range(len(done) + 1)]))
        if (
            not wrong and not bool(decision.flipped(path[-1], alike)) and len(done) < (limit or len(cells))
        ):  # lost to rounding: ask the model itself
            done, why = reached(Head(place, cells, source.cells), decision.cut, alike, limit or len(cells), "greedy")
            path = place.values(torch.stack([edited(cells, source.cells, done[:k]) for k in range(len(done) + 1)]))
        flipped = bool(decision.flipped(path[-1], alike))
        made = edited(cells, source.cells, done)[None]
        batch = place.batch
        images = tuple(s.rebuild(s.leaves) for s in (batch.a, batch.b))
        edited_images = list(images)
        if isinstance(place, PixelPlace):
            edited_images[side] = place.made_of(made)
        elif isinstance(images[side], Tensor):
            origin = source.image if source.image is not None else images[1 - side]
            edited_images[side] = composed(images[side], origin, done, place.grid, source.grid)
        scores = decision.score(torch.cat([before, path[1:]])).tolist()
        if why and alike and distractor is None and not flipped:
            why += "; cells of an alike partner rarely push apart: give a distractor= that the model calls different"
        return Counterfactual(
            kind="swap",
            side=SIDE_NAMES[side],
            flipped=flipped,
            score_before=scores[0],
            score_after=scores[-1],
            threshold=decision.threshold,
            higher_is_closer=decision.higher_is_closer,
            count=len(done),
            size=len(done) / len(cells),
            inputs=images,
            edited=tuple(edited_images),
            edits=tuple(
                Edit(place_of(i, place.grid), place_of(j, source.grid), None, None, s)
                for (i, j), s in zip(done, scores[1:], strict=True)
            ),
            nearest=real.distance(place.made_of(made)),
            typical=real.typical,
            reason="" if flipped else why,
            distractor=source.image,
            grid=place.grid,
            source_grid=source.grid,
            layer="" if isinstance(place, PixelPlace) else None,
        )

    def _source(
        self, places: tuple[Place, Place], side: int, distractor: Tensor | None, decision: Decision, alike: bool
    ) -> tuple[Source, str]:
        """The cells to copy, and what is wrong with them."""
        place, other = places[side], places[1 - side]
        if distractor is None:
            return Source(_fitting(other, place), other.grid), ""
        item = side_of(distractor, "distractor")
        swapped = replace(place.batch, a=item) if side == 0 else replace(place.batch, b=item)
        raw = distractor if isinstance(place, PixelPlace) else one_pass(swapped, self.layer).raws[side]
        source = Source(place.cells(raw)[0], place.grid, distractor)
        wrong = bool(decision.alike(place.values(source.cells[None]))) == alike
        kept = SIDE_NAMES[1 - side]
        return (
            source,
            f"{WRONG}: the model calls it {'alike' if alike else 'different'} with {kept} too" if wrong else "",
        )

    def preferred(self, found: Counterfactual) -> tuple[Any, ...]:
        return (found.reason.startswith(WRONG), *super().preferred(found))

    def places(self, batch: PairBatch, patch: int | None = None, kept: Recorded | None = None) -> tuple[Place, Place]:
        """Both sides of a single pair as cells."""
        kept = kept or recorded(batch, self.layer, patch)
        others = (None, None) if kept.embeddings is None else kept.embeddings[::-1]
        if patch is not None:
            return PixelPlace(batch, 0, patch, others[0]), PixelPlace(batch, 1, patch, others[1])
        first, second = (
            LayerPlace(
                batch,
                side,
                self.layer,
                raw=raw,
                layout=batch.layout(self.layer, side, raw, self.layout),
                other=others[side],
            )
            for side, raw in enumerate(kept.raws)
        )
        return first, second


def check_items(batch: PairBatch, side: int, items: Tensor | None, name: str, rows: tuple[int, ...] | None) -> None:
    """Refuses items that are not shaped as the edited side."""
    if items is None:
        return
    leaves = (batch.a, batch.b)[side].leaves
    expected = leaves[0].shape[1:]
    if (
        not isinstance(items, Tensor)
        or len(leaves) != 1
        or items.shape[1:] != expected
        or not len(items)
        or (rows and len(items) not in rows)
    ):
        shape = tuple(items.shape) if isinstance(items, Tensor) else type(items).__name__
        wanted = "one row or one a pair" if rows else "rows"
        raise ValueError(
            f"{name} is {shape}: a tensor of {wanted} shaped {tuple(expected)}, as {SIDE_NAMES[side]} is, is needed"
        )


def _fitting(other: Place, place: Place) -> Tensor:
    """The cells of one item, to be copied to another.

    Raises:
        ValueError: if they have other channels.
    """
    theirs, own = other.cells(other.raw)[0], place.cells(place.raw)[0]
    if theirs.shape[1] != own.shape[1]:
        raise ValueError(
            f"cells of {tuple(other.raw.shape)} do not fit into {tuple(place.raw.shape)}: choose layers with equal "
            "channels, or give a distractor="
        )
    return theirs
