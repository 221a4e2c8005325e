"""Run with ``pytest`` after ``pip install .``"""

import pytest
import torch

from xsiamese import PairDifference, SiameseModel
from xsiamese.testing import CHECKS, check_explainer


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: str) -> None:
    check_explainer(PairDifference, only=check)


def test_a_dot_product_by_hand() -> None:
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
    of_a, of_b = PairDifference(SiameseModel(torch.nn.Identity(), "dot")).attribute((a, b))
    assert of_a.tolist() == [[6.0, 3.0]]  # (3 - 1) * 3, (-1 - 2) * -1
    assert of_b.tolist() == [[-2.0, 6.0]]


def test_inputs_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="inputs of one shape are needed"):
        PairDifference(SiameseModel(torch.nn.AdaptiveAvgPool1d(1))).attribute(
            (torch.ones(1, 2, 3), torch.ones(1, 2, 4))
        )
