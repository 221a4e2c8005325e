"""No text of a picture lies on another: every plotting function, on names as long as people give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tests.svg import figure_of, letters
from xsiamese import (
    MatrixExplanation,
    PairCounterfactualMaps,
    PairEigenCAM,
    PairExplanation,
    PairGradCAM,
    PairInputXGradient,
    PairMatrix,
    PairMinimalMask,
    PairRegionSwap,
    PairSaliency,
    PairTabularCounterfactual,
    SiameseModel,
    compare,
)
from xsiamese.data import fashion_pair
from xsiamese.data.atlas import AAL116, AAL116_LOBES
from xsiamese.kinds.words import Texts
from xsiamese.zoo import find_card, shipped

pytest.importorskip("matplotlib")

from xsiamese import plot

LONG = "a photograph with a long name.jpeg"


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """The texts of a drawn figure whose boxes share more than a sliver; those on a slant have no box of their own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    texts = list(figure.texts)
    texts += [text for axes in figure.axes if axes.get_visible() for text in _of(axes)]
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in dict.fromkeys(texts)
        if text.get_text().strip() and text.get_visible() and text.get_rotation() % 90 == 0
    ]
    found = []
    for (one, first), (other, second) in combinations(boxes, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        down = min(first.y1, second.y1) - max(first.y0, second.y0)
        if across > 2 and down > 2:  # pixels, at 100 to an inch
            found.append((one, other))
    return found


def _of(axes: Any) -> list[Any]:
    """The texts of axes that are drawn: no ticks of an axis that is off, and none outside its limits."""
    from matplotlib.text import Text

    axis_off = [] if axes.axison else [axes.xaxis, axes.yaxis]
    hidden = {text for axis in (axes.xaxis, axes.yaxis) for text in axis.findobj(Text)}
    drawn = [text for text in axes.findobj(Text) if text not in hidden]
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_visible() and axis not in axis_off:
            low, high = sorted(axis.get_view_interval())
            seen = [tick for tick in axis._update_ticks() if low <= tick.get_loc() <= high]
            ticks = [label for tick in seen for label in (tick.label1, tick.label2)]
            drawn += [axis.label, axis.offsetText, *ticks]
    return drawn


def test_an_overlap_is_seen() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.text(0.5, 0.5, "one word")
    axes.text(0.52, 0.5, "another")
    assert overlapping(figure) == [("one word", "another")]
    axes.texts[1].set_position((0.5, 0.8))
    assert not overlapping(figure)


def images(pairs: int = 3, **options: Any) -> PairExplanation:
    torch.manual_seed(0)
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten()), "clamped_euclidean")
    model.comparison.threshold_ = 0.9382
    inputs = torch.rand(pairs, 1, 12, 12), torch.rand(pairs, 1, 12, 12)
    cls = options.pop("cls", PairGradCAM)
    return cls(model, "encoder.1").explain(inputs, ids=[(LONG, LONG)] * pairs, **options)


def rows(pairs: int = 3, columns: int = 12) -> PairExplanation:
    torch.manual_seed(0)
    model = SiameseModel(nn.Linear(columns, 4), "euclidean")
    model.comparison.threshold_ = 1.2345
    return PairInputXGradient(model).explain((torch.randn(pairs, columns), torch.randn(pairs, columns)))


NAMES = [f"a column with a long name {k}" for k in range(12)]


def of_kind(*shape: int) -> Any:
    model = SiameseModel(nn.Flatten(), "dot")
    kinds = {4: "volume", 2: "series"}
    inputs = torch.rand(2, *shape), torch.rand(2, *shape)
    assert PairSaliency(model).explain(inputs).kinds[0] == kinds[len(shape)]
    return PairSaliency(model).explain(inputs, ids=[(LONG, LONG)] * 2).plot()


