"""Integrated gradients of pairs of texts: pairs a second, against captum in a loop and against the passes it needs.

An encoder of 6 layers and 384 dimensions (random weights, the size of MiniLM), 32 tokens a side, 32 steps, both sides.
The floor is what the method cannot do without: a forward and a backward pass of the encoder for each step of each side.

Run ``python tests/benchmarks/texts.py``; it writes ``docs/measurements/texts.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
from captum.attr import LayerIntegratedGradients
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from xsiamese import PairLayerIntegratedGradients, SiameseModel
from xsiamese_text.encoders import TransformersEncoder

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "texts.json"
TOKENS, STEPS = 32, 32


class Twin(nn.Module):
    """Two encoders that share nothing: what captum can explain."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.first, self.second = deepcopy(encoder), deepcopy(encoder)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return cosine_similarity(self.first(a), self.second(b))


def seconds(run: Callable[[], Any], rounds: int) -> float:
    """The median processor time of a call on one thread, after one that warms up: others may be at work."""
    run()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return median(found)


def passes(encoder: TransformersEncoder, ids: Tensor) -> None:
    """The forward and backward passes of all steps of one side, from the vectors of the tokens on."""
    vectors = encoder.model.embeddings.word_embeddings(ids).detach()
    rows = vectors.repeat(STEPS, 1, 1).requires_grad_()
    hidden = encoder.model(inputs_embeds=rows).last_hidden_state
    torch.autograd.grad(hidden.mean(1).sum(), rows)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=1000
    )
    encoder = TransformersEncoder(transformers.BertModel(config)).eval().requires_grad_(False)
    a, b = torch.randint(5, 1000, (2, arguments.pairs, TOKENS))
    explainer = PairLayerIntegratedGradients(SiameseModel(encoder))
    twin = Twin(encoder)
    name = "model.embeddings.word_embeddings"
    layers = [side.get_submodule(name) for side in (twin.first, twin.second)]

    def loop() -> None:
        for x, y in zip(a.split(1), b.split(1), strict=True):
            LayerIntegratedGradients(lambda p, y=y: twin(p, y.expand(len(p), -1)), layers[0]).attribute(
                x, baselines=torch.zeros_like(x), n_steps=STEPS
            )
            LayerIntegratedGradients(lambda q, x=x: twin(x.expand(len(q), -1), q), layers[1]).attribute(
                y, baselines=torch.zeros_like(y), n_steps=STEPS
            )

    ours = seconds(lambda: explainer.attribute((a, b), n_steps=STEPS), arguments.rounds)
    floor = seconds(lambda: (passes(encoder, a), passes(encoder, b)), arguments.rounds)
    captum = seconds(loop, arguments.rounds)
    result = {
        "torch": torch.__version__,
        "threads": 1,
        "clock": "processor time",
        "rounds": arguments.rounds,
        "pairs": arguments.pairs,
        "encoder": "BERT, 6 layers, 384 dimensions, random weights",
        "tokens": TOKENS,
        "steps": STEPS,
        "pairs_per_second": round(arguments.pairs / ours, 3),
        "captum_pairs_per_second": round(arguments.pairs / captum, 3),
        "over_passes": round(ours / floor, 3),
        "captum_over_ours": round(captum / ours, 3),
    }
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
