"""The documentation says what the code does: hooks, explainers, sources, captum's list, every example, and the numbers
on shared encoders.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

import xsiamese
from xsiamese.door import hookspecs
from xsiamese.result.citations import entries

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "docs").rglob("*.rst")
    if not {"generated", "auto_examples", "_build"} & {*path.parts}
)
PACKAGES = (
    "xsiamese",
    *sorted({cls.__module__.split(".")[0] for cls in xsiamese.explainers().values()} - {"xsiamese"}),
)
MODULES = [
    *PACKAGES,
    *(
        m.name
        for p in PACKAGES
        for m in pkgutil.walk_packages(getattr(importlib.import_module(p), "__path__", []), f"{p}.")
        if "__main__" not in m.name
    ),
]
HOOKS = [name for name, value in vars(hookspecs).items() if name.startswith("xsiamese_") and inspect.isfunction(value)]
MISSING = "needs an extra that is not installed"


@pytest.fixture(scope="session")
def catalogue() -> ModuleType:
    """The Sphinx extension that writes the reference."""
    pytest.importorskip("sphinx", reason='the documentation needs pip install "xsiamese[docs]"')
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        return importlib.import_module("catalogue")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="session")
def pages(catalogue: ModuleType) -> dict[str, str]:
    """Every generated page."""
    return catalogue.everything()


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_documented_with_its_exact_arguments(hook: str) -> None:
    """A heading with the arguments, the signature from the code, and an example that defines it."""
    page = (ROOT / "docs" / "reference" / "hooks.rst").read_text()
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert re.search(rf"^``{hook}\({re.escape(arguments)}\)``\n-+$", page, re.MULTILINE)
    assert f".. autofunction:: xsiamese.door.hookspecs.{hook}" in page
    examples = [
        part
        for part in re.findall(r"code-block:: python\n\n((?:   .*\n|\n)+)", page)
        if f"def {hook}({arguments}):" in part
    ]
    assert len(examples) == 1
    ast.parse(inspect.cleandoc(examples[0]))


def test_no_other_hook_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "hooks.rst").read_text()
    assert sorted(re.findall(r"^``(xsiamese_\w+)\(", page, re.MULTILINE)) == sorted(HOOKS)


def test_references_are_in_the_bibliography() -> None:
    """Every explainer's and model's source is a key of the bibliography or a BibTeX entry."""
    from xsiamese.door.registry import models
    from xsiamese.zoo import CARDS

    keys = {(cls.__name__, key) for cls in xsiamese.explainers().values() for key in cls.reference}
    keys |= {(card.name, key) for card in (*CARDS, *models().values()) for key in card.paper}
    assert not [(who, key) for who, key in keys if key not in entries() and not key.lstrip().startswith("@")]


def test_cited_keys_are_in_the_bibliography() -> None:
    sources = [
        *(ROOT / "xsiamese").rglob("*.py"),
        *(ROOT / "plugins").rglob("*.py"),
        *(ROOT / page for page in PAGES),
        *(ROOT / "examples").rglob("*.py"),
    ]
    cited = {
        key.strip()
        for path in sources
        for group in re.findall(r":cite(?::[pt])?:`([a-z][^`]+)`", path.read_text())
        for key in group.split(",")
    }
    assert cited
    assert not cited - set(entries())


def test_bibliography_is_sound() -> None:
    """Every entry parses, is there once, and has an author, a title and a year."""
    pybtex = pytest.importorskip("pybtex.database", reason='the documentation needs pip install "xsiamese[docs]"')
    parsed = pybtex.parse_file(str(ROOT / "xsiamese" / "result" / "bibliography.bib"))
    assert list(parsed.entries) == list(entries())
    assert not [
        key
        for key, entry in parsed.entries.items()
        if not {"title", "year"} <= set(entry.fields) or "author" not in entry.persons
    ]


def test_every_explainer_is_in_the_reference(pages: dict[str, str]) -> None:
    """In the table, and on a page of its own with formula, source, every option and the class."""
    for name, cls in xsiamese.explainers().items():
        assert f":doc:`explainers/{name}`" in pages["explainers.rst"]
        page = pages[f"explainers/{name}.rst"]
        assert cls.formula in page
        assert f"autoclass:: xsiamese.{name}\n" in page
        assert all(key in page for key in cls.reference if key in entries())
        if cls.name != "noise_tunnel":
            assert all(f"``{option}``" in page for option in cls.options())


def test_every_explainer_s_page_has_a_picture_and_says_when(catalogue: ModuleType, pages: dict[str, str]) -> None:
    """When to take it and when not, for each of ours and for nothing else; a picture, and what it cost."""
    ours = {name for name, cls in xsiamese.explainers().items() if cls.__module__.split(".")[0] in PACKAGES}
    assert set(catalogue.WHEN) == ours
    for name in ours:
        assert all(part in pages[f"explainers/{name}.rst"] for part in catalogue.WHEN[name])
    shown = catalogue.page(xsiamese.explainers()["PairRISE"], 2002)
    assert "pictures/PairRISE.png" in shown
    assert "2,002 encodings" in shown


def test_a_picture_counts_the_encodings_of_its_pair(catalogue: ModuleType) -> None:
    """One pass is one encoding a side; each of k masks of a side is one more."""
    counts = {
        name: catalogue.pictures.explained(xsiamese.explainers()[name])[1] for name in ("PairGradCAM", "PairRISE")
    }
    assert counts["PairGradCAM"] == 2
    masks = xsiamese.explainers()["PairRISE"].options()["masks"].default
    # and once for an explainer a pair is asked beside three copies of itself, and beside others
    assert counts["PairRISE"] == 2 * (masks + 1) + 2 * 8


def test_every_extra_is_on_the_install_page(pages: dict[str, str]) -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert all(f"``{name}``" in pages["extras.inc"] for name in set(extras) - {"docs", "test", "dev"})


def test_every_option_has_a_meaning(catalogue: ModuleType) -> None:
    without = [
        (cls.__name__, row[0])
        for cls in xsiamese.explainers().values()
        for row in catalogue.option_rows(cls)
        if not row[2]
    ]
    assert not without


@pytest.mark.parametrize("name", xsiamese.explainers())
def test_every_explainer_has_an_example(name: str) -> None:
    """In its class's docstring, which imports what it uses and calls the class; the tests of modules run it."""
    examples = doctest.DocTestParser().get_examples(xsiamese.explainers()[name].__doc__ or "")
    code = "".join(example.source for example in examples)
    assert re.search(rf"from xsiamese import .*\b{name}\b", code)
    assert f"{name}(" in code
    assert any(example.want for example in examples)


