"""What a right explanation of a pair must find, known without annotators: the atoms that two molecules share, the words
that an edit leaves, the part of each column in a formula, and the bonds of a set that comes with its truth.

:func:`~xsiamese.measure` takes them as ``truth=``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GROUPS = {"NO2": "[$([NX3](=O)=O),$([NX3+](=O)[O-])](~[OX1])~[OX1]", "NH2": "[NX3;H2]"}
"""Groups that make molecules mutagenic (Kazius et al. 2005), as SMARTS."""


def shared_atoms(first: str, second: str, seconds: int = 10) -> tuple[Tensor, Tensor]:
    """Which atoms of two molecules are in their maximum common substructure, of whole rings: 1, else 0.

    Args:
        first, second: SMILES; atoms stand as in :func:`~xsiamese.data.molecules.molecule`.
        seconds: how long to look for it.

    Raises:
        ValueError: if RDKit does not take a SMILES, or the search did not end in time.

    Example:
        >>> [side.tolist() for side in shared_atoms("Cc1ccccc1", "Oc1ccccc1")]
        [[0, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]]
    """
    from rdkit.Chem import MolFromSmarts, rdFMCS

    molecules = [_molecule(smiles) for smiles in (first, second)]
    found = rdFMCS.FindMCS(molecules, ringMatchesRingOnly=True, completeRingsOnly=True, timeout=seconds)
    if found.canceled:
        raise ValueError(f"{first} and {second}: their common part was not found in {seconds} s: give more seconds=")
    if not found.numAtoms:
        return _marked(molecules[0], ()), _marked(molecules[1], ())
    pattern = MolFromSmarts(found.smartsString)
    a, b = (_marked(one, one.GetSubstructMatch(pattern)) for one in molecules)
    return a, b


def group_atoms(smiles: str, patterns: Sequence[str] = tuple(GROUPS.values())) -> Tensor:
    """Which atoms of a molecule are in one of some groups: 1, else 0.

    Args:
        smiles: the molecule.
        patterns: the groups as SMARTS; nitro and amino groups if left out.

    Raises:
        ValueError: if RDKit does not take the SMILES, or a pattern.

    Example:
        >>> group_atoms("Nc1ccccc1").tolist()
        [1, 0, 0, 0, 0, 0, 0]
    """
    from rdkit.Chem import MolFromSmarts

    one, atoms = _molecule(smiles), []
    for text in patterns:
        pattern = MolFromSmarts(text)
        if pattern is None:
            raise ValueError(f"{text!r} is no SMARTS that RDKit takes")
        atoms += [atom for match in one.GetSubstructMatches(pattern) for atom in match]
    return _marked(one, atoms)


def edge_truth(raw: str | Path) -> list[tuple[Tensor, Tensor]]:
    """The edges of each graph of a TUDataset, shape (2, edges), and which of them are in what decides, as the file
    ``<name>_edge_gt.txt`` beside the others says; Mutagenicity has one, of its NO2 and NH2 groups.

    Args:
        raw: the folder of the text files.

    Raises:
        ValueError: if there is no such file, or it has another number of lines than there are edges.
    """
    folder = Path(raw)
    paths = sorted(folder.glob("*_edge_gt.txt"))
    if len(paths) != 1:
        raise ValueError(
            f"{folder} has {len(paths)} files *_edge_gt.txt: the one that says which edges decide is needed"
        )
    name = paths[0].name.removesuffix("_edge_gt.txt")

    def column(what: str) -> Tensor:
        return torch.from_numpy(np.loadtxt(folder / f"{name}_{what}.txt", delimiter=",", dtype=np.int64, ndmin=1))

    edges, owner, truth = column("A").reshape(-1, 2).T - 1, column("graph_indicator") - 1, column("edge_gt")
    if len(truth) != edges.shape[1]:
        raise ValueError(f"{paths[0]} has {len(truth)} lines for {edges.shape[1]} edges")
    nodes = torch.bincount(owner)
    starts = nodes.cumsum(0) - nodes  # the first node of each graph
    of_edge = owner[edges[0]]
    rows = torch.split(of_edge.argsort(stable=True), torch.bincount(of_edge, minlength=len(nodes)).tolist())
    return [(edges[:, own] - starts[i], truth[own]) for i, own in enumerate(rows)]


def edit_truth(first: Sequence[Hashable], second: Sequence[Hashable]) -> tuple[Tensor, Tensor]:
    """What an edit of one sequence into the other leaves: 1 for what every shortest edit (insert, delete, replace)
    leaves, -1 for what every one changes, 0 for what depends on which one is taken.

    Example:
        >>> edit_truth("the cat sat".split(), "the dog sat".split())
        (tensor([ 1, -1,  1]), tensor([ 1, -1,  1]))
    """
    n, m = len(first), len(second)
    ahead = _distances(first, second)
    behind = _distances(first[::-1], second[::-1])[::-1, ::-1]  # [i, j]: what is left to do from i and j on
    shortest = ahead[n, m]
    left, changed = np.zeros((2, max(n, m)), bool), np.zeros((2, max(n, m)), bool)
    for i in range(n + 1):
        for j in range(m + 1):
            both = i < n and j < m
            if both and ahead[i, j] + (first[i] != second[j]) + behind[i + 1, j + 1] == shortest:
                which = left if first[i] == second[j] else changed
                which[0, i] = which[1, j] = True
            if i < n and ahead[i, j] + 1 + behind[i + 1, j] == shortest:
                changed[0, i] = True
            if j < m and ahead[i, j] + 1 + behind[i, j + 1] == shortest:
                changed[1, j] = True
    signs = torch.from_numpy(left.astype(np.int64) - changed.astype(np.int64))
    return signs[0, :n], signs[1, :m]


def formula_truth(formula: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The exact part of each column in how far apart a formula puts two rows: Shapley values of the game that is played
    by the columns that are b's, worth ``-|f(a) - f(.)|``; negative where a column sets the two apart.

    Args:
        formula: of rows (rows, columns), shape (rows,).
        a, b: rows, shape (pairs, columns).

    Returns:
        One value a column, shape (pairs, columns); they sum to ``-|f(a) - f(b)|``.

    Raises:
        ValueError: for more than 16 columns, of which there are too many subsets.

    Example:
        >>> a, b = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 5.0, 3.0]])
        >>> formula_truth(lambda rows: rows.sum(1), a, b)
        tensor([[ 0., -3.,  0.]])
    """
    columns = a.shape[1]
    if columns > 16:
        raise ValueError(f"{columns} columns have {2**columns} subsets: at most 16 columns are needed")
    subsets = [frozenset(one) for size in range(columns + 1) for one in combinations(range(columns), size)]
    at = formula(a)
    worth = {}
    for one in subsets:
        taken = torch.tensor([k in one for k in range(columns)])
        worth[one] = -(at - formula(torch.where(taken, b, a))).abs()
    found = torch.zeros_like(a)
    for k in range(columns):
        for one in subsets:
            if k not in one:
                weight = 1 / (columns * comb(columns - 1, len(one)))
                found[:, k] += weight * (worth[one | {k}] - worth[one])
    return found


def _molecule(smiles: str) -> Any:
    """What RDKit makes of a SMILES."""
    from xsiamese.data.molecules import molecule

    if molecule(smiles) is None:
        raise ValueError(f"{smiles!r} is no SMILES that RDKit takes")
    from rdkit.Chem import MolFromSmiles

    return MolFromSmiles(smiles)


def _marked(molecule: Any, atoms: Sequence[int]) -> Tensor:
    found = torch.zeros(molecule.GetNumAtoms(), dtype=torch.long)
    found[list(atoms)] = 1
    return found


def _distances(first: Sequence[Hashable], second: Sequence[Hashable]) -> np.ndarray[Any, Any]:
    """The edit distance of the first i and j of two sequences, at [i, j]."""
    found = np.zeros((len(first) + 1, len(second) + 1), int)
    found[:, 0], found[0] = range(len(first) + 1), range(len(second) + 1)
    for i, x in enumerate(first):
        for j, y in enumerate(second):
            found[i + 1, j + 1] = min(found[i, j] + (x != y), found[i, j + 1] + 1, found[i + 1, j] + 1)
    return found
