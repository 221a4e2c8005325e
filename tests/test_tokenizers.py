"""Tokenizers of each kind: words and tokens, where padding stands, and what a wrong one is told."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from xsiamese import PairFeatureAblation, PairLayerIntegratedGradients
from xsiamese.author import Texts, words_of

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

from xsiamese_text import PairTokenMatrix, from_sentence_transformers, from_transformers  # noqa: E402
from xsiamese_text.reading import Reader  # noqa: E402

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NAMED = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
TEXTS = (["The cats sat on a mat.", "sleepy dog"], ["世界 hello \U0001f600", "a  naïve don't"])
WORDS = [
    [("The", "cats", "sat", "on", "a", "mat", "."), ("sleepy", "dog")],
    [("世", "界", "hello", "\U0001f600"), ("a", "naïve", "don't")],
]
CORPUS = [*TEXTS[0], *TEXTS[1], "the house ran on a rat", "query: a dog"] * 5
END = "<|endoftext|>"


def made(tokenizer: Any, **more: Any) -> Any:
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **{"model_max_length": 64, **more})


def framed(tokenizer: Any, template: str = "[CLS] $A [SEP]") -> Any:
    known = [(name, tokenizer.token_to_id(name)) for name in SPECIAL]
    pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
    tokenizer.post_processor = processors.TemplateProcessing(single=template, pair=pair, special_tokens=known)
    return tokenizer


def piecewise(size: int = 90) -> Any:
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL))
    return made


def bytewise(special: list[str], trim: bool = True, prefix: bool = False) -> Any:
    made, letters = tokenizers.Tokenizer(models.BPE()), pre_tokenizers.ByteLevel.alphabet()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    trainer = trainers.BpeTrainer(vocab_size=275, special_tokens=special, initial_alphabet=letters)
    made.train_from_iterator(CORPUS, trainer)
    made.post_processor = processors.ByteLevel(trim_offsets=trim)
    return made


def unigram(prepend: str = "always") -> Any:
    made = tokenizers.Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>")
    made.train_from_iterator(CORPUS, trainer)
    return made


def paired() -> Any:
    made = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=SPECIAL, end_of_word_suffix="</w>")
    made.train_from_iterator(CORPUS, trainer)
    return framed(made)


class Listed(transformers.PreTrainedTokenizerFast):  # type: ignore[name-defined]
    """Gives lists, whatever is asked for."""

    def __call__(self, *given: Any, **options: Any) -> Any:
        return super().__call__(*given, **{**options, "return_tensors": None})


def plain() -> Any:
    return made(framed(piecewise()), **NAMED)


KINDS: dict[str, Callable[[], Any]] = {
    "pieces of words": plain,
    "no special tokens": lambda: made(piecewise(), pad_token="[PAD]", unk_token="[UNK]"),
    "special tokens in the middle": lambda: made(framed(piecewise(), "[CLS] [MASK] $A [SEP] [MASK]"), **NAMED),
    "special tokens that are not named": lambda: made(framed(piecewise()), pad_token="[PAD]"),
    "padding on the left": lambda: made(framed(piecewise()), padding_side="left", **NAMED),
    "no padding": lambda: made(framed(piecewise()), unk_token="[UNK]"),
    "no types": lambda: made(framed(piecewise()), model_input_names=["input_ids", "attention_mask"], **NAMED),
    "lists": lambda: Listed(tokenizer_object=framed(piecewise()), model_max_length=64, **NAMED),
    "pairs of letters": lambda: made(paired(), **NAMED),
    "bytes": lambda: made(bytewise([END]), eos_token=END, bos_token=END, unk_token=END),
    "bytes, padding is the end": lambda: made(bytewise([END]), eos_token=END, pad_token=END),
    "bytes, that on the left": lambda: made(bytewise([END]), eos_token=END, pad_token=END, padding_side="left"),
    "bytes with their spaces": lambda: made(bytewise(["<pad>"], trim=False), pad_token="<pad>"),
    "bytes, a space first": lambda: made(bytewise(["<pad>"], prefix=True, trim=False), pad_token="<pad>"),
    "unigram": lambda: made(unigram(), pad_token="<pad>", unk_token="<unk>"),
    "unigram, no space first": lambda: made(unigram("never"), pad_token="<pad>", unk_token="<unk>"),
}


def encoder(size: int, **more: Any) -> Any:
    torch.manual_seed(0)
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(**{**settings, "max_position_embeddings": 64, "vocab_size": size, **more})
    return transformers.BertModel(config).double().eval()


def model(tokenizer: Any, pooling: Any = "mean") -> Any:
    return from_transformers(encoder(len(tokenizer)), tokenizer, pooling)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_words_are_those_of_the_text_alone(kind: str, pooling: str) -> None:
    """Against the model called by hand on each text, so that nothing fills it up."""
    tokenizer = KINDS[kind]()
    one, twin = model(tokenizer, pooling), encoder(len(tokenizer))

    def embedded(text: str) -> Any:
        states = twin(input_ids=torch.tensor(tokenizer([text])["input_ids"])).last_hidden_state[0]
        return {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling]

    expected = torch.stack([
        cosine_similarity(embedded(a), embedded(b), dim=0) for a, b in zip(*TEXTS, strict=True)
    ])  # fmt: skip
    methods: Any = ((PairLayerIntegratedGradients, {"n_steps": 4}), (PairFeatureAblation, {}))
    for cls, options in methods:
        found = cls(one).explain(TEXTS, **options)
        torch.testing.assert_close(found.scores, expected.detach(), rtol=1e-9, atol=0)
        for pair in (0, 1):
            alone = cls(one).explain(tuple(side[pair : pair + 1] for side in TEXTS), **options)
            for side, (short, values) in enumerate(zip(alone.inputs, alone.maps, strict=True)):
                whole = found.inputs[side].by_token(found.maps[side])[pair]
                own = short.own[0]
                torch.testing.assert_close(
                    whole[found.inputs[side].own[pair]], short.by_token(values)[0][own], rtol=1e-6, atol=1e-10
                )
                assert not whole[~found.inputs[side].own[pair]].any()
                ids = [i for i, special in zip(*_marked(tokenizer, TEXTS[side][pair]), strict=True) if not special]
                assert short["input_ids"][0][own].tolist() == ids
                words, sums = short.by_word(values)[0]
                joined = kind == "pairs of letters" and (side, pair) == (1, 0)  # whose one token is both letters
                assert words == (("世界", *WORDS[1][0][2:]) if joined else WORDS[side][pair])
                torch.testing.assert_close(sums.sum(), whole.sum(), rtol=1e-9, atol=1e-13)


def _marked(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    found = tokenizer([text], return_special_tokens_mask=True)
    return found["input_ids"][0], found["special_tokens_mask"][0]


def test_words_hold_every_letter_of_their_tokens_and_of_no_other() -> None:
    """Of texts that are cut anywhere: with spaces alone, over words, and the bytes of one letter."""
    drawn = random.Random(0)
    for _ in range(300):
        text = "a" + "".join(drawn.choices("ab 世.’\t", k=drawn.randint(1, 14)))
        ends = sorted({0, len(text), *drawn.sample(range(len(text) + 1), drawn.randint(0, len(text)))})
        spans = [span for span in pairwise(ends) for _ in range(drawn.randint(1, 2))]
        numbers, words = words_of(text, spans, [True] * len(spans))
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(len(words)))
        assert "".join("".join(words).split()) == "".join(text.split())  # each letter once
        for word in range(len(words)):
            own = dict.fromkeys(span for span, number in zip(spans, numbers, strict=True) if number == word)
            assert "".join("".join(text[slice(*span)] for span in own).split()) == "".join(words[word].split())
    assert words_of("a cat", [(0, 3), (3, 5), (5, 5)], [True, True, True]) == ([0, 0, 0], ["a cat"])
    assert words_of(" \t", [(0, 1), (1, 2)], [True, False]) == ([0, -1], [""])


class Slow(transformers.PreTrainedTokenizer):  # type: ignore[name-defined]
    """Words between spaces, with as many marks for special tokens as are asked for."""

    def __init__(self, marks: Callable[[list[int]], list[int]] | None = None, **named: str) -> None:
        self.known = [*SPECIAL, *sorted({word for text in CORPUS for word in text.lower().split()})]
        self.marks = marks
        super().__init__(model_max_length=64, **named)

    @property
    def vocab_size(self) -> int:
        return len(self.known)

    def get_vocab(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.known)}

    def _tokenize(self, text: str) -> list[str]:
        return text.lower().split()

    def _convert_token_to_id(self, token: str) -> int:
        return self.known.index(token) if token in self.known else 1

    def _convert_id_to_token(self, index: int) -> str:
        return self.known[index]

    def build_inputs_with_special_tokens(self, first: list[int], second: list[int] | None = None) -> list[int]:
        return [2, *first, 3]

    def get_special_tokens_mask(self, first: list[int], *_: Any, **__: Any) -> list[int]:
        return self.marks(first) if self.marks else [1, *[0] * len(first), 1]


@pytest.mark.parametrize(("marks", "count"), [(lambda ids: [0] * len(ids), 2), (lambda ids: [0] * (len(ids) + 3), 5)])
def test_a_mask_of_special_tokens_of_another_length_is_told(marks: Any, count: int) -> None:
    slow = Slow(marks, **NAMED)
    said = (
        f"text 1 of a has 4 tokens, and the special tokens mask of the Slow {count}: its get_special_tokens_mask must "
        "count those that its build_inputs_with_special_tokens adds"
    )
    one = encoder(len(slow))
    made = from_transformers(one, slow)
    one.register_forward_pre_hook(lambda *_: pytest.fail("work was done"))
    slow.marks = lambda ids: marks(ids) if len(ids) == 2 else [1, *[0] * len(ids), 1]
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        PairFeatureAblation(made).explain((["the cats sat", "sleepy dog"], ["a dog", "a"]))
    assert PairFeatureAblation(from_transformers(encoder(len(slow)), Slow())).explain((["a dog"], ["the rat"]))


def test_what_stands_for_a_missing_token_where_there_is_no_padding() -> None:
    """Unknown, then the end; of a tokenizer without any, the first token, and that is told."""
    for named, missing in (
        ({"pad_token": "[MASK]", "unk_token": "[SEP]"}, 4),
        ({"unk_token": "[SEP]", "eos_token": "[MASK]"}, 3),
        ({"eos_token": "[MASK]"}, 4),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert Reader(made(framed(piecewise()), **named)).missing == missing
    said = (
        "^the tokenizer has no padding, no unknown token and no end: a token that is missing becomes the one with the "
    )
    with pytest.warns(UserWarning, match=f"{said}id 0, '\\[PAD\\]'; missing= takes another$"):
        assert Reader(made(framed(piecewise()))).missing == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Reader(made(framed(piecewise())), missing=7).missing == 7


def test_what_a_tokenizer_gave_as_lists_or_arrays_is_its_texts() -> None:
    split = plain()
    explainer = PairFeatureAblation(model(split))
    expected = explainer.explain(TEXTS)
    tensors = [split(side, padding=True, return_tensors="pt") for side in TEXTS]
    for given in (
        tuple(split(side) for side in TEXTS),
        tuple(dict(split(side, padding=True)) for side in TEXTS),
        tuple(split(side)["input_ids"] for side in TEXTS),
        tuple(np.array(side) for side in TEXTS),
        tuple({**side, "attention_mask": side["attention_mask"].double()} for side in tensors),
    ):
        found = explainer.explain(given)
        for one, other in zip((found.scores, *found.maps), (expected.scores, *expected.maps), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_ids_with_padding_and_no_mask_are_told() -> None:
    split = plain()
    one = model(split)
    ids = tuple(split(side, padding=True, return_tensors="pt")["input_ids"] for side in TEXTS)
    with pytest.warns(
        UserWarning, match=r"^input a holds padding \(\[PAD\]\) and no attention_mask, so that the model reads"
    ):
        found = PairFeatureAblation(one).explain(ids)
    read = [encoder(len(split))(input_ids=side).last_hidden_state.mean(1) for side in ids]
    torch.testing.assert_close(found.scores, cosine_similarity(*read).detach())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PairFeatureAblation(one).explain(tuple(side[:1, :5] for side in ids))


class Unmasked(nn.Module):
    """A model that is told of no padding, as FNet is."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = encoder(size)
        self.config = self.inner.config

    def forward(self, input_ids: Any) -> Any:
        return self.inner(input_ids=input_ids)


