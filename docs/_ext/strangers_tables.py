"""The tables of the page "Does it work with my model?" from docs/measurements/strangers.json and families.json."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from zoo_tables import rows

TWIN = "as captum explains two separate encoders, to 1e-6"
# test: (what is tried, what is held)
TRIED = {
    "test_ids_of_tokens_are_explained_on_the_embedding_as_on_the_twin": (
        "text encoders of transformers, from ids",
        f"integrated gradients of the words' vectors, {TWIN}",
    ),
    "test_an_image_and_words_are_explained_as_captum_does_on_the_towers": (
        "two towers: an image and words",
        f"integrated gradients of both layers and leaving out each word, {TWIN}",
    ),
    "test_pictures_of_transformers": (
        "vision transformers of transformers",
        f"integrated gradients of both images, {TWIN}",
    ),
    "test_what_is_pooled_inside_a_model_is_taken_and_not_what_it_returns_beside": (
        "image networks of transformers that pool inside",
        "HiResCAM of the layer taken by itself is what the hidden state and the pooling give by hand",
    ),
    "test_plain_encoders": (
        "sequences, sounds, rows, images and volumes",
        f"integrated gradients, and Grad-CAM where there is a layer, {TWIN}",
    ),
    "test_the_last_places_of_the_item_are_taken_and_no_others": (
        "sets, points, series and rows",
        "HiResCAM of the layer taken by itself is what its vectors give by hand, one for each place of the item",
    ),
    "test_cells_of_an_input_that_the_model_turns_first_are_not_taken_for_its_own": (
        "models that turn their input first",
        "one line asks for the input as the first layer takes it",
    ),
    "test_models_that_join_their_sides_are_explained_inside_of_each": (
        "models that join their sides",
        f"integrated gradients and Grad-CAM inside each side, {TWIN}",
    ),
    "test_computed_weights_are_explained_as_what_they_come_to": (
        "weights that are computed",
        "DeepLIFT, LRP, Grad-CAM and conductance as of the weights that they come to",
    ),
    "test_sounds_are_explained_as_their_twin": (
        "encoders of sounds of transformers",
        f"integrated gradients {TWIN}; Grad-CAM of the layer taken by itself as its hidden state and slope give it by "
        "hand; RISE and a pair matrix as of two encoders",
    ),
    "test_deeplift_of_sounds_is_that_of_captum_on_the_twin": ("encoders of sounds", f"DeepLIFT, {TWIN}"),
    "test_a_sound_beside_a_longer_one_is_explained_as_alone": (
        "sounds with a mask",
        "Grad-CAM and HiResCAM of a padded sound are those of it alone, and nothing at padding",
    ),
    "test_what_changes_moves_the_place_where_it_lies": (
        "sizes that fit two dimensions",
        "a part of the input that changes moves the place where it lies, however many of anything there are",
    ),
    "test_a_patch_that_changes_moves_the_cell_where_it_lies": (
        "image networks of timm",
        "the layer taken by itself is a grid over the image: a patch that changes moves the cell where it lies",
    ),
}


def tables(path: Path) -> dict[str, str]:
    """The text of the include file, by its name."""
    if not path.exists():
        told = "Nothing has been tried in this checkout yet: ``python tests/benchmarks/strangers.py``.\n"
        return {"strangers.inc": told}
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = []
    for test, (what, held) in TRIED.items():
        ended = {one["kind"]: one["ended"] for one in found["outcomes"] if one["test"] == test}
        failed = [f"{kind} (**{how}**)" for kind, how in sorted(ended.items()) if how != "passed"]
        # of many sizes of one kind, "kind: sizes", how many
        kinds = Counter(kind.partition(": ")[0] for kind, how in sorted(ended.items()) if how == "passed")
        names = [kind if many == 1 else f"{kind} ({many})" for kind, many in kinds.items()]
        lines.append([f"{what} ({len(ended)})", ", ".join([*names, *failed]), held])
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    passed = sum(one["ended"] == "passed" for one in found["outcomes"])
    said = f"{passed} of {len(found['outcomes'])} tests of strangers pass, with {versions}.\n"
    return {"strangers.inc": f"{rows(['Models', 'Tried', 'Held'], lines)}\n{said}"}


def of_families(path: Path) -> dict[str, str]:
    """The include file with the layer that is taken in a network of each family of timm."""
    if not path.exists():
        told = "Nothing has been tried in this checkout yet: ``python -m tests.benchmarks.families``.\n"
        return {"families.inc": told}
    record = json.loads(path.read_text(encoding="utf-8"))
    tried = {family: one for family, one in record["families"].items() if "taken" in one}
    own_place = ", with weights that look at their own place"
    weights = {"first": "", "own place": own_place, "own place alone": f"{own_place} and at no other"}
    held = {True: "it moves the cell where it lies", False: "**it moves another cell**"}
    lines = []
    for family, one in tried.items():
        own = weights[one["weights"]]
        place = one["taken"].partition(";")[0].replace(": ", ", ", 1)
        lines.append([family, f"``{one['network']}``, {one['size']} pixels", place, held[one["follows"]] + own])
    failed = [f"{family} ({one['failed']})" for family, one in record["families"].items() if "failed" in one]
    left = f" Not made in any of the sizes tried: {', '.join(failed)}." if failed else ""
    right = sum(one["follows"] for one in tried.values())
    said = f"{right} of {len(tried)} families of timm {record['timm']}.{left}\n"
    heads = ["Family", "Network", "Layer taken by itself", "A patch that changes"]
    return {"families.inc": f"{rows(heads, lines)}\n{said}"}
