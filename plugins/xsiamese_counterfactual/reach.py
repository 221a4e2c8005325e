"""The fewest edits across the threshold: exhaustive for one and two, greedy with needless ones taken back beyond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from xsiamese_counterfactual.moves import Move, Moves

Search = Literal["greedy", "exhaustive"]


def reached(options: Moves, cut: float, alike: bool, limit: int, search: Search) -> tuple[list[Move], str]:
    """The fewest edits found that bring the closeness across the cut, and why they do not."""
    sign = -1.0 if alike else 1.0
    goal = sign * cut

    def crossed(value: float) -> bool:
        return value > goal if alike else value >= goal

    start = sign * options.value([])
    values = sign * options.values([])
    if crossed(float(values.max())):
        return [divmod(int(values.argmax()), options.sources)], ""
    if search == "exhaustive" and limit >= 2 and options.targets >= 2:
        two, value = options.best_two(sign)
        if crossed(value):
            return two, ""
    done, value, why = greedy(options, sign, crossed, values, value=start, limit=limit)
    if not crossed(value) and limit >= options.targets == options.sources:
        whole = [(i, i) for i in range(options.targets)]
        if crossed(sign * options.value(whole)):
            done, value = whole, sign * options.value(whole)
    if crossed(value):
        return pruned(options, done, sign, crossed), ""
    return done, why


def greedy(
    options: Moves, sign: float, crossed: Callable[[float], bool], values: Tensor, *, value: float, limit: int
) -> tuple[list[Move], float, str]:
    """One best edit after the other, each cell once, until the cut is crossed or no edit helps."""
    done: list[Move] = []
    while True:
        values[[i for i, _ in done]] = -torch.inf
        best = int(values.argmax())
        gained = float(values.flatten()[best])
        if gained <= value:
            return done, value, f"after {len(done)} edits no further one moves the score towards the threshold"
        done.append(divmod(best, options.sources))
        value = gained
        if crossed(value):
            return done, value, ""
        if len(done) == min(limit, options.targets):
            return done, value, f"{len(done)} edits, all that are allowed, do not reach the threshold"
        values = sign * options.values(done)


def pruned(options: Moves, done: list[Move], sign: float, crossed: Callable[[float], bool]) -> list[Move]:
    """The edits without those that are not needed, the least useful taken back first."""
    while len(done) > 1:
        left = [sign * options.value(done[:k] + done[k + 1 :]) for k in range(len(done))]
        best = max(range(len(done)), key=left.__getitem__)
        if not crossed(left[best]):
            break
        done = done[:best] + done[best + 1 :]
    return done
