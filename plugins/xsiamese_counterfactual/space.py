"""What may change in a row of features, and how far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Feature = int | str
Range = tuple[float, float]


@dataclass(frozen=True)
class Space:
    """What may change, and how far.

    Attributes:
        low, high: of each feature.
        step: of each feature, 0 where it is continuous.
        free: the features that may change.
        width: the ranges' sizes, 1 where there is none.
        names: of the features.
    """

    low: Tensor
    high: Tensor
    step: Tensor
    free: list[int]
    width: Tensor
    names: tuple[str, ...]

    def values(self, row: Tensor, partner: Tensor | None, levels: int) -> dict[int, Tensor]:
        """The values that each feature may change to."""
        found = {}
        for k in self.free:
            low, high, step = float(self.low[k]), float(self.high[k]), float(self.step[k])
            count = int((high - low) / step + 1e-6) + 1 if step else levels
            grid = (
                low + step * torch.arange(count, dtype=torch.float64)
                if step
                else torch.linspace(low, high, count, dtype=torch.float64)
            )
            grid = grid.to(row)
            if partner is not None and low <= float(partner[k]) <= high and self.on_step(k, float(partner[k])):
                grid = torch.cat([grid, partner[k : k + 1]])
            grid = torch.unique(grid)
            found[k] = grid[grid != row[k]]
        return {k: grid for k, grid in found.items() if len(grid)}

    def on_step(self, k: int, value: float) -> bool:
        """Whether a value is one of the steps."""
        step = float(self.step[k])
        return not step or abs((value - float(self.low[k])) / step - round((value - float(self.low[k])) / step)) < 1e-6


def allowed(
    rows: Tensor,
    ranges: Any,
    steps: Any,
    immutable: Sequence[Feature],
    *,
    names: Sequence[str] | None,
    reference: Tensor | None,
) -> Space:
    """The checked space of changes."""
    count = rows.shape[1]
    labels = tuple(names) if names is not None else tuple(f"feature {k}" for k in range(count))
    if len(labels) != count:
        raise ValueError(f"{len(labels)} names for {count} features")
    if reference is not None and (reference.dim() != 2 or reference.shape[1] != count or not len(reference)):
        raise ValueError(f"reference is {tuple(reference.shape)}: rows of {count} features are needed")

    def index(feature: Feature, what: str) -> int:
        if isinstance(feature, int) and -count <= feature < count:
            return feature % count
        if feature in labels:
            return labels.index(str(feature))
        raise ValueError(f"{what} names the feature {feature!r}; there are {', '.join(labels[:12])}")

    fixed = {index(feature, "immutable") for feature in immutable}
    if len(fixed) == count:
        raise ValueError(f"all {count} features are immutable: nothing may change, so nothing can flip the decision")
    bounds: dict[int, Range] = {}
    if reference is not None:
        bounds = {k: (float(reference[:, k].min()), float(reference[:, k].max())) for k in range(count)}
    if isinstance(ranges, Mapping):
        bounds |= {index(k, "ranges"): (float(v[0]), float(v[1])) for k, v in ranges.items()}
    elif isinstance(ranges, Tensor) and tuple(ranges.shape) == (count, 2):
        bounds |= {k: (float(ranges[k, 0]), float(ranges[k, 1])) for k in range(count)}
    elif ranges is not None:
        if isinstance(ranges, Tensor) or len(ranges) != 2:
            what = tuple(ranges.shape) if isinstance(ranges, Tensor) else repr(ranges)
            raise ValueError(f"ranges is {what}: (low, high), a mapping, or a tensor ({count}, 2) is needed")
        bounds |= dict.fromkeys(range(count), (float(ranges[0]), float(ranges[1])))
    free = [k for k in range(count) if k not in fixed]
    missing = [labels[k] for k in free if k not in bounds]
    if missing:
        raise ValueError(
            f"no range is known for {', '.join(missing[:8])}: give ranges=, reference= rows to take them from, or "
            "name them in immutable="
        )
    for k in free:
        if not bounds[k][0] <= bounds[k][1]:
            raise ValueError(f"the range of {labels[k]} is empty: from {bounds[k][0]:g} to {bounds[k][1]:g}")
    stepped = steps if isinstance(steps, Mapping) else {} if steps is None else dict.fromkeys(free, steps)
    given = {index(k, "steps"): float(v) for k, v in stepped.items()}
    for k, step in given.items():
        if step <= 0:
            raise ValueError(f"the step of {labels[k]} is {step:g}: a positive number is needed")
    low, high = (
        torch.tensor([bounds.get(k, (0.0, 0.0))[end] for k in range(count)], dtype=torch.float64) for end in (0, 1)
    )
    width = torch.where(high > low, high - low, 1.0).to(rows)
    return Space(
        low, high, torch.tensor([given.get(k, 0.0) for k in range(count)], dtype=torch.float64), free, width, labels
    )
