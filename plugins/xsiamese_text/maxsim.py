"""Late interaction: each token of a with the token of b that is most like it."""

from __future__ import annotations

import torch
from torch import Tensor

from xsiamese.author import Comparison, wide


class MaxSim(Comparison):
    r"""The sum over the tokens of a of the largest inner product with a token of b,
    :math:`\sum_i \max_j q_i \cdot d_j`.

    Embeddings are of tokens, shape (pairs, tokens, dimensions + 1): the last channel is 1 where a token counts.

    Args:
        mean: whether the sum is divided by the number of tokens of a.

    Example:
        >>> tokens = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 2.0, 1.0]]])
        >>> MaxSim()(tokens, tokens)
        tensor([5.])
    """

    name = "maxsim"

    def __init__(self, mean: bool = False) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        found = self.products(z_a, z_b).amax(2) * z_a[..., -1]
        return found.sum(1) / z_a[..., -1].sum(1).clamp(min=1) if self.mean else found.sum(1)

    def matrix(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        """What each token of a gives with each of b, shape (pairs, tokens of a, tokens of b); it sums to the score."""
        products = self.products(z_a, z_b)
        best = torch.zeros_like(products).scatter(2, products.argmax(2, keepdim=True), 1)
        found = torch.where(best > 0, products, 0) * z_a[..., -1:]
        return found / z_a[..., -1].sum(1)[:, None, None].clamp(min=1) if self.mean else found

    @staticmethod
    def products(z_a: Tensor, z_b: Tensor) -> Tensor:
        """The inner products of all tokens, minus infinity where b's does not count."""
        z_a, z_b = wide(z_a), wide(z_b)
        found = z_a[..., :-1] @ z_b[..., :-1].transpose(1, 2)
        return found.masked_fill(z_b[:, None, :, -1] == 0, -torch.inf)
