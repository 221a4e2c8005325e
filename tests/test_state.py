"""Nothing is left on a user's model: after exceptions, after signals however many, with two threads at work."""

from __future__ import annotations

import asyncio
import copy
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xsiamese
from tests.problems import images
from tests.wholestate import (
    Injected,
    Remembers,
    at_line,
    differences,
    inject,
    interrupted_after,
    press,
    restless,
    seed_all,
    whole_state,
)
from xsiamese import PairGradCAM, PairSaliency, SiameseModel
from xsiamese.branches.intact import intact
from xsiamese.branches.lock import GENERATORS, _turns
from xsiamese.branches.signals import Signals

SCALE = int(os.environ.get("XSIAMESE_FAULTS", "1"))  # 20 runs the counts of the reliability page
PAIRS = images(2, size=6)
HALVES = torch.zeros(1, 1, 6, 6, dtype=torch.long)
HALVES[..., 3:] = 1

QUICK: dict[str, dict[str, Any]] = {
    "PairGradCAM": {},
    "PairScoreCAM": {},
    "PairSaliency": {},
    "PairInputXGradient": {},
    "PairIntegratedGradients": {"n_steps": 3},
    "PairGradientShap": {"n_samples": 2},
    "PairDeepLift": {},
    "PairOcclusion": {"sliding_window_shapes": (1, 3, 3)},
    "PairFeatureAblation": {"feature_mask": (HALVES, HALVES)},
    "PairShapleyValueSampling": {"feature_mask": (HALVES, HALVES), "n_samples": 2},
    "PairNoiseTunnel": {"nt_samples": 2},
    "PairLayerConductance": {"n_steps": 3},
}
CLASSES = xsiamese.explainers()  # found now: what breaks while plugins are looked for is another matter


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def explained(name: str, model: nn.Module, **options: Any) -> Any:
    cls = CLASSES[name]
    explainer = cls(model, "3") if cls.needs_layer else cls(model)
    return explainer.attribute(PAIRS, **{**QUICK[name], **options})


