"""For the gallery: shows every new matplotlib Figure that an example holds in a variable, and starts each example from
one seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

_SHOWN: WeakSet[Figure] = WeakSet()


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
    """Seeds torch, numpy and random before each example."""
    from xsiamese.branches.intact import reseed

    reseed(0)
