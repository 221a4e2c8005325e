"""``xsiamese evaluate``: a table of methods by metrics, which goes on where it was interrupted."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from xsiamese import PairGradCAM, PairSaliency
from xsiamese.cli.evaluate import evaluate
from xsiamese.data.planted import planted
from xsiamese.report import evaluate as module
from xsiamese.report.evaluate import compare
from xsiamese.report.page import page
from xsiamese.report.table import ordered
from xsiamese.zoo import open_model


def run(folder: Path, methods: str = "saliency,feature_ablation", metrics: str = "auroc,gini") -> dict[str, object]:
    evaluate(model="planted-words", pairs="planted:words", methods=methods, metrics=metrics, output=folder, count=4)
    found: dict[str, object] = json.loads((folder / "evaluation.json").read_text())
    return found


def test_the_report_says_the_same_in_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(tmp_path)
    rows = found["rows"]
    assert [row["method"] for row in rows] == ["PairFeatureAblation", "PairSaliency"]  # the better first
    auroc = rows[0]["metrics"]["auroc"]
    assert auroc["low"] <= auroc["mean"] <= auroc["high"]
    with (tmp_path / "evaluation.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["method"] for row in table] == [row["method"] for row in rows]
    assert float(table[0]["auroc"]) == auroc["mean"]
    html = (tmp_path / "index.html").read_text()
    assert f"{auroc['mean']:.3f}" in html
    assert "http" not in html  # opens with the network off
    gini = html[html.index('id="gini"') :].split("</tr>")[0]  # what each column means stands on the page itself
    assert "neither is good" in gini
    assert ":math:" not in html
    assert ":cite:" not in html
    assert "0 to 1" in gini
    assert "Gini coefficient of the absolute values" in gini
    known = html[html.index('id="auroc"') :].split("</tr>")[0]
    assert "high is good" in known
    assert "<td>0.5</td>" in known
    out = capsys.readouterr().out
    assert f"{auroc['mean']:.3f}" in out
    assert "PairSaliency" in out


def test_it_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "feature_ablation")
    made = []
    real = module.measure
    monkeypatch.setattr(
        module, "measure", lambda who, *rest, **known: (made.append(type(who)), real(who, *rest, **known))[1]
    )
    run(tmp_path)
    assert made == [PairSaliency]
    with pytest.raises(ValueError, match="another metrics"):
        run(tmp_path, metrics="gini")


def test_a_method_that_fails_is_a_row_with_its_error(tmp_path: Path) -> None:
    class Failing(PairSaliency):
        name = "failing"

        def compute(self, batch: object, **options: object) -> object:
            raise RuntimeError("no luck")

    opened = open_model("planted-patches")
    rows = compare(opened, planted("patches", 2), [Failing, PairGradCAM], ["auroc"], output=tmp_path, about={})
    assert rows[0]["error"] == "RuntimeError: no luck"
    assert (tmp_path / rows[1]["picture"]).stat().st_size > 1000
    assert [row["method"] for row in ordered(rows, ["auroc"])] == ["PairGradCAM", "Failing"]


def test_a_page_shows_failures_and_what_a_method_has_no_number_of() -> None:
    """Without a number of any method nothing is put in order, and no meanings stand below the table."""
    good = {"method": "A", "error": None, "seconds": 1.0, "picture": None}
    rows: list[Any] = [
        {
            **good,
            "metrics": {"gini": {"mean": 0.5, "low": None, "high": None}, "auroc": {"mean": None, "error": "<no>"}},
        },
        {**good, "method": "B", "metrics": {"auroc": {"mean": 0.75, "low": 0.5, "high": 1.0}}},
        {**good, "method": "C", "error": "a < b", "metrics": {}},
    ]
    about = {"count": 1, "pairs": "p", "model": "m", "seed": 0}
    found = page(rows, ["gini", "auroc"], about)
    assert '<td data-value="0.5">0.500</td><td data-value="" title="&lt;no&gt;">-</td></tr>' in found
    assert (
        '<td data-value="" title="not for this method">-</td><td data-value="0.75" class="best">0.750 <small>[' in found
    )
    assert '<td data-value="C">C</td><td class="error" colspan="3">a &lt; b</td></tr>' in found
    assert "What the columns mean" in found
    assert "What the columns mean" not in page(rows[2:], ["gini"], about)
    assert [row["method"] for row in ordered(rows, ["gini"])] == ["A", "B", "C"]
    assert [row["method"] for row in ordered(rows[::-1], ["gini"])] == ["C", "B", "A"]


def test_pairs_come_from_a_table_of_files(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    generator = torch.Generator().manual_seed(0)
    for name in "abcd":
        grey = (torch.rand(32, 32, generator=generator) * 255).byte().numpy()
        image.fromarray(grey).save(tmp_path / f"{name}.png")
    (tmp_path / "pairs.csv").write_text("a,b,label\na.png,b.png,1\nc.png,d.png,0\n")
    evaluate(
        model="planted-patches",
        pairs=str(tmp_path / "pairs.csv"),
        methods="saliency",
        metrics="verification_deletion,relevance_gain",
        output=tmp_path / "report",
    )
    row = json.loads((tmp_path / "report" / "evaluation.json").read_text())["rows"][0]
    assert row["error"] == ""
    assert row["metrics"]["verification_deletion"]["mean"] is not None


def test_what_is_misspelt_is_named_before_any_work(tmp_path: Path) -> None:
    for asked, said in (
        ({"metrics": "aurok"}, "did you mean 'auroc'"),
        ({"methods": "saliencey"}, "did you mean"),
        ({"pairs": "planted:word"}, "did you mean 'words'"),
        ({"pairs": "nowhere.csv"}, "there is no such file"),
    ):
        known = {"model": "planted-words", "pairs": "planted:words", "methods": "saliency", "metrics": "auroc"}
        with pytest.raises(ValueError, match=said):
            evaluate(**{**known, **asked}, output=tmp_path / "never")
    assert not (tmp_path / "never").exists()
