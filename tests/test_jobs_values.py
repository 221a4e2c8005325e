"""What jobs count, say and ask of others, with engines and clusters that are made up."""

from __future__ import annotations

import errno
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip("zarr", reason='jobs are tested with pip install "xsiamese[jobs]"')
pytest.importorskip("pyarrow", reason='jobs are tested with pip install "xsiamese[jobs]"')
import pyarrow.compute as pc

from tests.jobs import explainer, items, job
from xsiamese import PairSaliency, SiameseModel
from xsiamese.jobs import cluster, disk, local, manifest, store
from xsiamese.jobs import job as jobs_job
from xsiamese.jobs.explanations import StoredExplanations
from xsiamese.jobs.job import Job
from xsiamese.jobs.manifest import Entry, Shard
from xsiamese.jobs.recipe import Given
from xsiamese.jobs.source import Rows
from xsiamese.jobs.store import Store
from xsiamese.jobs.table import PairTable
from xsiamese.jobs.task import Task, answered
from xsiamese.jobs.unit import Decoded, Unit, _form, _not_finite, together, told_of, units


def task(folder: Path = Path(), pairs: int = 10, **known: Any) -> Task:
    table = PairTable.of([(i % 10, (i + 1) % 10) for i in range(pairs)])
    return Task(table, Rows(items().numpy()), Given(explainer()), Store(folder), **known)


def entry(unit: Unit, errors: int = 0) -> Entry:
    return Entry(unit.number, unit.start, unit.stop, errors, "", {})


class Bar:
    """A bar that keeps what it is told."""

    def __init__(self, **known: Any) -> None:
        self.known, self.steps, self.said = known, list[int](), list[str]()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, step: int) -> None:
        self.steps.append(step)

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        self.said.append(text)


def test_the_bar_counts_pairs_and_errors_and_begins_where_the_job_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[Bar] = []

    def bar(**known: Any) -> Bar:
        bars.append(Bar(**known))
        return bars[-1]

    monkeypatch.setattr(jobs_job, "tqdm", bar)
    monkeypatch.setattr(Store, "readable", lambda store, entry: True)
    made = Job(task(tmp_path), unit=4)
    asked: list[list[int]] = []

    def engine(task: Task, some: Sequence[Unit]) -> Iterator[Entry]:
        asked.append([unit.number for unit in some])
        for unit in some:
            if unit.number == 2 and len(asked) == 1:
                raise OSError(28, "No space left on device")
            yield entry(unit, errors=unit.number + 1)

    said = r"No space left on device\): make room and give the same command again; 8 of 10 pairs are kept"
    with pytest.raises(OSError, match=said):
        made.run(engine)
    assert (bars[0].known["total"], bars[0].known["initial"], bars[0].known["disable"]) == (10, 0, False)
    assert (bars[0].steps, bars[0].said) == ([4, 4], ["1 errors", "3 errors"])
    made.run(engine, show_progress=False)
    assert asked == [[0, 1, 2], [2]]
    assert (bars[1].known["initial"], bars[1].known["disable"]) == (8, True)
    assert (bars[1].steps, bars[1].said) == ([2], ["6 errors"])
    made.run(engine)
    assert len(asked) == 2  # nothing is left to ask for
    assert bars[2].known["initial"] == 10


def test_an_engine_that_leaves_out_a_unit_is_a_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the engine left out 2 pairs"):
        Job(task(tmp_path), unit=4).run(lambda task, some: [entry(one) for one in some[:2]], show_progress=False)


def test_shards_take_turns() -> None:
    of = [Job(task(), unit=2, shard=Shard(index, 3)).units() for index in range(3)]
    assert [[unit.number for unit in some] for some in of] == [[0, 3], [1, 4], [2]]
    assert units(10, 4) == [Unit(0, 0, 4), Unit(1, 4, 8), Unit(2, 8, 10)]
    assert (str(Shard.parsed("2/3")), Shard.parsed("1/1")) == ("2-of-3", Shard())
    for text in ("0/3", "4/3", "a/3", "3", ""):
        with pytest.raises(ValueError, match=f"--shard {text}: i/n with i from 1 to n is needed"):
            Shard.parsed(text)


