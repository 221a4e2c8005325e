"""The command line: ``xsiamese explain A B --model MODEL --method gradcam -o why.png``."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from xsiamese.data.outputs import checked
from xsiamese.door.faults import sentence
from xsiamese.training.command import train

Json = Annotated[bool, Parameter(name="--json", negative=())]
PICTURES = frozenset({".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps"})
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]

app = App(
    name="xsiamese",
    help="Explains why a two-input (Siamese) model found two things alike or different.",
    version_flags=["--version"],
)
app.command(train)


@app.command
def plugins(*, json_: Json = False) -> None:
    """List the installed plugins: distribution, version, hooks, and what is broken.

    Parameters
    ----------
    json_
        Print JSON for machines.
    """
    from dataclasses import asdict

    from xsiamese.door.registry import installed

    rows = [asdict(plugin) for plugin in installed().values()]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = (
            f"BROKEN {row['failure']}" if row["failure"] else "disabled" if row["disabled"] else ", ".join(row["hooks"])
        )
        print(f"{row['name']:<16} {row['distribution']} {row['version']}  ({row['module']})  {state}")


@app.command
def explainers(*, json_: Json = False) -> None:
    """List the explainers: the name for --method, the class, and what it does.

    Parameters
    ----------
    json_
        Print JSON for machines.
    """
    from xsiamese.explain.catalogue import explainers as known

    rows = [
        {"name": cls.name, "class": key, "summary": (cls.__doc__ or "").strip().split("\n")[0]}
        for key, cls in known().items()
    ]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    for row in sorted(rows, key=lambda row: row["name"]):
        print(f"{row['name']:<28} {row['class']:<30} {row['summary']}")


@app.command
def zoo(*, json_: Json = False) -> None:
    """List the networks of the zoo.

    Parameters
    ----------
    json_
        Print JSON for machines.
    """
    from xsiamese.door.registry import models as brought
    from xsiamese.zoo import CARDS

    cards = {**{card.name: card for card in CARDS}, **brought()}
    shown = ("name", "input", "embedding", "comparison", "layer", "licence", "weights", "summary")
    rows = [{key: getattr(card, key) for key in shown} for card in cards.values()]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['name']:<28} {'shipped' if row['weights'] else 'untrained':<10} {row['summary']}")


@app.command
def explain(
    a: str,
    b: str,
    /,
    *,
    model: str = "fashion",
    method: str | None = None,
    layer: str | None = None,
    target: int | None = None,
    output: Output = None,
    json_: Json = False,
    size: int | None = None,
    seed: int = 0,
    threshold: float | None = None,
    distractor: Path | None = None,
    pool: Path | None = None,
) -> None:
    """Explain why the model found two images, rows of a table or graphs alike or different.

    Parameters
    ----------
    a
        The first image; for a network that was trained on a table one of its rows or of another table, table.csv:3,
        counted from 0;
        for one that was trained on graphs a SMILES, a file of a connectivity matrix or of a graph, or the number of a
        graph in its set.
    b
        The second one.
    model
        A zoo name, a checkpoint of ours, or package.module:factory.
    method
        The explainer, see ``xsiamese explainers``; gradcam if left out, and integrated_gradients for rows of a table.
    layer
        The layer to explain on, for methods that have one.
    target
        The index of the model's output to explain; the score itself if left out.
    output
        Where the picture goes (.png, .pdf, .svg), or the explanation itself (.safetensors).
    json_
        Print scores and the strongest places as JSON.
    size
        The height and width that images are brought to, for a model without a card.
    seed
        The seed of everything random.
    threshold
        For counterfactuals: the score at which the decision turns; the model's calibrated one if left out.
    distractor
        For counterfactuals: an image to copy regions from, instead of the partner.
    pool
        For --method robust on rows: a table whose rows say what of A counts whatever it is compared with. A and B are
            left out of it.
    """
    from xsiamese.data.references import names, refer
    from xsiamese.explain.catalogue import explainer as find
    from xsiamese.zoo import open_model

    if output is not None:
        checked(output, PICTURES | {".safetensors"})
    opened = open_model(model, size=size)
    method = method or ("integrated_gradients" if opened.modality == "tabular" else "gradcam")
    cls = find(method)
    read = reader(opened)
    references = refer(a, opened), refer(b, opened)
    inputs = read(a), read(b)
    chosen = layer or opened.layer
    made = cls(opened.model, chosen) if cls.needs_layer else cls(opened.model)
    if threshold is not None:
        if not hasattr(made, "threshold"):
            raise ValueError(
                f"--threshold is for methods about the decision, and {method} explains the score: leave it out, or "
                "use --method counterfactual"
            )
        made.threshold = threshold
    options = {
        **({} if distractor is None else {"distractor": read(str(distractor))}),
        **robust_options(made, read, inputs, pool, seed),
    }
    columns = getattr(read, "columns", None)
    explanation = made.explain(inputs, target, ids=[names(*references)], seed=seed, **options)
    if output is not None:
        if output.suffix == ".safetensors":
            explanation.save(output)
        else:
            known = {"preprocessing": opened.preprocessing, "columns": columns}
            shown: dict[str, Any] = {key: value for key, value in known.items() if value is not None}
            explanation.plot(**shown).savefig(output, bbox_inches="tight")
    if json_:
        print(json.dumps(describe(explanation, output, () if columns is None else columns.features), indent=2))
    else:
        print(explanation.summary() + (f"\nwritten to {output}" if output else "\n(-o why.png draws it)"))


@app.command
def demo(*, output: Path = Path("demo"), method: str = "gradcam") -> None:
    """Explain a similar and a different pair of shipped images with the shipped model.

    Parameters
    ----------
    output
        The folder for the pictures.
    method
        The explainer, see ``xsiamese explainers``.
    """
    from xsiamese.data import fashion_pair
    from xsiamese.explain.catalogue import explainer as find
    from xsiamese.zoo import shipped

    output.mkdir(parents=True, exist_ok=True)
    checkpoint = shipped("fashion")
    cls = find(method)
    made = cls(checkpoint.model, checkpoint.card.layer) if cls.needs_layer else cls(checkpoint.model)
    for name, classes in (("similar", ("sneaker", "sneaker")), ("different", ("sneaker", "bag"))):
        explanation = made.explain(fashion_pair(*classes, number=2), ids=[classes])
        path = output / f"{name}.png"
        explanation.plot(preprocessing=checkpoint.card.preprocessing).savefig(path, dpi=120)
        print(
            f"{name}: {classes[0]} - {classes[1]}, cosine similarity {float(explanation.scores[0]):.3f}, "
            f"{explanation.method}: {path}"
        )


OURS = frozenset(app) - {"--help", "-h", "--version"}


def reader(opened: Any) -> Any:
    """What reads a side for the model: an image file, or a row or a graph as the model was trained on."""
    from xsiamese.data.row_files import RowReader, is_row

    if opened.modality == "tabular":
        return RowReader.of(opened.about)
    if opened.modality == "graph":
        from xsiamese.data.graph_files import graph_reader

        read = graph_reader(opened.about)
        return read

    def image(path: str | Path) -> Any:
        if is_row(path):
            raise ValueError(
                f"{path} is a row of a table, and the model takes images: give --model the checkpoint of a network "
                "that was trained on a table"
            )
        return opened.read(path)

    return image


def robust_options(made: Any, read: Any, inputs: tuple[Any, Any], pool: Path | None, seed: int) -> dict[str, Any]:
    """What the robust explainer is told of rows: that the values of a category are one unit, and the invariance of A
    that a pool says.
    """
    if not (hasattr(made, "coupling") and hasattr(read, "columns")):
        if pool is not None:
            raise ValueError("--pool is for --method robust on rows of a table: leave it out")
        return {}
    units = read.columns.column_of
    if pool is None:
        return {"units": units}
    from xsiamese import InvarianceLearner

    return {
        "units": units,
        "invariance": InvarianceLearner(made.model, units=units).fit(inputs[0], read.pool(pool, inputs), seed=seed),
    }


def describe(explanation: Any, output: Path | None, features: Sequence[str] = ()) -> dict[str, Any]:
    """An explanation of one pair for machines; of a row the strongest features by their names."""

    def strongest(largest: str) -> dict[str, Any]:
        cells = explanation.top(3, largest=largest)[0]
        named = [
            [{**cell._asdict(), **({"feature": features[cell.place[0]]} if features else {})} for cell in side]
            for side in cells
        ]
        return dict(zip("ab", named, strict=True))

    return {
        "method": explanation.method,
        "score": float(explanation.scores[0]),
        "higher_is_closer": explanation.higher_is_closer,
        "target": explanation.target,
        "ids": explanation.ids[0],
        "parameters": dict(explanation.parameters),
        "seed": explanation.seed,
        **(
            {"relevant": strongest("either")}
            if explanation.unsigned
            else {"closer": strongest("closer"), "apart": strongest("apart")}
        ),
        "versions": dict(explanation.versions),
        "output": str(output) if output else None,
        "counterfactuals": [found.packed()[1] for found in getattr(explanation, "counterfactuals", ())],
    }


def main() -> None:
    """The entry point: an error is one line and exit code 2; ``--traceback`` shows where it comes from."""
    traceback = "--traceback" in sys.argv
    sys.argv[:] = [word for word in sys.argv if word != "--traceback"]
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)  # type: ignore[assignment]
        warnings.filterwarnings(
            "ignore", message=".*torch.jit.script. is deprecated"
        )  # torch_geometric's, not the user's
        try:
            add_plugins()
            app()
        except BrokenPipeError:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        except (ValueError, TypeError, ImportError, OSError, FloatingPointError, MemoryError) as error:
            print(f"xsiamese: {error}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print("xsiamese: interrupted", file=sys.stderr)
            sys.exit(130)
        except Exception as error:  # whatever it is, a person gets one line
            if traceback:
                raise
            print(f"xsiamese: {sentence(error)}", file=sys.stderr)
            sys.exit(2)


def add_plugins() -> None:
    """Adds the commands that plugins bring; one that has the name of ours is named and left out."""
    from xsiamese.door.registry import commands

    for name, function in commands().items():
        if name in OURS:
            warnings.warn(
                f"a plugin brings a command {name!r} of its own ({function.__module__}): left out", stacklevel=2
            )
        else:
            app.command(function, name=name)
