"""Robust explanations end to end: the net with known relevance, the traps, what must not change a result, and every
kind of bad input.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests.problems import conv_encoder, images, known_relevance, relevant, smooth_encoder
from xsiamese import (
    Descent,
    Invariance,
    InvarianceLearner,
    PairExplanation,
    RobustPairExplainer,
    SiameseModel,
    TwoInputModel,
    edge_units,
    grid_units,
)
from xsiamese.testing import CHECKS, check_explainer
from xsiamese_invariance import memory
from xsiamese_invariance.problem import MaskProblem

Pair = tuple[Tensor, Tensor]


def drawn(*counts: int, features: int = 20, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, features, generator=generator, dtype=dtype) for n in counts]


@pytest.fixture(scope="module")
def learned() -> tuple[SiameseModel, Invariance, Tensor, Tensor]:
    """The net with known relevance, the invariance of two queries, the queries and references that it has not seen."""
    queries, pool, references = drawn(2, 512, 12)
    model = known_relevance()
    return model, InvarianceLearner(model, steps=400).fit(queries, pool), queries, references


def test_what_always_counts_is_found_and_what_is_not_used_is_ranked_last(learned: Any) -> None:
    _, invariance, _, _ = learned
    assert float(invariance.mask[:, :4].min()) > 0.8
    assert float(invariance.mask[:, 10:].max()) < 0.3
    assert set(invariance.order[0, -10:].tolist()) == set(range(10, 20))
    assert bool((invariance.spread > 0.5).all())
    assert invariance.trace.shape[1] == 2
    assert float(invariance.trace[-4:].mean()) < float(invariance.trace[:2].mean())
    assert len(invariance.fingerprints) == 512


def test_masks_of_a_query_are_alike_and_true(learned: Any) -> None:
    model, invariance, queries, references = learned
    pair = (queries[:1].expand(12, -1), references)
    masks, trace = RobustPairExplainer(model).attribute(
        pair, invariance=invariance[0], masks="shared", return_convergence=True
    )
    assert trace.share() >= 0.9
    assert bool(
        (trace.final.infeasibility <= 1e-3 * trace.multipliers[:, 0] + 1e-4)[
            torch.tensor([s == "converged" for s in trace.status])
        ].all()
    )
    truth = relevant(*pair)
    assert float(masks[0][~truth].mean()) < 0.15 < 0.5 < float(masks[0][truth].mean())
    assert torch.equal(*masks)


@pytest.mark.parametrize("coupling", ["ball", "kl", "order", "none"])
def test_every_coupling_gives_masks_in_the_unit_interval(learned: Any, coupling: Any) -> None:
    model, invariance, queries, references = learned
    found, trace = RobustPairExplainer(model, coupling=coupling).attribute(
        (queries, references[:2]), invariance=(invariance, None), steps=100, return_convergence=True
    )
    assert all(m.shape == (2, 20) and bool(((m >= 0) & (m <= 1)).all()) for m in found)
    assert trace.multipliers.shape == (2, {"ball": 1, "order": 7}.get(coupling, 0))
    assert trace.course.stationarity.shape == (len(trace.steps), 2)
    assert set(trace.status) <= {"converged", "max_iter"}


def test_with_an_invariance_for_each_side_both_masks_are_held(learned: Any) -> None:
    model, invariance, queries, references = learned
    held = invariance.with_mask(invariance.mask.flip(1))
    (first, second), trace = RobustPairExplainer(model).attribute(
        (queries, references[:2]), invariance=(invariance, held), steps=600, return_convergence=True
    )
    assert trace.constraints == ("q: ball", "r: ball")
    for mask, target in ((first, invariance.mask), (second, held.mask)):
        p, own = target / target.sum(1, keepdim=True), mask / mask.sum(1, keepdim=True)
        assert float((p * (p / own).log()).sum(1).max()) < 0.1 + 0.02


def test_shared_replacements_explain_alike_pairs_by_nothing_and_mixed_ones_by_what_decides() -> None:
    queries, pool = drawn(6, 256)
    model = known_relevance()
    pair = (queries, queries + 0.05 * drawn(6, seed=1)[0])
    assert float(model(*pair).min()) > 2
    explainer = RobustPairExplainer(model, coupling="none")
    with pytest.warns(
        UserWarning, match=r"pair 0, 1, 2, 3, 4, 5: replacing everything .* the empty mask explains it.*use 'mixed'"
    ):
        empty, _ = explainer.attribute(pair, masks="shared", pool=pool, replacement="zeros", steps=400)
    assert float(empty[:, :4].max()) < 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixed, _ = explainer.attribute(pair, masks="shared", pool=pool, draws=32, steps=400)
    assert float(mixed[:, :4].min()) > 0.3
    assert float(mixed[:, :4].mean()) > 0.6


def net(features: int = 5) -> tuple[SiameseModel, list[Tensor], Invariance]:
    """A smooth net in float64, and an invariance."""
    model = SiameseModel(smooth_encoder(), "dot")
    model.encoder[0].weight.data.mul_(3)  # type: ignore[union-attr, operator]
    items = drawn(4, 4, 64, features=features, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model, items, InvarianceLearner(model, steps=60).fit(items[0], items[2])


@pytest.mark.parametrize("coupling", ["ball", "kl"])
def test_swapping_the_sides_swaps_the_masks(coupling: Any) -> None:
    model, (a, b, _), invariance = net()
    explainer = RobustPairExplainer(model, coupling=coupling)
    first, second = explainer.attribute((a, b), invariance=(invariance, invariance[[3, 2, 1, 0]]), steps=200)
    swapped = explainer.attribute((b, a), invariance=(invariance[[3, 2, 1, 0]], invariance), steps=200)
    assert torch.allclose(first, swapped[1], atol=1e-9)
    assert torch.allclose(second, swapped[0], atol=1e-9)
    assert not torch.allclose(first, second, atol=1e-2)


def test_permuting_the_units_permutes_the_masks() -> None:
    model, (a, b, pool), invariance = net()
    order = torch.tensor([3, 0, 4, 1, 2])
    explainer = RobustPairExplainer(model)
    expected = explainer.attribute((a, b), invariance=invariance, pool=pool, steps=200)
    other = SiameseModel(nn.Sequential(Reordered(order), model.encoder), "dot")  # type: ignore[arg-type]
    found = RobustPairExplainer(other).attribute(
        (a[:, order], b[:, order]),
        invariance=invariance.with_mask(invariance.mask[:, order]),
        pool=pool[:, order],
        steps=200,
    )
    for x, y in zip(expected, found, strict=True):
        assert torch.allclose(x[:, order], y, atol=1e-9)


class Reordered(nn.Module):
    """Undoes a permutation of the features."""

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.back = order.argsort()

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.back]


@pytest.mark.parametrize("coupling", ["ball", "kl", "order"])
def test_a_batch_is_a_loop_and_a_seed_gives_the_same_again(coupling: Any) -> None:
    model, (a, b, _), invariance = net()
    explainer = RobustPairExplainer(model, coupling=coupling)
    options = {"steps": 99, "top": 2}
    whole = explainer.attribute((a, b), invariance=invariance, **options)
    for i in range(4):
        alone = explainer.attribute((a[i : i + 1], b[i : i + 1]), invariance=invariance[i], **options)
        assert all(torch.allclose(w[i], m[0], atol=1e-9) for w, m in zip(whole, alone, strict=True))
    parts = explainer.attribute((a, b), invariance=invariance, internal_batch_size=3, **options)
    again = explainer.attribute((a, b), invariance=invariance, **options)
    other = explainer.attribute((a, b), invariance=invariance, seed=1, **options)
    assert all(torch.allclose(w, m, atol=1e-9) for w, m in zip(whole, parts, strict=True))
    assert all(map(torch.equal, whole, again))
    assert not torch.equal(whole[0], other[0])


def test_an_invariance_is_the_same_when_its_queries_are_learned_apart() -> None:
    model, (queries, _, pool), invariance = net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = InvarianceLearner(model, steps=60).fit(queries[2:3], pool)
    assert torch.allclose(alone.mask[0], invariance.mask[2], atol=1e-9)


def test_chunks_of_memory_change_nothing_and_too_little_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (a, b, _), invariance = net()
    explainer = RobustPairExplainer(model)
    whole, trace = explainer.attribute((a, b), invariance=invariance, steps=120, return_convergence=True)
    sizes: list[int] = []
    measured = memory.bytes_of_pass

    def note(problem: MaskProblem, theta: Tensor) -> int:
        sizes.append(measured(problem, theta))
        return sizes[-1]

    monkeypatch.setattr(memory, "bytes_of_pass", note)
    explainer.attribute((a, b), invariance=invariance, steps=1)
    monkeypatch.setattr(memory, "available", lambda device: int(2.5 * sizes[0] / memory.SHARE))
    chunked, same = explainer.attribute((a, b), invariance=invariance, steps=120, return_convergence=True)
    assert all(torch.allclose(x, y, atol=1e-9) for x, y in zip(whole, chunked, strict=True))
    assert same.status == trace.status
    assert torch.allclose(same.objective, trace.objective)
    monkeypatch.setattr(memory, "available", lambda device: sizes[0])
    with pytest.raises(
        MemoryError, match=r"one pair with 128 draws needs .* GiB a step and .* GiB are free: use fewer draws"
    ):
        explainer.attribute((a, b), invariance=invariance)


def test_one_side_alone_can_be_masked(learned: Any) -> None:
    model, invariance, queries, references = learned
    first, second = RobustPairExplainer(model).attribute(
        (queries, references[:2]), invariance=invariance, wrt="first", steps=100
    )
    assert bool(first.any())
    assert not bool(second.any())


@pytest.mark.parametrize("check", CHECKS)
def test_contract_with_invariances(check: str) -> None:
    class PairHeld(RobustPairExplainer):
        """With an invariance for each side.

        Args:
            coupling: how the masks are held to it.
        """

        name = "held"
        modalities = frozenset({"image"})  # the invariance has the units of one image

    held = Invariance(torch.linspace(0.1, 0.9, 36)[None], "dataset", xsiamese_units(), True, torch.zeros(1, 1))
    check_explainer(PairHeld, only=check, options={"invariance": (held, held), "steps": 6, "draws": 8})


def xsiamese_units() -> Any:
    from xsiamese_invariance.units import units_of

    return units_of((torch.zeros(1, 1, 6, 6),))


def test_images_and_connectomes_by_their_units() -> None:
    model = SiameseModel(conv_encoder(), "cosine")
    a, b = images(2)
    grid = grid_units(8, 8, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        invariance = InvarianceLearner(model, units=grid, steps=20).fit(a, images(16, seed=5)[0])
        map_a, map_b = RobustPairExplainer(model).attribute((a, b), invariance=invariance, steps=20)
    assert not invariance.aligned
    assert invariance.divergence == "squared"
    assert invariance.maps.shape == (2, 1, 8, 8)
    for one in (map_a, map_b):
        assert one.shape == (2, 1, 8, 8)
        assert len(one[0].unique()) <= 4
        assert bool((one[..., :4, :4] == one[..., :1, :1]).all())
    square = torch.randn(12, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    square = square + square.mT
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 4)).double()
    brain = SiameseModel(encoder, "euclidean")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learned = InvarianceLearner(brain, units=edge_units(6), steps=20).fit(square[:2], square[2:])
        mask, _ = RobustPairExplainer(brain).attribute(
            (square[:2], square[2:4]), invariance=learned, masks="shared", steps=20
        )
    assert learned.aligned
    assert learned.mask.shape == (2, 15)
    assert torch.equal(mask, mask.mT)
    assert not bool(mask.diagonal(dim1=1, dim2=2).any())


def test_superpixels_of_each_query_are_their_own_units() -> None:
    model = SiameseModel(conv_encoder(), "dot")
    a, b = images(3)
    labels = torch.stack([torch.arange(64).reshape(1, 8, 8) // (8 * (i + 1)) for i in range(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        invariance = InvarianceLearner(model, units=labels, steps=10).fit(a, b)
        assert invariance.mask.shape == (3, 8)
        assert not bool(invariance.mask[1, 4:].any())
        (first, _), trace = RobustPairExplainer(model).attribute(
            (a, b), invariance=invariance, steps=40, return_convergence=True
        )
        alone, _ = RobustPairExplainer(model).attribute((a[1:2], b[1:2]), invariance=invariance[1], steps=40)
    assert [len(one.unique()) <= n for one, n in zip(first, (8, 4, 3), strict=True)] == [True] * 3
    assert torch.allclose(alone[0], first[1], atol=1e-9)
    assert bool(torch.isfinite(trace.final.stationarity).all())


def test_scopes_class_and_dataset() -> None:
    queries, pool = drawn(6, 256)
    model = known_relevance()
    whole = InvarianceLearner(model, scope="dataset", steps=200).fit(queries, pool)
    assert whole.mask.shape == (1, 20)
    assert float(whole.mask[0, :4].min()) > float(whole.mask[0, 10:].max()) + 0.3
    classes = torch.tensor([3, 5, 3, 5, 3, 5])
    each = InvarianceLearner(model, scope="class", steps=50).fit(queries, pool, classes=classes)
    assert each.mask.shape == (2, 20)
    assert each.classes == (3, 5)
    assert torch.equal(each.of_classes(torch.tensor([5, 3, 5])).mask, each.mask[[1, 0, 1]])
    with pytest.raises(ValueError, match="class 4 is not among those of this invariance: 3, 5"):
        each.of_classes(torch.tensor([4]))
    with pytest.raises(ValueError, match=r"needs the class of each of the 6 queries.*none given"):
        InvarianceLearner(model, scope="class").fit(queries, pool)


def test_pseudo_labels_are_balanced_or_confident() -> None:
    from xsiamese.kinds.catalogue import side
    from xsiamese_invariance.unlabeled import Unlabeled

    queries, pool = drawn(3, 200)
    model = known_relevance(offset=1.0)
    unlabeled = Unlabeled.of(model, side(queries, "q"), side(pool, "r"))
    rows, columns = torch.meshgrid(torch.arange(3), torch.arange(200), indexing="ij")
    assert torch.allclose(
        unlabeled.scores.flatten(), model(queries[rows.flatten()], pool[columns.flatten()]), atol=1e-5
    )
    alike = unlabeled.scores > 0
    assert float(alike.float().mean()) < 0.2
    both = alike.any(1)
    assert both.tolist() == [True, False, True]
    with pytest.warns(
        UserWarning, match=r"for 1 of 3 queries the model gives all 200 references one verdict \(mostly different\)"
    ):
        weights = unlabeled.cumulative(alike, "balanced", None).diff(dim=1, prepend=torch.zeros(3, 1))
    assert torch.allclose((weights * alike).sum(1)[both], torch.full((2,), 0.5), atol=1e-5)
    assert torch.allclose(weights[~both], torch.full((1, 200), 1 / 200), atol=1e-6)
    sure = (2 * unlabeled.scores.sigmoid() - 1).abs() >= 0.9
    weights = unlabeled.cumulative(None, "confident", sure).diff(dim=1, prepend=torch.zeros(3, 1))
    assert float(weights[~sure].abs().max()) < 1e-6
    plain = Unlabeled.of(TwoInputModel(lambda a, b: model(a, b)), side(queries, "q"), side(pool, "r"))
    assert torch.allclose(plain.scores, unlabeled.scores, atol=1e-5)
    assert plain.embeddings is None


def test_a_callable_of_two_inputs_works_as_its_parts_do() -> None:
    model, (a, _, pool), _ = net()
    whole = TwoInputModel(lambda x, y: model(x, y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for aligned in (True, False):
            first = InvarianceLearner(model, steps=20, aligned=aligned).fit(a, pool)
            second = InvarianceLearner(whole, steps=20, aligned=aligned).fit(a, pool)
            assert torch.allclose(first.mask, second.mask, atol=1e-9)


def test_saved_invariances_come_back(tmp_path: Path, learned: Any) -> None:
    _, invariance, _, _ = learned
    back = Invariance.load(invariance.save(tmp_path / "m.safetensors"))
    assert torch.equal(back.mask, invariance.mask)
    assert torch.equal(back.pool[0], invariance.pool[0])
    assert (back.scope, back.aligned, back.divergence, back.scale, back.fingerprints) == (
        invariance.scope,
        invariance.aligned,
        invariance.divergence,
        invariance.scale,
        invariance.fingerprints,
    )
    assert repr(back) == repr(invariance)
    labels = torch.arange(64).reshape(1, 8, 8) // 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of_units = InvarianceLearner(SiameseModel(conv_encoder(), "dot"), units=labels, steps=2).fit(*images(3))
    assert torch.equal(Invariance.load(of_units.save(tmp_path / "u.safetensors")).maps, of_units.maps)
    (tmp_path / "no").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a safetensors file"):
        Invariance.load(tmp_path / "no")
    PairExplanation((torch.ones(1, 2),) * 2, (torch.ones(1, 2),) * 2, torch.ones(1), "X").save(tmp_path / "e")
    with pytest.raises(ValueError, match="no invariance that xsiamese saved"):
        Invariance.load(tmp_path / "e")


def test_an_explanation_knows_that_it_has_no_sign(learned: Any) -> None:
    model, invariance, queries, references = learned
    explanation = RobustPairExplainer(model).explain((queries, references[:2]), invariance=invariance, steps=20)
    assert explanation.unsigned
    assert "chen2021siamese" in explanation.citation
    assert "Invariance(query" in str(explanation.parameters)


def test_ctrl_c_ends_with_the_masks_so_far_only_when_the_convergence_is_asked_for() -> None:
    model, (a, b, _), invariance = net()
    calls = 0

    def interrupted(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 300:
            calls = -10_000  # once
            raise KeyboardInterrupt
        found: Tensor = model.encoder(x)  # type: ignore[operator]
        return found

    class Encoder(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return interrupted(x)

    twin = SiameseModel(Encoder(), "dot")
    with pytest.raises(KeyboardInterrupt):
        RobustPairExplainer(twin).attribute((a, b), invariance=invariance, steps=1000)
    calls = 0
    (first, _), trace = RobustPairExplainer(twin).attribute(
        (a, b),
        invariance=invariance,
        steps=1000,
        internal_batch_size=2,
        descent=Descent(tolerance=0, slack=0),
        return_convergence=True,
    )
    assert trace.status == ("interrupted",) * 4
    assert bool(torch.isfinite(first).all())
    assert bool((first[2:] == 0.5).all())
    assert not bool((first[:2] == 0.5).any())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": 0.0}, "eps=0.0: a positive radius is needed"),
        ({"eps": -1.0}, "eps=-1.0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"draws": 0}, "draws=0"),
        ({"replacement": "mean"}, "replacement='mean'"),
        ({"divergence": "js"}, "divergence='js'"),
        ({"size": -1.0}, "size=-1.0"),
        ({"steps": 0}, "steps=0"),
        ({"pool": torch.zeros(3, 7)}, r"pool of a holds items of shape \(7,\), the input \(5,\)"),
        ({"pool": torch.full((3, 5), torch.nan).double()}, "pool of a, shape .* holds NaN"),
        ({"units": torch.zeros(4, dtype=torch.long)}, "units of a has shape"),
        ({"units": torch.tensor([0, 0, 1, 1, 1])}, "the invariance has 5 units, the side it is for 2"),
        ({"wrt": "first", "masks": "shared"}, "masks='shared' needs both sides"),
        ({"epz": 0.1}, "no option 'epz'; did you mean 'eps'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    model, (a, b, _), invariance = net()
    with pytest.raises((ValueError, TypeError), match=message):
        RobustPairExplainer(model).attribute((a, b), **{"invariance": invariance, "steps": 5, **options})


def test_other_bad_input_is_named(learned: Any) -> None:
    model, invariance, queries, references = learned
    for make, message in (
        (lambda: RobustPairExplainer(model, coupling="l2"), "coupling='l2'"),
        (lambda: InvarianceLearner(model, scope="pair"), "scope='pair'"),
        (lambda: InvarianceLearner(model, weights="some"), "weights='some'"),
        (lambda: InvarianceLearner(model, steps=0), "steps=0"),
        (
            lambda: InvarianceLearner(model).fit(queries, references[:0]),
            r"the pool of references is empty, shape \(0, 20\)",
        ),
        (
            lambda: InvarianceLearner(model).fit(queries, torch.full((4, 20), torch.nan)),
            "references, shape .* holds NaN",
        ),
        (
            lambda: InvarianceLearner(model, aligned=True).fit(queries, torch.zeros(4, 30)),
            "aligned=True needs items of one shape",
        ),
        (
            lambda: InvarianceLearner(model, scope="dataset", units=torch.zeros(2, 20, dtype=torch.long)).fit(
                queries, references
            ),
            "units that mean the same",
        ),
        (lambda: invariance.with_mask(invariance.mask + 1), "no mask in"),
        (
            lambda: RobustPairExplainer(model).attribute(
                (queries[:1].expand(3, -1), references[:3]), invariance=invariance
            ),
            "2 rows for 3 pairs",
        ),
        (
            lambda: InvarianceLearner(model, weights="confident", divergence="squared").fit(queries, references),
            "weights='confident' needs scores",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(ValueError, match=r"invariance=Tensor\(2, 20\): Invariance, \(Invariance or None, "):
        RobustPairExplainer(model).attribute((queries, references[:2]), invariance=invariance.mask)


def test_nan_at_a_draw_is_named() -> None:
    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, :1] > 50, torch.nan, x)

    pool = torch.zeros(8, 3)
    pool[4, 0] = 100
    with pytest.raises(
        ValueError, match=r"draws from the pool, row = draw x 1 \+ pair: the score is NaN or infinite in row"
    ):
        RobustPairExplainer(SiameseModel(Breaks(), "dot"), coupling="none").attribute(
            (torch.ones(1, 3), torch.ones(1, 3)), pool=pool
        )


def test_the_traps_are_warned_of(learned: Any) -> None:
    model, invariance, queries, _ = learned
    seen = invariance.pool[0][[3, 7]]
    with pytest.warns(UserWarning, match="the reference of pair 0, 1 is one that the invariance was learned from"):
        RobustPairExplainer(model).attribute((queries, seen), invariance=invariance, steps=2)
    with pytest.warns(UserWarning, match="no invariance is given.*say coupling='none'"):
        RobustPairExplainer(model).attribute((queries, seen), steps=2)
    constant = SiameseModel(nn.Linear(20, 2), xsiamese.model.comparison.Function(lambda u, v: 0 * (u * v).sum(1) + 1))
    with (
        pytest.warns(
            UserWarning, match=r"for 2 of 2 queries the model gives all 512 references one verdict \(mostly alike\)"
        ),
        pytest.warns(UserWarning, match="the invariance of row 0, 1 is flat"),
    ):
        InvarianceLearner(constant, steps=20).fit(queries, invariance.pool[0])


def test_an_untrained_network_has_a_flat_invariance() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
    queries, pool = drawn(2, 256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = InvarianceLearner(SiameseModel(encoder, "dot"), steps=100).fit(queries, pool)
    assert float(found.spread.max()) < 0.05


def test_the_invariance_of_many_units_is_not_priced_away() -> None:
    """Six of 500 features count: at the price of few units, the empty mask would be the cheapest."""
    generator = torch.Generator().manual_seed(0)
    encoder = nn.Linear(500, 6, bias=False)
    encoder.weight.data = torch.eye(6, 500) * 0.3
    model = SiameseModel(encoder, "dot").eval()
    query, pool = torch.ones(1, 500), torch.randn(128, 500, generator=generator)
    invariance = InvarianceLearner(model, steps=150).fit(query, pool)
    assert set(invariance.order[0, :6].tolist()) == set(range(6))
    assert float(invariance.mask[0, :6].min()) > 0.5
    assert float(invariance.mask[0, 6:].max()) < 0.4
