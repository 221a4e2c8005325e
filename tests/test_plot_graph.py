"""Pictures of graphs, molecules and connectomes: what is drawn is what was given, on one scale, in stable places."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch_geometric.data import Batch, Data

from tests import graph_problems as problems
from tests.graphs import Convolved, graph, one, random_graph
from xsiamese import PairInputXGradient, SiameseModel
from xsiamese.plot.connectome import plot_connectomes
from xsiamese.plot.explained import _masks, molecule_of, plot_explained
from xsiamese.plot.graph import Coloured, plot_graphs
from xsiamese.plot.layout import _turned, matching, positions
from xsiamese.plot.molecule import molecule_svg, plot_molecules
from xsiamese.plot.scale import Scale
from xsiamese_graph import PairGNNExplainer, PairLeaveOneOut


def relabelled(data: Data, order: torch.Tensor) -> Data:
    """The same graph, its node k now being order[k]."""
    where = torch.empty_like(order)
    where[order] = torch.arange(len(order))
    return Data(x=data.x[where], edge_index=order[data.edge_index])


@pytest.mark.parametrize("seed", range(4))
def test_a_relabelled_graph_is_matched_and_lies_the_same(seed: int) -> None:
    a = random_graph(9, 12, seed)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    match = matching(a, relabelled(a, order))
    assert torch.equal(order[match[:, 0]], match[:, 1])
    first, second = positions(a, relabelled(a, order))
    assert torch.allclose(first, second[order], atol=1e-3)


def test_places_do_not_change_from_call_to_call() -> None:
    a, b = random_graph(12, 15, 0), random_graph(10, 12, 1)
    for first, second in zip(positions(a, b), positions(a, b), strict=True):
        assert torch.equal(first, second)


def test_a_graph_less_one_edge_stays_where_it_is() -> None:
    ring = [(k, (k + 1) % 8) for k in range(8)]
    a, b = graph([*ring, (0, 4)], 8), graph([*ring], 8)
    match = torch.arange(8)[:, None].expand(8, 2)
    first, second = positions(a, b, match)
    moved = (first - second).norm(dim=1).max()
    assert moved < 0.5 * (first.max(0).values - first.min(0).values).max()


def test_given_places_are_kept() -> None:
    a = graph([(0, 1)], 2)
    a.pos = torch.tensor([[0.0, 1.0, 9.0], [2.0, 3.0, 9.0]])
    assert positions(a, graph([(0, 1)], 2))[0].tolist() == [[0.0, 1.0], [2.0, 3.0]]


@pytest.mark.parametrize(
    "data", [graph([], 1), graph([], 4), graph([(0, 1), (2, 3), (3, 4)], 6)], ids=["one node", "no edges", "parts"]
)
def test_graphs_with_little_in_them_are_drawn(data: Data) -> None:
    first, second = positions(data, data)
    assert bool(torch.isfinite(first).all())
    assert len(torch.unique(first.round(decimals=3), dim=0)) == len(first)
    assert torch.allclose(first, second, atol=1e-3)
    plot_graphs([(Coloured(data), Coloured(data, torch.ones(int(data.num_nodes or 0))))]).savefig(
        "/dev/null", format="png"
    )


def test_both_directions_of_an_edge_add_up_and_both_graphs_share_the_scale() -> None:
    a, b = graph([(0, 1), (1, 2)], 3), graph([(0, 1)], 2)
    left = Coloured(a, edges=torch.tensor([1.0, 2.0, -0.5, -0.5]))
    right = Coloured(b, nodes=torch.tensor([0.5, -4.0]))
    assert left.of_edges()[1].tolist() == [3.0, -1.0]
    figure = plot_graphs([(left, right)], scores=["score 0.5"])
    bars = [axis for axis in figure.axes if axis.get_label() == "<colorbar>"]
    assert len(bars) == 1
    assert bars[0].get_ylim() == (-4.0, 4.0)
    texts = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert {"0", "1", "2", "score 0.5"} <= texts


def test_deleted_parts_are_drawn_apart() -> None:
    a = graph([(0, 1), (1, 2)], 3)
    axis = plot_graphs([(Coloured(a, gone=frozenset({(0, 1), (2,)})), Coloured(a))]).axes[0]
    assert [len(lines.get_segments()) for lines in axis.collections[:2]] == [1, 1]


def test_a_molecule_is_coloured_by_its_values() -> None:
    plain = molecule_svg("CCO")
    assert "<svg" in plain
    red, blue = molecule_svg("CCO", [-1.0, 0.0, 0.0]), molecule_svg("CCO", [0.0, 0.0, 0.0], [1.0, 0.0])
    assert len({plain, red, blue}) == 3
    assert molecule_svg("CCO", [0.0, 0.0, 0.0]) == plain


def test_the_same_value_has_the_same_colour_on_both_molecules() -> None:
    half = molecule_svg("CCO", [0.5, 0.0, 0.0], limit=1.0)
    whole = molecule_svg("CCO", [0.5, 0.0, 0.0])

    def fills(text: str) -> set[str]:
        return {part[:7] for part in text.split("fill:")[1:]}

    assert fills(half) != fills(whole)
    assert fills(molecule_svg("CCO", [0.25, 0.0, 0.0], limit=0.5)) == fills(half)


def test_a_pair_of_molecules_has_one_bar() -> None:
    figure = plot_molecules(
        ["c1ccccc1C", "c1ccncc1C"], [torch.randn(7), [0.1] * 7], [None, torch.ones(7)], titles=["toluene", "picoline"]
    )
    assert [axis.get_title() for axis in figure.axes[:2]] == ["toluene", "picoline"]
    assert len([axis for axis in figure.axes if axis.get_label() == "<colorbar>"]) == 1
    figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plot_molecules(["C1CC", "C"], [None, None]), "cannot read the SMILES 'C1CC'"),
        (lambda: plot_molecules(["CC", "C"], [[1.0], None]), "1 values for 2 atoms"),
        (
            lambda: plot_explained(None, kind="tree"),  # type: ignore[arg-type]
            "^kind='tree': molecule, connectome, graph or None is needed$",
        ),
        (
            lambda: molecule_of(graph([(0, 1)], 2)),
            '^a graph without smiles cannot be drawn as a molecule: kind="graph" draws it$',
        ),
        (
            lambda: molecule_of(Data(smiles="CO", num_nodes=5)),
            "^CO has 6 atoms with hydrogens, and its graph has 5 nodes$",
        ),
        (
            lambda: _masks(SimpleNamespace(maps=((1, 2), (3, 4))), 0),  # type: ignore[arg-type]
            "^this explanation has maps of 2 layers: explain one of them to draw it$",
        ),
        (lambda: plot_connectomes([torch.zeros(3, 4)]), r"a matrix is \(3, 4\)"),
        (lambda: plot_connectomes([torch.zeros(3, 3)], names=["x"]), "1 names for 3 regions"),
    ],
)
def test_what_does_not_fit_is_said(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_the_map_of_one_layer_is_drawn_and_hydrogens_are_added_where_the_graph_has_them() -> None:
    assert _masks(SimpleNamespace(maps=(("only",), "plain")), 0) == "only"  # type: ignore[arg-type]
    assert _masks(SimpleNamespace(maps=(("only",), "plain")), 1) == "plain"  # type: ignore[arg-type]
    assert molecule_of(Data(smiles=["CO"], num_nodes=6)).GetNumAtoms() == 6


def test_graphs_of_other_features_are_matched_by_their_edges() -> None:
    """The middle of a star is the other's middle; one matched node has no way to turn to."""
    star, other = graph([(0, 1), (0, 2), (0, 3)], 4), graph([(2, 0), (2, 1), (2, 3)], 4)
    star.x, other.x = torch.ones(4, 2), torch.ones(4, 3)
    assert [0, 2] in matching(star, other).tolist()
    assert len(matching(star, other, rounds=1)) == 4
    spots = torch.rand(3, 2)
    assert _turned(spots, torch.rand(1, 2), torch.tensor([[0, 2]])) is spots


