"""RDKit's SVG as a figure of matplotlib, so that it is looked at as others are; each letter is a path there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

LETTER = re.compile(r"atom-\d+")  # a path of this class alone: a bond has three
POINTS = {"M": (1, 1), "L": (2, 1), "Q": (3, 2), "C": (4, 3), "Z": (79, 1)}
"""Of each mark of a path matplotlib's code, and how many points it takes."""


def path_of(text: str) -> Any:
    """The path that the attribute ``d`` means, in pixels."""
    from matplotlib.path import Path

    codes: list[int] = []
    places: list[tuple[float, float]] = []
    for mark, numbers in re.findall(r"([MLQCZ])([^MLQCZ]*)", text):
        found = [float(number) for number in re.findall(r"-?[\d.]+", numbers)] or [0.0, 0.0]
        code, points = POINTS[mark]
        assert len(found) == 2 * points, text
        places += zip(found[::2], found[1::2], strict=True)
        codes += [code] * points
    return Path(places, codes)


def parts(svg: str) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """Name, attributes and style of everything drawn."""
    for one in ElementTree.fromstring(svg.encode("iso-8859-1")).iter():
        style = dict(item.split(":") for item in one.get("style", "").strip(";").split(";") if item)
        yield one.tag.split("}")[-1], dict(one.attrib), style


def figure_of(svg: str) -> Any:
    """The picture, a hundred pixels an inch."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse, PathPatch

    (_, whole, _), *drawn = parts(svg)
    width, height = (float(whole[side].removesuffix("px")) for side in ("width", "height"))
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for name, has, style in drawn:
        colours = {"fc": style.get("fill", has.get("fill", "none")), "ec": style.get("stroke", "none")}
        thick = 0.72 * float(style.get("stroke-width", "0").removesuffix("px"))
        if name == "ellipse":
            x, y, across, down = (float(has[key]) for key in ("cx", "cy", "rx", "ry"))
            axes.add_patch(Ellipse((x, y), 2 * across, 2 * down, lw=thick, **colours))
        elif name == "path":
            axes.add_patch(PathPatch(path_of(has["d"]), lw=thick, **colours))
        else:
            assert name == "rect", name  # the background
    return figure


def letters(svg: str) -> dict[str, tuple[float, float, float, float]]:
    """Of each atom that has letters the box around them: left, top, right, bottom, in pixels."""
    found: dict[str, tuple[float, float, float, float]] = {}
    for name, has, style in parts(svg):
        of = has.get("class", "")
        if name != "path" or not LETTER.fullmatch(of) or style.get("fill") == "none":
            continue
        own = path_of(has["d"].replace("Z", "")).get_extents()
        x0, y0, x1, y1 = found.get(of, (own.x0, own.y0, own.x1, own.y1))
        found[of] = min(x0, own.x0), min(y0, own.y0), max(x1, own.x1), max(y1, own.y1)
    return found
