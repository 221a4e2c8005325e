"""A stranger's package, installed by pip: the library, the command line and the contract know it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "examples" / "5_extending" / "xsiamese-difference"

KNOWN = """
import xsiamese
from xsiamese import PairDifference
from xsiamese.door.registry import installed
from xsiamese.explain.catalogue import explainer
from xsiamese.testing import check_explainer
assert xsiamese.explainers()["PairDifference"] is PairDifference is explainer("difference")
plugin = installed()["difference"]
known = (plugin.distribution, plugin.version, plugin.hooks)
assert known == ("xsiamese-difference", "1.0.0", ["xsiamese_explainers"]), plugin
check_explainer(PairDifference)
"""


@pytest.mark.slow
def test_an_installed_strangers_plugin_is_known_everywhere(tmp_path: Path) -> None:
    def run(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    site = tmp_path / "site"
    run(
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(site),
        str(PACKAGE),
    )
    assert sorted(p.name for p in site.glob("*.py")) == ["xsiamese_difference.py"]
    run("-c", KNOWN, PYTHONPATH=str(site))
    assert "difference  " in run("-m", "xsiamese", "explainers", PYTHONPATH=str(site))
    listed = next(
        line
        for line in run("-m", "xsiamese", "plugins", PYTHONPATH=str(site)).splitlines()
        if line.startswith("difference")
    )
    assert "xsiamese-difference 1.0.0" in listed
    assert "xsiamese_explainers" in listed
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(PACKAGE / "tests"), PYTHONPATH=str(site))
    assert "PairDifference" not in run("-c", "import xsiamese; print(*xsiamese.explainers())")


def test_the_strangers_code_is_short_and_uses_public_names() -> None:
    code = (PACKAGE / "xsiamese_difference.py").read_text()
    assert len(code.splitlines()) <= 40
    assert "import _" not in code
    assert "._" not in code
