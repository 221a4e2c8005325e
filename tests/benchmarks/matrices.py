"""What pair matrices cost, beside what they are made of and beside a peer's formula.

    python tests/benchmarks/matrices.py [--only NAME ...] [--out docs/measurements/matrices.json]

Rounds time the work and what it is made of in turn; a ratio is that of the least time of each, in seconds of the
processor, so that what else runs on the machine counts as little as it can. One thread.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from xsiamese import (
    MaskRun,
    PairActivationDecomposition,
    PairCorrRISE,
    PairDistanceExplainer,
    PairInteraction,
    PairLayerInteraction,
    PairMaskRegression,
    PairRELAX,
    PairRISE,
    PairSBSM,
    SiameseModel,
)
from xsiamese.pairs.parts import parts_of
from xsiamese.zoo import shipped
from xsiamese_interactions.masks import Masks, Regression, draw
from xsiamese_interactions.tangents import jacobian

ROUNDS = 5
DRAWS = 4
TOYS = 12


def timed(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio(
    work: Callable[[], Any], floor: Callable[[], Any], times: float = 1.0, rounds: int = ROUNDS
) -> dict[str, float]:
    """Work over ``times`` floors, each the fastest of all rounds."""
    work(), floor()
    seconds = [(timed(work), timed(floor)) for _ in range(rounds)]
    fastest, least = (min(column) for column in zip(*seconds, strict=True))
    return {
        "seconds": round(fastest, 4),
        "floor_seconds": round(least, 4),
        "ratio": round(fastest / (least * times), 3),
    }


def tangents() -> dict[str, Any]:
    """ResNet-18 at layer3, 112 px: 49 cells, 512 dimensions, in passes of what follows the layer."""
    net = resnet18(weights=None).eval()
    tail = nn.Sequential(net.layer4, net.avgpool, nn.Flatten())
    point = torch.rand(1, 256, 7, 7)
    parts = parts_of(point)

    def passes() -> None:
        with torch.no_grad():
            for _ in range(parts.count):
                tail(point)

    found = ratio(lambda: jacobian(tail, point, point, parts), passes)
    return {"cells": 49, "dimensions": 512, **found, "tail_passes_a_cell": found["ratio"]}


def closed_form() -> dict[str, Any]:
    """ResNet-50 at layer4, 224 px: the matrix over the forward pass of both images."""
    net = resnet50(weights=None)
    net.fc = nn.Identity()
    model = SiameseModel(net).eval()
    a, b = torch.rand(2, 1, 3, 224, 224)
    explainer = PairActivationDecomposition(model, "layer4")

    def forward() -> None:
        with torch.no_grad():
            model(a, b)

    return ratio(lambda: explainer.explain((a, b)), forward)


def toy(width: int, parts: int, seed: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(parts, 64), nn.Tanh(), nn.Linear(64, width)), torch.rand(parts)


def mask_regression() -> dict[str, Any]:
    """49 patches x 8 tokens, 1,602 encodings: the closed form, and the least squares of 2^16 scores. How far apart the
    errors are depends on the networks, so that there are a dozen, and on the masks, so that these are drawn anew.
    """
    toys = [(toy(64, 49, 2 * k), toy(64, 8, 2 * k + 1)) for k in range(TOYS)]
    toys = [((f.double(), x.double()), (g.double(), y.double())) for (f, x), (g, y) in toys]
    generator = torch.Generator().manual_seed(0)

    def embedded(made: tuple[nn.Module, Tensor], keep: Tensor) -> Tensor:
        with torch.no_grad():
            return nn.functional.normalize(made[0](keep * made[1]), dim=1)

    def closed(some: Sequence[Any], first: Masks, second: Masks) -> Tensor:
        a, b = Regression.of(first), Regression.of(second)
        return torch.stack([a.slopes(embedded(f, first.keep)) @ b.slopes(embedded(g, second.keep)).T for f, g in some])

    def least_squares(some: Sequence[Any], keep_a: Tensor, keep_b: Tensor) -> Tensor:
        """FIxLIP's regression: every score on all parts and all pairs of parts, within a side and across."""
        scores = [(embedded(f, keep_a) @ embedded(g, keep_b).T).flatten() for f, g in some]
        rows = torch.cat([keep_a.repeat_interleave(len(keep_b), 0), keep_b.repeat(len(keep_a), 1)], 1)
        i, j = torch.triu_indices(rows.shape[1], rows.shape[1], 1)
        design = torch.cat([torch.ones(len(rows), 1), rows, rows[:, i] * rows[:, j]], 1).double()
        # by the normal equations, the fastest way to solve it
        solved = torch.linalg.solve(design.T @ design, design.T @ torch.stack(scores, 1))[1 + rows.shape[1] :]
        whole = torch.zeros(len(some), rows.shape[1], rows.shape[1], dtype=torch.float64)
        whole[:, i, j] = solved.T
        return whole[:, :49, 49:]

    like = torch.zeros(1, dtype=torch.float64)
    truth = closed(toys, draw(49, 200_000, 0.5, like, generator), draw(8, 256, 0.5, like, generator))

    def error(found: Tensor) -> Tensor:
        return (found - truth).norm(dim=(1, 2)) / truth.norm(dim=(1, 2))

    errors: dict[str, list[Tensor]] = {"peer": [], "ours": []}
    for _ in range(DRAWS):
        peer = [(torch.rand(k, n, generator=generator) < 0.5).double() for k, n in ((1560, 49), (42, 8))]
        ours = [draw(49, 1346, 0.5, like, generator), draw(8, 256, 0.5, like, generator)]
        errors["peer"].append(error(least_squares(toys, *peer)))
        errors["ours"].append(error(closed(toys, *ours)))
    mean = {name: torch.stack(all_of).mean(0) for name, all_of in errors.items()}
    ratios = (mean["ours"] / mean["peer"]).sort().values
    seconds = {
        "peer": timed(lambda: least_squares(toys[:1], *peer)),
        "ours": min(timed(lambda: closed(toys[:1], *ours)) for _ in range(ROUNDS)),
    }
    return {
        "networks": TOYS,
        "draws": DRAWS,
        "scores_of_the_peer": 1560 * 42,
        "encodings": {"peer": 1560 + 42, "ours": 1346 + 256},
        "peer": {"seconds": round(seconds["peer"], 2), "error": round(float(mean["peer"].median()), 4)},
        "ours": {"seconds": round(seconds["ours"], 4), "error": round(float(mean["ours"].median()), 4)},
        "error_of_the_peers": round(float(ratios.quantile(0.5)), 3),
        "least_and_most": [round(float(ratios[0]), 3), round(float(ratios[-1]), 3)],
        "times_faster": round(seconds["peer"] / seconds["ours"], 1),
    }


