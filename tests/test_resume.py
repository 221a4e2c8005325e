"""Going on with a training: with the same settings only, whatever killed it, never at the cost of what was there."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from tests.children import ended
from tests.figures import bars, write_folders
from xsiamese.training.module import SiameseModule
from xsiamese.training.resume import alone
from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings
from xsiamese.zoo import load

pytestmark = pytest.mark.filterwarnings("ignore:the threshold stands on")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of two classes."""
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    lines = [f"{x:.3f},{y:.3f},{z:.3f},{'ab'[int(x > 0)]}" for x, y, z in points.tolist()]
    path.write_text("x,y,z,k\n" + "\n".join(lines) + "\n")
    return path


def table(rows: Path, output: Path, **more: Any) -> Settings:
    how = {"epochs": 3, "schedule": "constant", "progress": False, "device": "cpu", **more}
    return Settings("siamese-mlp", str(rows), output=output, reading={"target": "k"}, valid=0.2, test=0.2, **how)


@pytest.fixture(scope="module")
def trained(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a finished training left."""
    folder = tmp_path_factory.mktemp("trained")
    train(table(rows, folder))
    return folder


@pytest.fixture
def again(rows: Path, trained: Path, tmp_path: Path) -> Settings:
    """The settings of that training, in a copy of its folder."""
    copytree(trained, tmp_path, dirs_exist_ok=True)
    return table(rows, tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    """Everything a user keeps."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"lr": 0.5}, r"lr=0\.5 \(it was 0\.005\)"),
        ({"optimizer": "SGD"}, r"optimizer=SGD \(it was AdamW\)"),
        ({"seed": 99}, r"seed=99 \(it was 0\)"),
        ({"epochs": 2}, "epochs=2: 3 are trained already"),
        ({"schedule": "onecycle"}, "schedule=onecycle"),
        ({"valid": 0.3}, r"valid=0\.3"),
        ({"arguments": {"dimensions": 7}}, "arguments="),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_settings_are_one_line_and_touch_nothing(
    again: Settings, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    before = files(tmp_path)
    with pytest.raises(ValueError, match=f"--resume with .*{told}") as error:
        train(replace(again, resume=True, **changed))
    assert "\n" not in str(error.value)
    assert files(tmp_path) == before


def test_a_one_cycle_schedule_has_one_length_and_a_state_that_cannot_be_read_is_told(
    rows: Path, tmp_path: Path
) -> None:
    how = table(rows, tmp_path, schedule="onecycle", epochs=1)
    train(how)
    before = files(tmp_path)
    with pytest.raises(ValueError, match="one-cycle schedule was laid out for 1 epochs"):
        train(replace(how, resume=True, epochs=2))
    rows_of = rows.read_text()
    other = tmp_path / "other" / rows.name
    other.parent.mkdir()
    other.write_text(rows_of.replace(",a\n", ",b\n", 1))
    with pytest.raises(ValueError, match="--resume with data="):
        train(replace(how, resume=True, dataset=str(other)))
    last = tmp_path / "siamese-mlp-t-checkpoints" / "last.ckpt"
    whole = last.read_bytes()
    torch.save({"epoch": 1}, last)
    with pytest.raises(
        ValueError, match=r"last\.ckpt does not say with which settings it was made: .*leave out --resume"
    ):
        train(replace(how, resume=True))
    last.write_bytes(whole[:1000])
    with pytest.raises(ValueError, match=r"last\.ckpt cannot be read .*leave out --resume"):
        train(replace(how, resume=True))
    assert files(tmp_path) == before


def test_what_needs_validation_rows_says_so_and_processes_of_one_training_share_its_lock(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = r"^valid=0\.0: early stopping and the plateau schedule need validation rows, and there are none$"
    with pytest.raises(ValueError, match=told):
        loaded(replace(table(rows, tmp_path), schedule="plateau", valid=0.0))
    monkeypatch.setenv("LOCAL_RANK", "1")
    with alone(str(tmp_path / "t")), alone(str(tmp_path / "t")):
        assert not list(tmp_path.iterdir())


def test_more_epochs_are_those_of_one_long_training(again: Settings, rows: Path, tmp_path: Path) -> None:
    long = train(table(rows, tmp_path / "long", epochs=5))
    parts = train(replace(again, epochs=5, resume=True, log_interval=7, data=tmp_path, reduction="tsne"))
    assert parts.metrics == long.metrics
    assert parts.metrics["epochs"] == 5
    for name, value in long.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name


def test_what_a_finished_training_gave_stays_until_another_is_finished(
    again: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(tmp_path)
    start = SiameseModule.on_train_epoch_start

    def pressed(module: SiameseModule) -> None:
        start(module)
        if module.current_epoch == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SiameseModule, "on_train_epoch_start", pressed)
        stopped = train(replace(again, epochs=6, resume=True))
    assert not stopped.finished
    assert stopped.files[0].name == "siamese-mlp-t-interrupted.safetensors"
    assert load(stopped.files[0]).about["epochs"] == 4
    now = files(tmp_path)
    assert {name: now[name] for name in before} == before
    third = train(replace(again, epochs=6, resume=True))
    assert third.files[0].name == "siamese-mlp-t.safetensors"
    assert load(third.files[0]).about["epochs"] == 6


def test_one_training_at_a_time_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    stem = str(tmp_path / "net-data")
    code = f"from xsiamese.training.resume import alone\nwith alone({stem!r}):\n print('has it', flush=True)\n input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "has it\n"
        with pytest.raises(ValueError, match="another training is writing"), alone(stem):
            pass
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    with alone(stem):
        pass


@pytest.mark.parametrize("room", [0, 500, 3_000, -1])
def test_a_full_disk_is_told_and_costs_nothing_that_was_there(again: Settings, tmp_path: Path, room: int) -> None:
    before = files(tmp_path)
    limit = max(map(len, before.values())) - 1 if room < 0 else room
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # every write beyond it fails, as on a full disk
    try:
        with pytest.raises((OSError, ValueError), match="cannot be written"):
            train(again)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {name: data for name, data in files(tmp_path).items() if "last-epoch" not in name} == before
    assert not list(tmp_path.glob(".xsiamese-*"))


def train_until(settings: Settings, step: int) -> None:
    """Trains in a process that is killed when that step begins, 0 for never."""
    once, steps = SiameseModule.training_step, iter(range(1, 10_000))

    def training_step(module: SiameseModule, batch: Any, index: int) -> torch.Tensor:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return once(module, batch, index)

    SiameseModule.training_step = training_step  # type: ignore[method-assign]
    train(settings)


def smiles(path: Path) -> Path:
    chains = ["C" * n + end for n in range(2, 14) for end in ("O", "N")]
    path.write_text("smiles,kind\n" + "".join(f"{s},{s[-1]}\n" for s in chains))
    return path


@pytest.mark.parametrize("network", ["siamese-mlp", "embedding-recommended", "siamese-gcn"])
def test_a_killed_training_ends_in_the_same_bytes(network: str, rows: Path, tmp_path: Path) -> None:
    reading: dict[str, str] = {"siamese-mlp": {"target": "k"}, "siamese-gcn": {"target": "kind"}}.get(network, {})
    if network == "siamese-gcn":
        pytest.importorskip("torch_geometric")
        pytest.importorskip("rdkit")
        data = smiles(tmp_path / "t.csv")
    else:
        data = rows if network == "siamese-mlp" else write_folders(tmp_path / "t", bars(40, classes=2))
    how = {"epochs": 3, "batch_size": 8, "progress": False, "device": "cpu", "valid": 0.2, "test": 0.2}
    settings = Settings(network, str(data), output=tmp_path / "killed", reading=reading, resume=True, **how)  # type: ignore[arg-type]
    for step in (2, 8, 2, 3, 0):  # the second one in a later epoch than the first
        assert ended(train_until, settings, step) == (-signal.SIGKILL if step else 0)
    assert ended(train_until, replace(settings, output=tmp_path / "whole"), 0) == 0
    whole, killed = (tmp_path / name / f"{network}-t.safetensors" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()
