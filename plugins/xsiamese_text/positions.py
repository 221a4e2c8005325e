"""How many tokens a model reads."""

from __future__ import annotations

from typing import Any

from torch import nn


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
