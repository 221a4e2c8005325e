"""Two towers, an image and words: CLIP and SigLIP of transformers and of open_clip, against captum on their parts."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, LayerGradientXActivation, LayerIntegratedGradients
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from tests.test_text import tokenizer
from xsiamese import (
    Gallery,
    PairActivationDecomposition,
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairInteraction,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
    PairMaskRegression,
    PairRegionSwap,
    SiameseModel,
    Tokens,
    TwoInputModel,
    auto,
    explain_pairs,
    load,
)

transformers = pytest.importorskip("transformers")
from xsiamese_text import from_clip  # noqa: E402

VISION = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
TEXT = {**VISION, "vocab_size": 27, "max_position_embeddings": 12, "eos_token_id": 3, "pad_token_id": 0}
Encoder = Callable[..., Tensor]
WORDS = ["The cats sat on a mat.", "sleepy dog"]


def images() -> Tensor:
    return torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def processor(size: int = 16) -> Any:
    pixels = transformers.CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    return SimpleNamespace(tokenizer=tokenizer(12), image_processor=pixels)


def clip(kind: str = "CLIP") -> Any:
    torch.manual_seed(0)
    own = {"text_config": TEXT, "vision_config": {**VISION, "image_size": 16, "patch_size": 4}}
    if kind == "CLIP":
        made = transformers.CLIPModel(transformers.CLIPConfig(**own, projection_dim=8))
    else:
        made = transformers.SiglipModel(transformers.SiglipConfig(**own))
    return made.double().eval()


def open_clip_model(custom: bool) -> tuple[Any, Any]:
    library = pytest.importorskip("open_clip")
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

    torch.manual_seed(0)
    split = library.tokenizer.SimpleTokenizer(context_length=12)
    text = CLIPTextCfg(context_length=12, vocab_size=split.vocab_size, width=16, heads=2, layers=2)
    made = (CustomTextCLIP if custom else CLIP)(
        8, CLIPVisionCfg(layers=2, width=16, head_width=8, patch_size=4, image_size=16), text
    )
    return made.double().eval(), split


def parts(kind: str) -> tuple[Any, Any, Encoder, Encoder, str, str]:
    """The pair model, its parts, its two encoders as its own code has them, the name of a block and of the words'."""
    if kind.startswith("open"):
        model, split = open_clip_model("custom" in kind)
        names = "visual.transformer.resblocks.0", "text.token_embedding"
        return from_clip(model, (None, split)), model, model.encode_image, lambda ids, _: model.encode_text(ids), *names
    model = clip(kind)

    def words(ids: Tensor, given: Tensor) -> Tensor:
        mask = {"attention_mask": (given != 0).long().repeat(len(ids) // 2, 1)} if kind == "CLIP" else {}
        return model.get_text_features(ids, **mask).pooler_output  # type: ignore[no-any-return]

    def pixels(x: Tensor) -> Tensor:
        return model.get_image_features(x).pooler_output  # type: ignore[no-any-return]

    names = "vision_model.encoder.layers.0", "text_model.embeddings.token_embedding"
    return from_clip(model, processor()), model, pixels, words, *names


KINDS = ("CLIP", "SigLIP", "open_clip", "open_clip, custom texts")


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_and_words_are_explained_as_captum_does_on_the_towers(kind: str) -> None:
    made, model, pixels, words, block, text = parts(kind)
    a, texts = images(), made.taken((images(), WORDS))[1]
    given = texts["input_ids"]
    torch.testing.assert_close(made(a, WORDS), cosine_similarity(pixels(a), words(given, given)))
    found = PairLayerIntegratedGradients(made, (block, text)).explain((a, WORDS), n_steps=8)
    layers = [next(m for n, m in model.named_modules() if n.endswith(name)) for name in (block, text.split(".", 1)[1])]
    z_a, z_b = pixels(a).detach(), words(given, given).detach()
    of_image = LayerIntegratedGradients(lambda x: cosine_similarity(pixels(x), repeated(z_b, x)), layers[0])
    of_words = LayerIntegratedGradients(lambda i: cosine_similarity(repeated(z_a, i), words(i, given)), layers[1])
    start = torch.where(texts.own, texts.missing, given)
    close(found.maps[0], of_image.attribute(a, n_steps=8))
    close(found.maps[1], of_words.attribute(given, baselines=start, n_steps=8))
    assert found.kinds == ("image", "text")
    removed = PairFeatureAblation(made).attribute((a, WORDS), wrt="second")[1]
    gate = FeatureAblation(lambda g: cosine_similarity(z_a, words(torch.where(g > 0, given, start), given)))
    close(removed, gate.attribute(torch.ones_like(given, dtype=torch.float64)))


def repeated(z: Tensor, like: Tensor) -> Tensor:
    return z.repeat(len(like) // len(z), 1)


def close(found: Any, expected: Any) -> None:
    expected = expected[0] if isinstance(expected, tuple) else expected
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    assert expected.any()


def test_grad_cam_takes_a_layer_and_a_layout_for_each_side_and_finds_both_by_itself() -> None:
    made, model, pixels, words, _, text = parts("CLIP")
    a, given = images(), made.taken((images(), WORDS))[1]["input_ids"]
    names = "vision_model.encoder.layers.0", "text_model.encoder.layers.1"
    found = PairGradCAM(made, names, layout=(Tokens((4, 4)), None)).attribute((a, WORDS))
    block = model.vision_model.encoder.layers[0]
    grown: list[Tensor] = []
    handle = block.register_forward_hook(lambda m, x, y: grown.append(y.requires_grad_()))
    slopes = torch.autograd.grad(cosine_similarity(pixels(a), words(given, given)).sum(), grown)[0]
    handle.remove()
    grid, slope = (x[:, 1:].transpose(1, 2).reshape(2, 16, 4, 4) for x in (grown[0].detach(), slopes))
    close(found[0], (slope.mean((2, 3), keepdim=True) * grid).sum(1, keepdim=True))
    explained = PairGradCAM(made).explain((a, WORDS))
    assert explained.parameters["layer"] == [f"vision_model.encoder.layers.0 / {text}"]
    close(explained.maps[0], found[0])
    assert explained.maps[1].shape == (2, 1, 9)
    assert explained.plot() is not None


def test_pictures_and_arrays_are_prepared_by_the_processor() -> None:
    made = parts("CLIP")[0]
    array = np.random.default_rng(0).integers(0, 255, (2, 20, 24, 3), dtype=np.uint8)
    expected = processor().image_processor(list(array), return_tensors="pt")["pixel_values"].double()
    found = PairMaskRegression(made).explain((list(array), WORDS), masks=128)
    torch.testing.assert_close(found.inputs[0], expected)
    assert len(found.matrices) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((WORDS, images()), "input a is a text: this model takes images"),
        ((images()[0], WORDS[:1]), r"input a is a tensor of shape \(3, 16, 16\): this model takes images"),
        ((images(), images()), "input b is a tensor of shape .*: this model takes texts"),
        ((images(), ["a", " "]), "text 1 of b is empty"),
        ((images(), ["a"]), "a holds 2 items"),
        ((images(),), r"inputs must be \(images, texts\)"),
    ],
)
def test_what_is_on_the_wrong_side_is_named(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        PairGradCAM(parts("CLIP")[0]).attribute(given)


def test_a_method_of_the_inputs_names_the_layer_of_words() -> None:
    made = parts("CLIP")[0]
    with pytest.raises(TypeError, match=r"b is int64 \(text\).*'text_model.embeddings.token_embedding'.*wrt='first'"):
        PairIntegratedGradients(made).attribute((images(), WORDS))
    alone = PairIntegratedGradients(made).attribute((images(), WORDS), wrt="first", n_steps=4)
    assert alone[0].any()
    assert not alone[1].any()


def test_models_without_towers_and_foreign_tokenizers_are_named() -> None:
    with pytest.raises(ValueError, match="a Linear has no towers for images and texts"):
        from_clip(nn.Linear(2, 2), None)
    small = transformers.CLIPModel(
        transformers.CLIPConfig(text_config={**TEXT, "vocab_size": 20}, vision_config=VISION)
    )
    with pytest.raises(ValueError, match="tokenizer knows 27 tokens and the model 20"):
        from_clip(small, processor())
    model, split = open_clip_model(False)
    with pytest.raises(ValueError, match=r"open_clip needs \(preprocess, tokenizer\)"):
        from_clip(model, split)
    made = from_clip(model, (None, split))
    with pytest.warns(UserWarning, match=r"reads 12 tokens, and texts of b are longer: 0 \(4 cut\)"):
        made.taken((images(), ["a cat and a dog and a cat and a dog and a cat"]))
    assert made.taken((images(), ["Über cats", "sleepyhead."]))[1].words == (("über", "cats"), ("sleepyhead", "."))


def test_a_layer_of_one_tower_is_enough_where_the_other_side_is_held() -> None:
    made, _, pixels, words, name, _ = parts("CLIP")
    ids = made.taken((images(), WORDS))[1]["input_ids"]
    layer = made.encoders[0].get_submodule(name)
    expected = LayerGradientXActivation(lambda x: cosine_similarity(pixels(x), words(ids, ids)), layer).attribute(
        images()
    )
    for given in (name, f"encoder_a.{name}", layer):
        found = PairLayerGradientXActivation(made, given).explain((images(), WORDS), wrt="first")
        close(found.maps[0], expected)
        assert not found.inputs[1].by_token(found.maps[1]).any()
        for size in (None, 1):
            grid = PairGradCAM(made, given).attribute((images(), WORDS), wrt="first", internal_batch_size=size)
            assert grid[0].any()
            assert not grid[1].any()
        for wrt in ("both", "second"):
            with pytest.raises(ValueError, match=f"{name!r} is of the encoder of a only.*hold b with wrt='first'"):
                PairGradCAM(made, given).attribute((images(), WORDS), wrt=wrt)
    rows = SiameseModel((nn.Conv2d(3, 4, 3), nn.Linear(5, 4)), "dot").double()
    rows.encoder_a = nn.Sequential(rows.encoder_a, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    inputs = images(), torch.randn(2, 5, dtype=torch.float64)
    close(
        PairGradCAM(rows).attribute(inputs, wrt="first")[0], PairGradCAM(rows, ("1", "encoder_b")).attribute(inputs)[0]
    )
    with pytest.raises(ValueError, match=r"of b \(row\) has no layer with places.*explain a alone, wrt='first'"):
        PairGradCAM(rows).attribute(inputs)


def test_the_command_line_takes_an_image_and_words(tmp_path: Path, run: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    clip().float().save_pretrained(tmp_path)
    transformers.CLIPProcessor(pixels, tokenizer(12)).save_pretrained(tmp_path)
    array = torch.randint(0, 256, (20, 30, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    image.fromarray(array.numpy()).save(tmp_path / "photo.png")
    pair, model = (tmp_path / "photo.png", "--text", "a red cat"), ("--model", tmp_path)
    code, out, errors = run("explain", *pair, *model, "--n-steps", 4, "--method", "layer_integrated_gradients",
                            "-o", tmp_path / "why.png")  # fmt: skip
    assert code == 0, errors
    assert "\nb: a " in out
    assert "\na:" not in out
    score = float(from_clip(clip().float(), processor())([image.open(tmp_path / "photo.png")], ["a red cat"]))
    assert f"photo.png - a red cat: cosine {score:.4g}" in out.replace("−", "-")
    assert (tmp_path / "why.png").stat().st_size > 1000
    assert run("explain", *pair, *model, "--budget", "fast")[0] == 0
    for wrong in ((tmp_path / "none.png", "a cat"), ("a cat", tmp_path / "photo.png"), ("a cat", "a dog")):
        code, _, errors = run("explain", *wrong, *model)
        assert code == 2
        assert errors.splitlines()[-1].startswith("xsiamese: "), errors
        assert "Traceback" not in errors


def test_a_job_of_pictures_and_words_chooses_its_method_as_one_pair_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two sides are of two kinds, and what serves both is chosen by the layers."""
    from PIL import Image

    made = parts("CLIP")[0]
    monkeypatch.setattr("xsiamese.zoo.opened.openers", lambda: {"clip": lambda spec: made if spec == "clip" else None})
    for i in range(2):
        Image.new("RGB", (24, 24), (80 * i, 40, 200)).save(tmp_path / f"{i}.png")
    (tmp_path / "pairs.csv").write_text("a,b\n0.png,a cat\n1.png,a dog\n")
    chosen = auto(made)
    found = explain_pairs(tmp_path / "pairs.csv", tmp_path / "out", model="clip", show_progress=False)
    assert found.about["method"] == type(chosen.explainer).__name__
    assert found.table(["status"]).to_pydict()["status"] == ["ok", "ok"]


def test_two_towers_of_other_widths_and_models_without_encoders_are_told_so() -> None:
    def tower(channels: int) -> nn.Sequential:
        layers = nn.Conv2d(1, channels, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)
        return nn.Sequential(*layers)

    torch.manual_seed(0)
    model, pair = SiameseModel((tower(4), tower(5))), (torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6))
    with pytest.raises(ValueError, match=r"cells of \(1, 5, 4, 4\) do not fit into \(1, 4, 4, 4\): choose layers"):
        PairRegionSwap(model, ("1", "1"), threshold=0.1).explain(pair)
    found = PairActivationDecomposition(model, ("1", "1")).explain(pair)
    torch.testing.assert_close(found.matrix.value, found.scores[0])

    def joint(a: Tensor, b: Tensor) -> Tensor:
        return model(a, b)

    with pytest.raises(ValueError, match="PairActivationDecomposition needs a model that is factored"):
        PairActivationDecomposition(TwoInputModel(Scored(joint, model)), model.encoders[0][1]).explain(pair)


class Scored(nn.Module):
    """A function of a model's as a module."""

    def __init__(self, function: Callable[..., Tensor], inner: nn.Module) -> None:
        super().__init__()
        self.function, self.inner = function, inner

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.function(a, b)


def test_a_processor_that_is_none_and_pixels_in_whole_numbers_are_told() -> None:
    for given in (None, tokenizer(12)):
        with pytest.raises(ValueError, match=r"is no processor of texts and images: the model's own is needed"):
            from_clip(clip(), given)
    with pytest.raises(TypeError, match="input a is uint8, and a tensor is taken as preprocessed already"):
        PairGradCAM(parts("CLIP")[0]).explain((torch.zeros(2, 3, 16, 16, dtype=torch.uint8), WORDS))


def test_what_a_processor_made_of_both_is_a_pair() -> None:
    made, (a, b) = parts("CLIP")[0], (images(), processor().tokenizer(WORDS, return_tensors="pt", padding=True))
    expected = PairGradCAM(made).attribute((a, WORDS))
    for given in ({"pixel_values": a, **b}, {**b, "pixel_values": a}, ({"pixel_values": a}, b)):
        for found, right in zip(PairGradCAM(made).attribute(given), expected, strict=True):
            close(found, right)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([Path("x.png")], "input a is a path, 'x.png', which PIL.Image.open reads"),
        (None, "input a is NoneType: this model takes images"),
        ([], "input a is an empty list: this model takes images"),
        ([np.zeros((20, 24), np.uint8)], r"input a is of ndarray of shape \(20, 24\): this model takes images"),
    ],
)
def test_what_is_no_picture_is_named(given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        PairGradCAM(parts("CLIP")[0]).attribute((given, ["a cat"]))


def test_a_matrix_of_images_and_words_is_of_layers_whatever_is_held() -> None:
    for wrt in ("both", "first"):
        with pytest.raises(TypeError, match=r"PairLayerInteraction\(model, layer=\(.*\), or use a method that removes"):
            PairInteraction(parts("CLIP")[0]).explain((images(), WORDS), wrt=wrt)
    for missing in (27, -1):
        with pytest.raises(ValueError, match=f"missing={missing}: the model knows ids from 0 to 26"):
            from_clip(clip(), processor(), missing=missing)


def test_an_image_against_words_and_other_words(tmp_path: Path) -> None:
    made, others = parts("CLIP")[0], ["dog", "a cat on a mat"]
    explainer = PairLayerIntegratedGradients(made)
    found: Any = explainer.explain((images(), WORDS, others), n_steps=4)
    own, foil = (explainer.explain((images(), words), n_steps=4) for words in (WORDS, others))
    close(found.maps[0], own.maps[0] - foil.maps[0])
    found[1].save(tmp_path / "found.safetensors")
    read: Any = load(tmp_path / "found.safetensors")
    assert type(read) is type(found)
    assert read.foil[0].item.words == (("a", "cat", "on", "a", "mat"),)
    close(read.foil_map, -foil.maps[1][1:])


def test_copies_of_an_open_clip_share_its_tokenizer() -> None:
    made, split = open_clip_model(custom=False)
    own = from_clip(made, (lambda image: image, split))
    assert deepcopy(own).reader.tokenizer is split


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command_line_explains_a_clip_of_a_folder_and_a_bar_is_for_people(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json
    import sys

    from PIL import Image

    from xsiamese.cli import app

    clip().float().save_pretrained(tmp_path / "clip")
    transformers.CLIPProcessor(processor().image_processor, tokenizer(12)).save_pretrained(tmp_path / "clip")
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3)).save(tmp_path / "a.png")
    capsys.readouterr()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    asked = ["explain", str(tmp_path / "a.png"), "--text", "the cat sat", "--model", str(tmp_path / "clip")]
    with pytest.raises(SystemExit):
        app([*asked, "--method", "gradcam", "--json"])
    said = capsys.readouterr()
    picture = Image.open(tmp_path / "a.png")
    own = from_clip(clip().float(), processor())
    assert json.loads(said.out)["score"] == pytest.approx(float(own([picture], ["the cat sat"])), abs=1e-5)
    assert ("Loading weights" in said.err) == terminal


def test_open_clip_texts_that_are_none_and_tokenizers_of_others_are_told() -> None:
    """The tokenizer that comes with open_clip shows byte pairs: what it cannot read is told before any work."""
    library = pytest.importorskip("open_clip")
    from xsiamese_text.bytepairs import BytePairReader

    split = library.tokenizer.SimpleTokenizer(context_length=12)
    reader = BytePairReader(split)
    given = reader(["two cats"], "b")
    assert reader(given, "b") is given
    assert given.words == (("two", "cats"),)
    foreign = "the tokenizer knows 49408 tokens and the model 5: it is the tokenizer of another model"
    special = "text 0 of b holds no token of its own, only special ones: '<start_of_text>'"
    for call, said in (
        (lambda: BytePairReader({}), "a dict shows no byte pairs: a SimpleTokenizer of open_clip is needed"),
        (lambda: BytePairReader(split, 5), foreign),
        (lambda: BytePairReader(split, 49410, 49410), "missing=49410: the model knows ids from 0 to 49409"),
        (lambda: BytePairReader(split, missing=-1), "missing=-1: the model knows ids from 0 to 49407"),
        (lambda: reader([3], "b"), "input b is a list: this model takes texts, a list of strings"),
        (lambda: reader([], "b"), "input b holds no text"),
        (lambda: reader(["a", " "], "b"), "text 1 of b is empty: ' '"),
        (lambda: reader(["<start_of_text>"], "b"), special),
    ):
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        assert str(error.value) == said


def test_open_clip_with_a_tokenizer_of_transformers_reads_its_ids_filled_up() -> None:
    model, _ = open_clip_model(custom=False)
    split = SimpleNamespace(tokenizer=tokenizer(12), context_length=12)
    with pytest.warns(UserWarning, match="tokenizer knows 27 tokens and the model 49408"):
        made = from_clip(model, (None, split))
    ids = split.tokenizer(WORDS, padding="max_length", max_length=12, return_tensors="pt")["input_ids"]
    expected = cosine_similarity(model.encode_image(images()), model.encode_text(ids))
    torch.testing.assert_close(made(images(), WORDS), expected)
    both = made.taken({"image": images(), "text": WORDS})  # a mapping of two is a pair
    assert torch.equal(both[0], images())
    assert torch.equal(both[1]["input_ids"], ids)


def test_where_the_end_of_a_text_is_its_padding_a_missing_token_is_another() -> None:
    """The end of a text in place of a token would end it there: CLIP's tokenizer fills up with its ends."""
    both = processor()
    both.tokenizer.pad_token = both.tokenizer.eos_token = "[SEP]"
    made = from_clip(clip(), both)
    found = PairFeatureAblation(made).explain((images()[:1], ["cat sat"]), wrt="second")
    given = made.taken((images()[:1], ["cat sat"]))[1]
    without = given["input_ids"].clone()
    without[0, 1] = 0
    lost = found.scores - made(images()[:1], {"input_ids": without, "attention_mask": given["attention_mask"]})
    torch.testing.assert_close(found.maps[1][:, 1], lost)
    assert float(lost.abs()) > 0


GALLERIES: dict[str, tuple[Any, Any, Any]] = {
    "pictures": (lambda: images().repeat(3, 1, 1, 1) + torch.arange(6.0).reshape(6, 1, 1, 1).double() / 5, WORDS, 0),
    "texts": (lambda: ["sleepy dog", "The cats sat on a mat.", "a dog", "a mat"], images(), 1),
}


@pytest.mark.parametrize("name", list(GALLERIES))
@pytest.mark.parametrize("cls", [PairGradCAM, PairMaskRegression, PairFeatureAblation])
def test_a_gallery_of_one_tower_is_asked_by_the_other(name: str, cls: Any, tmp_path: Path) -> None:
    own, made = clip(), GALLERIES[name][0]()
    model, queries, side = from_clip(own, processor()), *GALLERIES[name][1:]
    rows: list[int] = []
    model.encoders[side].register_forward_hook(lambda module, args, found: rows.append(len(found)))
    explainer = cls(model)
    if explainer.traits.shares == "never":
        with pytest.warns(UserWarning, match="shares nothing"):
            gallery = Gallery(explainer, made, side=side, other=queries[:1])
    else:
        gallery = Gallery(explainer, made, side=side, other=queries[:1], internal_batch_size=2)
        gallery.search(queries, k=1)
        rows.clear()
    hits = gallery.search(queries, k=2)
    u, v = (model.encode(one, i) for i, one in ((1 - side, queries), (side, made)))
    best = cosine_similarity(u[:, None], v[None], dim=-1).topk(2)
    assert hits.numbers == tuple(map(tuple, best.indices.tolist()))
    rows.clear()
    found = hits.explain()[:]
    assert bool(rows) == (explainer.traits.shares == "never")  # what is in the gallery is not encoded again
    pairs = [(query, number) for query, numbers in enumerate(hits.numbers) for number in numbers]
    torch.testing.assert_close(found.scores, best.values.flatten())
    names = [(f"query {query}", str(number)) for query, number in pairs]
    assert list(found.ids or ()) == (names if side else [name[::-1] for name in names])
    both = [[some[i] for i in which] for some, which in zip((queries, made), zip(*pairs, strict=True), strict=True)]
    if side == 0:
        both = both[::-1]
    expected = explainer.copy_for(model).explain((torch.stack(both[0]), both[1]))
    for one, other in zip(found.maps, expected.maps, strict=True):  # texts of a gallery are padded to its longest
        torch.testing.assert_close(one[..., : other.shape[-1]], other, rtol=0, atol=1e-10)
        assert one[..., other.shape[-1] :].abs().sum() < 1e-12


def test_a_gallery_of_one_tower_is_saved_read_and_kept_on_disk(tmp_path: Path) -> None:
    pictures, explainer = GALLERIES["pictures"][0](), PairGradCAM(from_clip(clip(), processor()))
    how: dict[str, Any] = {"side": 0, "other": ["sleepy dog"]}
    gallery = Gallery(explainer, pictures, **how)
    expected = gallery.search(WORDS, k=3).explain()[:]
    others = [
        Gallery.open(gallery.save(tmp_path / "gallery"), explainer, pictures, **how),
        Gallery(explainer, range(6), read=lambda i: pictures[i : i + 1], **how),
        Gallery(explainer, pictures, memory=3000, **how),
    ]
    assert [one.on_disk for one in others] == [True, False, True]
    for other in others:
        found = other.search(WORDS, k=3).explain()[:]
        assert found.ids == expected.ids
        torch.testing.assert_close(found.scores, expected.scores)
        for mine, theirs in zip(found.maps, expected.maps, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, r"takes texts.*; of a model whose sides are of two kinds Gallery\(\.\.\., side=, other=\) says of which"),
        ({"side": 0}, "side=0 is for models whose sides are of two kinds, and needs other="),
        ({"side": 2, "other": WORDS[:1]}, "side=2: 1, what is found, or 0 is needed"),
        ({"side": 0, "other": WORDS}, "other= holds 2 items: one is needed"),
    ],
)
def test_items_of_no_side_are_told(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Gallery(PairGradCAM(from_clip(clip(), processor())), images(), **arguments)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda g: g.explain(), "explain would pair items of this gallery with each other, and all .* stand on side a"),
        (lambda g: g.search([0], k=1), "queries by number or id would pair items .*: items of the other side are what"),
        (lambda g: g.embeddings(1), "side=1: the items of this gallery stand on side 0"),
    ],
)
def test_items_of_one_side_are_no_pairs(ask: Any, told: str) -> None:
    gallery = Gallery(PairGradCAM(from_clip(clip(), processor())), images(), side=0, other=WORDS[:1])
    with pytest.raises(ValueError, match=told):
        ask(gallery)
