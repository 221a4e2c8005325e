"""Graph counterfactuals: the fewest edges or nodes whose deletion, in either graph, flips the decision."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from xsiamese.author import AtLeast, Decision, Found, PairBatch, Side, of_side
from xsiamese_counterfactual.decision import unclamped
from xsiamese_counterfactual.deletions import Delete, Deletions, Outcome, Part, fewest
from xsiamese_counterfactual.result import Counterfactual, Edit
from xsiamese_counterfactual.search import SIDE_NAMES, PairCounterfactual, pairs_of

EITHER = 2
SIDES: dict[tuple[int, ...], Literal["a", "b", "both"]] = {(): "both", (0,): "a", (1,): "b", (0, 1): "both"}


class PairGraphEdits(PairCounterfactual):
    r"""Counterfactual by deletion: the fewest edges or nodes without which the decision on two graphs is another.

    All sets of one, two and three deletions are tried as long as ``budget`` allows, which is exact: no fewer flip the
    decision. Beyond that the ``beam`` best sets are extended by one deletion after the other, and deletions that turn
    out to be needless are undone. The candidates of a step are one batch; a factored model encodes each different
    variant of each graph once. The edited graphs are then built anew and scored by the model itself.

    Unlike the other counterfactuals, with ``wrt="both"`` deletions may be spread over both graphs: an edge that b has
    too little is one that a has too much. For graphs without labels the fewest deletions (``delete="both"``) that make
    two graphs the same are their edit distance.

    Example:
        >>> from torch_geometric.data import Batch, Data
        >>> from xsiamese import PairGraphEdits
        >>> ring = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]])
        >>> square = Data(x=torch.ones(4, 1), edge_index=ring)
        >>> path = Data(x=torch.ones(4, 1), edge_index=torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]]))
        >>> def edges(batch):
        ...     return torch.bincount(batch.batch[batch.edge_index[0]], minlength=batch.num_graphs).float() / 2
        >>> search = PairGraphEdits(lambda a, b: (edges(a) - edges(b)).abs(), threshold=0.5, higher_is_closer=False)
        >>> found = search.find((Batch.from_data_list([square]), Batch.from_data_list([path])))[0]
        >>> found.flipped, found.count, found.side
        (True, 1, 'a')
    """

    name = "graph_edits"
    formula = (
        r"\min_{D_a, D_b} |D_a| + |D_b| \;\text{s.t.}\; [s(G_a \setminus D_a, G_b \setminus D_b) \ge \tau] "
        r"\ne [s(G_a, G_b) \ge \tau]"
    )
    reference = ("lucic2022",)
    modalities: ClassVar[frozenset[str]] = frozenset({"graph"})
    known_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges")
    removes: ClassVar[bool] = True
    symmetric: ClassVar[bool] = False  # of sets that do equally well the first is taken

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Found:
        """What flips each decision, and the closeness that each deletion takes away: on the edges, or shared between
        their ends where nodes are asked for.
        """
        moving = batch.objective.moving
        with unclamped():
            found = self.search(batch, self.decision(), moving[0] if len(moving) == 1 else EITHER, **options)
        maps = []
        for side, name in ((batch.a, "a"), (batch.b, "b")):
            rows = [spread_on(one, side.slice(i, i + 1), name) for i, one in enumerate(found)]
            maps.append(side.result([torch.cat(column) for column in zip(*rows, strict=True)]))
        return Found((maps[0], maps[1]), columns={"counterfactuals": found})

    def search(
        self,
        batch: PairBatch,
        decision: Decision,
        side: int,
        *,
        delete: Delete = "edges",
        most: int = 10,
        exact: Annotated[int, AtLeast(0)] = 3,
        budget: Annotated[int, AtLeast(0)] = 20_000,
        beam: int = 8,
        evaluations: Annotated[int, AtLeast(0)] = 100_000,
    ) -> list[Counterfactual]:
        """Deletes edges and nodes.

        Args:
            batch: the pairs.
            decision: what is to flip.
            side: which graph deletions may be in, 0 for a, 1 for b, 2 for either.
            delete: "edges", an undirected one as a whole; "nodes", each with all its edges; "both": edges, and nodes
                that have no edge left.
            most: the most deletions. One node is always left.
            exact: up to how many deletions all sets are tried.
            budget: how many sets that may cost for each pair; what it does not suffice for is left to the beam.
            beam: how many sets are carried on beyond.
            evaluations: how many sets are scored at most for each pair. What is best then is the result, and so it is
                after Ctrl-C; pairs that were not begun are left as they are.

        Raises:
            TypeError: if the inputs are no graphs.
        """
        found = []
        batch = batch if side == EITHER else batch.one_sided("second" if side else "first")
        for one in pairs_of(batch, type(self).__name__):
            options = Deletions(one, delete)
            best = fewest(
                options,
                decision,
                most,
                exact,
                budget=budget,
                beam=beam,
                evaluations=evaluations,
                show_progress=batch.show_progress,
            )
            if "interrupted" in best.stopped:
                evaluations = 0
            found.append(verified(options, decision, best, most, delete))
        return found


def verified(options: Deletions, decision: Decision, found: Outcome, most: int, delete: Delete) -> Counterfactual:
    """The result as the model itself sees it, on graphs built anew."""
    from torch_geometric.data import Batch

    steps = torch.zeros(len(found.order) + 1, len(options.parts), dtype=torch.bool)
    for i, column in enumerate(found.order):
        steps[i + 1 :, column] = True
    sides = (0, 1)
    graphs = [
        [options.graphs[side].without(*options.masks(rows[None], side)).to_data_list()[0] for side in sides]
        for rows in (steps[0], steps[-1])
    ]
    before, edited = ((Batch.from_data_list([pair[0]]), Batch.from_data_list([pair[1]])) for pair in graphs)
    scores = [float(decision.score(options.closeness_of(*pair))) for pair in (before, edited)]
    path = decision.score(options.closeness(steps))[1:].tolist()
    edits = tuple(edit(options.parts[column], score) for column, score in zip(found.order, path, strict=True))
    closeness = decision.closeness(torch.tensor(scores))
    flipped = bool(decision.flipped(closeness[1:], bool(decision.alike(closeness[:1]))))
    touched = {options.parts[column].side for column in found.order}
    count = sum(not touched or part.side in touched for part in options.parts)
    return Counterfactual(
        kind="graph",
        side=SIDES[tuple(sorted(touched))],
        flipped=flipped,
        score_before=scores[0],
        score_after=scores[1],
        threshold=decision.threshold,
        higher_is_closer=decision.higher_is_closer,
        edits=edits,
        count=len(edits),
        size=len(edits) / max(count, 1),
        inputs=before,
        edited=edited,
        reason="" if flipped else why(found, most, len(options.parts), delete),
    )


def spread_on(found: Counterfactual, side: Side, name: str) -> list[Tensor]:
    """The closeness lost with each deletion, as a map of each part of one graph that is explained."""
    graph = of_side(side, name)
    ends = graph.ends
    nodes, edges = (torch.zeros(n, dtype=torch.float64, device=ends.device) for n in (graph.nodes, len(ends)))
    for one, start, end in zip(found.edits, found.path, found.path[1:], strict=False):
        lost = found.decision.closeness(start - end)
        if one.side == name and len(one.where) == 1:
            nodes[one.where[0]] += lost
        elif one.side == name:
            edges[(ends == ends.new_tensor(one.where)).all(1)] += lost
    return graph.on(side, nodes, edges)


def why(found: Outcome, most: int, count: int, delete: Delete) -> str:
    """Why nothing flipped."""
    parts = {"edges": "edges", "nodes": "nodes", "both": "edges and nodes"}[delete]
    if not count:
        return f"there are no {parts} to delete"
    if found.flipped:
        return "the flip that the search saw is within the rounding of the model"
    if found.tried >= min(most, count):
        return f"no set of up to {min(most, count)} of the {count} {parts} does it: all were tried"
    told = f"no set of up to {min(most, count)} of the {count} {parts} was found"
    told += f"; all sets of up to {found.tried} were tried"
    return f"{told}, and then {found.stopped}" if found.stopped else told


def edit(part: Part, score: float) -> Edit:
    """A deletion as the result tells it."""
    side = SIDE_NAMES[part.side]
    what = f"edge {part.nodes[0]} - {part.nodes[1]}" if part.is_edge else f"node {part.nodes[0]}"
    return Edit(part.nodes, None, None, None, score, f"{what} of {side}", side)