def test_what_is_stored_says_how_much_and_which(tmp_path: Path) -> None:
    found = job(tmp_path)
    assert repr(found) == f"StoredExplanations(10 of 10 pairs by PairIntegratedGradients, 0 with an error: {tmp_path})"
    some = found.filter(pc.field("score") > 0.5)
    assert ", those with (score > 0.5): " in repr(some)
    parts = {0: Entry(0, 0, 4, 1, "why", {}), 1: Entry(1, 4, 7, 2, "why", {})}
    half = StoredExplanations(tmp_path, {"pairs": 9, "method": "M"}, parts)
    assert repr(half) == f"StoredExplanations(7 of 9 pairs by M, 3 with an error: {tmp_path})"


def test_a_process_runs_with_the_threads_of_its_job_and_then_with_its_own() -> None:
    before = torch.get_num_threads()
    with local.unhindered(task(threads=before + 1)):
        assert torch.get_num_threads() == before + 1
        assert sys.getswitchinterval() == pytest.approx(local.SWITCH)
    assert torch.get_num_threads() == before


def test_units_are_read_ahead_explained_in_turn_and_given_when_they_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, int]] = []
    read = threading.Event()

    def step(name: str, unit: Unit) -> Unit:
        done.append((name, unit.number))
        if (name, unit.number) == ("decoded", 1):
            read.set()
        if (name, unit.number) == ("explained", 0):
            assert read.wait(30)  # the second one is read while the first one is explained
        return unit

    made = SimpleNamespace(
        threads=1,
        decoded=partial(step, "decoded"),
        explained=partial(step, "explained"),
        store=SimpleNamespace(write=lambda unit: entry(step("written", unit))),
    )
    found = list(local.here(made, units(10, 2)))  # type: ignore[arg-type]
    assert [one.unit for one in found] == [0, 1, 2, 3, 4]
    for name in ("decoded", "explained", "written"):
        assert [number for what, number in done if what == name] == [0, 1, 2, 3, 4]


