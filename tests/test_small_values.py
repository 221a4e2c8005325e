"""More small parts against values worked out by hand, each of which was once wrong on purpose and not seen."""

from __future__ import annotations

import builtins
import math
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import captum.attr._utils
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairGradCAM, PairInputXGradient, PairIntegratedGradients, PairSaliency, SiameseModel
from xsiamese.branches.calls import Survey, Usage, survey
from xsiamese.branches.probe import _grids, follows
from xsiamese.branches.record import replaced
from xsiamese.data.augment import Augment
from xsiamese.data.connectomes import connectome_graphs, strongest
from xsiamese.data.division import _set_aside, split_classes
from xsiamese.data.items import LabelledImages, around
from xsiamese.data.planted_images import Digits
from xsiamese.data.typical import _column, typical_rows
from xsiamese.door.arguments import shown
from xsiamese.door.deferred import Deferring, deferred
from xsiamese.explain.deferred import PICTURES
from xsiamese.explain.gallery.compared import Compared
from xsiamese.explain.gallery.kept import Kept
from xsiamese.explain.per_tensor import per_tensor
from xsiamese.explain.run import _starts
from xsiamese.metrics.catalogue import made
from xsiamese.metrics.matrices import _centred
from xsiamese.metrics.meta import _scored
from xsiamese.pairs.fastest import _known, _sizes, can_stack, fitting
from xsiamese.pairs.silence import rounding, why_zero
from xsiamese.pairs.split import Split
from xsiamese.plot.picture import one_of
from xsiamese.zoo.cards import Preprocessing


