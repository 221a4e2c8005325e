"""Seven plugins of one file each, as strangers would write them: each is loaded, run, and held to its contract."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import SiameseModel, TwoInputModel
from xsiamese.contract.kinds import SUBJECTS, Texts
from xsiamese.door.registry import registry
from xsiamese.kinds.rows import Rows
from xsiamese.testing import ContractError, check_card, check_comparison, check_explainer, check_kind, check_metric
from xsiamese.zoo import find_card, shipped
from xsiamese.zoo.cards import ModelCard

FOLDER = Path(__file__).parents[1] / "examples" / "5_extending"
FILES = ("borrowed", "foil", "pair_matrix", "read_outs", "sentences", "stamps", "top_share")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Loads a file and registers it as an installed plugin would be."""
    loaded: list[ModuleType] = []

    def load(name: str) -> ModuleType:
        spec = spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        registry.manager.register(module, name=name)
        loaded.append(module)
        monkeypatch.setitem(registry.plugins, name, type(registry.plugins["captum"])(name, name, "1", name))
        return module

    yield load
    for module in loaded:
        registry.manager.unregister(module)


def encoder(*rows: Sequence[float]) -> nn.Module:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def row(*numbers: float) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


def test_every_file_is_tested_and_says_what_it_is() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("plot_")) == sorted(FILES)
    for name in FILES:
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert "as a plugin in one file" in text.partition("\n")[0]
        assert f"test_{name}" in globals()


def test_pair_matrix(plugin: Any, tmp_path: Path) -> None:
    explainer = plugin("pair_matrix").PairCrossRegression
    model = SiameseModel(encoder((1.0, 0.0), (0.0, 2.0)), "dot")  # A_ij = x_i y_j (1, 4 on the diagonal)
    found = explainer(model).explain((row(3, 1), row(2, 5)))
    torch.testing.assert_close(found.columns["matrix"][0].dense(), torch.diag(row(6, 20)[0]))
    assert found.best[0][:2] == ((1,), (1,))
    again = xsiamese.load(found.save(tmp_path / "why.safetensors"))
    assert type(again) is type(found)
    check_explainer(explainer)


def test_read_outs(plugin: Any) -> None:
    module = plugin("read_outs")
    model = SiameseModel(nn.Identity(), lambda z_a, z_b: z_a @ row(1, 2, 0)[0] + z_b @ row(0, 1, 1)[0])
    pair = row(1, 1, 1), row(3, 2, 1)
    sample = module.PairMasked(model).sample(pair, masks=200)
    passes: list[int] = []
    model.register_forward_hook(lambda *args: passes.append(1))
    fitted, kept = (cls(model).explain(pair, masks=200, sample=sample) for cls in (module.PairFitted, module.PairKept))
    assert passes == []
    torch.testing.assert_close(fitted.maps, (row(1, 2, 0), row(0, 2, 1)))  # linear: the coefficients themselves
    assert kept.maps[0][0].argmax() == 1
    for cls in (module.PairMasked, module.PairKept, module.PairFitted):
        check_explainer(cls)


