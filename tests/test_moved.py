"""Old module names work until 0.3, with a warning that names the new ones, and give the same modules."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from xsiamese.moved import MOVED, Finder, install


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_old_name_gives_the_new_module(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.import_module(f"xsiamese.{new}")
    monkeypatch.delitem(sys.modules, f"xsiamese.{old}", raising=False)  # another test may have asked before
    with pytest.warns(DeprecationWarning, match=rf"xsiamese\.{old} is xsiamese\.{new} now"):
        found = importlib.import_module(f"xsiamese.{old}")
    assert found is there
    assert found.__name__ == found.__spec__.name == f"xsiamese.{new}"


def test_the_ways_to_spell_an_import() -> None:
    """In a fresh interpreter: as an attribute, a name out of it, and with the warning as an error."""
    program = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import xsiamese, xsiamese.batch\n"
        "from xsiamese.plan import Plan, find_plan\n"
        "from xsiamese import explanation, PairBatch, PairExplanation\n"
        "assert xsiamese.batch.PairBatch is PairBatch\n"
        "assert explanation.PairExplanation is PairExplanation\n"
        "warnings.simplefilter('error')\n"
        "try:\n    import xsiamese.survey\nexcept DeprecationWarning as told:\n    print(told)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout == "xsiamese.survey is xsiamese.branches.calls now; the old name goes with 0.3\n"


def test_old_names_are_installed_once() -> None:
    before = list(sys.meta_path)
    assert sum(isinstance(finder, Finder) for finder in before) == 1
    install()
    assert sys.meta_path == before


def test_a_name_that_never_was_is_no_module() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"xsiamese\.nothing_like_it"):
        importlib.import_module("xsiamese.nothing_like_it")
