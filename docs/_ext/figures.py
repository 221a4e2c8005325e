"""For the gallery: shows every new matplotlib Figure that an example holds in a variable, starts each example from one
seed, tells its warnings without the place on this machine that they come from, and opens its page with its picture.
Pages of source code lead back to where a thing is described.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx_gallery.scrapers import figure_rst

_SHOWN: WeakSet[Figure] = WeakSet()
FIGURE = re.compile(r"^\.\. figure:: /(auto_examples/\S+)\n(?:(?: .*)?\n)*", re.MULTILINE)  # with what is indented


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Saves the figures that a block made; xsiamese draws without pyplot, which sphinx-gallery's own
    scraper would ask.
    """
    paths = []
    for value in list(block_vars["example_globals"].values()):
        if isinstance(value, Figure) and value not in _SHOWN:
            _SHOWN.add(value)
            path = Path(next(block_vars["image_path_iterator"]))
            value.savefig(path, dpi=110, bbox_inches="tight", facecolor="white")
            paths.append(str(path))
    return figure_rst(paths, gallery_conf["src_dir"])


def reset(gallery_conf: dict[str, Any], fname: str) -> None:
    """Seeds torch, numpy and random before each example, and has warnings told without a path."""
    from xsiamese.branches.intact import reseed

    reseed(0)
    warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\n"


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("source-read", opened)
    app.connect("html-page-context", led_back)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def opened(app: Sphinx, docname: str, source: list[str]) -> None:
    """Puts an example's picture, that of its thumbnail, below the first sentence of its page; other pages that show a
    picture of an example do without it where the examples were not run.
    """
    page = Path(docname)
    if page.parts[0] != "auto_examples" or not page.name.startswith("plot_"):
        source[0] = FIGURE.sub(lambda found: found[0] if Path(app.srcdir, found[1]).exists() else "", source[0])
        return
    code = Path(app.srcdir, docname).with_suffix(".py")
    chosen = re.search(r"sphinx_gallery_thumbnail_number = (\d+)", code.read_text("utf-8") if code.exists() else "")
    picture = page.parent / "images" / f"sphx_glr_{page.name}_{int(chosen[1]) if chosen else 1:03}.png"
    if not (Path(app.srcdir) / picture).exists():  # examples were not run
        return
    shown = f".. image:: /{picture.as_posix()}\n   :alt: The picture that this example is about\n   :width: 100%\n"
    title_and_sentence = re.compile(r"(^=+\n(?:\s*\n)+(?:\S.*\n)+)", re.MULTILINE)
    source[0] = title_and_sentence.sub(lambda found: f"{found[1]}\n{shown}\n", source[0], count=1)


def led_back(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Mends the links of source code to its reference: viewcode knows one name for all of a module, and an explainer is
    called xsiamese.PairX where its neighbours are called module.x.
    """
    if "body" in context:  # a long name in a table or on a phone may go on in the next line
        context["body"] = re.sub(r'(?<=<span class="pre">)[^<]{16,}', _breakable, context["body"])
    if pagename.startswith("_modules/"):
        body = re.sub(r'<li><a href="builtins\.html">.*?</li>', "", context["body"])  # Python's own have no page
        context["body"] = re.sub(r"(/modules/([\w.]+)\.html)#xsiamese\.([\w.]+)", _of_module, body)


def _breakable(code: re.Match[str]) -> str:
    return re.sub(r"(?<=[(,=./_])(?=\w)|(?<=[a-z])(?=[A-Z])", "<wbr>", code[0])


def _of_module(link: re.Match[str]) -> str:
    page, module, name = link.groups()
    whole = f"xsiamese.{name}"
    return f"{page}#{whole if whole.startswith(f'{module}.') else f'{module}.{name}'}"
