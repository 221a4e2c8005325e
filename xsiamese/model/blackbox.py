"""An encoder of which nothing is known but its answers: an ONNX session, a server, a function of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class BlackBoxEncoder(nn.Module):
    """A function from an array of items to an array of embeddings, as an encoder.

    It has no gradient: explain it by :class:`~xsiamese.PairMaskRegression` or other methods that only ask.

    Args:
        function: takes a numpy array (items, ...), or one for each tensor of an item, and returns one of shape (items,
            dimensions), or a list whose first entry is that, as ONNX Runtime's sessions do.

    Example:
        >>> from xsiamese import SiameseModel
        >>> model = SiameseModel(BlackBoxEncoder(lambda items: items.mean(axis=(2, 3))))
        >>> model(torch.ones(2, 3, 4, 4), torch.ones(2, 3, 4, 4))
        tensor([1., 1.])

    For a file of ONNX there is :class:`~xsiamese.OnnxEncoder`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *items: Tensor, **named: Tensor) -> Tensor:
        first = next(iter((*items, *named.values())))
        found = self.function(
            *(item.detach().cpu().numpy() for item in items),
            **{name: item.detach().cpu().numpy() for name, item in named.items()},
        )
        answer = found[0] if isinstance(found, (list, tuple)) else found
        dtype = first.dtype if first.is_floating_point() else torch.get_default_dtype()
        embeddings = torch.as_tensor(np.asarray(answer)).to(first.device, dtype)
        if embeddings.dim() < 2 or len(embeddings) != len(first):
            raise ValueError(
                f"the function returned {tuple(embeddings.shape)} for {len(first)} items: one row of an embedding for "
                "each is needed"
            )
        return embeddings
