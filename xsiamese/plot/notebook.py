"""What a notebook shows of a result: its words, and its picture where there is one."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def as_html(text: str, draw: Callable[[], Figure], name: str) -> str:
    """HTML without any file beside it.

    Args:
        text: what the result says of itself.
        draw: makes its picture; where matplotlib is missing or nothing can be drawn, the text says it all.
        name: what the picture is called.
    """
    told = f"<pre>{escape(text)}</pre>"
    try:
        figure = draw()
    except (ImportError, ValueError):
        return told
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return f'{told}<img alt="{escape(name)}" src="data:image/png;base64,{picture}">'
