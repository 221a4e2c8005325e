"""Which explanation is right: every method on the same pairs, by every metric, written after each one."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.data.planted import PlantedPairs, scene
from xsiamese.data.readers import reader
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
from xsiamese.report.page import page
from xsiamese.zoo import OpenedModel, find_card, open_model

FILES = ("evaluation.json", "evaluation.csv", "index.html")
LABELS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
NOUNS = {"image": "images", "tabular": "rows of a table", "graph": "graphs", "text": "texts", "series": "series"}
Row = dict[str, Any]


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
    rows = ordered(rows, named)
    _written(output, {**about, "rows": rows})
    _table(output / "evaluation.csv", rows, named)
    (output / "index.html").write_text(page(rows, named, about), encoding="utf-8")
    return f"{text(rows, named)}\nwritten to {output / 'index.html'}"


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


def read_pairs(
    spec: str, opened: OpenedModel, count: int, seed: int = 0
) -> tuple[PlantedPairs | tuple[Any, Any], list[tuple[str, str]], Tensor | None]:
    """Pairs by name or from a CSV, two names for each, and which are alike where that is known.

    Raises:
        ValueError: if there are none, or the file has other columns.
    """
    if spec.startswith("planted:"):
        found = scene(spec.removeprefix("planted:")).pairs(count, seed)
        return found, [(f"a{i}", f"b{i}") for i in range(count)], None
    path = Path(spec)
    if not path.is_file():
        raise ValueError(f"--pairs {spec}: there is no such file; give a CSV with columns a and b, or planted:NAME")
    rows = _rows(path)[:count]
    read = reader(opened)
    sides = [[read(read.placed(row[side], path.parent)) for row in rows] for side in "ab"]
    a, b = (read.together(side) for side in sides)
    ids = [(row["a"], row["b"]) for row in rows]
    label = [LABELS[row["label"].strip().lower()] for row in rows] if "label" in rows[0] else None
    return (a, b), ids, None if label is None else torch.tensor(label)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of pairs.

    Raises:
        ValueError: if it is no text, has no rows or other columns, or a row has no item or a label that means nothing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            rows, names = list(table), list(table.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--pairs {path} cannot be read as a CSV in UTF-8: {error}") from error
    if not rows or not {"a", "b"} <= set(names):
        has = ", ".join(names) if rows else "no row"
        raise ValueError(f"--pairs {path} needs the columns a and b and at least one row; it has {has}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--pairs {path} has two columns {twice!r}: every column needs a name of its own")
    for number, row in enumerate(rows, 1):
        if not all((row[side] or "").strip() for side in "ab"):
            raise ValueError(f"--pairs {path}, row {number}: two items are needed, a is {row['a']!r}, b {row['b']!r}")
        if "label" in row and (row["label"] or "").strip().lower() not in LABELS:
            raise ValueError(
                f"--pairs {path}, row {number}: the label {row['label']!r} is not one of {', '.join(LABELS)}"
            )
    return rows


def ordered(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The best first, by the first metric that has a direction and numbers; failures last."""
    known = known_metrics()
    leading = next(
        (
            m
            for m in metrics
            if known[m].higher_is_better is not None and any(_mean(row, m) is not None for row in rows)
        ),
        None,
    )
    if leading is None:
        return list(rows)
    sign = -1 if known[leading].higher_is_better else 1
    return sorted(
        rows, key=lambda row: (_mean(row, leading) is None, sign * (_mean(row, leading) or 0.0), row["method"])
    )


def text(rows: Sequence[Row], metrics: Sequence[str], most: int = 6) -> str:
    """A table for the terminal: the first metrics that have numbers, with their intervals."""
    shown = [m for m in metrics if any(_mean(row, m) is not None for row in rows)][:most]
    width = max((len(row["method"]) for row in rows), default=6)
    lines = [f"{'method':<{width}}  {'s':>6}  " + "  ".join(f"{m:<22}" for m in shown)]
    for row in rows:
        cells = []
        for m in shown:
            one = row["metrics"].get(m, {})
            number = _mean(row, m)
            cells.append(
                f"{'-':<22}" if number is None else f"{number:6.3f} [{one['low']:.3f}, {one['high']:.3f}]".ljust(22)
            )
        said = row["error"] or "  ".join(cells).rstrip()
        lines.append(f"{row['method']:<{width}}  {row['seconds']:6.2f}  {said}")
    return "\n".join(lines)


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


def _mean(row: Row, metric: str) -> float | None:
    found: float | None = row["metrics"].get(metric, {}).get("mean")
    return found


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


def _table(path: Path, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    shown = [m for m in metrics if any(m in row["metrics"] for row in rows)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["method", "seconds", "error", *[f"{m}{part}" for m in shown for part in ("", "_low", "_high")]]
        )
        for row in rows:
            cells = [row["metrics"].get(m, {}).get(part) for m in shown for part in ("mean", "low", "high")]
            writer.writerow([row["method"], f"{row['seconds']:.3f}", row["error"], *cells])
