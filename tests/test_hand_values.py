"""Small functions of every room against what is worked out by hand, where other tests only pass them by."""

from __future__ import annotations

import json
from collections import namedtuple
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xsiamese import (
    PairInputXGradient,
    PairLayerIntegratedGradients,
    PairSaliency,
    SiameseModel,
    calibrate,
    load,
    measure,
)
from xsiamese.branches.calls import Survey, Usage
from xsiamese.branches.intact import intact
from xsiamese.branches.layers import has_two_towers
from xsiamese.branches.rules import Rules
from xsiamese.branches.several import views_apart
from xsiamese.branches.spread import _reaches
from xsiamese.branches.standins import Branches, Ported
from xsiamese.data.connectomes import _one_size
from xsiamese.data.truths import edge_truth, edit_truth
from xsiamese.door.arguments import AtLeast, check, shown
from xsiamese.explain.gallery.hits import every_score
from xsiamese.metrics.meta import Graded
from xsiamese.model.called import takes_whole
from xsiamese.model.comparison import Comparison
from xsiamese.model.embedding import _chosen, _is_of_numbers, _mean
from xsiamese.result.matrix import PairMatrix
from xsiamese.zoo.backbones import _channels
from xsiamese.zoo.image import CARDS

# branches


def test_a_layer_reaches_the_score_by_more_than_one_place() -> None:
    x = torch.ones(1, 2, 3, requires_grad=True)
    places, unused = x * 2, x * 3
    last = places[..., -1:]  # as of a recurrent layer that hands on its last state
    for output, value, reaches in (
        (places, places.sum(), True), (unused, places.sum(), False), (places, last.sum(), False),
        (places.detach(), places.sum(), True), (unused, None, True),  # what has no gradient tells nothing
    ):  # fmt: skip
        last_one = value if value is None else (value * torch.ones(1, 1))
        survey = Survey({nn.Identity(): Usage(outputs=[] if last_one is None else [last_one])}, ((), ()), 1, last_one)
        assert _reaches(survey, output, lambda one: one) is reaches


@pytest.mark.parametrize("freeze", [True, False])
def test_parameters_are_frozen_unless_they_should_not_be(freeze: bool) -> None:
    model = nn.Linear(2, 2)
    with intact(model, freeze=freeze):
        assert [p.requires_grad for p in model.parameters()] == [not freeze] * 2
    assert all(p.requires_grad for p in model.parameters())


def test_two_towers_are_two_encoders() -> None:
    assert has_two_towers(SiameseModel((nn.Linear(2, 2), nn.Linear(2, 2))))
    assert not has_two_towers(SiameseModel(nn.Linear(2, 2)))


def test_the_longest_name_that_a_layer_begins_with_says_its_rule() -> None:
    rules = Rules({"": "gradient", "a": "gamma", "a.b": "zplus"})
    found = [rules.of(name) for name in ("a.b.c", "a.b", "a.bc", "a", "z.a")]
    assert found == ["zplus", "zplus", "gamma", "gamma", "gradient"]
    assert Rules({"a": "gamma"}).of("b") == "epsilon"


class Views(nn.Module):
    """Two views of an item, x and 10 x, as one batch of an inner module: the first view of all, then the second."""

    def __init__(self, doubled: nn.Module) -> None:
        super().__init__()
        self.doubled, self.inner = doubled, nn.Linear(1, 1, bias=False, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.inner(self.doubled(x))
        return z.reshape(2, len(x)).sum(0)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, 10 * x])


def runs_of(model: nn.Module) -> Any:
    x, start = torch.tensor([[2.0]]).double(), torch.tensor([[3.0]]).double()
    return partial(model, x), partial(model, start), partial(model, torch.cat([x, start]))


