"""One thread: small tensors gain nothing from a second, and lose much when the other core is busy."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

torch.set_num_threads(1)

Killer = Callable[[int], AbstractContextManager[None]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left with one of them when the others have nothing more to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data sets, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set XSIAMESE_DATA")
    return folder


@pytest.fixture
def killed_in_epoch(monkeypatch: pytest.MonkeyPatch) -> Killer:
    """Trainings inside the block die when the given epoch begins."""

    @contextmanager
    def kill(epoch: int) -> Iterator[None]:
        from xsiamese.training.module import SiameseModule

        start = SiameseModule.on_train_epoch_start

        def killed(module: SiameseModule) -> None:
            if module.current_epoch == epoch:
                raise RuntimeError("killed")
            start(module)

        with monkeypatch.context() as patch:
            patch.setattr(SiameseModule, "on_train_epoch_start", killed)
            yield

    return kill


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``xsiamese ...`` and gives its exit code, output and errors."""

    from xsiamese import cli

    def call(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xsiamese", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return int(code), captured.out, captured.err

    return call
