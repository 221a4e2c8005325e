"""Items with what an explainer prepares of them, once each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.branches.intact import intact, outside_inference
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.beside import warn_beside
from xsiamese.explain.gallery.given import Items, names_of
from xsiamese.explain.gallery.kept import EMBEDDING, Keeping, Kept
from xsiamese.explain.gallery.stored import Opened
from xsiamese.explain.gallery.weights import Weights
from xsiamese.explain.prepare import ItemBatch
from xsiamese.explain.request import chosen_split, fitted
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.silence import naming_the_cut
from xsiamese.pairs.split import Split
from xsiamese.pairs.witness import COUNTS, DRAWS, REMEDY, UNCOUNTED, Rest
from xsiamese.result.columns import Column


class Encoded:
    """Items that are encoded once each.

    Args:
        items: the items.
        keeping: where what is prepared of them is kept.
        found: a store in which that is kept already.
        weights: of the model, where they are known to be what they were.

    Raises:
        ValueError: if the store was made of other items; and by all that is asked of it later, if the model's weights
            have changed.
    """

    def __init__(
        self, items: Items, keeping: Keeping, found: Opened | None = None, weights: Weights | None = None
    ) -> None:
        self.items, self.keeping = items, keeping
        self.explainer: PairAttribution = items.explainer
        self.shares = self.explainer.traits.shares != "never" and isinstance(self.explainer.model, SiameseModel)
        self._keys: list[str] = [] if found is None else list(found.keys)
        self._kept: dict[int, Kept] = {} if found is None else dict(found.kept)
        self._embeddings: dict[int, Tensor] = {}
        self.weights = weights or Weights(self.explainer.model)
        if found is not None:
            items.expect(found.check_items)

    def __len__(self) -> int:
        return len(self.items)

    def unchanged(self) -> None:
        """That what is kept, if anything, is of the model as it is now.

        Raises:
            ValueError: if it is not.
        """
        if self._kept or self._embeddings:
            self.weights.check()

    @property
    def on_disk(self) -> bool:
        """Whether what is kept is in a store."""
        return any(kept.on_disk for kept in self._kept.values())

    @outside_inference()
    def kept(self, place: int) -> Kept | None:
        """What is prepared of the items as side a (0) or b (1), or None if nothing can be."""
        place = 0 if self.items.one_encoder else place
        if self.shares and place not in self._kept:
            made = self._prepared(place)
            if made is None:
                self.shares = False
            else:
                self._kept[place] = made
        return self._kept.get(place) if self.shares else None

    @property
    def row_bytes(self) -> int:
        """The bytes of what is kept of an item, as far as that is known by now."""
        return max((kept.row_bytes for kept in self._kept.values()), default=0)

    def all_kept(self) -> Mapping[int, Kept]:
        """What is prepared of the items, by the encoder; nothing where nothing can be."""
        self.unchanged()
        places = (0,) if self.items.one_encoder else self.items.places
        found = {place: self.kept(place) for place in places}
        return {place: kept for place, kept in found.items() if kept is not None}

    @outside_inference()
    def embeddings(self, place: int) -> Tensor:
        """The embeddings of all items as side a (0) or b (1), shape (items, D)."""
        self.unchanged()
        return self._embedded(place)

    def _embedded(self, place: int) -> Tensor:
        place = 0 if self.items.one_encoder else place
        if place not in self._embeddings:
            kept = self.kept(place)
            if kept is not None and EMBEDDING in kept.about:
                column = kept.column(EMBEDDING, range(len(self)))
                self._embeddings[place] = column if isinstance(column, Tensor) else torch.stack(list(column))
            else:
                asked = self.items.asked
                self._embeddings[place] = fitted(self.items.batch, asked.size, lambda split: self._embed(split, place))
        return self._embeddings[place]

    def _embed(self, split: Split, place: int) -> Tensor:
        with self.open(), torch.no_grad():
            return torch.cat([items.embed() for _, items in self._parts(place, split.pairs or self.items.at_once)])

    @cached_property
    def layers(self) -> dict[str, Any]:
        """The layers that the items are explained on, as results tell them."""
        with self.open():
            return self.explainer.layers_told(next(self.items.batch.split(2)))

    @contextmanager
    def open(self) -> Iterator[None]:
        """The model in evaluation mode and with frozen parameters inside the block, and as it was after it."""
        with (
            intact(self.explainer.model, seed=self.items.asked.seed),
            naming_the_cut(self.items.batch, gradients=self.explainer.uses_gradients),
        ):
            yield

    @property
    def keys(self) -> list[str]:
        """A key of each item, by its numbers."""
        if not self._keys:
            parts = self.items.parts(self.items.places[0], self._block)
            self._keys = [key for _, items in parts for key in names_of(items.side)]
        return self._keys

    def prepared_of(self, place: int, which: Sequence[int]) -> dict[str, Column]:
        """What is prepared of items with these numbers; embeddings are taken out of all of them at once."""
        kept = self.kept(place)
        assert kept is not None
        columns = {name: kept.column(name, which) for name in kept.about if name != EMBEDDING}
        if EMBEDDING in kept.about:
            columns[EMBEDDING] = self._embedded(place)[list(which)]
        return columns

    def _prepared(self, place: int) -> Kept | None:
        return fitted(self.items.batch, self.items.asked.size, lambda split: self._prepared_by(split, place))

    def _prepared_by(self, split: Split, place: int) -> Kept | None:
        size, keeping = split.pairs or self.items.at_once, self.keeping
        kept = Kept(
            len(self),
            size,
            keeping.budget // 2,
            partial(keeping.place, str(place)),
            self.items.own.ragged,
            keeping.packing,
        )
        with self.open():
            for start, items in self._parts(place, size):
                prepare = self._first if not start else self._rest
                columns = prepare(items)
                if columns is None:
                    return None
                kept.put(start, columns)
        return kept

    def tell_beside(self, stacklevel: int) -> None:
        """Says once, for all pairs, if a value depends on the items beside its own."""
        if self.items.asked.size == 1:
            return
        batch = next(self.items.batch.split(1))
        if self.items.beside is None and len(self) > 1:  # an item with itself has one score whatever stands beside it
            batch = self.items.pairs(self.items.some(0, [0]), self.items.some(1, [1]))
        with self.open():
            warn_beside(batch, stacklevel, last=True, rows=len(self))

    def _rest(self, items: ItemBatch) -> Mapping[str, Column] | None:
        return self.explainer.prepare(items, **self.items.asked.options)

    def _first(self, items: ItemBatch) -> Mapping[str, Column] | None:
        """What is prepared of the first items, and a word if the model drew random numbers for it."""
        rest = Rest(self.explainer.model, items.side.leaves[0].device)
        columns = self._rest(items)
        if columns is not None:
            if rest.drew():
                _warn_again(items, DRAWS, f"so that what the gallery keeps is of one draw; {REMEDY}")
            elif rest.counted():
                _warn_again(items, COUNTS, UNCOUNTED)
        return columns

    def _parts(self, place: int, size: int) -> Iterator[tuple[int, ItemBatch]]:
        parts = self.items.parts(place, size)
        if self.items.asked.show_progress:
            parts = tqdm(parts, total=-(-len(self) // size), desc="gallery", unit="block")
        keep = not self._keys and self.items.read is not None  # they would have to be read again for their keys
        keys: list[str] = []
        for start, items in parts:
            keys += names_of(items.side) if keep else []
            yield start, items
        self._keys = self._keys or keys

    @property
    def _block(self) -> int:
        split = chosen_split(self.items.batch, self.items.asked.size)
        return split.pairs or self.items.at_once


def _warn_again(items: ItemBatch, why: str, so: str) -> None:
    """Says so if a model gives other embeddings when it is asked about items again."""
    with torch.no_grad():
        once, twice = items.embed(), items.embed()
    if not torch.allclose(once, twice, rtol=1e-5, atol=1e-7):
        worst = float((once - twice).abs().max())
        warnings.warn(f"{why} an item embeddings that differ by {worst:.4g}, {so}", stacklevel=9)
