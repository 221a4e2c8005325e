"""Which explanation is right: a report on explainers by metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from xsiamese.cli.groups import METHOD, MODEL, OUTPUT


def evaluate(
    *,
    pairs: Annotated[str, MODEL],
    model: Annotated[str, MODEL] = "fashion",
    methods: Annotated[str, METHOD] = "all",
    metrics: Annotated[str, METHOD] = "all",
    output: Annotated[Path, OUTPUT, Parameter(name=["--output", "-o"])] = Path("report"),
    count: Annotated[int, MODEL] = 24,
    seed: Annotated[int, METHOD] = 0,
    layer: Annotated[str | None, METHOD] = None,
) -> None:
    """Compare explainers on the same pairs by metrics: which explanation is right?

    Writes evaluation.json, evaluation.csv and index.html. Run again, it goes on where it was interrupted.

    Parameters
    ----------
    pairs
        planted:NAME for pairs whose explanation is known (patches, digits, rows, series, words, motifs), or a CSV with
        the columns a and b, and a label that is 1 for pairs that are alike; what a and b can be is what ``xsiamese
        explain`` takes.
    model
        A zoo name, a checkpoint of ours, or package.module:factory.
    methods
        Names of explainers with commas between them, or all that suit the model.
    metrics
        Names of metrics with commas between them, or all that have what they need.
    output
        The folder of the report.
    count
        How many planted pairs, or the first ones of the CSV.
    seed
        The seed of everything random.
    layer
        The layer to explain on, for methods that have one.
    """
    from xsiamese.report.evaluate import report

    print(
        report(pairs, model=model, methods=methods, metrics=metrics, output=output, count=count, seed=seed, layer=layer)
    )
