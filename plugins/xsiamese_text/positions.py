"""How many tokens a model reads, and whether padding is one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def longest_of(model: nn.Module, tokenizer: Any, asked: int | None) -> tuple[int | None, int | None]:
    """The most tokens of a text, as asked or as the tokenizer says, and how many the model has positions for."""
    own, positions = int(tokenizer.model_max_length), positions_of(model)
    if asked is None:
        limits = [*([own] if own < 10**6 else []), *([] if positions is None else [positions])]  # a huge one is none
        return min(limits, default=None), positions
    if not isinstance(asked, int) or asked < 1:
        raise ValueError(f"longest={asked!r}: a number of tokens, 1 or more, is needed")
    if positions is not None and asked > positions:
        raise ValueError(f"longest={asked}: the model has positions for {positions} tokens")
    return asked, positions


def positions_of(model: nn.Module) -> int | None:
    """How many tokens the model's table of positions holds, None where it has none."""
    known, limits = getattr(getattr(model, "config", None), "max_position_embeddings", 0), []
    for name, table in model.named_modules():
        if isinstance(table, nn.Embedding) and "position" in name and table.num_embeddings == known:
            # those of RoBERTa count from what stands for padding
            limits.append(known if table.padding_idx is None else known - table.padding_idx - 1)
    return min(limits, default=None)


def step_of(model: nn.Module) -> int:
    """Of what number of tokens the model reads a multiple; it fills texts up by itself (Longformer, BigBird)."""
    steps = [1]
    for part in model.modules():
        config: Any = getattr(part, "config", None)
        if hasattr(part, "_pad_to_window_size"):
            windows = config.attention_window
            steps.append(windows if isinstance(windows, int) else max(windows))
        elif hasattr(part, "_pad_to_block_size") and config.attention_type == "block_sparse":
            steps.append(config.block_size)
    return max(steps)


def reads_padding(encoder: nn.Module, tokens: Sequence[int], pad: int, takes: Sequence[str]) -> bool:
    """Whether what is made of some tokens changes with five of padding behind them that a mask marks.

    Args:
        encoder: of ids.
        tokens: four ids, of which the first three are tried, too.
        pad: that of padding.
        takes: the inputs of the encoder.
    """
    weight = next(encoder.parameters(), None)
    if encoder.training or weight is None or "attention_mask" not in takes:
        return False
    return any(_moves(encoder, tokens[:count], pad, takes, weight.device) for count in (3, 4))


def _moves(encoder: nn.Module, tokens: Sequence[int], pad: int, takes: Sequence[str], device: torch.device) -> bool:
    found: list[Tensor] = []
    for more in (0, 5):
        ids = torch.tensor([[*tokens, *[pad] * more]], device=device)
        mask = torch.tensor([[1] * len(tokens) + [0] * more], device=device)
        given = {"input_ids": ids, "attention_mask": mask}
        given |= {"token_type_ids": torch.zeros_like(ids)} if "token_type_ids" in takes else {}
        try:
            with torch.no_grad():
                embedding = encoder(**given)
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError):  # told of where it is asked in earnest
            return False
        found.append(embedding[:, : len(tokens)] if embedding.dim() == 3 else embedding)
    moved: float = float((found[1] - found[0]).abs().max())
    noise = max(1e-5, float(torch.finfo(found[0].dtype).eps) ** 0.5)
    return bool(moved > noise * float(found[0].abs().max()))