def test_a_model_that_takes_no_mask_is_told_that_it_reads_padding() -> None:
    one = from_transformers(Unmasked(len(plain())), plain())
    with pytest.warns(
        UserWarning, match=r"takes no attention_mask and reads what fills up text 1 of a to the 9 tokens"
    ):
        together = PairFeatureAblation(one).explain((["The cats sat on a mat.", "dog"], ["rat", "rat"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = PairFeatureAblation(one).explain((["dog"], ["rat"]))
    assert abs(float(alone.scores[0] - together.scores[1])) > 1e-4


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: from_transformers(encoder(90), lambda texts: texts),
         "from_transformers takes a model and its tokenizer; got a BertModel and a function: "
         "PreTrainedTokenizerFast(tokenizer_object=...) makes one of a tokenizers.Tokenizer, and a model of ids needs "
         "none, SiameseModel(encoder)"),
        (lambda: from_transformers(encoder(90), plain(), longest=65),
         "longest=65: the model has positions for 64 tokens"),
        (lambda: from_transformers(encoder(90), plain(), longest=0),
         "longest=0: a number of tokens, 1 or more, is needed"),
        (lambda: from_transformers(encoder(90), plain(), longest=cast(Any, "9")),
         "longest='9': a number of tokens, 1 or more, is needed"),
        (lambda: PairFeatureAblation(model(plain())).explain((torch.full((1, 65), 7), torch.full((1, 9), 7))),
         "input a holds 65 tokens a text, and the model has positions for 64: cut the ids, or texts by longest= or the "
         "model's own max_seq_length"),
        (lambda: PairFeatureAblation(model(plain())).explain(
            (["a"], {"input_ids": torch.full((1, 5), 7), "attention_mask": torch.ones(1, 4)})
         ),
         "input b holds attention_mask of shape (1, 4) for ids of shape (1, 5)"),
        (lambda: PairFeatureAblation(model(plain())).explain((torch.ones(1, 5).bool(), ["a"])),
         "input a is a tensor of shape (1, 5), bool: this model takes texts, a list of strings or their ids"),
        (lambda: PairFeatureAblation(model(plain())).explain((["a", None], ["a", "a"])),
         "input a is a list of str and NoneType: this model takes texts, a list of strings or their ids"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(call: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(said)}$"):
        call()


@pytest.mark.parametrize("family", ["Bert", "Llama"])
def test_a_cross_encoder_gives_a_pair_the_score_that_it_has_alone(family: str) -> None:
    """Where padding on the left moves its positions, padding stands behind."""
    split = made(framed(piecewise()), padding_side="left", **NAMED)
    torch.manual_seed(0)
    settings = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = getattr(transformers, f"{family}Config")(
        **settings,
        vocab_size=len(split),
        num_labels=1,
        pad_token_id=0,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    one = getattr(transformers, f"{family}ForSequenceClassification")(config).double().eval()
    expected = torch.cat([one(**split(a, b, return_tensors="pt")).logits[:, 0] for a, b in zip(*TEXTS, strict=True)])
    torch.testing.assert_close(from_transformers(one, split)(*TEXTS), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_static_vectors_of_sentence_transformers_score_as_they_do_themselves(similarity: str, normalised: bool) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    torch.manual_seed(0)
    modules = [StaticEmbedding(piecewise(), embedding_dim=8), *([Normalize()] if normalised else [])]
    prompts = {"query": "query: "}
    own = library.SentenceTransformer(
        modules=modules, device="cpu", similarity_fn_name=similarity, prompts=prompts, default_prompt_name="query"
    )
    expected = own.similarity_pairwise(own.encode(TEXTS[0]), own.encode(TEXTS[1]))
    one: Any = from_sentence_transformers(own)
    found = PairTokenMatrix(one).explain(TEXTS)
    torch.testing.assert_close(found.scores, expected, rtol=1e-5, atol=1e-6)
    assert list(found.inputs[0].words) == WORDS[0]
    ablated = PairFeatureAblation(one).explain(TEXTS, wrt="first")
    kept: Texts = ablated.inputs[0]
    for place in kept.own[1].nonzero().flatten().tolist():
        without = {**kept.tensors, "input_ids": kept["input_ids"].clone()}
        without["input_ids"][1, place] = one.readers[0].missing
        lost = expected[1] - one(without, found.inputs[1])[1]
        torch.testing.assert_close(ablated.maps[0][1, place], lost, rtol=1e-4, atol=1e-5)
