"""What commands print and write, worked out by hand from explanations made by hand."""

from __future__ import annotations

import csv
import importlib
import inspect
import json
import math
import re
import sys
import warnings
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import xsiamese
from xsiamese import PairExplanation, SiameseModel
from xsiamese.cli import told
from xsiamese.cli.app import _named, add_plugins, app, converted, method_help
from xsiamese.cli.demo import demo, sleeves
from xsiamese.cli.explain import started
from xsiamese.cli.lists import COSTS, cost_of, listed, plugins
from xsiamese.data.columns import Column, Columns
from xsiamese.kinds.words import Texts
from xsiamese.report import evaluate as reports
from xsiamese.report import pairs as pairs_of_reports
from xsiamese.report import table as tables
from xsiamese.report.chance import Chance, against_chance
from xsiamese.report.page import page
from xsiamese.zoo import shipped

Run = Any


def texts(words: tuple[str, ...], columns: tuple[str, ...] = (), column_of: tuple[int, ...] = ()) -> Texts:
    """One text of one token a word between a beginning and an end."""
    ids = torch.arange(len(words) + 2)[None]
    word_of = torch.tensor([[-1, *range(len(words)), -1]])
    pieces = [("[CLS]", *words, "[SEP]")]
    named: dict[str, Any] = {"columns": [columns], "column_of": [column_of]} if columns else {}
    return Texts({"input_ids": ids}, pieces, word_of, [words], **named)


def of_texts(a: Texts, b: Texts, values_a: list[float], values_b: list[float]) -> PairExplanation:
    maps = tuple(torch.tensor([[9.0, *values, 9.0]]) for values in (values_a, values_b))  # 9 is on no word
    return PairExplanation(maps, (a, b), torch.tensor([0.25]), "M", kinds=("text", "text"))  # type: ignore[arg-type]


# ---- words ----------------------------------------------------------------------------------------------------------


def test_words_with_their_values_and_on_the_colours_of_these() -> None:
    found = of_texts(texts(("red", "cat")), texts(("dog",)), [1.0, -0.5], [2.0])
    assert told.words_of(found, colour=False) == ["a: red +1.000, cat -0.500", "b: dog +2.000"]
    # the strongest word of both sides has the full colour (blue 67, 147, 195), half of it lies half way to white
    blue, half = "\x1b[48;2;67;147;195m", f"\x1b[48;2;{(67 + 255) // 2};{(147 + 255) // 2};{(195 + 255) // 2}m"
    faint = "\x1b[48;2;245;215;210m"  # a quarter of the way from white to red (214, 96, 77)
    black, end = "\x1b[38;2;0;0;0m", "\x1b[0m"
    assert told.words_of(found, colour=True) == [
        f"a: {half}{black}red{end} {faint}{black}cat{end}",
        f"b: {blue}{black}dog{end}",
    ]
    assert told.painted("x", 0.0) == f"\x1b[48;2;255;255;255m{black}x{end}"
    assert told.painted("x", -3.0) == told.painted("x", -1.0) == f"\x1b[48;2;214;96;77m{black}x{end}"


def test_only_the_side_of_words_is_told_and_a_map_of_zeros_is_white() -> None:
    image = torch.rand(1, 3, 4, 4)
    two = PairExplanation(
        (torch.zeros(1, 1, 4, 4), torch.tensor([[0.0, 0.0, 0.0]])),
        (image, texts(("cat",))),
        torch.tensor([1.0]),
        "M",
        kinds=("image", "text"),
    )
    assert told.words_of(two, colour=False) == ["b: cat +0.000"]
    assert told.words_of(two, colour=True) == [f"b: {told.painted('cat', 0.0)}"]


