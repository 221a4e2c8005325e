"""A first look: the shipped model on shipped pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xsiamese.result.explanation import PairExplanation
    from xsiamese.zoo.checkpoint import Checkpoint

WINDOWS: Mapping[str, Any] = {"sliding_window_shapes": (1, 6, 6), "strides": (1, 2, 2)}

Told = tuple["PairExplanation", "Figure", str]


def demo(*, output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo")) -> None:
    """Explain three pairs of shipped images with the shipped model: alike, less alike, and different.

    Parameters
    ----------
    output
        The folder for the pictures.
    """
    from tqdm.auto import tqdm

    from xsiamese.door.files import folder
    from xsiamese.zoo import shipped

    folder(output, "the output").mkdir(parents=True, exist_ok=True)
    checkpoint = shipped("fashion")
    bar = tqdm(PICTURES.items(), desc="demo", unit="picture", disable=None, leave=False)  # for people only
    for name, tell in bar:
        explanation, figure, said = tell(checkpoint)
        path = output / f"{name}.png"
        figure.savefig(path, bbox_inches="tight")
        bar.write(f"{path}: {explanation.verdict(0)}\n  {explanation.method}: {said}")


def alike(checkpoint: Checkpoint, classes: tuple[str, str] = ("ankle boot", "ankle boot")) -> Told:
    """Which parts of two boots go together."""
    explanation, figure = matched(checkpoint, classes, 2)
    number = _chance(checkpoint, explanation, "kept")
    said = (
        f"Keep only the strongest 20 % of both pictures and blur the rest: the score is {number.score:.2f}; "
        f"a random 20 % gives {number.mean:.2f}."
    )
    return explanation, _written(figure, "What goes together in these two?", explanation, said), said


def different(checkpoint: Checkpoint, classes: tuple[str, str] = ("sneaker", "bag")) -> Told:
    """That little of a sneaker goes with anything of a bag."""
    explanation, figure = matched(checkpoint, classes, 2)
    number = _chance(checkpoint, explanation, "kept")
    no = "" if number.score > number.high else "no "
    said = (
        f"Kept alone with the rest blurred, the strongest 20 % say {no}more than a random 20 %: {number.score:.2f} and "
        f"{number.mean:.2f}, for blurring makes any two alike."
    )
    return explanation, _written(figure, "Little goes together in these two", explanation, said), said


def sleeves(checkpoint: Checkpoint) -> Told:
    """What keeps a T-shirt and a dress apart: what happens where one gets the other's pixels."""
    from xsiamese.data import fashion_pair
    from xsiamese.explain.catalogue import explainer

    made = explainer("PairOcclusion")(checkpoint.model)
    classes = ("T-shirt", "dress")
    explanation = made.explain(fashion_pair(*classes), ids=[classes], baselines="partner", **WINDOWS)
    a, b = _chance(checkpoint, explanation, "a changed"), _chance(checkpoint, explanation, "b changed")
    said = (
        f"Give the T-shirt the dress's pixels in the reddest 20 % and the score rises to {a.score:.2f} (in a random "
        f"20 %: {a.mean:.2f}); the dress the T-shirt's: {b.score:.2f} ({b.mean:.2f})."
    )
    figure = explanation.plot(preprocessing=checkpoint.card.preprocessing)
    figure.axes[0].set_ylabel("")  # the verdict stands above
    return explanation, _written(figure, "What keeps these two apart?", explanation, said), said


PICTURES: Mapping[str, Callable[[Checkpoint], Told]] = {"alike": alike, "sleeves": sleeves, "different": different}


def matched(checkpoint: Checkpoint, classes: tuple[str, str], number: int) -> tuple[PairExplanation, Figure]:
    """Which part of a pair goes with which, and its picture."""
    from xsiamese.data import fashion_pair
    from xsiamese.explain.catalogue import explainer

    made = explainer("PairMaskRegression")(checkpoint.model)
    explanation = made.explain(fashion_pair(*classes, number=number), ids=[classes])
    return explanation, explanation.plot(preprocessing=checkpoint.card.preprocessing)


def _chance(checkpoint: Checkpoint, explanation: PairExplanation, question: Any) -> Any:
    from xsiamese.report.chance import against_chance

    return against_chance(checkpoint.model, explanation, question)


def _written(figure: Figure, title: str, explanation: PairExplanation, said: str) -> Figure:
    """The picture under a question, with one number below it."""
    from textwrap import fill

    figure.suptitle(f"{title}   {explanation.verdict(0)}", fontsize=12)
    below = figure.get_supxlabel()
    figure.supxlabel("\n".join([*([below] if below else []), fill(said, 92)]), fontsize=9, color="#3c3c3c")
    return figure