def leaves(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [leaf for part in value for leaf in leaves(part)]


def same(found: Any, right: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(leaves(found), leaves(right), strict=True))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", QUICK)
def test_the_whole_state_is_as_it_was(name: str, training: bool) -> None:
    model = restless(training)
    seed_all(1)
    before = whole_state(model)
    explained(name, model)
    assert differences(before, whole_state(model)) == []


def test_the_comparison_of_states_sees_every_part() -> None:
    changes: list[Callable[[SiameseModel], Any]] = [
        lambda m: m.encoder[0].train(False),
        lambda m: m.encoder[0].register_forward_pre_hook(lambda *_: None),
        lambda m: setattr(m.encoder[2], "mask", 1),
        lambda m: m.encoder.append(nn.Identity()),
        lambda m: m.encoder[3].weight.requires_grad_(False),
        lambda m: m.encoder[3].weight.data.add_(1),
        lambda m: m.encoder[0].weight.grad.add_(1),
        lambda m: m.encoder[1].calls.add_(1),
        lambda m: setattr(m.encoder[1], "average", m.encoder[1].average.clone()),
        lambda m: setattr(m.encoder[1], "last", torch.zeros(1)),
        lambda m: torch.rand(1),
        lambda m: torch.set_grad_enabled(False),
        lambda m: random.random(),
        lambda m: __import__("numpy").random.rand(),
    ]
    for change in changes:
        model = restless()
        before = whole_state(model)
        change(model)
        assert differences(before, whole_state(model)) != []
        torch.set_grad_enabled(True)


@pytest.mark.parametrize("name", QUICK)
def test_exceptions_anywhere_leave_nothing(name: str) -> None:
    model = restless()
    seed_all(2)
    before = whole_state(model)
    explained(name, model)  # the first call passes more lines
    lines = at_line(-1, lambda: explained(name, model), inject)
    draw = random.Random(name)
    for _ in range(4 * SCALE + 4 * (SCALE > 1)):
        with pytest.raises(Injected):
            at_line(draw.randrange(lines), lambda: explained(name, model), inject)
        assert differences(before, whole_state(model)) == []


def test_signals_at_every_line_of_the_clean_up_wait_for_its_end() -> None:
    model = restless()
    seed_all(3)
    before = whole_state(model)
    explained("PairSaliency", model)  # the first call passes more lines
    lines = at_line(-1, lambda: explained("PairSaliency", model), press, clean_up=True)
    assert lines > 100
    for line in range(0, lines, 1 if SCALE > 1 else 29):
        with pytest.raises(KeyboardInterrupt):
            at_line(line, lambda: explained("PairSaliency", model), press, clean_up=True)
        assert differences(before, whole_state(model)) == [], line
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_real_signals_leave_nothing() -> None:
    model = restless()
    seed_all(4)
    before = whole_state(model)
    draw, ended = random.Random(0), 0
    for i in range(30 if SCALE == 1 else 300):
        name = list(QUICK)[i % len(QUICK)]
        ended += interrupted_after(draw.uniform(1e-4, 0.02), lambda name=name: explained(name, model))
        assert differences(before, whole_state(model)) == [], name
    assert ended > 5
    explained("PairGradCAM", model)  # no signal is left that would end another explanation


def one_waits() -> tuple[Signals, SiameseModel, Callable[[], None]]:
    """Signals that were begun for an owner, and of which one came in the clean-up that is given, too."""
    signals, owner = Signals(), restless()

    @signals.whole
    def clean() -> None:
        press()

    signals.begin(owner)
    clean()
    return signals, owner, clean


def test_a_signal_that_is_answered_leaves_none_waiting() -> None:
    """One waits for the end of a clean-up, a second comes before it is let go: both are one Ctrl-C."""
    signals, owner, clean = one_waits()
    with pytest.raises(KeyboardInterrupt):
        press()
    signals.end(owner)  # and does not raise again
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signals.begin(owner)
    clean()
    with pytest.raises(KeyboardInterrupt):  # one that nobody answered is let run
        signals.end(owner)


def test_a_signal_right_after_the_handlers_are_given_back_answers_those_that_wait() -> None:
    signals, owner, _ = one_waits()
    deliver, signals.deliver = signals.deliver, press  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        signals.end(owner)
    signals.deliver = deliver  # type: ignore[method-assign]
    signals.begin(owner)
    signals.end(owner)  # the next explanation is not ended


def test_a_handler_that_only_notes_does_not_end_the_explanation() -> None:
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        model = restless()
        explained("PairSaliency", model)  # the first call passes more lines
        lines = at_line(-1, lambda: explained("PairSaliency", model), press, clean_up=True)
        for line in (0, lines // 4, lines // 2, 3 * lines // 4):
            at_line(line, lambda: explained("PairSaliency", model), press, clean_up=True)
        assert noted == [signal.SIGINT] * 4
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_another_thread_has_the_model() -> None:
    model, held, done = restless(), threading.Event(), threading.Event()

    def hold() -> None:
        with intact(model):
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    assert interrupted_after(0.05, lambda: explained("PairGradCAM", model), times=1)
    done.set()
    thread.join()
    assert model.training
    explained("PairGradCAM", model)


# threads


def in_threads(works: list[Callable[[], Any]]) -> list[Any]:
    """What each gives, all run at once, with a change of thread as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(len(works)) as pool:
            return [future.result() for future in [pool.submit(work) for work in works]]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("training", [True, False])
def test_two_threads_on_one_model(training: bool) -> None:
    names = ("PairGradCAM", "PairGradientShap", "PairDeepLift", "PairOcclusion")
    right = {name: explained(name, restless(training)) for name in names}
    for i in range(8 if SCALE == 1 else 200):
        model = restless(training)
        seed_all(i)
        before = whole_state(model)
        first, second = names[i % 4], names[(i // 4) % 4]
        found = in_threads([partial(explained, first, model), partial(explained, second, model)])
        assert same(found[0], right[first])
        assert same(found[1], right[second])
        assert differences(before, whole_state(model)) == []


def test_one_explainer_in_three_threads_and_in_an_executor_of_asyncio() -> None:
    model = restless(False)
    explainer = PairGradCAM(model, "3")
    right = explainer.attribute(PAIRS)
    for found in in_threads([lambda: [explainer.attribute(PAIRS) for _ in range(5)]] * 3):
        assert all(same(one, right) for one in found)

    async def serve() -> list[Any]:
        return await asyncio.gather(*(asyncio.to_thread(explainer.attribute, PAIRS) for _ in range(8)))

    assert all(same(one, right) for one in asyncio.run(serve()))


@pytest.mark.parametrize("name", ["PairGradCAM", "PairScoreCAM", "PairLayerConductance", "PairDeepLift"])
def test_a_thread_that_serves_is_not_seen(name: str) -> None:
    model = restless(False).eval()
    right, stop = explained(name, model), threading.Event()
    a, b = images(2, seed=8, size=6)
    with torch.no_grad():
        score = model(a, b)

    def serve() -> bool:
        good = True
        while not stop.is_set():
            with torch.inference_mode():
                good &= torch.equal(model(a, b), score)
        return good

    def explain() -> list[Any]:
        try:
            return [explained(name, model) for _ in range(5)]
        finally:
            stop.set()

    found, good = in_threads([explain, serve])
    assert all(same(one, right) for one in found)
    assert good


def test_models_that_share_an_encoder_take_turns() -> None:
    encoder = restless().encoder
    cosine, dot = SiameseModel(encoder, "cosine"), SiameseModel(encoder, "dot")
    turns = [_turns([*model.modules(), *model.parameters()]) for model in (cosine, dot, nn.Sequential(encoder[3]))]
    assert turns[0] == turns[1] == turns[2]
    other = restless()
    apart = _turns([*other.modules(), *other.parameters()])
    assert apart != turns[0]
    both = nn.ModuleList([cosine, other])
    assert _turns(both.modules()) == sorted([*turns[0], *apart], key=lambda turn: turn.number)
    tied = nn.Linear(2, 2)
    tied.weight = encoder[3].weight
    assert _turns([tied, *tied.parameters()]) == turns[0]
    assert GENERATORS not in turns[0]


@pytest.mark.parametrize("outer", ["PairGradCAM", "PairIntegratedGradients", "PairDeepLift"])
def test_one_explanation_inside_another(outer: str) -> None:
    """The target's function explains the same model on other pairs; neither sees the other's hooks."""
    model = restless()
    others = images(1, seed=9, size=6)
    inner_right = PairGradCAM(model, "3").attribute(others)
    seed_all(5)
    before, inside = whole_state(model), []

    def score(output: Tensor) -> Tensor:
        return output

    def curious(output: Tensor) -> Tensor:
        inside.append(PairGradCAM(model, "3").attribute(others))
        return output

    right = explained(outer, model, target=score)
    assert same(explained(outer, model, target=curious), right)
    assert inside
    assert all(same(one, inner_right) for one in inside)
    assert differences(before, whole_state(model)) == []


def test_explanations_inside_each_other_in_opposite_order_do_not_wait_for_ever() -> None:
    models = restless(), restless()
    seed_all(7)
    before = [whole_state(model) for model in models]
    meet = threading.Barrier(2, timeout=30)

    def work(outer: nn.Module, inner: nn.Module) -> Any:
        met = []

        def curious(output: Tensor) -> Tensor:
            if not met:
                met.append(meet.wait())  # now each thread has its outer model, and each asks for the other's
                explained("PairSaliency", inner, seed=None)
            return output

        try:
            return explained("PairSaliency", outer, target=curious, seed=None)
        except RuntimeError as error:
            return str(error)

    found = in_threads([partial(work, *models), partial(work, *models[::-1])])
    refused = [one for one in found if isinstance(one, str)]
    assert len(refused) == 1  # the other one then goes on
    assert "two threads wait for each other" in refused[0]
    right = next(one for one in found if not isinstance(one, str))
    assert same(right, explained("PairSaliency", restless(), seed=None))
    for model, state in zip(models, before, strict=True):
        assert differences(state, whole_state(model)) == []


# inference_mode


@pytest.mark.parametrize("name", QUICK)
def test_inference_mode_is_left_as_no_grad_is(name: str) -> None:
    model = restless()
    right = explained(name, model)
    assert any(bool(leaf.any()) for leaf in leaves(right))
    with torch.no_grad():
        assert same(explained(name, model), right)
    with torch.inference_mode():
        found = explained(name, model)
    assert same(found, right)
    assert not any(leaf.is_inference() for leaf in leaves(found))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_layer_that_is_taken_is_the_same_without_gradients(mode: Any) -> None:
    """What the score reads is told by gradients, also where the caller has switched them off."""
    right = PairGradCAM(restless()).attribute(PAIRS)
    explainer = PairGradCAM(restless())  # a model that no layer has been found of
    with mode():
        found = explainer.attribute(PAIRS)
    assert explainer.layer_names_ == ["6"]
    assert same(found, right)


def test_inputs_baselines_and_extra_made_in_inference_mode() -> None:
    def scored(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
        return (a * b * weights).sum(1)

    a, b, weights = (torch.tensor([row], dtype=torch.float64) for row in ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]))
    with torch.inference_mode():
        inside = [t.clone() for t in (a, b, weights)]
        found = PairSaliency(scored).attribute(tuple(inside[:2]), additional_forward_args=inside[2])
        path = xsiamese.PairIntegratedGradients(scored).attribute(
            tuple(inside[:2]), baselines=tuple(t.clone() for t in inside[:2]), additional_forward_args=inside[2]
        )
    assert found[0].tolist() == [[15.0, 24.0]]  # w b
    assert found[1].tolist() == [[5.0, 12.0]]  # w a
    assert not any(bool(leaf.any()) for leaf in path)  # the path from an input to itself
    again = PairSaliency(scored).attribute(tuple(inside[:2]), additional_forward_args=inside[2])
    assert again[0].tolist() == [[15.0, 24.0]]


def test_a_model_made_in_inference_mode_is_refused_by_name_and_its_copy_is_not() -> None:
    with torch.inference_mode():
        made = SiameseModel(nn.Sequential(nn.Flatten(), nn.Linear(36, 3).double()), "cosine")
    with pytest.raises(ValueError, match=r"encoder\.1\.weight was made inside torch\.inference_mode\(\)"):
        PairSaliency(made).attribute(PAIRS)
    maps = PairSaliency(copy.deepcopy(made)).attribute(PAIRS)
    assert all(bool(one.any()) for one in maps)


def test_buffers_assigned_while_the_model_served_in_inference_mode() -> None:
    encoder = nn.Sequential(Remembers(), nn.Flatten(), nn.Linear(36, 3).double())

    class Scales(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * encoder[0].average

    model = SiameseModel(nn.Sequential(encoder, Scales()), "dot")
    with torch.inference_mode():
        model(*PAIRS)
    served = encoder[0].average
    assert served.is_inference()
    assert all(bool(one.any()) for one in PairSaliency(model).attribute(PAIRS))
    assert encoder[0].average is served


# any arguments


@settings(
    max_examples=24 if SCALE == 1 else 700,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(list(QUICK)),
    wrt=st.sampled_from(["both", "first", "second", "a", None]),
    size=st.sampled_from([None, 1, 2, 5, "auto", 0, -1, 1.5, "many"]),
    target=st.sampled_from([None, 0, -1, 7, "x", lambda out: out, lambda out: out[:1], lambda out: 1 / 0]),
    baselines=st.sampled_from([None, 0, 1.5, "partner", "zero", (0, 1), (PAIRS[1], PAIRS[0]), PAIRS[0], float("nan")]),
    seed=st.sampled_from([None, 0, 3, 2**40]),
    more=st.sampled_from(
        [{}, {"create_graph": True}, {"parts": "edges"}, {"n_step": 3}, {"return_convergence_delta": 1}]
    ),
)
def test_whatever_is_asked_the_model_is_as_it_was(name: str, **asked: Any) -> None:
    more = asked.pop("more")
    model = restless()
    seed_all(6)
    before = whole_state(model)
    asked["internal_batch_size"] = asked.pop("size")
    with suppress(ValueError, TypeError, ZeroDivisionError, IndexError), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = explained(name, model, **asked, **more)
        assert all(isinstance(leaf, Tensor) for leaf in leaves(found))
    changed = differences(before, whole_state(model))
    # without a seed the draws are the user's own generators'
    assert [key for key in changed if asked["seed"] is not None or key not in ("torch", "numpy", "python")] == []
