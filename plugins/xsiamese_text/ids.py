"""Ids that a user gives in place of texts: tensors, and lists as a tokenizer gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xsiamese_text.split import placed


def are_ids(item: Any) -> bool:
    """Whether something is ids of texts: whole numbers (texts, tokens), or a list of lists of them."""
    if isinstance(item, Tensor):
        return item.dim() == 2 and item.dtype in (torch.int64, torch.int32)
    return (
        isinstance(item, (list, tuple))
        and bool(item)
        and all(isinstance(text, (list, tuple)) and all(isinstance(i, int) for i in text) for text in item)
    )


def tensors(given: Mapping[str, Any], takes: Sequence[str], fill: Mapping[str, int], left: bool) -> Mapping[str, Any]:
    """What a tokenizer gave as tensors, with a mask of what fills lists of several lengths up.

    Args:
        given: with ``input_ids``.
        takes: the inputs of the model.
        fill: what fills each of them up.
        left: whether that stands before a text.
    """
    rows = given["input_ids"]
    if isinstance(rows, Tensor):
        return given
    lists = {"attention_mask": [[1] * len(ids) for ids in rows]}
    lists |= {key: given[key] for key in takes if isinstance(given.get(key), Sequence)}
    width = max(map(len, rows))
    return {key: torch.tensor(placed(one, fill.get(key, 0), width, left)) for key, one in lists.items()}


def ends_in_padding(ids: Tensor, tokenizer: Any) -> bool:
    """Whether padding stands at an end of texts, where it may not also be what ends them."""
    pad = tokenizer.pad_token_id
    if pad is None or pad == getattr(tokenizer, "eos_token_id", None):
        return False
    return bool((ids[:, [0, -1]] == pad).any())


def described(item: Any) -> str:
    """What something is, for an error."""
    if isinstance(item, Tensor):
        return f"a tensor of shape {tuple(item.shape)}, {str(item.dtype).removeprefix('torch.')}"
    if isinstance(item, (list, tuple)):
        odd = next((one for one in item if not isinstance(one, type(item[0]))), None)
        also = f" and {type(odd).__name__}" if any(not isinstance(one, type(item[0])) for one in item) else ""
        return f"a {type(item).__name__} of {type(item[0]).__name__}{also}"
    return f"a {type(item).__name__}"
