"""Molecules from a table of SMILES, read by RDKit."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.tabular import Table, numbers_of
from xsiamese.data.targets import target_of
from xsiamese.door.files import regular

try:
    from rdkit import Chem, rdBase
except ImportError as error:
    raise ImportError('SMILES need RDKit: pip install "xsiamese[graph]"') from error


NAMES = frozenset({"smiles", "smi", "mol", "molecule", "canonical_smiles", "isomeric_smiles", "isosmiles"})


def read_smiles(
    path: Path, target: str | None = None, smiles: str | None = None, most: int = 50, close: float | None = None
) -> LabelledGraphs:
    """Reads a CSV with a column of SMILES and a column of classes, or of numbers.

    Args:
        path: the table.
        target: the column of classes; if left out, the only column with at most ten different values.
        smiles: the column of SMILES; if left out, the one that is called ``smiles``, ``mol`` or the like.
        most: the most classes.
        close: two molecules are the same where their targets, numbers, differ by at most that; None takes the targets
            as classes.

    SMILES that RDKit does not take, and those without atoms, are left out, counted and named with their line in
    ``skipped``.

    Raises:
        ValueError: for missing columns, a column that has too many values for classes, targets that are no numbers, or
            no readable molecule.
    """
    path = regular(path, "a table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    smiles = _smiles(path, rows, smiles)
    chosen = _column(path, rows, target, smiles, most if close is None else len(rows))
    graphs, kept, skipped = [], [], []
    for line, row in enumerate(rows, start=2):
        found = molecule((row[smiles] or "").strip())
        if found is None or not (row[chosen] or "").strip():
            skipped.append(
                f"line {line}: {row[smiles]!r} "
                f"{'is no SMILES that RDKit takes' if found is None else f'has no {chosen}'}"
            )
        else:
            graphs.append(found)
            kept.append(row)
    if not graphs:
        raise ValueError(f"none of the {len(rows)} SMILES of {path} can be read; the first: {skipped[0]}")
    if skipped:
        warnings.warn(
            f"{path}: {len(skipped)} of {len(rows)} SMILES are left out: {'; '.join(skipped[:3])}", stacklevel=2
        )
    more = {"names": tuple(row[smiles].strip() for row in kept), "skipped": tuple(skipped)}
    texts = tuple(row[chosen].strip() for row in kept)
    if close is not None:
        return _compared(path, chosen, texts, close, graphs=graphs, more=more)
    classes = tuple(sorted(set(texts)))
    return LabelledGraphs.of(graphs, torch.tensor([classes.index(text) for text in texts]), classes, **more)


def _compared(
    path: Path, chosen: str, texts: tuple[str, ...], close: float, *, graphs: list[Any], more: dict[str, Any]
) -> LabelledGraphs:
    """Molecules whose targets are numbers."""
    if not 0 <= close < float("inf"):
        raise ValueError(f"close={close:g}: the largest difference of two targets that count as the same is needed")
    wrong = next((text for text in texts if numbers_of([text]) is None), None)
    if wrong is not None:
        raise ValueError(f"{path}: close={close:g} compares numbers, and column {chosen!r} holds {wrong!r}")
    found = target_of(Table(path, {chosen: texts}, tuple(range(len(texts)))), chosen, most=0)
    return LabelledGraphs.of(graphs, found.labels, found.classes, numbers=found.numbers, width=close, **more)


def molecule(smiles: str) -> Any:
    """A molecule as a PyG graph with one-hot features of atoms and bonds and its ``smiles``, or None if RDKit does not
    take it.
    """
    from torch_geometric.utils import from_rdmol

    with rdBase.BlockLogs():  # bad ones are counted and named by us
        found = Chem.MolFromSmiles(smiles) if smiles and len(smiles.splitlines()) == 1 else None
    if found is None or not found.GetNumAtoms():
        return None
    graph = from_rdmol(found)
    graph.x, graph.edge_attr = _one_hot(graph.x, "x_map"), _one_hot(graph.edge_attr, "e_map")
    graph.smiles = smiles  # pictures draw it
    return graph


def _one_hot(values: Tensor, which: str) -> Tensor:
    """PyG's categorical features, one after the other, each one-hot."""
    from torch_geometric.utils import smiles

    sizes = [len(options) for options in getattr(smiles, which).values()]
    return torch.cat(
        [torch.nn.functional.one_hot(column, size) for column, size in zip(values.long().T, sizes, strict=True)], 1
    ).float()


def _smiles(path: Path, rows: list[dict[str, str]], given: str | None) -> str:
    """The column of SMILES: the given one, or the one that is called so; never guessed by what it holds."""
    columns = list(rows[0]) if rows else []
    if given is not None and given in columns:
        return given
    named = [name for name in columns if name.lower() in NAMES]
    if given is None and ("smiles" in columns or len(named) == 1):
        return "smiles" if "smiles" in columns else named[0]
    few = named or [
        name for name in columns if all(molecule((row[name] or "").strip()) is not None for row in rows[:20])
    ]
    told = f"; RDKit reads {', '.join(few[:5])}" if few else ""
    raise ValueError(
        f"{path} has no column {given or 'smiles'!r}: a column of SMILES is needed, --smiles COLUMN says which{told}; "
        f"found {_few(columns) or 'nothing'}"
    )


def _few(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _column(path: Path, rows: list[dict[str, str]], target: str | None, smiles: str, most: int) -> str:
    counts = {name: len({row[name] for row in rows}) for name in rows[0] if name != smiles}
    if target is None:
        few = [name for name, count in counts.items() if 1 < count <= 10]
        if len(few) != 1:
            told = _few([f"{name} ({counts[name]})" for name in few or counts])
            raise ValueError(
                f"{path}: which column has the classes? say it with --target; columns and how many values they have: "
                f"{told}"
            )
        return few[0]
    if target not in counts:
        raise ValueError(f"{path} has no column {target!r}; found {_few(list(counts))}")
    if counts[target] > most:
        raise ValueError(
            f"{path}: {target!r} has {counts[target]} different values in {len(rows)} rows: classes are needed, at "
            f"most {most}; --close X takes numbers, and two molecules as the same whose numbers differ by at most X"
        )
    return target
