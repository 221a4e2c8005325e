"""The house, read from the code: its floors as the linter keeps them, drawn, and what each file is for.

``python docs/_ext/house.py floors.svg`` writes the picture.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "xsiamese"
ROW, WIDTH, NAME = 30, 860, 96  # heights and widths in units of the picture


def contracts() -> list[dict[str, Any]]:
    """What import-linter holds the code to."""
    found: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    return found


def floors() -> list[str]:
    """The rooms from the top; each knows those after it only. One in brackets may be missing, and then is left out."""
    layers = next(contract["layers"] for contract in contracts() if contract["type"] == "layers")
    return [name for name in (layer.strip("() ") for layer in layers) if file_of(name).exists()]


def plugins() -> list[str]:
    """The first-party plugins."""
    return next(list(contract["modules"]) for contract in contracts() if contract["type"] == "independence")


def file_of(name: str) -> Path:
    """Where a room's own docstring is: a file, or the first file of a folder."""
    folder = PACKAGE / name
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def purpose(path: Path) -> str:
    """The first paragraph of a file's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


def picture() -> str:
    """The floors as an SVG that takes the colour of the page's text."""
    rooms = floors()
    height = (len(rooms) + 2) * ROW + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" fill="currentColor" '
        'font-family="sans-serif" font-size="13" style="max-width: 100%; height: auto">',
        f"<title>The floors from the top: {escape(', '.join(rooms))}</title>",
    ]
    for number, name in enumerate(rooms):
        parts += _bar(30, number * ROW + 4, name, _shortened(purpose(file_of(name))), 0.1 if number % 2 else 0.04)
    foot = len(rooms) * ROW
    parts.append(
        f'<line x1="14" y1="8" x2="14" y2="{foot - 12}" stroke="currentColor" stroke-width="1.5"/>'
        f'<path d="M8 {foot - 14} h12 l-6 10 z"/>'
    )
    beside = ", ".join(name.removeprefix("xsiamese_") for name in plugins())
    told = "A floor imports those below it only. Plugins import xsiamese.author and xsiamese.plot, and not each other:"
    parts += [
        f'<text x="30" y="{foot + 22}" font-style="italic">{told}</text>',
        *_bar(30, foot + 34, "plugins", beside, 0.1),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: int, y: int, name: str, text: str, shade: float) -> list[str]:
    return [
        f'<rect x="{x}" y="{y}" width="{WIDTH - x - 4}" height="{ROW - 4}" rx="4" fill-opacity="{shade}" '
        'stroke="currentColor" stroke-opacity="0.4"/>',
        f'<text x="{x + 10}" y="{y + 17}" font-weight="bold">{escape(name)}</text>',
        f'<text x="{x + 10 + NAME}" y="{y + 17}">{escape(text)}</text>',
    ]


def _shortened(text: str, most: int = 108) -> str:
    """What fits into a bar: a sentence without its marks, or its first parts."""
    text = text.replace("``", "").rstrip(".")
    return text if len(text) <= most else text[:most].rsplit(", ", 1)[0]


def rooms() -> str:
    """Every file of every floor with what it is for, in reStructuredText."""
    text = []
    for name in floors():
        folder = PACKAGE / name
        title = f"``{name}/``" if folder.is_dir() else f"``{name}.py``"
        text += [title, "~" * len(title), "", purpose(file_of(name)), ""]
        files = sorted(path for path in folder.rglob("*.py") if path != file_of(name)) if folder.is_dir() else []
        if files:
            text += [".. list-table::", "   :widths: 25 75", ""]
        for path in files:
            text += [f"   * - ``{path.relative_to(folder).as_posix()}``", f"     - {purpose(path)}"]
        text.append("")
    return "\n".join(text)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), encoding="utf-8")
