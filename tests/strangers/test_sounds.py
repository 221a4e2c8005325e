"""Encoders of sounds of transformers, with random weights, each against its twin of two encoders, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from captum.attr import DeepLift, IntegratedGradients
from torch import Tensor, nn

from tests.strangers.test_models import TwoEncoders, close
from xsiamese import (
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairHiResCAM,
    PairIntegratedGradients,
    PairLayerIntegratedGradients,
    PairLayerInteraction,
    PairRISE,
    SiameseModel,
)
from xsiamese.branches.outputs import first_tensor

transformers = pytest.importorskip("transformers")
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
EAGER = {**SIZES, "attn_implementation": "eager"}
LISTENS = {"conv_dim": (8, 8), "conv_stride": (5, 2), "conv_kernel": (10, 3), "vocab_size": 30}
WAVES = {**LISTENS, "num_feat_extract_layers": 2, "feat_extract_norm": "layer"}
WAVES |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
D_MODEL = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
DECODES = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
CODES = {"num_filters": 4, "hidden_size": 16, "upsampling_ratios": [4, 2], "codebook_size": 16}
SWIN = {"window_size": 2, "num_mel_bins": 16, "spec_size": 64, "patch_size": 4, "patch_stride": [4, 4]}
SWIN |= {"hidden_size": 32, "depths": [1, 1], "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16}
SWIN |= {"projection_dim": 16, "num_hidden_layers": 2, "aff_block_r": 2}


class Of(nn.Module):
    """A model, and what is done with it."""

    def __init__(self, inner: nn.Module, does: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.does = inner, does

    def forward(self, x: Tensor) -> Any:
        return self.does(self.inner, x)


def made(name: str, /, **settings: Any) -> Any:
    """A model of transformers; of the encoder alone where a name ends so."""
    name, _, part = name.partition(" ")
    config = getattr(transformers, f"{name}Config")(**settings)
    model = getattr(transformers, f"{name}Model", None) or getattr(transformers, name)
    return getattr(model(config), part) if part else model(config)


def seamless() -> nn.Module:
    from transformers.models.seamless_m4t.modeling_seamless_m4t import SeamlessM4TSpeechEncoder

    sizes = {f"speech_encoder_{k}": 2 for k in ("layers", "attention_heads")} | {"speech_encoder_intermediate_size": 32}
    conv = {"conv_depthwise_kernel_size": 3, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    adapts = {"adaptor_kernel_size": 2, "adaptor_stride": 2, "feature_projection_input_dim": 10, "vocab_size": 30}
    config = transformers.SeamlessM4TConfig(hidden_size=16, **sizes, **conv, **adapts)
    return SeamlessM4TSpeechEncoder(config)


def speech_t5() -> nn.Module:
    from transformers.models.speecht5.modeling_speecht5 import SpeechT5EncoderWithSpeechPrenet

    sizes = {"hidden_size": 16, "attn_implementation": "eager"} | {k: v for k, v in D_MODEL.items() if k != "d_model"}
    return SpeechT5EncoderWithSpeechPrenet(transformers.SpeechT5Config(**sizes, **WAVES))


def all_heard(model: Any, x: Tensor) -> Any:
    return model(x, input_features_mask=torch.ones(len(x), x.shape[2], dtype=torch.long))


WHISPERS = {**EAGER, "num_mel_bins": 8, "max_source_positions": 12}
SMALL = {**EAGER, "num_mel_bins": 16, "conv_kernel_size": 3}
Sound = tuple[Callable[[], Any], tuple[int, ...], str]  # a model, the shape of an item, its kind
SOUNDS: dict[str, Sound] = {
    name: (partial(made, name, **EAGER, **WAVES), (100,), "series")
    for name in ("Wav2Vec2", "Wav2Vec2Conformer", "Hubert", "WavLM", "UniSpeech", "UniSpeechSat")
} | {
    "SEW": (partial(made, "SEW", **EAGER, **WAVES, squeeze_factor=2), (100,), "series"),
    "SEW-D": (
        partial(made, "SEWD", **SIZES, **WAVES, squeeze_factor=2, position_buckets=8, max_position_embeddings=64),
        (100,), "series",
    ),
    "Data2Vec": (
        partial(made, "Data2VecAudio", **EAGER, **WAVES | {"num_conv_pos_embeddings": 2}, conv_pos_kernel_size=3),
        (100,), "series",
    ),
    "Wav2Vec2-BERT": (
        partial(made, "Wav2Vec2Bert", **EAGER, feature_projection_input_dim=10, vocab_size=20,
                conv_depthwise_kernel_size=3),
        (12, 10), "text",
    ),
    "Whisper": (
        partial(made, "Whisper encoder", **D_MODEL, **DECODES, num_mel_bins=8, max_source_positions=12, vocab_size=50,
                pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, attn_implementation="eager"),
        (8, 24), "series",
    ),
    "Moonshine": (
        partial(made, "Moonshine encoder", hidden_size=16, intermediate_size=32, vocab_size=50,
                attn_implementation="eager", encoder_num_hidden_layers=2, decoder_num_hidden_layers=1,
                **{f"{part}coder_num_{of}_heads": 2 for part in ("en", "de") for of in ("attention", "key_value")}),
        (2000,), "series",
    ),
    "EnCodec": (
        lambda: Of(made("Encodec encoder", **CODES, num_lstm_layers=1, codebook_dim=16), lambda m, x: m(x).mean(2)),
        (1, 64), "series",
    ),
    "DAC": (
        lambda: Of(
            made("Dac encoder", encoder_hidden_size=4, downsampling_ratios=[2, 4], n_codebooks=2, codebook_dim=4),
            lambda m, x: m(x).mean(2),
        ),
        (1, 64), "series",
    ),
    "Mimi": (
        lambda: Of(
            made("Mimi encoder", **CODES, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
                 codebook_dim=8, vector_quantization_hidden_dimension=8, num_quantizers=2,
                 num_semantic_quantizers=1, upsample_groups=16),
            lambda m, x: m(x).latents.mean(2),
        ),
        (1, 64), "series",
    ),
    "SpeechT5": (speech_t5, (100,), "series"),
    "Speech2Text": (
        partial(made, "Speech2Text encoder", **D_MODEL, **DECODES, input_feat_per_channel=10, conv_channels=16,
                max_source_positions=64, vocab_size=50, attn_implementation="eager"),
        (24, 10), "text",
    ),
    "SeamlessM4T": (seamless, (12, 10), "text"),
    "Parakeet": (
        partial(made, "ParakeetEncoder", **SMALL, subsampling_conv_channels=4, subsampling_factor=4), (32, 16), "text",
    ),
    "LASR": (
        partial(made, "LasrEncoder", **SMALL, subsampling_conv_channels=8, num_key_value_heads=2), (48, 16), "text",
    ),
    "Qwen2-Audio": (
        partial(made, "Qwen2AudioEncoder", **D_MODEL, num_mel_bins=8, max_source_positions=12,
                attn_implementation="eager"),
        (8, 24), "series",
    ),
    "GLM-ASR": (partial(made, "GlmAsrEncoder", **EAGER, num_mel_bins=8, max_position_embeddings=12), (8, 24), "series"),
    "Voxtral": (partial(made, "VoxtralEncoder", **WHISPERS), (8, 24), "series"),
    "Audio Flamingo 3": (lambda: Of(made("AudioFlamingo3Encoder", **WHISPERS), all_heard), (8, 24), "series"),
    "AST": (
        partial(made, "AST", **EAGER, patch_size=4, frequency_stride=4, time_stride=4, max_length=32, num_mel_bins=16),
        (32, 16), "series",
    ),
    "AST of patches that overlap": (
        partial(made, "AST", **EAGER, patch_size=4, frequency_stride=2, time_stride=3, max_length=32, num_mel_bins=16),
        (32, 16), "series",
    ),
}  # fmt: skip


def drawn(name: str, pairs: int = 2) -> tuple[Any, Tensor, Tensor, dict[str, Any]]:
    """An encoder, items of both sides, and what is said of them."""
    make, shape, kind = SOUNDS[name]
    torch.manual_seed(0)
    encoder = make().double().eval()
    a, b = torch.randn(2, pairs, *shape, dtype=torch.float64)
    return encoder, a, b, {"kind": kind}


def on_twin(encoder: nn.Module, layer: str, a: Tensor, b: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What a layer gives in each of two encoders that share nothing, and the score's gradient there."""
    twin, kept = TwoEncoders(encoder), list[Any]()
    for side in (twin.first, twin.second):
        known = dict(side.named_modules())
        known.get(layer, side).register_forward_hook(lambda m, args, out: kept.append(first_tensor(out)))
    slopes = torch.autograd.grad(twin(a, b).sum(), kept)
    return [(x.detach(), slope) for x, slope in zip(kept, slopes, strict=True)]


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_are_explained_as_their_twin(name: str) -> None:
    encoder, a, b, said = drawn(name)
    shared, two = SiameseModel(encoder, "dot"), SiameseModel((deepcopy(encoder), deepcopy(encoder)), "dot")
    zero = torch.zeros_like(a)
    expected = IntegratedGradients(TwoEncoders(encoder)).attribute((a, b), baselines=(zero, zero), n_steps=3)
    close(PairIntegratedGradients(shared).attribute((a, b), n_steps=3, joint=True, **said), expected)
    found = PairGradCAM(shared).explain((a, b), **said)
    of_layer = on_twin(encoder, found.parameters["layer"][0], a, b)
    for own, (hidden, slope) in zip(found.maps, of_layer, strict=True):
        grid = own.shape[2:]
        if hidden.shape[2] == grid[-1] and hidden.shape[1] != grid[0]:  # channels first
            hidden, slope = hidden.mT, slope.mT
        before = hidden.shape[1] - grid.numel()  # a class and a distillation token
        hidden, slope = hidden[:, before:], slope[:, before:]
        cells = (hidden * slope.mean(1, keepdim=True)).sum(2)
        laid = cells.reshape(-1, grid[1], grid[0]).mT if len(grid) == 2 else cells  # bands before frames
        close([own[:, 0]], [laid])
        assert before == (2 if name.startswith("AST") else 0)
    masks = {"masks": 16}
    close(PairRISE(shared).attribute((a, b), **masks, **said), PairRISE(two).attribute((a, b), **masks, **said))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how much the integral misses
        matrices = [PairLayerInteraction(m).explain((a, b), steps=2, **said).matrices for m in (shared, two)]
    close(*([one.dense() for one in of] for of in matrices))