def gallery() -> dict[str, Any]:
    """All 4,950 matrices of 100 images of the shipped fashion model from their factors, beside the 25,600 encodings."""
    torch.manual_seed(0)
    net = shipped("fashion").model.encoder
    images, generator = torch.rand(100, 1, 28, 28), torch.Generator().manual_seed(0)
    parts = parts_of(images[:1], (7, 7))
    drawn = [draw(49, 256, 0.5, images, generator) for _ in images]

    def encode() -> list[Tensor]:
        with torch.no_grad():
            masked = (parts.kept(m.keep).flatten(0, 1) * x for m, x in zip(drawn, images, strict=True))
            return [nn.functional.normalize(net(one), dim=1) for one in masked]

    known = encode()

    def matrices() -> None:
        factors = torch.stack([Regression.of(m).slopes(u) for m, u in zip(drawn, known, strict=True)])
        for i in range(99):
            factors[i] @ factors[i + 1 :].transpose(1, 2)

    encoding, rest = (min(timed(work) for _ in range(ROUNDS)) for work in (encode, matrices))
    return {
        "encoding_seconds": round(encoding, 3),
        "matrices_seconds": round(rest, 3),
        "ratio": round(1 + rest / encoding, 3),
    }


def one_run() -> dict[str, Any]:
    """Five black-box methods from one run of masks, over the encodings alone."""
    torch.manual_seed(0)
    net = resnet18(weights=None)
    net.fc = nn.Identity()
    model = SiameseModel(net).eval()
    a, b = torch.rand(2, 1, 3, 64, 64)
    options = {"masks": 1000}

    def all_five() -> None:
        run = MaskRun(model).sample((a, b), internal_batch_size=32, **options)
        for method in (PairRISE, PairCorrRISE, PairRELAX, PairSBSM, PairDistanceExplainer):
            method(model).explain((a, b), sample=run, internal_batch_size=32, **options)

    def encodings() -> None:
        with torch.no_grad():
            for item in (a, b):
                for part in torch.split(torch.rand(1000, 3, 64, 64) * item, 32):
                    net(part)

    return ratio(all_five, encodings, rounds=2)


