"""Many items, each encoded once, and the explanations of any pairs of them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.door.arguments import check
from xsiamese.door.files import folder as in_a_folder
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import check_explainer
from xsiamese.explain.gallery.about import about
from xsiamese.explain.gallery.encoded import Encoded
from xsiamese.explain.gallery.explained import EveryPair, Explanations
from xsiamese.explain.gallery.given import Beside, Items
from xsiamese.explain.gallery.hits import Hits, closest, embedding_model
from xsiamese.explain.gallery.kept import Keeping, Packing
from xsiamese.explain.gallery.meant import Names, bytes_of, hits_of, numbered_pairs, options_of, side_of
from xsiamese.explain.gallery.queries import Queries
from xsiamese.explain.gallery.stored import opened, written
from xsiamese.explain.request import BatchSize, Request
from xsiamese.kinds.inputs import Kinds
from xsiamese.model.pair import PairModel


class Gallery:
    """Items that are encoded once each, for the explanations of many pairs of them.

    What an explainer needs of an item is kept: its embedding, and what its ``prepare`` makes of it (the factor of a
    class activation map or of a pair matrix). A pair then costs no pass of the encoder. Explanations are those of
    :meth:`PairAttribution.explain <xsiamese.PairAttribution.explain>` on the pairs; they are made when they are asked
    for, some hundred pairs at a time.

    An explainer says by its trait ``shares`` whether it can do so; with any other the encoder is asked for every pair
    again, and a warning says so once.

    Args:
        explainer: with its model. Of two encoders the first encodes the first item of a pair.
        items: a batch of items as one side of ``explain``, or with ``read`` a sequence of file names, ids, ...
        ids: a name for each item; its number, from 0, if left out. A string means an id; so does a whole number where
            all ids are whole numbers, and else it is the number of an item.
        read: reads one of the sequence as a batch of one item, such as the reader of an opened model; what was read
            stays in memory only as far as the budget allows.
        baselines: of the items, as ``explain`` takes it.
        kind: what kind of input they are, where that does not show.
        side: where the items stand in a pair, 1 (b) or 0 (a), for a model whose sides are of two kinds, such as images
            and texts; else they stand on both.
        other: of such a model one item of the other side, as a batch of one, with which layers are found.
        memory: the most that the gallery takes in memory, in bytes or as "2GiB". What it keeps of the items may take
            half of it; otherwise it goes to a zarr store on disk that is mapped into memory.
        folder: where that store is made; a temporary folder if left out.
        half: keeps factors in half precision (embeddings stay as they are): maps are then right to three digits.
        rank: keeps factors as products of matrices of this rank, where these are smaller.
        internal_batch_size: how many items are encoded at once; "auto" measures the fastest.
        show_progress: shows a bar over the items.
        seed: the seed of everything random.
        store: of a gallery that was saved, which is read instead of encoding anything.
        **options: the explainer's own. What ``explain`` takes of pairs (``wrt``, ``target``, ``parts``) stays as it is
            by itself.

    Raises:
        ValueError: if there are no items, one cannot be read or explained, ids are not one for each, or the store was
            made with another model, method or options or of other items.
        ImportError: if what is kept does not fit the budget and zarr is not installed.

    Example:
        >>> from xsiamese import Gallery, PairGradCAM, SiameseModel
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> gallery = Gallery(PairGradCAM(SiameseModel(encoder), layer="1"), torch.rand(5, 1, 8, 8))
        >>> [len(unit) for unit in gallery.explain().units(4)]
        [4, 4, 2]
        >>> gallery.search([0], k=2).explain()[0].maps[0].shape
        torch.Size([1, 1, 6, 6])
    """

    def __init__(
        self,
        explainer: PairAttribution,
        items: Any,
        *,
        ids: Sequence[Any] | None = None,
        read: Callable[[Any], Any] | None = None,
        baselines: Any = None,
        kind: Kinds = None,
        side: int = 1,
        other: Any = None,
        memory: int | str = "2GiB",
        folder: str | Path | None = None,
        half: bool = False,
        rank: int | None = None,
        internal_batch_size: BatchSize = None,
        show_progress: bool = False,
        seed: int | None = 0,
        store: str | Path | None = None,
        **options: Any,
    ) -> None:
        check_explainer(explainer)
        check(Gallery, {"half": half, "rank": rank, "show_progress": show_progress, "seed": seed})
        self._side = side_of(side, other)
        if folder is not None:
            in_a_folder(folder, "what a gallery keeps")
        self.explainer, found = explainer, None if store is None else opened(Path(store))
        self._asked = Request(
            None, baselines=baselines, kind=kind, seed=seed, options=options_of(explainer, options),
            plans=explainer._plans, show_progress=show_progress, size=internal_batch_size,
        )  # fmt: skip
        self._keeping = Keeping(bytes_of(memory), None if folder is None else Path(folder), Packing(half, rank))
        if found is not None:
            found.check(about(explainer, self._asked))
            found.check_packing(self._keeping.packing)
        beside = None if other is None else Beside(self._side, other)
        own = Items(explainer, self._asked, items, read, keep=self._keeping.budget // 4, beside=beside)
        if beside is not None:  # a pair that has no score is told before anything is encoded
            explainer.scores(beside.pair(own.one(0), other), kind=kind)
        names: Sequence[Any] = range(len(own)) if found is None else found.ids
        if ids is not None:
            names = [one.tolist() if isinstance(one, Tensor) else one for one in ids]
        self.ids = tuple(map(str, names))
        if len(set(self.ids)) < len(self.ids):
            again = next(name for name, count in Counter(self.ids).items() if count > 1)
            raise ValueError(f"two items have the id {again!r}: every item needs an id of its own")
        if len(self.ids) != len(own):
            raise ValueError(f"{len(self.ids)} ids for {len(own)} items: one for each is needed")
        self._names = Names(self.ids, texts=type(explainer.model).taken is not PairModel.taken)
        self._encoded = Encoded(own, self._keeping, found)
        self._encoded.tell_beside(stacklevel=5)
        self._queries = Queries(self._encoded, self.ids, self._names)
        if (
            self._encoded.kept(self._side) is None
        ):  # of two encoders that of what is searched; the other's when pairs ask for it
            warnings.warn(
                f"{type(explainer).__name__} shares nothing between the pairs of this model: both items of every pair "
                "are encoded again, as explain does",
                stacklevel=2,
            )

    def __len__(self) -> int:
        return len(self._encoded)

    def __repr__(self) -> str:
        where = " on disk" if self.on_disk else ""
        return f"Gallery({len(self)} items{where}, {type(self.explainer).__name__})"

    @property
    def shares(self) -> bool:
        """Whether each item is encoded once; otherwise every pair is explained by itself."""
        return self._encoded.shares

    @property
    def on_disk(self) -> bool:
        """Whether what is kept of the items is in a store on disk."""
        return self._encoded.on_disk

    def explain(self, pairs: Any = None) -> Explanations:
        """The explanations of pairs of items, made when they are asked for.

        Args:
            pairs: two numbers or ids each; a tensor or an array (pairs, 2); None for all pairs (i, j) with i < j.

        Raises:
            ValueError: if there is no such item, or no pair.
        """
        self._queries.check_pairs("explain", "hits of search(queries)")
        chosen = EveryPair(len(self)) if pairs is None else numbered_pairs(pairs, self._names)
        if not len(chosen):
            raise ValueError(f"there is no pair to explain: the gallery has {len(self)} items")
        return self._queries.explanations(self._encoded, self.ids, chosen)

    def embeddings(self, side: int) -> Tensor:
        """The embeddings of all items in their order, shape (items, D): what an index of them is made of.

        They are as the encoder gives them: an index of inner products needs them of length 1 to search by a cosine.

        Args:
            side: 1 as what is found, 0 as what is asked; the same where one encoder serves both.

        Raises:
            ValueError: if there is no such side, or the model has no embeddings.
        """
        embedding_model(self.explainer.model)
        if isinstance(side, bool) or side not in (0, 1):
            raise ValueError(f"side={side!r}: 0, of what is asked, or 1, of what is found, is needed")
        if side not in self._encoded.items.places:
            raise ValueError(f"side={side}: the items of this gallery stand on side {self._side}")
        return self._encoded.embeddings(side).clone()  # searches read those that are kept

    def search(self, queries: Any, k: int = 10) -> Hits:
        """The items that the model calls closest to each query: exactly, by products of matrices.

        Args:
            queries: a batch of items, which are encoded once each and stand on the other side than the gallery's, on a;
                or a list of numbers or ids of items of the gallery, which are not found by themselves (strings are
                texts to a model of texts).
            k: how many.

        Raises:
            ValueError: if k is not positive or more than there are, or the model has no embeddings to compare.
        """
        model = embedding_model(self.explainer.model)
        own = self._queries.own(queries)
        most = len(self) - (own is not None)
        if not isinstance(k, int) or not 1 <= k <= most:
            raise ValueError(f"k={k}: there are {most} items to find, so that k is a number from 1 to {most}")
        asking = self._encoded if own is not None else self._queries.encoded(queries)
        u = asking.embeddings(1 - self._side)
        u, items = u if own is None else u[own], self._encoded.embeddings(self._side)
        with self._encoded.open(), torch.no_grad():
            numbers, scores = closest(model.comparison, u, items, k, without=own, side=self._side)
        return self._queries.hits(asking, own, numbers.tolist(), scores.tolist())

    def hits(self, queries: Any, ids: Any, scores: Any = None) -> Hits:
        """What an index or a vector database found, to be explained.

        Args:
            queries: as :meth:`search` takes them.
            ids: for each query the numbers or ids of what was found, the closest first; -1, as faiss says where it
                found nothing more, is left out.
            scores: what the index calls them, kept as they are; explanations have the model's own.

        Raises:
            ValueError: if there is no such item, or the sizes do not fit.
        """
        own = self._queries.own(queries)
        asking = self._encoded if own is not None else self._queries.encoded(queries)
        numbers, given = hits_of(ids, scores, len(asking) if own is None else len(own), self._names)
        return self._queries.hits(asking, own, numbers, given)

    def save(self, path: str | Path) -> Path:
        """Writes what is kept as a zarr store, with what it was made with; the items themselves are not in it.

        Raises:
            ValueError: if something is there already, the path ends as a file's does, or the explainer shares nothing
                that could be kept.
            ImportError: if zarr is not installed.
        """
        kept = self._encoded.all_kept()
        if not kept:
            raise ValueError(f"{type(self.explainer).__name__} shares nothing between pairs: there is nothing to save")
        return written(Path(path), about(self.explainer, self._asked), kept, ids=self.ids, keys=self._encoded.keys)

    @classmethod
    def open(cls, path: str | Path, explainer: PairAttribution, items: Any, **arguments: Any) -> Self:
        """A gallery that was saved, without encoding anything.

        Args:
            path: of the store.
            explainer: the same method on the same model.
            items: the same items, since explanations show them.
            **arguments: as the gallery was made.

        Raises:
            ValueError: if the store is none, or was made with another model, method or options or of other items;
                naming what differs.
        """
        return cls(explainer, items, store=path, **arguments)