class Around(nn.Module):
    """The two views made by no module of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1, bias=False, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.inner(torch.cat([x, 10 * x]))
        return z.reshape(2, len(x)).sum(0)


def test_views_are_taken_apart_where_nothing_is_explained_on_them() -> None:
    model = Around()
    before = [run() for run in runs_of(model)]
    views_apart(model, runs_of(model), [nn.Linear(1, 1)])
    assert isinstance(model.inner, Branches)
    for run, value in zip(runs_of(model), before, strict=True):
        torch.testing.assert_close(run(), value)
    explained = Around()
    with pytest.raises(ValueError, match="inner gets several views of a side in one call"):
        views_apart(explained, runs_of(explained), [explained.inner])


def test_a_module_that_makes_the_views_is_no_place_to_take_them_apart() -> None:
    model = Views(Twice())
    with pytest.raises(ValueError, match="doubled gets several views"):
        views_apart(model, runs_of(model))
    nested = Views(nn.Sequential(nn.Sequential(Twice())))  # of what holds others, what is inside is named
    with pytest.raises(ValueError, match=r"doubled\.0\.0 gets several views"):
        views_apart(nested, runs_of(nested))


def test_what_a_module_returns_passes_its_port_unless_it_is_no_tensor() -> None:
    for given, expected in ((torch.ones(2), 2 * torch.ones(2)), (None, None), ("words", "words")):
        ported: Any = Ported(nn.Identity())
        ported.port = nn.Linear(2, 2, bias=False)
        nn.init.eye_(ported.port.weight).data.mul_(2)
        found = ported(given)
        assert torch.equal(found, expected) if isinstance(expected, Tensor) else found is expected


# model


class Named(nn.Module):
    def forward(self, *, batch: Any) -> Tensor:
        raise NotImplementedError


class Whole(nn.Module):
    def forward(self, batch: Any) -> Tensor:
        raise NotImplementedError


def test_what_takes_a_mapping_as_a_whole() -> None:
    assert takes_whole(Whole(), {"image": None})
    assert not takes_whole(Named(), {"image": None})  # by its name only: a mapping by place is none of it
    assert not takes_whole(Whole(), {"batch": None})


def test_which_outputs_are_lists_of_numbers() -> None:
    some = torch.ones(2, 3)
    assert [_is_of_numbers(x) for x in ([1.0, 2.0], (), [some], (1.0, some), some)] == [True, True, False, False, False]


def test_what_is_chosen_of_an_output() -> None:
    pair = namedtuple("pair", "first second")
    assert _chosen({"z": 1, "y": 2}, "y") == 2
    assert _chosen(pair(1, 2), "second") == 2
    assert _chosen(SimpleNamespace(z=3), "z") == 3
    assert _chosen({"z": 1, "y": 2}, 1) == 2
    assert _chosen((4, 5), 1) == 5
    with pytest.raises(ValueError, match="embedding='x'"):
        _chosen({"z": 1}, "x")


def test_the_mean_over_tokens() -> None:
    hidden = torch.tensor([[[1.0, 10.0], [3.0, 30.0], [100.0, 1000.0]]])
    torch.testing.assert_close(_mean(hidden[:, :2], None), torch.tensor([[2.0, 20.0]]))
    torch.testing.assert_close(_mean(hidden, torch.tensor([[1, 1, 0]])), torch.tensor([[2.0, 20.0]]))
    assert torch.equal(_mean(hidden, torch.zeros(1, 3)), torch.zeros(1, 2))


# core


class First(Comparison):
    """The first number of a times the last of b, which no product of matrices is known for."""

    name = "first"

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return z_a[:, 0] * z_b[:, -1]


@pytest.mark.parametrize("items", [1, 3])
def test_every_score_of_a_comparison_of_ones_own(items: int) -> None:
    a, b = torch.tensor([[2.0, 7.0], [3.0, 7.0]]), torch.tensor([[7.0, 1.0], [7.0, 10.0], [7.0, 100.0]])[:items]
    assert torch.equal(every_score(First(), a, b), a[:, :1] * b[:, 1])


class Square(nn.Module):
    """The product of what one layer gives of x and of 3 x, so 3 x^2 with a weight of one."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.ones_(self.inner.weight)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.inner(x) * self.inner(3 * x)
        return z


@pytest.mark.parametrize("wrt", ["first", "both"])
def test_the_calls_of_a_layer_move_on_one_path(wrt: Any) -> None:
    """Along it both factors grow, and the maps sum to the score; each alone would have all of it."""
    a, b = torch.tensor([[2.0]]).double(), torch.tensor([[1.0]]).double()
    explainer = PairLayerIntegratedGradients(SiameseModel(Square(), "dot"), "inner", calls="sum")
    map_a, map_b = explainer.attribute((a, b), wrt=wrt, joint=wrt == "both")
    score = 3 * 4.0 * 3 * 1.0
    torch.testing.assert_close(map_a + map_b, torch.tensor([[score]]).double())
    assert bool(map_b.any()) is (wrt == "both")


