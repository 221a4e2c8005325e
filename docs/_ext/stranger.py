"""What is shown to a newcomer and written elsewhere: the extras of pyproject.toml and CHANGELOG.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from zoo_tables import rows

ROOT = Path(__file__).parents[2]
EXTRAS = {
    "image": "images: reading files, the networks of torchvision",
    "plot": "pictures",
    "train": "``xsiamese train``, timm's networks",
    "umap": "the plane of embeddings by UMAP instead of PCA",
    "tensorboard": "training logs for TensorBoard instead of CSV",
    "graph": "graphs, molecules, connectomes",
    "lime": "LIME and kernel SHAP",
    "superpixels": "maps and features by parts of one colour",
    "text": "models of transformers and sentence-transformers",
    "gallery": "galleries of items on disk",
    "onnx": "models of ONNX",
    "jobs": "explanations of many pairs in a store",
    "ray": "the same on many machines",
    "quantus": "the measures of Quantus",
    "all": "all of these but ray and quantus",
    "docs": "what these pages are built with",
    "test": "what the tests need",
    "dev": "both, and the linters",
}


def extras() -> str:
    """Each extra, what it is for, and what it brings."""
    brought = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    names = {
        name: ", ".join(re.split(r"[>=<]", one)[0] for one in packages if not one.startswith("xsiamese"))
        for name, packages in brought.items()
    }
    lines = [[f"``{name}``", EXTRAS[name], names[name]] for name in brought if name not in ("docs", "test", "dev")]
    return rows(["Extra", "For", "Brings"], lines)


def changelog() -> str:
    """CHANGELOG.md without its title, as reStructuredText."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ", 1)[1]
    text = re.sub(r"\[([^\]]+)\]\((https?:[^)]+)\)", r"`\1 <\2>`__", f"## {text}")
    text = re.sub(r"(?<!`)`(?!`)([^`]+)`(?!`)(?!_)", r"``\1``", text)
    text = re.sub(r"^## \[?([^\]\n]+)\]?.*$", lambda m: f"{m[1]}\n{'~' * len(m[1])}", text, flags=re.MULTILINE)
    return re.sub(r"^### (.+)$", r"**\1**\n", text, flags=re.MULTILINE)
