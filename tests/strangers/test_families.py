"""Families of image networks: where their cells lie is recognised, because a patch that changes moves what is there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from xsiamese import PairHiResCAM, SiameseModel

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


def looks_at_its_own_place(encoder: nn.Module, size: int) -> None:
    """Weights with which each place of every layer depends most on the same place of the one before."""
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if name.endswith("attention_biases"):
                weight[:, 0] = 15  # # column 0 is of no distance
            elif name.endswith("bn.weight"):
                weight.fill_(1)  # some are 0 at first
        for conv in (m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.kernel_size > m.stride):
            own, (row, column) = conv.weight.clone(), (size // 2 for size in conv.kernel_size)
            conv.weight.mul_(0.03)[:, :, row, column] = own[:, :, row, column]
        for norm in norms:
            norm.train().momentum = None  # the statistics of one batch
        encoder(torch.randn(4, 3, size, size))
    encoder.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_patch_that_changes_moves_the_cell_where_it_lies(family: str) -> None:
    name, size, settings = FAMILIES[family]
    torch.manual_seed(0)
    try:
        encoder = timm.create_model(name, img_size=size, num_classes=0, **settings).eval()
    except TypeError:  # a network of any size
        encoder = timm.create_model(name, num_classes=0, **settings).eval()
    if family in MIXED:
        looks_at_its_own_place(encoder, size)
    a, b = torch.randn(2, 1, 3, size, size)
    explainer = PairHiResCAM(SiameseModel(encoder, "dot"))
    explained = explainer.explain((a, b))
    assert "the last place where cells stand apart and reach the score" in explained.parameters["taken"]
    assert all(one.any() for one in explained.maps)
    rows, columns = explained.maps[0].shape[2:]
    batch = next(plan for plan in explainer._plans.values() if hasattr(plan, "taken"))
    layer, layout = batch.layers[0][0], batch.taken[0].layout
    outputs: list[Any] = []
    handle = layer.register_forward_hook(lambda module, args, output: outputs.append(output))
    targets = ((0, columns - 1), (rows - 1, 0))
    with torch.no_grad():
        encoder(a)
        for row, column in targets:
            marked, (h, w) = a.clone(), (size // rows, size // columns)
            marked[:, :, row * h : (row + 1) * h, column * w : (column + 1) * w] = (
                a[0, :, row * h : (row + 1) * h, column * w : (column + 1) * w] + 0.1 * torch.randn(3, h, w)
                if family in MIXED
                else 2 * torch.randn(3, h, w)
            )
            encoder(marked)
    handle.remove()
    moved = [(layout(output) - layout(outputs[0])).abs().sum(1)[0] for output in outputs[1:]]
    if family in MIXED:  # and what either patch moves is no sign of one
        moved = [moved[0] / moved[1], moved[1] / moved[0]]
    for (row, column), change in zip(targets, moved, strict=True):
        peak = divmod(int(change.argmax()), int(columns))
        far = max(abs(peak[0] - row), abs(peak[1] - column))
        assert far <= (0 if rows == 2 else 1), (family, explained.parameters["taken"], peak, (row, column))
