"""More small parts against values worked out by hand, each of which was once wrong on purpose and not seen."""

from __future__ import annotations

import builtins
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
from xsiamese.branches.probe import _follows, _grids
from xsiamese.branches.record import replaced
from xsiamese.data.augment import Augment
from xsiamese.data.planted_images import Digits
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
from xsiamese.plot.picture import _one


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
        assert _one(batch).tolist() == [1.0]


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
    assert _follows(moved.repeat(1, 3, 1, 1, 1), layout) == pytest.approx(_follows(moved, layout))


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