@pytest.mark.parametrize("name", ["Wav2Vec2", "WavLM", "Whisper", "EnCodec", "AST", "SEW"])
def test_deeplift_of_sounds_is_that_of_captum_on_the_twin(name: str) -> None:
    """Of models that read a weight, or the size of a table, of a module that they do not call."""
    encoder, a, b, said = drawn(name)
    expected = DeepLift(TwoEncoders(encoder)).attribute((a, b), (torch.zeros_like(a), torch.zeros_like(b)))
    close(PairDeepLift(SiameseModel(encoder, "dot")).attribute((a, b), joint=True, **said), expected)


@pytest.mark.parametrize(("bands", "frames", "steps"), [(16, 16, (4, 4)), (32, 16, (4, 4)), (16, 34, (2, 3))])
def test_patches_of_a_spectrogram_lie_as_its_config_says(bands: int, frames: int, steps: tuple[int, int]) -> None:
    sizes = {"patch_size": 4, "frequency_stride": steps[0], "time_stride": steps[1]}
    encoder = made("AST", **EAGER, **sizes, max_length=frames, num_mel_bins=bands).double().eval()
    rows, columns = encoder.embeddings.get_shape(encoder.config)
    a, b = torch.randn(2, 1, frames, bands, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = PairGradCAM(SiameseModel(encoder, "dot")).explain((a, b))
    assert found.maps[0].shape == (1, 1, columns, rows)
    told = f"layers.0: (N, tokens, C), {columns} x {rows} places along dimensions 1 and 2 of the input, which the model"
    assert found.parameters["taken"].startswith(told)
    assert "2 that are none" in found.parameters["taken"]
    assert found.upsample().maps[0].shape == a.shape


HEARD = ("Wav2Vec2", "Hubert", "WavLM", "UniSpeech", "UniSpeechSat", "SEW", "SEW-D", "Wav2Vec2-BERT", "LASR")


@pytest.mark.parametrize("name", HEARD)
def test_a_sound_beside_a_longer_one_is_explained_as_alone(name: str) -> None:
    encoder, a, b, said = drawn(name, 1)
    key, own = encoder.main_input_name, a.shape[1] * 3 // 4
    mask = (torch.arange(a.shape[1]) < own).long()[None]
    padded = {key: a * mask.reshape(1, -1, *[1] * (a.dim() - 2)), "attention_mask": mask}
    alone = {key: a[:, :own], "attention_mask": mask[:, :own]}
    other = {key: b, "attention_mask": torch.ones_like(mask)}
    for cls in (PairGradCAM, PairHiResCAM):
        explainer: Any = cls(SiameseModel(encoder, "dot"))
        found, expected = (explainer.explain((one, other), **said) for one in (padded, alone))
        torch.testing.assert_close(found.scores, expected.scores)
        frames = expected.maps[0].shape[2]
        close([found.maps[0][..., :frames]], [expected.maps[0]])
        assert found.maps[0].shape[2] > frames
        assert not found.maps[0][..., frames:].any()


def test_the_mean_of_frames_is_that_of_the_models_own_classifier() -> None:
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**EAGER, **WAVES, classifier_proj_size=16, num_labels=3)
    model = transformers.Wav2Vec2ForSequenceClassification(config).double().eval()
    nn.init.eye_(model.projector.weight), nn.init.zeros_(model.projector.bias)
    a, mask = torch.randn(2, 100, dtype=torch.float64), torch.ones(2, 100, dtype=torch.long)
    mask[0, 60:] = 0
    item = {"input_values": a * mask, "attention_mask": mask}
    z = SiameseModel(model.wav2vec2, "dot").encode(item)
    torch.testing.assert_close(model.classifier(z), model(**item).logits)