def test_only_the_module_of_pictures_is_deferred() -> None:
    finder = Deferring({PICTURES: ()})
    assert finder.find_spec("colorsys", None) is None
    found = finder.find_spec(PICTURES, captum.attr._utils.__path__)
    assert found is not None
    assert found.loader is finder


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that counts how often it runs, and two modules in it that ask it for a name."""
    folder = tmp_path / "a_house"
    folder.mkdir()
    ran = "import builtins\nbuiltins.houses = getattr(builtins, 'houses', 0) + 1\n"
    (folder / "__init__.py").write_text(f"{ran}key = 3\nfrom a_house.room import lock\n")
    (folder / "room.py").write_text("import a_house\nlock = a_house.key + 1\n")
    (folder / "bad.py").write_text("raise KeyError('no room')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(builtins, "houses", 0, raising=False)
    for name in ("a_house", "a_house.room", "a_house.bad"):  # taken away again behind the test
        monkeypatch.setitem(sys.modules, name, sys)
        monkeypatch.delitem(sys.modules, name)
    return "a_house"


ASKED: dict[str, Callable[[], object]] = {
    "a name": lambda: sys.modules["a_house"].key,
    "a module of it": lambda: import_module("a_house.room").lock - 1,
    "a name out of it": lambda: __import__("a_house", fromlist=["key"]).key,
    "where its modules lie": lambda: len(sys.modules["a_house"].__path__) + 2,
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_deferred_package_runs_when_it_is_asked_and_before_what_is_in_it(asked: str, house: str) -> None:
    with deferred({house: ()}):
        made = import_module(house)
    assert builtins.houses == 0  # type: ignore[attr-defined]
    assert not hasattr(made, "__wrapped__")  # whoever looks at every module for such a thing runs none
    assert builtins.houses == 0  # type: ignore[attr-defined]
    assert [ASKED[asked]() for _ in range(2)] == [3, 3]
    assert builtins.houses == 1  # type: ignore[attr-defined]
    assert type(made) is ModuleType
    assert made.lock == 4


def test_a_deferred_module_that_fails_says_so_each_time(house: str) -> None:
    with deferred({f"{house}.bad": ()}):
        made = import_module(f"{house}.bad")
    for _ in range(2):
        with pytest.raises(KeyError, match="no room"):
            _ = made.name


def test_a_module_in_a_deferred_package_runs_behind_it_and_nobody_else_gets_what_stands_for_a_name(house: str) -> None:
    with deferred({house: (), f"{house}.room": ("lock",)}):
        room = import_module(f"{house}.room")
        stands = room.lock
    assert builtins.houses == 0  # type: ignore[attr-defined]
    assert callable(stands)
    assert room.lock == 4  # a name that the package takes while it runs, out of the module that asks for the package
    assert builtins.houses == 1  # type: ignore[attr-defined]
    assert sys.modules[house].lock == 4  # type: ignore[attr-defined]


def test_a_module_beside_a_deferred_one_runs_the_package_first(house: str) -> None:
    with deferred({house: (), f"{house}.room": ()}):
        import_module(f"{house}.room")
        with pytest.raises(KeyError, match="no room"):
            import_module(f"{house}.bad")
        assert builtins.houses == 1  # type: ignore[attr-defined]


USES = {
    "its version": "import matplotlib; assert matplotlib.__version__[0].isdigit()",
    "all its names": "from matplotlib.colors import *; assert Normalize and ListedColormap",
    "the name that stood for another": "from matplotlib.colors import LinearSegmentedColormap as C; assert C.from_list",
    "a picture": "from matplotlib import pyplot; import matplotlib; matplotlib.use('agg'); pyplot.figure()",
    "its names": "import matplotlib; assert 'rcParams' in dir(matplotlib)",
    "captum's pictures": "from captum.attr import visualization as v; assert v.visualize_image_attr",
    "captum's results": "from captum.attr import LLMAttributionResult as R; R._get_plot_color_map(None)(0.5)",
}


def test_matplotlib_is_there_for_whoever_asks() -> None:
    """Each in a process of its own that has imported this library, which loads none of it."""
    start = "import sys, xsiamese; assert 'matplotlib.cbook' not in sys.modules; "
    each = [subprocess.Popen([sys.executable, "-c", start + code], stderr=subprocess.PIPE) for code in USES.values()]
    said = dict(zip(USES, (one.communicate()[1].decode() for one in each), strict=True))
    assert {name: text for name, text in said.items() if text} == {}


def test_a_graph_is_explained_without_what_torch_geometric_loads_for_others(tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric", reason='pip install "xsiamese[graph]"')
    pytest.importorskip("rdkit", reason='pip install "xsiamese[molecules]"')
    from xsiamese.zoo import save
    from xsiamese.zoo.graph import siamese_gnn

    about = {"graphs": {"kind": "smiles", "place": ".", "reading": {}}}
    save(tmp_path / "m.safetensors", siamese_gnn(9), "siamese-gcn", {"inputs": 9}, about)
    loaded = "sorted({'pandas', 'sympy', 'transformers', 'torch_geometric'} & set(sys.modules))"
    code = (
        f"import atexit, sys; atexit.register(lambda: print({loaded}));"
        "sys.argv[1:] = ['explain', 'CCO', 'CCN', '--model', 'm.safetensors', '--method', 'gradcam'];"
        "from xsiamese.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "['torch_geometric']", done.stderr


@pytest.mark.parametrize(("budget", "on_disk"), [(0, True), (15, True), (16, False), (17, False)])
def test_what_fits_the_budget_to_the_byte_stays_in_memory(budget: int, on_disk: bool, tmp_path: Path) -> None:
    """Two rows of two numbers of four bytes each."""
    kept = Kept(count=2, block=2, budget=budget, folder=tmp_path)
    kept.put(0, {"z": torch.ones(2, 2)})
    assert kept.on_disk is on_disk


def test_features_of_b_are_numbered_after_all_of_a() -> None:
    """Tensors of a with features up to 5 and up to 2 (as they were given): those of b begin behind all three of a."""

    class Sum(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    masks = ((torch.tensor([[5, 1]]), torch.tensor([[1, 1]])), (torch.tensor([[0, 0]]), torch.tensor([[0, 7]])))
    a, b = (torch.rand(1, 2), torch.rand(1, 2)), (torch.rand(1, 2), torch.rand(1, 2))
    with PairInputXGradient(SiameseModel(Sum(), "dot")).prepared((a, b)) as batch:
        made = per_tensor(batch, {"feature_mask": masks})["feature_mask"]
    assert [mask.tolist() for mask in made] == [[[1, 0]], [[0, 0]], [[2, 2]], [[2, 3]]]


@pytest.mark.parametrize(("wrt", "known"), [("both", False), ("first", True), ("second", True)])
def test_a_path_of_one_side_has_a_start_and_two_apart_have_none(wrt: Any, known: bool) -> None:
    """Side by side, a's path starts at (0, b) and b's at (a, 0)."""
    explainer = PairIntegratedGradients(SiameseModel(nn.Identity(), "dot"))
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    with explainer.prepared((a, b), wrt=wrt) as batch:
        assert batch.apart
        found = _starts(batch, explainer.traits)
        if not known:
            assert found is None
            return
        assert found is not None
        none = [[0.0, 0.0]]
        assert [one.tolist() for one in found] == ([none, b.tolist()] if wrt == "first" else [a.tolist(), none])


@pytest.mark.parametrize(("drawn", "expected"), [(1.0, 0.6), (0.5, 0.4), (0.0, 0.2)])
def test_brightness_is_multiplied(drawn: float, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Augment, "_uniform", lambda self, images, sides: torch.full((len(images),), drawn))
    found = Augment(brightness=0.5)(torch.full((1, 1, 2, 2), 0.4))
    assert found.flatten().tolist() == pytest.approx([expected] * 4)


def test_a_drawn_digit_is_told_from_the_others_by_its_shape() -> None:
    """Each of 20 drawings of a digit is nearest to the mean of other drawings of that digit."""
    digits, generator = Digits(), torch.Generator().manual_seed(0)

    def drawn(thing: int) -> Tensor:
        return torch.stack([digits.stamp(thing, generator).flatten() for _ in range(20)])

    means = torch.stack([drawn(thing).mean(0) for thing in range(10)])
    right = torch.stack([torch.cdist(drawn(thing), means).argmin(1) == thing for thing in range(10)])
    assert float(right.double().mean()) > 0.95


def test_the_embedding_of_a_side_is_that_of_its_own_tower() -> None:
    """Behind the first layer a's tower doubles and b's adds one."""

    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    class Next(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1

    towers = nn.Sequential(nn.Identity(), Double()), nn.Sequential(nn.Identity(), Next())
    pair = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    rows = torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    with PairSaliency(SiameseModel(towers, "dot")).prepared(pair) as batch:
        assert batch.tail_embedding("0", 0, rows).tolist() == [[10.0, 12.0], [14.0, 16.0]]
        assert batch.tail_embedding("0", 1, rows).tolist() == [[6.0, 7.0], [8.0, 9.0]]


def test_the_item_that_is_shown_is_the_first_of_the_first_tensor() -> None:
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])
    for batch in (x, (x, y), [x, y], {"x": x, "y": y}):
        assert one_of(batch).tolist() == [1.0]


@pytest.mark.parametrize(("same", "moves"), [(True, False), (False, True)])
def test_a_distance_does_not_move_at_equal_embeddings(same: bool, moves: bool) -> None:
    """The gradient of |u - v|^2 is 2 (u - v)."""
    layer = nn.Linear(2, 2)
    a = torch.tensor([[1.0, 2.0]], requires_grad=True)
    b = (a.detach() if same else torch.tensor([[0.0, 5.0]])).clone().requires_grad_()
    found = survey(lambda: (layer(a) - layer(b)).square().sum(1), [layer], ([a], [b]), 1)
    assert found.moves() is moves
    assert survey(lambda: (a - b).square().sum(1), [layer], ([a], [b]), 1).moves() is True  # nothing is known of it


class Cut(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach().flatten(1)


def test_why_no_layer_is_found_is_said() -> None:
    """No layer at all is one thing, a score without a gradient is another."""
    pair = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    with pytest.raises(ValueError, match="the score carries no gradient, so the layer to explain on cannot be found"):
        PairGradCAM(SiameseModel(Cut(), "dot")).attribute(pair)
    with pytest.raises(ValueError, match="no layer has a spatial grid"):
        PairGradCAM(SiameseModel(nn.Flatten(), "dot")).attribute(pair)


class Words(nn.Module):
    """Positions, which are the same for all pairs, are looked up before the words; a third table is never asked."""

    def __init__(self) -> None:
        super().__init__()
        self.unused, self.position, self.word = (nn.Embedding(9, 3) for _ in range(3))

    def forward(self, ids: Tensor) -> Tensor:
        places = self.position(torch.arange(ids.shape[1])[None])
        mean: Tensor = (places + self.word(ids)).mean(1)
        return mean


def test_the_table_of_words_is_the_one_that_is_asked_for_each_pair() -> None:
    encoder, rows = Words(), torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
    found = survey(lambda: encoder(rows).sum(1), list(encoder.modules()), ([], []), 2)  # two pairs, stacked
    assert found.word_embedding([encoder], 0) is encoder.word


def test_two_places_are_places() -> None:
    """A convolution with two times is what is explained by itself, and one with a single time is not."""
    pair = torch.rand(2, 1, 1, 4).unbind(0)
    two = nn.Sequential(nn.Conv1d(1, 2, 2), nn.Conv1d(2, 2, 2), nn.Conv1d(2, 2, 2), nn.Flatten())  # 3, 2 and 1 times
    explainer = PairGradCAM(SiameseModel(two, "dot"))
    assert explainer.attribute(pair, kind="series")[0].shape == (1, 1, 2)
    assert explainer.layer_names_ == ["1"]


def test_a_layer_is_itself_after_a_block_that_never_called_it() -> None:
    layer, x = nn.Identity(), torch.ones(1, 2)
    with replaced(layer, 0, None, torch.zeros(1, 2)):
        pass
    assert layer(x).tolist() == [[1.0, 1.0]]
    with replaced(layer, 0, None, torch.zeros(1, 2)):
        assert layer(x).tolist() == [[0.0, 0.0]]


def test_grids_are_those_of_convolutions_of_images() -> None:
    image, other, linear = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1), nn.Linear(2, 2)
    outputs = {image: torch.zeros(1, 2, 3, 5), other: torch.zeros(2, 3, 7), linear: torch.zeros(1, 2, 4, 4)}
    usage: dict[nn.Module, Usage] = {module: Usage([output], 1, [None]) for module, output in outputs.items()}
    assert _grids(Survey(usage, ([], []), 1), (3, 5)) == {(3, 5)}


def test_how_far_cells_follow_does_not_depend_on_how_many_items_say_so() -> None:
    moved = torch.rand(3, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layout: Any = lambda one: one  # noqa: E731
    assert follows(moved.repeat(1, 3, 1, 1, 1), layout) == pytest.approx(follows(moved, layout))


def test_what_belongs_to_one_side_alone_is_taken_off() -> None:
    """A sum of a row's and a column's share is nothing; a product of two that sum to zero is itself."""
    rows, columns = torch.tensor([1.0, -3.0, 2.0]), torch.tensor([4.0, -4.0])
    assert _centred(rows[:, None] + columns[None] + 7).abs().max() < 1e-6
    assert torch.allclose(_centred(rows[:, None] * columns[None]), rows[:, None] * columns[None])


@pytest.mark.parametrize(("means", "share"), [([3.0, 2.0, 1.0, 0.0], 1.0), ([3.0, 1.0, 2.0, 0.0], 0.0)])
@pytest.mark.parametrize("metric", ["gini", "deletion"])
def test_a_metric_tells_all_grades_apart_or_does_not(metric: str, means: list[float], share: float) -> None:
    """One grade out of its place is enough; where low is good, the numbers go the other way."""
    one = made(metric)
    one.higher_is_better = metric == "gini"  # type: ignore[misc]
    sign = 1 if one.higher_is_better else -1
    assert _scored(one, [torch.full((5,), sign * mean) for mean in means], 10, 0).ordered == share


def test_a_model_whose_items_are_encoded_still_encodes_with_its_first_tower() -> None:
    towers = (nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model = SiameseModel(towers, "dot")
    item = torch.tensor([[1.0, 2.0]])
    assert torch.equal(Compared(model).encode(item), towers[0](item))
    assert torch.equal(Compared(model).encode(item, 1), towers[1](item))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x.png", "'x.png'"),
        (torch.ones(2, 3), "Tensor(2, 3)"),
        ((torch.ones(2, 3), None), "(Tensor(2, 3), None)"),
        ([torch.ones(1)] * 4, "[Tensor(1,), Tensor(1,), Tensor(1,), ...]"),
        ([1] * 30, f"[{'1, ' * 18}1,..."),
    ],
)
def test_an_error_shows_a_value_in_few_letters(value: object, said: str) -> None:
    assert shown(value) == said


@pytest.mark.parametrize("invert", [False, True])
def test_pixels_to_a_models_input_and_back(invert: bool) -> None:
    card = Preprocessing((1, 2), 2, (0.25, 0.5), (0.5, 0.1), invert)
    pixels = torch.tensor([[[0.0, 255.0]], [[51.0, 102.0]]])
    shares = 1 - pixels / 255 if invert else pixels / 255
    expected = (shares - torch.tensor([0.25, 0.5])[:, None, None]) / torch.tensor([0.5, 0.1])[:, None, None]
    torch.testing.assert_close(card.normalise(pixels), expected)
    torch.testing.assert_close(card.undo(expected), pixels / 255)
    assert card.undo(expected + 99).unique().tolist() == [float(not invert)]
    assert card.background == pytest.approx((-0.5, -5.0))
    told = {"size": [1, 2], "channels": 2, "mean": [0.25, 0.5], "std": [0.5, 0.1], "invert": invert}
    assert Preprocessing.of(told) == card


def test_the_quantiles_of_columns() -> None:
    """Shares 1/6, 1/2 and 5/6 of numbers, and of categories each value as often as it is there."""
    at = (torch.arange(3, dtype=torch.float64) + 0.5) / 3
    assert _column(torch.tensor([[6.0], [0.0], [3.0]]), at).flatten().tolist() == pytest.approx([1.0, 3.0, 5.0])
    known = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])  # the second value, a missing one, the first
    assert _column(known, at).tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert _column(torch.tensor([[0.5, 1.0], [0.0, 3.0]]), at).tolist() == [[0.25, 2.0]] * 3
    rows = torch.cat([torch.arange(40.0)[:, None], torch.eye(4).repeat(10, 1)], 1)
    found = typical_rows(rows, [1, 4])
    assert found.shape == (16, 5)
    assert found[:, 0].sort().values.tolist() == pytest.approx([39 * (k + 0.5) / 16 for k in range(16)])
    assert found[:, 1:].sum(0).tolist() == [4.0] * 4
    assert found[:, 0].tolist() != found[:, 0].sort().values.tolist()  # each column in another order
    for wrong in ((rows[:0], None, 3), (rows, [1, 3], 3), (rows, None, 0)):
        with pytest.raises(ValueError, match="at least one"):
            typical_rows(*wrong)


def test_whole_classes_are_held_out() -> None:
    class Items:
        def __init__(self, labels: Tensor) -> None:
            self.labels = labels

        def take(self, which: Tensor) -> Items:
            return Items(self.labels[which])

    items: Any = Items(torch.cat([torch.arange(10).repeat(3), torch.tensor([10])]))  # the last has one item
    train, valid, test = (set(part.labels.tolist()) for part in split_classes(items, 0.1, 0.3, 1))
    assert (len(train), len(valid), len(test)) == (6, 2, 3)  # at least two, and three of ten
    assert train | valid | test == set(range(11))
    assert 10 in train
    assert [len(part.labels) for part in split_classes(items, 0, 0, 1)] == [31, 0, 0]
    with pytest.raises(ValueError, match="10 classes are too few for 5 to test and 4 to validate on: two to train"):
        split_classes(items, 0.4, 0.5, 1)
    assert len(set(split_classes(items, 0.3, 0.5, 1)[0].labels.tolist())) == 3  # two are enough
    for valid_size, test_size in ((1.0, 0.1), (0.1, 1.0), (-0.1, 0.1)):
        with pytest.raises(ValueError, match=f"valid_size={valid_size:g} and test_size={test_size:g}: shares"):
            split_classes(items, valid_size, test_size)
    # of a class of ten three, of one of four two, of one of three none
    labels = torch.tensor([0] * 10 + [1] * 4 + [2] * 3)
    kept, aside = _set_aside(labels, 0.3, 0)
    assert torch.bincount(labels[aside], minlength=3).tolist() == [3, 2, 0]
    assert sorted([*kept.tolist(), *aside.tolist()]) == list(range(17))
    assert torch.bincount(labels[_set_aside(labels, 0.99, 0)[1]], minlength=3).tolist() == [8, 2, 0]  # two are left
    assert len(_set_aside(labels, 0.0, 0)[1]) == 0


def test_edges_and_features_of_matrices_by_hand() -> None:
    matrix = torch.tensor([[9.0, 4.0, 1.0, 0.0], [4.0, 9.0, 3.0, 0.0], [1.0, 3.0, 9.0, 2.0], [0.0, 0.0, 2.0, 9.0]])
    edges, weights, counts = strongest(matrix[None], 1)
    assert sorted(zip(*edges.tolist(), weights.tolist(), strict=True)) == [
        (0, 1, 4.0), (1, 0, 4.0), (1, 2, 3.0), (2, 1, 3.0), (2, 3, 2.0), (3, 2, 2.0),
    ]  # fmt: skip
    assert counts.tolist() == [6]
    for density, pairs in ((0.01, 1), (0.5, 3), (1.0, 4)):  # of six pairs of regions two have no connection
        assert strongest(-matrix[None], density=density)[2].tolist() == [2 * pairs]
    for wrong in ({"neighbours": 0}, {"neighbours": 4}, {"neighbours": None}, {"density": 0.0}, {"density": 1.1}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
            strongest(matrix[None], **wrong)
    found = connectome_graphs(torch.stack([matrix, -matrix]), torch.tensor([0, 0]), ("c",), neighbours=1)
    assert found.x[:4].tolist() == matrix.fill_diagonal_(0).tolist()  # there are negative ones
    assert (found.nodes.tolist(), found.edges.tolist()) == ([0, 4, 8], [0, 6, 12])
    streams = connectome_graphs(matrix[None], torch.tensor([0]), ("c",), neighbours=1)
    torch.testing.assert_close(streams.x, torch.log1p(matrix / 2))  # of 1, 2, 3 and 4, each twice, the lower middle
    empty = connectome_graphs(torch.zeros(1, 3, 3), torch.tensor([0]), ("c",), neighbours=1)
    assert not empty.x.any()
    assert empty.edges.tolist() == [0, 0]


class Cutting(nn.Module):
    """What is behind its layer has no gradient."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer, self.how = nn.Linear(2, 2), how
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "none":
            return 0 * x
        if self.how == "early":
            return self.layer(x.detach())  # type: ignore[no-any-return]
        z: Tensor = self.layer(x)
        return z.detach() if self.how == "late" else z.round() if self.how == "flat" else z


