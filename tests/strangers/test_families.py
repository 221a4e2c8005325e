"""Families of image networks: where their cells lie is recognised, because a patch that changes moves what is there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.strangers.marked import looks_at_its_own_place, marked

timm = pytest.importorskip("timm")

TINY = {"window_size": 2, "depths": (1, 1, 1), "num_heads": (1, 2, 4), "embed_dim": 16}
FAMILIES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "ViT": ("vit_tiny_patch16_224", 64, {"depth": 2}),
    "ViT with registers": ("vit_small_patch14_reg4_dinov2", 56, {"depth": 2, "embed_dim": 48, "num_heads": 3}),
    "SigLIP": ("vit_base_patch16_siglip_224", 64, {"depth": 2, "embed_dim": 48, "num_heads": 3}),
    "DeiT": ("deit_tiny_distilled_patch16_224", 64, {"depth": 2}),
    "BEiT": ("beit_base_patch16_224", 64, {"depth": 2, "embed_dim": 48, "num_heads": 3}),
    "EVA": ("eva02_tiny_patch14_224", 56, {"depth": 2}),
    "CaiT": ("cait_xxs24_224", 64, {"depth": 2}),
    "ConViT": ("convit_tiny", 64, {"depth": 3}),
    "Swin": ("swin_tiny_patch4_window7_224", 64, TINY),
    "Swin 2": ("swinv2_tiny_window8_256", 64, TINY),
    "Hiera": ("hiera_tiny_224", 224, {"stages": (1, 1, 1, 1), "embed_dim": 24}),
    "Mixer": ("mixer_s32_224", 128, {}),
    "ResMLP": ("resmlp_12_224", 64, {}),
    "gMLP": ("gmlp_ti16_224", 64, {}),
    "XCiT": ("xcit_nano_12_p16_224", 64, {"depth": 2}),
    "ResNet": ("resnet18", 64, {}),
    "ConvNeXt": ("convnext_atto", 64, {}),
    "RegNet": ("regnetx_002", 128, {}),
    "MobileNet": ("mobilenetv3_small_050", 64, {}),
    "EfficientNet": ("efficientnet_b0", 128, {}),
    "GhostNet": ("ghostnet_050", 64, {}),
    "MobileViT": ("mobilevit_xxs", 128, {}),
    "PVT": ("pvt_v2_b0", 64, {}),
    "PoolFormer": ("poolformer_s12", 128, {}),
    "NesT": ("nest_tiny", 64, {}),
    "FastViT": ("fastvit_t8", 128, {}),
    "InceptionNeXt": ("inception_next_atto", 64, {}),
    "PiT": ("pit_ti_224", 128, {}),
    "EdgeNeXt": ("edgenext_xx_small", 64, {}),
    "VOLO": ("volo_d1_224", 64, {}),
    "TNT": ("tnt_s_patch16_224", 64, {"depth": 2}),
    "EfficientFormer": ("efficientformer_l1", 224, {}),
    "Twins": ("twins_pcpvt_small", 64, {}),
    "MaxViT": ("maxvit_rmlp_pico_rw_256", 64, {}),
    "CoAtNet": ("coatnet_pico_rw_224", 64, {}),
    "CoaT": ("coat_tiny", 64, {"serial_depths": (1, 1, 1, 1), "parallel_depth": 2}),
    "LeViT": ("levit_128s", 224, {}),
    "Visformer": ("visformer_tiny", 128, {}),
    "MambaOut": ("test_mambaout", 128, {}),
    "NFNet": ("test_nfnet", 128, {}),
    "ViT of relative positions": ("test_vit_relpos", 160, {}),
    "TinyViT": ("tiny_vit_5m_224", 128, {}),
    "RepGhost": ("repghostnet_050", 128, {}),
    "Qwen3": ("qwen3_vit_88m", 128, {"depth": 2}),
    "DINOv3": ("vit_tiny_patch16_dinov3_qkvb", 64, {"depth": 2}),
}

MIXED = {"LeViT", "TinyViT", "Visformer"}  # whose first weights mix all places


def made(name: str, size: int, settings: dict[str, Any]) -> nn.Module:
    """A network of timm with random weights, always the same, that takes images of a size."""
    torch.manual_seed(0)
    try:
        found: nn.Module = timm.create_model(name, img_size=size, num_classes=0, **settings)
    except TypeError:  # a network of any size
        found = timm.create_model(name, num_classes=0, **settings)
    return found.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_patch_that_changes_moves_the_cell_where_it_lies(family: str) -> None:
    name, size, settings = FAMILIES[family]
    encoder = made(name, size, settings)
    if family in MIXED:
        looks_at_its_own_place(encoder, size)
    found = marked(encoder, size, family in MIXED)
    assert "the last place where cells stand apart and reach the score" in found.taken
    assert found.follows, (family, found)
