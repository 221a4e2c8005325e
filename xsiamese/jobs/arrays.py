"""An explanation of many pairs as arrays of a zarr group, from which some of the pairs are read without the others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from xsiamese.jobs.recipe import Precision
from xsiamese.kinds.kind import Kind
from xsiamese.result import files, items
from xsiamese.result.explanation import PairExplanation

CHUNK = 2**18  # bytes of the smallest part that is read at once
_OF_SIDE = re.compile(r"(maps|inputs)\.[ab]\.\d+")
_OF_ENTRY = re.compile(r"(columns\.[^.]+)\.(\d+)(.*)")
_EXACT = re.compile(r"scores|delta|inputs\..*")


def write(
    group: zarr.Group, explanation: PairExplanation, words: Sequence[Sequence[str]], precision: Precision
) -> None:
    """Writes an explanation into an empty group: every array is one shard.

    Args:
        group: of a unit.
        explanation: of its pairs.
        words: of a and of b, one a pair: an input that several pairs have is kept once.
        precision: "half" keeps maps and columns in 16 bits, each array divided by its largest value.
    """
    tensors, plain = files.packed(explanation)
    layout: dict[str, dict[str, Any]] = {}
    entries: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        found = _OF_ENTRY.fullmatch(name)
        if found:  # of one pair: "columns.matrix.12.left" is joined with those of the other pairs
            entries.setdefault(f"{found[1]}.*{found[3]}", {})[int(found[2])] = tensor
            continue
        place = _OF_SIDE.fullmatch(name)
        told: dict[str, Any] = {"of": "pairs" if place or "." not in name or name.startswith("columns.") else "all"}
        if place and place[1] == "inputs":
            own = words["ab".index(name[7])]  # "inputs.a.0"
            first = {word: row for row, word in reversed(list(enumerate(own)))}  # the first row of each word
            number = {word: i for i, word in enumerate(dict.fromkeys(own))}
            told = {"of": "items", "index": [number[word] for word in own]}
            tensor = tensor[torch.tensor([first[word] for word in number])]
        layout[name] = told | _put(group, name, tensor, _kept(name, precision))
    for name, parts in entries.items():
        shapes = [list(parts[i].shape) for i in sorted(parts)]
        if all(shape == shapes[0] for shape in shapes):
            joined = torch.stack([parts[i] for i in sorted(parts)])
        else:
            joined = torch.cat([parts[i].flatten() for i in sorted(parts)])
        told = {
            "of": "entries",
            "pairs": sorted(parts),
            "shapes": shapes,
            "stacked": joined.dim() == len(shapes[0]) + 1,
        }
        layout[name] = told | _put(group, name, joined, _kept(name, precision))
    # as texts: zarr copies attributes item by item and writes them by its own encoder, longer than all numbers take
    group.attrs.put({"explanation": json.dumps(plain), "layout": json.dumps(layout)})


def read(group: zarr.Group, rows: Sequence[int] | None = None) -> PairExplanation:
    """The explanation of some rows of a group, or of all.

    Args:
        group: of a unit.
        rows: their numbers in the arrays.
    """
    plain, layout = (json.loads(str(group.attrs[name])) for name in ("explanation", "layout"))
    which = list(range(group["scores"].shape[0])) if rows is None else list(rows)  # type: ignore[union-attr]
    tensors: dict[str, Tensor] = {}
    for name, of in layout.items():
        tensors |= _read(group, name, of, which)
    plain["ids"] = [plain["ids"][i] for i in which] if plain["ids"] else None
    plain["columns"] = {
        name: None if entries is None else [_renumbered(entries[i], name, i, n) for n, i in enumerate(which)]
        for name, entries in plain["columns"].items()
    }
    cut = {name.rpartition(".")[0] for name, of in layout.items() if of["of"] in ("pairs", "items")}

    def taken(name: str, value: Any, kind: Kind) -> Any:
        return value if name in cut else items.take(value, which, kind)

    return files.unpacked(str(group.store), tensors, plain, PairExplanation, taken)


def _kept(name: str, precision: Precision) -> Precision:
    return "full" if _EXACT.fullmatch(name) else precision


def _put(group: zarr.Group, name: str, tensor: Tensor, precision: Precision) -> dict[str, Any]:
    """Writes one array as one shard, and gives what is needed to read it as it was."""
    own = tensor.detach().cpu().contiguous()
    told: dict[str, Any] = {"dtype": str(own.dtype).removeprefix("torch.")}
    if own.dtype == torch.bfloat16:
        own = own.float()
    if precision == "half" and own.dtype in (torch.float32, torch.float64) and own.numel():
        largest = float(own.abs().max()) or 1.0
        own, told["scale"] = (own / largest).half(), largest
    array = own.numpy()
    if not array.ndim or not array.size:  # nothing that can be cut into shards
        told["value"], told["shape"] = array.tolist(), list(array.shape)
        return told
    rows = max(1, min(len(array), CHUNK // array[:1].nbytes))
    whole = -(-len(array) // rows) * rows  # a shard is a whole number of chunks
    shape = array.shape[1:]
    made = group.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=(rows, *shape),
        shards=(whole, *shape),
        chunk_key_encoding={"name": "default", "separator": "."},  # a file beside its metadata: no folders to fsync
        config={"write_empty_chunks": True},  # or every number is compared with the one that stands for nothing
    )
    made[...] = array
    return told


def _read(group: zarr.Group, name: str, told: Mapping[str, Any], which: Sequence[int]) -> dict[str, Tensor]:
    if told["of"] == "all":
        return {name: _tensor(_got(group, name, told, None), told)}
    if told["of"] == "pairs":
        return {name: _tensor(_got(group, name, told, which), told)}
    if told["of"] == "items":
        wanted = [told["index"][i] for i in which]
        each = sorted(set(wanted))
        found = _tensor(_got(group, name, told, each), told)
        return {name: found[torch.tensor([each.index(i) for i in wanted], dtype=torch.long)]}
    place = {pair: i for i, pair in enumerate(told["pairs"])}
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in told["shapes"])])
    found_of = {}
    for n, pair in enumerate(which):
        if (i := place.get(pair)) is None:
            continue  # this pair has no such part
        span = [i] if told["stacked"] else range(int(ends[i]), int(ends[i + 1]))
        found_of[name.replace("*", str(n))] = _tensor(_got(group, name, told, span), told).reshape(told["shapes"][i])
    return found_of


def _got(group: zarr.Group, name: str, told: Mapping[str, Any], which: Sequence[int] | None) -> np.ndarray:
    """Rows of an array; neighbours are read as one slice."""
    if "value" in told:
        whole = np.array(told["value"], dtype=told["dtype"].replace("bfloat16", "float32")).reshape(told["shape"])
        return whole if which is None else whole[list(which)]
    array: Any = group[name]
    if which is None:
        return np.asarray(array[...])
    if len(which) and which[-1] - which[0] + 1 == len(which):
        return np.asarray(array[which[0] : which[-1] + 1])
    return np.asarray(array.oindex[np.array(which, dtype=int)])


def _tensor(array: np.ndarray, told: Mapping[str, Any]) -> Tensor:
    made = torch.from_numpy(np.array(array)).to(getattr(torch, told["dtype"]))
    return made * told["scale"] if "scale" in told else made


def _renumbered(entry: Any, name: str, old: int, new: int) -> Any:
    """What a column says of one entry, which stands at another place now."""
    if "tensor" not in entry:
        return entry
    return {"tensor": entry["tensor"].replace(f"{name}.{old}", f"{name}.{new}", 1)}
