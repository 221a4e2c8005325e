"""Where it is known which part goes with which: patterns planted in both images, and detectors that know them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairInteraction, PairLayerInteraction, PairMaskRegression, PairMatrix, SiameseModel

CELL, GRID, PATTERNS = 8, 3, 6
PAIRS = 12


def patterns() -> Tensor:
    """Six patterns of 5 x 5 pixels, about orthogonal."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 2, (PATTERNS, 1, 5, 5), generator=generator).double() * 2 - 1


def encoder(kind: str) -> nn.Sequential:
    """A detector of each pattern, pooled; and perhaps a head that mixes them."""
    detect = nn.Conv2d(1, PATTERNS, 5).double()
    with torch.no_grad():
        detect.weight.copy_(patterns() / 25)
        detect.bias.fill_(-0.6)  # what is no pattern stays silent
    pool = nn.AdaptiveMaxPool2d(1) if kind == "maximum" else nn.AdaptiveAvgPool2d(1)
    layers = [detect, nn.ReLU(), pool, nn.Flatten()]
    if kind == "head":
        with torch.random.fork_rng():
            torch.manual_seed(1)
            layers += [nn.Linear(PATTERNS, 24, bias=False).double(), nn.Tanh(), nn.Linear(24, 24, bias=False).double()]
            with torch.no_grad():  # turns that keep angles, so that unlike patterns stay unlike
                nn.init.orthogonal_(layers[4].weight, gain=200)  # type: ignore[arg-type, union-attr]
                nn.init.orthogonal_(layers[6].weight)  # type: ignore[arg-type, union-attr]
    return nn.Sequential(*layers).eval()


def image(which: list[int], cells: list[int], generator: torch.Generator) -> Tensor:
    """Patterns in cells of a 3 x 3 grid, over weak noise."""
    found = 0.05 * torch.randn(1, 1, CELL * GRID, CELL * GRID, generator=generator, dtype=torch.float64)
    for pattern, cell in zip(which, cells, strict=True):
        top, left = cell // GRID * CELL + 1, cell % GRID * CELL + 1
        found[0, 0, top : top + 5, left : left + 5] += patterns()[pattern, 0]
    return found


def planted(shared: int, seed: int) -> tuple[tuple[Tensor, Tensor], list[int], list[int]]:
    """Two images of two patterns, of which some are shared and come first, and their cells."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(PATTERNS, generator=generator).tolist()
    of_a, of_b = order[:2], order[:shared] + order[2 : 4 - shared]
    cells = [torch.randperm(GRID**2, generator=generator)[:2].tolist() for _ in range(2)]
    return (image(of_a, cells[0], generator), image(of_b, cells[1], generator)), cells[0], cells[1]


def found(method: str, model: SiameseModel, pair: tuple[Tensor, Tensor]) -> PairMatrix:
    if method == "masks":
        return PairMaskRegression(model).explain(pair, cells=(GRID, GRID), masks=256).matrix
    if method == "input":
        return PairInteraction(model).explain(pair, rule="secant", steps=4, cells=(GRID, GRID)).matrix
    # 20 x 20 places of detections of 5 x 5 pixels: a pattern's own place is in the cell that it is planted in
    return PairLayerInteraction(model, "1").explain(pair, rule="secant", steps=2, cells=(GRID, GRID)).matrix


SETTINGS = [(method, net) for method in ("masks", "layer") for net in ("average", "maximum", "head")]
SETTINGS.append(("input", "average"))  # from black a maximum over empty places has no place of its own


@pytest.mark.parametrize(("method", "net"), SETTINGS)
def test_the_shared_pattern_is_matched_on_both_sides(method: str, net: str) -> None:
    model: Any = SiameseModel(encoder(net), "dot" if net == "average" else "cosine")
    hits = peaks = 0
    for seed in range(PAIRS):
        pair, of_a, of_b = planted(1, seed)
        matrix = found(method, model, pair)
        best = matrix.top(1, largest="closer")[0]
        hits += best.of_a == divmod(of_a[0], GRID) and best.of_b == divmod(of_b[0], GRID)
        at = [int(m.flatten().abs().argmax()) for m in matrix.marginals]
        peaks += at == [of_a[0], of_b[0]]
    assert hits >= 0.9 * PAIRS
    assert peaks >= 0.9 * PAIRS


@pytest.mark.parametrize(("method", "net"), SETTINGS)
def test_right_matches_are_told_from_crossed_ones(method: str, net: str) -> None:
    """Both patterns shared: the area under the curve of right against crossed cells."""
    model: Any = SiameseModel(encoder(net), "dot" if net == "average" else "cosine")
    right, crossed = [], []
    for seed in range(PAIRS):
        pair, of_a, of_b = planted(2, seed)
        dense = found(method, model, pair).dense()
        for i in (0, 1):
            right.append(float(dense[of_a[i], of_b[i]]))
            crossed.append(float(dense[of_a[i], of_b[1 - i]]))
    area = sum(r > c for r in right for c in crossed) / (len(right) * len(crossed))
    assert area >= 0.99


def test_the_match_moves_with_the_partner() -> None:
    model = SiameseModel(encoder("maximum"))
    generator = torch.Generator().manual_seed(0)
    a = image([0, 1], [2, 6], generator)
    for shared, cell in ((0, 2), (1, 6)):
        b = image([shared, 4], [4, 8], generator)
        best = found("masks", model, (a, b)).top(1, largest="closer")[0]
        assert best.of_a == divmod(cell, GRID)
        assert best.of_b == (1, 1)
