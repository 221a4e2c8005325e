"""Makes docs/_static/demo.png, the README's picture: the pictures of ``xsiamese demo`` in one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from xsiamese.cli.demo import PICTURES
from xsiamese.zoo import shipped

checkpoint = shipped("fashion")
images = {}
for name, tell in PICTURES.items():
    file = BytesIO()
    tell(checkpoint)[1].savefig(file, dpi=76, bbox_inches="tight")
    images[name] = Image.open(file).convert("RGB")
alike, different, sleeves = (images[name] for name in ("alike", "different", "sleeves"))
width, gap = alike.width + different.width + 24, 16
whole = Image.new("RGB", (width, max(alike.height, different.height) + gap + sleeves.height), "white")
whole.paste(alike, (0, 0))
whole.paste(different, (alike.width + 24, 0))
whole.paste(sleeves, ((width - sleeves.width) // 2, whole.height - sleeves.height))
whole.save(Path(__file__).parents[1] / "docs" / "_static" / "demo.png", optimize=True)
