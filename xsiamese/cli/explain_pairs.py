"""Why the model found many pairs alike or different, kept in a folder and gone on with after whatever ended it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from xsiamese.cli.groups import MACHINE, METHOD, MODEL, OUTPUT

if TYPE_CHECKING:
    from xsiamese.jobs.explanations import StoredExplanations


def explain_pairs(
    pairs: Path,
    /,
    *,
    output: Annotated[Path, OUTPUT, Parameter(name=["--output", "-o"])],
    model: Annotated[str, MODEL] = "fashion",
    method: Annotated[str | None, METHOD] = None,
    budget: Annotated[Literal["fast", "normal", "thorough"], METHOD] = "normal",
    layer: Annotated[str | None, METHOD] = None,
    items: Annotated[Path | None, MODEL] = None,
    columns: Annotated[str | None, MODEL] = None,
    unit: Annotated[int, OUTPUT] = 512,
    batch: Annotated[int, MACHINE] = 64,
    precision: Annotated[Literal["full", "half"], OUTPUT] = "full",
    workers: Annotated[int, MACHINE] = 1,
    threads: Annotated[int, MACHINE] = 1,
    limit: Annotated[int | None, MODEL] = None,
    shard: Annotated[str | None, MACHINE] = None,
    engine: Annotated[Literal["local", "ray"], MACHINE] = "local",
    address: Annotated[str | None, MACHINE] = None,
    device: Annotated[str, MACHINE] = "cpu",
    size: Annotated[int | None, MODEL] = None,
    seed: Annotated[int, METHOD] = 0,
    **options: Annotated[
        str, METHOD, Parameter(help="The method's own: xsiamese explain --method M --help lists them.")
    ],
) -> None:
    """Explain many pairs, a row of a table each, into a folder. The same command again goes on where it ended.

    Pairs that cannot be read or explained are rows with an error. Read the folder with xsiamese.open_explanations, or
    its parts with any reader of Parquet and zarr.

    Parameters
    ----------
    pairs
        A CSV or Parquet file with the columns a and b (or two that end in _a and _b); what these can be is what
        ``xsiamese explain`` takes. Files are looked for beside the table.
    output
        The folder.
    model
        A zoo name, a checkpoint of ours, package.module:factory, or a folder that transformers or
        sentence-transformers saved.
    method
        The explainer, see ``xsiamese explainers``; if left out, what the scoreboard chose for the kind of input.
    budget
        What that choice may cost: fast (one pass), normal or thorough.
    layer
        The layer to explain on, for methods that have one.
    items
        Where a and b are ids, the table of the items (columns id and item); where they are numbers, an array of them
        as the model takes them (.npy).
    columns
        The two columns of the table that hold the items, with a comma between them.
    unit
        Pairs that are written together, and lost together if the process ends before.
    batch
        The most pairs in one pass of the model.
    precision
        half keeps maps in 16 bits.
    workers
        Processes that each decode, explain and write whole units.
    threads
        Threads of PyTorch in each of them.
    limit
        Only the first rows.
    shard
        i/n: every n-th unit from the i-th on, for n processes on as many machines and one folder.
    engine
        local: processes of this machine. ray: actors of a cluster that sees the files under the same paths.
    address
        Of the cluster; a new one on this machine if left out.
    device
        Where the model runs: cpu, cuda, cuda:1, mps.
    size
        The height and width that images are brought to, for a model without a card.
    seed
        The seed of everything random.
    """
    from xsiamese.explain.meant import refuse_misspelt
    from xsiamese.jobs.job import explain_pairs as run

    refuse_misspelt(options, explain_pairs)
    chosen = None if columns is None else _two(columns)
    own: dict[str, Any] = dict(options)
    found = run(
        pairs, output, model=model, method=method, budget=budget, layer=layer, items=items, columns=chosen, unit=unit,
        batch=batch, precision=precision, workers=workers, threads=threads, limit=limit, shard=shard, engine=engine,
        address=address, device=device, size=size, seed=seed, show_progress=sys.stderr.isatty(), **own,
    )  # fmt: skip
    print("\n".join(told(found)))


def told(found: StoredExplanations) -> list[str]:
    """What a job came to, in lines: how many pairs, how many are alike, what went wrong first, and how to read it."""
    rows: dict[str, list[Any]] = found.table(["status", "alike", "error", "pair"]).to_pydict()
    alike, errors = rows["alike"], [i for i, status in enumerate(rows["status"]) if status == "error"]
    known = [one for one in alike if one is not None]
    decided = f", {sum(known)} alike and {len(known) - sum(known)} different" if known else ""
    lines = [f"{len(alike)} of {found.about['pairs']} pairs by {found.about['method']}{decided}"]
    if errors:
        first = errors[0]
        lines.append(f"{len(errors)} with an error, the first in row {rows['pair'][first]}: {rows['error'][first]}")
    return [*lines, f'written to {found.folder}: xsiamese.open_explanations("{found.folder}")']


def _two(columns: str) -> tuple[str, str]:
    first, comma, second = columns.partition(",")
    if not (first and comma and second) or "," in second:
        raise ValueError(f"--columns {columns}: the names of two columns with a comma between them are needed")
    return first, second
