"""The instability of gradients over references: closed forms, the bound's terms, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.problems import smooth_encoder, vectors
from xsiamese import SiameseModel, reference_instability
from xsiamese.model.comparison import Bilinear, Learned, SquaredEuclidean
from xsiamese.zoo.tabular import DistanceLogit, mlp

EXACT = "donot_use_mm_for_euclid_dist"


def relu_encoder() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 4)).double()


def jacobian(encoder: nn.Module, row: Tensor) -> Tensor:
    return torch.autograd.functional.jacobian(lambda x: encoder(x[None])[0], row)


@pytest.mark.parametrize("encoder", [smooth_encoder, relu_encoder])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_covariance_of_a_squared_distance(encoder: Callable[[], nn.Module], scale: float) -> None:
    r"""For :math:`-c |u - v|^2` it is :math:`4 c^2 J^\top Cov(\phi_r) J`, computed here by hand, to 1e-12."""

    class Scaled(SquaredEuclidean):
        def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
            return scale * super().forward(z_a, z_b)

    model = SiameseModel(encoder(), Scaled())
    query, references = vectors(1)[0], vectors(60, seed=2)[0]
    found = reference_instability(model, query, references)
    j = jacobian(model.encoder, query[0])
    by_hand = 4 * scale**2 * j.T @ torch.cov(model.encoder(references).detach().T) @ j
    assert found.closed_form is not None
    for one in (found.covariance, found.closed_form):
        assert float((one - by_hand).norm() / by_hand.norm()) < 1e-12
    assert torch.allclose(found.variance, by_hand.diagonal(), rtol=1e-10)


@pytest.mark.parametrize("comparison", ["dot", "bilinear", "logit"])
def test_other_comparisons_that_have_a_closed_form(comparison: str) -> None:
    torch.manual_seed(0)
    made = {"dot": "dot", "bilinear": Bilinear(4), "logit": Learned(DistanceLogit(), "absolute_difference")}[comparison]
    model = SiameseModel(smooth_encoder(), made).double()
    if isinstance(made, Bilinear):
        nn.init.normal_(made.weight)
    found = reference_instability(model, vectors(1)[0], vectors(60, seed=2)[0])
    assert found.closed_form is not None
    assert float((found.covariance - found.closed_form).norm() / found.closed_form.norm()) < 1e-12


@pytest.mark.parametrize("comparison", ["cosine", "euclidean", "manhattan"])
def test_no_closed_form_is_claimed_where_there_is_none(comparison: str) -> None:
    found = reference_instability(SiameseModel(smooth_encoder(), comparison), vectors(1)[0], vectors(60, seed=2)[0])
    assert found.closed_form is None
    assert found.slope is None
    assert float(found.covariance.norm()) > 1e-6


@pytest.mark.parametrize("comparison", ["squared_euclidean", "cosine", "dot"])
def test_gradients_are_of_closeness_and_the_model_is_left_clean(comparison: str) -> None:
    model = SiameseModel(smooth_encoder(), comparison)
    query, references = vectors(1)[0], vectors(7, seed=2)[0]
    found = reference_instability(model, query[0], references, k=2)
    sign = 1 if model.higher_is_closer else -1
    for gradient, reference in zip(found.gradients, references, strict=True):
        x = query.clone().requires_grad_()
        expected = sign * torch.autograd.grad(model(x, reference[None]).sum(), x)[0][0]
        assert torch.allclose(gradient, expected, atol=1e-14)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_reference_term_bounds_the_change_and_is_reached() -> None:
    """On a linear encoder with a squared distance the term is exact: the largest singular value of 2 J^T J."""
    encoder = nn.Linear(5, 3, bias=False).double()
    model = SiameseModel(encoder, "squared_euclidean")
    query, references = vectors(1)[0], vectors(40, seed=2)[0]
    found = reference_instability(model, query, references)
    assert found.reference_term is not None
    assert found.query_term is not None
    largest = float(torch.linalg.matrix_norm((2 * encoder.weight.T @ encoder.weight).detach(), 2))
    assert abs(found.reference_term - largest) < 1e-12
    assert abs(found.query_term - largest) < 1e-12  # L_J is zero here: only the comparison bends
    step = torch.linalg.svd(encoder.weight.detach()).Vh[:1]
    pair = reference_instability(model, query, torch.cat([references[:1], references[:1] + step])).gradients
    assert abs(float((pair[1] - pair[0]).norm()) - largest) < 1e-12
    gaps = torch.cdist(found.gradients, found.gradients, compute_mode=EXACT) - found.reference_term * torch.cdist(
        references, references, compute_mode=EXACT
    )
    assert float(gaps.max()) <= 1e-12


def test_a_linear_encoder_with_a_dot_says_nothing_of_the_query() -> None:
    """The gradient is W^T W x_r whatever the query is: a one-input model would have a constant one."""
    encoder = nn.Linear(5, 3, bias=False).double()
    references = vectors(9, seed=2)[0]
    one, other = (reference_instability(SiameseModel(encoder, "dot"), query, references) for query in vectors(1))
    assert torch.allclose(one.gradients, references @ encoder.weight.T @ encoder.weight)
    assert torch.equal(one.gradients, other.gradients)
    assert one.query_term == 0
    assert one.reference_term is not None
    assert one.reference_term > 0


def test_overlap_and_cosine_are_one_for_a_reference_again_and_again() -> None:
    row = vectors(1, seed=2)[0]
    found = reference_instability(SiameseModel(smooth_encoder(), "cosine"), vectors(1)[0], row.repeat(5, 1), k=2)
    assert found.overlap == 1
    assert abs(found.cosine - 1) < 1e-12
    assert float(found.covariance.abs().max()) < 1e-28


def test_a_model_that_is_not_factored_has_gradients_only() -> None:
    model = SiameseModel(smooth_encoder(), "squared_euclidean")
    query, references = vectors(1)[0], vectors(7, seed=2)[0]
    plain = reference_instability(lambda a, b: -model(a, b), query, references)
    assert torch.allclose(plain.gradients, reference_instability(model, query, references).gradients)
    assert (plain.closed_form, plain.reference_term) == (None, None)
    assert "7 references" in plain.summary()


def test_items_of_several_dimensions() -> None:
    torch.manual_seed(0)
    model = SiameseModel(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(18, 4)).double(), "squared_euclidean"
    )
    items = torch.randn(12, 1, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = reference_instability(model, items[0], items[1:])
    assert found.gradients.shape == (11, 25)
    assert found.closed_form is not None
    assert torch.allclose(found.covariance, found.closed_form, rtol=1e-10, atol=1e-14)
    assert "closed form" in found.summary()


def test_float32_is_still_known_to_be_affine() -> None:
    torch.manual_seed(0)
    model = SiameseModel(mlp(5), Learned(DistanceLogit(), "absolute_difference"))
    found = reference_instability(model, vectors(1)[0].float(), vectors(60, seed=2)[0].float())
    assert found.closed_form is not None
    assert float((found.covariance - found.closed_form).norm() / found.closed_form.norm()) < 1e-4


def test_bad_input_is_told() -> None:
    model = SiameseModel(smooth_encoder(), "cosine")
    rows = vectors(4)[0]
    with pytest.raises(ValueError, match="1 reference: at least two"):
        reference_instability(model, rows[0], rows[:1])
    with pytest.raises(ValueError, match=r"query has shape \(2, 5\)"):
        reference_instability(model, rows[:2], rows)
    with pytest.raises(ValueError, match="k=6: between 1 and the 5"):
        reference_instability(model, rows[0], rows, k=6)
    with pytest.raises(TypeError, match="query is a list"):
        reference_instability(model, [1.0], rows)
    with pytest.raises(ValueError, match="NaN"):
        reference_instability(model, rows[0] * torch.nan, rows)
