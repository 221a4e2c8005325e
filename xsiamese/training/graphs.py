"""Training on graphs."""

from __future__ import annotations

from typing import Any

import torch

from xsiamese.data.graph_sets import MATRICES, kind_of, load_graphs
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.items import Items
from xsiamese.data.sources import Source
from xsiamese.model.pair import PairModel
from xsiamese.training.evaluation import evaluate
from xsiamese.training.inputs import Ready
from xsiamese.training.modality import Modality
from xsiamese.training.ranking import rank, similarities


class Training(Modality):
    """TUDataset-like sets, graphs with edit distances, tables of SMILES and folders of connectivity matrices."""

    noun = "graphs"
    reading = ("target", "smiles", "close", *MATRICES)

    def load(self, valid: float | None) -> Source[LabelledGraphs]:
        of = self.settings
        self.refuse("same_label", "a table of pairs")
        return load_graphs(of.dataset, of.data, valid=valid, test=of.test, seed=of.seed, split=of.split, **of.reading)

    def ready(self) -> Ready:
        return Ready()

    def graded(self, source: Source[Any]) -> bool:
        return source.train.alike is not None

    def check(self, source: Source[Any]) -> None:
        if self.settings.network == "brain-gcn" and len(sizes := torch.unique(source.train.sizes)) > 1:
            told = f"{self.settings.dataset} has graphs of {int(sizes[0])} to {int(sizes[-1])} nodes"
            raise ValueError(
                f"brain-gcn compares brains region by region, and {told}: use siamese-gcn, siamese-gin or siamese-gat"
            )
        if self.graded(source):
            source.train.partners(), source.valid.partners()
        else:
            super().check(source)

    def arguments(self, source: Source[Any]) -> dict[str, Any]:
        regions = {"regions": int(source.train.sizes[0])} if self.settings.network == "brain-gcn" else {}
        attributes = source.train.edge_attr
        edges = (
            {"attributes": attributes.shape[1]}
            if self.settings.network == "graph-matching" and attributes is not None
            else {}
        )
        return {
            "inputs": source.train.features,
            **regions,
            **edges,
            **(self._of_simgnn(source.train) if self.settings.network == "simgnn" else {}),
        }

    def described(self) -> dict[str, Any]:
        kind, place = kind_of(self.settings.dataset, self.settings.data)
        return {"graphs": {"kind": kind, "place": str(place.resolve()), "reading": self.settings.reading}}

    def rows(self, items: Items, size: int) -> int:
        return max(size, 128)

    def measure(self, model: PairModel, source: Source[Any]) -> dict[str, Any]:
        if source.train.numbers is not None:
            return self._measure_close(model, source)
        if not self.graded(source):
            return super().measure(model, source)
        return {
            **rank(model, source.test, source.train, self.ready()),
            "train_graphs": len(source.train),
            "valid_graphs": len(source.valid),
        }

    def _measure_close(self, model: PairModel, source: Source[Any]) -> dict[str, Any]:
        """For targets that are numbers: pairs of close and distant ones."""
        seed, held = self.settings.seed, source.valid if len(source.valid) else source.train
        pairs = held.fixed_pairs(20_000, seed + 1), source.test.fixed_pairs(20_000, seed + 2)
        known: dict[str, Any] = {"calibration": source.valid, "pairs": pairs, "seed": seed, "noun": self.noun}
        found = evaluate(model, source.train, source.test, self.ready(), **known)
        return {**found, "close_within": source.train.width}

    def figures(self, model: PairModel, source: Source[Any]) -> dict[str, Any]:
        if not self.graded(source):
            return {}
        from xsiamese.plot.latent import against

        few = source.test.take(torch.linspace(0, len(source.test) - 1, min(50, len(source.test))).long())
        found, true = similarities(model, few, source.train, self.ready()), few.alike[few.known][:, source.train.known]
        title = f"{self.settings.network}, {source.name}: test graphs to training graphs"
        return {"similarities.png": against(true.flatten(), found.flatten(), title)}

    @staticmethod
    def _of_simgnn(graphs: LabelledGraphs) -> dict[str, Any]:
        """Whether all nodes have the same features; where it is known how alike graphs are, the mean, away from 0 and
        1, which no sigmoid reaches.
        """
        same = {"standardise": bool((graphs.x == graphs.x[0]).all())}
        if graphs.alike is None or graphs.known is None:
            return same
        return {**same, "mean": float(graphs.alike[graphs.known][:, graphs.known].nanmean().clamp(0.01, 0.99))}
