"""The searches for the fewest edits against brute force on heads whose values are given by a formula or a table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations, product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.problems import conv_encoder, images
from xsiamese import Decision, PairRegionSwap, SiameseModel
from xsiamese_counterfactual.changes import Placed, Pooled
from xsiamese_counterfactual.mask import hardened, regions
from xsiamese_counterfactual.moves import Algebra, Move, Moves, formula
from xsiamese_counterfactual.reach import reached
from xsiamese_counterfactual.tabular import closer, exact, greedy


class Given(Moves):
    """Moves whose closeness is any function of the set of edits."""

    def __init__(self, targets: int, sources: int, closeness: Callable[[frozenset[Move]], float]) -> None:
        self.targets, self.sources, self.of = targets, sources, closeness

    def value(self, done: list[Move]) -> float:
        return self.of(frozenset({i: (i, j) for i, j in done}.values()))  # a later edit of a cell replaces the earlier

    def values(self, done: list[Move]) -> Tensor:
        rows = [[self.value([*done, (i, j)]) for j in range(self.sources)] for i in range(self.targets)]
        return torch.tensor(rows, dtype=torch.float64)


def added(gains: list[list[float]], start: float) -> Given:
    return Given(len(gains), len(gains[0]), lambda done: start + sum(gains[i][j] for i, j in done))


@pytest.mark.parametrize("search", ["greedy", "exhaustive"])
def test_a_value_exactly_on_the_threshold_is_alike(search: Any) -> None:
    """One edit reaches the cut: that makes a different pair alike, and leaves an alike pair alike."""
    gains = [[2.0, 1.0], [1.0, 0.5]]
    assert reached(added(gains, -2.0), 0.0, False, 9, search) == ([(0, 0)], "")
    away = [[-gain for gain in row] for row in gains]
    assert reached(added(away, 2.0), 0.0, True, 9, search) == ([(0, 0), (1, 0)], "")
    done, why = reached(added([[-1.0], [-1.0]], 2.0), 0.0, True, 9, search)
    assert len(done) == 2
    assert why == "2 edits, all that are allowed, do not reach the threshold"  # both reach it, and are alike still


def test_why_a_search_ends() -> None:
    assert reached(added([[-1.0, -1.0]] * 3, 4.0), 0.0, True, 2, "greedy")[1].startswith("2 edits, all that are")
    assert reached(added([[1.0, 0.0]] * 3, 4.0), 0.0, True, 2, "greedy") == (
        [], "after 0 edits no further one moves the score towards the threshold",
    )  # fmt: skip


def test_where_no_single_edit_helps_all_cells_at_their_places_do() -> None:
    """Nothing but the whole partner flips this one: each cell from its own place, none of them needless."""
    whole = frozenset({(0, 0), (1, 1), (2, 2)})
    options = Given(3, 3, lambda done: 1.0 if done == whole else -1.0)
    assert reached(options, 0.0, False, 3, "greedy") == ([(0, 0), (1, 1), (2, 2)], "")
    assert reached(options, 0.0, False, 2, "greedy")[0] == []  # more than are allowed
    wider = Given(2, 3, lambda done: 1.0 if done == {(0, 0), (1, 1)} else -1.0)
    assert reached(wider, 0.0, False, 2, "greedy")[0] == []  # cells of another grid have no place of their own here


@pytest.mark.parametrize("alike", [False, True])
def test_found_edits_flip_and_none_is_needless_and_one_or_two_are_the_fewest(alike: bool) -> None:
    """Against all sets of edits, on tables of random numbers in which edits do not add up."""
    sizes = set[int]()
    for seed in range(40):
        draw = torch.Generator().manual_seed(seed)
        table: dict[frozenset[Move], float] = {}
        for cells in [c for size in range(4) for c in combinations(range(3), size)]:
            for chosen in product(range(2), repeat=len(cells)):
                table[frozenset(zip(cells, chosen, strict=True))] = float(torch.randn(1, generator=draw)) + len(
                    cells
                ) * (-0.5 if alike else 0.5)
        options, cut = Given(3, 2, table.__getitem__), (table[frozenset()] - 1 if alike else table[frozenset()] + 1)

        def crosses(value: float, cut: float = cut) -> bool:
            return value < cut if alike else value >= cut

        least = min((len(done) for done, value in table.items() if crosses(value)), default=None)
        for search in ("greedy", "exhaustive"):
            done, why = reached(options, cut, alike, 3, search)  # type: ignore[arg-type]
            assert crosses(options.value(done)) == (why == "")
            if crosses(options.value(done)):
                assert least is not None
                sizes.add(len(done))
                assert len(done) == least or len(done) > least >= (2 if search == "greedy" else 3)
                if len(done) > 1:
                    assert not any(crosses(options.value([*some])) for some in combinations(done, len(done) - 1))
            elif search == "exhaustive":
                assert least is None or least > 2
    assert sizes == {1, 2, 3}


@pytest.mark.parametrize("comparison", ["dot", "cosine", "euclidean", "squared_euclidean"])
@pytest.mark.parametrize("placed", [False, True])
def test_the_algebra_of_edits_is_that_of_embeddings(comparison: str, placed: bool) -> None:
    """Closeness after every edit and every two, against the comparison itself of the summed embedding."""
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        own, theirs = (torch.randn(n, 3, generator=draw, dtype=torch.float64) for n in (4, 5))
        start, other = (torch.randn(3, generator=draw, dtype=torch.float64) for _ in range(2))
        change = 3 * torch.randn(4, 5, 3, generator=draw, dtype=torch.float64)
        changes = Placed(change) if placed else Pooled(own, theirs)
        delta = change if placed else theirs[None] - own[:, None]
        model = SiameseModel(torch.nn.Identity(), comparison)

        def closeness(z: Tensor, other: Tensor = other, model: SiameseModel = model) -> Tensor:
            return model.closeness(model.comparison(z, other.expand_as(z)))

        options = Algebra(start, changes, other, closeness, formula(model.comparison, float(other @ other)))
        assert options.formula is not None
        assert torch.allclose(options.values([]), closeness((start + delta).reshape(-1, 3)).reshape(4, 5))
        done = [(1, 2)]
        after = (start + delta[1, 2] + delta).reshape(-1, 3)
        assert torch.allclose(options.values(done), closeness(after).reshape(4, 5))
        assert options.value(done) == pytest.approx(float(closeness((start + delta[1, 2])[None])))
        for sign in (-1.0, 1.0):
            two, value = options.best_two(sign)
            best = max(
                sign * float(closeness((start + delta[i, j] + delta[k, m])[None]))
                for i, k in combinations(range(4), 2)
                for j, m in product(range(5), repeat=2)
            )
            assert value == pytest.approx(best)
            assert sign * options.value(two) == pytest.approx(best)
            assert len({i for i, _ in two}) == 2


def test_the_cosine_with_a_zero_vector_is_zero() -> None:
    comparison = SiameseModel(torch.nn.Identity(), "cosine").comparison
    by = formula(comparison, 0.0)
    assert by is not None
    assert by(torch.zeros(2), torch.tensor([0.0, 3.0])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("alike", [False, True])
def test_the_smallest_cut_through_a_mask_is_the_first_that_flips(alike: bool) -> None:
    """Each pixel adds its own amount, so that the first count of the strongest ones that flips is found by counting."""
    draw = torch.Generator().manual_seed(0)
    pairs, size = 7, 6
    image = torch.zeros(pairs, 1, size, size, dtype=torch.float64)
    soft = torch.rand(pairs, 1, size, size, generator=draw, dtype=torch.float64)
    amounts = torch.rand(pairs, size * size, generator=draw, dtype=torch.float64) + 0.01
    sign = -1.0 if alike else 1.0
    start = -sign * amounts.sum(1) * torch.tensor([0.01, 0.2, 0.5, 0.9, 0.999, 1.5, 3.0]).double()

    def closeness(rows: Tensor) -> Tensor:
        return start + sign * (rows.flatten(1) * amounts).sum(1)

    decision = Decision(0.0)
    assert decision.alike(start).tolist() == [alike] * pairs
    flags = torch.full((pairs,), alike)
    mask, cost = hardened(soft, image, torch.ones_like(image), flags, decision=decision, closeness=closeness)
    for pair in range(pairs):
        order = soft[pair].flatten().argsort(descending=True)
        after = start[pair] + sign * amounts[pair][order].cumsum(0)
        flips = (after < 0 if alike else after >= 0).nonzero().flatten().tolist()
        if pair < 5:
            first = flips[0] + 1
            assert int(mask[pair].sum()) == first
            assert set(mask[pair].flatten().nonzero().flatten().tolist()) == set(order[:first].tolist())
            assert float(cost[pair]) == pytest.approx(first / 36)
        else:  # nothing flips it: everything comes nearest, and 2 plus what is missing is what that costs
            assert not flips
            assert bool(mask[pair].all())
            assert float(cost[pair]) == pytest.approx(2 + abs(float(after[-1])))


@pytest.mark.parametrize(("rows", "count"), [
    (["....", "....", "...."], 0),
    (["####", "####", "####"], 1),
    (["#..#", "....", "#..#"], 4),
    (["##..", "..##", "##.."], 3),  # corners that touch do not join
    (["###.", "..#.", "###."], 1),
    (["#.#.", "###.", "..#."], 1),
    (["#####", "....#", "###.#", "#...#", "#####"], 1),
])  # fmt: skip
def test_regions_are_joined_by_edges(rows: list[str], count: int) -> None:
    assert regions(torch.tensor([[one == "#" for one in row] for row in rows])) == count


def space_of(width: list[float], low: float = -10.0, high: float = 10.0, step: float = 0.0) -> Any:
    count = len(width)
    return SimpleNamespace(
        width=torch.tensor(width).double(),
        low=torch.full((count,), low).double(),
        high=torch.full((count,), high).double(),
        step=torch.full((count,), step).double(),
    )


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_single_changes_the_smallest_is_taken_whichever_comes_first(order: tuple[int, ...]) -> None:
    """In widths of the features the changes are 3, 0.5 and 2."""
    known = {
        0: (torch.tensor([1.0, 3.0, 9.0]), 1.0),
        1: (torch.tensor([2.0, 8.0]), 4.0),
        2: (torch.tensor([4.0, 1.0]), 2.0),
    }
    values = {place: known[k][0].double() for place, k in enumerate(order)}
    row = torch.zeros(1, 3, dtype=torch.float64)[0]
    found = exact(
        row, values, space_of([known[k][1] for k in order]), lambda rows: rows.sum(1) > 1.5, most=3, budget=99
    )
    assert found is not None
    assert found.tolist() == [2.0 if k == 1 else 0.0 for k in order]


def test_of_two_changes_the_smallest_sum_is_taken_and_the_budget_is_kept() -> None:
    row = torch.zeros(2, dtype=torch.float64)
    values = {0: torch.tensor([1.0, 2.0, 3.0]).double(), 1: torch.tensor([1.0, 2.0, 3.0]).double()}

    def flips(rows: Tensor) -> Tensor:
        return rows[:, 0] * rows[:, 1] >= 3  # (1, 3), (2, 2), (3, 1) and more

    assert exact(row, values, space_of([1.0, 4.0]), flips, most=2, budget=15).tolist() == [1.0, 3.0]  # type: ignore[union-attr]
    assert exact(row, values, space_of([4.0, 1.0]), flips, most=2, budget=15).tolist() == [3.0, 1.0]  # type: ignore[union-attr]
    assert exact(row, values, space_of([1.0, 1.0]), flips, most=2, budget=14) is None  # 6 single ones and 9 of two
    assert exact(row, values, space_of([1.0, 1.0]), flips, most=1, budget=99) is None


def test_a_greedy_change_that_turns_out_needless_is_taken_back() -> None:
    row = torch.zeros(2, dtype=torch.float64)
    values = {0: torch.tensor([1.0]).double(), 1: torch.tensor([1.0]).double()}
    score = {(0.0, 0.0): -1.0, (1.0, 0.0): -0.25, (0.0, 1.0): -0.5, (1.0, 1.0): 1.0}

    def progress(rows: Tensor) -> Tensor:
        return torch.tensor([score[one[0], one[1]] for one in rows.tolist()])

    def flips(rows: Tensor) -> Tensor:
        return progress(rows) >= 0

    assert greedy(row, values, progress, flips, 2).tolist() == [1.0, 1.0]
    assert greedy(row, values, progress, flips, 1).tolist() == [1.0, 0.0]  # as near as one change comes
    score[0.0, 1.0] = 0.5
    assert greedy(row, values, progress, flips, 2).tolist() == [0.0, 1.0]
    score.update({(0.0, 1.0): -0.5, (1.0, 0.0): -2.0, (1.0, 1.0): -0.6})
    assert greedy(row, values, progress, flips, 2).tolist() == [0.0, 1.0]  # the second one would lead away


@pytest.mark.parametrize(("step", "change"), [(0.0, 2.3), (0.5, 2.5), (1.0, 3.0)])
def test_a_change_is_made_as_small_as_the_decision_allows(step: float, change: float) -> None:
    row = torch.zeros(1, dtype=torch.float64)
    space = space_of([1.0], step=step)
    for sign in (1.0, -1.0):
        best = torch.tensor([sign * 9.0]).double()
        found = closer(row, best, space, lambda rows, sign=sign: sign * rows[:, 0] >= 2.3)
        assert float(found[0]) == pytest.approx(sign * change, abs=1e-4)
        assert sign * float(found[0]) >= 2.3


def test_a_counterfactual_bears_the_names_of_its_explanation() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    found = PairRegionSwap(model, layer="4", threshold=0.05).explain(
        images(2), wrt="first", seed=3, ids=[("p", "q"), ("r", "s")]
    )
    for pair, one in enumerate(found.counterfactuals):  # type: ignore[attr-defined]
        assert one.ids == found.ids[pair]  # type: ignore[index]
        assert (one.method, one.layer, one.seed) == ("PairRegionSwap", "4", 3)
        assert one.parameters == found.parameters
        assert one.parameters["wrt"] == "first"
        assert one.citation == found.citation
