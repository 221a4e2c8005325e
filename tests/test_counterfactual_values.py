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
from xsiamese import ChannelsLast, Decision, PairRegionSwap, SiameseModel
from xsiamese.model.comparison import ClampedEuclidean
from xsiamese_counterfactual import Counterfactual
from xsiamese_counterfactual.changes import Placed, Pooled, changes_of
from xsiamese_counterfactual.graph import why
from xsiamese_counterfactual.maps import DecisionMaps
from xsiamese_counterfactual.moves import Algebra, Move, Moves, formula
from xsiamese_counterfactual.reach import pruned, reached
from xsiamese_counterfactual.relaxation import hardened, regions
from xsiamese_counterfactual.result import Edit
from xsiamese_counterfactual.search import Neighbours
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


def test_needless_edits_are_taken_back_the_least_useful_first() -> None:
    gains = [[1.0], [1.0], [5.0]]
    options = added(gains, 0.0)
    assert pruned(options, [(0, 0), (1, 0), (2, 0)], 1.0, lambda value: value >= 4.5) == [(2, 0)]
    assert pruned(options, [(0, 0), (2, 0), (1, 0)], 1.0, lambda value: value >= 6.0) == [(2, 0), (1, 0)]
    assert pruned(options, [(0, 0), (1, 0), (2, 0)], 1.0, lambda value: value >= 7.0) == [(0, 0), (1, 0), (2, 0)]


def head(embeddings: Callable[[Tensor], Tensor]) -> Any:
    """A place whose embeddings are any function of the cells (rows, cells, numbers)."""
    return SimpleNamespace(embeddings=embeddings, embedding=embeddings, made_of=lambda cells: cells, rows=64)


def test_a_head_that_is_a_mean_in_one_number_only_is_no_mean() -> None:
    """The second number is the mean as well before any edit and where all cells are one; after an edit it is not."""
    cells, source = torch.tensor([[1.0], [2.0]]).double(), torch.tensor([[5.0], [7.0]]).double()
    product = lambda x: (x[:, 0] - x[:, 1]) * (x[:, 0] - cells[0])  # noqa: E731
    mean = changes_of(head(lambda x: x.mean(1).expand(-1, 2)), cells, source)[0]
    assert isinstance(mean, Pooled)
    assert mean.of(1).tolist() == [[1.5, 1.5], [2.5, 2.5]]  # 5 and 7 instead of 2, of two cells
    bent = changes_of(head(lambda x: torch.cat([x.mean(1), x.mean(1) + product(x)], 1)), cells, source)[0]
    assert not isinstance(bent, Pooled)


