"""Why the model found two things alike or different, as words, JSON, pictures and files."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from xsiamese.cli.groups import METHOD, MODEL, OUTPUT
from xsiamese.cli.told import described, words_of
from xsiamese.data.outputs import apart, checked
from xsiamese.plot.figure import new_figure
from xsiamese.plot.pixels import check
from xsiamese.result.explanation import PairExplanation

if TYPE_CHECKING:
    from xsiamese.data.references import Reader
    from xsiamese.explain.meant import Meant

PICTURES = frozenset({".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps"})


def explain(
    a: str,
    b: str,
    /,
    *,
    model: Annotated[str, MODEL] = "fashion",
    method: Annotated[str | None, METHOD] = None,
    budget: Annotated[Literal["fast", "normal", "thorough"], METHOD] = "normal",
    layer: Annotated[str | None, METHOD] = None,
    target: Annotated[int | None, METHOD] = None,
    output: Annotated[list[Path] | None, OUTPUT, Parameter(name=["--output", "-o"], negative=())] = None,
    json_: Annotated[bool, OUTPUT, Parameter(name="--json", negative=())] = False,
    smooth: Annotated[float | None, OUTPUT] = None,
    superpixels: Annotated[int | None, OUTPUT] = None,
    size: Annotated[int | None, MODEL] = None,
    seed: Annotated[int, METHOD] = 0,
    threshold: Annotated[float | None, MODEL] = None,
    baselines: Annotated[str | None, METHOD] = None,
    text: Annotated[bool, MODEL] = False,
    **options: Annotated[
        str, METHOD, Parameter(help="The method's own: xsiamese explain --method M --help lists them.")
    ],
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
    smooth
        The width, in pixels, of a Gaussian that smooths the maps of images in a picture.
    superpixels
        About how many parts of one colour the picture shows the maps of images by; each shows the mean of its pixels.
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
    from xsiamese.explain.meant import Meant, refuse_misspelt
    from xsiamese.zoo import open_model

    refuse_misspelt(options, explain)
    for path in output or []:
        apart(checked(path, PICTURES | {".safetensors", ".json"}), (a, b, model, *options.values()))
    drawn = _drawn(output or [], smooth, superpixels)
    with redirect_stdout(sys.stderr) if json_ else nullcontext():  # a model may print, and JSON stands alone
        opened = open_model(model, size=size)
        if drawn and "image" not in opened.modality:
            this = f"--{next(iter(drawn))}"
            raise ValueError(f"{this} is for maps of images, and the model {model} takes {opened.modality}")
        if text and "text" not in opened.modality:
            raise ValueError(
                f"--text, and the model {model} takes no texts ({opened.modality}): give --model one that does"
            )
        meant = Meant.of(
            opened.model, opened.kind, options, method=method, budget=budget, layer=layer, usual_layer=opened.layer,
            threshold=threshold,
        )  # fmt: skip
        if drawn and meant.explainer.result.plot is not PairExplanation.plot:
            this = f"--{next(iter(drawn))}"
            raise ValueError(f"{this} is for maps of images, and {meant.explainer.name} draws something else")
        read = reader(opened)
        ids, inputs = [names(read.refer(a), read.refer(b))], (read(a), read(b))
        own = meant.options | meant.explainer.from_files(meant.files, read, inputs, seed)
        if baselines is not None:
            own["baselines"] = started(baselines, read)
        watched = sys.stderr.isatty()  # a bar is for people
        explanation = meant.explains.explain(inputs, target, ids=ids, seed=seed, show_progress=watched, **own)
        texts = None if read.columns is None else (read.texts(a), read.texts(b))
        told = described(explanation, output or [], read.columns, texts)
        shown = {"preprocessing": opened.preprocessing, "columns": read.columns, "texts": texts}
        _write(explanation, told, output or [], **shown, **drawn)
    print(json.dumps(told, indent=2) if json_ else _said(explanation, meant, output or []))


def _drawn(outputs: Sequence[Path], smooth: float | None, superpixels: int | None) -> dict[str, float]:
    """How pixels are drawn, where that was said; what stands in the way of a picture is told before any work."""
    pictures = [path for path in outputs if path.suffix.lower() in PICTURES]
    if pictures:
        new_figure(1, 1)
    said = {"smooth": smooth, "superpixels": superpixels}
    drawn = {name: value for name, value in said.items() if value is not None}
    if drawn and not pictures:
        raise ValueError(f"--{next(iter(drawn))} is of the picture, and none is written: add -o why.png")
    check(smooth, superpixels)
    return drawn


def _write(explanation: PairExplanation, told: Mapping[str, Any], outputs: Sequence[Path], **shown: Any) -> None:
    """Writes the explanation, its JSON or its picture, as each ending says."""
    for path in outputs:
        if path.suffix == ".safetensors":
            explanation.save(path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        else:
            known = {key: value for key, value in shown.items() if value is not None}
            explanation.plot(**known).savefig(path, bbox_inches="tight")


def _said(explanation: PairExplanation, meant: Meant, outputs: Sequence[Path]) -> str:
    """What the terminal shows: the verdict, words in their colours, the choice and its reason, and what was written."""
    words = words_of(explanation, colour=sys.stdout.isatty())
    why = [f"chosen: {meant.explains}"] if meant.explains is not meant.explainer else []
    written = f"written to {', '.join(map(str, outputs))}" if outputs else "(-o why.png draws it)"
    return "\n".join([explanation.summary(), *words, *why, written])


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
        items = read.together([read(read.refer(word).word) for word in text.split(",")])
    except ValueError as error:
        raise ValueError(
            f"--baselines {text}: a number, partner, background, typical, or items with commas between them; {error}"
        ) from error
    return Pool(items)
