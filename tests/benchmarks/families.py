"""Where the cells of every family of image networks of timm are found by themselves.

Run ``python -m tests.benchmarks.families [family ...]`` in the root of the checkout; it writes
``docs/measurements/families.json``, and goes on where it was stopped. A family is a file of timm; one small network of
each, with random weights, is looked at as in ``tests/strangers/test_families.py``: two corners of an image change, and
the cell that moves most is to be the one where they lie. First weights of some mix all places; these are tried once
more with weights that look at their own place, and where 32 blocks of wide kernels mix these too, at nothing else.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from tqdm import tqdm

from tests.strangers.marked import looks_at_its_own_place, marked
from tests.strangers.test_families import FAMILIES, made

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "families.json"
Network = tuple[str, int, dict[str, Any]]
THIN = {"depth": 2, "embed_dim": 48, "num_heads": 3}
# what is small of the families that the tests do not have; of all others the shortest name that says so
OTHERS: dict[str, Network] = {
    "vision_transformer": ("test_vit", 160, {}),
    "vision_transformer_sam": ("samvit_base_patch16", 128, {**THIN, "global_attn_indexes": (1,)}),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", 128, {"depth": 2}),
    "vitamin": ("vitamin_small_224", 128, {}),
    "deepseek_vit": ("deepseek_vit_412m", 112, {"depth": 2}),
    "gemma4_vit": ("gemma4_vit_167m", 96, {"depth": 2}),
    "naflexvit": ("naflexvit_base_patch16_gap", 64, THIN),
    "hieradet_sam2": ("sam2_hiera_tiny", 224, {}),
    "mobilenetv5": ("mobilenetv5_300m", 128, {}),
    "senet": ("legacy_seresnet18", 64, {}),
    "swin_transformer_v2_cr": ("swinv2_cr_tiny_224", 224, {}),
    "convmixer": ("convmixer_768_32", 63, {}),
    "cspnext": ("cspnext_tiny", 128, {}),
    "efficientvit_mit": ("efficientvit_b0", 128, {}),
    "iformer": ("iformer_s", 128, {}),
    "crossvit": ("crossvit_tiny_240", 240, {}),
}
SMALL = ("tiny", "nano", "pico", "atto", "femto", "_s0", "small", "_s1", "_s", "18", "slim")
SIZES = (64, 128, 224, 256)


def networks() -> dict[str, Network]:
    """A small network of each family, and the size of its images; 0 takes the first that it works with."""
    known = {timm.models.model_entrypoint(one[0]).__module__.rsplit(".", 1)[-1]: one for one in FAMILIES.values()}
    names: dict[str, list[str]] = {}
    for name in timm.list_models():
        names.setdefault(timm.models.model_entrypoint(name).__module__.rsplit(".", 1)[-1], []).append(name)

    def smallest(one: str) -> tuple[int, int, str]:
        return next((i for i, hint in enumerate(SMALL) if hint in one), len(SMALL)), len(one), one

    return {
        family: known.get(family, OTHERS.get(family, (min(all_, key=smallest), 0, {})))
        for family, all_ in names.items()
    }


def tried(network: Network) -> dict[str, Any]:
    """What is found of one network."""
    name, size, settings = network
    start = time.process_time()
    for one in (size,) if size else SIZES:
        try:
            encoder = made(name, one, settings)
            with torch.no_grad():
                encoder(torch.randn(1, 3, one, one))
            found = marked(encoder, one)
        except Exception as error:  # whatever the network says of a size
            failed = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        weights = "first"
        for again, others in (("own place", 0.03), ("own place alone", 0.0)):
            if not found.follows:
                encoder, weights = made(name, one, settings), again
                looks_at_its_own_place(encoder, one, others)
                found = marked(encoder, one, own_place=True)
        record = {"size": one, "taken": found.taken, "grid": found.grid, "weights": weights, "follows": found.follows}
        return {"network": name, **record, "seconds": round(time.process_time() - start, 1)}
    return {"network": name, "failed": failed}


def main() -> None:
    """Looks at each family that the record lacks, or at those that are named, and writes after each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    record = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    found = record.get("families", {})
    wanted = networks()
    for family in tqdm([one for one in sys.argv[1:] or wanted if one in sys.argv[1:] or one not in found]):
        torch.manual_seed(0)
        found[family] = tried(wanted[family])
        written = {"timm": timm.__version__, "torch": torch.__version__, "families": dict(sorted(found.items()))}
        OUT.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
