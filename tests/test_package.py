"""What a stranger meets before the code: addresses, classifiers, the citation, the workflow."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import xsiamese

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HOME = PROJECT["urls"]["Repository"]
TEXTS = ["README.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "SECURITY.md", "CONTRIBUTING.md"]


def test_links_of_the_readme_work_wherever_it_is_shown() -> None:
    """A package index shows the README without its repository, so no link may be relative; and what they name is
    there.
    """
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) >= 3
    assert not [link for link in links if not link.startswith("https://")]
    raw = HOME.replace("github.com", "raw.githubusercontent.com")
    ours = [re.sub(rf"^({re.escape(raw)}/main|{re.escape(HOME)}/(blob|tree)/main)/", "", link) for link in links]
    assert not [path for path in ours if not path.startswith("https://") and not (ROOT / path).exists()]


def test_the_address_of_the_repository_is_said_once() -> None:
    """Every other place repeats that of pyproject.toml."""
    for name in TEXTS:
        for owner in re.findall(r"(?:github|githubusercontent)\.com/([\w-]+/xsiamese)\b", (ROOT / name).read_text()):
            assert HOME.endswith(owner), name
    assert all(url.startswith(HOME) for url in PROJECT["urls"].values())


def test_classifiers_are_known() -> None:
    known = pytest.importorskip("trove_classifiers").classifiers
    assert not [one for one in PROJECT["classifiers"] if one not in known]


def test_citation_is_of_this_version() -> None:
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["version"], cited["license"], cited["repository-code"]) == (
        xsiamese.__version__,
        PROJECT["license"],
        HOME,
    )
    assert PROJECT["version"] == xsiamese.__version__


def test_workflow_and_hooks_make_what_there_is() -> None:
    """Each ``make`` of the workflow is a target, each hook a tool of the extra ``dev``."""
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = [*jobs["make"]["strategy"]["matrix"]["what"]]
    asked += [m for job in jobs.values() for s in job["steps"] for m in re.findall(r"make (\w+)", s.get("run", ""))]
    assert len(asked) >= 3
    assert set(asked) <= targets
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "lint-imports"}
    for template in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(template.read_text())
        assert {"name", "description", "body"} <= set(form), template