# results


def test_errors_of_a_sum_are_those_of_independent_samples_or_unknown() -> None:
    one = PairMatrix(torch.ones(2, 1), torch.ones(2, 1), standard_error=torch.full((2, 2), 3.0))
    other = PairMatrix(torch.ones(2, 1), torch.ones(2, 1), standard_error=torch.full((2, 2), 4.0))
    plain = PairMatrix(torch.ones(2, 1), torch.ones(2, 1))
    both = (one + other).standard_error
    assert both is not None
    assert torch.equal(both, torch.full((2, 2), 5.0))
    assert (one + plain).standard_error is None
    assert (plain + one).standard_error is None


@pytest.mark.parametrize(("told", "shows"), [(None, "signed"), (False, "signed"), (True, "relevance")])
def test_a_file_from_before_there_were_kinds_of_maps(told: bool | None, shows: str, tmp_path: Path) -> None:
    pair = torch.rand(2, 1, 3).unbind(0)
    PairInputXGradient(SiameseModel(nn.Identity(), "dot")).explain(pair).save(tmp_path / "new.safetensors")
    with safe_open(tmp_path / "new.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
        about = json.loads(file.metadata()["xsiamese"])
    assert about.pop("shows") == "signed"
    if told is not None:
        about["unsigned"] = told
    save_file(tensors, tmp_path / "old.safetensors", {"xsiamese": json.dumps(about)})
    assert load(tmp_path / "old.safetensors").shows == shows


# calibration


def test_a_threshold_that_accepts_all_is_half_a_unit_below_the_least_score() -> None:
    model = SiameseModel(nn.Identity(), "dot")
    a, same = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([True, True, False])
    found = calibrate(model, a, torch.ones(3, 1), same, method="accuracy")
    assert found.threshold == 0.5  # two of three are right so, and no other threshold has more than one


# metrics


def test_what_a_measurement_says() -> None:
    pairs = torch.eye(2, 3), torch.eye(2, 3)
    found = measure(PairSaliency(SiameseModel(nn.Identity(), "dot")), pairs, ["gini", "entropy"])
    lines = str(found).splitlines()
    assert lines[0] == "PairSaliency on 2 pairs"
    assert lines[1].split() == ["gini", "0.667", "[0.667,", "0.667]"]
    assert lines[2].split()[:2] == ["entropy", "0.000"]
    all_of_them = measure(PairSaliency(SiameseModel(nn.Identity(), "dot")), pairs)
    for name, one in all_of_them.items():
        line = next(line for line in str(all_of_them).splitlines() if line.startswith(f"  {name} "))
        assert (one.error in line) if one.error else (f"{one.mean:.3f}" in line)


def test_graded_explainers_say_the_truth_with_the_noise_that_they_are_told() -> None:
    graded, truth = Graded(SiameseModel(nn.Identity(), "dot")), torch.tensor([[1, 0, -1, 1]])
    item = torch.zeros(1, 4)
    noise = torch.from_numpy(np.random.default_rng(7).standard_normal((1, 4)))
    wanted = (truth.double(), truth + noise / 2, truth + 1.5 * noise, noise, -truth.double())
    for grade, expected in enumerate(wanted):
        graded._grade = grade
        torch.testing.assert_close(graded._map(truth, item, np.random.default_rng(7)), expected)


def test_noise_belongs_to_the_place_of_a_node_in_its_graph() -> None:
    data = pytest.importorskip("torch_geometric.data", reason='pip install "xsiamese[graph]"')
    from xsiamese.kinds.catalogue import side
    from xsiamese.metrics.robustness import NoiseStability

    graphs = [data.Data(x=torch.ones(n, 2), edge_index=torch.tensor([[0], [1]])) for n in (2, 3)]
    noisy = NoiseStability(scale=0.5)._noisy(side(data.Batch.from_data_list(graphs), "a"), [0, 0, 0]) - 1
    torch.testing.assert_close(noisy[:2], noisy[2:4])  # nodes 0 and 1 of either graph
    assert len({tuple(row) for row in noisy[2:].tolist()}) == 3


# elsewhere


def test_what_edits_leave_and_change() -> None:
    for first, second, left, right in (
        ("ab", "ax", [1, -1], [1, -1]), ("a", "ab", [1], [1, -1]), ("ab", "a", [1, -1], [1]), ("", "b", [], [-1]),
    ):  # fmt: skip
        assert [part.tolist() for part in edit_truth(first, second)] == [left, right], (first, second)


def test_the_truth_of_edges_is_one_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has 0 files \*_edge_gt\.txt"):
        edge_truth(tmp_path)
    texts = {"A": "1, 2\n2, 1\n3, 4\n4, 3\n", "graph_indicator": "1\n1\n2\n2\n", "edge_gt": "1\n1\n0\n0\n"}
    for name, text in texts.items():
        (tmp_path / f"set_{name}.txt").write_text(text)
    (edges, truth), (others, nothing) = edge_truth(tmp_path)
    assert edges.tolist() == others.tolist() == [[0, 1], [1, 0]]
    assert truth.tolist() == [1, 1]
    assert nothing.tolist() == [0, 0]
    (tmp_path / "other_edge_gt.txt").write_text("")
    with pytest.raises(ValueError, match="has 2 files"):
        edge_truth(tmp_path)


def test_matrices_of_two_atlases_are_named() -> None:
    with pytest.raises(ValueError, match=r"^b\.csv has 4 regions and a\.csv has 3: all must be of one atlas"):
        _one_size([torch.eye(3), torch.eye(3), torch.eye(4)], [Path("a.csv"), Path("c.csv"), Path("b.csv")])


def test_a_partner_of_another_shape_is_shown_with_both_shapes() -> None:
    model = SiameseModel((nn.Linear(3, 2), nn.Linear(4, 2)))
    pair = torch.ones(1, 3), torch.ones(1, 4)
    said = r"a is \(1, 3\), b is \(1, 4\)"
    with PairSaliency(model).prepared(pair) as batch, pytest.raises(ValueError, match=said):
        _ = batch.partners


def test_a_node_is_no_neighbour_of_itself() -> None:
    data = pytest.importorskip("torch_geometric.data", reason='pip install "xsiamese[graph]"')
    from xsiamese.plot.layout import _adjacency

    graph = data.Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1, 1], [1, 0, 1]]))
    assert _adjacency(graph).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_a_table_of_units_has_a_line_for_each() -> None:
    from xsiamese.plot.robust import invariance_table

    heights = [invariance_table(torch.ones(n), [str(i) for i in range(n)]).get_figheight() for n in (2, 12)]
    assert heights[1] - heights[0] == pytest.approx(2.7)
    assert heights[0] > 1


