"""Why the model found two things alike or different, as words, JSON, pictures and files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from xsiamese.cli.told import described, words_of
from xsiamese.data.outputs import checked

if TYPE_CHECKING:
    from xsiamese.data.references import Reader

# the search for what would flip the decision, where it is not that of images
SEARCHES = {("counterfactual", "graph"): "graph_edits"}
PICTURES = frozenset({".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps"})


def explain(
    a: str,
    b: str,
    /,
    *,
    model: str = "fashion",
    method: str | None = None,
    budget: Literal["fast", "normal", "thorough"] = "normal",
    layer: str | None = None,
    target: int | None = None,
    output: Annotated[list[Path] | None, Parameter(name=["--output", "-o"], negative=())] = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    size: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    baselines: str | None = None,
    text: bool = False,
    **options: Annotated[str, Parameter(help="The method's own: xsiamese explain --method M --help lists them.")],
) -> None:
    """Explain why the model found two images, texts, rows of a table or graphs alike or different.

    Parameters
    ----------
    a
        The first image; for a network that was trained on a table one of its rows or of another table, table.csv:3,
        counted from 0, and of a table of pairs pairs.csv:3:left or pairs.csv:3:right; for one that was trained on
        graphs a SMILES, a file of a connectivity matrix or of a graph, or the number of a graph in its set;
        for a model of texts the text itself, a .txt file, or a row of text columns; for two towers the image.
    b
        The second one; for two towers the text.
    model
        A zoo name, a checkpoint of ours, package.module:factory, or a folder that transformers or
        sentence-transformers saved.
    method
        The explainer, see ``xsiamese explainers``; if left out, what the scoreboard chose for the kind of input.
    budget
        What that choice may cost: fast (one pass), normal or thorough.
    layer
        The layer to explain on, for methods that have one.
    target
        The index of the model's output to explain; the score itself if left out.
    output
        Where the picture goes (.png, .pdf, .svg, ...), or the explanation itself (.safetensors), or the JSON (.json);
        may be given several times.
    json_
        Print scores and the strongest places as JSON.
    size
        The height and width that images are brought to, for a model without a card.
    seed
        The seed of everything random.
    threshold
        The score at which the decision turns; the model's calibrated one if left out.
    baselines
        What a path starts from and what stands where something is removed: a number, "partner", "background" (of
        images), "typical" (of rows, as in training), or items with commas between them, to average over.
    text
        The two items are texts, or the second one is, for a model that takes them.
    """
    from xsiamese.data.readers import reader
    from xsiamese.data.references import names
    from xsiamese.explain.auto import auto
    from xsiamese.explain.catalogue import explainer as find
    from xsiamese.explain.options import parsed
    from xsiamese.zoo import open_model

    outputs = output or []
    for path in outputs:
        checked(path, PICTURES | {".safetensors", ".json"})
    opened = open_model(model, size=size)
    if text and "text" not in opened.modality:
        raise ValueError(
            f"--text, and the model {model} takes no texts ({opened.modality}): give --model one that does"
        )
    towers = opened.modality == "image and text"  # of two kinds, whose layers show what suits both
    kind = None if towers else opened.modality
    chosen = None if method else auto(opened.model, budget, kind=kind, layer=layer or opened.layer)
    cls = type(chosen.explainer) if chosen else find(SEARCHES.get((method or "", opened.modality), method or ""))
    if method == "counterfactual" and opened.modality not in cls.modalities:
        raise ValueError(
            f"--method counterfactual searches images and graphs, and the inputs of {model} are {opened.modality}: of "
            "rows it needs the ranges of the columns, xsiamese_counterfactual.PairTabularCounterfactual in Python"
        )
    files = {name: text for name, text in options.items() if name.replace("-", "_") in cls.files}
    settings, own = parsed(cls, {name: text for name, text in options.items() if name not in files})
    if threshold is not None:
        if not any(option == "threshold" for option in cls.settings()):
            raise ValueError(
                f"--threshold is for methods about the decision, and {cls.name} explains the score: leave it out, or "
                "use --method counterfactual"
            )
        settings["threshold"] = threshold
    read = reader(opened)
    references = read.refer(a), read.refer(b)
    inputs = read(a), read(b)
    if layer is not None and not cls.needs_layer:
        raise ValueError(
            f"--layer is for methods that explain a layer, and {cls.name} explains the inputs: leave it out"
        )
    layers = (layer or opened.layer,) if cls.needs_layer else ()
    if chosen and settings:
        raise ValueError(
            f"--{next(iter(settings)).replace('_', '-')} is a setting of one method: say which by --method"
        )
    explainer = chosen.explainer if chosen else cls(opened.model, *layers, **settings)
    own |= explainer.from_files(files, read, inputs, seed)
    if baselines is not None:
        own["baselines"] = started(baselines, read)
    explanation = (chosen or explainer).explain(inputs, target, ids=[names(*references)], seed=seed, **own)
    columns = read.columns
    texts = None if columns is None else (read.texts(a), read.texts(b))
    told = described(explanation, outputs, columns, texts)
    known = {"preprocessing": opened.preprocessing, "columns": columns, "texts": texts}
    for path in outputs:
        if path.suffix == ".safetensors":
            explanation.save(path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        else:
            shown: dict[str, Any] = {key: value for key, value in known.items() if value is not None}
            explanation.plot(**shown).savefig(path, bbox_inches="tight")
    if json_:
        print(json.dumps(told, indent=2))
    else:
        written = f"\nwritten to {', '.join(map(str, outputs))}" if outputs else "\n(-o why.png draws it)"
        words = "".join(f"\n{line}" for line in words_of(explanation, colour=sys.stdout.isatty()))
        why = f"\nchosen: {chosen}" if chosen else ""
        print(explanation.summary() + words + why + written)


def started(text: str, read: Reader) -> Any:
    """The baselines that a text means.

    Raises:
        ValueError: if it is none of these.
    """
    from xsiamese.kinds.pool import Pool

    if text in ("partner", "background", "typical"):
        return text
    try:
        return float(text)
    except ValueError:
        pass
    try:
        items = read.together([read(word) for word in text.split(",")])
    except ValueError as error:
        raise ValueError(
            f"--baselines {text}: a number, partner, background, typical, or items with commas between them; {error}"
        ) from error
    return Pool(items)