@pytest.mark.parametrize(("how", "gradients", "layered", "said"), [
    ("none", True, False, "^input b has no effect on the value explained: its map is zero$"),
    ("late", True, False, "to input b, though it changes with it: the graph is cut after 'encoder_b.layer'"),
    ("early", True, False, "the graph is cut before the first module is reached"),
    ("flat", True, False, "^the score is flat here: it changes with input b, and its gradient at this pair is zero"),
    ("right", True, False, "^the map of input b is zero, though the score has a gradient to it$"),
    ("right", True, True, "^the layer's first output is not used by the score of input b"),
    ("right", False, False, "^the map of input b is zero, though the score changes with it$"),
    ("none", False, False, "^input b has no effect"),
])  # fmt: skip
def test_why_a_map_is_zero(how: str, gradients: bool, layered: bool, said: str) -> None:
    model = SiameseModel((nn.Identity(), Cutting(how)), "dot")
    pair = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
    with PairSaliency(model).prepared(pair) as batch:
        try:
            found = why_zero(batch, 1, gradients=gradients, layered=layered)
        except ValueError as error:
            found = str(error)
        assert re.search(said, found), found
        if how == "none":
            assert why_zero(batch, 0, gradients=True, layered=False).startswith("input a has no effect")
    assert rounding(torch.ones(1)) == 4 * 2**-23
    assert rounding(torch.ones(1, dtype=torch.bfloat16)) == 0


