"""Pairs of texts: tokens and words, models of transformers and sentence-transformers, and exact matrices."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

import xsiamese
from xsiamese import (
    PairFeatureAblation,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
    PairMaskRegression,
    PairMatrix,
    calibrate,
    measure,
)
from xsiamese.data.readers import TextReader

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
from xsiamese_text import PairTokenMatrix, from_sentence_transformers, from_transformers, from_wordllama  # noqa: E402
from xsiamese_text.folders import opened  # noqa: E402
from xsiamese_text.pieces import Pieces  # noqa: E402
from xsiamese_text.reading import Reader  # noqa: E402

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "the", "cat", "cats", "dog", "sat", "on", "mat", "slept", "house", "big", "small", "red", "blue", "ran"]
WORDS += ["!", ".", "##s", "##y", "sleep", "[Q]", "[D]"]
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 27}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "vocab_size": 27}
MODERN = {**TINY, "reference_compile": False, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
          "cls_token_id": 2, "sep_token_id": 3}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": TINY,
    "MPNet": {**TINY, "max_position_embeddings": 40, "pad_token_id": 0},
    "ModernBert": MODERN,
    "T5Encoder": T5,
}
PAIR = ["The cats sat on a mat.", "sleepy dog"], ["a big red dog slept", "the house ran!"]


def tokenizer(longest: int = 16) -> Any:
    model = tokenizers.models.WordPiece({w: i for i, w in enumerate([*SPECIAL, *WORDS])}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(model)
    made.normalizer = tokenizers.normalizers.Lowercase()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=longest, **names)


def encoder(family: str = "Bert", **more: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family.removesuffix('Encoder')}Config")(**FAMILIES[family], **more)
    return getattr(transformers, f"{family}Model")(config).double().eval()


def model(family: str = "Bert", pooling: Any = "mean") -> Any:
    return from_transformers(encoder(family), tokenizer(), pooling)


class Twin(nn.Module):
    """The same model with two encoders that share nothing, its pooling written out."""

    def __init__(self, one: nn.Module) -> None:
        super().__init__()
        self.first, self.second = deepcopy(one), deepcopy(one)

    def forward(self, a: Tensor, b: Tensor, mask_a: Tensor, mask_b: Tensor) -> Tensor:
        means = []
        for side, ids, mask in ((self.first, a, mask_a), (self.second, b, mask_b)):
            hidden = side(input_ids=ids, attention_mask=mask).last_hidden_state
            means.append((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
        return cosine_similarity(*means)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_layer_is_explained_as_captum_does_on_the_twin(family: str) -> None:
    one, split = encoder(family), tokenizer()
    a, b = (split(texts, padding=True, return_tensors="pt") for texts in PAIR)
    twin = Twin(one)
    name = [n for n, m in one.named_modules() if isinstance(m, nn.Embedding) and m.num_embeddings == 27][-1]
    found = PairLayerIntegratedGradients(from_transformers(one, split)).explain(PAIR, n_steps=8)
    for side, texts in enumerate((a, b)):
        ids = texts["input_ids"]
        kept = (ids == 2) | (ids == 3)  # beginnings and ends stay in the baseline, and all else is padding, id 0

        def moved(x: Tensor, side: int = side) -> Tensor:
            masks = a["attention_mask"].repeat(len(x) // 2, 1), b["attention_mask"].repeat(len(x) // 2, 1)
            other = (b, a)[side]["input_ids"].repeat(len(x) // 2, 1)
            return twin(x, other, *masks) if side == 0 else twin(other, x, *masks)

        layer = (twin.first, twin.second)[side].get_submodule(name)
        expected = LayerIntegratedGradients(moved, layer).attribute(ids, baselines=ids * kept, n_steps=8)
        torch.testing.assert_close(found.maps[side], expected, rtol=1e-6, atol=1e-9)
        assert expected.any()


def test_words_sum_to_tokens_and_specials_have_nothing() -> None:
    found = PairLayerGradientXActivation(model()).explain(PAIR)
    for item, values in zip(found.inputs, found.maps, strict=True):
        by_token = item.by_token(values)
        for (words, sums), row in zip(item.by_word(values), by_token, strict=True):
            assert len(words) == len(sums)
            torch.testing.assert_close(sums.sum(), row.sum(), rtol=1e-12, atol=1e-12)
        special = (item["input_ids"] <= 3) & (item["input_ids"] != 1)
        assert not by_token[special].any()
        assert by_token[~special].all()
        assert values[:, 0].any()  # the map itself has something at the beginning
    assert found.inputs[0].by_word(found.maps[0])[1][0] == ("sleepy", "dog")  # of sleep, ##y, dog
    torch.testing.assert_close(found.inputs[0].by_word(found.maps[0])[1][1][0], found.maps[0][1, 1:3].sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_never_matters(family: str) -> None:
    made = model(family)
    for cls, options in (
        (PairLayerIntegratedGradients, {"n_steps": 4}),
        (PairFeatureAblation, {}),
        (PairTokenMatrix, {}),
    ):
        together = cls(made).explain(PAIR, **options)
        alone = cls(made).explain((["sleepy dog"], ["the house ran!"]), **options)
        torch.testing.assert_close(together.scores[1:], alone.scores, rtol=1e-9, atol=1e-12)
        for item, whole, short in zip(together.inputs, together.maps, alone.maps, strict=True):
            torch.testing.assert_close(whole[1:, : short.shape[1]], short, rtol=1e-6, atol=1e-9)
            assert not item.by_token(whole)[1, short.shape[1] :].any()


DRAWN = {
    "RISE": {}, "CorrRISE": {}, "RELAX": {}, "SBSM": {}, "XFace": {}, "DistanceExplainer": {},
    "MaskRegression": {}, "ShapleyValueSampling": {"n_samples": 3}, "ShapleyValues": {},
    "KernelShap": {"n_samples": 40}, "Lime": {"n_samples": 40}, "Occlusion": {"sliding_window_shapes": (3,)},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*shares nothing between the pairs")
@pytest.mark.parametrize("name", DRAWN)
def test_padding_changes_no_draw(name: str) -> None:
    """A text of two words, alone, beside one that is longer than all subsets can be asked of, and in a gallery."""
    words = " ".join([*WORDS[:13]])
    texts = ["sleepy dog", words], ["the house ran!", words]
    options = DRAWN[name] | ({"masks": 40} if hasattr(getattr(xsiamese, f"Pair{name}"), "weigh") else {})
    method = getattr(xsiamese, f"Pair{name}")(model())
    alone = method.explain(tuple(side[:1] for side in texts), **options)
    if name == "ShapleyValues":
        texts = tuple([side[0], " ".join(WORDS[:11])] for side in texts)
    together = method.explain(texts, **options)
    own = [item.own[0] for item in alone.inputs]
    assert together.maps[0].shape[1] > len(own[0]) + 5
    for whole, short, mine in zip(together.maps, alone.maps, own, strict=True):
        torch.testing.assert_close(whole[0, : short.shape[1]], short[0], rtol=1e-9, atol=1e-13)
        assert not short[0][~mine].any()
        assert not whole[0, short.shape[1] :].any()
        assert short.any()
    for key, column in alone.columns.items():
        one, many = column[0], together.columns[key][0]
        if isinstance(one, PairMatrix):
            (n, m), dense = one.shape, many.dense()
            assert dense.shape == tuple(len(each[0]) for each in together.maps)
            torch.testing.assert_close(dense[:n, :m], one.dense(), rtol=1e-8, atol=1e-12)
            assert not one.dense()[~own[0]].any()
            assert not one.dense()[:, ~own[1]].any()
            torch.testing.assert_close(many.value, one.value, rtol=1e-9, atol=0)
        elif key.startswith("uncertainty"):
            torch.testing.assert_close(many[: len(one)], one, rtol=1e-9, atol=1e-14)
    if method.traits.shares == "always":
        listed = xsiamese.Gallery(method, [*texts[0], *texts[1]], **options).explain([(0, 2)])[:]
        for kept, short in zip(listed.maps, alone.maps, strict=True):
            torch.testing.assert_close(kept[0, : short.shape[1]], short[0], rtol=1e-8, atol=1e-12)


def test_what_a_regression_keeps_of_a_text_is_in_its_words_alone() -> None:
    """With all subsets of the words the Banzhaf index, from the scores of every pair of subsets, beside padding."""
    made, texts = model(), (["sleepy dog", "a cat sat on the mat"], ["big house", "the red dog ran on a mat"])
    found = PairMaskRegression(made).explain(texts, p=0.5, masks=128).matrices[0]
    tokens = [reader(side[:1], "x") for reader, side in zip(made.readers, texts, strict=True)]
    places = [one.own[0].nonzero().flatten().tolist() for one in tokens]

    def score(*gone: tuple[int, ...]) -> float:
        sides = []
        for one, without in zip(tokens, gone, strict=True):
            ids = one["input_ids"].clone()
            ids[0, list(without)] = 0
            sides.append({"input_ids": ids, "attention_mask": one["attention_mask"]})
        return float(made(*sides))

    def subsets(some: list[int]) -> list[tuple[int, ...]]:
        return [tuple(i for n, i in enumerate(some) if bits >> n & 1) for bits in range(2 ** len(some))]

    dense = found.dense()
    for i in places[0]:
        for j in places[1]:
            rests = [[k for k in own if k != out] for own, out in zip(places, (i, j), strict=True)]
            cells = [
                score(s, t) - score((*s, i), t) - score(s, (*t, j)) + score((*s, i), (*t, j))
                for s in subsets(rests[0]) for t in subsets(rests[1])
            ]  # fmt: skip
            assert float(dense[i, j]) == pytest.approx(sum(cells) / len(cells), rel=1e-7, abs=1e-12)
    assert int((dense != 0).sum()) == len(places[0]) * len(places[1])


CAMS = ("GradCAM", "HiResCAM", "GradCAMPlusPlus", "LayerCAM", "XGradCAM", "EigenCAM", "AblationCAM")
LONG = ["a dog", "red house ran on the blue mat"], ["the cats slept", "blue"]  # each side pads the other text


@pytest.mark.filterwarnings("ignore:.*shares nothing between the pairs")
@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize("layer", [None, "encoder.model.encoder.layer.0"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_has_no_part_in_class_activation_maps(name: str, layer: str | None, pooling: str) -> None:
    one = encoder(attn_implementation="eager")
    method = getattr(xsiamese, f"Pair{name}")(from_transformers(one, tokenizer(), pooling), layer=layer)
    together = method.explain(LONG).maps
    listed = xsiamese.Gallery(method, [*LONG[0], *LONG[1]]).explain([(0, 2), (1, 3)])[:].maps
    for pair in (0, 1):
        alone = method.explain(tuple(texts[pair : pair + 1] for texts in LONG)).maps
        for maps in (together, listed):
            for whole, short in zip(maps, alone, strict=True):
                tokens = short.shape[2]
                assert short.any()
                torch.testing.assert_close(whole[pair : pair + 1, :, :tokens], short, rtol=1e-10, atol=1e-12)
                assert not whole[pair, :, tokens:].any()


def test_tokens_are_replaced_by_padding_where_a_method_removes() -> None:
    made, ids = model(), tokenizer()(["the cat sat"], return_tensors="pt")
    found = PairFeatureAblation(made).explain((["the cat sat"], ["a dog"]))
    for place in range(1, 4):
        without = ids["input_ids"].clone()
        without[0, place] = 0
        lost = made(["the cat sat"], ["a dog"]) - made({**ids, "input_ids": without}, ["a dog"])
        torch.testing.assert_close(found.maps[0][0, place], lost[0])
    assert found.maps[0][0, [0, 4]].tolist() == [0, 0]


def test_integrated_gradients_of_texts_cost_the_passes_they_need_and_a_third_of_that_at_most() -> None:
    made, rows = model(), []
    made.encoder.model.register_forward_hook(lambda m, args, output: rows.append(len(output.last_hidden_state)))
    explainer = PairLayerIntegratedGradients(made)
    explainer.explain(PAIR, n_steps=4)  # finds the layer
    rows.clear()
    explainer.explain(PAIR, n_steps=32)
    needed = 2 * 2 * 32  # two sides of two pairs, at each step
    assert needed <= sum(rows) <= 1.3 * needed


def test_encodings_and_ids_are_the_texts_they_are_of() -> None:
    made, split = model(), tokenizer()
    expected = PairLayerIntegratedGradients(made).attribute(PAIR, n_steps=2)
    encoded = tuple(split(texts, padding=True, return_tensors="pt") for texts in PAIR)
    lists = tuple(split(texts)["input_ids"] for texts in PAIR)
    for given in (encoded, tuple(dict(one) for one in encoded), lists):
        for x, y in zip(PairLayerIntegratedGradients(made).attribute(given, n_steps=2), expected, strict=True):
            torch.testing.assert_close(x, y)


def test_thresholds_and_metrics_take_texts_as_explainers_do() -> None:
    """They told to open the model as it was opened."""
    of, same = model(), torch.tensor([True, False, True, False])
    a, b = (side * 2 for side in PAIR)
    scores = of(a, b)
    found = calibrate(of, a, b, same)
    assert found.threshold == calibrate(of, tokenizer()(a, padding=True, return_tensors="pt"), b, same).threshold
    assert float(scores.min()) <= found.threshold <= float(scores.max())
    explainer = PairFeatureAblation(of)
    measured = measure(explainer, PAIR, "deletion")
    ids = tuple(dict(tokenizer()(list(side), padding=True, return_tensors="pt")) for side in PAIR)
    torch.testing.assert_close(measured["deletion"].values, measure(explainer, ids, "deletion")["deletion"].values)


def test_the_matrix_of_mean_pooling_is_the_score() -> None:
    made = model()
    found = PairTokenMatrix(made).explain(PAIR)
    with torch.no_grad():
        hidden = [made.encoder.states(**item) for item in found.inputs]
    for pair, matrix in enumerate(found.matrices):
        torch.testing.assert_close(matrix.value, found.scores[pair])
        (h, n), (k, m) = ((x[pair][c[pair] > 0], c[pair].sum()) for x, c in hidden)
        u, v = h.mean(0), k.mean(0)
        expected = torch.tensor([[float(x @ y) for y in k] for x in h]) / (n * m * u.norm() * v.norm())
        inner = expected[1:-1, 1:-1].double()  # without beginning and end
        dense = matrix.dense()[1 : 1 + inner.shape[0], 1 : 1 + inner.shape[1]]
        torch.testing.assert_close(dense, inner, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(matrix.total, inner.sum(), rtol=1e-6, atol=1e-8)
    by_word = found.by_word()[1].dense()  # sleep ##y dog against the house ran !
    torch.testing.assert_close(by_word[0], found.matrices[1].dense()[1:3, 1:5].sum(0))
    assert "'sleepy' of a" in found.summary() or "'dog' of a" in found.summary()


def test_the_matrix_of_splade_is_the_score_by_brute_force() -> None:
    torch.manual_seed(0)
    one = transformers.BertForMaskedLM(transformers.BertConfig(**TINY)).double().eval()
    made = from_transformers(one, tokenizer(), "splade")
    found = PairTokenMatrix(made).explain((PAIR[0][:1], PAIR[1][:1]))
    a, b = (torch.log1p(one(**dict(item)).logits[0].relu()) for item in found.inputs)
    expected = torch.zeros(len(a), len(b), dtype=torch.float64)
    for word in range(27):
        i, j = int(a[:, word].argmax()), int(b[:, word].argmax())
        expected[i, j] += (a[i, word] * b[j, word]).detach()
    torch.testing.assert_close(found.matrix.dense()[1:-1, 1:-1], expected[1:-1, 1:-1])
    torch.testing.assert_close(found.matrix.value, found.scores[0])
    torch.testing.assert_close(found.scores[0], (a.amax(0) * b.amax(0)).sum().detach())
    assert PairLayerIntegratedGradients(made).explain(PAIR, n_steps=4).maps[0].any()


def test_the_matrix_of_late_interaction_is_the_score_by_brute_force() -> None:
    made = model(pooling="tokens")
    found = PairTokenMatrix(made).explain(PAIR)
    for pair, matrix in enumerate(found.matrices):
        q, d = (
            one.last_hidden_state[pair].detach() for one in (made.encoder.model(**dict(item)) for item in found.inputs)
        )
        q, d = (x[item["attention_mask"][pair] > 0] for x, item in zip((q, d), found.inputs, strict=True))
        best = [max(range(len(d)), key=lambda j: float(row @ d[j])) for row in q]
        torch.testing.assert_close(found.scores[pair], sum(row @ d[j] for row, j in zip(q, best, strict=True)).detach())
        torch.testing.assert_close(matrix.value, found.scores[pair])
        dense = matrix.dense()
        for i, (row, j) in enumerate(zip(q, best, strict=True)):
            if 0 < i < len(q) - 1 and 0 < j < len(d) - 1:
                torch.testing.assert_close(dense[i, j], (row @ d[j]).detach())
                assert int((dense[i] != 0).sum()) == 1


def test_a_cross_encoder_reads_both_texts_as_its_tokenizer_joins_them() -> None:
    torch.manual_seed(0)
    one = transformers.BertForSequenceClassification(transformers.BertConfig(**TINY, num_labels=1)).double().eval()
    split = tokenizer(32)
    made = from_transformers(one, split)
    expected = one(**split(*PAIR, padding=True, return_tensors="pt")).logits[:, 0]
    torch.testing.assert_close(made(*PAIR), expected)
    found = PairFeatureAblation(made).explain(PAIR)
    torch.testing.assert_close(found.scores, expected.detach())
    assert found.maps[0][0].all()
    assert [words for words, _ in found.inputs[0].by_word(found.maps[0])][1] == ("sleepy", "dog")


def sentence_model(kind: str, folder: Path) -> Any:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.base.modules import Transformer

    one = encoder() if kind != "SparseEncoder" else transformers.BertForMaskedLM(transformers.BertConfig(**TINY)).eval()
    (one.float() if kind == "SparseEncoder" else one).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    task = {"SparseEncoder": "fill-mask"}.get(kind, "feature-extraction")
    first = Transformer(str(folder), transformer_task=task)
    if kind == "SparseEncoder":
        from sentence_transformers.sparse_encoder.modules import SpladePooling

        return library.SparseEncoder(modules=[first, SpladePooling()], device="cpu").eval()
    if kind == "MultiVectorEncoder":
        from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

        return library.MultiVectorEncoder(modules=[first, MultiVectorMask()], device="cpu").eval()
    from sentence_transformers.sentence_transformer.modules import Pooling

    return library.SentenceTransformer(modules=[first, Pooling(16)], device="cpu").eval()


@pytest.mark.parametrize("kind", ["SentenceTransformer", "SparseEncoder", "MultiVectorEncoder"])
def test_models_of_sentence_transformers_score_as_they_do_themselves(kind: str, tmp_path: Path) -> None:
    own = sentence_model(kind, tmp_path)
    made = from_sentence_transformers(own)
    queries, documents = (own.encode_query(PAIR[0]), own.encode_document(PAIR[1]))
    expected = torch.as_tensor(own.similarity_pairwise(queries, documents)).double()
    found = PairTokenMatrix(made).explain(PAIR)
    torch.testing.assert_close(found.scores.double(), expected, rtol=1e-4, atol=1e-5)
    for matrix, score in zip(found.matrices, found.scores, strict=True):
        torch.testing.assert_close(matrix.value, score, rtol=1e-4, atol=1e-5)
    explained = PairLayerIntegratedGradients(made).explain(PAIR, n_steps=8)
    assert explained.maps[0].any()
    assert explained.delta is not None


def test_texts_come_back_from_a_file_and_are_drawn(tmp_path: Path) -> None:
    found = PairMaskRegression(model()).explain(PAIR, masks=64)
    again = xsiamese.load(found.save(tmp_path / "why.safetensors"))
    assert again.inputs[0].words == found.inputs[0].words
    assert again[1].inputs[1].pieces == found.inputs[1].pieces[1:]
    figure = PairLayerIntegratedGradients(model()).explain(PAIR, n_steps=2).plot()
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert {"sleepy", "cats", "house"} <= set(shown)
    assert not {"[CLS]", "[PAD]", "##y"} & set(shown)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((["a cat", " "], ["a", "a"]), "text 1 of a is empty"),
        ((["a cat"], ["[CLS] [SEP]"]), "text 0 of b holds no token of its own"),
        (
            (torch.rand(2, 3, 8, 8), ["a", "a"]),
            "input a is a tensor of shape (2, 3, 8, 8), float32: this model takes texts",
        ),
        (([], []), "input a holds no text"),
        (([["a", "cat"]], [["a"]]), "input a is a list of list: this model takes texts"),
        (({1}, ["a"]), "input a is a set: this model takes texts, a list of strings or their ids"),
        ((["a"],), "inputs must be the two sides of the pairs"),
        ((torch.tensor([[2, 99, 3]]), torch.tensor([[2, 7, 3]])), "the id 99: the model knows those from 0 to 26"),
        ((["a", "cat"], ["a"]), "a holds 2 items"),
    ],
)
def test_what_is_no_text_is_refused_before_any_work(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        PairFeatureAblation(model()).explain(given)
    assert said in str(error.value)


def test_a_cut_text_is_told_with_its_number_of_tokens() -> None:
    made = from_transformers(encoder(), tokenizer(longest=6))
    with pytest.warns(UserWarning, match=r"reads 6 tokens, and texts of a are longer: 0 \(2 cut\)"):
        assert PairFeatureAblation(made).explain((["the cats sat on a mat"], ["a"])).maps[0].shape == (1, 6)


def test_a_foreign_tokenizer_and_an_unknown_embedding_are_named() -> None:
    small = transformers.BertModel(transformers.BertConfig(**{**TINY, "vocab_size": 20}))
    with pytest.raises(ValueError, match="tokenizer knows 27 tokens and the model 20"):
        from_transformers(small, tokenizer())
    with pytest.warns(UserWarning, match="tokenizer knows 27 tokens and the model 90"):
        from_transformers(transformers.BertModel(transformers.BertConfig(**{**TINY, "vocab_size": 90})), tokenizer())
    with pytest.raises(ValueError, match=r"returned .*last_hidden_state.*'splade' pooling needs logits"):
        model(pooling="splade")(*PAIR)
    with pytest.raises(ValueError, match="pooling='median'"):
        model(pooling="median")


def test_the_command_line_explains_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from xsiamese.cli.explain import explain

    encoder().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    assert opened(str(tmp_path / "none")) is None
    explain("the cats sat", "a sleepy dog", model=str(tmp_path), text=True, n_steps="4", output=[tmp_path / "why.png"])
    told = capsys.readouterr().out
    assert "cosine" in told
    assert "b: a " in told
    assert "sleepy " in told
    assert (tmp_path / "why.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="--text, and the model fashion takes no texts"):
        explain("a", "b", text=True)
    explain("the cats sat", "a sleepy dog", model=str(tmp_path), text=True, method="token_matrix",
            output=[tmp_path / "matrix.png", tmp_path / "matrix.safetensors"])  # fmt: skip
    kept = xsiamese.load(tmp_path / "matrix.safetensors")
    expected = PairTokenMatrix(from_transformers(encoder(), tokenizer())).explain((["the cats sat"], ["a sleepy dog"]))
    assert isinstance(kept, xsiamese.MatrixExplanation)
    torch.testing.assert_close(kept.matrix.dense(), expected.matrix.dense())
    row, column = divmod(int(expected.matrix.dense().argmax()), 6)  # [CLS] a sleep ##y dog [SEP]
    pair = (["[CLS]", "the", "cats", "sat", "[SEP]"][row], ["[CLS]", "a", "sleepy", "sleepy", "dog", "[SEP]"][column])
    assert f"'{pair[0]}' of a with '{pair[1]}' of b" in capsys.readouterr().out
    assert (tmp_path / "matrix.png").stat().st_size > 1000


ROWS = (
    [
        {"title": "big red house", "brand": "cats.", "price": None},
        {"title": "the mat", "brand": "sleepy dog", "price": "blue"},
    ],
    [{"title": "a house", "brand": "cat", "price": "ran !"}, {"title": "dog", "brand": "", "price": "red"}],
)


def test_rows_of_text_columns_are_explained_by_their_columns(tmp_path: Path) -> None:
    made = model()
    texts = tuple(
        [" | ".join(filter(None.__ne__, map(str, (v or "" for v in row.values())))) for row in side] for side in ROWS
    )
    found = PairLayerIntegratedGradients(made).explain(ROWS, n_steps=4)
    torch.testing.assert_close(found.scores, PairLayerIntegratedGradients(made).explain(texts, n_steps=4).scores)
    found.save(tmp_path / "why.safetensors")
    for one in (found, xsiamese.load(tmp_path / "why.safetensors"), found[1:]):
        for item, values in zip(one.inputs, one.maps, strict=True):
            by_column, by_word, by_token = item.by_column(values), item.by_word(values), item.by_token(values)
            for row, (names, sums) in enumerate(by_column):
                assert names == ("title", "brand", "price")
                torch.testing.assert_close(sums.sum(), by_token[row].sum())
                for number in range(3):
                    own = [v for v, of in zip(by_word[row][1], item.column_of[row], strict=True) if of == number]
                    torch.testing.assert_close(sums[number], sum(own, sums.new_zeros(())))
    first, second = found.inputs
    assert first.words == (("big", "red", "house", "cats", "."), ("the", "mat", "sleepy", "dog", "blue"))
    assert first.column_of == ((0, 0, 0, 1, 1), (0, 0, 1, 1, 2))
    assert second.column_of == ((0, 0, 1, 2, 2), (0, 2))
    # a column by hand: the score without all that stands in it, between what stands between columns
    spans = [
        torch.tensor([[-1 if word < 0 else columns[word] for word in row] for row, columns in zip(*one, strict=True)])
        for one in ((item.word_of.tolist(), item.column_of) for item in found.inputs)
    ]
    masks = tuple(torch.where(span < 0, 3, span) for span in spans)
    ablated = PairFeatureAblation(made).explain(ROWS, feature_mask=masks)
    without = first["input_ids"].clone()
    without[0, (spans[0][0] == 1)] = 0
    inputs = [
        {"input_ids": ids, "attention_mask": item["attention_mask"]}
        for ids, item in ((without, first), (second["input_ids"], second))
    ]
    lost = (ablated.scores - made(*inputs))[0]
    torch.testing.assert_close(ablated.maps[0][0][spans[0][0] == 1], lost.expand(int((spans[0][0] == 1).sum())))
    assert [word.get_text() for word in found[0:1].plot().axes[0].texts][:2] == ["title:", "big"]
    with pytest.raises(ValueError, match="text 0 of a is empty"):
        made.taken(([{"title": "", "brand": None}], ["a cat"]))
    with pytest.raises(ValueError, match="these texts have no columns: give each as a mapping"):
        made.taken(texts)[0].by_column(torch.zeros(2, 3))


def test_rows_of_a_table_of_texts_on_the_command_line(tmp_path: Path, run: Any) -> None:
    encoder().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    table = tmp_path / "pairs.csv"
    table.write_text(
        "left_title,left_brand,right_title,right_brand,label\nred house,cats,big house,cat,1\nmat,,dog,cat,0\n"
    )
    words = f"{table}:0:left", f"{table}:0:right", "--model", tmp_path, "--method", "feature_ablation"
    code, out, _ = run("explain", *words)
    assert code == 0
    lines = [line.split(":")[0].rsplit(" ", 1)[0] for line in out.splitlines() if line.startswith(("a ", "b "))]
    assert lines == ["a title", "a brand", "b title", "b brand"]
    told = json.loads(run("explain", *words, "--json")[1])
    assert {one["column"]: one["text"] for one in told["columns"]["a"]} == {"title": "red house", "brand": "cats"}
    code, _, errors = run("explain", f"{table}:0", *words[1:])
    assert code == 2
    assert "a row of" in errors.splitlines()[-1]
    assert run("explain", f"{table}:1:left", *words[1:])[0] == 0  # an empty brand
    assert run("explain", "red " * 200, "a cat", *words[2:])[0] == 0  # too long for the name of a file


@pytest.mark.slow
def test_static_vectors_of_real_texts_have_an_exact_matrix() -> None:
    wordllama = pytest.importorskip("wordllama")
    llama = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    made = from_wordllama()
    a, b = "A cat sat on the mat.", "The kitten slept on a rug."
    found = PairTokenMatrix(made).explain(([a], [b]))
    assert float(found.scores) == pytest.approx(float(llama.similarity(a, b)), abs=1e-5)
    assert float(found.matrix.value) == pytest.approx(float(found.scores), abs=1e-5)
    (of_a,), (of_b,) = (item.words for item in found.inputs)
    matched = {(of_a[match.of_a[0]], of_b[match.of_b[0]]) for match in found.by_word()[0].matches(8)}
    assert {("cat", "kitten"), (".", ".")} <= matched
    assert found.inputs[0].words[0] == ("A", "cat", "sat", "on", "the", "mat", ".")


@pytest.mark.slow
def test_pieces_are_those_of_a_fast_tokenizer_of_transformers() -> None:
    """Of texts in several scripts and lengths, with the tokenizer left as it was."""
    wordllama = pytest.importorskip("wordllama")
    asked = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True).tokenizer
    before, known = asked.to_str(), transformers.PreTrainedTokenizerFast(tokenizer_object=asked, pad_token="<|pad|>")
    pieces = Pieces(asked)
    drawn = random.Random(0)
    letters = "abc XYZ .,;-\n\t 0123 éüß 漢字 😀 <s>"
    texts = ["".join(drawn.choices(letters, k=drawn.randint(1, 40))) for _ in range(200)]
    for some in (texts, texts[:1], ["<unk> and </s>", "a"]):
        wanted = known(some, add_special_tokens=False, return_special_tokens_mask=True, return_offsets_mapping=True)
        found = pieces(some, add_special_tokens=False)
        for key, value in found.items():
            assert value == wanted[key]
        for ids in found["input_ids"]:
            assert pieces.convert_ids_to_tokens(ids) == known.convert_ids_to_tokens(ids)
    assert len(pieces) == len(known)
    assert pieces.all_special_ids == known.all_special_ids
    assert asked.to_str() == before


def test_wordllama_is_explained_without_transformers() -> None:
    pytest.importorskip("wordllama")
    code = (
        "import atexit, sys; atexit.register(lambda: print(sorted({'transformers', 'urllib3'} & set(sys.modules))));"
        "sys.argv[1:] = ['explain', '--text', 'a cat', 'a kitten', '--model', 'wordllama'];"
        "from xsiamese.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(("texts", "said"), [
    ([""], "text 0 of a is empty"), (["[SEP] [CLS]"], "text 0 of a holds no token of its own, only special ones"),
    (torch.tensor([[99, 5]]), "input a holds the id 99: the model knows those from 0 to 26"),
    (torch.zeros(1, 3, 8, 8), "input a is a tensor of shape .* this model takes texts"),
])  # fmt: skip
def test_what_is_no_text_for_a_cross_encoder_is_one_line_before_any_work(texts: Any, said: str) -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(**TINY, num_labels=1)
    whole = transformers.BertForSequenceClassification(config).double().eval()
    whole.register_forward_pre_hook(lambda *_: pytest.fail("work was done"))
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        PairFeatureAblation(from_transformers(whole, tokenizer())).explain((texts, ["a cat"]))
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_tokenizer_and_a_picture_in_place_of_a_text_are_told(tmp_path: Path) -> None:
    """A tokenizer that knows no word would be made up, and the name of the picture would be explained."""
    transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"holds a model of transformers \(bert\) and no tokenizer"):
        opened(str(tmp_path))
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"")
    with pytest.raises(ValueError, match=r"photo.png is a picture, and the model takes texts"):
        TextReader()(picture)
    assert TextReader()("photo.png") == ["photo.png"]  # no such file: words


def test_files_that_hold_no_text_and_rows_that_are_none_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names would be explained as texts, and nothing would say so."""
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("left_name,right_name\nred,blue\n")
    Path("bin.txt").write_bytes(b"ab\xff\xfe")
    Path("LOUD.TXT").write_bytes("\ufeffloud words".encode())
    read = TextReader()
    for word, told in {
        "p.csv:0:mid": "p.csv:0:mid: there is no side 'mid' of a pair: p.csv:0:left or p.csv:0:right is needed",
        "p.csv:0:": "p.csv:0:: there is no side '' of a pair: p.csv:0:left or p.csv:0:right is needed",
        "p.csv:first": "p.csv:first is no row of p.csv, and the model takes texts: give words, or a row, as p.csv:0",
        "p.csv": "p.csv is no row of p.csv, and the model takes texts: give words, or a row, as p.csv:0",
        "q.csv:0:left": "q.csv cannot be read as a table: No such file or directory",
        "bin.txt": "bin.txt cannot be read as a text: it is no UTF-8 from byte 2 on",
        "none.txt": "none.txt cannot be read as a text: No such file or directory",
    }.items():
        with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
            read(word)
    assert read("p.csv:0:left") == [{"name": "red"}]
    assert read("LOUD.TXT") == ["loud words"]
    for words in ("q.csv", "look at q.csv:0:left", "p.csv:0: so it is", "ten:0:middle", "a\nb: c"):
        assert read(words) == [words]


