"""Two towers, an image on one side and words on the other: CLIP and SigLIP of transformers and of open_clip."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.author import SiameseModel, Texts
from xsiamese_text.bytepairs import BytePairReader
from xsiamese_text.models import moved
from xsiamese_text.reading import Reader

_TAKES = ("input_ids", "attention_mask")
_TEXTS = "get_text_features"


class ImageTextModel(SiameseModel):
    """A Siamese model of an image and a text: takes images and a list of strings.

    Args:
        towers: the encoders of images and of texts.
        preprocess: makes (images, channels, height, width) of pictures, for images that are no tensors yet.
        reader: splits the texts.
    """

    modality = "image and text"

    def __init__(self, towers: tuple[nn.Module, nn.Module], preprocess: Any, reader: Reader | BytePairReader) -> None:
        super().__init__(towers, "cosine")
        self.preprocess = preprocess
        self.reader = reader

    def taken(self, inputs: Any) -> Any:
        """Images as tensors, and texts as tokens.

        Raises:
            TypeError: if they are no images and texts, in this order.
            ValueError: if a text is empty, or holds no token of its own.
        """
        two = _two(inputs)
        if not isinstance(two, (tuple, list)) or len(two) != 2:
            raise TypeError(f"inputs must be (images, texts); got a {type(inputs).__name__}")
        images, texts = two
        return self._pixels(images), moved(self.reader(texts, "b"), self)

    def encode(self, item: Any, side: int = 0) -> Any:
        if side == 0 and not isinstance(item, Tensor):
            item = self._pixels(item)
        if side == 1 and not isinstance(item, Mapping):
            item = moved(self.reader(item, "b"), self)
        return super().encode(item, side)

    def _pixels(self, images: Any) -> Tensor:
        if isinstance(images, Mapping) and isinstance(images.get("pixel_values"), Tensor):
            images = images["pixel_values"]  # what a processor made
        if isinstance(images, Tensor) and images.dim() == 4:
            if not images.is_floating_point():
                raise TypeError(
                    f"input a is {str(images.dtype).removeprefix('torch.')}, and a tensor is taken as preprocessed "
                    "already: give pictures or arrays, or what the processor made of them"
                )
            return images
        several = list(images) if isinstance(images, (list, tuple)) else [images]
        if isinstance(images, (Mapping, Tensor)) or not several or not all(map(_is_picture, several)):
            raise TypeError(
                f"input a is {_described(images, several)}: this model takes images (pairs, channels, height, width), "
                "or pictures, as a, and texts as b"
            )
        weight = next(self.parameters())
        made = torch.stack([torch.as_tensor(self.preprocess(one)) for one in several])
        return made.to(weight.device, weight.dtype)


def _two(inputs: Any) -> Any:
    """The two sides of what a user gives: a pair, a mapping of two, or what a processor made of images and texts."""
    if not hasattr(inputs, "keys"):
        return inputs
    if "pixel_values" in inputs and "input_ids" in inputs:
        return inputs["pixel_values"], {key: inputs[key] for key in inputs if key != "pixel_values"}
    return tuple(inputs.values())


def _is_picture(one: Any) -> bool:
    """Whether a processor of images can take it: a picture, or an array or a tensor with three channels, or a batch of
    one.
    """
    numbers = getattr(one, "shape", None)
    return hasattr(one, "getbands") if numbers is None else len(numbers) in (3, 4)


def _described(images: Any, several: list[Any]) -> str:
    if isinstance(images, Tensor):
        return f"a tensor of shape {tuple(images.shape)}"
    if not several:
        return "an empty list"
    one = next((one for one in several if not _is_picture(one)), several[0])
    if isinstance(one, (str, Texts)) or (isinstance(one, Mapping) and "input_ids" in one):
        return "a text"
    if isinstance(one, Path):
        return f"a path, {str(one)!r}, which PIL.Image.open reads"
    shape = f" of shape {tuple(one.shape)}" if hasattr(one, "shape") else ""
    return f"{'' if one is images else 'of '}{type(one).__name__}{shape}"


class Tower(nn.Module):
    """One encoder of a model of transformers, as its own ``get_image_features`` or ``get_text_features`` asks it.

    The tower keeps its name in the model, so that layers are called as there: ``vision_model.encoder.layers.1``.

    Args:
        model: with ``vision_model``, ``text_model`` and perhaps projections.
        name: of the tower, "vision_model" or "text_model".
        projection: the name of the projection behind it.
    """

    def __init__(self, model: nn.Module, name: str, projection: str) -> None:
        super().__init__()
        self.add_module(name, model.get_submodule(name))
        after = getattr(model, projection, None)
        if isinstance(after, nn.Module):
            self.add_module(projection, after)
        # models read their features off in several ways, and each asks itself for its config, tower and projection
        self.config: Any = getattr(model, "config", None)
        self.features: Any = getattr(type(model), "get_image_features" if name == "vision_model" else _TEXTS)

    def forward(self, pixel_values: Tensor | None = None, **tokens: Tensor) -> Tensor:
        """The embeddings, shape (items, dimensions)."""
        given = tokens if pixel_values is None else {"pixel_values": pixel_values}
        found: Any = self.features(self, **given)
        embedding: Tensor = found if isinstance(found, Tensor) else found.pooler_output
        return embedding


class OpenTower(nn.Module):
    """One encoder of a model of open_clip, under the name it has there, ``visual`` or ``text``.

    Args:
        model: with ``visual``, and ``text`` or its parts.
        name: of the tower.
    """

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.name = name
        self.whole = not hasattr(model, name)  # the texts' encoder of a plain CLIP is spread over the model itself
        inner = model if self.whole else model.get_submodule(name)
        if self.whole:
            inner = copy(model)  # around the same parts, without the other tower
            inner._modules = {key: part for key, part in model._modules.items() if key != "visual"}
        self.add_module(name, inner)

    def forward(self, input_ids: Tensor) -> Tensor:
        """The embeddings, shape (items, dimensions)."""
        inner: Any = getattr(self, self.name)
        found = inner.encode_text(input_ids) if self.whole else inner(input_ids)
        embedding: Tensor = found[0] if isinstance(found, tuple) else found
        return embedding


def from_clip(model: nn.Module, processor: Any, *, missing: int | None = None) -> SiameseModel:
    """CLIP, SigLIP and their like as a pair model: an image as a, words as b, scored by the cosine.

    ``logits_per_image`` of the model is that cosine, scaled and shifted by numbers that are the same for all pairs.

    Args:
        model: of transformers, with a ``vision_model`` and a ``text_model``, or of open_clip.
        processor: the model's own: a processor of transformers, or (preprocess, tokenizer) of open_clip.
        missing: the id that stands for a missing token. Left out, it is the tokenizer's padding, unless texts are read
            off at the token that ends and pads them: then 0, with which CLIP was trained to fill up.

    Returns:
        A model that takes images (a tensor that is preprocessed already, or pictures) and a list of strings.

    Raises:
        ValueError: if the model has no two towers, or the tokenizer is of another model.

    Example:
        >>> model = from_clip(clip, processor)  # doctest: +SKIP
        >>> PairGradCAM(model).explain(([picture], ["two cats on a sofa"])).plot()  # doctest: +SKIP
    """
    if hasattr(model, "vision_model") and hasattr(model, "text_model"):
        made = _of_transformers(model, processor, missing)
    elif hasattr(model, "visual") and hasattr(model, "encode_text"):
        made = _of_open_clip(model, processor, missing)
    else:
        raise ValueError(
            f"a {type(model).__name__} has no towers for images and texts: vision_model and text_model as in "
            "transformers, or visual and encode_text as in open_clip, are needed; others are "
            "SiameseModel((image_encoder, text_encoder))"
        )
    made.train(model.training)
    return made


def _of_transformers(model: nn.Module, processor: Any, missing: int | None) -> ImageTextModel:
    known: Any = model
    config: Any = known.config
    if not all(hasattr(model, name) for name in ("get_image_features", _TEXTS)):  # of videos, as X-CLIP
        raise ValueError(f"a {type(model).__name__} has no get_image_features and get_text_features: it is not known")
    if "spatial_shapes" in inspect.signature(known.get_image_features).parameters:
        raise ValueError(
            f"a {type(model).__name__} reads patches with their mask and their spatial_shapes (NaFlex), which is not "
            "known: a SigLIP 2 of a fixed resolution is opened, as siglip2-base-patch16-224"
        )
    tokenizer, images = (getattr(processor, name, None) for name in ("tokenizer", "image_processor"))
    if tokenizer is None or images is None:
        raise ValueError(
            f"a {type(processor).__name__} is no processor of texts and images: the model's own is needed, "
            "AutoProcessor.from_pretrained(name)"
        )
    pools_last = config.model_type.startswith("siglip")  # reads the last of a fixed number of tokens, without a mask
    if missing is None and tokenizer.pad_token_id == tokenizer.eos_token_id and not pools_last:
        missing = 0
    reader = Reader(
        tokenizer, config.text_config.vocab_size, config.text_config.max_position_embeddings,
        takes=_TAKES[:1] if pools_last else _TAKES, missing=missing, filled=pools_last,
    )  # fmt: skip
    towers = Tower(model, "vision_model", "visual_projection"), Tower(model, "text_model", "text_projection")

    def preprocess(image: Any) -> Tensor:
        pixels: Tensor = images(image, return_tensors="pt")["pixel_values"][0]
        return pixels

    return ImageTextModel(towers, preprocess, reader)


def _of_open_clip(model: nn.Module, processor: Any, missing: int | None) -> ImageTextModel:
    if not isinstance(processor, (tuple, list)) or len(processor) != 2:
        raise ValueError(
            "a model of open_clip needs (preprocess, tokenizer), the last that create_model_and_transforms gives and "
            f"get_tokenizer's; got a {type(processor).__name__}"
        )
    preprocess, tokenizer = processor
    vocabulary = getattr(model, "vocab_size", None) or getattr(getattr(model, "text", None), "vocab_size", None)
    reader: Reader | BytePairReader
    if hasattr(tokenizer, "tokenizer"):  # one of transformers, which open_clip fills up
        longest = tokenizer.context_length
        reader = Reader(tokenizer.tokenizer, vocabulary, longest, takes=_TAKES[:1], missing=missing, filled=True)
    else:
        reader = BytePairReader(tokenizer, vocabulary, 0 if missing is None else missing)
    return ImageTextModel((OpenTower(model, "visual"), OpenTower(model, "text")), preprocess, reader)