@pytest.mark.parametrize(("fits", "tried"), [(9, [9]), (4, [9, 4]), (1, [9, 4, 2, 1])])
def test_what_does_not_fit_is_halved_until_it_does(fits: int, tried: list[int]) -> None:
    asked: list[int | None] = []

    def run(split: Split) -> str:
        asked.append(split.pairs)
        if split.pairs is None or split.pairs > fits:
            raise torch.OutOfMemoryError("too much")
        return "found"

    pair = torch.ones(9, 2), torch.ones(9, 2)
    with PairSaliency(SiameseModel(nn.Identity(), "dot")).prepared(pair) as batch:
        assert fitting(batch, Split(9, stacked=True), run) == "found"
        assert asked == tried
        known, key = _known(batch)
        assert known[key] == Split(tried[-1], stacked=True)  # what is remembered
        assert _sizes(batch) == [1, 2, 4, 8]
        assert can_stack(batch)
        for nothing in (Split(None), Split(1)):
            fits = 0
            with pytest.raises(torch.OutOfMemoryError):
                fitting(batch, nothing, run)
    other = torch.ones(9, 2), torch.ones(9, 3)
    for model, inputs in (
        (SiameseModel((nn.Identity(), nn.Identity()), "dot"), pair),
        (SiameseModel((nn.Linear(2, 1), nn.Linear(3, 1)), "dot"), other),
    ):
        with PairSaliency(model).prepared(inputs) as batch:
            assert not can_stack(batch)


