"""Which explanation is right: every method on the same pairs, by every metric, written after each one."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.data.planted import PlantedPairs, scene
from xsiamese.door.arguments import check
from xsiamese.door.files import folder
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.catalogue import explainer as find
from xsiamese.explain.catalogue import explainers
from xsiamese.kinds.catalogue import names, side
from xsiamese.metrics.catalogue import chosen
from xsiamese.metrics.catalogue import metrics as known_metrics
from xsiamese.metrics.measure import Measurement, asked, measure
from xsiamese.metrics.metric import Metric
from xsiamese.report import table
from xsiamese.report.page import page
from xsiamese.report.pairs import read_pairs
from xsiamese.report.table import Row
from xsiamese.zoo import OpenedModel, find_card, open_model

FILES = ("evaluation.json", "evaluation.csv", "index.html")
NOUNS = {"image": "images", "tabular": "rows of a table", "graph": "graphs", "text": "texts", "series": "series"}


def report(
    pairs: str, *, model: str, methods: str, metrics: str, output: Path, count: int, seed: int, layer: str | None
) -> str:
    """Writes a report, as ``xsiamese evaluate --help`` says it; what a terminal shows of it."""
    check(report, {"count": count, "seed": seed})
    folder(output, "a report")
    named = list(known_metrics()) if metrics == "all" else _words("metrics", metrics)
    chosen(named)  # a misspelt one is an error before any work
    asked_for = [] if methods == "all" else list(dict.fromkeys(map(find, _words("methods", methods))))
    opened = open_model(model)
    if pairs.startswith("planted:"):
        _check_kind(pairs, model, opened)
    known, ids, labels = read_pairs(pairs, opened, count, seed)
    classes = asked_for or suited(known)
    layered = [cls for cls in classes if cls.needs_layer]
    if layer is not None and not layered:
        raise ValueError(f"--layer {layer} is for methods that explain a layer, and none of these does: leave it out")
    for cls in asked_for or layered[:1]:  # what was named can be had, and so can the layer, or it is told now
        made = _made(cls, opened, layer)
        batch = asked(made, known, "all" if metrics == "all" else named, {"labels": labels})[1]
        made.layer_names(batch)
    about = {
        "model": model, "pairs": pairs, "count": len(ids), "seed": seed, "layer": layer, "metrics": named,
        "torch": torch.__version__,
    }  # fmt: skip
    rows = compare(
        opened,
        known,
        classes,
        "all" if metrics == "all" else named,
        output=output,
        about=about,
        layer=layer,
        labels=labels,
    )
    rows = table.ordered(rows, named)
    _written(output, {**about, "rows": rows})
    table.write(output / "evaluation.csv", rows, named)
    (output / "index.html").write_text(page(rows, named, about), encoding="utf-8")
    return f"{table.text(rows, named)}\nwritten to {output / 'index.html'}"


def compare(
    opened: OpenedModel,
    pairs: PlantedPairs | tuple[Any, Any],
    classes: Sequence[type[PairAttribution]],
    metrics: str | Iterable[str | Metric],
    *,
    output: Path,
    about: Mapping[str, Any],
    layer: str | None = None,
    labels: Tensor | None = None,
) -> list[Row]:
    """A row for each method; those that a file of an earlier run with the same settings holds are not made again."""
    folder(output, "a report").mkdir(parents=True, exist_ok=True)
    rows = _known(output, about)
    done = {row["method"] for row in rows}
    bar = tqdm([cls for cls in classes if cls.__name__ not in done], desc="evaluate", unit="method", disable=None)
    try:
        for cls in bar:
            bar.set_postfix_str(cls.__name__)
            rows.append(_row(cls, opened, pairs, metrics, output=output, layer=layer, labels=labels))
            _written(output, {**about, "rows": rows})
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {len(rows)} of {len(classes)} methods are kept in {output}; the same command goes on there"
        ) from None
    return rows


def suited(pairs: Any) -> list[type[PairAttribution]]:
    """The explainers that explain this kind of input without being told more."""
    inputs = pairs.inputs if isinstance(pairs, PlantedPairs) else pairs
    kind = side(inputs[0], "a").kind
    return [cls for _, cls in sorted(explainers().items()) if kind in names(cls.modalities) and not cls.needs_threshold]


def _words(option: str, text: str) -> list[str]:
    """Names with commas between them."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise ValueError(f"--{option} {text!r} names nothing: give names with commas between them, or all")
    return found


def _made(cls: type[PairAttribution], opened: OpenedModel, layer: str | None) -> PairAttribution:
    return cls(opened.model, opened.layer if layer is None else layer) if cls.needs_layer else cls(opened.model)


def _check_kind(pairs: str, model: str, opened: OpenedModel) -> None:
    """Refuses planted pairs of another kind than the model takes, which some models would take all the same."""
    name = pairs.removeprefix("planted:")
    scene(name)  # an unknown one is told here
    of = find_card(f"planted-{name}").modality
    told = ":" not in model or hasattr(opened.model, "modality")  # a factory's model need not say what it takes
    if told and of != opened.modality:
        raise ValueError(
            f"--pairs {pairs} are {NOUNS[of]}, and the model {model} takes "
            f"{NOUNS.get(opened.modality, opened.modality)}: --model planted-{name} takes them"
        )


def _row(
    cls: type[PairAttribution],
    opened: OpenedModel,
    pairs: Any,
    metrics: Any,
    *,
    output: Path,
    layer: str | None,
    labels: Tensor | None,
) -> Row:
    row: Row = {"method": cls.__name__, "seconds": 0.0, "error": "", "metrics": {}, "picture": ""}
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = measure(_made(cls, opened, layer), pairs, metrics, labels=labels)
            row["seconds"] = found.seconds
        row["warnings"] = sorted({str(w.message) for w in said if w.category is UserWarning})[:3]
        row["metrics"] = _plain(found)
        row["picture"] = _drawn(found, output, opened)
    except Exception as error:  # a method that fails is a row that says why; the others go on
        row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
    return row


def _plain(found: Measurement) -> dict[str, Any]:
    return {
        name: {
            "mean": _number(one.mean), "low": _number(one.low), "high": _number(one.high),
            "pairs": one.defined, "error": one.error,
        }
        for name, one in found.items()
    }  # fmt: skip


def _number(value: float) -> float | None:
    return None if value != value else round(value, 6)


def _drawn(found: Measurement, output: Path, opened: OpenedModel) -> str:
    """The picture of the first pair, as a file beside the page, or "" where there is none to be had."""
    try:
        options: dict[str, Any] = {} if opened.preprocessing is None else {"preprocessing": opened.preprocessing}
        figure = found.explanation[0:1].plot(**options)
    except (ImportError, ValueError, TypeError):
        return ""
    pictures = output / "maps"
    pictures.mkdir(exist_ok=True)
    path = pictures / f"{found.explanation.method}.png"
    figure.savefig(path, dpi=70, bbox_inches="tight")
    return f"maps/{path.name}"


def _known(output: Path, about: Mapping[str, Any]) -> list[Row]:
    """The rows of an earlier run.

    Raises:
        ValueError: if that had other settings.
    """
    path = output / FILES[0]
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    other = [key for key, value in about.items() if found.get(key) != value]
    if other:
        raise ValueError(f"{path} is of a run with another {' and '.join(other)}: give another --output, or remove it")
    return [row for row in found["rows"] if not row["error"]]  # what failed is tried again


def _written(output: Path, found: Mapping[str, Any]) -> None:
    path = output / FILES[0]
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found, indent=1), encoding="utf-8")
    new.replace(path)