def test_a_connectome_shows_the_strongest_connections_only() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, 30, generator=generator)
    values = values + values.T
    figure = plot_connectomes(
        [values, -values], names=[f"r{k}" for k in range(30)], groups=["left"] * 15 + ["right"] * 15, strongest=12
    )
    matrix, circle = figure.axes[0], figure.axes[2]
    assert matrix.images[0].get_clim() == figure.axes[1].images[0].get_clim()
    assert matrix.images[0].get_clim()[0] == -matrix.images[0].get_clim()[1]
    assert len(circle.patches) == 12
    shown = {text.get_text() for text in circle.texts}
    u, v = torch.triu_indices(30, 30, 1)
    top = values[u, v].abs().topk(12).indices
    assert shown == {f"r{k}" for k in [*u[top].tolist(), *v[top].tolist()]}
    figure.savefig("/dev/null", format="png")


def test_drawing_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, xsiamese.plot; print([m for m in ('networkx', 'rdkit', 'torch_geometric', 'scipy') if m "
        "in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def explained(a: Any, b: Any, parts: Any = ("nodes", "edges"), **kwargs: Any) -> Any:
    model = SiameseModel(Convolved(1, a.x.shape[1]), "cosine")
    return PairLeaveOneOut(model).explain((a, b), parts=parts, **kwargs)


def test_an_explanation_of_graphs_draws_its_own_values() -> None:
    a, b = (Batch.from_data_list([random_graph(6, 8, k), random_graph(5, 6, k + 1)]) for k in (0, 5))
    explanation = explained(a, b, ids=[("x", "y"), ("u", "v")])
    figure = explanation.plot()
    assert [axis.get_title() for axis in figure.axes[:4]] == ["x", "y", "u", "v"]
    limits = [axis.get_ylim() for axis in figure.axes if axis.get_label() == "<colorbar>"]
    for i, (low, high) in enumerate(limits):
        one = explanation[i]
        edges = [
            Coloured(side.to_data_list()[0], edges=found.edge_mask).strength()
            for side, found in zip(one.inputs, one.maps, strict=True)
        ]
        nodes = [float(found.node_mask.abs().max()) for found in one.maps]
        assert (low, high) == pytest.approx((-max(*edges, *nodes), max(*edges, *nodes)))
    assert "img" in explanation[0]._repr_html_()


def test_molecules_and_connectomes_are_recognised() -> None:
    from torch_geometric.utils import from_smiles

    sides = [from_smiles(text) for text in ("CC(=O)Oc1ccccc1C(=O)O", "COC(=O)c1ccccc1O")]
    for side in sides:
        side.x = side.x.double()
        del side.edge_attr
    molecules = explained(*(Batch.from_data_list([side]) for side in sides))
    assert len(molecules.plot().axes[0].images) == 1
    assert molecules.plot(kind="graph").axes[0].collections
    brains = [one(random_graph(30, 200, k, 30)) for k in (0, 1)]
    assert len(explained(*brains, parts="edges").plot(groups=["left"] * 15 + ["right"] * 15).axes[0].images) == 1
    with pytest.raises(ValueError, match="only nodes were explained"):
        explained(*brains, parts="nodes").plot(kind="connectome")
    assert explained(*brains, parts="nodes").plot().axes[0].collections
    with pytest.raises(ValueError, match="without smiles"):
        explained(*brains, parts="edges").plot(kind="molecule")
    with pytest.raises(ValueError, match="kind='picture'"):
        explained(*brains, parts="edges").plot(kind="picture")


def bars(figure: Any) -> list[Any]:
    return [axis for axis in figure.axes if axis.get_label() == "<colorbar>"]


def test_relevances_without_a_sign_start_at_zero_and_have_colours_of_their_own() -> None:
    values = torch.tensor([0.0, 0.5, 1.0])
    signed, unsigned = Scale(1.0), Scale(1.0, ("", "kept"), shows="relevance")
    assert unsigned.share(values).tolist() == [0.0, 0.5, 1.0]
    assert signed.share(values).tolist() == [0.5, 0.75, 1.0]
    assert float(unsigned.colours([0.0])[0].min()) > 0.97  # white
    for made, kept in ((signed, False), (unsigned, True)):
        assert (made.colours([1.0])[0][0] > 0.2) == kept  # dark purple has red in it, dark blue has none
    path = graph([(0, 1), (1, 2)], 3)
    figures = [
        plot_graphs([(Coloured(path, values, torch.ones(4)), Coloured(path, values))], shows="relevance"),
        plot_molecules(["CCO", "CCN"], [values, values], shows="relevance"),
        plot_connectomes([torch.rand(8, 8)], shows="relevance", limit=2.0),
    ]
    for figure in figures:
        (bar,) = bars(figure)
        assert bar.get_ylim() == (0.0, 2.0 if figure is not figures[1] else 1.0)
        assert bar.get_yticklabels()[0].get_text().startswith("0")
        figure.savefig("/dev/null", format="png")
    assert figures[2].axes[0].images[0].get_clim() == (0.0, 2.0)
    drawn = figures[0].axes[0].collections[-1].get_facecolors()
    assert torch.allclose(torch.tensor(drawn), torch.tensor(Scale(2.0, shows="relevance").colours(values)), atol=1e-6)
    assert molecule_svg("CCO", values, shows="relevance") != molecule_svg("CCO", values)


def test_an_explanation_says_itself_whether_it_has_signs() -> None:
    from torch_geometric.utils import from_smiles

    a, b = problems.pairs()
    model = SiameseModel(problems.Encoder(), "dot")
    assert [bar.get_ylim()[0] for bar in bars(PairGNNExplainer(model).explain((a, b), epochs=2).plot())] == [0.0] * 3
    assert all(bar.get_ylim()[0] < 0 for bar in bars(PairInputXGradient(model).explain((a, b)).plot()))
    sides = [from_smiles(text) for text in ("CC(=O)Oc1ccccc1C(=O)O", "COC(=O)c1ccccc1O")]
    for side in sides:
        side.x = side.x[:, :4].double()
        del side.edge_attr
    brains = [random_graph(30, 200, k, problems.FEATURES) for k in (0, 1)]
    for pair in (sides, brains):
        assert (
            bars(PairGNNExplainer(model).explain(tuple(one(side) for side in pair), epochs=2).plot())[0].get_ylim()[0]
            == 0.0
        )


ATORVASTATIN = "CC(C)c1c(C(=O)Nc2ccccc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CC[C@@H](O)C[C@@H](O)CC(=O)O"
IMATINIB = "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1"
VANCOMYCIN = (
    "CC1C(C(CC(O1)OC2C(C(C(OC2OC3=C4C=C5C=C3OC6=C(C=C(C=C6)C(C(C(=O)NC(C(=O)NC5C(=O)NC7C8=CC(=C(C=C8)O)C9=C(C=C(C=C9O)O)"
    "C(NC(=O)C(C(C1=CC(=C(O4)C=C1)Cl)O)NC7=O)C(=O)O)CC(=O)N)NC(=O)C(CC(C)C)NC)O)Cl)CO)O)O)(C)N)O"
)


@pytest.mark.parametrize("pair", [(ATORVASTATIN, IMATINIB), (VANCOMYCIN, ATORVASTATIN), (IMATINIB, VANCOMYCIN)])
def test_drugs_are_drawn_without_one_atom_on_another(pair: tuple[str, str]) -> None:
    """Letters are as large as half a bond: atoms that keep two fifths of one apart have theirs beside each other. What
    both share lies alike only as long as no bond is bent for it.
    """
    from xsiamese.plot.molecule import oriented, read

    for molecule in oriented([read(drug) for drug in pair]):
        places = torch.from_numpy(molecule.GetConformer().GetPositions())[:, :2]
        lengths = torch.tensor(
            [float((places[b.GetBeginAtomIdx()] - places[b.GetEndAtomIdx()]).norm()) for b in molecule.GetBonds()]
        )
        assert lengths.max() / lengths.min() < 2
        apart = torch.cdist(places, places) + torch.eye(len(places)) * 1e9
        assert apart.min() > 0.4 * lengths.median()


def test_a_cut_bond_is_crossed_out_between_its_ends() -> None:
    from matplotlib.figure import Figure

    from xsiamese.plot.molecule import draw_cut, oriented, read

    ethanol = oriented([read("CCO")])[0]
    middles = {}
    for gone in ((0, 1), (2, 1), (2,)):
        axes = Figure().subplots()
        draw_cut(axes, ethanol, [gone], "#e08214")
        strokes = [line.get_xydata() for line in axes.lines[:2]]
        assert len(axes.lines) == 3 - (len(gone) == 2)  # an atom has a ring too
        middles[gone] = torch.from_numpy(sum(stroke.mean(0) for stroke in strokes) / 2)
    # the middle atom is at 2 m01 - first = 2 m12 - last; m12 lies half a bond from the last atom
    bond = (middles[2, 1] - middles[2,]).norm() * 2
    assert torch.isclose((middles[0, 1] - middles[2, 1]).norm(), bond * 3**0.5 / 2, rtol=0.02)  # 120 degrees between