@pytest.mark.parametrize("name", ["Moonshine", "SeamlessM4T"])
def test_a_mask_that_the_encoder_does_not_bring_to_its_frames_is_told(name: str) -> None:
    encoder, a, b, said = drawn(name)
    key, mask = "input_values" if a.dim() == 2 else "input_features", torch.ones(2, a.shape[1], dtype=torch.long)
    items = ({key: a, "attention_mask": mask}, {key: b, "attention_mask": mask})
    line = (
        rf"^attention_mask has {a.shape[1]} places and the encoder gives \d+, .* give embedding= a function that pools"
    )
    with pytest.raises(ValueError, match=line):
        PairGradCAM(SiameseModel(encoder, "dot")).attribute(items, **said)
    pooled = SiameseModel(encoder, "dot", embedding=lambda out: out.last_hidden_state.mean(1))
    plain = PairIntegratedGradients(SiameseModel(encoder, "dot")).attribute((a, b), n_steps=2, **said)
    close([one[key] for one in PairIntegratedGradients(pooled).attribute(items, n_steps=2, **said)], plain)


def clap() -> Any:
    torch.manual_seed(0)
    text = {**SIZES, "vocab_size": 50, "max_position_embeddings": 40, "projection_dim": 16, "pad_token_id": 1}
    return made("Clap", text_config=text, audio_config=SWIN, projection_dim=16).double().eval()


