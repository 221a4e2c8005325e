"""``detach_norms=``: the norms of a cosine as constants, a switch of every explainer that takes gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairGradCAM, PairInputXGradient, PairNoiseTunnel, PairOcclusion, SiameseModel, auto
from xsiamese.metrics.recipe import Recipe
from xsiamese.model.comparison import Cosine
from xsiamese.model.norms import norms_detached
from xsiamese.model.pair import TwoInputModel


def rows() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    a, b = torch.randn(2, 3, 5, dtype=torch.float64)
    return a, b


def linear() -> SiameseModel:
    torch.manual_seed(0)
    return SiameseModel(nn.Linear(5, 4, bias=False).double(), "cosine").eval()


def test_of_a_linear_encoder_the_map_is_the_part_of_each_feature_in_the_score() -> None:
    """u = W a: x * ds/dx is a_i (W^T v)_i / (|u| |v|), which sums to the score; with the norms differentiated, to 0."""
    model, (a, b) = linear(), rows()
    encoder: Any = model.encoder
    weight = encoder.weight.detach()
    u, v = a @ weight.T, b @ weight.T
    norm = (u.norm(dim=1) * v.norm(dim=1))[:, None]
    maps = PairInputXGradient(model, detach_norms=True).attribute((a, b))
    assert torch.allclose(maps[0], a * (v @ weight) / norm, atol=1e-12)
    assert torch.allclose(maps[1], b * (u @ weight) / norm, atol=1e-12)
    scores = ((u / u.norm(dim=1, keepdim=True)) * (v / v.norm(dim=1, keepdim=True))).sum(1)
    assert torch.allclose(maps[0].sum(1), scores, atol=1e-12)
    whole = PairInputXGradient(model).attribute((a, b))
    assert whole[0].sum(1).abs().max() < 1e-12


def test_grad_cam_by_hand() -> None:
    """Pooled channels are the embedding: the weight of channel k is v_k / (|u| |v| cells)."""
    torch.manual_seed(2)
    conv = nn.Conv2d(1, 3, 3).double()
    model = SiameseModel(nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()), "cosine").eval()
    a, b = torch.rand(2, 2, 1, 6, 6, dtype=torch.float64)
    planes = [conv(x).detach() for x in (a, b)]
    u, v = (p.mean((2, 3)) for p in planes)
    weights = v / (u.norm(dim=1) * v.norm(dim=1))[:, None] / 16
    found, _ = PairGradCAM(model, "encoder.0", detach_norms=True).attribute((a, b))
    by_hand = torch.einsum("nk,nkhw->nhw", weights, planes[0])[:, None]
    assert torch.allclose(found, by_hand, atol=1e-12)
    assert not torch.allclose(PairGradCAM(model, "encoder.0").attribute((a, b))[0], by_hand, atol=1e-3)


def _switched() -> list[str]:
    return [name for name, cls in xsiamese.explainers().items() if "detach_norms" in cls.settings()]


@pytest.mark.parametrize("name", ["PairSaliency", "PairDeepLift", "PairGradientShap", "PairLRP", "PairHiResCAM"])
def test_every_method_of_gradients_has_the_switch(name: str) -> None:
    assert {"PairGuidedBackprop", "PairLayerConductance", "PairBiLRP", name} <= set(_switched())
    torch.manual_seed(3)
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)).double()
    inputs: Any = torch.rand(2, 2, 1, 6, 6, dtype=torch.float64).unbind()
    cls = xsiamese.explainers()[name]
    plain, told = SiameseModel(encoder, "cosine").eval(), SiameseModel(encoder, Cosine(detach_norms=True)).eval()
    found, other = cls(plain, detach_norms=True).explain(inputs), cls(told).explain(inputs)
    assert all(torch.equal(x, y) for x, y in zip(found.maps, other.maps, strict=True))
    assert torch.allclose(found.scores, plain(*inputs).detach(), atol=1e-12)
    assert found.parameters["detach_norms"] is True
    assert "detach_norms" not in other.parameters
    assert not plain.comparison.detach_norms


def test_it_holds_for_a_copy_for_another_model_and_inside_a_noise_tunnel() -> None:
    model, inputs = linear(), rows()
    other = SiameseModel(nn.Linear(5, 4, bias=False).double(), "cosine").eval()
    moved = PairInputXGradient(model, detach_norms=True).copy_for(other).attribute(inputs)
    assert torch.allclose(moved[0].sum(1), other(*inputs), atol=1e-12)
    again = Recipe(PairInputXGradient(model, detach_norms=True)).explain(inputs, other)
    assert torch.equal(again.maps[0], moved[0])
    tunnel: Any = PairNoiseTunnel(model, detach_norms=True)
    assert tunnel.model.comparison.detach_norms


def test_where_there_is_nothing_to_detach_it_says_so() -> None:
    with pytest.raises(ValueError, match="this SiameseModel compares by euclidean"):
        PairInputXGradient(SiameseModel(nn.Linear(5, 4), "euclidean"), detach_norms=True)
    with pytest.raises(ValueError, match="does not say how it compares"):
        norms_detached(TwoInputModel(lambda a, b: (a * b).sum(1)))
    with pytest.raises(ValueError, match="PairOcclusion takes no gradients"):
        PairOcclusion(linear(), detach_norms=True)
    joint = TwoInputModel(lambda a, b: (a, b), "cosine")
    a, b = rows()
    found, _ = PairInputXGradient(joint, detach_norms=True).attribute((a, b))
    assert torch.allclose(found.sum(1), torch.cosine_similarity(a, b), atol=1e-12)


def test_it_reaches_the_command_line() -> None:
    from xsiamese.explain.options import options_of, parsed

    assert parsed(PairGradCAM, {"detach-norms": "true"}) == ({"detach_norms": True}, {})
    assert any(option.flag == "--detach-norms" and "norms" in option.text for option in options_of(PairGradCAM))
    assert "detach_norms" not in PairOcclusion.settings()


def test_auto_can_be_told_so() -> None:
    torch.manual_seed(0)
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)), "cosine")
    chosen = auto(model, "fast")
    assert "norms detached" in chosen.reason
    assert not auto(model, "fast", detach_norms=False).explainer.detach_norms


def test_what_is_detached_already_stays_as_it_is() -> None:
    model = SiameseModel(nn.Linear(3, 2), Cosine(detach_norms=True))
    assert norms_detached(model) is model
    other = norms_detached(SiameseModel(nn.Linear(3, 2), "cosine"))
    assert other.comparison.detach_norms is True