def graphs(count: int = 12, **data: Any) -> tuple[Any, Any]:
    geometric = pytest.importorskip("torch_geometric.data")
    ends = torch.combinations(torch.arange(count))[:: max(1, count // 6)].T
    one = geometric.Data(x=torch.rand(count, 3), edge_index=torch.cat([ends, ends.flip(0)], 1), **data)
    return geometric.Batch.from_data_list([one]), geometric.Batch.from_data_list([one])


def coloured(pairs: int = 2, count: int = 12) -> Any:
    graph = graphs(count)[0].to_data_list()[0]
    names = [f"node {k}" for k in range(count)]
    one = plot.Coloured(graph, torch.randn(count), torch.randn(graph.num_edges), names, LONG)
    return plot.plot_graphs(
        [(one, one)] * pairs, title="A title", scores=["different: distance 1.23, alike up to 1"] * 2
    )


def connectomes() -> Any:
    matrix = torch.randn(116, 116)
    return plot.plot_connectomes(
        [matrix + matrix.T] * 2,
        names=AAL116,
        groups=AAL116_LOBES,
        strongest=40,
        titles=["first scan", "second scan"],
        title="PairInputXGradient: blue pulls together, red pushes apart   score 0.5",
    )


def matrix(kind: str) -> Any:
    inputs: dict[str, tuple[Any, Any]] = {
        "image": (torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)),
        "row": (torch.rand(1, 12), torch.rand(1, 12)),
    }
    grid = {"image": (4, 4), "row": (12,)}[kind]
    count = torch.tensor(grid).prod()
    of = PairMatrix.of(torch.eye(int(count)) / int(count), places=(grid, grid))
    first, second = of.marginals
    one = MatrixExplanation(
        (first[None], second[None]),
        inputs[kind],
        torch.ones(1),
        "PairMaskRegression",
        ids=((LONG, LONG),),
        columns={"matrix": [of], "reference": torch.ones(1)},
    )
    return one.plot(labels=(NAMES, NAMES)) if kind == "row" else one.plot()


def texts() -> Any:
    pytest.importorskip("wordllama")
    from xsiamese import PairTokenMatrix, from_wordllama

    said = ["A cat sat on the mat, and the bank raised its extraordinarily high interest rates once more."]
    return PairTokenMatrix(from_wordllama()).explain((said, ["The kitten slept on a rug beside the bank."])).plot(0)


def trace() -> Any:
    course = {name: torch.rand(5, 7) for name in ("stationarity", "infeasibility", "dual_gap")}
    return SimpleNamespace(
        steps=50 * torch.arange(5), course=SimpleNamespace(**course, multipliers=torch.rand(5, 7, 2))
    )


def explanations() -> list[PairExplanation]:
    model = SiameseModel(nn.Flatten(), "dot")
    inputs = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    return [cls(model).explain(inputs, ids=[(LONG[:18], LONG[:18])]) for cls in (PairSaliency, PairInputXGradient)] * 3


def molecules() -> Any:
    pytest.importorskip("rdkit")
    drugs = ["CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1"]
    return plot.plot_molecules(
        drugs * 2, [None] * 4, [None] * 4, titles=["A drug with a long name, and its score 0.53"] * 4, title="Two pairs"
    )


def one_molecule(smiles: str = "CC(=O)Oc1ccccc1C(=O)O") -> str:
    """As SVG, with a value for each atom and bond."""
    chemistry = pytest.importorskip("rdkit.Chem")
    atoms, bonds = (
        read(chemistry.MolFromSmiles(smiles)) for read in (lambda m: m.GetNumAtoms(), lambda m: m.GetNumBonds())
    )
    return plot.molecule_svg(smiles, torch.linspace(-1, 1, atoms), torch.linspace(0.5, -0.5, bonds))


def planes(classes: int = 20) -> Any:
    names = [f"a class called {k}" for k in range(classes)]
    return plot.latent_space(torch.randn(60, 2), torch.arange(60) % classes, names, "Test images")


def counterfactual_row() -> Any:
    torch.manual_seed(0)
    model = SiameseModel(nn.Linear(12, 4), "euclidean")
    model.comparison.threshold_ = 0.5
    return (
        PairTabularCounterfactual(model)
        .find((torch.randn(1, 12), torch.randn(1, 12)), ranges=torch.tensor([[-3.0, 3.0]] * 12))[0]
        .plot()
    )


def flipped(cls: Any, **options: Any) -> Any:
    """A counterfactual of two shipped images."""
    pair = fashion_pair("sneaker", "ankle boot")
    return cls(shipped("fashion").model, **options).find(pair, ids=[(LONG, LONG)])[0].plot()


def decision_maps(form: str) -> Any:
    model = SiameseModel(shipped("fashion").model.encoder, "euclidean").eval()
    explainer = PairCounterfactualMaps(model, find_card("fashion").layer, threshold=3.0)
    return explainer.explain(fashion_pair("sneaker", "ankle boot"), ids=[(LONG, LONG)], form=form).plot()


def graph_edits() -> Any:
    from xsiamese import PairGraphEdits

    data = pytest.importorskip("torch_geometric.data")
    ends = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]])
    square, path = (
        data.Batch.from_data_list([data.Data(x=torch.ones(4, 1), edge_index=one)]) for one in (ends, ends[:, :6])
    )

    def edges(batch: Any) -> torch.Tensor:
        return torch.bincount(batch.batch[batch.edge_index[0]], minlength=batch.num_graphs).float() / 2

    search = PairGraphEdits(lambda a, b: (edges(a) - edges(b)).abs(), threshold=0.5, higher_is_closer=False)
    return search.find((square, path))[0].plot()


