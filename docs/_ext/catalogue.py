"""The reference, written from what is installed when the documentation is built: explainers, modules, and what captum
has that pairs have not.
"""

from __future__ import annotations

import inspect
import io
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import author_names
import captum.attr
import counterfactual_tables
import graph_tables
import graph_truth_tables
import house
import invariance_tables
import jobs_tables
import matrix_tables
import pictures
import robust_tables
import scoreboard_tables
import shared
import stranger
import strangers_tables
import zoo_tables
from described import CAPTUM, NOT_METHODS, UNSUPPORTED
from measured import (
    broken,
    counted,
    first_call,
    followed,
    left_as_it_was,
    on_accelerator,
    performance,
    removed,
    started,
)
from sphinx.application import Sphinx
from when import SHOWN, WHEN

import xsiamese
from xsiamese import PairAttribution
from xsiamese.explain.captum import Adapted
from xsiamese.explain.options import described
from xsiamese.explain.words import OPTIONS, first_sentence
from xsiamese.result.citations import entries

Explainer = type[PairAttribution]
HOOK_MODULE = "xsiamese.door.hookspecs"


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("builder-inited", write, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(app: Sphinx) -> None:
    """Writes every generated page, and takes away those of explainers that are gone."""
    root = Path(app.srcdir, "reference", "generated")
    encoded = pictures.make(root / "pictures")
    head = ["Tool", "What comes back", "From the map of a", "From the map of b", "xsiamese"]
    pages = everything(encoded) | {
        "shared.inc": table(head, shared.table(), "26 38 12 12 12"),
        "performance.inc": performance(Path(app.srcdir, "measurements", "speed.json")),
        "accelerator.inc": on_accelerator(Path(app.srcdir, "measurements", "accelerator.json")),
        "first_call.inc": first_call(Path(app.srcdir, "measurements", "first_call.json")),
        "newcomer.inc": followed(Path(app.srcdir, "measurements", "newcomer.json")),
        "startup.inc": started(Path(app.srcdir, "measurements", "startup.json")),
        "surface.inc": removed(Path(app.srcdir, "measurements", "surface.json")),
        "faults.inc": left_as_it_was(Path(app.srcdir, "measurements", "faults.json")),
        "mutants.inc": broken(Path(app.srcdir, "measurements", "mutants.json"), house.ROOT / "tools" / "mutants.toml"),
        "house.inc": counted(Path(app.srcdir, "measurements", "house.json")),
        **zoo_tables.tables(Path(app.srcdir, "measurements")),
        **graph_tables.tables(Path(app.srcdir, "measurements")),
        **counterfactual_tables.tables(Path(app.srcdir, "measurements", "counterfactuals.json")),
        **graph_truth_tables.tables(Path(app.srcdir, "measurements")),
        **matrix_tables.tables(Path(app.srcdir, "measurements", "matrices.json")),
        **robust_tables.tables(Path(app.srcdir, "measurements", "robust_tables.json")),
        **scoreboard_tables.tables(Path(app.srcdir, "measurements")),
        **strangers_tables.tables(Path(app.srcdir, "measurements", "strangers.json")),
        **strangers_tables.of_families(Path(app.srcdir, "measurements", "families.json")),
        **invariance_tables.tables(Path(app.srcdir, "measurements")),
        **jobs_tables.tables(Path(app.srcdir, "measurements")),
    }
    for path, text in pages.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")  # a number stays with its interval
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
    for folder in ("explainers", "modules"):
        for old in (root / folder).glob("*.rst"):
            if f"{folder}/{old.name}" not in pages:
                old.unlink()


def everything(encoded: Mapping[str, int] | None = None) -> dict[str, str]:
    """The text of each generated page, by its name.

    Args:
        encoded: how many items each explainer encoded for the pair of its picture; without it there are no pictures.
    """
    measured = Path(__file__).parents[1] / "measurements"
    pages = {
        "explainers.rst": index(encoded or {}),
        "modules.rst": module_index(),
        "captum.inc": captum_table(),
        "create_graph.inc": create_graph_list(),
        "commands.inc": commands(),
        "author.inc": author_tables(),
        "plugin.inc": plugin(),
        "floors.svg": house.picture(),
        "rooms.inc": house.rooms(),
    }
    pages["extras.inc"], pages["changelog.inc"] = stranger.extras(), stranger.changelog()
    verdicts = scoreboard_tables.verdicts(measured)
    for cls in known():
        name = cls.__name__
        pages[f"explainers/{name}.rst"] = page(cls, (encoded or {}).get(name), verdicts.get(name, ""))
    pages.update({f"modules/{name}.rst": module_page(name) for name in modules()})
    return pages


def known() -> list[Explainer]:
    """Every explainer that is installed."""
    return list(xsiamese.explainers().values())


def index(encoded: Mapping[str, int]) -> str:
    """Cards of all explainers, by plugin, with the pictures of those that ``encoded`` knows."""
    text = [heading("Explainers", "=")]
    text.append(
        "Every explainer is a :class:`~xsiamese.explain.attribution.PairAttribution`: arguments that all of them "
        "share are described there, once. "
        "The same list in a terminal: ``xsiamese explainers``.\n"
    )
    groups: dict[str, list[Explainer]] = {}
    for cls in known():
        groups.setdefault(cls.__module__.split(".")[0], []).append(cls)
    ours = ["xsiamese_gradcam", "xsiamese_captum"]
    for package, members in sorted(
        groups.items(), key=lambda item: (ours.index(item[0]) if item[0] in ours else len(ours), item[0])
    ):
        text.append(heading(_first_line(import_module(package)).rstrip("."), "-"))
        text.append(".. grid:: 1 1 2 2\n   :gutter: 3\n")
        text += [_card(cls, cls.__name__ in encoded) for cls in members]
    text.append(heading("What the properties mean", "-"))
    text += [f"{name}\n   {meaning}\n" for name, meaning in FLAGS.items()]
    text.append(toctree([f"explainers/{cls.__name__}" for cls in known()], hidden=True))
    return "\n".join(text)


def _card(cls: Explainer, pictured: bool) -> str:
    """An explainer with its picture, what a map says, its name on the command line, what it needs, and its flags."""
    picture = [f":img-top: /reference/generated/pictures/{cls.__name__}.png", f":img-alt: Maps of {cls.__name__}"]
    told = [f"``{cls.name}``", *(["needs " + ", ".join(needs(cls))] if needs(cls) else []), ", ".join(flags(cls))]
    inside = [*(picture if pictured else []), "", summary(cls), "", "; ".join(filter(None, told))]
    lines = [f".. grid-item-card:: :doc:`explainers/{cls.__name__}`", *(f"   {line}".rstrip() for line in inside)]
    return "\n".join(f"   {line}".rstrip() for line in lines) + "\n"


def page(cls: Explainer, encoded: int | None = None, verdict: str = "") -> str:
    """The page of one explainer: its picture, when to take it, formula, source, needs, cost, what it was found to be
    worth, options, and the class itself with its example.

    Args:
        cls: the explainer.
        encoded: how many items it encoded for the pair of its picture, if there is one.
        verdict: of the scoreboard.
    """
    text = [heading(cls.__name__, "="), summary(cls) + "\n"]
    if encoded is not None:
        text.append(_figure(cls))
    if cls.__name__ in WHEN:
        text += ["**{}** {}\n".format(*part) for part in zip(("When.", "When not."), WHEN[cls.__name__], strict=True)]
    if cls.formula:
        text.append(f".. math::\n\n   {cls.formula}\n")
    text.append(f":Command line: ``xsiamese explain A B --method {cls.name}``")
    text.append(f":Source: {source(cls)}")
    if captum_name := _captum(cls):
        text.append(f":Algorithm: ``captum.attr.{captum_name}`` (:cite:p:`kokhlikyan2020`)")
    text.append(f":Explains: {', '.join(sorted(cls.modalities))}")
    text.append(f":Needs: {', '.join(needs(cls)) or 'only the score'}")
    if encoded is not None:
        text.append(f":Cost: {encoded:,} encodings of an item for the pair of the picture ({_passes(cls)})")
    text.append(f":Properties: {', '.join(flags(cls)) or 'none of the listed ones'} (see :doc:`../explainers`)\n")
    if verdict:
        text += [heading("What it was found to be worth", "-"), verdict]
    rows = list(option_rows(cls))
    text.append(heading("Options", "-"))
    if rows:
        text.append(
            "Besides the arguments of :meth:`PairAttribution.attribute "
            "<xsiamese.explain.attribution.PairAttribution.attribute>`:\n"
        )
        text.append(table(["Option", "Default", "Meaning"], rows, "25 20 55"))
    else:
        text.append(
            "None of its own: see :meth:`PairAttribution.attribute "
            "<xsiamese.explain.attribution.PairAttribution.attribute>` for those that all share.\n"
        )
    text += [
        heading("Class", "-"),
        f".. autoclass:: {public_path(cls)}\n   :show-inheritance:\n   :exclude-members: algorithm\n",
    ]
    text.append(f".. minigallery:: {cls.__module__}.{cls.__name__}\n   :add-heading: Used in\n   :heading-level: -\n")
    return "\n".join(text)


def _figure(cls: Explainer) -> str:
    """The picture of an explainer on the pair that all of its kind are shown on."""
    pair = "two graphs that share a motif" if cls.modalities <= {"graph"} else "a sneaker and an ankle boot"
    pair = "two rows that agree in some columns" if cls.name == "robust" else pair
    caption = (
        f"{pair[0].upper()}{pair[1:]}, by a shipped model: :doc:`all methods on one pair </explanation/side-by-side>`."
    )
    caption = " ".join([caption, SHOWN.get(cls.__name__, "")]).strip()
    lines = [f".. figure:: /reference/generated/pictures/{cls.__name__}.png"]
    lines += [f"   :alt: The maps of {cls.__name__} for {pair}", "   :width: 100%", "", f"   {caption}", ""]
    return "\n".join(lines)


def _passes(cls: Explainer) -> str:
    return "and gradients of them" if cls.uses_gradients else "and no gradient"


FLAGS = {
    "complete": "the maps sum to the change of the value explained, from the baselines to the pair "
    "(:doc:`/explanation/signs-and-completeness`)",
    "delta": "``return_convergence_delta=True`` says by how much they do not",
    "create_graph": "maps can be differentiated again: ``create_graph=True``",
    "random": "draws random numbers; the same seed gives the same maps",
    "across pairs": "a map depends on the other pairs of the batch",
    "of activations": "a map shows the activations themselves, whatever the score",
    "relevance": "maps are in [0, 1] and do not say which way a feature pulls",
    "magnitude": "maps say how much a feature counts and not which way it pulls",
    "fitted": "maps are the weights of a regression on samples, so that zero is zero on average only",
    "not symmetric": "swapping the inputs of a symmetric model does not swap the maps",
}


def flags(cls: Explainer) -> list[str]:
    """What is special about an explainer, in the words of :data:`FLAGS`."""
    told = {
        "complete": cls.complete,
        "delta": cls.complete or cls.returns_delta,
        "create_graph": cls.uses_gradients and cls.differentiable,
        "random": cls.stochastic,
        "across pairs": cls.across_pairs,
        "of activations": cls.of_activations,
        "relevance": cls.traits.shows == "relevance",
        "magnitude": cls.traits.shows == "magnitude",
        "fitted": cls.fitted,
        "not symmetric": not cls.symmetric,
    }
    return [name for name, true in told.items() if true]


def needs(cls: Explainer) -> list[str]:
    """What a user must have for an explainer."""
    told = {
        "a layer": cls.needs_layer,
        "gradients": cls.uses_gradients,
        "an ``nn.Module``": getattr(cls, "hooks", False),
        "scikit-learn": _captum(cls) in ("Lime", "KernelShap"),
        "several pairs": cls.across_pairs,
        "samples as baselines": cls.distribution_baselines,
    }
    return [name for name, true in told.items() if true]


def source(cls: Explainer) -> str:
    """The citation of the method; a plugin's own BibTeX entries by their keys."""
    ours = [key for key in cls.reference if key in entries()]
    own = [
        match[1] if (match := re.match(r"\s*@\w+\{([^,]+),", key)) else key
        for key in cls.reference
        if key not in entries()
    ]
    return (
        "; ".join(([f":cite:p:`{','.join(ours)}`"] if ours else []) + [f"``{key}``" for key in own])
        or "the layer's output itself"
    )


def option_rows(cls: Explainer) -> Iterator[list[str]]:
    """Name, default and meaning of each option of an explainer's own."""
    told = {**OPTIONS, **described(cls)}
    for name, parameter in cls.options().items():
        if name in described(cls) or cls.name != "noise_tunnel":
            yield [f"``{name}``", f"``{default(parameter)}``", told.get(name, "")]
    if cls.name == "noise_tunnel":
        yield ["every option of the explainer within", "", "passed on to it"]


def default(parameter: inspect.Parameter) -> str:
    """A default as one writes it."""
    if parameter.default is inspect.Parameter.empty:
        return "see meaning"
    return str(getattr(parameter.default, "__name__", repr(parameter.default)))


def modules() -> list[str]:
    """Every module of the library, and those of its plugins."""
    packages = ["xsiamese", *sorted({cls.__module__.split(".")[0] for cls in known()} - {"xsiamese"})]
    names = [
        m.name
        for package in packages
        for m in pkgutil.walk_packages(getattr(import_module(package), "__path__", []), f"{package}.")
    ]
    names = [*packages[1:], *names]
    return sorted(
        name
        for name in names
        if name != HOOK_MODULE and not any(part.startswith("_") for part in name.split(".")) and _documented(name)
    )


def module_index() -> str:
    """The list of all modules with their first lines."""
    rows = [[f":doc:`modules/{name}`", _first_line(import_module(name))] for name in modules()]
    text = [
        heading("Modules", "="),
        "The public names are those that ``import xsiamese`` gives; the modules are where they live.\n",
    ]
    return "\n".join(
        [
            *text,
            table(["Module", "What it is for"], rows, "30 70"),
            toctree([f"modules/{name}" for name in modules()], hidden=True),
        ]
    )


def module_page(name: str) -> str:
    """The page of one module; explainers have pages of their own."""
    own = [cls.__name__ for cls in known() if cls.__module__ == name]
    module = import_module(name)
    elsewhere = [
        public
        for public in getattr(module, "__all__", ())
        if getattr(getattr(module, public), "__module__", name) != name
    ]
    text = [heading(name, "="), f".. automodule:: {name}\n   :members:"]
    if name == PairAttribution.__module__:  # what its authors write stands on its own page, not on that of a base
        text.append("   :inherited-members: Attribution")
    if own or elsewhere:
        text.append(f"   :exclude-members: {', '.join([*own, *elsewhere])}\n")
    if own:
        text.append("Explainers: " + ", ".join(f":doc:`../explainers/{cls}`" for cls in own) + "\n")
    return "\n".join([*text, ""])


def author_tables() -> str:
    """What a plugin may use, a table for each thing that it is for."""
    return "\n".join(
        heading(title, "-") + "\n" + table(["Name", "What it is"], [list(row) for row in rows], "25 75")
        for title, rows in author_names.groups().items()
    )


def captum_table() -> str:
    """Every algorithm of ``captum.attr``: those without an explainer by the reason why, then the others with theirs."""
    missing = [name for name in captum_classes() if name not in supported()]
    reasons = dict.fromkeys(UNSUPPORTED[name] for name in missing)
    without = [
        [", ".join(f"``{name}``" for name in missing if UNSUPPORTED[name] == reason), reason] for reason in reasons
    ]
    there = [
        [f"``{name}``", f":doc:`/reference/generated/explainers/{supported()[name]}`"]
        for name in captum_classes()
        if name in supported()
    ]
    return "\n".join(
        [table(["Not for pairs", "Why"], without, "45 55"), table(["captum", "For pairs"], there, "50 50")]
    )


def captum_classes() -> dict[str, type[Any]]:
    """captum's algorithms: every class of ``captum.attr`` that is not a base, an input or a statistic."""
    names = [
        name for name in captum.attr.__all__ if inspect.isclass(getattr(captum.attr, name)) and name not in NOT_METHODS
    ]
    return {name: getattr(captum.attr, name) for name in sorted(names)}


def supported() -> dict[str, str]:
    """The explainer of each captum algorithm."""
    found = {cls.algorithm.__name__: cls.__name__ for cls in known() if issubclass(cls, Adapted)}
    return {**found, **CAPTUM}


def create_graph_list() -> str:
    """Which explainers refuse ``create_graph=True``, from their flags."""
    without = [cls for cls in known() if not (cls.uses_gradients and cls.differentiable)]
    asks = [cls.__name__ for cls in without if not cls.uses_gradients]
    cuts = [cls.__name__ for cls in without if cls.uses_gradients]

    def links(names: list[str]) -> str:
        return ", ".join(f":doc:`{name} </reference/generated/explainers/{name}>`" for name in names)

    return (
        f"They use no gradient of the score: {links(asks)}.\n\nTheir algorithm cuts the graph, changes "
        f"weights or averages draws on its way: {links(cuts)}.\n"
    )


def commands() -> str:
    """What ``xsiamese --help`` and the help of each command print."""
    from rich.console import Console

    from xsiamese.cli import app
    from xsiamese.door import registry as plugins

    for name, function in plugins.commands().items():
        if name not in app:
            app.command(function, name=name)
    names = [name for name in app if not name.startswith("-")]
    text = []
    for words in ([], *([name] for name in sorted(names))):
        screen = io.StringIO()
        app.help_print(words, console=Console(file=screen, width=112, color_system=None))
        text.append(
            ".. code-block:: text\n   :caption: "
            f"{' '.join(['xsiamese', *words, '--help'])}\n\n{_indented(screen.getvalue().rstrip())}\n"
        )
    return "\n".join(text)


def plugin() -> str:
    """The files of the stranger's plugin, as they are."""
    folder = Path(__file__).parents[2] / "examples" / "5_extending" / "xsiamese-difference"
    files = [*sorted(folder.glob("*.py")), *sorted(folder.glob("pyproject.toml")), *sorted(folder.glob("tests/*.py"))]
    shown = [
        f".. literalinclude:: /../examples/5_extending/{folder.name}/{path.relative_to(folder)}\n   :caption: "
        f"{path.relative_to(folder)}\n"
        for path in files
    ]
    return "\n".join(shown)


def public_path(cls: Explainer) -> str:
    """How a user imports an explainer."""
    return f"xsiamese.{cls.__name__}"


def heading(text: str, line: str) -> str:
    """A title."""
    return f"{text}\n{line * len(text)}\n"


def table(head: list[str], rows: list[list[str]], widths: str) -> str:
    """A list-table."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def toctree(pages: list[str], hidden: bool = False) -> str:
    """A table of contents."""
    return (
        ".. toctree::\n   :maxdepth: 1\n"
        + ("   :hidden:\n" if hidden else "")
        + "\n"
        + "\n".join(f"   {name}" for name in pages)
        + "\n"
    )


def summary(cls: Explainer) -> str:
    """The first sentence of an explainer's docstring."""
    return first_sentence(cls)


def _captum(cls: Explainer) -> str:
    return next((name for name, ours in supported().items() if ours == cls.__name__), "")


def _documented(name: str) -> bool:
    return bool(import_module(name).__doc__) and name != "xsiamese.__main__"


def _first_line(module: Any) -> str:
    return (inspect.getdoc(module) or "").split("\n")[0]


def _indented(text: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in text.split("\n"))
