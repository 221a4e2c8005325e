"""What a job writes is whole or not there: killed at every step, at random moments, on a full disk, damaged."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr", reason='jobs are tested with pip install "xsiamese[jobs]"')
pytest.importorskip("pyarrow", reason='jobs are tested with pip install "xsiamese[jobs]"')

from tests.children import ended
from tests.jobs import PAIRS, UNITS, contents, explainer, items, job, same
from xsiamese import open_explanations
from xsiamese.jobs import manifest as steps
from xsiamese.jobs.manifest import Entry, Shard, held
from xsiamese.jobs.store import Store


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is in the folder of a job that nothing interrupted."""
    folder = tmp_path_factory.mktemp("jobs") / "whole"
    job(folder)
    return contents(folder)


def at(step: str, time: int, act: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Does something when a step is reached for the n-th time."""
    left = [time]

    def reached(now: str) -> None:
        if now == step:
            left[0] -= 1
            if left[0] == 0:
                act()

    patch.setattr(steps, "reached", reached)


def die_at(step: str, folder: Path) -> None:
    """Begins a job whose process is killed when its second unit comes to that step."""
    at(step, 2, lambda: os.kill(os.getpid(), signal.SIGKILL), pytest.MonkeyPatch())
    job(folder)


def limited(folder: Path) -> None:
    """Begins a job that may write no file of over 2,500 bytes, and writes beside its folder what it says."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
    try:
        job(folder)
    except OSError as error:
        (folder.parent / "said").write_text(str(error))


def test_every_step_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(steps, "reached", seen.append)
    job(tmp_path / "out", workers=1)
    assert set(seen) == set(steps.STEPS)
    assert all(seen.count(step) == UNITS for step in steps.STEPS)


@pytest.mark.parametrize("step", steps.STEPS)
def test_killed_at_a_step(step: str, tmp_path: Path, whole: dict[str, Any]) -> None:
    """The second unit dies there; the job that goes on gives what an uninterrupted one gives, and nothing more."""
    folder = tmp_path / "out"
    assert ended(die_at, step, folder) == -signal.SIGKILL
    named = contents(folder)["named"]
    assert named == sorted(set(named))
    assert len(named) in ((2,) if step == "named" else (0, 1))  # the one before is named while this one is written
    job(folder)
    assert same(contents(folder), whole)
    assert not list(folder.rglob("*.tmp-*"))


def test_killed_at_random_moments(tmp_path: Path, whole: dict[str, Any]) -> None:
    """Three kills of one job, each somewhere between its first file and its end."""
    folder, moments = tmp_path / "out", random.Random(0)
    start = time.monotonic()
    job(tmp_path / "timed")
    lasts = time.monotonic() - start
    for _ in range(3):
        assert ended(job, folder, kill_after=moments.uniform(0.1, 0.9) * lasts) in (-signal.SIGKILL, 0)
    job(folder)
    assert same(contents(folder), whole)


@pytest.mark.parametrize("step", ["begun", "arrays", "rows", "arrays renamed"])
def test_full_disk_at_a_step(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any]) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "out"
    at(step, 2, full, monkeypatch)
    with pytest.raises(
        OSError, match=r"out cannot be written \(No space left on device\): make room .* pairs are kept"
    ):
        job(folder)
    at("never", 1, full, monkeypatch)
    assert not list(folder.rglob("*.tmp-*"))  # what is half written gives its room back
    job(folder)
    assert same(contents(folder), whole)


def test_files_that_may_not_grow(tmp_path: Path, whole: dict[str, Any]) -> None:
    """The operating system refuses the writes themselves, of any file, from any library."""
    if "COVERAGE_RUN" in os.environ:
        pytest.skip("what counts branches writes files of its own, which may not grow either")
    folder = tmp_path / "out"
    assert ended(limited, folder) == 0
    assert re.search(r"out cannot be written \(.*File too large\): make room", (tmp_path / "said").read_text())
    job(folder)
    assert same(contents(folder), whole)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("arrays.zarr/000001/maps.a.0/c.0.0", "short"),
        ("arrays.zarr/000001/maps.a.0/c.0.0", "other"),
        ("arrays.zarr/000001/zarr.json", "gone"),
        ("pairs/000001.parquet", "other"),
    ],
)
def test_what_cannot_be_read_is_done_again(name: str, how: str, tmp_path: Path, whole: dict[str, Any]) -> None:
    folder = tmp_path / "out"
    job(folder)
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "short" else data)
    job(folder)
    again = contents(folder)
    assert again.pop("named") == sorted([*range(UNITS), 1])  # named a second time; nothing else was touched
    assert same(again, {key: value for key, value in whole.items() if key != "named"})


