"""Counterfactuals measured: validity, distance to the optimum, planted patches, speed. Writes docs/measurements/counterfactuals.json.

``python tests/benchmarks/counterfactuals.py train`` makes the two models (a minute each) in build/, the other parts read them:
``swap``, ``mask``, ``planted``, ``sanity``, ``speed``. Without a part all are run. Real data: XSIAMESE_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from xsiamese import SiameseModel, calibrate
from xsiamese.zoo.image import fashion_encoder

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "measurements" / "counterfactuals.json"
BUILD = ROOT / "build"
DATA = Path(os.environ.get("XSIAMESE_DATA", ROOT.parent / "shared" / "data"))
SETS = ("mnist", "fashion_mnist")
LAYER = "7"


def images(name: str, train: bool) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], (items, 1, 28, 28), and their classes."""
    from torchvision.datasets import MNIST, FashionMNIST

    found = (MNIST if name == "mnist" else FashionMNIST)(DATA / name, train=train, download=False)
    return found.data[:, None].float() / 255, found.targets


def pairs(x: Tensor, y: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of a and b, half of one class and half of two, and which are the same."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, len(y), (count,), generator=generator)
    same = torch.arange(count) % 2 == 0
    second = torch.empty_like(first)
    for i in range(count):
        while True:
            second[i] = torch.randint(0, len(y), (1,), generator=generator)
            if bool(y[second[i]] == y[first[i]]) == bool(same[i]) and second[i] != first[i]:
                break
    return first, second, same


def train(name: str, epochs: int = 3, seed: int = 0, margin: float = 2.0) -> SiameseModel:
    """A small CNN under the contrastive loss of Hadsell et al. 2006, on all pairs of a batch, its threshold at the equal error rate."""
    torch.manual_seed(seed)
    x, y = images(name, train=True)
    model = SiameseModel(fashion_encoder(16), "euclidean")
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    steps = epochs * (50_000 // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for step in tqdm(range(steps), desc=f"train {name}", leave=False):
        chosen = torch.randint(0, 50_000, (128,))
        z = model.encode(x[chosen])
        distance = (z[:, None] - z[None]).square().sum(2).clamp_min(1e-12).sqrt()
        same = y[chosen][:, None] == y[chosen][None]
        off = ~torch.eye(128, dtype=torch.bool)
        loss = distance[same & off].square().mean() + (margin - distance[~same]).clamp_min(0).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        assert step >= 0
    model.eval()
    held = x[50_000:], y[50_000:]
    a, b, same = pairs(*held, 4000, seed=1)
    print(name, calibrate(model, held[0][a], held[0][b], same))
    return model


def trained(name: str) -> SiameseModel:
    """The model of ``train``, read from build/."""
    from safetensors.torch import load_file

    model = SiameseModel(fashion_encoder(16), "euclidean").eval()
    tensors = load_file(BUILD / f"contrastive_{name}.safetensors")
    model.comparison.threshold_ = float(tensors.pop("threshold"))
    model.load_state_dict(tensors)
    return model


def make(name: str) -> dict[str, Any]:
    """Trains, saves, and tests on pairs of the test set."""
    from safetensors.torch import save_file

    start = time.perf_counter()
    model = train(name)
    seconds = time.perf_counter() - start
    BUILD.mkdir(exist_ok=True)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file({**tensors, "threshold": torch.tensor(model.comparison.threshold_, dtype=torch.float64)}, BUILD / f"contrastive_{name}.safetensors")
    x, y = images(name, train=False)
    a, b, same = pairs(x, y, 4000, seed=2)
    with torch.no_grad():
        right = model.comparison.is_close(model(x[a], x[b])) == same
    return {"accuracy_on_4000_test_pairs": round(float(right.float().mean()), 4), "threshold": model.comparison.threshold_, "seconds": round(seconds, 1)}


PARTS: dict[str, Any] = {"train": lambda: {name: make(name) for name in SETS}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for part in given.parts:
        found = PARTS[part]()
        known = json.loads(OUT.read_text()) if OUT.exists() else {}
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps({**known, part: found, "torch": torch.__version__}, indent=2) + "\n")
        print(json.dumps({part: found}, indent=2))


if __name__ == "__main__":
    main()
