"""Units of masks: what belongs to none stays, for one map for all pairs and for a map for each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from xsiamese import InvarianceLearner, RobustPairExplainer, SiameseModel
from xsiamese_invariance.units import edge_units, units_of


@pytest.mark.parametrize("per_pair", [False, True])
def test_gather_is_expand_transposed(per_pair: bool) -> None:
    index = edge_units(4)
    rows = torch.randn(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    units = units_of((rows,), index.expand(3, 4, 4) if per_pair else index)
    mask = torch.rand(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (spread,) = units.expand(mask, fixed=0.0)
    assert torch.equal(spread, spread.mT)
    assert spread.diagonal(dim1=1, dim2=2).abs().max() == 0
    assert units.expand(mask)[0].diagonal(dim1=1, dim2=2).min() == 1
    assert torch.allclose((spread * rows).sum((1, 2)), (mask * units.gather([rows])).sum(1))


@pytest.mark.parametrize("per_pair", [False, True])
def test_numbers_without_a_unit_are_never_replaced(per_pair: bool) -> None:
    """The score needs the diagonal and the edge between the first two regions: that edge is kept, and the diagonal
    costs nothing.
    """

    class Encoder(nn.Module):
        def forward(self, matrices: Tensor) -> Tensor:
            return torch.stack([2 * matrices[:, 0, 1], matrices[:, 2, 2]], 1)

    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(40, 3, 3, generator=generator)
    matrices = (matrices + matrices.mT) / 2
    index = edge_units(3).expand(2, 3, 3) if per_pair else edge_units(3)
    model = SiameseModel(Encoder(), "dot")
    invariance = InvarianceLearner(model, units=index, steps=200).fit(matrices[:2], matrices[4:])
    assert invariance.mask.shape == (2, 3)
    assert invariance.mask.argmax(1).tolist() == [0, 0]
    mask, _ = RobustPairExplainer(model).attribute(
        (matrices[:2], matrices[2:4]), invariance=invariance, units=index, steps=300
    )
    assert mask.diagonal(dim1=1, dim2=2).abs().max() == 0
    assert mask.flatten(1).argmax(1).tolist() == [1, 1]
    assert torch.equal(mask, mask.mT)
