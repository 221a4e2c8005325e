"""The picture of an explanation of graphs: molecules, brains or any other graphs, a row a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xsiamese.structure import some_graphs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xsiamese.explanation import PairExplanation


def plot_explained(explanation: PairExplanation, *, title: str = "") -> Figure:
    """Both graphs with their signed values on one scale: of nodes (summed over their features) and of edges.

    A graph that carries its ``smiles`` is drawn as a molecule; one whose nodes have the rows of a matrix as features as a connectome, a value for each
    connection. Others are laid out.

    Args:
        explanation: of graphs; of several pairs the first eight, of molecules and connectomes one.
        title: above the picture; the method and the score by default.

    Raises:
        ValueError: if there are no values of nodes or edges, or several pairs of molecules or connectomes.
    """
    pairs = [tuple(some_graphs(side, range(i, i + 1)) for side in explanation.maps) for i in range(min(len(explanation), 8))]
    given = [tuple(some_graphs(side, range(i, i + 1)) for side in explanation.inputs) for i in range(min(len(explanation), 8))]
    heading = title or f"{explanation.method}: " + ", ".join(f"{float(score):.3g}" for score in explanation.scores[:8])
    named = explanation.ids or [("a", "b")] * len(pairs)
    smiles = [side.get("smiles") for side in explanation.inputs]
    if all(smiles) or all(_is_matrix(graph) for graph in pairs[0]):
        if len(explanation) > 1:
            raise ValueError(f"molecules and connectomes are drawn one pair at a time, and there are {len(explanation)}: plot(pair=0)")
        draw = _molecules if all(smiles) else _connectomes
        return draw(pairs[0], smiles, named[0], heading)
    from xsiamese.plot.graph import Coloured, plot_graphs

    rows = [
        tuple(Coloured(_single(graph), _nodes(mask), mask.get("edge_mask"), title=str(name)) for mask, graph, name in zip(masks, graphs, names, strict=True))
        for masks, graphs, names in zip(pairs, given, named, strict=False)
    ]
    ends = ("", "effect") if explanation.unsigned else ("apart", "together")
    return plot_graphs(rows, title=heading, ends=ends)  # type: ignore[arg-type]


def _molecules(masks: Any, smiles: Any, names: tuple[str, str], title: str) -> Figure:
    from xsiamese.plot.molecule import plot_molecules

    atoms = [_nodes(mask) for mask in masks]
    if all(values is None for values in atoms):
        raise ValueError("there are no values of atoms: explain the nodes")
    return plot_molecules([one[0] for one in smiles], atoms, titles=names, title=title)


def _connectomes(masks: Any, smiles: Any, names: tuple[str, str], title: str) -> Figure:
    from xsiamese.plot.connectome import plot_connectomes

    return plot_connectomes([mask.node_mask for mask in masks], titles=names, title=title)


def _single(graph: Any) -> Any:
    """A graph that is in no batch."""
    from torch_geometric.data import Data

    return Data(x=graph.x, edge_index=graph.edge_index)


def _nodes(mask: Any) -> Tensor | None:
    values = mask.get("node_mask")
    return None if values is None else values.detach().flatten(1).sum(1).cpu()


def _is_matrix(mask: Any) -> bool:
    values = mask.get("node_mask")
    weighted = mask.get("edge_weight") is not None
    return values is not None and weighted and values.dim() == 2 and values.shape[0] == values.shape[1] and isinstance(values, torch.Tensor)
