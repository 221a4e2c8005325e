"""The house keeps its floors: import-linter's contracts of pyproject.toml, and what they cannot see."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = SETTINGS["tool"]["importlinter"]["contracts"]


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the house, with the contracts of a folder's pyproject.toml."""
    pytest.importorskip("importlinter", reason='the floors are checked with pip install "xsiamese[test]"')
    path = [str(ROOT), str(ROOT / "plugins")]
    command = f"import sys; sys.path[:0] = {path}; from importlinter.cli import lint_imports_command as run; run()"
    asked = [sys.executable, "-c", command, "--no-cache", "--config", str(folder / "pyproject.toml")]
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)


def test_floors_are_kept() -> None:
    told = linted(ROOT)
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-1000:]
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in told.stdout


def test_a_wall_in_the_wrong_place_is_seen(tmp_path: Path) -> None:
    """With the floors of the explainers and of the models exchanged, the linter names an import that goes up."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["xsiamese"]\n[[tool.importlinter.contracts]]\n'
        'name = "upside down"\ntype = "layers"\ncontainers = ["xsiamese"]\nlayers = ["model", "explain"]\n'
    )
    told = linted(tmp_path)
    assert told.returncode == 1
    assert "xsiamese.explain.explainer -> xsiamese.model.pair" in told.stdout


def test_no_contract_has_an_exception() -> None:
    assert not [contract["name"] for contract in CONTRACTS if "ignore_imports" in contract]


def test_rooms_do_not_import_the_front_door() -> None:
    """A room that asks ``xsiamese`` for a name would know every floor; docstrings show it to users, and may."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "xsiamese").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == "xsiamese" and not node.level)
        or (isinstance(node, ast.Import) and any(alias.name == "xsiamese" for alias in node.names))
    ]
    assert not found


def test_every_plugin_is_under_the_contracts() -> None:
    """A new first-party plugin is shipped, known as an entry point, typed and linted."""
    plugins = sorted(path.parent.name for path in (ROOT / "plugins").glob("xsiamese_*/__init__.py"))
    assert plugins
    shipped = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(Path(package).name for package in shipped if package != "xsiamese") == plugins
    assert sorted(SETTINGS["project"]["entry-points"]["xsiamese"].values()) == plugins
    assert sorted(set(SETTINGS["tool"]["mypy"]["packages"]) - {"xsiamese"}) == plugins
    assert sorted(set(SETTINGS["tool"]["importlinter"]["root_packages"]) - {"xsiamese"}) == plugins
    for contract in CONTRACTS:
        for key in ("source_modules", "modules"):
            assert sorted(contract.get(key, plugins)) == plugins, contract["name"]
    assert all((ROOT / "plugins" / name / "py.typed").exists() for name in plugins)
