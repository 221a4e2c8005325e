"""Trains the reference models of the planted sets: the cosine of two items learns what share of things they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from tqdm.auto import trange

from xsiamese.data.planted import PlantedPairs, Scene, scene
from xsiamese.data.typical import typical_rows
from xsiamese.model.pair import SiameseModel
from xsiamese.zoo.checkpoint import find_card

STEPS = {"patches": 700, "digits": 2400, "rows": 2500, "series": 700, "words": 1500, "motifs": 1200}


def fit(name: str, *, steps: int | None = None, seed: int = 0, batch: int = 64, rate: float = 5e-3) -> SiameseModel:
    """A model of a planted set, trained: seconds for rows, a few minutes for digits.

    Args:
        name: of the set, see :func:`xsiamese.data.planted.planted`.
        steps: of Adam.
        seed: of the weights and the data.
        batch: items in one step.
        rate: the highest learning rate of the schedule.
    """
    makes: Scene = scene(name)
    steps = steps or STEPS[name]
    generator = torch.Generator().manual_seed(1000 + seed)  # not the seeds that pairs are drawn with
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        card = find_card(f"planted-{name}")
        model = card.build(**card.defaults)
    assert isinstance(model, SiameseModel)
    optimiser = torch.optim.Adam(model.train().parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    off = ~torch.eye(batch, dtype=torch.bool)
    for _ in trange(steps, desc=f"planted {name}", leave=False):
        items, common = makes.batch(batch, generator)
        z = torch.nn.functional.normalize(model.encode(items), dim=1)
        loss = ((z @ z.T - common)[off] ** 2).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def quality(model: SiameseModel, name: str, count: int = 1000, seed: int = 1) -> dict[str, float]:
    """How well a model tells pairs that share something from those that do not, and sets its threshold.

    Returns:
        "accuracy" at the threshold, and the threshold.
    """
    pairs: PlantedPairs = scene(name).verification(count, seed)
    scores: Tensor = model(*pairs.inputs)
    candidates = scores.sort().values
    middle = (candidates[1:] + candidates[:-1]) / 2
    right = ((scores[None] >= middle[:, None]) == pairs.alike[None]).double().mean(1)
    best = int(right.argmax())
    model.comparison.threshold_ = float(middle[best])
    return {"accuracy": float(right[best]), "threshold": float(middle[best])}


def about(model: SiameseModel, name: str, seed: int = 0) -> dict[str, Any]:
    """What a shipped checkpoint says of itself."""
    found = {"data": f"planted {name}", "steps": STEPS[name], "seed": seed, **quality(model, name)}
    if name != "rows":
        return found
    rows = scene(name).batch(512, torch.Generator().manual_seed(1000 + seed))[0]
    return {**found, "typical": typical_rows(rows).tolist()}
