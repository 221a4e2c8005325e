"""What the first explanation of a model costs more than the second: finding the layer and its layout by themselves.

Run ``python tests/benchmarks/first_call.py``; it writes ``docs/measurements/first_call.json``. Rows are counted by
hooks and backward passes by their calls, which is exact; times are of the process, one thread; memory is what tensors
hold at one time, weights left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from live_memory import peak
from torch import nn

from xsiamese import PairHiResCAM, SiameseModel

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "first_call.json"


def vit(**options: Any) -> nn.Module:
    """ViT-B/16 without its classifier."""
    made = torchvision.models.vit_b_16(**options)
    made.heads = nn.Identity()
    return made


MODELS: dict[str, Callable[..., nn.Module]] = {"ViT-B/16": vit, "ResNet-50": torchvision.models.resnet50}


class Counts:
    """Rows that an encoder was given, and backward passes, while the block runs."""

    def __init__(self, encoder: nn.Module) -> None:
        self.encoder, self.rows, self.backward = encoder, 0, 0

    def __enter__(self) -> Counts:
        self.handle = self.encoder.register_forward_pre_hook(self._note)
        self.grad, torch.autograd.grad = torch.autograd.grad, self._grad
        return self

    def __exit__(self, *_: Any) -> None:
        self.handle.remove()
        torch.autograd.grad = self.grad

    def _note(self, module: nn.Module, args: Any) -> None:
        self.rows += len(args[0])

    def _grad(self, *args: Any, **kwargs: Any) -> Any:
        self.backward += 1
        return self.grad(*args, **kwargs)


def measured(make: Callable[..., nn.Module]) -> dict[str, Any]:
    """Rows, calls for gradients, seconds and MiB of the first and the second call on one pair."""
    torch.manual_seed(0)
    encoder = make(weights=None).eval()
    pair = torch.randn(2, 1, 3, 224, 224).unbind()
    with torch.no_grad():
        encoder(pair[0])  # what is set up once in a process
    found: dict[str, Any] = {}
    explainer = PairHiResCAM(SiameseModel(encoder))
    for call in ("first", "second"):
        with Counts(encoder) as counts:
            start = time.process_time()
            found["taken"] = explainer.explain(pair).parameters["taken"]
            seconds = time.process_time() - start
        found[call] = {"rows": counts.rows, "gradients": counts.backward, "seconds": round(seconds, 3)}
    other = PairHiResCAM(SiameseModel(encoder))
    for call in ("first", "second"):
        found[call]["MiB"] = round(peak(lambda: other.explain(pair)) / 2**20, 1)
    encoder.requires_grad_(True)
    start = time.process_time()
    for one in pair:  # one forward and backward pass of one pair, in full
        encoder(one).sum().backward()
    return found | {"pass_and_back": round(time.process_time() - start, 3)}


def main() -> None:
    """Measures and writes."""
    torch.set_num_threads(1)
    found = {name: measured(make) for name, make in MODELS.items()}
    OUT.write_text(json.dumps({"torch": torch.__version__, "models": found}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
