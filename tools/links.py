"""Looks through a built site for links and anchors that lead nowhere, and for what is fetched from another host.

``python tools/links.py docs/_build/html`` prints each and ends with 1 if there is one.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

TAG = re.compile(r"<([a-z][a-z0-9]*)((?:\s+[\w:-]+(?:=\"[^\"]*\"|='[^']*')?)+)\s*/?>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"([\w:-]+)=(?:\"([^\"]*)\"|'([^']*)')")
STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?\s*((?:https?:)?//[^\"')\s]+)")
FETCHED = frozenset({"script", "img", "source", "iframe", "video", "audio", "embed"})  # by their src
LOADED = frozenset({"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"})  # what a link is to


def faults(folder: Path) -> list[str]:
    """What is wrong with a site: a line for each link, anchor and foreign file.

    Args:
        folder: of the built HTML.
    """
    shown = [path for path in folder.rglob("*.html") if "_static" not in path.parts]  # a theme's templates are no pages
    pages = {path.relative_to(folder).as_posix(): Page(path.read_text("utf-8")) for path in shown}
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found = [f"{name}: {one}" for name, page in pages.items() for one in _of(name, page, pages, files)]
    for style in folder.rglob("*.css"):
        foreign = STYLE.findall(style.read_text("utf-8"))
        found += [f"{style.relative_to(folder).as_posix()}: {one} is on another host" for one in foreign]
    return found


class Page:
    """A page's anchors, the links that a reader may follow, and what a browser loads by itself."""

    def __init__(self, text: str) -> None:
        self.anchors = {""}
        self.links: set[str] = set()
        self.loaded: set[str] = set(STYLE.findall(text))
        for tag, written in TAG.findall(text):
            own = {name.lower(): unescape(a or b) for name, a, b in ATTRIBUTE.findall(written)}
            self.anchors |= {own[name] for name in ("id", "name") if name in own}
            tag = tag.lower()
            if tag in FETCHED and "src" in own:
                self.loaded.add(own["src"])
            elif tag == "link" and "href" in own and LOADED & set(own.get("rel", "").split()):
                self.loaded.add(own["href"])
            elif tag == "a" and "href" in own:
                self.links.add(own["href"])


def _of(name: str, page: Page, pages: Mapping[str, Page], files: set[str]) -> Iterator[str]:
    for link in sorted(page.links | page.loaded):
        parts = urlsplit(link)
        if parts.scheme == "data":
            continue
        if parts.netloc or parts.scheme:
            if link in page.loaded:
                yield f"{link} is on another host"
            continue
        place = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
        if f"{place}/index.html" in pages:
            place = f"{place}/index.html"
        if place not in files:
            yield f"{link} leads to no file"
        elif place in pages and unquote(parts.fragment) not in pages[place].anchors:
            yield f"{link} leads to no anchor"


if __name__ == "__main__":
    said = faults(Path(sys.argv[1]))
    print("\n".join(said) or "no dead link")
    sys.exit(bool(said))