def test_how_many_channels_a_backbone_gives_to_a_coloured_image() -> None:
    assert _channels(nn.Conv2d(3, 5, 3)) == 5


def test_cards_of_images_take_what_their_preprocessing_makes() -> None:
    made = {card.name: (card.input, card.preprocessing) for card in CARDS if card.preprocessing is not None}
    assert len(made) > 3
    for name, (taken, preprocessing) in made.items():
        assert (preprocessing.channels, *preprocessing.size) == tuple(taken), name


def test_a_character_of_omniglot_is_in_one_part(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason='pip install "xsiamese[image]"')
    from xsiamese.data.omniglot import load as drawings

    for alphabet, character, drawing in product(("Greek", "Korean"), range(4), range(2)):
        folder = tmp_path / "images_background" / alphabet / f"character{character:02}"
        folder.mkdir(parents=True, exist_ok=True)
        image.new("1", (8, 8), drawing).save(folder / f"{drawing}.png")
    parts = drawings(tmp_path, (8, 8), valid=0.25, test=0.25)
    names = [{path.rpartition("/")[0] for path in part.paths} for part in parts]
    assert set.union(*names) == {f"{a}/character{c:02}" for a, c in product(("Greek", "Korean"), range(4))}
    assert sum(map(len, names)) == 8  # none is in two
    for part in parts:
        assert [part.classes[i] for i in part.labels.tolist()] == [path.rpartition("/")[0] for path in part.paths]


