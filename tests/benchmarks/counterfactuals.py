"""Counterfactuals measured: validity, distance to the optimum, planted patches, speed. Writes
docs/measurements/counterfactuals.json.

``python tests/benchmarks/counterfactuals.py train`` makes the two models (a minute each) in build/, the other parts
read them:
``swap``, ``optimum``, ``mask``, ``sanity``, ``planted``, ``speed``. Without a part all are run. Real data:
XSIAMESE_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from counterfactual_speed import speed
from torch import Tensor
from tqdm import tqdm

from xsiamese import SiameseModel, calibrate
from xsiamese.zoo.image import fashion_encoder
from xsiamese_counterfactual import Counterfactual, PairCounterfactualMaps, PairMinimalMask, PairRegionSwap

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "measurements" / "counterfactuals.json"
BUILD = ROOT / "build"
DATA = Path(os.environ.get("XSIAMESE_DATA", ROOT.parent / "shared" / "data"))
SETS = ("mnist", "fashion_mnist")
LAYER = "7"


def images(name: str, train: bool) -> tuple[Tensor, Tensor]:
    """Images in [0, 1], (items, 1, 28, 28), and their classes."""
    from torchvision.datasets import MNIST, FashionMNIST

    found = (MNIST if name == "mnist" else FashionMNIST)(DATA / name, train=train, download=False)
    return found.data[:, None].float() / 255, found.targets


def pairs(x: Tensor, y: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of a and b, half of one class and half of two, and which are the same."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, len(y), (count,), generator=generator)
    same = torch.arange(count) % 2 == 0
    second = torch.empty_like(first)
    for i in range(count):
        while True:
            second[i] = torch.randint(0, len(y), (1,), generator=generator)
            if bool(y[second[i]] == y[first[i]]) == bool(same[i]) and second[i] != first[i]:
                break
    return first, second, same


def train(name: str, epochs: int = 3, seed: int = 0, margin: float = 2.0) -> SiameseModel:
    """A small CNN under the contrastive loss of Hadsell et al. 2006, on all pairs of a batch, its threshold at the
    equal error rate.
    """
    torch.manual_seed(seed)
    x, y = images(name, train=True)
    model = SiameseModel(fashion_encoder(16), "euclidean")
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    steps = epochs * (50_000 // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in tqdm(range(steps), desc=f"train {name}", leave=False):
        chosen = torch.randint(0, 50_000, (128,))
        z = model.encode(x[chosen])
        distance = (z[:, None] - z[None]).square().sum(2).clamp_min(1e-12).sqrt()
        same = y[chosen][:, None] == y[chosen][None]
        off = ~torch.eye(128, dtype=torch.bool)
        loss = distance[same & off].square().mean() + (margin - distance[~same]).clamp_min(0).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    model.eval()
    held = x[50_000:], y[50_000:]
    a, b, same = pairs(*held, 4000, seed=1)
    print(name, calibrate(model, held[0][a], held[0][b], same))
    return model


def trained(name: str) -> SiameseModel:
    """The model of ``train``, read from build/."""
    from safetensors.torch import load_file

    model = SiameseModel(fashion_encoder(16), "euclidean").eval()
    tensors = load_file(BUILD / f"contrastive_{name}.safetensors")
    model.comparison.threshold_ = float(tensors.pop("threshold"))
    model.load_state_dict(tensors)
    return model


def make(name: str) -> dict[str, Any]:
    """Trains, saves, and tests on pairs of the test set."""
    from safetensors.torch import save_file

    start = time.perf_counter()
    model = train(name)
    seconds = time.perf_counter() - start
    BUILD.mkdir(exist_ok=True)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(
        {**tensors, "threshold": torch.tensor(model.comparison.threshold_, dtype=torch.float64)},
        BUILD / f"contrastive_{name}.safetensors",
    )
    x, y = images(name, train=False)
    a, b, same = pairs(x, y, 4000, seed=2)
    with torch.no_grad():
        right = model.comparison.is_close(model(x[a], x[b])) == same
    return {
        "accuracy_on_4000_test_pairs": round(float(right.float().mean()), 4),
        "threshold": model.comparison.threshold_,
        "seconds": round(seconds, 1),
    }


def swap(name: str, count: int = 500) -> dict[str, Any]:
    """Region swaps: flips, checked again by an independent hook, and cells swapped against the exhaustive optimum."""
    model, (x, y) = trained(name), images(name, train=False)
    a, b, _ = pairs(x, y, count, seed=3)
    greedy = PairRegionSwap(model, LAYER).find((x[a], x[b]), show_progress=True)
    again = [one.flipped and swapped_again(model, one) for one in greedy]
    painted = sum(decided(model, one.edited) != one.alike_before for one in greedy)
    return {
        "pairs": count,
        "called_alike": sum(one.alike_before for one in greedy),
        "flipped_and_rechecked": round(sum(again) / count, 4),
        "mean_cells": round(mean(one.count for one in greedy), 3),
        "median_cells": median(one.count for one in greedy),
        "flips_as_pasted_pixels_too": round(painted / count, 4),
        "median_nearest_over_typical": round(
            median(one.nearest / one.typical for one in greedy if one.nearest is not None and one.typical), 3
        ),
    }


def optimum(name: str, count: int = 500) -> dict[str, Any]:
    """Greedy counts against the optimum of up to two edits. Both searches begin with all single edits, so one or two
    greedy ones are optimal.
    """
    model, (x, y) = trained(name), images(name, train=False)
    a, b, _ = pairs(x, y, count, seed=3)
    search = PairRegionSwap(model, LAYER)
    greedy = search.find((x[a], x[b]))
    more = torch.tensor([i for i, one in enumerate(greedy) if one.count > 2])
    best = search.find((x[a[more]], x[b[more]]), search="exhaustive", show_progress=True)
    known = [(one.count, one.count) for one in greedy if one.flipped and one.count <= 2]
    known += [
        (greedy[int(i)].count, one.count) for i, one in zip(more, best, strict=True) if one.flipped and one.count <= 2
    ]
    return {
        "pairs": count,
        "tried_exhaustively": len(more),
        "pairs_with_known_optimum": len(known),
        "cells_over_optimum": round(mean(g for g, _ in known) / mean(e for _, e in known), 4),
    }


def mask(name: str, count: int = 500) -> dict[str, Any]:
    """Minimal masks: flips of the hard mask, checked again by a plain forward pass."""
    model, (x, y) = trained(name), images(name, train=False)
    a, b, _ = pairs(x, y, count, seed=3)
    masks = PairMinimalMask(model).find((x[a], x[b]), internal_batch_size=125, show_progress=True)
    again = [one.flipped and decided(model, one.edited) != decided(model, one.inputs) for one in masks]
    return {
        "pairs": count,
        "flipped_and_rechecked": round(sum(again) / count, 4),
        "mean_share_of_image": round(mean(one.size for one in masks), 4),
        "median_share_of_image": round(median(one.size for one in masks), 4),
        "mean_regions": round(mean(one.count for one in masks), 2),
    }


def decided(model: SiameseModel, pair: tuple[Tensor, Tensor]) -> bool:
    """Whether the model calls one pair alike, by a plain forward pass."""
    with torch.no_grad():
        return bool(model.comparison.is_close(model(*pair))[0])


def swapped_again(model: SiameseModel, one: Counterfactual) -> bool:
    """Whether the edits flip the decision when made by a hook that shares no code with the search."""
    side = "ab".index(one.side)
    layer, seen = model.encoder.get_submodule(LAYER), []
    handle = layer.register_forward_hook(lambda *args: seen.append(args[2].clone()))
    before = decided(model, one.inputs)
    handle.remove()
    changed, source = seen[side].clone(), seen[1 - side]
    for edit in one.edits:
        assert edit.source is not None
        changed[0, :, edit.where[0], edit.where[1]] = source[0, :, edit.source[0], edit.source[1]]
    with torch.no_grad():
        handle = layer.register_forward_hook(lambda *_: changed)
        z = model.encode(one.inputs[side])
        handle.remove()
        other = model.encode(one.inputs[1 - side])
        return bool(model.comparison.is_close(model.compare(z, other))[0]) != before


def planted(count: int = 200, patch: int = 8) -> dict[str, Any]:
    """Unrelated faint clothes that share one pasted patch, under a model trained to match patches: do the first swap
    and the mask hit it?
    """
    x, _ = images("fashion_mnist", train=False)
    generator = torch.Generator().manual_seed(0)

    def batch(number: int, same: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        sides, masks = [], []
        content = (
            torch.randint(0, 2, (2, number, 1, patch // 2, patch // 2), generator=generator)
            .float()
            .repeat_interleave(2, 3)
            .repeat_interleave(2, 4)
        )
        for side in (0, 1):
            image = 0.3 * x[torch.randint(0, len(x), (number,), generator=generator)]
            where = torch.zeros(number, 28, 28, dtype=torch.bool)
            for i, (row, column) in enumerate(torch.randint(0, 29 - patch, (number, 2), generator=generator).tolist()):
                image[i, :, row : row + patch, column : column + patch] = content[0 if same else side, i]
                where[i, row : row + patch, column : column + patch] = True
            sides.append(image)
            masks.append(where)
        return sides[0], sides[1], masks[0], masks[1]

    torch.manual_seed(0)
    model = SiameseModel(fashion_encoder(32), "euclidean")
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in tqdm(range(600), desc="train planted", leave=False):
        loss = torch.zeros(())
        for same in (True, False):
            distance = model(*batch(48, same)[:2])
            loss = loss + (distance.square().mean() if same else (2 - distance).clamp_min(0).square().mean())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    positive, negative = batch(1000, True), batch(1000, False)
    sides = [torch.cat([positive[k], negative[k]]) for k in (0, 1)]
    calibration = calibrate(model, sides[0], sides[1], torch.arange(2000) < 1000)
    a, b, mask_a, mask_b = batch(4 * count, True)
    chosen = (
        model.comparison.is_close(model(a, b).detach()).nonzero().flatten()[:count]
    )  # the patch is why they are alike
    a, b, masks = a[chosen], b[chosen], (mask_a[chosen], mask_b[chosen])
    plain = 0.3 * x[torch.randint(0, len(x), (len(a),), generator=generator)]  # distractors without any patch
    fit = ~model.comparison.is_close(model(plain, b).detach())
    swaps = PairRegionSwap(model, LAYER).find((a[fit], b[fit]), wrt="first", distractor=plain[fit])
    hits = [bool(truth[cell(one.edits[0].where)].any()) for one, truth in zip(swaps, masks[0][fit], strict=True)]
    partner = PairRegionSwap(model, LAYER).find((a, b))
    into, out_of = [], []
    for i, one in enumerate(partner):
        side, source = "ab".index(one.side), one.edits[0].source
        assert source is not None
        into.append(bool(masks[side][i][cell(one.edits[0].where)].any()))
        out_of.append(bool(masks[1 - side][i][cell(source)].any()))
    holes = PairMinimalMask(model).find((a, b))
    inside = []
    for i, one in enumerate(holes):
        assert one.mask is not None
        removed, truth = one.mask[0, 0], masks["ab".index(one.side)][i]
        inside.append(float((removed & truth).sum() / removed.sum()))
    return {
        "pairs": len(chosen),
        "accuracy_of_model": round(calibration.accuracy, 4),
        "patch_share_of_image": round(patch**2 / 784, 4),
        "pairs_with_plain_distractor": len(swaps),
        "swaps_flipped": round(mean(one.flipped for one in swaps), 4),
        "first_swap_hits_patch": round(mean(hits), 4),
        "without_distractor_first_swap_replaces_patch": round(mean(into), 4),
        "without_distractor_first_swap_replaces_or_copies_patch": round(
            mean(i or o for i, o in zip(into, out_of, strict=True)), 4
        ),
        "masks_flipped": round(mean(one.flipped for one in holes), 4),
        "mask_hits_patch": round(mean(share > 0 for share in inside), 4),
        "mask_mostly_inside_patch": round(mean(share > 0.5 for share in inside), 4),
        "mean_share_of_mask_inside_patch": round(mean(inside), 4),
    }


def cell(where: tuple[int, ...]) -> tuple[slice, slice]:
    """The pixels under a cell of the 7 x 7 grid."""
    return slice(4 * where[0], 4 * where[0] + 4), slice(4 * where[1], 4 * where[1] + 4)


def sanity(name: str, count: int = 200) -> dict[str, Any]:
    """Parts add up; swapping the inputs swaps the maps; a random model's maps are not the trained one's."""
    model, (x, y) = trained(name), images(name, train=False)
    a, b, _ = pairs(x, y, count, seed=4)
    maps = PairCounterfactualMaps(model, LAYER).explain((x[a], x[b]))
    turned = PairCounterfactualMaps(model, LAYER).explain((x[b], x[a]))
    gap = max(
        float((f + c - m).abs().max()) for f, c, m in zip(maps.factual, maps.counterfactual, maps.maps, strict=True)
    )
    swapped = max(float((m - t).abs().max()) for m, t in zip(maps.maps, reversed(turned.maps), strict=True))
    values = []
    for seed in range(1, 6):
        torch.manual_seed(seed)
        random = SiameseModel(fashion_encoder(16), "euclidean").eval()
        other = PairCounterfactualMaps(random, LAYER).attribute((x[a], x[b]))
        both = [pair for side in (0, 1) for pair in zip(maps.maps[side], other[side], strict=True)]
        values.append(
            torch.stack([torch.corrcoef(torch.stack([m.flatten(), o.flatten()]))[0, 1] for m, o in both]).nan_to_num()
        )
    between = torch.stack(values)
    return {
        "parts_less_whole": gap,
        "swapped_less_swapped_maps": swapped,
        "random_models": len(values),
        "mean_correlation_with_random_models": round(float(between.mean()), 3),
        "of_each": [round(float(v.mean()), 3) for v in between],
    }


EACH: dict[str, Any] = {"train": make, "swap": swap, "optimum": optimum, "mask": mask, "sanity": sanity}
ONCE: dict[str, Any] = {"planted": planted, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*EACH, *ONCE], choices=[*EACH, *ONCE])
    parser.add_argument("--sets", nargs="*", default=SETS, choices=SETS)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for part in given.parts:
        found = ONCE[part]() if part in ONCE else {name: EACH[part](name) for name in given.sets}
        known = json.loads(OUT.read_text()) if OUT.exists() else {}
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(
            json.dumps({**known, part: {**known.get(part, {}), **found}, "torch": torch.__version__}, indent=2) + "\n"
        )
        print(json.dumps({part: found}, indent=2))


if __name__ == "__main__":
    main()
