"""Models that read padding in spite of a mask, and models that fill texts up to a step of their own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.test_text import PAIR, TINY, tokenizer
from xsiamese import PairGradCAM, PairLayerGradientXActivation
from xsiamese_text import from_sentence_transformers, from_transformers

transformers = pytest.importorskip("transformers")
_SMALL = {"vocab_size": 27, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_FUNNEL = {"d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32, "vocab_size": 27}
FAMILIES: dict[str, dict[str, Any]] = {
    "MobileBert": {**_SMALL, "embedding_size": 8, "intermediate_size": 32, "intra_bottleneck_size": 8},
    "Funnel": {**_FUNNEL, "block_sizes": [1, 1], "num_decoder_layers": 1},
    "Bert": TINY,
    "DistilBert": {"vocab_size": 27, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32},
    "Longformer": {**TINY, "attention_window": 8, "max_position_embeddings": 40, "pad_token_id": 0},
}


def _model(family: str, kind: str = "Model") -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    model = getattr(transformers, family + kind)(config).double().eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    return model


def _told(made: Any, pair: Any) -> tuple[list[float], bool]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = made(*made.taken(pair)).detach().flatten().tolist()
    return scores, any("reads padding whatever its attention_mask says" in str(one.message) for one in caught)


@pytest.mark.parametrize("kind", ["Model", "ForSequenceClassification"])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_model_reads_of_padding_is_told_where_it_changes_the_score(family: str, kind: str) -> None:
    made = from_transformers(_model(family, kind), tokenizer(32))
    both, told = _told(made, PAIR)
    alone = [_told(made, ([a], [b])) for a, b in zip(*PAIR, strict=True)]
    width = len(both) // 2
    changed = any(
        abs(x - y) > 1e-6
        for k, (scores, _) in enumerate(alone)
        for x, y in zip(both[k * width : (k + 1) * width], scores, strict=True)
    )
    assert told == changed
    assert changed or kind != "Model" or family not in ("MobileBert", "Funnel")
    assert not any(one for _, one in alone)
    ids = tokenizer()(PAIR[0], padding=True, return_tensors="pt")
    assert _told(made, (ids, PAIR[1][:1] * 2))[1] == changed


def test_a_module_of_sentence_transformers_that_reads_padding_is_told(tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import CNN, Pooling

    _model("Bert").float().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    for after, reads in (([CNN(16, 8), Pooling(24)], True), ([Pooling(16)], False)):
        own = library.SentenceTransformer(modules=[Transformer(str(tmp_path)), *after], device="cpu").eval()
        assert _told(from_sentence_transformers(own), PAIR)[1] is reads


@pytest.mark.parametrize("layer", [None, "model.encoder.layer.1"])
def test_maps_of_layers_have_the_tokens_that_the_model_fills_up(layer: str | None) -> None:
    model, split = _model("Longformer"), tokenizer()
    made = from_transformers(model, split)
    given = {} if layer is None else {"layer": layer}
    for method in (PairLayerGradientXActivation, PairGradCAM):
        found = method(made, **given).explain(PAIR)
        words = found.inputs[0].by_word(found.maps[0])
        assert [len(names) for names, _ in words] == [7, 2]
        for row, (_, values) in enumerate(words):
            alone = method(made, **given).explain(([PAIR[0][row]], [PAIR[1][row]]))
            if layer is not None:  # gradients before it are not finite in Longformer where a window is all padding
                torch.testing.assert_close(alone.inputs[0].by_word(alone.maps[0])[0][1], values)
        found.plot()
    with torch.no_grad():
        states = [
            model(**split([text], return_tensors="pt")).last_hidden_state.mean(1) for text in (PAIR[0][0], PAIR[1][0])
        ]
    torch.testing.assert_close(made([PAIR[0][0]], [PAIR[1][0]]), nn.functional.cosine_similarity(*states))
