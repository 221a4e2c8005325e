"""Models of sentence-transformers with settings of their own: the score is the one that the library itself gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.test_text import PAIR, TINY, encoder, tokenizer
from xsiamese import PairFeatureAblation, PairLayerIntegratedGradients, PairTokenMatrix, from_sentence_transformers

library = pytest.importorskip("sentence_transformers")
transformers = pytest.importorskip("transformers")
modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
sparse = pytest.importorskip("sentence_transformers.sparse_encoder.modules")
base = pytest.importorskip("sentence_transformers.base.modules")

Made = Callable[[Path], Any]


def _first(folder: Path, task: str = "feature-extraction", seed: int = 0) -> Any:
    torch.manual_seed(seed)
    masked = task == "fill-mask"
    one = transformers.BertForMaskedLM(transformers.BertConfig(**TINY)) if masked else encoder().float()
    for parameter in one.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    place = folder / f"{task}{seed}"
    one.eval().save_pretrained(place)
    tokenizer().save_pretrained(place)
    return base.Transformer(str(place), transformer_task=task)


def _dense(folder: Path, *after: Any, **told: Any) -> Any:
    return library.SentenceTransformer(modules=[_first(folder), modules.Pooling(16), *after], device="cpu", **told)


def _splade(folder: Path, *given: Any, active: int | None = None, **told: Any) -> Any:
    return library.SparseEncoder(
        modules=[_first(folder, "fill-mask"), sparse.SpladePooling(*given, **told)],
        max_active_dims=active,
        device="cpu",
    )


def _routed(folder: Path) -> Any:
    parts = ([_first(folder, seed=seed), modules.Pooling(16)] for seed in (0, 1))
    router = base.Router.for_query_document(*parts)
    return library.SentenceTransformer(modules=[router], device="cpu")


def _static(*after: Any, **told: Any) -> Any:
    torch.manual_seed(0)
    table = modules.StaticEmbedding(tokenizer().backend_tokenizer, embedding_dim=8)
    return library.SentenceTransformer(modules=[table, *after], device="cpu", **told)


_PROMPTS = {"query": "sleepy ", "passage": "cat "}
_KINDS: dict[str, tuple[Made, bool]] = {  # and whether a is a query and b a document
    "cut": (lambda folder: _dense(folder, truncate_dim=3), False),
    "cut and normalised": (
        lambda folder: _dense(folder, modules.Normalize(), truncate_dim=3, similarity_fn_name="dot"),
        False,
    ),
    "cut behind a layer": (lambda folder: _dense(folder, modules.Dense(16, 8), truncate_dim=3), False),
    "static and cut": (lambda _: _static(truncate_dim=3), False),
    "static, normalised and cut": (lambda _: _static(modules.Normalize(), truncate_dim=3), False),
    "manhattan": (lambda folder: _dense(folder, similarity_fn_name="manhattan"), False),
    "few active": (lambda folder: _splade(folder, active=4), False),
    "sums": (lambda folder: _splade(folder, "sum"), False),
    "twice the logarithm": (lambda folder: _splade(folder, activation_function="log1p_relu"), False),
    "routed": (_routed, True),
    "prompts": (lambda folder: _dense(folder, prompts=_PROMPTS), True),
    "one prompt": (lambda folder: _dense(folder, prompts={"query": "sleepy "}), True),
    "a prompt for the others": (
        lambda folder: _dense(folder, prompts={**_PROMPTS, "other": "dog "}, default_prompt_name="other"),
        False,
    ),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_the_score_is_the_similarity_of_what_the_model_itself_encodes(kind: str, tmp_path: Path) -> None:
    build, apart = _KINDS[kind]
    own = build(tmp_path).eval()
    made = from_sentence_transformers(own, tasks=("query", "document") if apart else None)
    encoded = (own.encode_query(PAIR[0]), own.encode_document(PAIR[1])) if apart else map(own.encode, PAIR)
    expected = torch.as_tensor(own.similarity_pairwise(*encoded)).double()
    expected = -expected if kind == "manhattan" else expected  # the library turns distances round
    for found in (PairLayerIntegratedGradients(made).explain(PAIR, n_steps=3), PairFeatureAblation(made).explain(PAIR)):
        torch.testing.assert_close(found.scores.double(), expected, rtol=1e-4, atol=1e-5)
        assert found.maps[0].any()
    if kind in ("cut", "static and cut", "static, normalised and cut"):
        found = PairTokenMatrix(made).explain(PAIR)
        for matrix, score in zip(found.matrices, expected, strict=True):
            torch.testing.assert_close(matrix.value.double(), score, rtol=1e-4, atol=1e-5)
    assert not any(part.training for part in own.modules())


def test_a_router_whose_two_routes_are_not_asked_for_is_told(tmp_path: Path) -> None:
    own = _routed(tmp_path).eval()
    with pytest.warns(UserWarning, match=r'^the model has a Router .* tasks=\("query", "document"\) encodes a by '):
        made = from_sentence_transformers(own)
    expected = torch.as_tensor(own.similarity_pairwise(*map(own.encode, PAIR)))
    torch.testing.assert_close(made(*PAIR), expected, rtol=1e-4, atol=1e-5)


def test_what_is_not_known_of_sentence_transformers_is_one_line() -> None:
    words = modules.BoW(vocab=["cat", "dog"])
    with pytest.raises(
        ValueError, match=r"^the model splits texts with a WhitespaceTokenizer \(BoW\), and a tokenizer"
    ):
        from_sentence_transformers(library.SentenceTransformer(modules=[words], device="cpu"))
    cut = _static(modules.Normalize(), truncate_dim=3, similarity_fn_name="dot")
    with pytest.raises(ValueError, match=r"^truncate_dim=3 behind Normalize is not known of static vectors"):
        from_sentence_transformers(cut)
    with pytest.raises(ValueError, match=r"^tasks=\('query',\): \(\"query\", \"document\"\) is needed"):
        from_sentence_transformers(_static(), tasks=("query",))  # type: ignore[arg-type]