def test_columns_of_texts_are_told_by_their_words_and_sums() -> None:
    a = texts(("red", "house", "cheap"), ("title", "brand", "price"), (0, 0, 2))
    b = texts(("mat", "ikea"), ("title", "brand"), (0, 1))
    found = of_texts(a, b, [1.0, 2.0, -4.0], [0.25, -0.5])
    assert told.words_of(found, colour=False) == [
        "a title +3.000: red +1.000, house +2.000",
        "a brand +0.000: (empty)",
        "a price -4.000: cheap -4.000",
        "b title +0.250: mat +0.250",
        "b brand -0.500: ikea -0.500",
    ]
    painted = told.words_of(found, colour=True)[0]
    assert painted == f"a title +3.000: {told.painted('red', 0.25)} {told.painted('house', 0.5)}"
    assert told.of_text_columns(found) == {
        "columns": {
            "a": [
                {"column": "price", "text": "cheap", "value": -4.0},
                {"column": "title", "text": "red house", "value": 3.0},
                {"column": "brand", "text": "", "value": 0.0},
            ],
            "b": [
                {"column": "brand", "text": "ikea", "value": -0.5},
                {"column": "title", "text": "mat", "value": 0.25},
            ],
        }
    }
    assert told.of_text_columns(of_texts(texts(("x",)), texts(("y",)), [1.0], [1.0])) == {}
    assert told.described(found, [])["columns"]["a"][0]["column"] == "price"


# ---- rows -----------------------------------------------------------------------------------------------------------

COLUMNS = Columns((Column("size", 2.0, 1.0), Column("colour", values=("blue", "red"))))
SAID: tuple[dict[str, str], dict[str, str]] = ({"size": "3", "colour": "red"}, {"size": "1", "colour": "blue"})


def of_rows(shows: Any = "signed", **known: Any) -> PairExplanation:
    maps = torch.tensor([[1.0, 0.5, -3.0]]), torch.tensor([[-0.25, 2.0, 1.0]])
    if shows != "signed":
        maps = maps[0].abs(), maps[1].abs()
    rows = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[-1.0, 1.0, 0.0]])
    return PairExplanation(
        maps, rows, torch.tensor([0.75]), "M", kinds=("row", "row"), shows=shows, threshold=0.5, **known
    )


def test_features_are_told_by_their_names_and_columns_by_their_sums() -> None:
    said = told.described(of_rows(), [Path("x.json"), Path("y.png")], COLUMNS, SAID)
    assert [(one["feature"], one["value"]) for one in said["closer"]["a"]] == [("size", 1.0), ("colour=blue", 0.5)]
    assert [(one["feature"], one["value"]) for one in said["apart"]["a"]] == [("colour=red", -3.0)]
    assert [one["feature"] for one in said["closer"]["b"]] == ["colour=blue", "colour=red"]
    assert said["columns"] == {
        "a": [
            {"column": "colour", "text": "red", "value": -2.5},
            {"column": "size", "text": "3", "value": 1.0},
        ],
        "b": [
            {"column": "colour", "text": "blue", "value": 3.0},
            {"column": "size", "text": "1", "value": -0.25},
        ],
    }
    assert said["output"] == ["x.json", "y.png"]
    assert (said["score"], said["threshold"], said["higher_is_closer"]) == (0.75, 0.5, True)
    assert said["decision"] == of_rows().verdict(0)
    assert json.loads(json.dumps(said)) is not None


def test_what_has_no_sign_is_told_by_its_largest_and_what_fits_no_columns_without_them() -> None:
    said = told.described(of_rows("magnitude"), [], COLUMNS, SAID)
    assert "closer" not in said
    assert [one["feature"] for one in said["strongest"]["a"]] == ["colour=red", "size", "colour=blue"]
    assert {one["column"]: one["value"] for one in said["columns"]["a"]} == {"size": 1.0, "colour": 3.0}  # not the sum
    assert "relevant" in told.described(of_rows("relevance"), [], COLUMNS, SAID)
    wide = Columns((*COLUMNS.columns, Column("weight")))  # another table's columns
    assert told.by_column(of_rows(), wide, SAID) == {}


