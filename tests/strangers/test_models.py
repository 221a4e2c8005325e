"""Models that the library has not seen, each against its twin of two encoders, in float64."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, LayerIntegratedGradients
from torch import Tensor, nn

from xsiamese import (
    PairGradCAM,
    PairHiResCAM,
    PairIntegratedGradients,
    PairLayerGradCam,
    PairLayerIntegratedGradients,
    SiameseModel,
)
from xsiamese.model.embedding import embedding_of

transformers = pytest.importorskip("transformers")
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "attn_implementation": "eager",
}
MARKS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "BERT": ("Bert", TINY),
    "RoBERTa": ("Roberta", {**TINY, "max_position_embeddings": 40}),
    "ALBERT": ("Albert", {**TINY, "embedding_size": 8}),
    "ELECTRA": ("Electra", {**TINY, "embedding_size": 8}),
    "MPNet": ("MPNet", {**TINY, "max_position_embeddings": 40}),
    "ModernBERT": ("ModernBert", {**TINY, "reference_compile": False, **MARKS}),
    "T5 encoder": (
        "T5Encoder",
        {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "vocab_size": 50},
    ),
    "XLM-R": ("XLMRoberta", {**TINY, "max_position_embeddings": 40}),
    "DistilBERT": ("DistilBert", {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50}),
    "GPT-2": ("GPT2", {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": 40}),
}
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT of transformers": ("ViT", {**TINY, "image_size": 16, "patch_size": 4}),
    "DeiT of transformers": ("DeiT", {**TINY, "image_size": 16, "patch_size": 4}),
    "DINOv2": ("Dinov2", {**TINY, "image_size": 16, "patch_size": 4}),
}


class TwoEncoders(nn.Module):
    """The same model with two encoders that share nothing."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.first, self.second = deepcopy(encoder), deepcopy(encoder)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (embedding_of(self.first(a)) * embedding_of(self.second(b))).sum(1)  # type: ignore[no-any-return]


def made(family: str, settings: dict[str, Any]) -> nn.Module:
    torch.manual_seed(0)
    settings = {k: v for k, v in settings.items() if k != "vocab_size" or family not in ("ViT", "DeiT", "Dinov2")}
    config = getattr(transformers, f"{family.removesuffix('Encoder')}Config")(**settings)
    return getattr(transformers, f"{family}Model")(config).double().eval()  # type: ignore[no-any-return]


def close(found: Any, expected: Any) -> None:
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-9)
        assert y.any()


def word_embedding(model: nn.Module) -> str:
    names: Callable[[], Any] = model.named_modules
    return [n for n, m in names() if isinstance(m, nn.Embedding) and m.num_embeddings == 50][-1]  # T5 calls the last


@pytest.mark.parametrize("family", TEXTS)
def test_ids_of_tokens_are_explained_on_the_embedding_as_on_the_twin(family: str) -> None:
    encoder = made(*TEXTS[family])
    twin, name = TwoEncoders(encoder), word_embedding(encoder)
    a, b = torch.randint(3, 50, (2, 2, 7))
    layers = [twin.first.get_submodule(name), twin.second.get_submodule(name)]
    zero = torch.zeros_like(a)
    expected, delta = LayerIntegratedGradients(twin, layers).attribute(
        (a, b), baselines=(zero, zero), n_steps=8, return_convergence_delta=True
    )
    found, ours = PairLayerIntegratedGradients(SiameseModel(encoder, "dot"), name).attribute(
        (a, b), baselines=(0, 0), n_steps=8, joint=True, return_convergence_delta=True
    )
    close(found, expected)
    torch.testing.assert_close(ours.abs().max(), delta.abs().max(), rtol=1e-4, atol=1e-8)
    default = PairLayerIntegratedGradients(SiameseModel(encoder, "dot")).attribute(
        (a, b), baselines=(0, 0), n_steps=8, joint=True
    )
    close(default, expected)


@pytest.mark.parametrize("family", PICTURES)
def test_pictures_of_transformers(family: str) -> None:
    encoder = made(*PICTURES[family])
    twin = TwoEncoders(encoder)
    a, b = torch.randn(2, 2, 3, 16, 16, dtype=torch.float64)
    zero = torch.zeros_like(a)
    expected = IntegratedGradients(twin).attribute((a, b), baselines=(zero, zero), n_steps=4)
    close(PairIntegratedGradients(SiameseModel(encoder, "dot")).attribute((a, b), n_steps=4, joint=True), expected)


STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "ConvNeXt of transformers": ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    "ConvNeXt 2 of transformers": ("ConvNextV2", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    "Swin of transformers": (
        "Swin",
        {"image_size": 32, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4},
    ),
}


@pytest.mark.parametrize("family", STAGES)
def test_what_is_pooled_inside_a_model_is_taken_and_not_what_it_returns_beside(family: str) -> None:
    encoder: Any = made(*STAGES[family])
    inputs = tuple(torch.randn(2, 2, 3, 32, 32, dtype=torch.float64))
    found = PairHiResCAM(SiameseModel(encoder, "dot")).explain(inputs)
    hidden = [encoder(x).last_hidden_state.detach().requires_grad_() for x in inputs]
    z = [h.mean(1) if h.dim() == 3 else encoder.layernorm(h.mean((2, 3))) for h in hidden]
    torch.testing.assert_close(found.scores, (z[0] * z[1]).sum(1).detach())
    for side, slope in enumerate(torch.autograd.grad((z[0] * z[1]).sum(), hidden)):
        cells = (slope * hidden[side]).detach()
        expected = cells.sum(1) if cells.dim() == 4 else cells.sum(2).unflatten(1, (4, 4))
        close([found.maps[side][:, 0]], [expected])


