"""What of a layer's calls cannot be told of a and of b, or cannot be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

TRANSFORMED = (
    "the model calls its layers inside a transform of torch.func (vmap, grad, jvp), where what they give is no tensor "
    "of the score's own: explain the inputs, as PairIntegratedGradients and PairOcclusion do, or call the layer "
    "outside of the transform"
)


def refuse_beside(name: str, one: int, two: int) -> None:
    """Refuses a module that gets something else in one call with the items, such as a bank of prototypes.

    Args:
        name: of the module.
        one: how many rows it gives for one pair.
        two: how many for two.

    Raises:
        ValueError: if there are some for none.
    """
    name = name.removeprefix("model.")
    if one < two < 2 * one:
        raise ValueError(
            f"{name!r} gives {one} rows for one pair and {two} for two: it gets something else in one call with the "
            "items, such as a bank of prototypes; encode that in a call of its own, keep what the encoder gives of it "
            "as a buffer of the model, or take a method of the inputs without rules for layers, as "
            "PairIntegratedGradients or PairOcclusion"
        )


def refuse_times_first(name: str, one: Tensor, two: Tensor) -> None:
    """Refuses a module that has pairs in another dimension than the first.

    Args:
        name: of the module.
        one: what it gives of one pair.
        two: what it gives of two.

    Raises:
        ValueError: if there is twice as much of two, in as many rows.
    """
    if one.dim() and len(one) == len(two) and two.numel() == 2 * one.numel():
        raise ValueError(
            f"{name.removeprefix('model.')!r} gives {len(one)} rows for one pair and as many for two: dimension 0 of a "
            "layer's output must be the pair; make the model with batch_first=True, choose a layer whose rows are the "
            "pairs, or explain the inputs"
        )


def refuse_pieces(name: str, one: Tensor, two: Tensor) -> None:
    """Refuses a layer of one side that gets it in several pieces at once.

    Args:
        name: of the layer.
        one: what it gives of one pair.
        two: what it gives of two.

    Raises:
        ValueError: if there are several rows for each pair.
    """
    if one.dim() and len(two) == 2 * len(one) > 2:
        raise ValueError(
            f"layer {name!r} gets each item in pieces, {len(one)} rows for one pair in one call, as frames, views or "
            "windows, and has no map of the item: call it once for each piece, choose a layer around them, or explain "
            "the inputs"
        )


def refuse_packed(name: str, outputs: Iterable[Any]) -> None:
    """Refuses a layer that gives packed sequences: their rows are times of all pairs, one after the other.

    Raises:
        ValueError: if one of the outputs is packed, or holds one first.
    """
    firsts = (output[0] if type(output) is tuple and output else output for output in outputs)
    if any(isinstance(first, PackedSequence) for first in firsts):
        raise ValueError(
            f"layer {name!r} gives a packed sequence, whose rows are times of all pairs together: choose a layer after "
            "pad_packed_sequence, or explain the inputs"
        )


def refuse_transformed(outputs: Iterable[Tensor]) -> None:
    """Refuses what layers give inside a transform: no gradient of the whole score comes by there.

    Raises:
        ValueError: if one of the outputs is of a transform of torch.func.
    """
    if any(torch._C._functorch.is_functorch_wrapped_tensor(output) for output in outputs):
        raise ValueError(TRANSFORMED)


def refuse_backward() -> None:
    """Refuses a call of a shared module that is made in a backward pass: whose it is cannot be told any more.

    Raises:
        ValueError: with what to switch off.
    """
    if torch._C._current_graph_task_id() >= 0:
        raise ValueError(
            "the model checkpoints its activations: a shared module is called again in the backward pass, and for "
            "which side cannot be told; switch it off to explain (gradient_checkpointing_disable(), "
            "use_checkpoint=False, or without torch.utils.checkpoint), or use a method of the inputs"
        )