def test_sentences(plugin: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = plugin("sentences")
    model = SiameseModel(nn.EmbeddingBag(module.WORDS, 3, mode="sum", padding_idx=0).double(), "dot")
    a, b = (module.Lines(texts) for texts in (("the cat sat", "dogs bark"), ("a cat", "birds sing now")))
    found = module.PairLeaveWordOut(model).explain((a, b))
    whole = found.scores
    alone = module.PairLeaveWordOut(model).scores((module.Lines(("the sat", "bark")), b))
    torch.testing.assert_close(found.maps[0][[0, 1], [1, 0]], whole - alone)  # without "cat", without "dogs"
    assert found.maps[0][1, 2] == 0  # there is no third word
    again = xsiamese.load(found.save(tmp_path / "why.safetensors"))
    assert again[1].inputs == (module.Lines(a.texts[1:]), module.Lines(b.texts[1:]))
    check_kind(module.Sentences(), a)

    class Written(Texts):
        """The ids of texts, written as sentences."""

        kind = " on sentences"

        def given(self, inputs: tuple[Tensor, Tensor]) -> Any:
            return tuple(module.Lines(tuple(" ".join(map(str, row)) for row in ids.tolist())) for ids in inputs)

    monkeypatch.setattr(module, "number", int)
    monkeypatch.setitem(SUBJECTS, "sentence", lambda cls, options: iter((sentences(cls, options),)))

    def sentences(cls: Any, options: dict[str, Any]) -> Written:
        made = Written(cls, options)
        made.options.pop("kind")
        made.kind = " on sentences"
        return made

    check_explainer(module.PairLeaveWordOut)


def test_top_share(plugin: Any) -> None:
    metric = plugin("top_share").TopShare
    model = SiameseModel(nn.Identity(), "dot")
    numbers = torch.arange(1.0, 6.0)[None]
    found = xsiamese.PairInputXGradient(model).explain((numbers, torch.ones(1, 5)))
    assert float(metric().compute(None, found)) == pytest.approx(5 / 30)  # one of ten places, twice 1 + 2 + 3 + 4 + 5
    check_metric(metric)


def test_stamps(plugin: Any) -> None:
    module = plugin("stamps")
    check_comparison(module.Overlap)
    check_card(module.CARD)
    model = shipped("stamps").model
    for name, value in module.edges().state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert model.comparison.threshold_ == 0.5
    assert model.comparison.name == "overlap"


def test_foil(plugin: Any) -> None:
    explainer = plugin("foil").PairContribution
    a, p, n = row(1, 2), row(3, 1), row(1, 1)
    found = explainer(SiameseModel(nn.Identity(), "dot")).explain((a, p), against=n)
    torch.testing.assert_close(found.maps[0], a * (p - n))
    torch.testing.assert_close(found.foil_map, -a * n)
    check_explainer(explainer)


def test_borrowed(plugin: Any) -> None:
    explainer = plugin("borrowed").PairBorrow
    model = SiameseModel(nn.Identity(), "dot")
    found = explainer(model, threshold=10.0).explain((row(0, 0, 0), row(1, 3, 2)))  # 9, then 9 + 4
    assert found.taken == [[1, 2]]
    assert found.maps is None
    assert "a would borrow [1, 2]" in found.summary()
    report = check_explainer(explainer)
    assert report.left_out["16 constant model on rows"] == "it gives no maps"


def test_broken_parts_are_told() -> None:
    card = find_card("fashion")
    with pytest.raises(ContractError, match="has no layer 'nowhere'"):
        check_card(replace(card, layer="nowhere"))
    with pytest.raises(ContractError, match="the card says overlap"):
        check_card(replace(card, comparison="overlap"))


class Product(xsiamese.Comparison):
    """The inner product, with nothing wrong."""

    name = "product"

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return (z_a * z_b).sum(1)


class Bare(Product):
    name = "bare"


class Undecided(Product):
    """Says neither way."""

    higher_is_closer = None  # type: ignore[assignment]


class Matrix(Product):
    """A score of every row with every row."""

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return z_a @ z_b.T


class Mixes(Product):
    """Of the whole batch."""

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return (z_a * z_b).sum(1) - (z_a * z_b).sum()


class Doubled(Product):
    """Reports another score than it explains."""

    def reported(self, explained: Tensor) -> Tensor:
        return 2 * explained


class Root(Product):
    """Infinitely steep at equal embeddings."""

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return (z_a - z_b).square().sum(1).sqrt()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (Bare, "a name and a docstring are needed"),
        (Undecided, "higher_is_closer is None: True or False is needed"),
        (Matrix, r"the score has shape \(4, 4\) for 4 pairs: \(4,\) is needed"),
        (Mixes, "a pair has another score in a batch than alone"),
        (Doubled, r"reported\(\) does not give the score from explained\(\)"),
        (Root, "no finite gradient where both embeddings are equal"),
    ],
)
def test_a_broken_comparison_is_told(made: type[xsiamese.Comparison], says: str) -> None:
    check_comparison(Product)
    with pytest.raises(ContractError, match=f"^{made.__name__}: {says}"):
        check_comparison(made)


class Joint(nn.Bilinear):
    """A score of two items, and no embeddings."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b).squeeze(1)


CARD = ModelCard("tiny", lambda: SiameseModel(nn.Linear(3, 2), "dot"), "A layer.", (3,), 2, "dot")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"summary": ""}, "a card needs a name and a summary"),
        ({"name": ""}, "a card needs a name and a summary"),
        (
            {"build": lambda: TwoInputModel(Joint(3, 3, 4))},
            r"tiny: two pairs of items \(3,\) give scores \(2, 4\)",
        ),
        ({"embedding": 5}, "tiny: embeddings have 2 dimensions, and the card says 5"),
    ],
)
def test_a_broken_card_is_told(changed: dict[str, Any], says: str) -> None:
    check_card(CARD)
    check_card(replace(CARD, build=lambda: TwoInputModel(Joint(3, 3, 1))))  # which has no embedding
    with pytest.raises(ContractError, match=f"^{says}$"):
        check_card(replace(CARD, **changed))


class Forgets(Rows):
    def unpack(self, tensors: Any, about: Any) -> Any:
        return 0 * super().unpack(tensors, about)


class Refuses(Rows):
    def side(self, item: Any, name: str, *, asked: bool = False) -> Any:
        return None


class Renamed(Rows):
    name = "line"

    def side(self, item: Any, name: str, *, asked: bool = False) -> Any:
        found = super().side(item, name, asked=asked)
        if found is not None:
            found.kind = "row"
        return found


class Greedy(Rows):
    def side(self, item: Any, name: str, *, asked: bool = False) -> Any:
        return super().side(item if isinstance(item, Tensor) else torch.ones(1, 3), name, asked=asked)


class Miscounts(Rows):
    def count(self, item: Any) -> int:
        return 7


class Numbered(Rows):
    def labels(self, side: Any, pair: int) -> Any:
        return [0, 1, 2]


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (Forgets, "the model gets something else of an item that comes back from a file"),
        (Refuses, "the item is none of its own"),
        (Renamed, "its side is of the kind 'row', not 'line'"),
        (Greedy, "it takes what is of no kind at all"),
        (Miscounts, "count says 7 pairs and its side has 2"),
        (Numbered, "labels must be strings"),
    ],
)
def test_a_broken_kind_is_told(made: type[Rows], says: str) -> None:
    check_kind(Rows(), torch.rand(2, 3))
    with pytest.raises(ContractError, match=f"^{made.__name__}: {says}$"):
        check_kind(made(), torch.rand(2, 3))
