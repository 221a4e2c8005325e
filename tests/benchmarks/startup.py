"""How long a command takes from its first letter to its last, over ``import torch``, each in a process of its own.

Run ``python tests/benchmarks/startup.py``; it writes ``docs/measurements/startup.json``. Every round runs everything
once, in turn, after a round in which Python keeps what it compiled; a ratio is the median over the rounds. It is one of
processor time, which is the clock's on a machine with nobody else, and is not disturbed by somebody else.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from xsiamese.data.samples import fashion_samples

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "startup.json"
FLOOR = "import torch"
LIBRARIES = {
    FLOOR: "import torch",
    "import xsiamese": "import xsiamese",
    "import torch, torch_geometric": "import torch, torch_geometric",
    "import torch, wordllama": "import torch, wordllama",
    "import torch, transformers' BERT": "import torch; from transformers import BertModel",
    "import torch, sentence_transformers": "import torch, sentence_transformers",
    "import torch, rdkit.Chem": "import torch; from rdkit import Chem",
    "import torch, matplotlib.figure": "import torch; from matplotlib.figure import Figure",
    "import torch, matplotlib.pyplot": "import torch, matplotlib.pyplot",
}
COMMANDS = {
    "xsiamese --help": "--help",
    "xsiamese explain --help": "explain --help",
    "xsiamese explainers": "explainers",
    "explain: images": "explain a.png b.png",
    "explain: images, with a picture": "explain a.png b.png -o why.png",
    "explain: rows": "explain table.csv:3 table.csv:17 --model run/siamese-mlp-table.safetensors",
    "explain: molecules": "explain CCO CCN --model run/siamese-gcn-smiles.safetensors",
    "explain: graphs": "explain brains/0/0.csv brains/1/1.csv --model run/siamese-gcn-brains.safetensors",
    "explain: texts, wordllama": "explain --text cat kitten --model wordllama",
    "explain: texts, a folder of transformers": "explain --text cat kitten --model bert",
    "explain: texts, a folder of sentence-transformers": "explain --text cat kitten --model sentences",
}
TRAININGS = (
    "siamese-mlp table.csv --target y",
    "siamese-gcn smiles.csv",
    "siamese-gcn brains --by folder --valid-size 0.2 --test-size 0.2",
)


def prepare(folder: Path) -> None:
    """Writes images, a table, molecules and connectomes, and a network for each."""
    drawn = np.random.default_rng(0)
    for name, image in zip("ab", fashion_samples().images, strict=False):
        Image.fromarray(image[0].numpy()).save(folder / f"{name}.png")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["u", "v", "y"], *drawn.random((80, 3)).round(3).tolist()])
    with (folder / "smiles.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["smiles", "y"], *(["C" * (2 + k // 2) + "ON"[k % 2], k % 2] for k in range(60))])
    for k in range(40):
        place = folder / "brains" / str(k % 4)
        place.mkdir(parents=True, exist_ok=True)
        half = np.triu(drawn.random((12, 12)), 1)
        np.savetxt(place / f"{k}.csv", half + half.T, delimiter=",")
    texts(folder)
    for words in TRAININGS:
        call(folder, [*command("train"), *words.split(), "--epochs", "1", "--output", "run"])


def texts(folder: Path) -> None:
    """A small model of texts as transformers saves it, and as sentence-transformers does."""
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "cat": 2, "kitten": 3}, "[UNK]"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    torch.manual_seed(0)
    sizes = {"vocab_size": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    for part in (tokenizer, BertModel(BertConfig(**sizes, intermediate_size=32))):
        part.save_pretrained(folder / "bert")
    SentenceTransformer(str(folder / "bert")).save(str(folder / "sentences"))


def command(*words: str) -> list[str]:
    """A call of the command line."""
    return [sys.executable, "-m", "xsiamese", *words]


def call(folder: Path, words: list[str]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor, that a process took."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words}: {said.decode()}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    calls = {name: [sys.executable, "-c", code] for name, code in LIBRARIES.items()}
    calls |= {name: command(*words.split()) for name, words in COMMANDS.items()}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for number in range(rounds + 1):
            for name, words in calls.items():
                one = call(Path(folder), words)
                if number:
                    took[name].append(one)
    rows = {
        name: {
            "seconds": round(median(wall for wall, _ in each), 2),
            "processor_seconds": round(median(used for _, used in each), 2),
            "ratio": round(median(one[1] / floor[1] for one, floor in zip(each, took[FLOOR], strict=True)), 2),
        }
        for name, each in took.items()
    }
    OUT.write_text(json.dumps({"torch": torch.__version__, "rounds": rounds, "rows": rows}, indent=1) + "\n", "utf-8")
    for name, row in rows.items():
        print(f"{name:<42} {row}")


if __name__ == "__main__":
    main()