def test_all_that_a_line_of_the_manifest_names_is_on_the_disk_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renamed file whose bytes were not waited for can be empty after a power cut."""
    waited, folders = set[int](), set[Path]()

    def fsync(path: Path) -> None:
        waited.add(path.stat().st_ino)
        folders.add(path)

    monkeypatch.setattr(disk, "fsync", fsync)
    monkeypatch.setattr(store, "fsync", fsync)
    for made in ("pairs", "arrays.zarr"):
        (tmp_path / made).mkdir()
    found = task(tmp_path).done(Unit(0, 0, 4))
    assert len(found.files) > 3
    assert all((tmp_path / name).stat().st_ino in waited for name in found.files)
    assert {tmp_path / "pairs", tmp_path / "arrays.zarr"} <= folders  # the new names, too
    monkeypatch.setattr(manifest, "fsync", fsync)
    job(tmp_path / "whole")
    assert (tmp_path / "whole" / "job.json").stat().st_ino in waited
    assert tmp_path / "whole" in folders
    lines: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: lines.append(os.fstat(number).st_ino))
    manifest.Manifest(tmp_path / "whole", Shard()).append(entry(Unit(9, 0, 4)))
    assert lines == [(tmp_path / "whole" / "manifest.jsonl").stat().st_ino]


def test_what_a_job_is_of_is_kept_by_name(tmp_path: Path) -> None:
    about = job(tmp_path).about
    assert (about["model"], about["method"], about["pairs"], about["unit"]) == (
        "SiameseModel", "PairIntegratedGradients", 10, 4
    )  # fmt: skip


def test_what_cannot_be_sent_to_other_processes_is_told_before_they_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "Worker", None)  # none is begun
    made = SimpleNamespace(model=lambda: None)
    with pytest.raises(
        ValueError, match=r"^workers=2: the explainer or the items cannot be sent to other processes \("
    ):
        list(local.Workers(2)(made, units(4, 2)))  # type: ignore[arg-type]


def test_a_folder_of_something_else_is_told_before_the_model_is_asked(tmp_path: Path) -> None:
    class Never(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            raise AssertionError("asked")

    (tmp_path / "mine.txt").write_text("")
    never = PairSaliency(SiameseModel(Never(), "dot"))
    with pytest.raises(ValueError, match="holds other files and no job: give a new folder"):
        job(tmp_path, explainer=never, n_steps=None)


def test_how_a_worker_died() -> None:
    def died(code: int | None) -> str:
        return local._died(SimpleNamespace(process=SimpleNamespace(exitcode=code)), Unit(0, 4, 8))  # type: ignore[arg-type]

    assert died(-11).startswith("a worker was killed by SIGSEGV at pairs 4 to 7, twice")
    assert died(3).startswith("a worker ended with code 3 at pairs 4 to 7")
    assert died(0).startswith("a worker ended with code 0 at")
    assert died(None).startswith("a worker ended with code 0 at")


# ---- a cluster ------------------------------------------------------------------------------------------------------


class Ray:
    """A cluster of which every answer is given by the number of the actor; "dead" is one that died."""

    class exceptions:
        class RayError(Exception): ...

    def __init__(self, **answers: Any) -> None:
        self.asked, self.killed, self.started, self.ended = list[Any](), list[Any](), list[Any](), 0
        self.answers: dict[Any, Any] = dict(answers)

    def is_initialized(self) -> bool:
        return bool(self.answers.get("running"))

    def init(self, **known: Any) -> None:
        self.started.append(known)
        if "refuses" in self.answers:
            raise ConnectionError(self.answers["refuses"])

    def shutdown(self) -> None:
        self.ended += 1

    def put(self, what: Any) -> Any:
        return what

    def remote(self, **needs: Any) -> Any:
        self.asked.append(needs)
        return lambda cls: SimpleNamespace(remote=lambda task: Actor(self, len(self.asked)))

    def wait(self, some: list[Any], num_returns: int = 1, timeout: float = 0) -> tuple[list[Any], list[Any]]:
        ready = [one for one in some if one.value != "silent"][:num_returns]
        return ready, [one for one in some if one not in ready]

    def get(self, answer: Any) -> Any:
        if answer.value == "dead":
            raise self.exceptions.RayError
        return answer.value

    def kill(self, actor: Any) -> None:
        self.killed.append(actor.number)

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "memory": 1e9}


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value


class Actor:
    """The n-th one of a cluster."""

    def __init__(self, ray: Ray, number: int) -> None:
        self.number = number
        fate = ray.answers.get(number)
        self.done = SimpleNamespace(remote=lambda what: Answer(fate or entry(what)))
        self.decoded = SimpleNamespace(remote=lambda unit: Unit(unit.number, unit.start, unit.stop))
        self.lives = SimpleNamespace(remote=lambda: Answer("silent" if fate == "silent" else fate != "dead"))


def run_of(ray: Ray, units_: Sequence[Unit], device: str = "cpu", **known: Any) -> Any:
    asked = cluster.Cluster(known.pop("workers", 2), **known)
    return cluster._Run(ray, asked, task(threads=3, device=device), units_)


def test_actors_ask_for_the_processors_or_the_gpu_that_they_need() -> None:
    on_cpu, on_gpu, few = Ray(), Ray(), Ray()
    run_of(on_cpu, units(10, 2))
    assert [needs["num_cpus"] for needs in on_cpu.asked] == [3, 3]  # the task's threads, and no decoders
    run_of(on_gpu, units(10, 2), "cuda")
    health = {"concurrency_groups": {"health": 1}}
    explains, decodes = {**health, "num_gpus": 1, "num_cpus": 0}, {**health, "num_cpus": 1}
    assert on_gpu.asked == [explains, explains, decodes, decodes]
    run_of(few, units(10, 5)[:1], decoders=1)
    assert [needs["num_cpus"] for needs in few.asked] == [3, 0]  # one unit, one actor; a decoder is a guest


def test_a_unit_of_a_dead_actor_goes_to_a_new_one() -> None:
    ray = Ray(**{"2": None})
    ray.answers = {2: "dead"}
    found = list(run_of(ray, units(6, 2)).entries())
    assert sorted(one.unit for one in found) == [0, 1, 2]
    assert ray.killed == [2]
    assert len(ray.asked) == 3


def test_a_unit_that_ends_every_actor_is_named_after_three_tries() -> None:
    ray = Ray()
    ray.answers = dict.fromkeys(range(1, 9), "dead")
    with pytest.raises(ValueError, match=r"^pairs 0 to 1 ended 3 workers of the cluster \(RayError\): often there is"):
        list(run_of(ray, units(2, 2), workers=1).entries())
    assert len(ray.killed) == 2


def test_what_an_actor_says_ends_the_job() -> None:
    ray = Ray()
    ray.answers = {1: ValueError("no room")}
    with pytest.raises(ValueError, match=r"^no room$"):
        list(run_of(ray, units(2, 2), workers=1).entries())


def test_a_silent_actor_is_replaced_where_another_answers_and_named_where_none_does() -> None:
    ray = Ray()
    ray.answers = {1: "silent", 2: "silent"}
    with pytest.raises(ValueError, match=r"has answered for 8 s: each needs 3 CPU, and free are \{'CPU': 2.0\}"):
        list(run_of(ray, units(4, 2), patience=4.0).entries())
    ray = Ray()
    ray.answers = {2: "silent"}
    made = run_of(ray, units(2, 2), workers=2)
    assert len(made.idle) == 1  # no more actors than units
    silent, well = Actor(ray, 2), Actor(ray, 9)
    made.running = {Answer("silent"): (silent, Unit(0, 0, 2)), Answer("late"): (well, Unit(1, 2, 4))}
    made.waiting.clear()
    made._ask_who_lives()
    assert ray.killed == [2]
    assert list(made.waiting) == [Unit(0, 0, 2)]
    assert [unit.number for _, unit in made.running.values()] == [1]


def test_a_cluster_that_was_begun_here_ends_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for running, address, started in (
        (False, None, {"address": "local", "num_cpus": 6, "include_dashboard": False}),
        (False, "10.0.0.1:6379", {"address": "10.0.0.1:6379"}),
        (True, None, None),
    ):
        ray = Ray(running=running)
        monkeypatch.setitem(sys.modules, "ray", ray)
        with cluster.Cluster(2, address)._reached(task(threads=3)) as found:
            assert found is ray
        told = [{k: v for k, v in one.items() if k not in ("log_to_driver", "logging_level")} for one in ray.started]
        assert told == ([] if started is None else [started])
        assert ray.ended == (0 if running else 1)
    for address, where in ((None, "this machine"), ("10.0.0.1:6379", "10.0.0.1:6379")):
        monkeypatch.setitem(sys.modules, "ray", Ray(refuses="nobody there\nand more"))
        said = f"no Ray cluster answers at {where}: nobody there$"
        with (
            pytest.raises(ValueError, match=said),
            cluster.Cluster(1, address)._reached(task()),
        ):
            pass


# ---- tables and units -----------------------------------------------------------------------------------------------


def test_columns_of_two_sides_are_known_by_their_names(tmp_path: Path) -> None:
    def read(text: str, columns: tuple[str, str] | None = None) -> tuple[list[str], list[str]]:
        (tmp_path / "t.csv").write_text(text)
        table = PairTable.of(tmp_path / "t.csv", columns)
        return table.both(0, len(table))

    assert read("b,x,a\n1,2,3\n4,5,6\n") == (["3", "6"], ["1", "4"])
    assert read("img_b,img_a,n\n1,2,3\n") == (["2"], ["1"])
    assert read("x,y\n1,2\n", ("y", "x")) == (["2"], ["1"])
    # two records side by side are rows of the table, one of each side
    assert read("n_a,n_b,t_a,t_b\n1,2,3,4\n") == (["t.csv:0:left"], ["t.csv:0:right"])
    for text, columns, told in (
        ("x,y,z\n1,2,3\n", None, "has no columns a and b: it has x, y, z; --columns FIRST,SECOND"),
        ("x,y\n1,2\n", ("x", "z"), "has no column 'z': it has x, y; --columns FIRST,SECOND says which two"),
        ("x,y\n1,2\n", ("x", "x"), "--columns x,x: both items would be the same"),
        ("x,y,z\n1.png,2.jpg,3\n", None, "--columns x,y says which two: they hold names of files"),
    ):
        with pytest.raises(ValueError, match=told):
            read(text, columns)


def test_tables_are_told_apart_by_all_their_pairs_and_their_order() -> None:
    made = [PairTable.of(some).digest() for some in ([(0, 1), (2, 3)], [(0, 1), (2, 4)], [(2, 3), (0, 1)], [(0, 1)])]
    assert len(set(made)) == 4
    assert (
        PairTable.of([(0, 1), (2, 3)]).digest() == made[0] == PairTable.of([(0, 1), (2, 3), (4, 5)]).first(2).digest()
    )
    assert len(made[0]) == 32
    for wrong in ([(0, 1), (2,)], ["ab"], [(0, 1, 2)], [3]):
        with pytest.raises(ValueError, match="is no pair: two items are needed"):
            PairTable.of(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there are no pairs to explain"):
        PairTable.of([])
    with pytest.warns(UserWarning, match="pairs: 2 of 4 rows repeat an earlier one: each is explained"):
        PairTable.of([(0, 1), (0, 1), (0, 1), (1, 0)])


def test_items_that_are_not_finite_and_those_of_another_shape() -> None:
    each = {"x": torch.ones(1, 2), "nan": torch.tensor([[1.0, torch.nan]]), "inf": torch.tensor([[torch.inf, 1.0]])}
    assert _not_finite({**each, "ids": torch.ones(1, 2, dtype=torch.long)}) == ["nan", "inf"]
    assert _not_finite({}) == []
    # two of three pairs are of one shape, and the third, although it comes first, is the one with the error
    words = ["wide", "x", "y"], ["wide", "y", "x"]
    shapes = {"wide": torch.ones(1, 3), "x": torch.zeros(1, 2), "y": torch.ones(1, 2)}
    source: Any = SimpleNamespace(together=torch.cat)
    found = together(Decoded(Unit(0, 0, 3), words, [0, 1, 2], {}, None), shapes, source)
    assert found.good == [1, 2]
    assert list(found.errors) == [0]
    assert "(3,) torch.float32 and (3,) torch.float32 among others of (2,) torch.float32" in found.errors[0]
    assert found.sides is not None
    assert found.sides[0].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert found.sides[1].tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_what_goes_wrong_goes_to_other_processes_as_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(error: Exception) -> Exception:
        def done(what: Unit | Decoded) -> Entry:
            raise error

        found = answered(SimpleNamespace(done=done), Unit(0, 0, 4))  # type: ignore[arg-type]
        assert isinstance(found, Exception)
        return found

    full, other = answer(OSError(errno.ENOSPC, "No space left")), answer(OSError("the disk is gone"))
    assert isinstance(full, OSError)
    assert isinstance(other, OSError)
    assert (full.errno, full.strerror) == (errno.ENOSPC, "No space left")
    assert (other.errno, other.strerror) == (errno.EIO, "the disk is gone")
    assert type(answer(KeyError("no such"))) is ValueError

    def no_room(path: Path, text: str, encoding: str) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(Path, "write_text", no_room)
    with pytest.raises(OSError, match="No space left"):  # and not that what was never made cannot be removed
        manifest._once(tmp_path / "job.json", {})


def test_warnings_of_a_unit_name_its_rows_once_each() -> None:
    def run() -> None:
        with told_of(Unit(1, 4, 8)):
            for _ in range(2):
                warnings.warn("look here", UserWarning, stacklevel=1)
                warnings.warn("not for people", DeprecationWarning, stacklevel=1)

    with pytest.warns(UserWarning, match=r"^rows 4 to 7, counted from the first: look here$") as said:
        run()
    assert len(said) == 1


def test_graphs_of_one_batch_have_what_is_not_joined_in_common() -> None:
    from torch_geometric.data import Data

    edges = torch.zeros(2, 5, dtype=torch.long)
    graph = Data(x=torch.ones(3, 2), edge_index=edges, my_index=torch.tensor([1, 2]), u=torch.ones(1, 4), name="n")
    assert _form(graph) == "Data(edge_index [2], my_index [], name, u [4], x [2])"
    assert _form(torch.ones(1, 3, 4)) == "(3, 4) torch.float32"
    assert _form("text") == "str"