def test_a_sound_and_words_are_explained_as_captum_does_on_the_towers() -> None:
    model = clap()
    towers = (
        Of(model, lambda m, x: m.get_audio_features(x, is_longer=None)), Of(model, lambda m, x: m.get_text_features(x)),
    )  # fmt: skip
    both = SiameseModel(towers, "dot")
    sounds, ids = torch.randn(2, 1, 256, 16, dtype=torch.float64), torch.randint(3, 50, (2, 7))
    z = [model.get_audio_features(sounds, is_longer=None).pooler_output, model.get_text_features(ids).pooler_output]
    torch.testing.assert_close(both(sounds, ids), (z[0] * z[1]).sum(1))

    words = z[1].detach()

    def against(x: Tensor) -> Tensor:
        return (model.get_audio_features(x, is_longer=None).pooler_output * words.repeat(len(x) // 2, 1)).sum(1)  # type: ignore[no-any-return]

    expected = IntegratedGradients(against).attribute(sounds, n_steps=3)
    found = PairIntegratedGradients(both).attribute((sounds, ids), n_steps=3, wrt="first")
    close(found[:1], [expected])
    name = "inner.text_model.embeddings.word_embeddings"
    of_words = PairLayerIntegratedGradients(both, layer=("inner.audio_model.audio_encoder.patch_embed", name))
    assert of_words.attribute((sounds, ids), n_steps=2)[1].shape == (2, 7, 16)
    lost = PairFeatureAblation(both).attribute((sounds, ids), wrt="second")[1]
    assert lost.shape == (2, 7)
    assert lost.any()
    # its spectrogram is folded into a square, in which no row is one of the input
    with pytest.raises(ValueError, match=r"explain the inputs \(PairIntegratedGradients, PairOcclusion\)$"):
        PairGradCAM(both).attribute((sounds, ids))


def test_an_encoder_that_codes_sounds_without_gradients_is_told() -> None:
    codes = {"encoder_hidden_size": 4, "downsampling_ratios": [2, 4], "codebook_dim": 4, "n_codebooks": 2}
    encoder = made("PeAudioEncoder", **EAGER, num_key_value_heads=2, dac_config=codes).double().eval()
    a, b = torch.randn(2, 1, 1, 128, dtype=torch.float64)
    for cls in (PairGradCAM, PairIntegratedGradients):
        with pytest.raises(ValueError, match=r"the graph is cut at 'encoder\.embedder\.dac_encoder'.*need none$"):
            cls(SiameseModel(encoder, "dot")).attribute((a, b))