def test_classes_around_the_plane_of_their_means() -> None:
    """Means at the corners of a square around another point: their order is that of the corners."""
    corners = torch.tensor([[[[9, 5]]], [[[1, 5]]], [[[5, 9]]], [[[5, 1]]]], dtype=torch.uint8)
    images, labels = torch.cat([corners, corners]), torch.arange(4).repeat(2)
    order = around(LabelledImages(images, labels, ("right", "left", "up", "down"))).tolist()
    assert {order[0], order[2]} in ({0, 1}, {2, 3})
    assert sorted(order) == [0, 1, 2, 3]
    assert around(LabelledImages(corners[:2], torch.arange(2), ("b", "a"))).tolist() == [0, 1]
    spread = around(LabelledImages(corners, torch.tensor([0, 1, 2, 2]), ("right", "left", "middle", "none")))
    assert sorted(spread.tolist()) == [0, 1, 2, 3]  # one without images is in the middle


def at_most(monkeypatch: pytest.MonkeyPatch, drawn: float = 1.0) -> None:
    """Every draw of an augmentation is this one."""
    monkeypatch.setattr(Augment, "_uniform", lambda self, images, sides: torch.full((len(images),), drawn))


def test_how_far_an_image_is_turned_moved_and_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    at_most(monkeypatch)
    torch.testing.assert_close(Augment(degrees=90.0)(image), image.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    moved = Augment(shift=0.25)(image)  # by a quarter, two pixels of eight, both ways
    torch.testing.assert_close(moved[..., :6, :6], image[..., 2:, 2:], atol=1e-5, rtol=0)
    assert moved[..., 6:, :].abs().max() < 1e-5
    block = torch.zeros(1, 1, 8, 8)
    block[..., 3:5, 3:5] = 1
    grown = Augment(scale=1.0)(block)[0, 0]  # to twice the size
    assert (grown > 0.5).nonzero().tolist() == [[i, j] for i in (2, 3, 4, 5) for j in (2, 3, 4, 5)]
    wide = torch.zeros(1, 1, 4, 8)
    wide[..., 1:3, 2:6] = 1  # 2 x 4 pixels in the middle: upright after a quarter turn, whatever the image's shape
    turned = Augment(degrees=90.0)(wide)[0, 0]
    assert (turned > 0.5).nonzero().tolist() == [[i, j] for i in range(4) for j in (3, 4)]
    at_most(monkeypatch, 0.5)  # the middle of all that is drawn changes nothing
    same = Augment(degrees=90.0, shift=0.3, scale=0.5, brightness=0.5, contrast=0.5, saturation=0.5)(image)
    torch.testing.assert_close(same, image, atol=1e-5, rtol=0)


def test_contrast_and_saturation_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most(monkeypatch)
    image = torch.tensor([0.2, 0.4, 0.6]).reshape(1, 3, 1, 1)
    for augment, expected in (
        (Augment(contrast=0.5), [0.1, 0.4, 0.7]), (Augment(saturation=1.0), [0.0, 0.4, 0.8]),
        (Augment(brightness=2.0), [0.6, 1.0, 1.0]), (Augment(), [0.2, 0.4, 0.6]),
    ):  # fmt: skip
        assert augment(image).flatten().tolist() == pytest.approx(expected)
    two = image[:, :2]
    assert torch.equal(Augment(saturation=1.0)(two), two)  # no colours
    assert bool(Augment(saturation=0.1)) is True
    for name in ("degrees", "shift", "scale", "brightness", "contrast", "saturation"):
        assert Augment(**{name: 0.5})
        with pytest.raises(ValueError, match=f"{name}=-0.1: 0 or more is needed"):
            Augment(**{name: -0.1})
    for name in ("horizontal", "vertical"):
        assert Augment(**{name: 1.0})
        for value in (-0.1, 1.1):
            with pytest.raises(ValueError, match=f"{name}={value}: a probability"):
                Augment(**{name: value})


def test_similarities_of_edit_distances() -> None:
    """exp(-2 GED / (n + m)), and a quarter of the graphs for training is held out."""
    data = pytest.importorskip("torch_geometric.data")
    from xsiamese.data.ged import graded

    graphs = [data.Data(x=torch.ones(n, 1), edge_index=torch.tensor([[0], [1]])) for n in (2, 2, 3, 4, 2, 6)]
    distances = torch.arange(36.0).reshape(6, 6)
    distances[0, 3] = torch.inf
    found = graded("set", graphs, distances, torch.tensor([False] * 4 + [True] * 2))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [3, 1, 2]
    assert found.train.classes == ("2 nodes", "3 nodes", "4 nodes", "6 nodes")
    assert found.test.labels.tolist() == [0, 3]
    alike = found.train.alike
    assert float(alike[1, 2]) == pytest.approx(math.exp(-2 * 8 / 5))
    assert float(alike[4, 5]) == pytest.approx(math.exp(-2 * 29 / 8))
    assert math.isnan(float(alike[0, 3]))
    for share, held in ((0.01, 1), (0.5, 2), (0.9, 4)):
        assert len(graded("set", graphs, distances, torch.tensor([False] * 4 + [True] * 2), valid=share).valid) == held
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"valid_size={share:g}: edit distances"):
            graded("set", graphs, distances, torch.ones(6, dtype=torch.bool), valid=share)