PICTURES: dict[str, Callable[[], Any]] = {
    "one pair of images": lambda: images(1).plot(),
    "several pairs of images": lambda: images(4).plot(),
    "each map by itself": lambda: images(2).plot(norm="each"),
    "a magnitude": lambda: images(2, cls=PairEigenCAM).plot(),
    "one side held": lambda: images(2, wrt="first").plot(),
    "rows": lambda: rows().plot(names=NAMES),
    "rows with two columns": lambda: rows(columns=2).plot(names=NAMES[:2]),
    "series": lambda: of_kind(3, 40),
    "volumes": lambda: of_kind(1, 8, 8, 8),
    "texts": texts,
    "a matrix of images": lambda: matrix("image"),
    "a matrix of rows": lambda: matrix("row"),
    "graphs": coloured,
    "graphs of many nodes": lambda: coloured(1, 40),
    "connectomes": connectomes,
    "molecules": molecules,
    "one molecule": lambda: figure_of(one_molecule()),
    "methods in rows": lambda: compare(explanations()),
    "methods side by side": lambda: compare(explanations(), columns=2),
    "a latent space": planes,
    "curves": lambda: plot.curves({"train loss": [3.0, 2.0, 1.0], "test loss": [3.0, 2.5, 2.0]}, "Losses"),
    "true against found": lambda: plot.latent.against(torch.rand(9), torch.rand(9), "Distances"),
    "convergence": lambda: plot.convergence({"mu = 0.001": trace(), "mu = 0": trace()}, "Gradient descent-ascent"),
    "stability": lambda: plot.stability(
        {"gradient x difference": torch.rand(24, 12), "held to the invariance": torch.rand(24, 12)}, NAMES
    ),
    "an invariance": lambda: plot.invariance_table(
        torch.rand(12), NAMES, ["+1.2 sd"] * 12, {"gradient": torch.rand(12)}
    ),
    "a counterfactual row": counterfactual_row,
    "swapped regions": lambda: flipped(PairRegionSwap, layer="7"),
    "regions taken away": lambda: flipped(PairMinimalMask),
    "edges taken away": graph_edits,
    "halves of a map": lambda: decision_maps("signed"),
    "halves of a map, as published": lambda: decision_maps("livieris"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_lies_on_another(name: str) -> None:
    assert not overlapping(PICTURES[name]())


def test_names_around_a_circle_keep_a_line_apart() -> None:
    slanted = [text for axes in connectomes().axes for text in axes.texts]
    assert len(slanted) > 20
    for of in {text.axes for text in slanted}:
        around = [text.get_position() for text in slanted if text.axes is of]
        angles = torch.tensor([y / (x**2 + y**2) ** 0.5 for x, y in around]).asin()
        flipped = torch.where(torch.tensor([x for x, _ in around]) < 0, torch.pi - angles, angles).sort().values
        gaps = torch.cat([flipped.diff(), flipped[:1] + 2 * torch.pi - flipped[-1:]])
        assert float(gaps.min()) > 0.079


DRUGS = {
    "aspirin": ("CC(=O)Oc1ccccc1C(=O)O", 4),
    "trimethoprim": ("COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC", 7),
    "atorvastatin": ("CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O", 8),
}


@pytest.mark.parametrize("drug", DRUGS)
def test_no_letter_of_a_molecule_lies_on_another_atom_s(drug: str) -> None:
    smiles, lettered = DRUGS[drug]
    boxes = letters(one_molecule(smiles))
    assert len(boxes) == lettered  # every atom but carbon
    for (one, first), (other, second) in combinations(boxes.items(), 2):
        across = min(first[2], second[2]) - max(first[0], second[0])
        down = min(first[3], second[3]) - max(first[1], second[1])
        assert min(across, down) < 0, (one, other)
    assert all(left >= 0 and right <= 420 and top >= 0 and bottom <= 340 for left, top, right, bottom in boxes.values())


def test_every_plotting_function_is_here() -> None:
    """Each public function of ``xsiamese.plot`` is called above, or is what draws an explanation above."""
    from pathlib import Path

    drawn = {"plot_pair", "plot_rows"}  # by ``plot()`` of images and rows
    public = {name for name, thing in vars(plot).items() if callable(thing) and thing.__module__.startswith("xsiamese")}
    text = Path(__file__).read_text(encoding="utf-8")
    assert not {name for name in public - drawn if f"plot.{name}(" not in text}


def test_texts_of_several_pairs_have_room_for_what_stands_beside_them() -> None:
    def texts(*sentences: str) -> Texts:
        words = [sentence.split() for sentence in sentences]
        most = max(map(len, words))
        numbers = torch.tensor([[i if i < len(one) else -1 for i in range(most)] for one in words])
        return Texts({"input_ids": torch.arange(most).expand(len(words), -1)}, words, numbers, words)

    a = texts("A cat sat on the mat .", "The bank raised its interest rates .")
    b = texts("The kitten slept on a rug .", "We had a picnic on the bank of the river .")
    maps = tuple(torch.rand(2, side.tensors["input_ids"].shape[1]) for side in (a, b))
    made = PairExplanation(maps, (a, b), torch.rand(2), "PairLayerIntegratedGradients", kinds=("text", "text"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib gives up the layout with one
        assert not overlapping(made.plot())
