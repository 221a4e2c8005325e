"""Two towers of transformers: the score is that of the features which the model itself reads off."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from tests.test_text import TINY, tokenizer
from xsiamese import PairLayerIntegratedGradients, PairRISE
from xsiamese_text import from_clip

transformers = pytest.importorskip("transformers")
_TEXT = {**TINY, "max_position_embeddings": 20}
_IMAGE = {key: value for key, value in TINY.items() if key != "vocab_size"} | {"image_size": 16, "patch_size": 8}


def _made(family: str, text: dict[str, Any], image: dict[str, Any], **more: Any) -> Any:
    config = getattr(transformers, f"{family}Config")(text_config=text, vision_config=image, **more)
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}Model")(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    return model


def _processor() -> Any:
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16)
    return transformers.CLIPProcessor(image_processor=images, tokenizer=tokenizer())


@pytest.mark.parametrize("family", ["CLIP", "ChineseCLIP", "AltCLIP", "Blip"])
def test_the_features_are_those_of_the_model_itself(family: str) -> None:
    of_family = {"CLIP": {"eos_token_id": 3}, "AltCLIP": {"project_dim": 16, "pad_token_id": 0}}
    more = of_family.get(family, {"encoder_hidden_size": 16} if family == "Blip" else {})
    model = _made(family, {**_TEXT, **more}, _IMAGE, projection_dim=8)
    made = from_clip(model, _processor())
    pixels, texts = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), ["a big cat", "the dog"]
    given = tokenizer()(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        seen = model.get_image_features(pixel_values=pixels).pooler_output
        read = model.get_text_features(given["input_ids"], given["attention_mask"]).pooler_output
    expected = cosine_similarity(seen, read)
    for found in (
        PairLayerIntegratedGradients(made).explain((pixels, texts), n_steps=2),
        PairRISE(made).explain((pixels, texts), masks=8),
    ):
        torch.testing.assert_close(found.scores, expected, rtol=1e-4, atol=1e-5)


def test_towers_that_are_not_known_are_one_line() -> None:
    video = {"mit_hidden_size": 16, "mit_num_attention_heads": 2, "mit_intermediate_size": 16, "num_frames": 2}
    with pytest.raises(ValueError, match=r"^a XCLIPModel has no get_image_features and get_text_features"):
        from_clip(_made("XCLIP", _TEXT, {**_IMAGE, **video}), _processor())
    patches = {key: value for key, value in _IMAGE.items() if key != "image_size"} | {"num_patches": 4}
    with pytest.raises(ValueError, match=r"^a Siglip2Model reads patches with their mask and their spatial_shapes"):
        from_clip(_made("Siglip2", _TEXT, patches), _processor())