def test_cells_with_their_channels_last_come_back_as_they_were() -> None:
    class Turned(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.permute(0, 2, 3, 1)

    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turned, self.mixed = Turned(), torch.nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.mixed(self.turned(x)).mean((1, 2))

    a, b = torch.randn(2, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    model = SiameseModel(Last().eval(), "dot")
    score = float(model(a, b).detach())
    ways = (score - 1e-3, score + 1e-3)  # which of the two an edit reaches is up to the pair
    found = [
        PairRegionSwap(model, layer="encoder.turned", threshold=at, layout=ChannelsLast()).find((a, b))[0]
        for at in ways
    ]
    assert any(one.flipped for one in found)
    for one in found:
        assert one.edits
        assert one.grid == one.source_grid == (4, 5)
        own, other = (a, b) if one.side == "a" else (b, a)
        edited = own.clone()
        for edit in one.edits:
            assert edit.source is not None
            edited[(0, slice(None), *edit.where)] = other[(0, slice(None), *edit.source)]
        after = model(edited, b) if one.side == "a" else model(a, edited)
        assert one.score_after == pytest.approx(float(after.detach()), abs=1e-5)


def test_which_search_is_for_which_kind() -> None:
    search = PairRegionSwap
    assert [search.for_kind(kind).__name__ for kind in ("graph", "row", "tabular")] == [
        "PairGraphEdits", "PairTabularCounterfactual", "PairTabularCounterfactual",
    ]  # fmt: skip
    assert search.for_kind("image") is search.for_kind(None) is search


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


def test_the_best_two_of_very_many_are_the_best() -> None:
    """600 edits: the sets of two are looked through in several blocks."""
    draw = torch.Generator().manual_seed(0)
    own, theirs = (torch.randn(n, 3, generator=draw, dtype=torch.float64) for n in (20, 30))
    start, other = (torch.randn(3, generator=draw, dtype=torch.float64) for _ in range(2))
    comparison = SiameseModel(torch.nn.Identity(), "squared_euclidean").comparison
    options = Algebra(
        start,
        Pooled(own, theirs),
        other,
        lambda z: -(z - other).square().sum(1),
        formula(comparison, float(other @ other)),
    )
    delta = (theirs[None] - own[:, None]).reshape(600, 3)
    value = -(start + delta[:, None] + delta[None] - other).square().sum(2)
    cell = torch.arange(600) // 30
    value[cell[:, None] == cell] = torch.nan
    for sign in (1.0, -1.0):
        two, found = options.best_two(sign)
        assert found == pytest.approx(float((sign * value).nan_to_num(-torch.inf).max()))
        assert sign * float(value[two[0][0] * 30 + two[0][1], two[1][0] * 30 + two[1][1]]) == pytest.approx(found)


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


def made(**changes: Any) -> Counterfactual:
    """Two rows of a picture were swapped in a, which took a distance from 0.9 over 0.6 to 0.2."""
    a, b = torch.zeros(1, 1, 4, 6), torch.ones(1, 1, 4, 6)
    a[..., 0, 0] = 1
    b[..., 0, 0] = 0
    known = {
        "kind": "swap", "side": "a", "flipped": True, "score_before": 0.9, "score_after": 0.2, "threshold": 0.5,
        "higher_is_closer": False, "count": 2, "size": 0.5, "inputs": (a, b), "edited": (1 - a, b), "grid": (2, 2),
        "edits": (Edit((0, 1), (1, 0), None, None, 0.6), Edit((1, 1), (0, 0), None, None, 0.2)),
        "source_grid": (2, 3), "ids": ("left", "right"), "nearest": 3.0, "typical": 1.5,
    }  # fmt: skip
    return Counterfactual(**known | changes)  # type: ignore[arg-type]


def test_a_summary_says_what_was_and_what_became_of_it() -> None:
    assert made().summary().split("\n") == [
        "left - right: flips from different to alike with 2 cell(s) swapped in a, 50.0% of it",
        "score 0.9 -> 0.2, threshold 0.5 (lower is closer)",
        "nearest real example at 3, 2 times the usual distance between neighbours",
        "  (0, 1) <- (1, 0): score 0.6",
        "  (1, 1) <- (0, 0): score 0.2",
    ]
    assert made(higher_is_closer=True).summary().startswith("left - right: flips from alike to different")
    stays = made(flipped=False, reason="why", edits=(), ids=None, layer="3", nearest=None).summary()
    assert stays.startswith("pair: stays different (why) with 2 cell(s) swapped in a at layer 3, ")
    assert made().path == (0.9, 0.6, 0.2)
    assert [made(score_before=0.5, higher_is_closer=closer).alike_before for closer in (True, False)] == [True, True]
    thirteen = made(edits=tuple(Edit((k,), None, None, None, 0.1) for k in range(13)))
    assert len(thirteen.summary().split("\n")) == 3 + 12


def test_the_picture_of_a_swap_has_each_side_and_the_arrows_from_where_to_where() -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import ConnectionPatch, Rectangle

    for side in ("a", "b"):
        edited = made().edited if side == "a" else made().edited[::-1]
        figure = made(side=side, edited=edited).plot()
        axes = figure.axes
        names = ["left, edited", "right"] if side == "a" else ["left", "right, edited"]
        assert [axis.get_title() for axis in axes] == ["left", "right", *names, "score (blue: alike)"]
        changed, kept = (axes[2], axes[3]) if side == "a" else (axes[3], axes[2])
        assert float(axes[0].images[0].get_array()[0, 0]) == 1
        assert float(axes[1].images[0].get_array()[0, 0]) == 0
        arrows = [one for one in figure.artists if isinstance(one, ConnectionPatch)]
        # 4 x 6 pixels: cells of 2 x 2 where they come from, of 2 x 3 where they go, centres in (x, y) from -0.5 on
        assert [(one.xy1, one.xy2) for one in arrows] == [((0.5, 2.5), (4.0, 0.5)), ((0.5, 0.5), (4.0, 2.5))]
        assert all((one.axesA, one.axesB) == (kept, changed) for one in arrows)
        frames = [one for one in changed.patches if isinstance(one, Rectangle)]
        assert [(*one.get_xy(), one.get_width(), one.get_height()) for one in frames] == [
            (2.5, -0.5, 3.0, 2.0), (2.5, 1.5, 3.0, 2.0),
        ]  # fmt: skip
        assert [text.get_text() for text in figure.texts[:2]] == ["before: different", "after: alike"]
        red, blue = (to_rgb(text.get_color()) for text in figure.texts[:2])
        assert red[0] > red[2]
        assert blue[2] > blue[0]


@pytest.mark.parametrize("higher_is_closer", [True, False])
def test_the_path_of_the_score_and_its_two_sides(higher_is_closer: bool) -> None:
    axis = made(higher_is_closer=higher_is_closer).plot().axes[-1]
    threshold, path = axis.lines
    assert list(path.get_ydata()) == [0.9, 0.6, 0.2]
    assert list(path.get_xdata()) == [0, 1, 2]
    assert set(threshold.get_ydata()) == {0.5}
    assert axis.get_ylim() == pytest.approx((0.2 - 0.105, 0.9 + 0.105))
    above, below = axis.patches
    for area, low, high, alike in ((above, 0.5, 1.005, higher_is_closer), (below, 0.095, 0.5, not higher_is_closer)):
        box = area.get_extents().transformed(axis.transData.inverted())
        assert (box.y0, box.y1) == pytest.approx((low, high))
        red, _, blue, _ = area.get_facecolor()
        assert (blue > red) == alike
    assert axis.get_xlabel() == "edits"
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["0", "1", "2"]
    (label,) = axis.texts
    assert (label.get_position()[0], label.get_ha()) == (0.03, "left")  # the path begins further from it than it ends
    last = made(edits=tuple(Edit((0, 0), (0, 0), None, None, 0.9 - 0.05 * k) for k in range(9))).plot().axes[-1]
    assert list(last.get_xticks()) == [0, 9]
    none = made(edits=(), flipped=False, score_after=0.9, reason="why").plot().axes[-1]
    assert none.get_xlabel() == "before, after"


def test_the_picture_of_changed_features() -> None:
    rows = torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 1.0]])
    edits = (Edit((0,), None, 1.0, 2.0, 0.6, "size"), Edit((1,), None, 5.0, 3.0, 0.2, "$age$"))
    one = made(kind="tabular", inputs=rows, edited=(torch.tensor([[2.0, 3.0]]), rows[1]), edits=edits)
    figure = one.plot()
    assert figure.get_size_inches().tolist() == [9.0, 1.6 + 0.45 * 2]  # a line for each edit
    left = figure.axes[0]
    assert [text.get_text() for text in left.texts if text.get_text()] == [
        "size", "1 to 2", "\\$age\\$", "5 to 3",
    ]  # fmt: skip
    # the partner's 3 lies two changes from 1, beyond the picture's 1.5; its 1 lies two changes of 2 from 5
    assert [(float(dot.get_xdata()[0]), float(dot.get_ydata()[0])) for dot in left.lines] == [(1.5, 0.0), (1.5, 1.0)]
    near = made(kind="tabular", inputs=(rows[0], torch.tensor([[1.5, 5.5]])), edited=one.edited, edits=edits)
    assert [float(dot.get_xdata()[0]) for dot in near.plot().axes[0].lines] == [0.5, -0.25]


