"""Interactions of a game of two coalitions by their definitions: every subset, in plain loops."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import factorial

import torch
from torch import Tensor

Game = Callable[[Tensor, Tensor], Tensor]  # masks of a (rows, n) and of b (rows, m) to values (rows,)


def values(game: Game, n: int, m: int) -> dict[tuple[int, ...], float]:
    """The value of every coalition of all n + m players, those of a first."""
    masks = torch.tensor(list(product((0.0, 1.0), repeat=n + m)), dtype=torch.float64)
    found = game(masks[:, :n], masks[:, n:])
    return {tuple(map(int, mask)): float(v) for mask, v in zip(masks.tolist(), found, strict=True)}


def interactions(game: Game, n: int, m: int, weigh: Callable[[int, int], float]) -> Tensor:
    """The weighted mean of the discrete mixed differences of a player of a and one of b, (n, m).

    ``weigh`` gives the weight of a coalition of the others from its size and the number of all players.
    """
    known, found = values(game, n, m), torch.zeros(n, m, dtype=torch.float64)
    for i, j in product(range(n), range(m)):
        for rest in product((0, 1), repeat=n + m - 2):
            # the others keep their order; player i of a comes before player j of b
            parts = rest[:i], rest[i : n + j - 1], rest[n + j - 1 :]
            one, two, three, four = (
                known[(*parts[0], x, *parts[1], y, *parts[2])] for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))
            )
            found[i, j] += weigh(sum(rest), n + m) * (one - two - three + four)
    return found


def banzhaf(game: Game, n: int, m: int, p: float = 0.5) -> Tensor:
    """The Banzhaf interaction index, or the p-weighted one."""
    return interactions(game, n, m, lambda size, players: p**size * (1 - p) ** (players - 2 - size))


def shapley(game: Game, n: int, m: int) -> Tensor:
    """The Shapley interaction index."""
    return interactions(
        game, n, m, lambda size, players: factorial(size) * factorial(players - size - 2) / factorial(players - 1)
    )


def banzhaf_values(game: Game, n: int, m: int) -> Tensor:
    """The Banzhaf value of every player."""
    known, players = values(game, n, m), n + m
    found = torch.zeros(players, dtype=torch.float64)
    for mask, value in known.items():
        for k in range(players):
            found[k] += (2 * mask[k] - 1) * value / 2 ** (players - 1)
    return found


def shapley_values(game: Game, n: int, m: int) -> Tensor:
    """The Shapley value of every player: the mean of what it adds over all orders, grouped by who came before."""
    known, players = values(game, n, m), n + m
    found = torch.zeros(players, dtype=torch.float64)
    for mask, value in known.items():
        size = sum(mask)
        for k in range(players):
            before = size - mask[k]
            found[k] += (2 * mask[k] - 1) * value * factorial(before) * factorial(players - before - 1)
    return found / factorial(players)


def least_squares(game: Game, n: int, m: int, *, within: bool, p: float = 0.5) -> Tensor:
    """The cross block of the p-weighted regression of every value on all players and pairs of players.

    With ``within`` the pairs of one side are in the model too, which is Faith-Banzhaf's; without, it is bilinear.
    """
    masks = torch.tensor(list(product((0.0, 1.0), repeat=n + m)), dtype=torch.float64)
    target = game(masks[:, :n], masks[:, n:])
    pairs = [(i, j) for i in range(n + m) for j in range(i + 1, n + m) if within or (i < n <= j)]
    terms = [torch.ones(len(masks), 1), masks, torch.stack([masks[:, i] * masks[:, j] for i, j in pairs], 1)]
    size = masks.sum(1)
    root = (p**size * (1 - p) ** (n + m - size)).sqrt()[:, None]
    solved = torch.linalg.lstsq(torch.cat(terms, 1).double() * root, target[:, None] * root).solution[:, 0]
    of_pairs = dict(zip(pairs, solved[1 + n + m :].tolist(), strict=True))
    return torch.tensor([[of_pairs[i, n + j] for j in range(m)] for i in range(n)], dtype=torch.float64)