def test_unknown_words_bytes_and_parts_in_the_wrong_order_are_told() -> None:
    made = model()
    with pytest.warns(UserWarning, match=r"text 1 of b holds no token that the tokenizer knows, only \[UNK\]"):
        made(["The cats.", "sleepy dog"], ["sleepy dog", "qwerty zxcv"])
    with pytest.raises(TypeError, match="input a is a list of bytes: this model takes texts"):
        PairLayerGradientXActivation(made).explain(([b"The cats."], ["sleepy dog"]))
    with pytest.raises(ValueError, match=r"from_transformers takes a model and its tokenizer; got a .*Tokenizer"):
        from_transformers(tokenizer(), encoder())


@pytest.mark.parametrize("kind", ["transformers", "SentenceTransformer"])
def test_no_tokenizer_is_copied(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of one of 32,000 words takes ten times as long as an explanation."""
    own = model() if kind == "transformers" else from_sentence_transformers(sentence_model(kind, tmp_path))
    explainer = PairLayerIntegratedGradients(own)
    expected = explainer.explain(PAIR).maps
    copies: list[Any] = []
    copied = transformers.PreTrainedTokenizerFast, "__deepcopy__", lambda one, memo: copies.append(one)
    monkeypatch.setattr(*copied, raising=False)
    found = explainer.explain(PAIR).maps
    assert not copies
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert deepcopy(own).modality == "text"
    assert bool(copies) == (kind == "SentenceTransformer")  # a plain copy of another library's model is not ours


class Slow(transformers.PreTrainedTokenizer):  # type: ignore[misc]
    """Words between spaces, by a tokenizer that does not say where its tokens stand."""

    def __init__(self) -> None:
        self.known = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
        super().__init__(
            model_max_length=16, **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
        )

    @property
    def vocab_size(self) -> int:
        return len(self.known)

    def get_vocab(self) -> dict[str, int]:
        return dict(self.known)

    def _tokenize(self, text: str) -> list[str]:
        return text.lower().split()

    def _convert_token_to_id(self, token: str) -> int:
        return self.known.get(token, 1)

    def _convert_id_to_token(self, index: int) -> str:
        return [*self.known][index]

    def build_inputs_with_special_tokens(self, first: list[int], second: list[int] | None = None) -> list[int]:
        return [2, *first, 3, *(second or []), *([3] if second else [])]

    def get_special_tokens_mask(self, first: list[int], *_: Any, **__: Any) -> list[int]:
        return [1, *[0] * len(first), 1]


def test_a_tokenizer_that_does_not_say_where_tokens_stand() -> None:
    slow, fast = Reader(Slow(), 27), Reader(tokenizer(), 27)
    texts = ["the cat sat", "dog ran"]
    found, expected = slow(texts, "a"), fast(texts, "a")
    assert found.words == expected.words
    assert found["input_ids"].tolist() == expected["input_ids"].tolist()
    assert found.word_of.tolist() == expected.word_of.tolist()
    assert fast(expected, "a") is expected
    for call, said in (
        (
            lambda: slow([{"title": "a cat"}], "a"),
            "input a holds rows of text columns, and the tokenizer does not say where its tokens stand: a fast one is "
            "needed",
        ),
        (
            lambda: from_transformers(cross_encoder(), Slow()),
            "a cross-encoder needs a fast tokenizer, which says where its special tokens stand",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            call()


def test_what_a_model_reads_besides_the_text_is_no_token_of_another_column() -> None:
    """A model that puts a word of its own first: where tokens stand in the text is not known then."""
    split = tokenizer()

    def features(texts: list[str]) -> Any:
        found = split([f"[Q] {text}" for text in texts], return_tensors="pt", padding=True)
        return {name: found[name] for name in ("input_ids", "attention_mask")}

    reader = Reader(split, 27, features=features)
    found, expected = reader(["cat sat", "dog"], "a"), Reader(split, 27)(["[Q] cat sat", "[Q] dog"], "a")
    assert found.pieces == expected.pieces
    assert found.word_of.tolist() == expected.word_of.tolist()
    with pytest.raises(ValueError, match=r"^input a holds rows of text columns, and the tokenizer does not say where"):
        reader([{"title": "a cat"}], "a")


def cross_encoder() -> Any:
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(transformers.BertConfig(**TINY, num_labels=1)).eval()


def test_a_cross_encoder_of_sentence_transformers_scores_as_it_does_itself(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    cross_encoder().save_pretrained(tmp_path)
    tokenizer(32).save_pretrained(tmp_path)
    own = library.CrossEncoder(str(tmp_path), device="cpu", local_files_only=True)
    expected = own.predict([*zip(*PAIR, strict=True)], activation_fn=nn.Identity(), convert_to_tensor=True)
    torch.testing.assert_close(from_sentence_transformers(own)(*PAIR), expected, rtol=1e-5, atol=1e-7)


def test_models_of_sentence_transformers_that_are_not_known_are_told(tmp_path: Path) -> None:
    own = sentence_model("SentenceTransformer", tmp_path)
    known = "SentenceTransformer, SparseEncoder, MultiVectorEncoder, CrossEncoder"
    with pytest.raises(ValueError, match=f"^a Linear is no model of sentence-transformers: there are {known}$"):
        from_sentence_transformers(nn.Linear(2, 2))
    own[1].include_prompt, own.prompts = False, {"query": "a "}
    with pytest.raises(ValueError, match=r"^the model leaves its prompt out of the pooling \(include_prompt=False\)"):
        from_sentence_transformers(own)
    own.prompts = {}  # nothing to leave out
    assert from_sentence_transformers(own).comparison.name == "cosine"


@pytest.mark.filterwarnings("ignore:the tokenizer knows 28 tokens and the model 30")
@pytest.mark.parametrize("rows", [27, 28, 30])
def test_static_vectors_score_as_the_cosine_of_their_means(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not there is a vector for the padding, whose id is beyond the vocabulary."""
    wordllama = pytest.importorskip("wordllama")
    vectors = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    llama = SimpleNamespace(tokenizer=tokenizer().backend_tokenizer, embedding=vectors.numpy())
    ids = [[*SPECIAL, *WORDS].index(word) for word in ("the", "cat", "sat")], [[*SPECIAL, *WORDS].index("dog")]
    expected = cosine_similarity(*(vectors[of].mean(0, keepdim=True) for of in ids))
    monkeypatch.setattr(wordllama.WordLlama, "load", lambda **_: llama)
    for made in (from_wordllama(llama), opened("wordllama")):
        assert made is not None
        torch.testing.assert_close(made(["the cat sat", "dog"], ["dog", "dog"]), torch.cat([expected, torch.ones(1)]))


def test_a_matrix_of_tokens_says_what_it_is_not_for() -> None:
    said = (
        "JointTextModel shows no vectors of tokens: make it with from_transformers or from_sentence_transformers, or "
        "take PairMaskRegression with max_passes=, which needs none"
    )
    with pytest.raises(ValueError, match=f"^{said}$"):
        PairTokenMatrix(from_transformers(cross_encoder(), tokenizer(32))).explain(PAIR)
    made = xsiamese.SiameseModel(model().encoder, "cosine")
    vectors = torch.rand(1, 3, 16).double()
    with pytest.raises(ValueError, match=r"^input a holds embeddings of tokens: give texts or their ids$"):
        PairTokenMatrix(made).explain((vectors, vectors), kind="text")