def test_without_names_a_place_stands_alone_and_no_decision_is_none() -> None:
    said = told.described(of_rows(ids=[("one", "two")]), [])
    assert "feature" not in said["closer"]["a"][0]
    assert (said["ids"], said["output"], said["counterfactuals"]) == (("one", "two"), None, [])
    rows = torch.ones(1, 3)
    nothing = PairExplanation((rows, rows), (rows, rows), torch.tensor([0.5]), "M", kinds=("row", "row"))
    assert told.described(nothing, [])["decision"] is None
    assert told.described(nothing, [])["ids"] is None


# ---- jobs, plugins, what is written ---------------------------------------------------------------------------------


def test_what_a_job_came_to(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    explain_pairs = importlib.import_module("xsiamese.cli.explain_pairs")

    def lines(status: list[str], alike: list[bool | None], error: list[str | None]) -> list[str]:
        rows = pa.table({"status": status, "alike": alike, "error": error, "pair": list(range(10, 10 + len(status)))})
        found = SimpleNamespace(
            table=lambda columns: rows.select(columns), about={"pairs": 9, "method": "M"}, folder=tmp_path
        )
        return list(explain_pairs.told(found))

    last = f'written to {tmp_path}: xsiamese.open_explanations("{tmp_path}")'
    said = lines(
        ["ok", "error", "ok", "error", "ok"], [True, None, False, None, True], [None, "first", None, "x", None]
    )
    assert said == [
        "5 of 9 pairs by M, 2 alike and 1 different",
        "2 with an error, the first in row 11: first",
        last,
    ]
    assert lines(["ok", "ok"], [None, None], [None, None]) == ["2 of 9 pairs by M", last]  # no threshold, no decision
    assert explain_pairs._two("x,y") == ("x", "y")
    for wrong in ("x", "x,", ",y", "x,y,z"):
        with pytest.raises(ValueError, match=f"--columns {wrong}: the names of two columns with a comma between them"):
            explain_pairs._two(wrong)


def test_plugins_are_told_with_what_is_wrong_with_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from xsiamese.door.registry import Plugin

    made = {
        name: Plugin(name=name, distribution="d", version="1.2", module="m", hooks=hooks, disabled=off, failure=why)
        for name, hooks, off, why in (
            ("well", ("explainers", "metrics"), False, ""), ("off", ("zoo",), True, ""), ("bad", (), False, "no such")
        )
    }  # fmt: skip
    monkeypatch.setattr("xsiamese.door.registry.installed", lambda: made)
    plugins()
    assert capsys.readouterr().out.splitlines() == [
        "well             d 1.2  (m)  explainers, metrics",
        "off              d 1.2  (m)  disabled",
        "bad              d 1.2  (m)  BROKEN no such",
    ]
    plugins(json_=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["disabled"], row["failure"]) for row in rows] == [
        ("well", False, ""), ("off", True, ""), ("bad", False, "no such")
    ]  # fmt: skip


def test_what_is_written_is_as_its_ending_says(tmp_path: Path) -> None:
    explain = importlib.import_module("xsiamese.cli.explain")
    found = of_rows()
    paths = [tmp_path / name for name in ("a.json", "a.safetensors", "a.svg")]
    explain._write(found, {"score": 0.75}, paths, columns=COLUMNS, texts=SAID, preprocessing=None)
    assert json.loads(paths[0].read_text()) == {"score": 0.75}
    assert torch.equal(xsiamese.load(paths[1]).scores, found.scores)
    assert "colour" in paths[2].read_text()
    with pytest.raises(ValueError, match=r"--smooth is of the picture, and none is written: add -o why.png"):
        explain._drawn([paths[0]], 2.0, None)
    assert explain._drawn([tmp_path / "A.PNG"], None, 30) == {"superpixels": 30}
    assert explain._drawn([], None, None) == {}


