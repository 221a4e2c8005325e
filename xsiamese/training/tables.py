"""Training on rows of a table."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from xsiamese.data.division import Division
from xsiamese.data.rows import LabelledRows, load_rows
from xsiamese.data.sources import Source
from xsiamese.data.tabular import Columns, read_table
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.training.evaluation import embeddings, evaluate
from xsiamese.training.inputs import Ready
from xsiamese.training.modality import Modality


class Training(Modality):
    """A CSV with a header, and the column that says what is alike: ``reading={"target": "strength"}``."""

    noun = "rows"
    reading = ("target", "close", "missing", "without")

    def load(self, valid: float | None) -> Source[LabelledRows]:
        return self._read(0.1 if valid is None else valid)[0]

    def ready(self) -> Ready:
        return Ready()

    def arguments(self, source: Source[LabelledRows]) -> dict[str, Any]:
        return {"inputs": source.train.rows.shape[1]}

    def described(self) -> dict[str, Any]:
        """The columns with their means and deviations, so that whoever opens the checkpoint can make features of other
        rows.
        """
        columns = self._read(0.1 if self.settings.valid is None else self.settings.valid)[1]
        return {"columns": columns.described(), "reading": dict(self.settings.reading)}

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
        found.pop("5_nn_accuracy", None)
        return {**found, "close_within": source.train.width, **_neighbour_error(model, source, self.ready())}

    def _read(self, valid: float) -> tuple[Source[LabelledRows], Columns]:
        of, path = self.settings, Path(self.settings.dataset)
        if not path.is_file():
            raise ValueError(f"{of.network} takes a table, a CSV with a header, and there is no file {of.dataset}")
        if "target" not in of.reading:
            known = ", ".join(list(read_table(path, "fill").columns)[:12])
            raise ValueError(f"--target COLUMN is needed: which column of {path} says what is alike? It has {known}")
        how = {**of.reading, "without": tuple(of.reading.get("without", ()))}
        return _loaded(
            path,
            path.stat().st_mtime_ns,
            tuple(sorted(how.items())),
            valid,
            0.2 if of.test is None else of.test,
            of.seed,
            of.split,
        )


@lru_cache(maxsize=1)
def _loaded(
    path: Path,
    changed: int,
    how: tuple[tuple[str, Any], ...],
    valid: float,
    test: float,
    seed: int,
    by: Division | None,
) -> tuple[Source[LabelledRows], Columns]:
    """Every part of a training asks for the same rows."""
    return load_rows(path, **dict(how), valid=valid, test=test, seed=seed, by=by)


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
