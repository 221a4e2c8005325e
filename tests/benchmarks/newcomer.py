"""How long "Getting started" takes who follows it: its own code, in a fresh environment, on two photographs.

Run ``python tests/benchmarks/newcomer.py PYTHON SECONDS`` with the interpreter of an environment into which
``xsiamese[image,plot]`` was just installed, and the seconds that this took; it writes
``docs/measurements/newcomer.json``. The photographs are scikit-image's; the code is what stands on the page, word for
word, but for the comments that bring a reader's files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import skimage.data
import skimage.io

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "measurements" / "newcomer.json"
MODEL = """
from torch import nn
from torchvision.models import resnet18
from xsiamese import SiameseModel

def make() -> nn.Module:
    return SiameseModel(resnet18(weights=None, num_classes=64), comparison="cosine").eval()
"""


def page() -> str:
    """The Python that a reader types: doctest lines and code blocks, without the comments of the page."""
    text = (ROOT / "docs" / "getting-started.rst").read_text("utf-8")
    text = re.sub(r"^\.\. (This comment|And back)[^\n]*\n(?:\n|   [^\n]*\n)+", "", text, flags=re.MULTILINE)
    lines, block = [], False
    for line in text.splitlines():
        if line.startswith((">>> ", "... ")):
            lines.append(line[4:])
        elif line.strip():
            block = line == ".. code-block:: python" or (block and line.startswith("   "))
            lines += [line[3:]] if block and line.startswith("   ") else []
    return "\n".join(lines)


def main(python: str, installed: float) -> None:
    """Follows the page, and writes what each step took."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = str(Path(python).parent / "xsiamese")
    with tempfile.TemporaryDirectory() as folder:
        skimage.io.imsave(Path(folder, "left.jpg"), skimage.data.astronaut())
        skimage.io.imsave(Path(folder, "right.jpg"), skimage.data.coffee())
        Path(folder, "mymodel.py").write_text(MODEL, "utf-8")
        Path(folder, "page.py").write_text(page(), "utf-8")
        explain = [command, "explain", "left.jpg", "right.jpg", "--model", "mymodel:make", "--size", "224"]
        steps = {
            "xsiamese demo": [command, "demo"],
            "the page's Python": [python, "page.py"],
            "xsiamese explain": [*explain, "--method", "gradcam", "-o", "why.png"],
        }
        seconds = {"pip install": installed}
        for name, words in steps.items():
            start = time.perf_counter()
            subprocess.run(words, cwd=folder, env=own, check=True, capture_output=True)
            seconds[name] = round(time.perf_counter() - start, 1)
        start = time.perf_counter()
        subprocess.run([python, "-c", "import torch"], env=own, check=True)
        seconds["import torch"] = round(time.perf_counter() - start, 1)
    OUT.write_text(json.dumps({"seconds": seconds, "processors": os.cpu_count()}, indent=1) + "\n", "utf-8")
    print(seconds)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
