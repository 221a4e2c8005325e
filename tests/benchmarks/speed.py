"""Speed as ratios in one run, against the floor and the peers: ``make bench`` writes docs/measurements/speed.json.

The floor of a map on the last convolution is the fastest pass of the same images without gradients, over all splits
into sub-batches.
Every round times everything once, in turn; a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import captum.attr as captum
import torch
from live_memory import peak
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn
from torchvision.models import resnet50
from tqdm import tqdm

from xsiamese import PairFeatureAblation, PairGradCAM, PairOcclusion, SiameseModel, untied

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "speed.json"
Runs = dict[str, Callable[[], Any]]


def interleaved(runs: Runs, rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round, after one round of warming up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in tqdm(range(rounds + 1), leave=False):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if number:
                times[name].append(time.perf_counter() - start)
    return times


def ratios(times: dict[str, list[float]], floor: str) -> dict[str, float]:
    """The median over the rounds of each run's time over the floor's."""
    return {
        name: round(median(t / f for t, f in zip(seconds, times[floor], strict=True)), 3)
        for name, seconds in times.items()
    }


class OneInput(nn.Module):
    """x -> s(x, other), what single-input tools can explain."""

    def __init__(self, encoder: nn.Module, other: Tensor) -> None:
        super().__init__()
        self.encoder, self.other = encoder, other

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.cosine_similarity(self.encoder(x), self.other)[:, None]


def gradcam(pairs: int, rounds: int) -> dict[str, Any]:
    """PairGradCAM of ResNet-50 at 224 px beside the floor, captum on untied views, and pytorch-grad-cam on
    each branch.
    """
    torch.manual_seed(0)
    encoder = resnet50(weights=None).eval()
    a, b = torch.randn(2, pairs, 3, 224, 224)
    model = SiameseModel(encoder)
    images = torch.cat([a, b])

    def forward(size: int) -> Callable[[], None]:
        @torch.no_grad()
        def run() -> None:
            for part in images.split(size):
                encoder(part)

        return run

    def by_captum() -> None:
        views = untied(model, encoder)
        for layer in views.of((encoder.layer4, encoder.layer4)):
            captum.LayerGradCam(views.model, layer).attribute((a, b))

    def by_grad_cam() -> None:
        with torch.no_grad():
            z = encoder(images)
        for x, other in ((a, z[pairs:]), (b, z[:pairs])):
            with GradCAM(OneInput(encoder, other), [encoder.layer4]) as cam:
                cam(x, [lambda output: output.sum()] * len(x))

    explainer = PairGradCAM(model, "layer4")
    sizes = [2**i for i in range((2 * pairs).bit_length()) if 2**i <= 2 * pairs]
    runs: Runs = {f"forward pass, {size} image(s) at a time": forward(size) for size in sizes}
    runs |= {
        "PairGradCAM": lambda: explainer.attribute((a, b), internal_batch_size="auto"),
        "PairGradCAM, unsplit": lambda: explainer.attribute((a, b)),
        "captum LayerGradCam, once a branch": by_captum,
        "pytorch-grad-cam, once a branch": by_grad_cam,
    }
    times = interleaved(runs, rounds)
    floor = min((name for name in runs if name.startswith("forward")), key=lambda name: median(times[name]))
    activations = 2 * pairs * 2048 * 7 * 7 * 4
    memory = {
        name: peak(runs[name])
        for name in (runs if pairs == 8 else ())
        if "captum" not in name and "grad-cam" not in name
    }
    return {
        "pairs": pairs,
        "floor": floor,
        "floor_ms_per_image": round(median(times[floor]) / (2 * pairs) * 1e3, 1),
        "ratio": ratios(times, floor),
        "peak_bytes": memory,
        "activations_and_gradient_bytes": 2 * activations,
    }


def perturbation(rounds: int) -> dict[str, Any]:
    """Occlusion and feature ablation of one side beside captum's on the same model."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()
    model = SiameseModel(encoder)
    a, b = torch.randn(2, 4, 3, 64, 64)
    mask = torch.arange(64).reshape(1, 1, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    window = {"sliding_window_shapes": (3, 16, 16), "strides": (3, 8, 8)}
    found = {}
    for name, ours, theirs in (
        (
            "Occlusion",
            lambda: PairOcclusion(model).attribute((a, b), wrt="first", internal_batch_size=16, **window),
            lambda: captum.Occlusion(model).attribute(a, additional_forward_args=b, perturbations_per_eval=4, **window),
        ),
        (
            "FeatureAblation",
            lambda: PairFeatureAblation(model).attribute(
                (a, b), wrt="first", internal_batch_size=16, feature_mask=(mask, mask)
            ),
            lambda: captum.FeatureAblation(model).attribute(
                a, additional_forward_args=b, perturbations_per_eval=4, feature_mask=mask
            ),
        ),
    ):

        def without_gradients(run: Callable[[], Any] = theirs) -> None:
            with torch.no_grad():
                run()

        found[name] = ratios(interleaved({"captum": without_gradients, "xsiamese": ours}, rounds), "captum")["xsiamese"]
    return found


def import_time(rounds: int) -> float:
    """How long ``import xsiamese`` takes, over ``import torch, captum``, each in a fresh process."""

    def run(code: str) -> Callable[[], None]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True) and None

    return ratios(
        interleaved({"torch": run("import torch, captum"), "xsiamese": run("import xsiamese")}, rounds), "torch"
    )["xsiamese"]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    result = {
        "torch": torch.__version__,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "gradcam": [gradcam(pairs, arguments.rounds) for pairs in (1, 8)],
        "one_side": perturbation(arguments.rounds),
        "import": import_time(arguments.rounds),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    for table in result["gradcam"]:
        print(
            f"\n{table['pairs']} pair(s), ResNet-50, 224 px; floor: {table['floor']}, {table['floor_ms_per_image']} "
            "ms an image"
        )
        for name, ratio in table["ratio"].items():
            print(f"  {name:<40} {ratio:6.2f}   {table['peak_bytes'].get(name, 0) / 2**20:8.1f} MiB")
        print(f"  the layer's activations and gradient: {table['activations_and_gradient_bytes'] / 2**20:.1f} MiB")
    print(f"\none side, over captum: {result['one_side']}\nimport, over torch and captum: {result['import']}")


if __name__ == "__main__":
    main()
