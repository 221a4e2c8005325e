"""Jobs on a Ray cluster of two processors: the same folder, also when a worker is killed on the way."""

# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

zarr = pytest.importorskip("zarr", reason='jobs are tested with pip install "xsiamese[jobs]"')
pytest.importorskip("pyarrow", reason='jobs are tested with pip install "xsiamese[jobs]"')
ray = pytest.importorskip("ray", reason='clusters are tested with pip install "xsiamese[ray]"')

from tests import jobs
from tests.jobs import UNITS, contents, items, job, pairs, same
from xsiamese.jobs.cluster import Cluster
from xsiamese.jobs.recipe import Given
from xsiamese.jobs.source import Source
from xsiamese.jobs.store import Store
from xsiamese.jobs.table import PairTable
from xsiamese.jobs.task import Task
from xsiamese.jobs.unit import units

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A cluster of two processors, which the jobs find."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def task(folder: Path, source: Source) -> Task:
    recipe = Given(jobs.explainer(), {"n_steps": 5})
    return Task(PairTable.of(pairs()), source, recipe, Store(folder), 3)


def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    """The folder is that of one process, although a worker dies in the middle of a unit: none is lost, none doubled."""
    dying = jobs.Dying(items(), tmp_path / "died")
    job(tmp_path / "many", items=dying, engine="ray", workers=2)
    assert (tmp_path / "died").exists()
    job(tmp_path / "one", items=dying)
    many, one = contents(tmp_path / "many"), contents(tmp_path / "one")
    assert many["named"] == list(range(UNITS))
    assert same(many, one)


def test_units_decoded_by_other_actors(tmp_path: Path) -> None:
    """As where the explaining ones have GPUs; here a decoder dies."""
    job(tmp_path / "one", items=jobs.Dying(items(), tmp_path))
    (tmp_path / "many" / "pairs").mkdir(parents=True)
    zarr.create_group(tmp_path / "many" / "arrays.zarr")
    dying = jobs.Dying(items(), tmp_path / "died")
    found = list(Cluster(1, decoders=1, patience=60)(task(tmp_path / "many", dying), units(10, 4)))
    assert (tmp_path / "died").exists()
    assert sorted(entry.unit for entry in found) == list(range(UNITS))
    one = contents(tmp_path / "one")
    many = {**contents(tmp_path / "many"), "named": one["named"]}
    for key, value in one.items():
        if key.endswith("rows"):  # the versions are those of no job here
            many[key] = [{**row, "versions": value[0]["versions"]} for row in many[key]]
    assert same(many, one)


def test_what_kills_every_worker_is_named(tmp_path: Path) -> None:
    deadly = jobs.Deadly(items())
    with pytest.raises(ValueError, match=r"pairs 0 to 3 ended 3 workers of the cluster .*a smaller --batch"):
        list(Cluster(1, patience=60)(task(tmp_path, deadly), units(10, 4)))


def test_a_worker_that_hangs_is_noticed(tmp_path: Path) -> None:
    """Nobody answers: a cluster without a free processor gives an error, and does not wait for ever."""
    taken: Any = ray.remote(num_cpus=2)(jobs.Idle).remote()
    ray.get(taken.lives.remote())
    with pytest.raises(
        ValueError, match=r"no worker of the cluster has answered for 1 s: each needs 1 CPU, and free are"
    ):
        list(Cluster(2, patience=0.5)(task(tmp_path, jobs.Dying(items(), tmp_path)), units(10, 4)))
    ray.kill(taken)


def test_no_cluster_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--address x is of a cluster: say --engine ray"):
        job(tmp_path / "out", address="x")
    with pytest.raises(ValueError, match="engine='dask': 'local' or 'ray' is needed"):
        job(tmp_path / "out", engine="dask")
