"""Models that read both texts at once, against what their own tokenizer and their own passes give."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.test_text import PAIR, TINY, WORDS, tokenizer
from xsiamese import PairFeatureAblation, PairLayerIntegratedGradients, PairRISE, PairShapleyValues, SiameseModel, auto

transformers = pytest.importorskip("transformers")
from xsiamese_text import from_sentence_transformers, from_transformers  # noqa: E402

XLNET = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32, "vocab_size": 27, "pad_token_id": 0}


def cross_encoder(family: str = "Bert", labels: int = 1, **more: Any) -> Any:
    """One whose scores move by more than a thousandth of themselves."""
    torch.manual_seed(0)
    settings = {**(XLNET if family == "XLNet" else TINY), "num_labels": labels, "initializer_range": 0.2, **more}
    config = getattr(transformers, f"{family}Config")(**settings)
    return getattr(transformers, f"{family}ForSequenceClassification")(config).double().eval()


def split(longest: int = 32, types: bool = False, left: bool = False) -> Any:
    made = tokenizer(longest)
    made.padding_side = "left" if left else "right"
    made.model_input_names = ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]
    return made


@pytest.mark.parametrize(("a", "b"), [(2, 14), (14, 2), (9, 9), (4, 5), (4, 6), (10, 4), (1, 20)])
def test_a_pair_too_long_is_cut_as_its_tokenizer_cuts_it_and_told(a: int, b: int) -> None:
    one, cut = cross_encoder(), split(12)
    texts = [" ".join(WORDS[:a])], [" ".join((WORDS + WORDS)[5 : 5 + b])]
    made = from_transformers(one, cut)
    expected = one(**cut(*texts, truncation=True, return_tensors="pt")).logits[:, 0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = PairFeatureAblation(made).explain(texts)
    torch.testing.assert_close(found.scores, expected.detach(), rtol=1e-12, atol=0)
    told = [str(w.message) for w in caught if "tokens of both" in str(w.message)]
    assert len(told) == (a + b > 9)
    assert all(w.filename == __file__ for w in caught if "tokens of both" in str(w.message))
    lost = a + b - sum(int(item.own.sum()) for item in found.inputs)
    assert lost == max(0, a + b - 9)
    for item, values in zip(found.inputs, found.maps, strict=True):
        assert item.by_word(values)[0][1].all()


def test_what_a_cut_pair_is_told() -> None:
    made = from_transformers(cross_encoder(), split(12))
    said = r"^the model reads 12 tokens of both texts together, of which 9 are theirs, .* longer: 1 of b \(2 cut\)$"
    with pytest.warns(UserWarning, match=said):
        made.taken((["a cat", "a dog"], ["a mat", "a big red dog slept on the mat ."]))


@pytest.mark.parametrize("types", [False, True])
def test_types_tell_the_texts_apart_as_the_tokenizer_has_them(types: bool) -> None:
    one, cut = cross_encoder(), split(types=types)
    given = cut(*PAIR, padding=True, return_tensors="pt")
    assert ("token_type_ids" in given) == types
    torch.testing.assert_close(from_transformers(one, cut)(*PAIR), one(**given).logits[:, 0], rtol=1e-12, atol=0)


def test_padding_stands_where_the_tokenizer_has_it() -> None:
    """XLNet reads a sequence off at its last token, so that padding behind it would be read."""
    one, cut = cross_encoder("XLNet"), split(left=True)
    made = from_transformers(one, cut)
    expected = one(**cut(*PAIR, padding=True, return_tensors="pt")).logits[:, 0]
    torch.testing.assert_close(made(*PAIR), expected, rtol=1e-9, atol=0)
    together, alone = (PairFeatureAblation(made).explain(pair) for pair in (PAIR, (PAIR[0][1:], PAIR[1][1:])))
    for side in (0, 1):
        words, values = (one.inputs[side].by_word(one.maps[side])[-1] for one in (together, alone))
        torch.testing.assert_close(words[1], values[1], rtol=1e-9, atol=1e-12)
        assert words[1].all()


@pytest.mark.parametrize("left", [False, True])
def test_ids_with_beginnings_and_ends_are_the_texts_that_they_are_of(left: bool) -> None:
    cut = split(left=left)
    made = from_transformers(cross_encoder(), cut)
    given = tuple(cut(texts, padding=True, return_tensors="pt") for texts in PAIR)
    torch.testing.assert_close(made(*given), made(*PAIR), rtol=1e-12, atol=0)
    found = PairFeatureAblation(made).explain(given)
    assert found.inputs[0].words == (("the", "cats", "sat", "on", "a", "mat", "."), ("sleep", "##y", "dog"))


def test_one_of_several_labels_is_explained_where_it_is_named() -> None:
    """A game takes all tokens away at once, and what is left is no text of anybody."""
    one = cross_encoder(labels=2)
    made = from_transformers(one, split())
    logits = one(**split()(*PAIR, padding=True, return_tensors="pt")).logits.detach()
    with pytest.raises(ValueError, match=r"has shape \(2, 2\) for 2 pairs: one score per pair is needed; give target="):
        PairFeatureAblation(made).explain(PAIR)
    found = PairShapleyValues(made).explain(PAIR, target=1, joint=True)
    torch.testing.assert_close(found.scores, logits[:, 1], rtol=1e-12, atol=0)
    for pair, (n, m) in enumerate([(7, 5), (3, 4)]):
        empty = one(torch.tensor([[2, *[0] * n, 3, *[0] * m, 3]])).logits[0, 1].detach()
        total = sum(side[pair].sum() for side in found.maps)
        torch.testing.assert_close(total, logits[pair, 1] - empty, rtol=1e-9, atol=1e-12)


class Reranker(transformers.BertForSequenceClassification):  # type: ignore[misc, name-defined]
    """As people subclass it."""


def test_a_model_of_ones_own_that_classifies_is_a_cross_encoder() -> None:
    torch.manual_seed(0)
    one = Reranker(transformers.BertConfig(**TINY, num_labels=1)).double().eval()
    expected = one(**split()(*PAIR, padding=True, return_tensors="pt")).logits[:, 0]
    torch.testing.assert_close(from_transformers(one, split())(*PAIR), expected)


@pytest.mark.parametrize(("family", "read"), [("Bert", 12), ("Roberta", 11)])
def test_no_more_is_read_than_the_model_has_positions_for(family: str, read: int) -> None:
    """The positions of RoBERTa begin behind the id of padding, and many tokenizers say no longest."""
    texts = [" ".join(WORDS[:10])], [" ".join(WORDS[5:15])]
    made = from_transformers(cross_encoder(family, max_position_embeddings=12, pad_token_id=0), split(10**30))
    with pytest.warns(UserWarning, match=f"the model reads {read} tokens of both texts"):
        assert sum(int(item.own.sum()) for item in made.taken(texts)) == read - 3
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**TINY, max_position_embeddings=12, pad_token_id=0)
    alone = from_transformers(getattr(transformers, f"{family}Model")(config).double().eval(), split(10**30))
    with pytest.warns(UserWarning, match=f"the model reads {read} tokens, and texts of a are longer: 0"):
        found = PairLayerIntegratedGradients(alone).explain(([" ".join(WORDS)], texts[0]), n_steps=2)
    assert found.maps[0].shape == (1, read, 16)


def encoder() -> Any:
    torch.manual_seed(0)
    return transformers.BertModel(transformers.BertConfig(**TINY)).double().eval()


PAIRS = [("a cat", "a dog"), ("the mat", "a house"), ("red", "blue")]


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("count", [2, 3])
def test_pairs_one_by_one_are_no_sides(joint: bool, count: int) -> None:
    """As the predict of sentence-transformers takes them; three were taken for a triplet, two for the two sides."""
    made = from_transformers(cross_encoder() if joint else encoder(), split())
    explains = PairFeatureAblation(made)
    for given in (PAIRS[:count], [list(pair) for pair in PAIRS[:count]]):
        for call in (explains.explain, explains.attribute, explains.scores):
            with pytest.raises(TypeError, match=rf"^inputs are a list of {count} times two texts, which may be pairs"):
                call(given)
    sides = tuple(zip(*PAIRS[:count], strict=True))
    assert len(explains.explain(sides)) == count


def test_what_a_tokenizer_made_of_texts_is_no_pair() -> None:
    """A mapping of two was taken for the two sides: the mask as the ids of b."""
    given = split()(*PAIR, padding=True, return_tensors="pt")
    bags = SiameseModel(nn.EmbeddingBag(27, 4).double(), "dot")
    said = r"^inputs are what a tokenizer made of texts \(input_ids, attention_mask\), of one side or of both joined"
    for made in (from_transformers(cross_encoder(), split()), from_transformers(encoder(), split()), bags):
        for call in (PairFeatureAblation(made).explain, PairFeatureAblation(made).attribute):
            with pytest.raises(TypeError, match=said):
                call(given)


@pytest.mark.parametrize("budget", ["fast", "normal", "thorough"])
def test_what_is_taken_by_itself_suits_a_cross_encoder(budget: Any) -> None:
    made = from_transformers(cross_encoder(), split())
    found, expected = auto(made, budget).explain(PAIR), PairFeatureAblation(made).explain(PAIR)
    for one, other in zip(found.maps, expected.maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-9)  # occlusion's sums have the size of its windows


def test_the_command_line_explains_a_cross_encoder_and_one_of_its_labels(tmp_path: Path, run: Any) -> None:
    cross_encoder(labels=2).float().save_pretrained(tmp_path)
    split().save_pretrained(tmp_path)
    words = ["explain", "--text", "a cat sat", "the dog slept", "--model", str(tmp_path)]
    code, _, said = run(*words, "-o", str(tmp_path / "why.png"))
    assert code != 0
    assert "one score per pair is needed; give target=" in said
    code, out, _ = run(*words, "--target", "1", "-o", str(tmp_path / "why.png"))
    assert code == 0
    assert "a: a " in out
    assert (tmp_path / "why.png").stat().st_size > 0


def test_methods_of_embeddings_name_what_serves_a_cross_encoder() -> None:
    with pytest.raises(ValueError, match=r"reads both inputs at once has none, so that PairFeatureAblation or "):
        PairRISE(from_transformers(cross_encoder(), split())).explain(PAIR)


def test_cross_encoders_that_are_not_known_are_told() -> None:
    class CrossEncoder(nn.Module):
        """Of a model of language, as those of Qwen: sentence-transformers reads its score off two words."""

        def __init__(self, inner: nn.Module, prompt: str | None) -> None:
            super().__init__()
            self.inner = inner
            self.tokenizer, self.max_seq_length = split(), 32
            self.prompts, self.default_prompt_name = {"query": "find"}, prompt

        def forward(self, x: Tensor) -> Tensor:
            return x

    said = "^a CrossEncoder is known that holds a model ...ForSequenceClassification; this one holds Linear$"
    with pytest.raises(ValueError, match=said):
        from_sentence_transformers(CrossEncoder(nn.Linear(1, 1), None))
    with pytest.raises(ValueError, match="a CrossEncoder with a prompt is not known"):
        from_sentence_transformers(CrossEncoder(cross_encoder(), "query"))
    made = from_sentence_transformers(CrossEncoder(cross_encoder(), None))
    torch.testing.assert_close(made(*PAIR), from_transformers(cross_encoder(), split())(*PAIR))