def test_a_terminal_is_told_the_choice_and_where_things_are() -> None:
    explain = importlib.import_module("xsiamese.cli.explain")
    found = of_texts(texts(("red",)), texts(("dog",)), [1.0], [2.0])
    named = SimpleNamespace(explains="PairX", explainer="PairX")
    named.explains = named.explainer
    assert explain._said(found, named, []).splitlines() == [
        *found.summary().splitlines(), "a: red +1.000", "b: dog +2.000", "(-o why.png draws it)"
    ]  # fmt: skip
    chosen = SimpleNamespace(explains="PairX for text", explainer="PairX")
    assert explain._said(found, chosen, [Path("x.png"), Path("y.json")]).splitlines()[-2:] == [
        "chosen: PairX for text", "written to x.png, y.json"
    ]  # fmt: skip


# ---- baselines ------------------------------------------------------------------------------------------------------


def test_baselines_are_a_word_a_number_or_items() -> None:
    class Numbers:
        """Reads an item as a row of its number."""

        def refer(self, word: str) -> Any:
            return SimpleNamespace(word=word)

        def __call__(self, word: str) -> torch.Tensor:
            if not word.isalpha():
                raise ValueError(f"no item {word}")
            return torch.full((1, 2), float(ord(word)))

        def together(self, items: list[torch.Tensor]) -> torch.Tensor:
            return torch.cat(items)

    read: Any = Numbers()
    assert [started(word, read) for word in ("partner", "background", "typical")] == [
        "partner",
        "background",
        "typical",
    ]
    assert started("-1.5", read) == -1.5
    pool = started("a,b", read)
    assert torch.equal(pool.items, torch.tensor([[97.0, 97.0], [98.0, 98.0]]))
    with pytest.raises(ValueError, match=r"--baselines a,\?: a number, partner, background, .* commas .*; no item \?"):
        started("a,?", read)


# ---- the lists ------------------------------------------------------------------------------------------------------


def explainer(name: str, options: dict[str, Any], says: str = "Does it.", **traits: Any) -> Any:
    known = {"cost": "", "distribution_baselines": False, "uses_gradients": False, "of_activations": False}
    found = SimpleNamespace(**{**known, "modalities": frozenset({"image", "row"}), **traits})
    made = {key: SimpleNamespace(default=value) for key, value in options.items()}
    return SimpleNamespace(name=name, traits=found, options=lambda: made, __doc__=says, __name__=name)


def test_what_an_explainer_costs() -> None:
    assert cost_of(explainer("m", {"n_steps": 64})) == (1, "n_steps=64")
    assert cost_of(explainer("m", {"n_steps": 65})) == (3, "n_steps=65")
    assert cost_of(explainer("m", {"draws": 8, "masks": 500})) == (3, "masks=500")  # the first of the list of counts
    assert cost_of(explainer("m", {"n_steps": None}, uses_gradients=True)) == (0, "")
    assert cost_of(explainer("m", {}, of_activations=True)) == (0, "")
    assert cost_of(explainer("m", {})) == (2, "")
    assert cost_of(explainer("m", {"n_steps": 5}, cost="one a node")) == (2, "one a node")
    assert cost_of(explainer("m", {}, distribution_baselines=True, uses_gradients=True)) == (2, "one for each baseline")


def test_explainers_are_listed_by_cost_and_name_under_titles() -> None:
    known = {
        "PairB": explainer("b", {}, "Is ``cheap`` as :class:`~x.Y`.", uses_gradients=True),
        "PairA": explainer("a", {}, "Is cheap.", uses_gradients=True, modalities=frozenset({"row"})),
        "PairC": explainer("c", {"masks": 100}, "Is dear."),
    }
    assert list(listed(known)) == [
        f"# {COSTS[0]}",
        f"{'a':<28} {'PairA':<29}       row",
        "    Is cheap.",
        f"{'b':<28} {'PairB':<29} image row",
        "    Is cheap as x.Y.",
        "",
        f"# {COSTS[3]}",
        f"{'c':<28} {'PairC':<29} image row",
        "    Is dear. Passes: masks=100.",
    ]


