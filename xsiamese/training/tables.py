"""Training on rows of a table."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from xsiamese.data.columns import Columns
from xsiamese.data.record_pairs import folder_of_parts, load_pairs
from xsiamese.data.rows import LabelledRows, load_rows
from xsiamese.data.sided import pairs_of
from xsiamese.data.sources import Source
from xsiamese.data.tabular import read_table
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.training.evaluation import embeddings, evaluate
from xsiamese.training.inputs import Ready
from xsiamese.training.modality import Modality


class Training(Modality):
    """A CSV with a header, and the column that says what is alike: ``reading={"target": "strength"}``."""

    noun = "rows"
    reading = ("target", "close", "missing", "without", "rows")

    def load(self, valid: float | None) -> Source[LabelledRows]:
        return self._read(0.1 if valid is None else valid)[0]

    def ready(self) -> Ready:
        return Ready()

    def arguments(self, source: Source[LabelledRows]) -> dict[str, Any]:
        return {"inputs": source.train.rows.shape[1]}

    def described(self) -> dict[str, Any]:
        """The columns with their means and deviations, so that whoever opens the checkpoint can make features of other
        rows, and rows for explanations to start from.
        """
        source, columns = self._read(0.1 if self.settings.valid is None else self.settings.valid)
        return {
            "columns": columns.described(),
            "reading": dict(self.settings.reading),
            "typical": columns.typical(source.train.rows),
        }

    def example(self) -> str:
        path = Path(self.settings.dataset)
        file = str((folder_of_parts(path) or (path,))[-1])
        table = read_table(Path(file), "fill")
        if pairs_of(table, self.settings.reading.get("target"), self.settings.reading.get("rows")) is None:
            return f"{file}:0 {file}:1"
        return f"{file}:0:left {file}:0:right"

    def measure(self, model: PairModel, source: Source[LabelledRows]) -> dict[str, Any]:
        """For targets that are numbers: pairs of close and distant ones, and by how much the nearest rows miss the
        target.
        """
        if source.train.numbers is None or not isinstance(model, SiameseModel):
            return super().measure(model, source)
        seed, held = self.settings.seed, source.valid if len(source.valid) else source.train
        pairs = held.fixed_pairs(20_000, seed + 1), source.test.fixed_pairs(20_000, seed + 2)
        found = evaluate(
            model,
            source.train,
            source.test,
            self.ready(),
            calibration=source.valid,
            pairs=pairs,
            seed=seed,
            noun=self.noun,
        )
        return {**found, "close_within": source.train.width, **_neighbour_error(model, source, self.ready())}

    def _read(self, valid: float) -> tuple[Source[LabelledRows], Columns]:
        of, path = self.settings, Path(self.settings.dataset)
        files = (path,) if path.is_file() else folder_of_parts(path)
        if files is None:
            raise ValueError(
                f"{of.network} takes a table, a CSV with a header, or a folder with train, valid and test tables of "
                f"pairs, and there is no file {of.dataset}"
            )
        how = {**of.reading, "without": tuple(of.reading.get("without", ())), "by": of.split, "same": of.same_label}
        return _loaded(
            path,
            max(file.stat().st_mtime_ns for file in files),
            tuple(sorted(how.items())),
            valid,
            test=0.2 if of.test is None else of.test,
            seed=of.seed,
        )


@lru_cache(maxsize=1)
def _loaded(
    path: Path,
    changed: int,
    how: tuple[tuple[str, Any], ...],
    valid: float,
    *,
    test: float,
    seed: int,
) -> tuple[Source[LabelledRows], Columns]:
    """Every part of a training asks for the same rows: pairs where the table is one of pairs, else items."""
    reading = dict(how)
    target, rows, same, by = (reading.pop(name, None) for name in ("target", "rows", "same", "by"))
    table = read_table((folder_of_parts(path) or (path,))[0], "fill")
    shares: dict[str, Any] = {"valid": valid, "test": test, "seed": seed}
    if pairs_of(table, target, rows) is not None:
        if wrong := next((n for n, v in (("close", reading.get("close")), ("split", by)) if v is not None), ""):
            raise ValueError(f"--{wrong} has no meaning for {path}, a table of pairs: it says itself what is the same")
        return load_pairs(path, target, rows=rows, same=same, **reading, **shares)
    if path.is_dir():
        raise ValueError(f"{path}: a folder is read for its pairs, and {table.path} has no columns of two sides")
    if target is None:
        known = ", ".join(list(table.columns)[:12])
        raise ValueError(f"--target COLUMN is needed: which column of {path} says what is alike? It has {known}")
    if same != "1":
        raise ValueError(f"same_label={same!r} is for a table of pairs, and {path} is one of items: leave it out")
    return load_rows(path, target, **reading, **shares, by=by)


def _neighbour_error(model: SiameseModel, source: Source[LabelledRows], ready: Ready) -> dict[str, float]:
    """The mean absolute error of the five nearest embeddings' mean target, and that of the training mean."""
    from sklearn.neighbors import KNeighborsRegressor

    train, test = source.train.numbers, source.test.numbers
    assert train is not None
    assert test is not None
    z_train, z_test = (embeddings(model, part, ready).numpy() for part in (source.train, source.test))
    guessed = KNeighborsRegressor(min(5, len(z_train))).fit(z_train, train.numpy()).predict(z_test)
    return {
        "5_nn_error": float(abs(guessed - test.numpy()).mean()),
        "error_of_the_mean": float((test - train.mean()).abs().mean()),
    }