def test_a_folder_of_three_tables_is_divided_as_it_says(tmp_path: Path) -> None:
    from xsiamese.data.record_pairs import load_pairs

    rows = {"train": "red,red,1\nblue,cyan,0\ngrey,gray,1\n", "valid": "one,two,0\n", "test": "up,up,1\nup,down,0\n"}
    for name, text in rows.items():
        (tmp_path / f"{name}.csv").write_text(f"left_name,right_name,label\n{text}")
    source, _ = load_pairs(tmp_path)
    assert source.pairs is not None
    assert [part.same.tolist() for part in source.pairs] == [[True, False, True], [False], [True, False]]


class Handed:
    def __init__(self, other: Elsewhere, count: int = 2) -> None:  # type: ignore[name-defined] # noqa: F821 for checkers
        pass


def annotated(
    n: int = 3,
    zero: int = 0,
    rate: float = 0.5,
    free: Annotated[float, AtLeast(0)] = 1.0,
    on: bool = True,
    word: Literal["a", "b"] = "a",
    size: tuple[int, float] = (1, 2.0),
    many: tuple[int, ...] = (),
    either: int | str | None = None,
    told: Annotated[tuple[int, ...], "a window"] = (),
    seed: int = 1,
    plain=7,  # type: ignore[no-untyped-def]
    least: Annotated[int, AtLeast(2)] = 2,
) -> None:
    pass


@pytest.mark.parametrize(("name", "fits", "wrong", "needed"), [
    ("n", [1, 10**9, np.int64(3)], [0, -1, 1.0, True, "1", None], "a whole number from 1 on"),
    ("zero", [0, 5], [-1, 0.5], "a whole number from 0 on"),  # from the default on
    ("rate", [-3.5, 2, np.float32(1)], [float("nan"), True, "x"], "a number"),
    ("free", [0, 0.5], [-0.1, float("nan")], "a number from 0 on"),
    ("on", [False, np.bool_(True)], [0, 1, "yes", None], "True or False"),
    ("word", ["a", "b"], ["c", 1], "'a' or 'b'"),
    ("size", [(1, 0.5), [2, 3]], [(1,), (1, 2, 3), (0.5, 1), 3], "(a whole number from 1 on, a number)"),
    ("many", [(), (1, 2, 3)], [(1, 0), 3, (1, "x")], "(a whole number from 1 on, ...)"),
    ("either", [1, "x", None], [1.5, 0, ()], "a whole number from 1 on, a text or None"),
    ("told", [(1, 2)], [(0,), 3], "a window"),
    ("seed", [0, 2**63 - 1], [-1, 2**63, 0.5], "a whole number from 0 to "),
    ("plain", [1, 8], ["x", 1.5, 0], "a whole number from 1 on"),  # by its default
    ("least", [2, 3], [1, 0], "a whole number from 2 on"),
])  # fmt: skip
def test_which_values_an_annotation_takes_and_what_is_needed(
    name: str, fits: list[Any], wrong: list[Any], needed: str
) -> None:
    for value in fits:
        check(annotated, {name: value})
    for value in wrong:
        with pytest.raises(ValueError, match=r".* is needed; .* if left out$") as told:
            check(annotated, {name: value})
        assert str(told.value).startswith(f"{name}={shown(value)}: {needed}")


def test_what_is_checked_and_shown_besides() -> None:
    with pytest.raises(ValueError, match="n=9: a whole number from 1 to 8 is needed; 3 if left out"):
        check(annotated, {"n": 9}, most={"n": 8})
    check(annotated, {"n": 8}, most={"n": 8})
    check(annotated, {"unknown": object()})
    check(Handed, {"other": 3})  # an annotation that cannot be read says nothing
    with pytest.raises(ValueError, match="count=0: a whole number from 1 on is needed; 2 if left out"):
        check(Handed, {"count": 0})
    assert shown(torch.zeros(2, 3)) == "Tensor(2, 3)"
    assert shown(np.float64(0.5)) == repr(np.float64(0.5))
    assert shown("a\n b") == "'a\\n b'"
    assert (shown("x" * 58), shown("x" * 59)) == (f"'{'x' * 58}'", f"'{'x' * 56}...")