@pytest.mark.parametrize("form", ["signed", "livieris"])
def test_the_maps_for_and_against_a_decision(form: str) -> None:
    """Of an alike pair what pulls together speaks for it, of a different one what pushes apart."""
    a, b = torch.tensor([[[[1.0, -2.0], [0.0, 4.0]]]]), torch.tensor([[[[-8.0, 2.0], [0.0, 1.0]]]])
    found = DecisionMaps(
        maps=(torch.cat([a, -a]), torch.cat([b, -b])),
        inputs=(torch.rand(2, 1, 2, 2), torch.rand(2, 1, 2, 2)),
        scores=torch.tensor([0.25, 0.75]),
        method="Method",
        columns={"alike": torch.tensor([True, False])},
        ids=(("p", "q"), ("r", "s")),
        parameters={"form": form},
        higher_is_closer=False,
    )
    limit = 1.0 if form == "livieris" else 8.0
    figure = found.plot()
    for pair in (0, 1):
        row = figure.axes[6 * pair : 6 * pair + 6]
        assert [row[0].get_title(), row[3].get_title()] == [["p", "q"], ["r", "s"]][pair]
        for side, one in enumerate((a, b)):
            together, apart = one.clamp(min=0), one.clamp(max=0)
            if form == "signed":  # the second pair has the maps and the decision of the first turned round
                factual, against = (together, apart) if pair == 0 else (-together, -apart)
            else:
                up, down = (together / together.max(), -apart / apart.abs().max())
                factual, against = (down, up) if pair == 0 else (up, down)
            for column, (expected, title) in enumerate(((factual, "factual"), (against, "counterfactual"))):
                axes = row[3 * side + 1 + column]
                image = axes.images[-1]
                assert axes.get_title().startswith(title)
                assert torch.allclose(torch.tensor(image.get_array()), expected[0, 0])
                assert image.get_clim() == ((0, 1) if form == "livieris" else (-limit, limit))
                opaque = 0.9 * (expected[0, 0].abs() / limit).clamp(0, 1)
                assert torch.allclose(torch.tensor(image.get_alpha()), opaque)
        word = ["0.25: alike", "0.75: different"][pair]
        assert row[0].get_ylabel() == word
    assert figure.get_suptitle().startswith(f"Method ({form}): ")


