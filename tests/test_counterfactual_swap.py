"""Region swaps: the algebra equals the model, small counts are optimal, and what cannot be done is said."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.problems import conv_encoder, images, planted_patches
from xsiamese import SiameseModel, Tokens, calibrate
from xsiamese.model.comparison import Bilinear, ClampedEuclidean, Comparison, Learned
from xsiamese_counterfactual import Counterfactual, PairRegionSwap
from xsiamese_counterfactual.moves import Algebra, Head, Moves, moves

LAYER = "4"  # the second convolution's ReLU: a 4 x 4 grid


def flat_encoder() -> nn.Sequential:
    torch.manual_seed(3)
    return (
        nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5))
        .double()
        .eval()
    )


def bent_encoder() -> nn.Sequential:
    torch.manual_seed(4)
    return (
        nn.Sequential(
            nn.Conv2d(1, 3, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(48, 5),
            nn.Tanh(),
            nn.Linear(5, 4),
        )
        .double()
        .eval()
    )


def learned() -> Learned:
    torch.manual_seed(5)
    return Learned(nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)).double())


def options_of(model: SiameseModel, layer: str, pair: tuple[Tensor, Tensor], side: int = 0) -> tuple[Moves, Head]:
    """The quick way and the plain one to the same values."""
    search = PairRegionSwap(model, layer)
    with search.prepared(pair) as batch:
        places = search.places(batch)
        cells = [place.cells(place.raw)[0] for place in places]
        return moves(places[side], cells[side], cells[1 - side]), Head(places[side], cells[side], cells[1 - side])


def swapped_again(model: SiameseModel, layer: str, one: Counterfactual) -> Tensor:
    """The closeness after the edits, by a hook that shares no code with the search."""
    side = "ab".index(one.side)
    module, seen = model.encoders[side].get_submodule(layer), []
    handles = [
        m.get_submodule(layer).register_forward_hook(lambda *args: seen.append(args[2].clone()))
        for m in dict.fromkeys(model.encoders)
    ]
    with torch.no_grad():
        model(*one.inputs)
        for handle in handles:
            handle.remove()
        changed = seen[side].clone()
        for edit in one.edits:
            assert edit.source is not None
            changed[(0, slice(None), *edit.where)] = seen[1 - side][(0, slice(None), *edit.source)]
        handle = module.register_forward_hook(lambda *_: changed)
        edited = model.encode(one.inputs[side], side)
        handle.remove()
        kept = model.encode(one.inputs[1 - side], 1 - side)
        score = model.comparison.explained(*((edited, kept) if side == 0 else (kept, edited)))
    return score[0]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("comparison", "formula"),
    [
        ("dot", True),
        ("cosine", True),
        ("euclidean", True),
        ("squared_euclidean", True),
        (ClampedEuclidean(1e9), True),
        ("manhattan", False),
        (Bilinear(6).double(), False),
        (learned(), False),
    ],
)
def test_algebra_equals_the_head(comparison: str | Comparison, formula: bool, side: int) -> None:
    quick, plain = options_of(SiameseModel(conv_encoder(), comparison), LAYER, images(1), side)
    assert isinstance(quick, Algebra)
    assert (quick.formula is not None) == formula
    for done in ([], [(0, 3)], [(0, 3), (5, 3), (9, 1)]):
        assert quick.value(done) == pytest.approx(plain.value(done), rel=1e-9)
        found, expected = quick.values(done), plain.values(done)
        untouched = [i for i in range(16) if i not in [i for i, _ in done]]
        torch.testing.assert_close(found[untouched], expected[untouched])


def test_a_flattened_linear_head_is_algebra_too_and_a_bent_one_is_not() -> None:
    pair = images(1)
    quick, plain = options_of(SiameseModel(flat_encoder(), "euclidean"), "1", pair)
    assert isinstance(quick, Algebra)
    torch.testing.assert_close(quick.values([(2, 1)])[3:], plain.values([(2, 1)])[3:])
    assert isinstance(options_of(SiameseModel(bent_encoder(), "euclidean"), "1", pair)[0], Head)


@pytest.mark.parametrize("encoder", [conv_encoder, bent_encoder])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_best_two_is_the_best_of_all(encoder: Any, sign: float) -> None:
    model, layer = SiameseModel(encoder(), "euclidean"), LAYER if encoder is conv_encoder else "1"
    quick, plain = options_of(model, layer, images(1))
    found, value = quick.best_two(sign)
    assert value == pytest.approx(sign * plain.value(found))
    sources = range(0, 16, 5 if encoder is bent_encoder else 1)
    best = max(
        float((sign * plain.values([(i, j)]))[[k for k in range(16) if k != i]].max())
        for i, j in product(range(16), sources)
    )
    assert value >= best - 1e-12


@pytest.mark.parametrize("comparison", ["euclidean", "cosine", "manhattan"])
@pytest.mark.parametrize("wrt", ["first", "second", "both"])
def test_flips_are_real_and_no_edit_is_needless(comparison: str, wrt: Any) -> None:
    model = SiameseModel(conv_encoder(), comparison)
    a, b = images(6)
    scores = model(a, b).detach()
    sign = 1 if model.higher_is_closer else -1
    for one in PairRegionSwap(model, LAYER, threshold=1.000001 * float(scores.median())).find((a, b), wrt=wrt):
        again = swapped_again(model, LAYER, one)
        assert one.score_after == pytest.approx(float(again), rel=1e-9)
        assert len(one.path) == one.count + 1
        assert one.flipped == (bool(sign * again >= sign * one.threshold) != one.alike_before)
        assert one.flipped or one.reason
        assert wrt == "both" or one.side == {"first": "a", "second": "b"}[wrt]
        if one.flipped and one.count > 1:
            from dataclasses import replace

            for k in range(one.count):
                fewer = swapped_again(model, LAYER, replace(one, edits=one.edits[:k] + one.edits[k + 1 :]))
                assert bool(sign * fewer >= sign * one.threshold) == one.alike_before


def test_a_different_pair_can_always_be_made_alike_by_its_partner() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(8)
    found = PairRegionSwap(model, LAYER, threshold=1e-9).find((a, b))
    assert all(one.flipped and not one.alike_before for one in found)


def test_exhaustive_is_never_more_and_greedy_is_near() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(12, seed=4)
    threshold = 0.8 * float(model(a, b).detach().median())
    greedy = PairRegionSwap(model, LAYER, threshold=threshold).find((a, b))
    best = PairRegionSwap(model, LAYER, threshold=threshold).find((a, b), search="exhaustive")
    assert all(e.count <= g.count for g, e in zip(greedy, best, strict=True))
    known = [(g.count, e.count) for g, e in zip(greedy, best, strict=True) if e.flipped and e.count <= 2]
    assert known
    assert sum(g for g, _ in known) <= 1.1 * sum(e for _, e in known)


def test_the_first_swap_hits_a_planted_patch() -> None:
    a, b, mask_a, mask_b = planted_patches(60, seed=2)
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 48, 4, stride=1)
    nn.init.constant_(convolution.bias, -1.2)  # silent on faint noise
    model = SiameseModel(
        nn.Sequential(
            convolution, nn.ReLU(), nn.AvgPool2d(2, 2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ).double(),
        "cosine",
    )
    with torch.no_grad():
        convolution.weight.mul_(4)
    unrelated = b.roll(1, 0)
    calibrate(model, torch.cat([a, a]), torch.cat([b, unrelated]), torch.arange(120) < 60)
    alike = model.comparison.is_close(model(a, b).detach())
    found = PairRegionSwap(model, "2").find((a[alike], b[alike]))
    masks = (mask_a[alike], mask_b[alike])
    hits = []
    for i, one in enumerate(found):
        row, column = (
            slice(max(0, 2 * k - 1), 2 * k + 5) for k in one.edits[0].where
        )  # the pixels that a pooled cell sees
        hits.append(bool(masks["ab".index(one.side)][i, row, column].any()))
    assert len(hits) >= 40
    assert sum(hits) / len(hits) >= 0.95


def test_a_distractor_makes_an_alike_pair_different() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(1)
    far = 5 * images(1, seed=9)[0]
    distance, other = float(model(a, b).detach()), float(model(far, b).detach())
    assert other > distance
    search = PairRegionSwap(model, LAYER, threshold=(distance + other) / 2)
    one = search.find((a, b), distractor=far, wrt="first")[0]
    assert one.flipped
    assert one.alike_before
    assert one.distractor is not None
    with pytest.raises(ValueError, match="distractor is on the wrong side: the model calls it alike with b too"):
        search.find((a, b), distractor=a, wrt="first")


def test_what_cannot_be_flipped_is_said() -> None:
    model = SiameseModel(conv_encoder(), "cosine")
    one = PairRegionSwap(model, LAYER, threshold=2.0).find(images(1))[0]
    assert not one.flipped
    assert "threshold" in one.reason
    assert one.score_after >= one.score_before
    few = PairRegionSwap(model, LAYER, threshold=2.0).find(images(1), limit=1)[0]
    assert few.count == 1
    assert few.reason == "1 edits, all that are allowed, do not reach the threshold"


def test_patches_of_pixels() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(2)
    threshold = 0.9 * float(model(a, b).min())
    for one in PairRegionSwap(model, threshold=threshold).find((a, b), patch=2, wrt="first"):
        assert one.flipped
        assert float(model(*one.edited)) == pytest.approx(one.score_after)
        assert int((one.edited[0] != one.inputs[0]).sum()) <= 4 * one.count


def test_tokens_and_two_encoders_and_a_plain_module() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 4, stride=4), nn.Flatten(2), Transposed(), nn.ReLU(), Mean()).double()
    a, b = images(2, size=16)
    model = SiameseModel(encoder, "euclidean")
    threshold = 0.7 * float(model(a, b).min())
    for layout, grid in ((None, (4, 4)), (Tokens((4, 4), prefix=0), (4, 4)), (Tokens((1, 16), prefix=0), (1, 16))):
        found = PairRegionSwap(model, "3", threshold=threshold, layout=layout).find((a, b))
        assert [one.grid for one in found] == [grid, grid]
        assert all(one.flipped for one in found)
    a, b = images(2)
    twin = SiameseModel((conv_encoder(), conv_encoder()), "euclidean")
    alone = SiameseModel(conv_encoder(), "euclidean")
    threshold = 0.7 * float(alone(a, b).min())
    plain = PairRegionSwap(Plain(alone), "model.encoder.4", threshold=threshold, higher_is_closer=False).find((a, b))
    for one, two, three in zip(
        PairRegionSwap(alone, LAYER, threshold=threshold).find((a, b)),
        PairRegionSwap(twin, LAYER, threshold=threshold).find((a, b)),
        plain,
        strict=True,
    ):
        assert one.edits == two.edits
        assert [(e.where, e.source) for e in one.edits] == [(e.where, e.source) for e in three.edits]


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


class Plain(nn.Module):
    """A model that cannot be taken apart."""

    def __init__(self, model: SiameseModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.model(a, b)


def test_the_decision_is_on_the_unclamped_distance() -> None:
    encoder, (a, b) = conv_encoder(), images(3)
    threshold = 0.8 * float(SiameseModel(encoder, "euclidean")(a, b).min())
    clamped = PairRegionSwap(SiameseModel(encoder, ClampedEuclidean(threshold / 2)), LAYER, threshold=threshold).find(
        (a, b)
    )
    plain = PairRegionSwap(SiameseModel(encoder, "euclidean"), LAYER, threshold=threshold).find((a, b))
    assert [one.edits for one in clamped] == [one.edits for one in plain]


def test_nothing_is_left_on_the_model() -> None:
    model = SiameseModel(conv_encoder(), "euclidean").train()
    before = [len(m._forward_hooks) for m in model.modules()]
    PairRegionSwap(model, LAYER, threshold=0.1).find(images(1))
    with pytest.raises(ValueError, match="wrong side"):
        PairRegionSwap(model, LAYER, threshold=1e9).find(images(1), distractor=images(1)[0])
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert [len(m._forward_hooks) for m in model.modules()] == before


def test_distance_to_the_data() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(3)
    threshold = 0.9 * float(model(a, b).min())
    search = PairRegionSwap(model, LAYER, threshold=threshold)
    few = search.find((a, b), wrt="first")
    many = search.find((a, b), wrt="first", reference=torch.cat([a, b, *images(9, seed=3)]))
    for one, two in zip(few, many, strict=True):
        assert one.nearest is not None
        assert two.nearest is not None
        assert 0 < two.nearest <= one.nearest + 1e-9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"search": "best"}, ValueError, "search='best'"),
        ({"limit": 0}, ValueError, "limit=0"),
        ({"patch": 3}, ValueError, "patch=3 does not divide the 8 x 8 pixels"),
        ({"distractor": torch.zeros(1, 1, 4, 4)}, ValueError, r"distractor is \(1, 1, 4, 4\)"),
        ({"distractor": torch.zeros(2, 1, 8, 8)}, ValueError, r"one row or one a pair"),
        ({"reference": torch.zeros(0, 1, 8, 8)}, ValueError, "reference is"),
        ({"distracter": None}, TypeError, "did you mean 'distractor'"),
        ({"ids": [("a", "b"), ("c", "d")]}, ValueError, "ids= holds 2 for 1 pairs"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PairRegionSwap(SiameseModel(conv_encoder()), LAYER, threshold=0.5).find(images(1), **options)


def test_no_threshold_says_how_to_calibrate() -> None:
    with pytest.raises(ValueError, match=r"xsiamese.calibrate\(model, a, b, same\)"):
        PairRegionSwap(SiameseModel(conv_encoder()), LAYER).find(images(1))
    with pytest.raises(ValueError, match="needs a grid"):
        PairRegionSwap(SiameseModel(conv_encoder()), "6", threshold=0.5).find(images(1))


def test_too_many_pairs_of_edits_are_refused() -> None:
    model = SiameseModel(bent_encoder(), "euclidean")
    torch.manual_seed(0)
    model.encoder[3] = nn.Linear(3 * 9 * 9, 5).double()
    a, b = images(1, size=18)
    with pytest.raises(ValueError, match="too many to try"):
        options_of(model, "1", (a, b))[0].best_two(1.0)


def test_a_search_costs_three_passes_of_a_pair_whatever_the_number_of_edits() -> None:
    """One pass to record both sides; for each side one to learn what edits do and one to check the result."""
    model = SiameseModel(conv_encoder(), "euclidean")
    pair = images(1)
    threshold = 0.3 * float(model(*pair).detach())
    rows = []
    handle = model.encoder[0].register_forward_hook(lambda *args: rows.append(len(args[2])))
    one = PairRegionSwap(model, LAYER, threshold=threshold).find(pair)[0]
    handle.remove()
    assert one.count > 1
    assert sum(rows) == 6


def test_the_embedding_above_a_layer_is_the_encoders() -> None:
    model, pair = SiameseModel(conv_encoder(), "euclidean"), images(2)
    search = PairRegionSwap(model, LAYER)
    with search.prepared(pair) as batch, torch.no_grad():
        one = next(batch.split(1))
        raw = model.encoder[:5](pair[1])  # two rows in place of one
        torch.testing.assert_close(one.tail_embedding(LAYER, 1, raw), model.encode(pair[1]))
        with pytest.raises(ValueError, match="takes a single pair of a SiameseModel, not 2"):
            batch.tail_embedding(LAYER, 0, raw)


def test_prepared_puts_the_model_back_also_after_an_exception() -> None:
    model = SiameseModel(conv_encoder(), "euclidean").train()

    def fail() -> None:
        with PairRegionSwap(model, LAYER).prepared(images(1)):
            assert not model.training
            assert not any(p.requires_grad for p in model.parameters())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_the_map_is_what_a_swapped_cell_takes_by_hand() -> None:
    """With mean pooling and a dot product s = mean(a) mean(b): cell i of a replaced by cell j of b takes
    (a_i - b_j)/4 mean(b), on average over j (a_i - mean(b))/4 mean(b); of b with the sides exchanged.
    """
    convolution = nn.Conv2d(1, 1, 1, bias=False).double()
    nn.init.ones_(convolution.weight)
    model = SiameseModel(nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten()), "dot")
    a, b = (torch.tensor(v, dtype=torch.float64).view(1, 1, 2, 2) for v in ([1.0, 2, 3, 6], [2.0, 0, 2, 4]))
    map_a, map_b = PairRegionSwap(model, "0").attribute((a, b))
    assert map_a.flatten().tolist() == pytest.approx([-0.5, 0, 0.5, 2], abs=1e-12)
    assert map_b.flatten().tolist() == pytest.approx([-0.75, -2.25, -0.75, 0.75], abs=1e-12)


def test_items_of_two_sizes_are_near_to_those_of_their_own() -> None:
    """b has as many cells as a in another shape: the distance is to the layer's outputs of the b, by hand."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    model = SiameseModel(nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten())).eval()
    for shape in ((12, 12), (5, 14)):  # 10 x 10 and 3 x 12 cells beside 6 x 6
        pair = torch.rand(3, 1, 8, 8), torch.rand(3, 1, *shape)
        threshold = float(model(*pair).mean())
        found: Any = PairRegionSwap(model, "encoder.0", threshold=threshold).explain(pair, wrt="second")
        real = body(pair[1]).detach().flatten(1)
        apart = torch.cdist(real, real).fill_diagonal_(torch.inf).min(1).values.median()
        for one in found.counterfactuals:
            assert one.typical == pytest.approx(float(apart), rel=1e-5)
            if not one.count:
                assert one.nearest == pytest.approx(0.0, abs=1e-5)  # nothing is edited: it is one of them
        assert any(one.nearest > 0.01 for one in found.counterfactuals if one.count)
