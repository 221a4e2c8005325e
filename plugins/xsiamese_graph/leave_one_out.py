"""Leave one out: what a similarity loses without one part, for any similarity and any parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Decision, PairAttribution, PairBatch, of_side, values_without

View = Callable[[Any, int], Any]


def leave_one_out(
    score: Callable[[Any, Any], Any],
    items: tuple[Any, Any],
    without: View | tuple[View, View],
    parts: Callable[[Any], int],
    *,
    higher_is_closer: bool = True,
    show_progress: bool = False,
) -> tuple[Tensor, Tensor]:
    r"""What each part of two items adds to how alike they are, by leaving it out.

    .. math:: w_i = s(a, b) - s(a \setminus i, b), \qquad v_j = s(a, b) - s(a, b \setminus j)

    The similarity is a black box: any function of two items. Nothing is differentiated, and the parts need not be parts
    of a graph.

    Args:
        score: a number for two views of items.
        items: a and b.
        without: ``without(item, i)`` is the view of an item that lacks its part i, ``without(item, -1)`` that of the
            whole item; the convention of RDKit's fingerprint functions. Two functions if the sides differ.
        parts: how many parts an item has.
        higher_is_closer: False if the score is a distance; values are about closeness, as everywhere.
        show_progress: shows a bar over the parts.

    Returns:
        One value for each part of a, shape (parts,), and of b, in the unit of the score, as float64.

    Example:
        >>> def shared(a, b):
        ...     return len(set(a) & set(b)) / len(set(a) | set(b))
        >>> def without(word, i):
        ...     return word if i < 0 else word[:i] + word[i + 1 :]
        >>> leave_one_out(shared, ("can", "cat"), without, len)[0].tolist()
        [0.25, 0.25, -0.16666666666666663]
    """
    views = without if isinstance(without, tuple) else (without, without)
    sign = Decision(0.0, higher_is_closer).closeness(1.0)
    whole = [view(item, -1) for view, item in zip(views, items, strict=True)]
    base = float(score(*whole))
    counts = [parts(item) for item in items]
    values = (torch.zeros(counts[0], dtype=torch.float64), torch.zeros(counts[1], dtype=torch.float64))
    places = [(side, i) for side in (0, 1) for i in range(counts[side])]
    for side, i in tqdm(places, desc="leave_one_out", unit="part") if show_progress else places:
        less = views[side](items[side], i)
        values[side][i] = sign * (base - float(score(less, whole[1]) if side == 0 else score(whole[0], less)))
    return values


def fingerprint_atoms(
    a: Any, b: Any, fingerprint: View | None = None, similarity: Callable[[Any, Any], float] | None = None
) -> tuple[Tensor, Tensor]:
    """The similarity maps of RDKit (:cite:t:`riniker2013`), of both molecules: what a fingerprint similarity loses
    without the bits that an atom is part of.

    Args:
        a, b: RDKit molecules.
        fingerprint: a function of a molecule and the atom to leave out, -1 for none, such as those of
            ``rdkit.Chem.Draw.SimilarityMaps``; None takes its Morgan fingerprint of radius 2 and 2,048 bits.
        similarity: of two fingerprints; None takes Tanimoto's.

    Returns:
        A value for each atom of a and of b, as float64.

    Raises:
        ImportError: if rdkit is not installed.

    Example:
        >>> from rdkit import Chem
        >>> benzene, pyridine = Chem.MolFromSmiles("c1ccccc1"), Chem.MolFromSmiles("c1ccncc1")
        >>> from rdkit.Chem.Draw.SimilarityMaps import GetAPFingerprint
        >>> len(fingerprint_atoms(benzene, pyridine, GetAPFingerprint)[1])
        6
    """
    try:
        from rdkit import Chem, DataStructs
        from rdkit.Chem.Draw.SimilarityMaps import GetMorganFingerprint
    except ImportError as error:
        raise ImportError('fingerprints need rdkit: pip install "xsiamese[graph]"') from error
    copies = (
        Chem.Mol(a),
        Chem.Mol(b),
    )  # RDKit's functions leave notes on a molecule, which must neither be old nor stay
    return leave_one_out(
        similarity or DataStructs.TanimotoSimilarity,
        copies,
        fingerprint or GetMorganFingerprint,
        lambda molecule: molecule.GetNumAtoms(),
    )


class PairLeaveOneOut(PairAttribution):
    r"""What the score loses without one node, or one edge, of either graph.

    .. math:: w_v = s(G_a, G_b) - s(G_a \setminus v, G_b)

    With ``parts="nodes"`` a node is taken away with all its edges, with ``parts="edges"`` an edge with both of its
    directions, each of which gets half of the value. The graph really lacks the part: nothing is set to zero, and the
    model may be any function of two batches of graphs. All variants of a pair are one batch, and a factored model
    encodes each only once.

    It is exact for what it asks, and blind for what has a substitute: where either of two parts is enough, leaving out
    one changes nothing.

    Example:
        >>> from torch_geometric.data import Batch, Data
        >>> from xsiamese import PairLeaveOneOut
        >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> path = Batch.from_data_list([Data(x=torch.ones(3, 1), edge_index=edges)])
        >>> def edges(batch):
        ...     return torch.bincount(batch.batch[batch.edge_index[0]], minlength=batch.num_graphs).float() / 2
        >>> first, second = PairLeaveOneOut(lambda a, b: edges(a) * edges(b)).attribute((path, path))
        >>> first.node_mask.flatten().tolist()
        [2.0, 4.0, 2.0]
    """

    name = "leave_one_out"
    formula = r"w_v = s(G_a, G_b) - s(G_a \setminus v, G_b)"
    reference = ("riniker2013",)
    modalities: ClassVar[frozenset[str]] = frozenset({"graph"})
    known_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges")
    takes_baselines: ClassVar[bool] = False
    uses_gradients: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    removes: ClassVar[bool] = True

    def compute(self, batch: PairBatch) -> tuple[Any, Any]:
        """The loss of each part.

        Args:
            batch: the pairs.

        Raises:
            ValueError: if a graph has but one node, which cannot be left out.
        """
        pairs = batch.split(1)
        rows = [
            self._one(one)
            for one in (
                tqdm(pairs, total=batch.pairs, desc=type(self).__name__, unit="pair") if batch.show_progress else pairs
            )
        ]
        first, second = ([torch.cat(column) for column in zip(*side, strict=True)] for side in zip(*rows, strict=True))
        return batch.a.result(first), batch.b.result(second)

    def _one(self, one: PairBatch) -> tuple[list[Tensor], list[Tensor]]:
        sides = (one.a, one.b)
        graphs = (of_side(one.a, "a"), of_side(one.b, "b"))
        plan: list[tuple[int, str, int]] = []  # which rows are what
        for k in one.objective.moving:
            for part in getattr(sides[k], "parts", ()):
                if part == "nodes" and graphs[k].nodes == 1:
                    raise ValueError(
                        f"the graph of input {'ab'[k]} in pair {one.first_pair} has a single node and cannot be "
                        "without it: explain edges"
                    )
                plan.append((k, part, graphs[k].nodes if part == "nodes" else len(graphs[k].ends)))
        count = 1 + sum(length for _, _, length in plan)
        removed = (graphs[0].none(count), graphs[1].none(count))
        row = 1
        for k, part, length in plan:
            removed[k][part == "edges"][range(row, row + length), range(length)] = True
            row += length
        values = values_without(one, graphs, removed)
        lost = torch.split(values[0] - values[1:], [length for _, _, length in plan])
        found = [[values.new_zeros(graph.nodes), values.new_zeros(len(graph.ends))] for graph in graphs]
        for (k, part, _), value in zip(plan, lost, strict=True):
            found[k][part == "edges"] = value
        return graphs[0].on(sides[0], *found[0]), graphs[1].on(sides[1], *found[1])
