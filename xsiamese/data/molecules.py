"""Molecules from a table of SMILES, read by RDKit."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.data.graphs import LabelledGraphs
from xsiamese.door.files import regular

try:
    from rdkit import Chem, rdBase
except ImportError as error:
    raise ImportError('SMILES need RDKit: pip install "xsiamese[graph]"') from error


def read_smiles(path: Path, target: str | None = None, smiles: str = "smiles", most: int = 50) -> LabelledGraphs:
    """Reads a CSV with a column of SMILES and a column of classes.

    Args:
        path: the table.
        target: the column of classes; if left out, the only column with at most ten different values.
        smiles: the column of SMILES.
        most: the most classes.

    SMILES that RDKit does not take, and those without atoms, are left out, counted and named with their line in
    ``skipped``.

    Raises:
        ValueError: for missing columns, a column that has too many values for classes, or no readable molecule.
    """
    try:
        with regular(path, "a table").open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    columns = list(rows[0]) if rows else []
    if smiles not in columns:
        raise ValueError(
            f"{path} has no column {smiles!r}: a column of SMILES is needed, found {', '.join(columns) or 'nothing'}"
        )
    chosen = _column(path, rows, target, smiles, most)
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
    classes = tuple(sorted({row[chosen].strip() for row in kept}))
    labels = torch.tensor([classes.index(row[chosen].strip()) for row in kept])
    return LabelledGraphs.of(
        graphs, labels, classes, names=tuple(row[smiles].strip() for row in kept), skipped=tuple(skipped)
    )


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


def _column(path: Path, rows: list[dict[str, str]], target: str | None, smiles: str, most: int) -> str:
    counts = {name: len({row[name] for row in rows}) for name in rows[0] if name != smiles}
    if target is None:
        few = [name for name, count in counts.items() if 1 < count <= 10]
        if len(few) != 1:
            told = ", ".join(f"{name} ({count})" for name, count in counts.items())
            raise ValueError(
                f"{path}: which column has the classes? say it with --target; columns and how many values they have: "
                f"{told}"
            )
        return few[0]
    if target not in counts:
        raise ValueError(f"{path} has no column {target!r}; found {', '.join(counts)}")
    if counts[target] > most:
        raise ValueError(
            f"{path}: {target!r} has {counts[target]} different values in {len(rows)} rows: classes are needed, at "
            f"most {most}"
        )
    return target
