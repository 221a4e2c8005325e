"""The BibTeX of what you used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files


@cache
def entries() -> dict[str, str]:
    """Every entry of the library's bibliography by its key."""
    text = files("xsiamese").joinpath("result/bibliography.bib").read_text(encoding="utf-8")
    found = re.split(r"(?m)^(?=@)", text)
    return {match[1]: entry.strip() for entry in found if (match := re.match(r"@\w+\{([^,]+),", entry))}


def bibtex(keys: Iterable[str]) -> str:
    """The entries of these keys. A key that is not in the bibliography is taken for an entry itself (a
    plugin's own).
    """
    return "\n\n".join(entries().get(key, key) for key in dict.fromkeys(keys))