def test_the_zoo_is_a_line_a_network_and_json_on_demand(run: Run) -> None:
    code, out, _ = run("zoo")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("fashion "))
    assert re.fullmatch(r"fashion {22}shipped +\S.*", line)
    assert any(line.split()[1] == "untrained" for line in out.splitlines())
    assert {card["name"] for card in json.loads(run("zoo", "--json")[1])} >= {"fashion", "siamese-gin"}


# ---- the commands themselves ----------------------------------------------------------------------------------------


def test_the_help_of_a_method_is_the_command_s_and_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert method_help(["explain", "--method", "rise", "--help"])
    out = capsys.readouterr().out
    assert out.startswith("Usage: xsiamese explain ")
    said = out[out.index("rise: ") :]
    assert said.splitlines()[1] == "Its own options:"
    assert "--masks" in said
    assert not method_help(["explain", "--method", "rise"])
    assert not method_help(["explain", "--help"])
    assert not method_help(["train", "--method", "rise", "--help"])
    assert not method_help(["explain", "--help", "--method"])  # a method that is not named
    assert method_help(["explain-pairs", "-h", "--method", "saliency"])
    assert "saliency: " in capsys.readouterr().out


def test_an_output_without_a_name_is_refused_and_one_with_a_name_is_not() -> None:
    for words in (["-o", ""], ["--output", "  "], ["-o="], ["a", "--output="]):
        with pytest.raises(ValueError, match="names no file and no folder: give a name"):
            _named(words)
    _named(["-o", "x", "--output", "y", "-o"])  # the last is told by the parser
    _named(["", "-x", ""])


def test_a_plugin_s_command_is_added_and_one_of_our_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine() -> None: ...

    added: list[tuple[Any, str]] = []
    monkeypatch.setattr("xsiamese.door.registry.commands", lambda: {"explain": mine, "look": mine})
    monkeypatch.setattr(type(app), "command", lambda _, function, name, group: added.append((function, name)))
    with pytest.warns(UserWarning, match=r"a plugin brings a command 'explain' of its own \(tests.test_command_values"):
        add_plugins()
    assert added == [(mine, "look")]


def test_a_warning_is_one_line_and_torch_geometric_s_own_is_not_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def plugins() -> None:
        warnings.warn("`torch.jit.script` is deprecated. Please switch", FutureWarning, stacklevel=1)
        warnings.warn("look here", UserWarning, stacklevel=1)

    monkeypatch.setattr(sys.modules[add_plugins.__module__], "add_plugins", plugins)
    code, _, err = run("zoo")
    assert (code, err) == (0, "warning: look here\n")


def test_what_is_misspelt_is_looked_up_in_the_help_of_its_command(run: Run) -> None:
    for words, command in ((("evaluate", "--pears", "3"), " evaluate"), (("nothing",), "")):
        code, _, err = run(*words)
        assert code == 2
        assert err.rstrip().endswith(f"See xsiamese{command} --help")
    out = run("explain", "--method", "rise", "--help")[1]
    assert "Its own options:" in out


def test_the_command_of_many_pairs_has_the_defaults_of_the_function() -> None:
    command = inspect.signature(importlib.import_module("xsiamese.cli.explain_pairs").explain_pairs).parameters
    function = inspect.signature(xsiamese.explain_pairs).parameters
    both = set(command) & set(function) - {"pairs", "output"}
    assert {"unit", "batch", "precision", "workers", "threads", "engine", "device", "seed", "budget"} <= both
    for name in both:
        assert command[name].default == function[name].default, name


def test_whole_numbers_are_not_rounded() -> None:
    from cyclopts import Token

    word = [Token(value="1.5")]
    for kind in (int, int | None):
        with pytest.raises(ValueError, match=r"'1\.5' is no whole number"):
            converted(kind, word)
    assert converted(float, word) == 1.5
    assert converted(int, [Token(value="7")]) == 7


# ---- reports --------------------------------------------------------------------------------------------------------


