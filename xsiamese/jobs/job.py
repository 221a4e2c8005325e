"""A job: pairs, what explains them, and the folder that keeps what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.door.arguments import check, defaults
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import Auto, Budget, check_explainer
from xsiamese.jobs import local
from xsiamese.jobs.cluster import MISSING, Cluster
from xsiamese.jobs.explanations import StoredExplanations, open_explanations
from xsiamese.jobs.manifest import Entry, Manifest, Shard, cleaned, free, held, same
from xsiamese.jobs.recipe import Given, Named, Precision, Recipe, check_device
from xsiamese.jobs.source import source_of
from xsiamese.jobs.store import Store
from xsiamese.jobs.table import Columns, PairTable
from xsiamese.jobs.task import Engine, Task
from xsiamese.jobs.unit import Unit, units
from xsiamese.result.explanation import installed_versions


@dataclass(frozen=True)
class Job:
    """A job, of which a shard is done here.

    Attributes:
        task: what is done.
        unit: pairs of a unit.
        shard: which units are done.
        about: what tells the job from another one, as JSON can hold it.
    """

    task: Task
    unit: int = 512
    shard: Shard = field(default_factory=Shard)
    about: Mapping[str, Any] = field(default_factory=dict)

    def units(self) -> list[Unit]:
        """The units that are done here."""
        every = units(len(self.task.table), self.unit)
        return [unit for unit in every if unit.number % self.shard.count == self.shard.index]

    def run(self, engine: Engine, *, show_progress: bool = True) -> None:
        """Does what is not done yet.

        Raises:
            ValueError: if the folder holds another job, or another process is at this one.
            OSError: if something cannot be written; what was written stays.
            KeyboardInterrupt: saying how to go on.
        """
        folder = self.task.store.folder
        with held(folder, self.about, self.shard) as manifest:
            cleaned(folder, self.shard)
            done, mine = self._done(manifest), self.units()
            left = [unit for unit in mine if unit.number not in done]
            failed, pairs = sum(entry.errors for entry in done.values()), _pairs(mine)
            kept = pairs - _pairs(left)
            bar = tqdm(total=pairs, initial=kept, desc="explain-pairs", unit="pair", disable=not show_progress)
            try:
                with bar:
                    for entry in engine(self.task, left) if left else ():
                        manifest.append(entry)
                        failed, kept = failed + entry.errors, kept + entry.stop - entry.start
                        bar.set_postfix_str(f"{failed} errors" if failed else "", refresh=False)
                        bar.update(entry.stop - entry.start)
            except OSError as error:
                raise OSError(
                    f"{folder} cannot be written ({error.strerror or error}): make room and give the same command "
                    f"again; {kept} of {pairs} pairs are kept"
                ) from error
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"interrupted: {kept} of {pairs} pairs are kept in {folder}; the same command goes on there"
                ) from None
            assert kept == pairs, f"the engine left out {pairs - kept} pairs"

    def _done(self, manifest: Manifest) -> dict[int, Entry]:
        """What the manifest names and can be read."""
        wanted = {unit.number: unit for unit in self.units()}
        return {
            number: entry
            for number, entry in manifest.entries().items()
            if wanted.get(number) == (entry.unit, entry.start, entry.stop) and self.task.store.readable(entry)
        }


def _pairs(some: Sequence[Unit]) -> int:
    return sum(unit.stop - unit.start for unit in some)


def explain_pairs(
    pairs: str | Path | Tensor | Sequence[Sequence[Any]],
    output: str | Path,
    explainer: PairAttribution | Auto | None = None,
    *,
    model: str = "fashion",
    method: str | None = None,
    budget: Budget = "normal",
    layer: str | None = None,
    items: Any = None,
    columns: Columns | None = None,
    unit: int = 512,
    batch: int = 64,
    precision: Precision = "full",
    workers: int = 1,
    threads: int = 1,
    limit: int | None = None,
    shard: str | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    device: str = "cpu",
    size: int | None = None,
    seed: int = 0,
    show_progress: bool = True,
    **options: Any,
) -> StoredExplanations:
    """Explains many pairs into a folder, and goes on where it was when it ended.

    Units of ``unit`` pairs are decoded, explained and written, each whole or not at all; the same call on the same
    folder does what is not done. A pair that cannot be read or explained is a row with its error. What is written does
    not depend on the number of workers.

    Args:
        pairs: a CSV or Parquet file with the words of both items in a row, as ``xsiamese explain`` takes them; two
            words a pair; or the numbers of the items, shape (pairs, 2).
        output: the folder.
        explainer: what explains, for a model of Python; else ``model`` and ``method`` by name.
        model: a zoo name, a checkpoint, package.module:factory, or a folder that a plugin opens.
        method: the explainer's name; what the scoreboard chose for the kind of input and the ``budget`` if left out.
        budget: "fast", "normal" or "thorough".
        layer: the layer to explain on.
        items: what the pairs are of, where they are numbers or ids: an array or a tensor with an item a row, as the
            model takes it; a ``.npy`` file of one; a sequence of texts or graphs; or a table with the columns ``id``
            and ``item``.
        columns: of the file, which two hold the items.
        unit: pairs that are written together.
        batch: the most pairs in one pass of the model.
        precision: "half" keeps maps and columns in 16 bits; inputs, scores and deltas are exact.
        workers: processes that each decode, explain and write whole units; 1 is this one.
        threads: of PyTorch in each of them.
        limit: the first rows only.
        shard: ``i/n``: every n-th unit, from the i-th on, so that n processes on as many machines do one job.
        engine: "local" for processes of this machine, or "ray" for those of a cluster that sees ``output``, the files
            and the model under the same paths.
        address: of the cluster; a new one on this machine if left out.
        device: where the model runs.
        size: the height and width of images, for a model without a card.
        seed: of everything random.
        show_progress: shows a bar with the rate and the time left.
        **options: the explainer's own.

    Returns:
        What was found, read from the folder as it is asked for.

    Raises:
        ValueError: before any work, if the table, the items, the model, the method or an option does not fit, or the
            folder holds another job (naming what differs) or is being written by another process.
        OSError: if something cannot be written; what was written stays.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> from xsiamese import PairSaliency, SiameseModel, explain_pairs
        >>> items, explainer = torch.eye(3), PairSaliency(SiameseModel(torch.nn.Identity(), "dot"))
        >>> with TemporaryDirectory() as folder:
        ...     found = explain_pairs([(0, 1), (2, 2)], folder, explainer, items=items, show_progress=False)
        ...     len(found), float(found[1].scores[0])
        (2, 1.0)
    """
    numbers = {"unit": unit, "batch": batch, "workers": workers, "threads": threads, "limit": limit, "seed": seed}
    words = {"precision": precision, "shard": shard, "engine": engine, "address": address, "device": device}
    check(explain_pairs, {**numbers, **words, "show_progress": show_progress}, most={"threads": os.cpu_count() or 1})
    part, does = Shard() if shard is None else Shard.parsed(shard), _engine(engine, workers, address)
    free(Path(output))
    check_device(device)
    if explainer is not None:
        check_explainer(explainer, choices=True)
        named = {"model": model, "method": method, "budget": budget, "layer": layer, "size": size}
        if idle := next((name for name, value in named.items() if value != defaults(explain_pairs)[name]), None):
            raise ValueError(f"{idle}={named[idle]!r} is for an explainer by name, and one was given: leave it out")
    if own := next((name for name in ("ids", "internal_batch_size") if name in options), None):
        raise ValueError(f"{own}= is the job's own: ids are the words of the pairs, and batch= says how many at once")
    if columns is not None and not isinstance(pairs, (str, Path)):
        raise ValueError(f"columns={columns!r} are of a file, and the pairs were given themselves: leave it out")
    table = PairTable.of(pairs, columns)
    table = table.first(limit)
    recipe: Recipe
    if explainer is not None:
        recipe = Given(explainer, options)
    else:
        recipe = Named(model, method, budget, layer, size, {k: str(v) for k, v in options.items()}, device)
    source = source_of(items, recipe.made.opened, table)
    told = ", ".join(f"{name} {number}" for name, number in installed_versions().items())
    store = Store(Path(output).absolute(), precision, seed, told)
    task = Task(table, source, recipe, store, batch, threads, device)
    about = {
        **recipe.made.described(), "model": model if explainer is None else type(recipe.made.explainer.model).__name__,
        "pairs": len(table), "table": table.digest(), "items": source.described(), "unit": unit, "batch": batch,
        "precision": precision, "seed": seed, "shards": part.count,
    }  # fmt: skip
    if (store.folder / "job.json").exists():
        same(store.folder, about)  # before the model is asked for anything
    task.try_first()
    Job(task, unit, part, about).run(does, show_progress=show_progress)
    return open_explanations(output)


def _engine(name: str, workers: int, address: str | None) -> Engine:
    if name == "ray":
        if find_spec("ray") is None:
            raise ImportError(MISSING)
        return Cluster(workers, address)
    if address is not None:
        raise ValueError(f"--address {address} is of a cluster: say --engine ray")
    return local.engine(workers)