def recurrent(kind: type[nn.RNNBase]) -> nn.Module:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = kind(5, 6, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.cells(x)[0][:, -1]  # type: ignore[no-any-return]

    return Encoder()


PLAIN: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str | None]] = {
    "LSTM": (lambda: recurrent(nn.LSTM), (9, 5), None),
    "GRU": (lambda: recurrent(nn.GRU), (9, 5), None),
    "RNN": (lambda: recurrent(nn.RNN), (9, 5), None),
    "Conv1d": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
        (2, 20),
        "1",
    ),
    "Conv3d": (
        lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
        (1, 6, 6, 6),
        "1",
    ),
    "depthwise": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 3, groups=4), nn.GELU(), nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        (4, 8, 8),
        "2",
    ),
    "MLP": (lambda: nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 4)), (6,), None),
    "spectral norm": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)
        ),
        (3, 8, 8),
        "1",
    ),
    "weight norm": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)
        ),
        (3, 8, 8),
        "1",
    ),
}


class UNet(nn.Module):
    """Down, up and across, and the mean of what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(8, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        across = self.down(x).relu()
        up = self.up(self.deep(across).relu())
        return self.out(torch.cat([across, up], 1)).tanh().mean((2, 3))  # type: ignore[no-any-return]


def wav2vec2() -> nn.Module:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    listens = {"conv_dim": (8, 8), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2}
    more = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "feat_extract_norm": "layer"}
    config = transformers.Wav2Vec2Config(**sizes, **listens, **more, attn_implementation="eager")
    return transformers.Wav2Vec2Model(config)  # type: ignore[no-any-return]


class TimesFirst(nn.Module):
    """A transformer that has times first inside."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.TransformerEncoderLayer(8, 2, 16)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x.transpose(0, 1)).mean(0)  # type: ignore[no-any-return]


def test_layers_with_times_first_are_no_places_of_pairs() -> None:
    model = SiameseModel(TimesFirst().double().eval(), "dot")
    a, b = torch.randn(2, 2, 9, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match="no layer has a spatial grid"):
        PairGradCAM(model).attribute((a, b))
    with pytest.raises(ValueError, match=r"dimension 0 of a layer's output must be the pair.*batch_first=True"):
        PairGradCAM(model, "blocks").attribute((a, b))


PLAIN["transformer with times first"] = (TimesFirst, (9, 8), None)
PLAIN["U-Net"] = (UNet, (3, 8, 8), "out")
PLAIN["wav2vec2"] = (wav2vec2, (100,), None)


def test_a_layer_of_sounds_has_a_value_a_time() -> None:
    torch.manual_seed(0)
    encoder = wav2vec2().double().eval()
    sounds = tuple(torch.randn(2, 2, 100, dtype=torch.float64))
    found = PairGradCAM(SiameseModel(encoder, "dot")).explain(sounds, kind="series")
    hidden = [encoder(x).last_hidden_state.detach() for x in sounds]
    for side in (0, 1):  # the embedding is the mean over times, so that each channel counts by its mean in the other
        expected = (hidden[side] * hidden[1 - side].mean(1, keepdim=True)).sum(2) / hidden[side].shape[1]
        torch.testing.assert_close(found.maps[side][:, 0], expected)


class Relation(nn.Module):
    """What two encoders give, side by side, read by a network."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.read = nn.Sequential(nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.read(torch.cat([self.first(a), self.second(b)], 1))  # type: ignore[no-any-return]


class CrossAttention(nn.Module):
    """Cells of a look at those of b."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.looks, self.read = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z_a, z_b = (side(x).flatten(2).mT for side, x in ((self.first, a), (self.second, b)))
        return self.read(self.looks(z_a, z_b, z_b)[0].mean(1))[:, 0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [Relation, CrossAttention])
def test_models_that_join_their_sides_are_explained_inside_of_each(kind: Any) -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())
    model = kind(encoder, encoder).double().eval()
    twin = deepcopy(model)
    twin.second = deepcopy(twin.first)
    a, b = torch.randn(2, 2, 3, 8, 8, dtype=torch.float64)
    zero = torch.zeros_like(a)
    expected = IntegratedGradients(twin).attribute((a, b), baselines=(zero, zero), n_steps=4)
    close(PairIntegratedGradients(model).attribute((a, b), n_steps=4, joint=True), expected)
    cams = [LayerGradCam(twin, side[1]).attribute((a, b)) for side in (twin.first, twin.second)]
    close(PairLayerGradCam(model, "first.1").attribute((a, b)), cams)
    explained = PairGradCAM(model).explain((a, b))  # the layer found by itself is no joint one
    assert explained.parameters["layer"] == ["first.1"] or explained.parameters["layer"] == ["first"]
    close(explained.maps, cams)


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_encoders(kind: str) -> None:
    torch.manual_seed(0)
    make, shape, layer = PLAIN[kind]
    encoder = make().double().eval()
    twin = TwoEncoders(encoder)
    a, b = torch.randn(2, 2, *shape, dtype=torch.float64)
    zero = torch.zeros_like(a)
    expected = IntegratedGradients(twin).attribute((a, b), baselines=(zero, zero), n_steps=4)
    close(PairIntegratedGradients(SiameseModel(encoder, "dot")).attribute((a, b), n_steps=4, joint=True), expected)
    if layer is not None:
        cams = [LayerGradCam(twin, side.get_submodule(layer)).attribute((a, b)) for side in (twin.first, twin.second)]
        close(PairLayerGradCam(SiameseModel(encoder, "dot"), layer).attribute((a, b)), cams)