def test_one_real_example_has_a_distance_and_nothing_typical() -> None:
    one, three = Neighbours(torch.zeros(1, 2)), Neighbours(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    assert one.distance(torch.tensor([3.0, 4.0])) == 5.0
    assert one.typical is None
    assert three.typical == 1.0  # each to its nearest: 1, 18 ** 0.5, 1


def test_a_distance_that_saturates_has_no_formula_and_one_that_does_not_has() -> None:
    z, w = torch.tensor([[3.0, 0.0]]), torch.tensor([0.0, 4.0])
    assert formula(ClampedEuclidean(explain_clamped=True), 16.0) is None
    known = formula(ClampedEuclidean(), 16.0)
    assert known is not None
    torch.testing.assert_close(known(z @ w, z.square().sum(1)), torch.tensor([-5.0]))


def test_where_nothing_may_change_or_go_nothing_does() -> None:
    row = torch.tensor([1.0, 2.0])
    never: Any = lambda rows: torch.zeros(len(rows), dtype=torch.bool)  # noqa: E731
    assert greedy(row, {}, lambda rows: rows.sum(1), never, 3).tolist() == [1.0, 2.0]
    nothing: Any = SimpleNamespace(flipped=False, tried=0, stopped="")
    assert why(nothing, 3, 0, "both") == "there are no edges and nodes to delete"
    nothing.tried = 2
    assert why(nothing, 2, 5, "edges") == "no set of up to 2 of the 5 edges does it: all were tried"