def test_nothing_is_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    monkeypatch.setattr(Store, "write", None)
    job(tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_line_that_was_not_ended(tmp_path: Path, whole: dict[str, Any]) -> None:
    folder = tmp_path / "out"
    job(folder)
    path = folder / "manifest.jsonl"
    text = path.read_bytes()
    path.write_bytes(text[: text.rindex(b"\n", 0, -1) + 30])  # the last line ends in its middle
    assert len(open_explanations(folder)) == PAIRS - 2
    job(folder)
    assert same(contents(folder), whole)


def test_two_jobs_in_one_folder(tmp_path: Path) -> None:
    """The lock of a job that lives is respected, that of one that was killed is gone."""
    folder, ready = tmp_path / "out", tmp_path / "ready"
    job(folder)
    about = {key: value for key, value in json.loads((folder / "job.json").read_text()).items() if key != "format"}
    child = os.fork()
    if not child:
        with held(folder, about, Shard()):
            ready.touch()
            time.sleep(60)
        os._exit(0)
    while not ready.exists():
        time.sleep(0.01)
    with pytest.raises(ValueError, match=r"another job is writing .*out: wait for it, or give another -o"):
        job(folder)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    job(folder)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, r"another seed=1 \(it was 0\)"),
        ({"unit": 8}, r"another unit=8 \(it was 4\)"),
        ({"n_steps": 6}, r"another options=.*6.*it was .*5"),
        ({"limit": 5}, r"another pairs=5 \(it was 10\)"),
        ({"precision": "half"}, r"another precision=half \(it was full\)"),
        ({"shard": "1/2"}, r"another shards=2 \(it was 1\)"),
        ({"items": [[0.0] * 4] * 10}, None),
    ],
)
def test_another_job_in_the_folder(changed: dict[str, Any], said: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    job(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if said is None:
        import torch

        changed, said = {"items": torch.tensor(changed["items"], dtype=torch.float64)}, "another items="
    with pytest.raises(ValueError, match=f"{folder} holds a job with {said}"):
        job(folder, **changed)
    assert before == {path: path.read_bytes() for path in before}


def test_other_weights_are_another_job(tmp_path: Path) -> None:
    job(tmp_path / "out")
    other = explainer()
    next(other.model.parameters()).data[0, 0] += 1e-9
    with pytest.raises(ValueError, match="holds a job with another weights="):
        job(tmp_path / "out", explainer=other)


def test_an_interrupted_job_says_how_to_go_on_and_loses_no_unit_that_is_done(tmp_path: Path) -> None:
    whole, asked, rows = contents(job(tmp_path / "whole").folder), explainer(), []

    def stop(_: Any, given: tuple[Any, ...]) -> None:
        rows.append(len(given[0]))
        if sum(rows) > 9 * 20:  # in the third unit: one pair was tried, eight are done, and the second unit is written
            raise KeyboardInterrupt

    hook = asked.model.encoder.register_forward_pre_hook(stop)  # type: ignore[union-attr]
    with pytest.raises(
        KeyboardInterrupt, match=r"^interrupted: 8 of 10 pairs are kept in .*; the same command goes on"
    ):
        job(tmp_path / "job", explainer=asked)
    hook.remove()
    assert same(contents(job(tmp_path / "job", explainer=asked).folder), whole)


@pytest.mark.parametrize("changed", [{"unit": 5}, {"n_steps": 6}, {"seed": 1}, {"items": items() + 1}])
def test_a_folder_of_another_job_is_refused_before_the_model_is_asked(changed: dict[str, Any], tmp_path: Path) -> None:
    job(tmp_path / "job")
    asked = explainer()
    asked.model.encoder.register_forward_pre_hook(lambda *_: pytest.fail("work was done"))  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="holds a job with another"):
        job(tmp_path / "job", explainer=asked, **changed)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all I have")
    with pytest.raises(ValueError, match="holds other files and no job: give a new folder"):
        job(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="cannot be written: "):
        job(tmp_path / "thesis.tex" / "out")
    with pytest.raises(ValueError, match="is no folder of a job"):
        open_explanations(tmp_path)
    (tmp_path / "job.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match=r" is of format 99, and this version reads \d$"):
        open_explanations(tmp_path)


def test_what_is_half_written_is_removed_of_the_own_shard_only(tmp_path: Path) -> None:
    from xsiamese.jobs.manifest import cleaned

    (tmp_path / "arrays.zarr").mkdir()
    (tmp_path / "pairs").mkdir()
    for name in (".000002.tmp-x", ".000003.tmp-x", ".notes.tmp-x"):
        (tmp_path / "arrays.zarr" / name).mkdir()
        (tmp_path / "pairs" / name).write_text("half")
    cleaned(tmp_path, Shard(0, 2))
    left = {".000003.tmp-x", ".notes.tmp-x"}
    assert all({path.name for path in (tmp_path / of).iterdir()} == left for of in ("arrays.zarr", "pairs"))


@pytest.mark.parametrize("taken", [True, False])
def test_a_folder_that_cannot_be_put_in_its_place_is_an_error(
    taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the disk refuses, or another attempt always puts its own there before: nothing is taken for written."""
    from xsiamese.jobs import disk

    new, path = tmp_path / "new", tmp_path / "there"
    new.mkdir()
    tries, real = [], os.rename

    def rename(old: Path, to: Path) -> None:
        if old == new:
            tries.append(to)
            if taken:
                path.mkdir(exist_ok=True)
            raise OSError(39, "Directory not empty")
        real(old, to)

    monkeypatch.setattr("os.rename", rename)
    with pytest.raises(OSError, match="Directory not empty"):
        disk.renamed(new, path)
    assert tries == [path] * (5 if taken else 1)
    assert new.is_dir()


def test_an_attempt_that_overtakes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two attempts at one unit, as after a machine that was thought dead: either one's files are whole."""
    from tests import jobs
    from xsiamese.jobs.recipe import Given
    from xsiamese.jobs.source import Rows
    from xsiamese.jobs.table import PairTable
    from xsiamese.jobs.task import Task
    from xsiamese.jobs.unit import Unit

    job(tmp_path / "out", limit=4)
    task = Task(
        PairTable.of(jobs.pairs()),
        Rows(jobs.items()),
        Given(jobs.explainer(), {"n_steps": 5}),
        Store(tmp_path / "out"),
        3,
    )
    found: list[Entry] = []
    at("synchronised", 1, lambda: found.append(task.done(Unit(0, 0, 4))), monkeypatch)
    found.append(task.done(Unit(0, 0, 4)))
    assert len(found) == 2
    assert found[0] == found[1]
    assert Store(tmp_path / "out").readable(found[0])
    assert not list((tmp_path / "out").rglob(".0*"))
