"""The gallery is whole, and needs nothing that a reader has not: read from the files, which the documentation runs."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import xsiamese

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*/plot_*.py"))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _names(path: Path) -> set[str]:
    """What the code of an example names; words in its text do not count."""
    return {node.id for node in ast.walk(_tree(path)) if isinstance(node, ast.Name)}


def test_there_are_examples_of_every_section() -> None:
    sections = {path.parent for path in EXAMPLES}
    assert len(EXAMPLES) >= 18
    assert len(sections) == 6
    assert all((section / "GALLERY_HEADER.rst").exists() for section in sections)


def test_every_explainer_is_in_an_example() -> None:
    used = set().union(*map(_names, EXAMPLES))
    own = {name for name, cls in xsiamese.explainers().items() if cls.__module__.startswith("xsiamese")}
    assert not own - used


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_well_on_its_page(path: Path) -> None:
    """A title, one sentence, narrow lines, and no word to a linter."""
    text = path.read_text(encoding="utf-8")
    title, line, *rest = (ast.get_docstring(_tree(path)) or "").split("\n")
    assert set(line) == {"="}
    assert len(line) >= len(title)
    first = " ".join("\n".join(rest).strip().split("\n\n")[0].split())
    assert re.search(r"[.?]$", first)
    assert not re.search(r"[.?!] ", first), f"this is more than one sentence: {first}"
    assert len(first) <= 240
    assert not [line for line in text.split("\n") if len(line) > 88]
    assert not re.search(r"#\s*(noqa|type:|fmt:|pylint|ruff)", text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_needs_no_data_of_ours(path: Path) -> None:
    """It never stops, downloads nothing, and reads no environment and no file that it has not written."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"XSIAMESE_DATA|shared/data|os\.environ|getenv|download=True|fetch_|urlopen|urlretrieve", text)
    assert "sys.exit" not in text or "find_spec" in text  # a package that is not installed is said and no more


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_picture_is_held_in_a_variable(path: Path) -> None:
    """The gallery shows figures that variables hold; pyplot would keep its own."""
    assert "pyplot" not in path.read_text(encoding="utf-8")
    lost = re.findall(r"^ *(\w[\w.]*)\.plot\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert not set(lost) - {"axis", "axes"}  # matplotlib's own


@pytest.fixture
def figures() -> Iterator[ModuleType]:
    """The part of the documentation that runs the gallery."""
    pytest.importorskip("sphinx_gallery", reason='the documentation needs pip install "xsiamese[docs]"')
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        yield importlib.import_module("figures")
    finally:
        sys.path.pop(0)


def test_a_page_opens_with_its_picture(figures: ModuleType, tmp_path: Path) -> None:
    page = ".. rst-class:: x\n\nA title\n=======\n\nOne sentence\nof two lines.\n\nAnother paragraph.\n"
    read = [page]
    figures.opened(SimpleNamespace(srcdir=tmp_path), "auto_examples/2_images/plot_it", read)
    assert read == [page]  # it was not run
    (tmp_path / "auto_examples" / "2_images" / "images").mkdir(parents=True)
    (tmp_path / "auto_examples" / "2_images" / "images" / "sphx_glr_plot_it_001.png").touch()
    figures.opened(SimpleNamespace(srcdir=tmp_path), "auto_examples/2_images/plot_it", read)
    before, after = read[0].split(".. image:: /auto_examples/2_images/images/sphx_glr_plot_it_001.png")
    assert before.endswith("One sentence\nof two lines.\n\n")
    assert after.endswith("\n\nAnother paragraph.\n")
    (tmp_path / "auto_examples" / "2_images" / "plot_it.py").write_text("# sphinx_gallery_thumbnail_number = 3\n")
    (tmp_path / "auto_examples" / "2_images" / "images" / "sphx_glr_plot_it_003.png").touch()
    third = [page]
    figures.opened(SimpleNamespace(srcdir=tmp_path), "auto_examples/2_images/plot_it", third)
    assert "sphx_glr_plot_it_003.png" in third[0]
    other = [page]
    figures.opened(SimpleNamespace(srcdir=tmp_path), "how-to/train", other)
    assert other == [page]


def test_warnings_of_examples_tell_no_path(figures: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    figures.reset({}, "plot_it.py")
    assert warnings.formatwarning("so it is", UserWarning, "/home/me/x.py", 3) == "UserWarning: so it is\n"