def row(method: str, seconds: float = 1.0, error: str = "", **means: float | None) -> dict[str, Any]:
    found = {
        name: {"mean": mean, "low": None if mean is None else mean - 0.1, "high": None if mean is None else mean + 0.1,
               "pairs": 4, "error": "" if mean is not None else "too few"}
        for name, mean in means.items()
    }  # fmt: skip
    return {"method": method, "seconds": seconds, "error": error, "metrics": found, "picture": ""}


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [one["method"] for one in rows]


def test_rows_are_ordered_by_the_first_metric_that_has_a_direction() -> None:
    high = [row("A", auroc=0.5), row("B", auroc=0.9), row("C", auroc=None), row("D", auroc=0.9)]
    assert names(tables.ordered(high, ["gini", "auroc"])) == ["B", "D", "A", "C"]  # gini has none
    low = [row("A", infidelity=0.5, auroc=0.1), row("B", infidelity=0.2, auroc=0.0), row("C", infidelity=-0.1)]
    assert names(tables.ordered(low, ["infidelity", "auroc"])) == ["C", "B", "A"]
    assert names(tables.ordered(low, ["auroc"])) == ["A", "B", "C"]  # what has no number comes last
    assert names(tables.ordered(low, ["gini"])) == ["A", "B", "C"]
    zero = [row("A", auroc=-0.2), row("B", auroc=0.0), row("C", auroc=0.2)]
    assert names(tables.ordered(zero, ["auroc"])) == ["C", "B", "A"]


def test_the_table_of_a_terminal() -> None:
    rows = [row("PairLong", 1.25, auroc=0.5, gini=None), row("B", 100.0, "ValueError: no"), row("C", 2.0, auroc=None)]
    assert tables.text(rows, ["gini", "auroc"]).splitlines() == [
        "method         s  auroc                 ",
        "PairLong    1.25   0.500 [0.400, 0.600]",
        "B         100.00  ValueError: no",
        "C           2.00  -",
    ]
    many = [row("A", 1.0, "", **{f"m{i}": 0.5 for i in range(8)})]
    assert tables.text(many, [f"m{i}" for i in range(8)]).splitlines()[0].split()[2:] == [f"m{i}" for i in range(6)]


def test_the_table_of_a_file(tmp_path: Path) -> None:
    rows = [row("A", 1.23456, auroc=0.5), row("B", 2.0, "ValueError: no, not so", auroc=None)]
    tables.write(tmp_path / "t.csv", rows, ["gini", "auroc"])
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["method", "seconds", "error", "auroc", "auroc_low", "auroc_high"],
            ["A", "1.235", "", "0.5", "0.4", "0.6"],
            ["B", "2.000", "ValueError: no, not so", "", "", ""],
        ]


def test_numbers_of_a_report_have_six_places_and_none_is_none() -> None:
    assert reports._number(math.nan) is None
    assert reports._number(0.123456789) == 0.123457
    one = SimpleNamespace(mean=0.1234567, low=math.nan, high=2.0, defined=3, error="")
    assert reports._plain({"auroc": one}) == {  # type: ignore[arg-type]
        "auroc": {"mean": 0.123457, "low": None, "high": 2.0, "pairs": 3, "error": ""}
    }


def test_an_earlier_report_is_gone_on_with_where_its_settings_are_the_same(tmp_path: Path) -> None:
    about = {"model": "m", "seed": 0}
    assert reports._known(tmp_path, about) == []
    reports._written(tmp_path, {**about, "rows": [row("A"), row("B", error="ValueError: no")]})
    assert names(reports._known(tmp_path, about)) == ["A"]  # what failed is tried again
    assert not list(tmp_path.glob("*.new"))
    with pytest.raises(ValueError, match=r"is of a run with another model and seed: give another --output"):
        reports._known(tmp_path, {"model": "n", "seed": 1})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "needs the columns a and b and at least one row; it has no row"),
        ("a,c\n1,2\n", "needs the columns a and b and at least one row; it has a, c"),
        ("a,b,a\n1,2,3\n", "has two columns 'a': every column needs a name of its own"),
        ("a,b\nx,y\nx, \n", "row 2: two items are needed, a is 'x', b ' '"),
        ("a,b,label\nx,y,1\nx,y,maybe\n", "row 2: the label 'maybe' is not one of 1, 1.0, true, 0, 0.0, false"),
    ],
)
def test_a_table_of_pairs_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        pairs_of_reports._rows(tmp_path / "pairs.csv")


