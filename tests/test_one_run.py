"""One run, one result: what explain costs, what compute may return, and what becomes of it in slices and files."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairAttribution, PairExplanation, SiameseModel
from xsiamese.author import Found, ItemBatch, PairBatch, ReadOut, Sampler
from xsiamese.contract.subject import THRESHOLD, encoder, pairs
from xsiamese.explain.catalogue import explainers
from xsiamese.testing import quick_options

FILES = Path(__file__).parent / "files"
ON_IMAGES = sorted(name for name, cls in explainers().items() if cls.modalities & {"image"})


def rows_of(model: SiameseModel) -> list[int]:
    """The rows of every encoder call from now on."""
    rows: list[int] = []
    model.encoder[0].register_forward_hook(lambda *args: rows.append(len(args[2])))
    return rows


@pytest.mark.parametrize("name", ON_IMAGES)
def test_explain_costs_what_attribute_costs_and_scores_are_the_models(name: str) -> None:
    cls = explainers()[name]
    options = quick_options(cls)
    found: list[list[int]] = []
    for way in ("attribute", "explain"):
        model = SiameseModel(encoder(), "dot")
        settings = {"threshold": THRESHOLD} if "threshold" in signature(cls.__init__).parameters else {}
        explainer = cls(model, "3", **settings) if cls.needs_layer else cls(model, **settings)
        rows = rows_of(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = getattr(explainer, way)(pairs(), internal_batch_size=2, **options)
        found.append(list(rows))
    assert sum(found[1]) == sum(found[0])
    torch.testing.assert_close(result.scores, SiameseModel(encoder(), "dot")(*pairs()).detach())


@pytest.mark.parametrize("name", ["PairGradCAM", "PairSaliency", "PairInputXGradient", "PairHiResCAM"])
def test_no_pass_holds_more_pairs_than_it_may_and_one_pass_is_all(name: str) -> None:
    cls = explainers()[name]
    model = SiameseModel(encoder(), "dot")
    rows = rows_of(model)
    (cls(model, "3") if cls.needs_layer else cls(model)).explain(pairs(), internal_batch_size=2)
    assert rows == [2, 2, 1, 1]  # three pairs, both sides, once: the scores were seen on the way


class Thin:
    """An entry that packs itself."""

    def __init__(self, numbers: Tensor, name: str) -> None:
        self.numbers, self.name = numbers, name

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"numbers": self.numbers}, {"name": self.name}

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Thin:
        return cls(tensors["numbers"], plain["name"])


class Everything(PairAttribution):
    """Returns all that a run may hold, a part of the batch at a time."""

    modalities: ClassVar[frozenset[str]] = frozenset({"row"})
    chunk: ClassVar[int | None] = 2

    def compute(self, batch: PairBatch, *, maps: bool = True) -> Found:
        a, b = batch.a.leaves[0], batch.b.leaves[0]
        matrices = [Thin(x, f"{batch.first_pair + i}") for i, x in enumerate(a)]
        columns: dict[str, Any] = {
            "sum": (a + b).sum(1),
            "matrix": matrices,
            "words": [["w"] * (batch.first_pair + i) for i in range(batch.pairs)],
            "ragged": [x[: 1 + i] for i, x in enumerate(a)],
        }
        return Found(batch.maps([a, b]) if maps else None, columns=columns)


def everything(**options: Any) -> tuple[PairExplanation, Tensor, Tensor]:
    a, b = torch.arange(15.0).reshape(5, 3), torch.ones(5, 3)
    return Everything(SiameseModel(nn.Identity(), "dot")).explain((a, b), **options), a, b


def test_columns_are_joined_sliced_and_iterated() -> None:
    found, a, b = everything()
    assert torch.equal(found.columns["sum"], (a + b).sum(1))
    assert [len(words) for words in found.columns["words"]] == [0, 1, 2, 3, 4]
    some = found[[3, 1]]
    assert [len(words) for words in some.columns["words"]] == [3, 1]
    assert torch.equal(some.columns["sum"], (a + b).sum(1)[[3, 1]])
    assert some.columns["matrix"][0].name == "3"
    assert [len(one.columns["words"][0]) for one in found] == [0, 1, 2, 3, 4]


def test_no_maps_are_no_maps() -> None:
    found, a, b = everything(maps=False)
    assert found.maps is None
    with pytest.raises(ValueError, match="gives no maps: what it found is in sum, matrix, words, ragged"):
        found.top()
    with pytest.raises(ValueError, match="gives no maps: use explain"):
        Everything(SiameseModel(nn.Identity(), "dot")).attribute((a, b), maps=False)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (1, [1]), (-1, [4]), (np.int64(2), [2]), (torch.tensor(3), [3]), (slice(1, 3), [1, 2]), ([4, 0], [4, 0]),
        (torch.tensor([True, False, False, True, False]), [0, 3]), (np.array([2, 2]), [2, 2]), (range(2), [0, 1]),
    ],
)  # fmt: skip
def test_pairs_are_named_in_every_usual_way(index: Any, expected: list[int]) -> None:
    found, a, _ = everything()
    assert torch.equal(found[index].inputs[0], a[expected])


@pytest.mark.parametrize("index", ["0", 1.5, None, True, (0, 1.0), everything()[0], torch.tensor(0.5)])
def test_what_is_no_index_is_refused(index: Any) -> None:
    with pytest.raises(TypeError, match="is a"):
        everything()[0][index]
    with pytest.raises(IndexError, match="holds 5 pairs"):
        everything()[0][5]
    with pytest.raises(IndexError, match="a mask of 2 for 5 pairs"):
        everything()[0][[True, False]]


def test_an_explanation_is_itself_only_and_tells_itself_in_a_line() -> None:
    found = everything()[0]
    assert found == found
    assert found != everything()[0]
    assert len({found, found}) == 1
    assert "\n" not in repr(found)
    assert len(repr(found)) < 200


class Shown(PairExplanation):
    """A result type of its own."""

    packables: ClassVar[tuple[type[Any], ...]] = (Thin,)

    @property
    def matrices(self) -> tuple[Thin, ...]:
        return tuple(self.columns["matrix"])


def test_a_file_is_read_as_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Matrices(Everything):
        result: ClassVar[type[PairExplanation]] = Shown

    monkeypatch.setattr("xsiamese.result.files.explainers", lambda: {"Matrices": Matrices})
    a, b = torch.arange(15.0).reshape(5, 3), torch.ones(5, 3)
    made = Matrices(SiameseModel(nn.Identity(), "dot")).explain((a, b))
    path = made[1:4].save(tmp_path / "why.safetensors")
    found = xsiamese.load(path)
    assert type(found) is Shown
    assert isinstance(Shown.load(path), Shown)
    assert found.matrices[2].name == "3"  # type: ignore[attr-defined]
    assert torch.equal(found.matrices[2].numbers, a[3])  # type: ignore[attr-defined]
    assert found.columns["words"] == tuple(made.columns["words"][1:4])
    for own, other in zip(found.columns["ragged"], made.columns["ragged"][1:4], strict=True):
        assert torch.equal(own, other)
    monkeypatch.setattr("xsiamese.result.files.explainers", dict)
    with pytest.warns(UserWarning, match="holds a Shown of .*, which no installed plugin brings"):
        plain = xsiamese.load(path)
    assert type(plain) is PairExplanation
    assert plain.columns["matrix"][0].type == "Thin"
    again = plain.save(tmp_path / "again.safetensors")  # what is not known is not lost
    monkeypatch.setattr("xsiamese.result.files.explainers", lambda: {"Matrices": Matrices})
    assert torch.equal(Shown.load(path).matrices[0].numbers, a[1])
    with pytest.raises(ValueError, match="holds a PairExplanation, no Shown"):
        Shown.load(again)


def test_files_of_a_newer_format_and_cut_ones_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = everything(maps=False)[0].save(tmp_path / "why.safetensors")
    save_file(load_file(path), tmp_path / "new.safetensors", {"xsiamese": '{"format": 99}'})
    with pytest.raises(ValueError, match=r"is of format 99, and this version reads up to 2"):
        xsiamese.load(tmp_path / "new.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is not a safetensors file"):
        xsiamese.load(tmp_path / "cut.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="no explanation that xsiamese saved"):
        xsiamese.load(tmp_path / "foreign.safetensors")


def test_files_of_the_first_edition_are_read() -> None:
    maps = xsiamese.load(FILES / "first_edition_maps.safetensors")
    assert (maps.method, maps.ids) == ("PairIntegratedGradients", (("a0", "b0"), ("a1", "b1")))
    assert maps.delta is not None
    decision = xsiamese.load(FILES / "first_edition_decision.safetensors")
    assert isinstance(decision, xsiamese.DecisionMaps)
    assert sorted(decision.alike) == [False, True]
    assert torch.equal(decision.factual[0] + decision.counterfactual[0], decision.maps[0])
    swap = xsiamese.load(FILES / "first_edition_swap.safetensors")
    assert isinstance(swap, xsiamese.CounterfactualExplanation)
    assert [one.kind for one in swap.counterfactuals] == ["swap", "swap"]


def test_three_threads_on_one_explainer_find_what_one_finds() -> None:
    model, (a, b) = SiameseModel(encoder(), "dot"), pairs()
    explainer = xsiamese.PairGradCAM(model, "3")
    alone = [explainer.explain((a[i : i + 1], b[i : i + 1])).maps[0] for i in range(3)]
    wrong: list[str] = []

    def work(i: int) -> None:
        for _ in range(5):
            found = explainer.explain((a[i : i + 1], b[i : i + 1]))
            if len(found) != 1 or not torch.allclose(found.maps[0], alone[i]):
                wrong.append(repr(found))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class ByItem(PairAttribution):
    """What it needs of an item is drawn once for each."""

    modalities: ClassVar[frozenset[str]] = frozenset({"row"})

    def prepare(self, items: ItemBatch) -> Mapping[str, Any]:
        return {"z": items.embed().detach(), "drawn": list(items.seeds)}

    def compute(self, batch: PairBatch) -> Found:
        (first, second), (a, b) = batch.prepared, batch.sides
        drawn = list(zip(first["drawn"], second["drawn"], strict=True))
        return Found(batch.maps([a.leaves[0], b.leaves[0]]), batch.closeness(first["z"], second["z"]), {"drawn": drawn})


def test_each_item_is_prepared_once_whatever_its_pairs_and_sides() -> None:
    encoder = nn.Linear(3, 2).double()
    rows: list[int] = []
    encoder.register_forward_hook(lambda *args: rows.append(len(args[2])))
    items = torch.randn(6, 3, dtype=torch.float64)
    first, second = torch.triu_indices(6, 6, 1)
    model = SiameseModel(encoder, "cosine")
    found = ByItem(model).explain((items[first], items[second]), internal_batch_size=4)
    assert sum(rows) == 6
    assert max(rows) <= 4
    torch.testing.assert_close(found.scores, model(items[first], items[second]).detach())
    seeds: dict[int, set[int]] = {}
    for i, j, (of_i, of_j) in zip(first.tolist(), second.tolist(), found.columns["drawn"], strict=True):
        seeds.setdefault(i, set()).add(of_i)
        seeds.setdefault(j, set()).add(of_j)
    assert all(len(each) == 1 for each in seeds.values())  # an item has its seed on either side
    assert len({seed for each in seeds.values() for seed in each}) == 6
    swapped = ByItem(model).explain((items[second], items[first]))
    assert swapped.columns["drawn"] == tuple((j, i) for i, j in found.columns["drawn"])


class Ask(Sampler):
    """Asks for the value without each feature of a."""

    modalities: ClassVar[frozenset[str]] = frozenset({"row"})

    def ask(self, batch: PairBatch, *, fill: float = 0.0) -> Mapping[str, Any]:
        a, b = batch.moved
        without = [batch.value(a.index_fill(1, torch.tensor([i]), fill), b) for i in range(a.shape[1])]
        return {"lost": batch.value()[:, None] - torch.stack(without, 1)}


class Lost(ReadOut):
    """What is lost without each feature of a."""

    requires = Ask
    modalities: ClassVar[frozenset[str]] = frozenset({"row"})

    def read(self, batch: PairBatch, sample: Mapping[str, Any], *, scale: float = 1.0) -> Any:
        return batch.maps([scale * sample["lost"], scale * sample["lost"]])


@pytest.mark.filterwarnings("ignore:input b has no effect")
def test_a_sample_is_read_many_times_for_nothing_and_only_on_its_own_pairs() -> None:
    encoder = nn.Linear(3, 2).double()
    model, (a, b) = SiameseModel(encoder, "dot"), torch.randn(2, 4, 3, dtype=torch.float64)
    sample = Ask(model).sample((a, b), fill=1.0)
    rows: list[int] = []
    handle = encoder.register_forward_hook(lambda *args: rows.append(len(args[2])))
    found = Lost(model).explain((a, b), sample=sample, fill=1.0, scale=2.0)
    assert rows == []
    handle.remove()
    torch.testing.assert_close(found.maps[0], 2 * Lost(model).attribute((a, b), fill=1.0)[0])
    torch.testing.assert_close(found.scores, model(a, b).detach())
    for other in ({"fill": 0.0}, {"fill": 1.0, "seed": 3}):
        with pytest.raises(ValueError, match="the sample is of other pairs, another model, other options"):
            Lost(model).explain((a, b), sample=sample, **other)
    with pytest.raises(ValueError, match="the sample is of other pairs"):
        Lost(model).explain((b, a), sample=sample, fill=1.0)
    with pytest.raises(ValueError, match="the sample is of other pairs"):
        Lost(model).explain((a, b), sample=sample, fill=1.0, baselines=1)
    with torch.no_grad():
        encoder.weight[0, 0] += 1
    with pytest.raises(ValueError, match="the sample is of other pairs"):
        Lost(model).explain((a, b), sample=sample, fill=1.0)


def test_graphs_of_the_same_nodes_and_other_edges_are_told_apart() -> None:
    pytest.importorskip("torch_geometric")
    from torch_geometric.data import Data
    from torch_geometric.nn import GCNConv

    from xsiamese.explain.sample import fingerprints

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(2, 3)

        def forward(self, data: Any) -> Tensor:
            return self.conv(data.x, data.edge_index).mean(0, keepdim=True)

    x = torch.ones(3, 2)
    first = Data(x=x, edge_index=torch.tensor([[0, 1], [1, 2]]))
    other = Data(x=x, edge_index=torch.tensor([[0, 0], [1, 2]]))
    explainer = xsiamese.PairInputXGradient(SiameseModel(Network(), "dot"))
    found = []
    for graph in (first, first, other):
        with explainer.prepared((graph, first)) as batch:
            found += fingerprints(batch, {})
    assert found[0] == found[1] != found[2]


def test_against_a_foil_at_two_layers_is_told() -> None:
    model, pair = SiameseModel(encoder(), "dot"), pairs()
    said = "against= needs one map of a, a tensor, from both runs: explain the two pairs one by one"
    with pytest.raises(ValueError, match=f"^{said}$"):
        xsiamese.PairGradCAM(model, ["0", "3"]).explain(pair, against=pair[0])


def test_against_a_foil_is_the_gradient_of_the_difference() -> None:
    encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    model = SiameseModel(encoder, "cosine")
    a, p, n = torch.randn(3, 2, 3, dtype=torch.float64)
    found = xsiamese.PairInputXGradient(model).explain((a, p), against=n)
    x, y, z = (t.clone().requires_grad_() for t in (a, p, n))
    slopes = torch.autograd.grad((model(x, y) - model(x, z)).sum(), (x, y, z))
    for own, item, slope in zip((*found.maps, found.foil_map), (a, p, n), slopes, strict=True):
        torch.testing.assert_close(own, item * slope)
    with pytest.raises(ValueError, match=r"PairSaliency is not linear .* these are: .*PairInputXGradient"):
        xsiamese.PairSaliency(model).explain((a, p), against=n)


@pytest.mark.parametrize(
    ("trait", "value", "said"),
    [
        ("stochastik", True, "stochastik is no trait of an explainer; did you mean 'stochastic'"),
        ("speed", 3, r"speed is no trait .* declare it: speed: ClassVar"),
        ("complete", "yes", "complete is 'yes': True or False is needed"),
        ("chunk", 0, "chunk is 0: a positive number or None is needed"),
        ("reference", "smilkov2017", "reference is 'smilkov2017': a tuple of strings is needed"),
        ("result", dict, "a subclass of PairExplanation is needed"),
    ],
)
def test_a_wrong_trait_is_an_error_when_the_class_is_made(trait: str, value: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        type("Wrong", (Everything,), {trait: value})


def test_mixed_is_the_second_derivative_of_closeness() -> None:
    u, v = torch.randn(2, 3, 4, dtype=torch.float64)
    with xsiamese.PairSaliency(SiameseModel(nn.Identity(), "cosine")).prepared((u, v)) as batch:
        found = batch.mixed(u, v)
    norm_u, norm_v = u.norm(dim=1), v.norm(dim=1)
    eye = torch.eye(4, dtype=torch.float64)
    for i in range(3):  # (I - uu')(I - vv') / (|u| |v|), by hand
        own, other = u[i] / norm_u[i], v[i] / norm_v[i]
        by_hand = (eye - own.outer(own)) @ (eye - other.outer(other)) / (norm_u[i] * norm_v[i])
        torch.testing.assert_close(found[i], by_hand)
    with xsiamese.PairSaliency(SiameseModel(nn.Identity(), "dot")).prepared((u, v)) as batch:
        torch.testing.assert_close(batch.mixed(u, v), eye.expand(3, 4, 4))
    with xsiamese.PairSaliency(SiameseModel(nn.Identity(), "squared_euclidean")).prepared((u, v)) as batch:
        torch.testing.assert_close(batch.mixed(u, v), 2 * eye.expand(3, 4, 4))  # closeness is minus the distance
