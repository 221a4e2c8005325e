"""One thread: small tensors gain nothing from a second, and lose much when the other core is busy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data sets, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set XSIAMESE_DATA")
    return folder
