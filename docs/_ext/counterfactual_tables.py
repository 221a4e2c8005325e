"""The tables of the counterfactuals page from docs/measurements/counterfactuals.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo_tables import rows

SETS = ("mnist", "fashion_mnist")


def tables(path: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {
        "counterfactual_pairs.inc": pairs(found)
        if {"train", "swap", "optimum", "mask", "sanity"} <= found.keys()
        else rows([], []),
        "counterfactual_patch.inc": patch(found["planted"]) if "planted" in found else rows([], []),
        "counterfactual_speed.inc": speed(found["speed"]) if "speed" in found else rows([], []),
    }


def pairs(found: dict[str, Any]) -> str:
    """What was measured on test pairs of the two data sets."""
    lines: list[tuple[str, str, str, str]] = [
        ("accuracy of the model on 4,000 test pairs", "train", "accuracy_on_4000_test_pairs", "{:.1%}"),
        ("region swap: flips, each made again by an independent hook", "swap", "flipped_and_rechecked", "{:.1%}"),
        ("cells swapped, mean (of 49)", "swap", "mean_cells", "{:.2f}"),
        ("cells over the exhaustive optimum, where that is at most 2", "optimum", "cells_over_optimum", "{:.2f}"),
        ("on how many pairs", "optimum", "pairs_with_known_optimum", "{}"),
        ("layer swaps that also flip when the pixels are pasted", "swap", "flips_as_pasted_pixels_too", "{:.1%}"),
        (
            "distance to the nearest of the 1,000 items over the usual one between neighbours, median",
            "swap",
            "median_nearest_over_typical",
            "{:.2f}",
        ),
        ("minimal mask: flips, each checked by a plain forward pass", "mask", "flipped_and_rechecked", "{:.1%}"),
        ("masked share of the image, median", "mask", "median_share_of_image", "{:.1%}"),
        ("maps: largest difference of the parts' sum from the whole", "sanity", "parts_less_whole", "{:g}"),
        (
            "maps: mean correlation with those of 5 random models",
            "sanity",
            "mean_correlation_with_random_models",
            "{:+.3f}",
        ),
    ]
    return rows(
        ["", "MNIST", "Fashion-MNIST"],
        [[text, *(form.format(found[part][name][key]) for name in SETS)] for text, part, key, form in lines],
    )


def patch(found: dict[str, Any]) -> str:
    """Whether the edits hit what the two images share."""
    lines = [
        ("against an image without a patch: the first swap replaces the patch", "first_swap_hits_patch"),
        ("without a distractor: the first swap replaces the patch", "without_distractor_first_swap_replaces_patch"),
        (
            "without a distractor: it replaces the patch or copies the partner's",
            "without_distractor_first_swap_replaces_or_copies_patch",
        ),
        ("the mask hits the patch", "mask_hits_patch"),
        ("the mask lies mostly inside it", "mask_mostly_inside_patch"),
    ]
    return rows(["", f"of {found['pairs']} pairs"], [[text, f"{found[key]:.1%}"] for text, key in lines])


def speed(found: dict[str, Any]) -> str:
    """The search in units of what cannot be avoided, and a plain loop in units of the search."""
    lines = [
        (
            "search in both directions, over one forward and backward pass of the pair",
            "both_sides_over_forward_and_backward",
            "{:.2f}",
        ),
        (
            "the same, over a pass that goes back to the inputs only",
            "both_sides_over_forward_and_backward_to_inputs_only",
            "{:.2f}",
        ),
        (
            "search in one direction, over one forward and backward pass of the pair",
            "one_side_over_forward_and_backward",
            "{:.2f}",
        ),
        (
            "loop of the whole model over all candidates, over the search in one direction",
            "loop_of_model_passes_over_whole_search_of_one_side",
            "{:,.0f}",
        ),
        (
            "loop of the head alone over all candidates, over the search in one direction",
            "loop_of_heads_over_whole_search_of_one_side",
            "{:.1f}",
        ),
        (
            "loop of the head alone over the candidates of one edit, over the algebra for one edit",
            "loop_of_heads_over_one_step",
            "{:,.0f}",
        ),
    ]
    return rows(["", "times as long"], [[text, form.format(found[key])] for text, key, form in lines])
