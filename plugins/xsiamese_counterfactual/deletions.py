"""The fewest parts of two graphs whose deletion crosses the threshold: all sets of a few, a beam beyond, needless ones
put back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Decision, PairBatch, of_side, values_without

AT_ONCE = 4096  # sets that are scored between two looks at the keyboard and the bar
Delete = Literal["edges", "nodes", "both"]


class Part(NamedTuple):
    """A node or an edge of one of the two graphs.

    Attributes:
        side: 0 for a, 1 for b.
        nodes: the node, or both ends of the edge.
        number: which of the side's nodes or edges.
    """

    side: int
    nodes: tuple[int, ...]
    number: int

    @property
    def is_edge(self) -> bool:
        return len(self.nodes) == 2


class Deletions:
    """What may be deleted from one pair of graphs, and the closeness that is left.

    A set of deletions is a row of booleans, one for each of ``parts``.

    Args:
        pair: a single pair of graphs.
        delete: "edges"; "nodes", each with its edges; or "both", where a node can go once its edges are gone.

    Attributes:
        parts: what may be deleted from the sides that move.
    """

    def __init__(self, pair: PairBatch, delete: Delete) -> None:
        self.pair = pair
        self.graphs = graphs = (of_side(pair.a, "a"), of_side(pair.b, "b"))
        self.parts: list[Part] = []
        for side in pair.objective.moving:
            ends = graphs[side].ends.tolist()
            self.parts += [Part(side, (u, v), k) for k, (u, v) in enumerate(ends)] if delete != "nodes" else []
            self.parts += [Part(side, (k,), k) for k in range(graphs[side].nodes)] if delete != "edges" else []
        self.needed = torch.zeros(len(self.parts), len(self.parts), dtype=torch.bool)
        if delete == "both":
            for i, node in enumerate(self.parts):
                for j, edge in enumerate(self.parts):
                    self.needed[i, j] = (
                        edge.is_edge and not node.is_edge and edge.side == node.side and node.nodes[0] in edge.nodes
                    )

    def allowed(self, sets: Tensor) -> Tensor:
        """The sets that leave each graph a node, and in which no node has gone before its edges."""
        orphaned = (sets.float() @ self.needed.T.float()) < self.needed.sum(1)
        good = ~(sets & orphaned).any(1)
        for side in (0, 1):
            good &= (self.masks(sets, side)[0].sum(1) < self.graphs[side].nodes).cpu()
        return sets[good]

    def masks(self, sets: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """The nodes and the edges of one graph that go, a row for each set."""
        nodes, edges = self.graphs[side].none(len(sets))
        for column, part in enumerate(self.parts):
            if part.side == side:
                (edges if part.is_edge else nodes)[:, part.number] = sets[:, column].to(nodes.device)
        return nodes, edges

    def closeness(self, sets: Tensor) -> Tensor:
        """The closeness after each set of deletions."""
        return values_without(self.pair, self.graphs, (self.masks(sets, 0), self.masks(sets, 1))).double().cpu()

    def closeness_of(self, a: Any, b: Any) -> Tensor:
        """The closeness of one pair of graphs as the model itself gives it."""
        with torch.no_grad():
            score: Tensor = self.pair.model.explained(a, b, *self.pair.extra).reshape(-1)
        return self.pair.model.closeness(score).double().cpu()


@dataclass(frozen=True)
class Outcome:
    """The best set of deletions, in the order in which they are made, and how sure it is.

    Attributes:
        order: the columns of the set.
        flipped: whether it crosses the threshold.
        fewest: whether all smaller sets were tried, so that no fewer deletions do.
        tried: up to how many deletions all sets were tried.
        stopped: why the search ended before its end, if it did.
    """

    order: list[int]
    flipped: bool
    fewest: bool
    tried: int
    stopped: str = ""


def fewest(
    options: Deletions,
    decision: Decision,
    most: int,
    exact: int,
    *,
    budget: int,
    beam: int,
    evaluations: int = 100_000,
    show_progress: bool = False,
) -> Outcome:
    """The smallest set that flips the decision, or else the one that comes nearest.

    Args:
        options: what may be deleted.
        decision: what is to flip.
        most: the most deletions.
        exact: up to how many deletions all sets are tried.
        budget: how many sets the trying of all may cost.
        beam: how many sets are carried on beyond.
        evaluations: how many sets are scored at most; the best found until then is the outcome, as after Ctrl-C.
        show_progress: whether the bar is shown where there is no terminal, too.
    """
    count = len(options.parts)
    best = kept = torch.zeros(1, count, dtype=torch.bool)
    start = options.closeness(best)
    goal = Goal(options, decision, bool(decision.alike(start)))
    reached, tried, stopped = float(goal.progress(best)), 0, ""
    bar = tqdm(
        total=evaluations, desc="sets of deletions", unit="set", delay=2, leave=False, disable=not show_progress or None
    )
    with bar:
        for size in range(1, min(most, count) + 1):
            everything = size <= exact and tried == size - 1 and (cost := comb(count, size)) <= min(budget, evaluations)
            if everything:
                # every combination of that size, as one row of marks
                sets = torch.zeros(cost, count, dtype=torch.bool).scatter_(
                    1, torch.combinations(torch.arange(count), size), True
                )
                budget = budget - cost
            else:
                # each kept set with one more deletion that it has not; two sets may grow into the same
                sets = torch.unique((kept[:, None] | torch.eye(count, dtype=torch.bool))[~kept], dim=0)
            sets = options.allowed(sets)
            if not len(sets):
                tried = count if everything else tried
                break
            gained, stopped = scored(goal, sets, evaluations, bar)
            evaluations -= len(sets)
            tried = size if everything and not stopped else tried
            top = gained.topk(min(beam, len(sets))).indices
            kept = sets[top]
            if float(gained[top[0]]) > reached:
                best, reached = kept[:1], float(gained[top[0]])
            if goal.met(reached):
                chosen = best[0] if everything else pruned(options, goal, best[0])
                return Outcome(ordered(options, goal, chosen), True, int(chosen.sum()) <= tried + 1, tried)
            if stopped:
                break
    return Outcome(ordered(options, goal, best[0]), False, False, tried, stopped)


def scored(goal: Goal, sets: Tensor, room: int, bar: Any) -> tuple[Tensor, str]:
    """How far each set gets, minus infinity for those that were not scored, and why some were not."""
    gained = torch.full((len(sets),), -torch.inf, dtype=torch.float64)
    try:
        for start in range(0, min(len(sets), room), AT_ONCE):
            rows = slice(start, min(start + AT_ONCE, room))
            gained[rows] = goal.progress(sets[rows])
            bar.update(len(sets[rows]))
    except KeyboardInterrupt:
        return gained, "it was interrupted"
    return gained, "the evaluations were spent" if room < len(sets) else ""


@dataclass(frozen=True)
class Goal:
    """The other side of the threshold."""

    options: Deletions
    decision: Decision
    alike: bool

    def progress(self, sets: Tensor) -> Tensor:
        """How far beyond the threshold each set of deletions brings the pair; a score that is no number is nowhere."""
        gained = self.decision.progress(self.options.closeness(sets), self.alike)
        return torch.where(gained.isnan(), -torch.inf, gained)

    def met(self, progress: float) -> bool:
        """Whether that is on the other side; on the threshold itself is alike."""
        return progress > 0 if self.alike else progress >= 0


def pruned(options: Deletions, goal: Goal, chosen: Tensor) -> Tensor:
    """The set without what is not needed, the least useful put back first."""
    while int(chosen.sum()) > 1:
        sets = options.allowed(chosen & ~torch.eye(len(chosen), dtype=torch.bool)[chosen])
        if not len(sets):
            break
        gained = goal.progress(sets)
        if not goal.met(float(gained.max())):
            break
        chosen = sets[gained.argmax()]
    return chosen


def ordered(options: Deletions, goal: Goal, chosen: Tensor) -> list[int]:
    """The members of a set, each the one that gains most after those before it."""
    done, order = torch.zeros_like(chosen), list[int]()
    while int(done.sum()) < int(chosen.sum()):
        sets = options.allowed((done | torch.eye(len(chosen), dtype=torch.bool))[chosen & ~done])
        following = sets[goal.progress(sets).argmax()]
        # the one place that is new
        order.append(int((following & ~done).nonzero()))
        done = following
    return order