def test_captum_is_covered(catalogue: ModuleType) -> None:
    """Every algorithm of captum.attr has an explainer or a reason why not, and no reason is left over."""
    everything, supported = set(catalogue.captum_classes()), set(catalogue.supported())
    assert everything - supported == set(catalogue.UNSUPPORTED)
    assert not supported & set(catalogue.UNSUPPORTED)


def test_create_graph_list_says_what_is_refused(catalogue: ModuleType) -> None:
    import torch

    listed = set(re.findall(r":doc:`(\w+)", catalogue.create_graph_list()))
    inputs = torch.rand(2, 2, 1, 6, 6)
    for name, cls in xsiamese.explainers().items():
        if not cls.modalities & {"image", "tabular"}:
            continue
        refused = False
        try:
            cls(xsiamese.SiameseModel(torch.nn.Flatten(), "dot"), "encoder").attribute(tuple(inputs), create_graph=True)
        except ValueError as error:
            refused = "create_graph" in str(error)
        except Exception:
            refused = False
        assert refused == (name in listed), name


def test_plugin_page_shows_the_stranger_s_code(pages: dict[str, str]) -> None:
    """The how-to includes every file of the example package rather than repeating it."""
    folder = ROOT / "examples" / "5_extending" / "xsiamese-difference"
    if not folder.exists():
        pytest.skip(f"{folder} is not in this checkout")
    files = [*folder.glob("*.py"), *folder.glob("*.toml"), *folder.glob("tests/*.py")]
    assert len(files) >= 3
    assert all(f"literalinclude:: /../{path.relative_to(ROOT).as_posix()}" in pages["plugin.inc"] for path in files)
    assert (
        ".. include:: /reference/generated/plugin.inc" in (ROOT / "docs" / "how-to" / "write-a-plugin.rst").read_text()
    )


