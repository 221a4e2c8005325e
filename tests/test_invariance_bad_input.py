"""What bad input gets from robust explanations, by calls as a user makes them: errors before any work, warnings,
statuses, and what Ctrl-C leaves.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import InvarianceLearner, RobustPairExplainer, SiameseModel
from xsiamese.data.planted import planted
from xsiamese.kinds.catalogue import side as kind_side
from xsiamese.model.comparison import Function
from xsiamese_invariance import Descent, Invariance, memory
from xsiamese_invariance.problem import Argument

COUPLINGS = ("ball", "order", "kl")
ENDLESS = Descent(steps=100_000, tolerance=0, slack=0)


class Encoder(nn.Module):
    """Six features to four, with something that happens on the way."""

    def __init__(self, happens: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.net, self.happens = nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 4)), happens
        for parameter in self.net.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(self.happens(x))
        return found


class Interrupts:
    """Ctrl-C at the n-th pass."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return x


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


QUERIES, REFERENCES, POOL = rows(2, 1), rows(2, 2), rows(64, 3)


def learned(model: SiameseModel, pool: Tensor = POOL) -> Invariance:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return InvarianceLearner(model, steps=40).fit(QUERIES, pool)


@pytest.mark.parametrize("coupling", [*COUPLINGS, "none"])
@pytest.mark.parametrize("eps", [0, -0.1])
def test_a_radius_that_is_none_is_refused_before_any_pass(coupling: Any, eps: float) -> None:
    model = SiameseModel(Encoder(), "dot")
    invariance = learned(model)
    passes = Interrupts(-1)
    model.encoder.happens = passes  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=f"eps={eps}: a positive radius is needed"):
        RobustPairExplainer(model, coupling=coupling).attribute(
            (QUERIES, REFERENCES), invariance=invariance, eps=eps, draws=1000
        )
    assert passes.left >= -3  # at most the scores of the pairs themselves: nothing is optimised


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda model: InvarianceLearner(model).fit(QUERIES, POOL[:0]),
            r"the pool of references is empty, shape \(0, 6\)",
        ),
        (
            lambda model: InvarianceLearner(model).fit(QUERIES, (POOL[:0],)),
            r"references\[0\] has shape \(0, 6\): it holds no pair",
        ),
        (
            lambda model: InvarianceLearner(model).fit(QUERIES[:0], POOL),
            r"queries has shape \(0, 6\): it holds no pair",
        ),
        (
            lambda model: InvarianceLearner(model).fit(QUERIES, POOL, pool=POOL[:0]),
            r"pool has shape \(0, 6\): it holds no pair",
        ),
        (
            lambda model: RobustPairExplainer(model, coupling="none").attribute((QUERIES, REFERENCES), pool=POOL[:0]),
            r"pool of a has shape \(0, 6\)",
        ),
    ],
)
def test_an_empty_pool_is_refused_wherever_it_is_given(call: Callable[[SiameseModel], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(SiameseModel(Encoder(), "dot"))


@pytest.mark.parametrize("options", [{}, {"internal_batch_size": 1}, {"wrt": "first"}, {"wrt": "second"}])
def test_a_reference_of_the_pool_is_told_by_the_number_of_its_pair(options: dict[str, Any]) -> None:
    model = SiameseModel(Encoder(), "dot")
    invariance = learned(model)
    pair = QUERIES, torch.stack([REFERENCES[0], POOL[9]])
    if options.get("wrt") == "second":  # then b is the query, and a its reference
        pair = pair[::-1]
    for coupling in COUPLINGS:
        with pytest.warns(UserWarning, match="the reference of pair 1 is one that the invariance was learned from"):
            RobustPairExplainer(model, coupling=coupling).attribute(
                pair, invariance=invariance, top=2, steps=2, **options
            )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RobustPairExplainer(model).attribute((QUERIES, REFERENCES), invariance=invariance, steps=2, **options)
        RobustPairExplainer(model, coupling="none").attribute(
            pair, invariance=invariance, steps=2, **options
        )  # nothing is held to it


def test_other_masks_and_options_that_are_none_are_refused() -> None:
    model = SiameseModel(Encoder(), "dot")
    invariance = learned(model)
    nan = float("nan")
    for make, message in (
        (lambda: invariance.with_mask(torch.full_like(invariance.mask, nan)), "is no mask in"),
        (
            lambda: invariance.with_mask(torch.zeros_like(invariance.mask)),
            "row 0 of the mask is zero: nothing can be held to",
        ),
        (
            lambda: RobustPairExplainer(model).attribute(
                (QUERIES, REFERENCES), invariance=(invariance, invariance), masks="shared"
            ),
            "held to one invariance",
        ),
        *(
            (
                lambda name=name: RobustPairExplainer(model).attribute(
                    (QUERIES, REFERENCES), invariance=invariance, **{name: nan}
                ),
                f"{name}=nan",
            )
            for name in ("eps", "beta", "xi", "size", "entropy")
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    flat = invariance.with_mask(torch.full_like(invariance.mask, 0.5))
    with pytest.warns(
        UserWarning, match="the invariance is flat .* and its order, to which masks are held, means nothing"
    ):
        RobustPairExplainer(model, coupling="order").attribute((QUERIES, REFERENCES), invariance=flat, top=2, steps=2)


def test_draws_without_number_are_refused_before_they_are_made() -> None:
    model = SiameseModel(Encoder(), "dot")
    invariance = learned(model)
    with pytest.raises(MemoryError, match="one pair with 1000000000 draws needs"):
        RobustPairExplainer(model).attribute((QUERIES, REFERENCES), invariance=invariance, draws=10**9)
    with pytest.raises(MemoryError, match="one pair with 1000000000 draws needs"):
        InvarianceLearner(model, batch=10**9).fit(QUERIES, POOL)


@pytest.mark.parametrize(("alike", "verdict"), [(True, "alike"), (False, "different")])
@pytest.mark.parametrize("weights", ["balanced", "uniform", "confident"])
def test_a_pool_of_one_class_says_which(alike: bool, verdict: str, weights: Any) -> None:
    model = SiameseModel(Encoder(), "dot")
    with torch.no_grad():
        pool = POOL[(model(QUERIES[:1].expand(64, -1), POOL) > 0) == alike]
    message = rf"for 1 of 1 queries the model gives all {len(pool)} references one verdict \(mostly {verdict}\)"
    with pytest.warns(UserWarning, match=message):
        InvarianceLearner(model, steps=5, weights=weights).fit(QUERIES[:1], pool)


@pytest.mark.parametrize("coupling", [*COUPLINGS, "none"])
@pytest.mark.parametrize("divergence", ["auto", "squared"])
def test_a_constant_model_is_flat_and_its_maps_are_zero_and_said_to_be(coupling: Any, divergence: Any) -> None:
    model = SiameseModel(Encoder(), Function(lambda u, v: 0 * (u * v).sum(1) + 1))
    with pytest.warns(UserWarning, match="the invariance of row 0, 1 is flat.*the order of the units means nothing"):
        invariance = InvarianceLearner(model, steps=5, divergence=divergence).fit(QUERIES, POOL)
    assert float(invariance.spread.max()) < 1e-6
    explainer = RobustPairExplainer(model, coupling=coupling)
    with (
        pytest.warns(UserWarning, match="pair 0, 1: replacing everything changes the score by 0.1 nats or less"),
        pytest.warns(UserWarning, match="input a has no effect on the value explained: its map is zero"),
    ):
        maps = explainer.attribute((QUERIES, REFERENCES), invariance=invariance, top=2, steps=5)
    assert all(bool((side == 0).all()) for side in maps)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_a_draw_that_breaks_the_model_is_named(coupling: Any) -> None:
    breaks = SiameseModel(Encoder(lambda x: torch.where(x[:, :1] > 50, torch.nan, x)), "dot")
    invariance, pool = learned(breaks), POOL.clone()
    pool[5, 0] = 1000.0
    with pytest.raises(
        ValueError, match=r"draws from the pool, row = draw x \d \+ pair: the score is NaN or infinite in row"
    ):
        RobustPairExplainer(breaks, coupling=coupling).attribute(
            (QUERIES, REFERENCES), invariance=invariance, pool=pool, top=2
        )
    with pytest.raises(ValueError, match=r"draws from the pool.*NaN or infinite"):
        InvarianceLearner(breaks, steps=30).fit(QUERIES, POOL, pool=pool)
    with pytest.raises(ValueError, match=r"pool of a, shape \(3, 6\), holds NaN or infinite values in pair 0, 1, 2"):
        RobustPairExplainer(breaks, coupling=coupling).attribute(
            (QUERIES, REFERENCES), invariance=invariance, pool=torch.full((3, 6), torch.inf)
        )


def test_a_learner_that_does_not_fit_into_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    with pytest.raises(MemoryError, match=r"one pair with 32 draws needs .* GiB a step and .* GiB are free"):
        InvarianceLearner(SiameseModel(Encoder(), "dot")).fit(QUERIES, POOL)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_ctrl_c_gives_masks_and_diagnostics_of_every_coupling_when_asked_to(coupling: Any) -> None:
    model = SiameseModel(Encoder(), "dot")
    invariance = learned(model)
    explainer, pair = RobustPairExplainer(model, coupling=coupling), (QUERIES, REFERENCES)
    options: dict[str, Any] = {"invariance": invariance, "top": 2, "descent": ENDLESS}
    model.encoder.happens = Interrupts(400)  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        explainer.attribute(pair, **options)
    model.encoder.happens = Interrupts(400)  # type: ignore[union-attr]
    maps, trace = explainer.attribute(pair, **options, return_convergence=True)
    assert trace.status == ("interrupted",) * 2
    assert 50 < int(trace.taken.min()) < 400
    for side in maps:
        assert bool(((side > 0) & (side < 1)).all())
        assert not bool((side == 0.5).any())
    for name in ("stationarity", "infeasibility", "complementarity", "dual_residual", "dual_gap", "envelope"):
        assert bool(torch.isfinite(getattr(trace.final, name)).all())
    assert "2 pairs: 2 interrupted" in str(trace)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_ctrl_c_in_a_learner_leaves_the_model_as_it_was() -> None:
    model = SiameseModel(Encoder(), "dot").train()
    model.encoder.happens = Interrupts(100)  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        InvarianceLearner(model, steps=100_000).fit(QUERIES, POOL)
    assert model.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_options_that_do_not_fit_are_told() -> None:
    model = SiameseModel(Encoder(), "dot")
    other = torch.zeros(3, 7)
    three = "pool holds 3 parts: items for both sides, or a pair (of a, of b), are needed"
    for call, said in (
        (
            lambda: InvarianceLearner(model, rate=0.0),
            "rate=0.0, confidence=0.5: a positive one, and one below 1, are needed",
        ),
        (
            lambda: InvarianceLearner(model, confidence=1.0),
            "rate=2.0, confidence=1.0: a positive one, and one below 1, are needed",
        ),
        (
            lambda: InvarianceLearner(model).fit(QUERIES, POOL, pool=other),
            "the pool holds items of shape (7,), the queries are (6,)",
        ),
        (lambda: RobustPairExplainer(model, coupling="none").explain((QUERIES, REFERENCES), pool=(POOL,) * 3), three),
        (
            lambda: RobustPairExplainer(model).from_files({"pool": "p.csv"}, Encoder(), (QUERIES, REFERENCES), 0),
            "--pool is for rows of a table: leave it out",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            call()
    assert RobustPairExplainer(model).from_files({}, Encoder(), (QUERIES, REFERENCES), 0) == {}


def test_a_model_that_is_sure_of_no_pair_is_learned_from_all() -> None:
    model = SiameseModel(Encoder(lambda x: x / 1000), "dot")
    learner = InvarianceLearner(model, steps=2, weights="confident", confidence=0.999999)
    with pytest.warns(UserWarning, match="^the model is sure of no pair of 2 queries: all their pairs are used$"):
        learner.fit(QUERIES, POOL)


def test_a_model_that_cannot_be_differentiated_at_a_draw_is_told() -> None:
    """The root at zero: the score is a number, and its gradient is none."""
    model = SiameseModel(Encoder(lambda x: x + (x - x.detach()).abs().sqrt()), "dot")
    said = "the gradient of pair 0 is NaN or infinite at step 0: the model is not differentiable at one of its draws"
    with pytest.raises(ValueError, match=f"^{said}$"):
        RobustPairExplainer(model, coupling="none").explain((QUERIES, REFERENCES), steps=3)


def test_a_score_without_a_gradient_gives_masks_of_nothing() -> None:
    model = SiameseModel(Encoder(), Function(lambda u, v: torch.ones(len(u))))
    with pytest.warns(UserWarning, match="its map is zero"):
        maps = RobustPairExplainer(model, coupling="none").attribute((QUERIES, REFERENCES), steps=3)
    assert not any(bool(one.any()) for one in maps)


def test_what_is_free_is_read_where_the_system_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(text: str) -> Callable[..., str]:
        def read(path: Any, **_: Any) -> str:
            if not text:
                raise FileNotFoundError(path)
            return text

        return read

    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    told = {"MemTotal: 9 kB\nMemAvailable:    123 kB\n": 123 * 1024, "MemTotal: 9 kB\n": half, "": half}
    for text, expected in told.items():
        monkeypatch.setattr(memory.Path, "read_text", says(text))
        assert memory.available(torch.device("cpu")) == expected
    monkeypatch.delattr(os, "sysconf")
    assert memory.available(torch.device("cpu")) == 2**31


def test_an_argument_of_some_pairs_is_theirs() -> None:
    keep = torch.tensor([2, 0])
    of_rows = torch.arange(6.0).reshape(1, 3, 2)
    assert torch.equal(Argument(of_rows).select(keep).value, of_rows[:, [2, 0]])
    plain = Argument("mean", of_pairs=False)
    assert plain.select(keep) is plain
    graphs = kind_side(planted("motifs", 3).inputs[0], "a")
    nodes, pair = graphs.leaves[0], graphs.pair_of(0)
    found = Argument(nodes[None], leaf=(graphs, 0)).select(keep)
    rows_of = [nodes[pair == number] for number in (2, 0)]
    assert torch.equal(found.value[0], torch.cat(rows_of))
    assert found.leaf is not None
    assert found.leaf[0].pairs == 2


def test_a_picture_of_a_file_without_what_is_kept_has_its_usual_title() -> None:
    model = SiameseModel(Encoder(), "dot")
    found = RobustPairExplainer(model, coupling="none").explain((QUERIES, REFERENCES), steps=2)
    assert "under the mask: " in found.plot().get_suptitle()
    older = replace(found, columns={name: one for name, one in found.columns.items() if name != "kept"})
    assert "under the mask" not in older.plot().get_suptitle()
    assert "under the masks" not in older.summary()
