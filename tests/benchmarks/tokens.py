"""Which methods find planted marks in vision transformers. Writes docs/measurements/tokens.json.

``python tests/benchmarks/tokens.py [NETWORK ...]`` trains small networks of tokens on the planted patches, some minutes
each on one core, and measures with each what may be taken anywhere: settings that ``tools/choose_defaults.py`` knows,
on pairs that choose one (``tuned``) and on others (``report``), as the scoreboard does. ``--keep FOLDER`` keeps the
trained weights; what the file holds is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import scoreboard
import timm
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import SiameseModel, measure
from xsiamese.branches.probe import ATTENTION
from xsiamese.data.planted import planted, scene
from xsiamese.metrics.surface import RelevanceGain
from xsiamese.model.comparison import Cosine

OUT = Path(os.environ.get("TOKENS", Path(__file__).parents[2] / "docs" / "measurements" / "tokens.json"))
KINDS, STEPS, PAIRS = 8, 1500, {"tuned": (scoreboard.TUNING, 48), "report": (scoreboard.REPORT, 24)}
VIT: dict[str, Any] = {"img_size": 32, "patch_size": 4, "embed_dim": 48, "depth": 4, "num_heads": 4, "mlp_ratio": 2}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "class token": ("VisionTransformer", {**VIT, "global_pool": "token"}),
    "mean, then norm": ("VisionTransformer", {**VIT, "global_pool": "avg", "class_token": False}),
    "norm, then mean": ("VisionTransformer", {**VIT, "global_pool": "avg", "class_token": False, "fc_norm": False}),
}
METHODS = (
    "PairHiResCAM", "PairGradCAM", "PairOcclusion", "PairMaskRegression", "PairInputXGradient", "PairXGradCAM",
    "PairGradCAMPlusPlus", "PairLayerCAM", "PairActivationDecomposition", "PairIntegratedGradients",
)  # fmt: skip
WAYS = ("", "norms detached", "softened", "norms detached, softened")
SLOW = 5  # seconds of a pair: what takes longer is not measured


def build(name: str) -> nn.Module:
    """An untrained network that says which things an image of 32 x 32 pixels holds."""
    kind, options = NETWORKS[name]
    made: nn.Module = getattr(timm.models, kind)(in_chans=1, num_classes=KINDS, **options)
    return made


def trained(name: str, images: Tensor, held: Tensor, keep: Path | None) -> tuple[nn.Module, float]:
    """A network that was trained to tell what an image holds, and the share of other images that it tells rightly."""
    torch.manual_seed(0)
    network = build(name)
    kept = None if keep is None else keep / f"{name}.pt"
    if kept is not None and kept.is_file():
        network.load_state_dict(torch.load(kept))
    else:
        optimiser = torch.optim.AdamW(network.train().parameters(), 2e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=STEPS)
        began = time.time()
        for step in range(STEPS):
            some = torch.randint(len(images), (48,))
            loss = ((network(images[some]) - held[some]) ** 2).mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            if step % 250 == 249:
                print(name, step, round(float(loss.detach()), 4), f"{time.time() - began:.0f} s", flush=True)
        if kept is not None:
            torch.save(network.state_dict(), kept)
    others, truth = drawn(500, 77)
    with torch.no_grad():
        right = network.eval()(others).topk(2).indices.sort().values == truth.topk(2).indices.sort().values
    return network, round(float(right.all(1).float().mean()), 3)


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images, and which things each holds, shape (images, things)."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, KINDS, generator=generator).argsort(1)[:, :2]
    return scene("patches").draw(chosen, generator)[0], torch.zeros(count, KINDS).scatter_(1, chosen, 1)


def rows(network: nn.Module, method: str) -> dict[str, Any]:
    """What a method finds, by setting and by pairs, with the milliseconds that a pair takes."""
    cls, found = xsiamese.explainers()[method], {}
    suits = scoreboard.anywhere("patches", cls)
    for way in [one for one in WAYS if one in suits]:
        asked = dict(suits[way])
        explainer = cls(SiameseModel(network, Cosine(detach_norms=asked.pop("detach", False))).eval())
        began = time.time()
        explainer.attribute(planted("patches", 1, 5).inputs, **asked)
        if time.time() - began > SLOW:
            return {"error": f"took over {SLOW} s a pair"}
        took = {}
        for name, (seed, count) in PAIRS.items():
            metrics = [*scoreboard.truths("patches"), RelevanceGain(10)]
            given = planted("patches", count, seed)
            one = measure(explainer, given, metrics, **asked)
            took[name] = scoreboard.rounded(one)
        found[way] = {**took, "ms": round(one.seconds / count * 1000, 1)}
        numbers = found[way]["report"]
        print(" ", method, way, *(f"{k} {v[0]:.2f}" for k, v in numbers.items()), found[way]["ms"], flush=True)
    return {"ways": found, "pairs": PAIRS["report"][1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--train-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    known = json.loads(OUT.read_text()) if OUT.is_file() else {}
    images, held = drawn(6000, 1000)
    for name in options.networks:
        network, right = trained(name, images, held, options.keep)
        print(name, "both things right:", right, flush=True)
        if options.train_only:
            continue
        attends = any(ATTENTION.search(type(module).__name__) for module in network.modules())
        entry = known.setdefault(name, {"both things told": right, "attends": attends, "methods": {}})
        for method in METHODS:
            if method in entry["methods"]:
                continue
            try:
                entry["methods"][method] = rows(network, method)
            except Exception as error:  # a method that does not suit a network
                entry["methods"][method] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
                print(" ", method, entry["methods"][method], flush=True)
            OUT.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