def test_architecture_page_shows_every_floor_and_every_file(catalogue: ModuleType) -> None:
    """The picture and the list of rooms are made from pyproject.toml and from the files' own words."""
    page = (ROOT / "docs" / "explanation" / "architecture.rst").read_text()
    assert "../reference/generated/floors.svg" in page
    assert "/reference/generated/rooms.inc" in page
    house = catalogue.house
    outside = {"__init__", "__main__", "author", "moved"}
    here = {path.stem for path in (ROOT / "xsiamese").glob("*.py")} - outside
    here |= {path.parent.name for path in (ROOT / "xsiamese").glob("*/__init__.py")}
    assert {*house.floors()} == here
    drawn = ElementTree.fromstring(house.picture())
    bold = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text") if text.get("font-weight")]
    assert bold == [*house.floors(), "plugins"]
    told = house.rooms()
    for path in (ROOT / "xsiamese").rglob("*.py"):
        if path.parent != ROOT / "xsiamese" and path.name != "__init__.py":
            assert f"``{path.relative_to(ROOT / 'xsiamese' / path.relative_to(ROOT).parts[1])}``" in told, path
            assert house.purpose(path), f"{path} does not say what it is for"


def test_pages_name_files_and_modules_that_exist() -> None:
    """Paths of the repository and dotted modules in pages, README and CONTRIBUTING."""
    for page in [*PAGES, "README.md", "CONTRIBUTING.md"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        paths = re.findall(r"`((?:docs|tests|plugins|xsiamese|examples|tools)/[\w./-]+\.(?:py|rst|json|bib))`", text)
        assert not [path for path in paths if not (ROOT / path).exists()], page
        named = re.findall(r":mod:`~?(xsiamese[\w.]*)`", text)
        assert not [name for name in named if importlib.util.find_spec(name) is None], page


def _texts_of_the_code() -> list[str]:
    """Every text of the library, with an ellipsis for what is filled in."""
    texts = []
    for path in [*(ROOT / "xsiamese").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values]
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_troubleshooting_quotes_what_the_code_says() -> None:
    """Each text of the page is one of the code's, an ellipsis for what is filled in."""
    page = (ROOT / "docs" / "troubleshooting.rst").read_text(encoding="utf-8")
    quoted = re.findall(r"^   \* - ``(.+)``$", page, re.MULTILINE)
    assert len(quoted) >= 20
    texts = _texts_of_the_code()
    patterns = {said: re.compile(".*".join(map(re.escape, re.split(r"\s*…\s*", said.strip("… "))))) for said in quoted}
    assert not [said for said, pattern in patterns.items() if not any(map(pattern.search, texts))]


@pytest.mark.parametrize("name", MODULES)
def test_doctests_of_modules(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} {MISSING}: {error}")
    _run(doctest.testmod(module, extraglobs=_names(module), optionflags=doctest.ELLIPSIS))


@pytest.mark.parametrize("page", PAGES)
def test_doctests_of_pages(page: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _run(doctest.testfile(str(ROOT / page), module_relative=False, encoding="utf-8"))


def _command_lines() -> list[str]:
    blocks = [line for page in PAGES for line in re.findall(r"^ +\$ (.+)$", (ROOT / page).read_text(), re.MULTILINE)]
    blocks += [
        line
        for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        for line in block.split("\n")
    ]
    return sorted(
        {line.split("#")[0].removeprefix("xsiamese ").strip() for line in blocks if line.startswith("xsiamese ")}
    )


def test_pages_have_command_lines() -> None:
    assert len(_command_lines()) >= 20


@pytest.mark.parametrize("line", _command_lines())
def test_command_lines_of_pages_are_understood(line: str) -> None:
    from xsiamese.cli import app

    command, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
    assert line.startswith("--") or command.__name__.replace("_", "-") == line.split()[0]
    if isinstance(method := bound.arguments.get("method"), str):
        known = {name for pair in xsiamese.explainers().items() for name in (pair[0], pair[1].name)}
        assert method in known | {"difference"}  # which the page on plugins writes


@pytest.mark.parametrize("line", ["explian a.png b.png", "zoo --wrong 3", "explain a.png", "train --epochs many data"])
def test_command_lines_that_are_not_understood(line: str) -> None:
    from xsiamese.cli import app

    with pytest.raises(Exception, match=r"explian|--wrong|B requires|many"):
        app.parse_args(line, exit_on_error=False, print_error=False)


def test_every_explainer_that_a_page_names_exists() -> None:
    known = {*xsiamese.explainers(), *(n for n in vars(xsiamese) if n.startswith("Pair"))}
    named = {
        (page, name)
        for page in PAGES
        for name in re.findall(r":class:`~?xsiamese\.(Pair\w+)`", (ROOT / page).read_text())
    }
    assert not {(page, name) for page, name in named if name not in known}


def test_shared_encoder_table(catalogue: ModuleType) -> None:
    """What the page on Grad-CAM says of each tool is what is measured here."""
    pytest.importorskip("pytorch_grad_cam", reason='pip install "grad-cam>=1.5.5"')
    found = {row.tool: row for row in catalogue.shared.measure()}
    for name in (
        "LayerGradCam",
        "LayerActivation",
        "LayerGradientXActivation",
        "LayerConductance",
        "InternalInfluence",
        "LayerDeepLift",
    ):
        row = found[f"captum {name}"]
        assert row.from_b < 1e-9 < 0.5 < row.from_a
    for name in ("LayerIntegratedGradients", "LayerFeatureAblation"):
        assert found[f"captum {name}"].size < 1e-6
    guided = found["captum GuidedGradCam (of a)"]
    assert guided.from_b < 1e-9 < 0.5 < guided.from_a
    assert all("more than once" in found[f"captum {name}"].error for name in ("DeepLift", "LRP"))
    gradcam = found["pytorch-grad-cam GradCAM"]
    assert gradcam.from_a < 1e-6 < 0.5 < gradcam.from_b
    assert all(row.ours < 1e-6 for name, row in found.items() if name != "captum LRP")


def test_performance_page_reads_what_the_benchmark_writes(catalogue: ModuleType, tmp_path: Path) -> None:
    one = {
        "pairs": 8,
        "floor": "forward pass, 2 image(s) at a time",
        "floor_ms_per_image": 30.0,
        "activations_and_gradient_bytes": 2**24,
        "ratio": {"forward pass, 2 image(s) at a time": 1.0, "PairGradCAM": 1.25},
        "peak_bytes": {"PairGradCAM": 3 * 2**20},
    }
    written = {
        "torch": "2.0",
        "threads": 2,
        "rounds": 7,
        "gradcam": [one],
        "one_side": {"Occlusion": 0.5},
        "import": 1.01,
    }
    (tmp_path / "speed.json").write_text(json.dumps(written))
    text = catalogue.performance(tmp_path / "speed.json")
    assert "* - PairGradCAM\n     - 1.25\n     - 3\n" in text
    assert "* - **forward pass, 2 image(s) at a time**\n     - 1.00\n" in text
    assert "make bench" in catalogue.performance(tmp_path / "absent.json")


@pytest.mark.slow
def test_documentation_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("sphinx_gallery", reason='the documentation needs pip install "xsiamese[docs]"')
    pytest.importorskip("pydata_sphinx_theme", reason='the documentation needs pip install "xsiamese[docs]"')
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(tmp_path / "html"),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-3000:]
    assert (tmp_path / "html" / "auto_examples" / "1_first_steps" / "plot_1_two_tools_two_answers.html").exists()
    for page in (ROOT / "docs" / "auto_examples").glob("*/plot_*.rst"):
        printed = "".join(re.findall(r"code-block:: (?:none|pytb)\n\n((?:    .*\n|\n)+)", page.read_text()))
        assert str(ROOT) not in printed, f"{page.name} tells where it was made"
        assert not re.search(r"^ *\(\w+\): \w+\(", printed, re.MULTILINE), f"{page.name} prints a whole model"
    assert not _tool("links").faults(tmp_path / "html")


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ('<a class="x" href="other.html#there">', None),
        ('<a href="#here">', None),
        ('<p><a href="folder/">', None),
        ('<a href="https://example.org/x">', None),
        ('<link href="https://example.org/x" rel="canonical">', None),
        ('<img src="data:image/png;base64,AA">', None),
        ('<a href="gone.html">', "gone.html leads to no file"),
        ('<img alt="a > b" src="gone.png"/>', "gone.png leads to no file"),
        ('<a href="other.html#gone">', "other.html#gone leads to no anchor"),
        ('<script async="async" src="https://example.org/x.js">', "https://example.org/x.js is on another host"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "//example.org/x.css is on another host"),
        ('<style>@import "https://example.org/x.css"</style>', "https://example.org/x.css is on another host"),
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, inside: str, said: str | None) -> None:
    (tmp_path / "index.html").write_text(f'<h1 id="here">{inside}')
    (tmp_path / "other.html").write_text('<h1 id="there">')
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("")
    assert _tool("links").faults(tmp_path) == ([] if said is None else [f"index.html: {said}"])


def _tool(name: str) -> ModuleType:
    """A script of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _names(module: ModuleType) -> dict[str, object]:
    """What doctests of the library take as known."""
    import torch
    from torch import nn

    return {"torch": torch, "nn": nn, "xsiamese": xsiamese}


def _run(result: doctest.TestResults) -> None:
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples fail; see the output above"
