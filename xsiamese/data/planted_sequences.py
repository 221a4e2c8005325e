"""Planted sequences, shape (items, channels, steps): waves in a noisy series, and words that mean the same."""

from __future__ import annotations

import torch
from torch import Tensor

from xsiamese.data.planted import Scene

STEPS, WAVE = 96, 16
LENGTH, CHANNELS, SYNONYMS, FILLERS = 10, 16, 3, 20


class Series(Scene):
    """Two of eight waves of 16 steps in a noisy series of 96."""

    name = "series"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(21)
        rough = torch.randn(self.things, WAVE, generator=generator)
        smooth = rough + rough.roll(1, 1)
        # every wave is one set of values in its own order: what values occur does not say which it is
        self.waves = torch.linspace(-2.5, 2.5, WAVE)[smooth.argsort(1).argsort(1)]

    def draw(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        items = len(chosen)
        series = 0.3 * torch.randn(items, 1, STEPS, generator=generator)
        owner = torch.full((items, STEPS), -1)
        sixths = torch.rand(items, STEPS // WAVE // 2, generator=generator).argsort(1)  # two of three windows of 32
        shifts = torch.randint(WAVE + 1, (items, 2), generator=generator)
        for i, things in enumerate(chosen.tolist()):
            for k, thing in enumerate(things):
                start = int(sixths[i, k]) * 2 * WAVE + int(shifts[i, k])
                series[i, 0, start : start + WAVE] += self.waves[thing]
                owner[i, start : start + WAVE] = k
        return series, owner


class Words(Scene):
    """Sentences of ten words, each a vector; two carry a meaning, and each meaning has three words that share nothing
    but that.
    """

    name = "words"
    things = 12

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(22)
        words = torch.randn(self.things * SYNONYMS + FILLERS, CHANNELS, generator=generator)
        self.table = torch.nn.functional.normalize(words) * 2

    def draw(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        items = len(chosen)
        first_filler = self.things * SYNONYMS
        ids = first_filler + torch.randint(FILLERS, (items, LENGTH), generator=generator)
        owner = torch.full((items, LENGTH), -1)
        places = torch.rand(items, LENGTH, generator=generator).argsort(1)[:, :2]
        meant = chosen * SYNONYMS + torch.randint(SYNONYMS, chosen.shape, generator=generator)
        ids.scatter_(1, places, meant)
        owner.scatter_(1, places, torch.arange(2).expand(items, 2))
        return self.table[ids].transpose(1, 2).contiguous(), owner
