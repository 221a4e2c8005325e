"""Region swap against one forward and backward pass of the pair, and against loops over candidates: ratios within one
run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from xsiamese import SiameseModel
from xsiamese_counterfactual import PairRegionSwap
from xsiamese_counterfactual.moves import moves


def speed(rounds: int = 5, loop: int = 40) -> dict[str, Any]:
    """Region swap on the 7 x 7 cells of a ResNet-50 pair against one forward and backward pass of the pair, and against
    loops over candidates.
    """
    from torchvision.models import resnet50

    torch.manual_seed(0)
    encoder = resnet50().eval()
    model = SiameseModel(encoder, "euclidean")
    a, b = torch.randn(2, 1, 3, 224, 224).unbind()
    b = b * 1.5 + 0.5

    def both_passes(parameters: bool) -> None:
        model.requires_grad_(parameters)
        sides = [t.clone().requires_grad_() for t in (a, b)]
        model(*sides).sum().backward()
        model.requires_grad_(True).zero_grad()

    with torch.no_grad():
        start = float(model(a, b))
    search = PairRegionSwap(model, "layer4", threshold=0.9 * start)
    result = search.find((a, b))[0]
    cells = {}
    handle = encoder.layer4.register_forward_hook(lambda *args: cells.setdefault("raw", args[2].clone()))
    with torch.no_grad():
        encoder(a)
        other = encoder(b)
    handle.remove()
    raw = cells["raw"]

    def head_loop(number: int) -> None:
        """The plain double loop, the quickest form of it: the head only."""
        with torch.no_grad():
            for k in range(number):
                changed = raw.clone()
                changed[0, :, k // 49 % 7, k % 7] = raw[0, :, k % 7, k // 7 % 7]
                model.compare(encoder.fc(encoder.avgpool(changed).flatten(1)), other)

    def model_loop(number: int) -> None:
        """The plain double loop through the whole encoder."""
        with torch.no_grad():
            for _ in range(number):
                model.compare(model.encode(a), other)

    runs: dict[str, Callable[[], Any]] = {
        "pass": lambda: both_passes(True),
        "pass_frozen": lambda: both_passes(False),
        "swap_both_sides": lambda: search.find((a, b)),
        "swap_one_side": lambda: search.find((a, b), wrt="first"),
        "step": lambda: step(search, (a, b), timed),
        "head_loop": lambda: head_loop(loop * 10),
        "model_loop": lambda: model_loop(loop // 4),
    }
    timed: dict[str, list[float]] = {}
    interleaved(runs, rounds, timed)
    steps = timed["values"][1:]
    head = [t / (loop * 10) * 2401 for t in timed["head_loop"]]
    whole = [t / (loop // 4) * 2401 for t in timed["model_loop"]]

    one = [t * max(1, result.count) for t in whole]
    return {
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "edits": result.count,
        "flipped": result.flipped,
        "both_sides_over_forward_and_backward": ratio(timed["swap_both_sides"], timed["pass"]),
        "one_side_over_forward_and_backward": ratio(timed["swap_one_side"], timed["pass"]),
        "both_sides_over_forward_and_backward_to_inputs_only": ratio(timed["swap_both_sides"], timed["pass_frozen"]),
        "loop_of_heads_over_one_step": ratio(head, steps),
        "loop_of_model_passes_over_whole_search_of_one_side": ratio(one, timed["swap_one_side"]),
        "loop_of_heads_over_whole_search_of_one_side": ratio(
            [t * max(1, result.count) for t in head], timed["swap_one_side"]
        ),
        "seconds": {name: round(median(times), 4) for name, times in timed.items()},
    }


def interleaved(runs: dict[str, Callable[[], Any]], rounds: int, timed: dict[str, list[float]]) -> None:
    """Seconds of each run in each round, after one round of warming up."""
    for number in range(rounds + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if number:
                timed.setdefault(name, []).append(time.perf_counter() - begin)


def ratio(first: list[float], second: list[float]) -> float:
    """The median over the rounds."""
    return round(median(p / q for p, q in zip(first, second, strict=True)), 2)


def step(search: PairRegionSwap, pair: tuple[Tensor, Tensor], timed: dict[str, list[float]]) -> None:
    """All 2,401 candidates of one step, as the search evaluates them after the passes."""
    with search.prepared(pair) as batch:
        places = search.places(batch, None)
        cells = [place.cells(place.raw)[0] for place in places]
        options = moves(places[0], cells[0], cells[1])
        begin = time.perf_counter()
        options.values([])
        timed.setdefault("values", []).append(time.perf_counter() - begin)
