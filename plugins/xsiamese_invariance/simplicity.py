"""What a mask costs: its size, and how undecided it is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class Simplicity:
    r""":math:`\Omega(m) = a_1 \sum_i m_i + a_2 \sum_i H(m_i)` with :math:`m = \sigma(\theta)` and the binary entropy H
    in nats.

    The entropy is computed from the logits, as :math:`\mathrm{softplus}(-\theta) + (1 - m)\,\theta`: the form with
    logarithms of m is NaN in float32 where a mask saturates.

    Attributes:
        size: :math:`a_1`, the price of a unit that is kept.
        entropy: :math:`a_2`, the price of a nat of indecision.

    Raises:
        ValueError: if a price is negative.
    """

    size: float = 0.02
    entropy: float = 0.01

    def __post_init__(self) -> None:
        if not (self.size >= 0 and self.entropy >= 0):
            raise ValueError(f"size={self.size}, entropy={self.entropy}: prices of a mask must not be negative")

    def value(self, theta: Tensor, mask: Tensor, valid: Tensor | None = None) -> Tensor:
        """The price of each mask, shape (pairs,); units that are not ``valid`` cost nothing."""
        price = self.size * mask + self.entropy * (softplus(-theta) + (1 - mask) * theta)
        return (price if valid is None else price * valid).sum(1)

    def slope(self, theta: Tensor, mask: Tensor) -> Tensor:
        r"""Its derivative in the logits, :math:`m (1 - m) (a_1 - a_2 \theta)`."""
        return mask * (1 - mask) * (self.size - self.entropy * theta)
