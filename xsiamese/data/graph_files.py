"""One graph from the words of a command line, as the graphs that a model was trained on were read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from xsiamese.data.graphs import LabelledGraphs


def graph_reader(about: Mapping[str, Any]) -> Callable[[str], Any]:
    """What reads a graph for a trained network.

    Args:
        about: what its checkpoint says of its training. After SMILES a graph is a SMILES; after connectivity matrices a
            file with one; after edit distances a JSON file (n, labels, graph) or the stem of one of the set; after a
            TUDataset the number of a graph, from 0.

    Raises:
        ValueError: by the reader, if there is no such graph; or if the checkpoint does not say what graphs it was
            trained on.
    """
    described = about.get("graphs")
    if not described:
        raise ValueError(
            "the checkpoint does not say what graphs it was trained on: explain from Python, "
            "explainer.explain((batch_a, batch_b))"
        )
    kind, place, reading = described["kind"], Path(described["place"]), described["reading"]
    return {
        "smiles": lambda word: _molecule(word),
        "matrices": lambda word: _matrix(word, reading),
        "edited": lambda word: _edited(word, place),
        "collected": lambda word: _collected(word, place),
    }[kind]


def _molecule(word: str) -> Any:
    from xsiamese.data.molecules import molecule

    found = molecule(word)
    if found is None:
        raise ValueError(f"{word!r} is no SMILES that RDKit takes: the model was trained on SMILES")
    batch = _one(found)
    batch.smiles = [word]
    return batch


def _matrix(word: str, reading: Mapping[str, Any]) -> Any:
    from xsiamese.data.connectomes import connectome_graphs, read_matrix

    if reading.get("shared"):
        raise ValueError(
            "the model was trained with --shared, and the graph of the mean is not in its checkpoint: explain from "
            "Python"
        )
    edges = {key: reading[key] for key in ("neighbours", "density") if key in reading}
    return connectome_graphs(read_matrix(Path(word))[None], torch.zeros(1, dtype=torch.long), ("",), **edges).gather(
        torch.tensor([0])
    )


def _edited(word: str, place: Path) -> Any:
    from xsiamese.data.ged import graph_of, kinds_of

    found = next(
        (
            path
            for path in (Path(word), *(place / part / f"{word}.json" for part in ("train", "test")))
            if path.is_file()
        ),
        None,
    )
    if found is None:
        raise ValueError(f"{word} is no JSON file of a graph, and none of {place} is called so")
    return _one(graph_of(found, kinds_of(place)))


def _collected(word: str, place: Path) -> Any:
    graphs = _collection(place)
    if not word.isdigit() or int(word) >= len(graphs):
        raise ValueError(f"{word!r}: the number of a graph of {place}, 0 to {len(graphs) - 1}, is needed")
    return graphs.gather(torch.tensor([int(word)]))


@lru_cache(maxsize=1)
def _collection(place: Path) -> LabelledGraphs:
    """A set that is read once for all graphs that are asked of it."""
    from xsiamese.data.graph_sets import collected_name, read_tu

    return read_tu(place, collected_name(place))


def _one(graph: Any) -> Any:
    return LabelledGraphs.of([graph], torch.zeros(1, dtype=torch.long), ("",)).gather(torch.tensor([0]))
