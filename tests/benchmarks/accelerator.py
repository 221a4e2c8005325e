"""Speed and memory on an accelerator as ratios in one run: writes docs/measurements/accelerator.json.

The floor of a map is the fastest pass of the same images without gradients, over all splits into sub-batches; of a path
method it is forward and backward passes of as many rows. Every round times everything once, in turn; a ratio is the
median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import captum.attr as captum
import torch
from torch import nn
from torchvision.models import resnet50

from xsiamese import (
    Gallery,
    PairActivationDecomposition,
    PairAttribution,
    PairGradCAM,
    PairIntegratedGradients,
    SiameseModel,
    untied,
)

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "accelerator.json"
STEPS = 32
Run = Callable[[], Any]


def interleaved(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """The median seconds of each run, after one round of warming up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            torch.cuda.synchronize()
            if number:
                times[name].append(time.perf_counter() - start)
    return {name: median(seconds) for name, seconds in times.items()}


def peak(run: Run) -> int:
    """The bytes that a run takes on top of what is there."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def forward(encoder: nn.Module, images: torch.Tensor, size: int) -> Run:
    """One pass of all images without gradients, some at a time."""

    @torch.no_grad()
    def run() -> None:
        for part in torch.split(images, size):
            encoder(part)

    return run


def told(times: dict[str, float], floor: str, memory: dict[str, int]) -> dict[str, Any]:
    """What a table shows of the runs."""
    return {
        "floor": floor,
        "floor_ms": round(times[floor] * 1e3, 2),
        "ratio": {name: round(seconds / times[floor], 3) for name, seconds in times.items()},
        "peak_mib": {name: round(size / 2**20, 1) for name, size in memory.items()},
    }


def gradcam(encoder: nn.Module, pairs: int, rounds: int) -> dict[str, Any]:
    """PairGradCAM of photographs over the fastest pass of the same."""
    a, b = torch.randn(2, pairs, 3, 224, 224, device="cuda")
    images = torch.cat([a, b])
    explainer = PairGradCAM(SiameseModel(encoder), "layer4")
    views = untied(SiameseModel(encoder), encoder)
    layers = views.of((encoder.get_submodule("layer4"),) * 2)
    assert layers is not None

    def by_captum() -> None:
        for layer in layers:
            captum.LayerGradCam(views.model, layer).attribute((a, b))

    sizes = sorted({2 * pairs, *(size for size in (32, 128, 512) if size < 2 * pairs)})
    floors = {f"forward pass, {size} images at a time": forward(encoder, images, size) for size in sizes}
    runs = floors | {
        "PairGradCAM": lambda: explainer.attribute((a, b), internal_batch_size="auto"),
        "PairGradCAM, unsplit": lambda: explainer.attribute((a, b)),
    }
    if pairs <= 64:
        runs["captum LayerGradCam, once a branch"] = by_captum
    times = interleaved(runs, rounds)
    floor = min(floors, key=lambda name: times[name])
    return {"pairs": pairs, **told(times, floor, {name: peak(run) for name, run in runs.items()})}


def path(encoder: nn.Module, pairs: int, rounds: int) -> dict[str, Any]:
    """Integrated gradients over the passes that it needs, and captum in a loop over the pairs."""
    a, b = torch.randn(2, pairs, 3, 224, 224, device="cuda")
    model = SiameseModel(encoder)
    explainer = PairIntegratedGradients(model)
    options: dict[str, Any] = {"n_steps": STEPS, "joint": True}

    def needed() -> None:
        for _ in range(STEPS):
            x = torch.cat([a, b]).requires_grad_()
            z = encoder(x)
            torch.autograd.grad(torch.cosine_similarity(*z.chunk(2)).sum(), x)

    def looped() -> None:
        method = captum.IntegratedGradients(model)
        for x, y in zip(torch.split(a, 1), torch.split(b, 1), strict=True):
            method.attribute((x, y), n_steps=STEPS)

    runs: dict[str, Run] = {
        "passes": needed,
        "auto": lambda: explainer.attribute((a, b), internal_batch_size="auto", **options),
        "captum, pair by pair": looped,
    }
    return {
        "pairs": pairs,
        **told(interleaved(runs, rounds), "passes", {name: peak(run) for name, run in runs.items()}),
    }


def gallery(encoder: nn.Module, rounds: int) -> dict[str, Any]:
    """All pairs of 100 images of 112 px, maps and matrices, over the encodings."""
    items = torch.randn(100, 3, 112, 112, device="cuda")
    model = SiameseModel(encoder)

    def all_of(explainer: PairAttribution) -> Run:
        def run() -> None:
            for _ in Gallery(explainer, items, internal_batch_size="auto").explain().units():
                pass

        return run

    runs: dict[str, Run] = {
        "100 encodings": forward(encoder, items, 100),
        "4,950 maps": all_of(PairGradCAM(model, "layer4")),
        "4,950 matrices": all_of(PairActivationDecomposition(model, "layer4")),
    }
    return told(interleaved(runs, rounds), "100 encodings", {})


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    encoder = resnet50(weights=None).eval().cuda()
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    found["rounds"] = arguments.rounds
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
            found[name] = {
                "gradcam": [gradcam(encoder, pairs, arguments.rounds) for pairs in (1, 8, 64, 512)],
                "integrated gradients": [path(encoder, pairs, 3) for pairs in (8, 32)],
                "gallery": gallery(encoder, arguments.rounds),
            }
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    arguments.out.parent.mkdir(exist_ok=True, parents=True)
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