def test_a_table_of_pairs_is_read_with_labels_and_only_as_far_as_asked(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("a,b,label\nC,CC,1\nCC,CCC,FALSE\nC,C,0.0\nC,CO,maybe not read\n", "utf-8")
    with pytest.raises(ValueError, match="row 4"):
        pairs_of_reports._rows(tmp_path / "pairs.csv")
    (tmp_path / "pairs.csv").write_text("\ufeffa,b,label\nC,CC, True\nCC,CCC,FALSE\nC,C,0.0\n", "utf-8")
    assert [one["label"] for one in pairs_of_reports._rows(tmp_path / "pairs.csv")] == [" True", "FALSE", "0.0"]
    assert [pairs_of_reports.LABELS[word] for word in ("1", "1.0", "true", "0", "0.0", "false")] == [True] * 3 + [
        False
    ] * 3


def test_names_with_commas() -> None:
    assert reports._words("metrics", " auroc , gini,") == ["auroc", "gini"]
    with pytest.raises(ValueError, match="--metrics ' , ' names nothing: give names with commas between them, or all"):
        reports._words("metrics", " , ")


def test_the_page_marks_the_best_of_each_direction() -> None:
    rows = [
        row("A", 1.5, auroc=0.5, infidelity=0.25, gini=0.5),
        row("B", 2.0, auroc=0.75, infidelity=0.5, gini=0.75),
        {**row("C<", 3.0, auroc=None), "picture": "maps/C.png"},
        row("D", 0.0, "ValueError: a < b"),
    ]
    made = page(rows, ["auroc", "gini", "infidelity", "aopc"], {"count": 4, "pairs": "p", "model": "m", "seed": 3})
    table = made[made.index("<tbody>") : made.index("</tbody>")]
    lines = [re.findall(r"<td([^>]*)>(.*?)</td>", line) for line in table.split("</tr>") if line]
    assert [[unescape(re.sub("<[^>]*>", "", cell)) for _, cell in line] for line in lines] == [
        ["A", "1.50", "0.500 [0.400, 0.600]", "0.500 [0.400, 0.600]", "0.250 [0.150, 0.350]"],
        ["B", "2.00", "0.750 [0.650, 0.850]", "0.750 [0.650, 0.850]", "0.500 [0.400, 0.600]"],
        ["C<", "3.00", "-", "-", "-"],
        ["D", "ValueError: a < b"],
    ]
    best = [["best" in about for about, _ in line[2:]] for line in lines[:3]]
    assert best == [[False, False, True], [True, False, False], [False, False, False]]  # gini has no best
    assert 'colspan="4"' in lines[3][1][0]
    assert 'title="too few"' in lines[2][2][0]
    assert 'title="not for this method"' in lines[2][3][0]
    assert re.findall(r"<th title=[^>]*>(\w+)<br><small>([^<]*)", made) == [
        ("auroc", "high is good"), ("gini", "neither is good"), ("infidelity", "low is good")
    ]  # fmt: skip
    assert "4 pairs of p, model m, seed 3." in made
    assert made.count("<figure>") == 1
    assert '<img src="maps/C.png" alt="the maps of C&lt;"' in made
    meaning = re.findall(r'<tr id="(\w+)">(.*?)</tr>', made)
    cells = {name: re.findall("<td>(.*?)</td>", line)[:4] for name, line in meaning}
    assert cells["auroc"] == ["auroc", "high is good", "0 to 1", "0.5"]
    assert cells["infidelity"][1:3] == ["low is good", "0 to ∞"]


def test_a_page_without_numbers_or_pictures_has_no_such_parts() -> None:
    made = page([row("A", auroc=None)], ["auroc"], {"count": 1, "pairs": "p", "model": "m", "seed": 0})
    assert "What the columns mean" not in made
    assert "The first pair" not in made


# ---- chance ---------------------------------------------------------------------------------------------------------


def test_what_chance_gives() -> None:
    found = Chance(0.5, torch.arange(101.0))
    assert (found.mean, found.high) == (50.0, 95.0)


class Sum(nn.Module):
    """What an image sums to, so that a dot product of two is known by hand."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.sum((1, 2, 3))[:, None]


def test_a_share_of_the_partner_s_pixels_by_hand() -> None:
    """a is 2 everywhere and b 1: where a map says apart most strongly, a gets b's pixels, each of them 1 less."""
    a, b = torch.full((1, 1, 10, 10), 2.0), torch.ones(1, 1, 10, 10)
    a[0, 0, 0] = 5.0  # the first row, of which a's map says apart
    map_a = torch.zeros(1, 1, 10, 10)
    map_a[0, 0, 0], map_a[0, 0, 1] = -1.0, 3.0
    map_b = torch.zeros(1, 1, 10, 10)
    map_b[0, 0, :2] = -1.0
    found = PairExplanation((map_a, map_b), (a, b), torch.tensor([23000.0]), "M", kinds=("image", "image"))
    model = SiameseModel(Sum(), "dot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed = against_chance(model, found, "a changed", share=0.1, draws=3)
        assert changed.score == (100 * 2 + 30 - 10 * 4) * 100  # ten fives become ones
        assert changed.drawn.shape == (3,)
        assert bool((changed.drawn > changed.score).all())  # no other ten pixels lose as much
        other = against_chance(model, found, "b changed", share=0.2, draws=2)
        assert other.score == 230 * (100 + 10 * 4 + 10 * 1)  # b's first row gets fives, its second one twos


# ---- the demo -------------------------------------------------------------------------------------------------------


def test_what_the_demo_says_of_sleeves_is_so() -> None:
    """The pixels that the map calls reddest are put in here again, one picture's into the other."""
    checkpoint = shipped("fashion")
    explanation, figure, said = sleeves(checkpoint)
    numbers = [float(number) for number in re.findall(r"\d\.\d\d", said)]
    sides = explanation.inputs
    assert explanation.maps is not None
    for side, number in ((0, numbers[0]), (1, numbers[2])):
        reddest = explanation.maps[side].flatten().argsort()[: round(0.2 * 28 * 28)]
        changed = [one.clone() for one in sides]
        changed[side].view(-1)[reddest] = sides[1 - side].view(-1)[reddest]
        assert float(checkpoint.model(*changed)) == pytest.approx(number, abs=0.02)  # places of one value have no order
    assert numbers[0] > numbers[1]
    assert numbers[2] > numbers[3]
    assert "What keeps these two apart?" in figure.get_suptitle()
    assert figure.axes[0].get_ylabel() == ""  # the verdict stands in the title
    assert figure.get_supxlabel().replace("\n", " ").endswith(said)


def test_the_demo_writes_its_pictures_and_tells_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from matplotlib.figure import Figure

    module = sys.modules[demo.__module__]
    rows = torch.ones(1, 3)
    found = PairExplanation((rows, rows), (rows, rows), torch.tensor([0.5]), "M", kinds=("row", "row"), threshold=0.25)
    monkeypatch.setattr(module, "PICTURES", {"one": lambda _: (found, Figure(), "says it")})
    demo(output=tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["one.png"]
    line = f"{tmp_path / 'there' / 'one.png'}: {found.verdict(0)}\n  M: says it\n"
    assert capsys.readouterr().out.endswith(line)