def input_level() -> dict[str, Any]:
    """A 224 x 224 matrix at the input, pooled to 28 x 28: what it takes of memory."""
    net = resnet18(weights=None)
    net.fc = nn.Identity()
    model = SiameseModel(net, "dot").eval()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    a, b = torch.rand(2, 1, 3, 224, 224)
    PairInteraction(model).explain((a, b), form="hessian", cells=(28, 28))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    return {"seconds": round(time.perf_counter() - start, 1), "peak_gib_grown": round(grown, 2)}


def regression_on_images() -> dict[str, Any]:
    """Mask regression as users call it, over its own encodings."""
    net = resnet18(weights=None)
    net.fc = nn.Identity()
    model = SiameseModel(net).eval()
    a, b = torch.rand(2, 1, 3, 64, 64)

    def encodings() -> None:
        with torch.no_grad():
            for item in (a, b):
                for part in torch.split(torch.rand(256, 3, 64, 64) * item, 64):
                    net(part)

    explainer = PairMaskRegression(model)
    return ratio(lambda: explainer.explain((a, b), masks=256, internal_batch_size=64), encodings)


def tokens() -> dict[str, Any]:
    """Tokens of two sentences in an encoder of 6 layers and 384 dimensions: points of the mixed integral from padding
    to the words, beside integrated Jacobians by a loop over the dimensions at 250 points, as peers have it.

    Weights are as the configuration draws them. Layer normalisation bends the path where a word's vector is about as
    long as its position's, nearer to the padding the longer words are: so they are also taken two and a half and five
    times as long.
    """
    from transformers import BertConfig, BertModel

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
            self.inner = BertModel(config, add_pooling_layer=False)

        def forward(self, ids: Tensor) -> Tensor:
            return self.inner(input_ids=ids).last_hidden_state.mean(1)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    encoder = Encoder().eval().double()
    words = encoder.inner.embeddings.word_embeddings
    a, b = torch.randint(1000, 30000, (1, 11)), torch.randint(1000, 30000, (1, 7))
    model, some = SiameseModel(encoder), 4

    def ours(**options: Any) -> Any:
        explainer = PairLayerInteraction(model, layer="inner.embeddings.word_embeddings")
        return explainer.explain((a, b), kind="text", **options)

    def loop() -> None:
        for ids in (a, b):
            points = torch.arange(1, 251)[:, None, None] / 250 * words(ids).detach()
            u = encoder.inner(inputs_embeds=points.requires_grad_()).last_hidden_state.mean(1)
            for d in range(some):  # of 384
                torch.autograd.grad(u[:, d].sum(), points, retain_graph=True)

    def error(found: Any) -> float:
        return abs(float(found.gap[0] / (found.matrix.total - found.gap[0])))

    needed, drawn = {}, words.weight.detach().clone()
    for longer in (5.0, 2.5, 1.0):  # the last is what is timed
        with torch.no_grad():
            words.weight.copy_(drawn * longer)
        needed[longer] = next(nodes for nodes in range(1, 33) if error(ours(steps=nodes)) <= 1e-5)
    nodes = needed[1.0]
    peer = ours(form="jacobian", rule="right", steps=250)
    own, others = (
        min(timed(lambda: ours(steps=nodes)) for _ in range(3)),
        min(timed(loop) for _ in range(2)) * 384 / some,
    )
    return {
        "nodes_for_1e-5": nodes,
        "nodes_of_longer_words": {f"{longer:g}": count for longer, count in needed.items()},
        "seconds": round(own, 2),
        "error": error(ours(steps=nodes)),
        "loop": {"seconds_scaled_from_4_dimensions": round(others, 1), "error": error(peer)},
        "times_faster": round(others / own, 1),
    }


# the memory first: a peak is that of the whole process so far
PARTS = (input_level, tangents, closed_form, mask_regression, gallery, one_run, regression_on_images, tokens)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("docs/measurements/matrices.json"))
    parser.add_argument("--only", nargs="*", choices=[part.__name__ for part in PARTS])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out.exists() else {}
    found.update(torch=torch.__version__, threads=1, rounds=ROUNDS)
    for part in PARTS:
        if not asked.only or part.__name__ in asked.only:
            found[part.__name__] = part()
            print(part.__name__, found[part.__name__], flush=True)
            asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
