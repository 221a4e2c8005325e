"""Every option of every explainer and metric refuses what it cannot mean, before the model is asked anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.strangers.test_bad_input import refused
from xsiamese import (
    InvarianceLearner,
    PairFeatureAblation,
    PairGradientShap,
    PairIntegratedGradients,
    PairLime,
    PairNoiseTunnel,
    PairOcclusion,
    PairRegionSwap,
    PairRISE,
    PairSaliency,
    SiameseModel,
    explainers,
    measure,
)
from xsiamese.door.arguments import check
from xsiamese.metrics.catalogue import metrics
from xsiamese.training.settings import Settings


class Untouched(nn.Module):
    """A network that nobody may ask."""

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the model was asked before its options were looked at")


PAIR = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
NAN = float("nan")
# what a default says of its option, what it never is, and what is said then
WRONG: dict[type[Any], tuple[tuple[Any, ...], str]] = {
    int: ((1.5, 2.0, True, "7", -3, NAN, (2,)), "a whole number from"),
    float: (("0.5", True, NAN, {0.5}), "a number"),
    bool: ((1, "false", 0.0, NAN), "True or False"),
    str: ((1, True, "no such choice"), "' or '"),
}


@pytest.mark.parametrize("name", explainers())
def test_options_are_looked_at_before_any_work(name: str) -> None:
    cls = explainers()[name]
    model = SiameseModel(Untouched())
    threshold: dict[str, Any] = {"threshold": 0.5} if cls.traits.needs_threshold else {}
    for option, parameter in cls.options().items():
        wrong, needed = WRONG.get(type(parameter.default), ((), ""))
        for value in wrong:
            run = partial(cls(model, **threshold).attribute, PAIR, **{option: value})
            with pytest.raises(ValueError, match=rf"^{option}=") as caught:
                run()
            line = str(caught.value)
            assert needed in line, line
            assert repr(value) in line, line
            assert "\n" not in line
            assert "is needed" in line, line
            assert f"{parameter.default!r} if left out" in line, line


@pytest.mark.parametrize("name", explainers())
def test_what_is_misspelt_or_said_in_the_wrong_place_is_named_first(name: str) -> None:
    """Before a threshold, and before anything else that is missing."""
    cls, made = explainers()[name], explainers()[name](SiameseModel(Untouched()))
    for call in {"explain", "attribute", "find"} & {*dir(cls)}:
        refused(
            partial(getattr(made, call), PAIR, no_such=1),
            f"{name}.attribute has no option 'no_such'; its own options are",
            TypeError,
        )
        for setting in signature(cls.__init__).parameters.keys() - {"self", "model", "explainer", "settings"}:
            said = f"no option {setting!r}; it is said before, {name}(model, {setting}=...)"
            refused(partial(getattr(made, call), PAIR, **{setting: 0.5}), said, TypeError)
    for option in ("wrt", "seed", "target", *cls.options()):
        if option not in cls.settings():
            said = f"{name} has no setting {option!r}; it is said with the pairs, {name}(model).explain(pairs, {option}"
            refused(partial(cls, SiameseModel(Untouched()), **{option: 1}), said, TypeError)


def test_a_setting_that_is_misspelt_beside_the_pairs_is_recognised() -> None:
    swap = PairRegionSwap(SiameseModel(Untouched()))
    said = "no option 'treshold'; did you mean 'threshold'? it is said before, PairRegionSwap(model, threshold=...)"
    refused(lambda: swap.explain(PAIR, treshold=0.5), said, TypeError)
    refused(
        lambda: PairSaliency(SiameseModel(Untouched()), create_graph=True), "attribute(pairs, create_graph=", TypeError
    )
    refused(lambda: swap.explain(PAIR), "no threshold is known")


@pytest.mark.parametrize("name", metrics())
def test_metrics_are_made_of_what_they_can_mean(name: str) -> None:
    cls = metrics()[name]
    for option, parameter in signature(cls).parameters.items():
        for value in WRONG.get(type(parameter.default), ((), ""))[0]:
            refused(partial(cls, **{option: value}), f"{option}={value!r}: ")


Asked = tuple[Callable[[], Any], str]
MODEL = SiameseModel(Untouched())
WRONG_NUMBER: Any = 1.5
WRONG_TEXT: Any = "any"
ONES = torch.ones(2, 1, 4, 4)
OTHERS: dict[str, Asked] = {
    "steps of a learner": (
        lambda: InvarianceLearner(MODEL, steps=WRONG_NUMBER),
        "steps=1.5: a whole number from 1 on is needed; 600 if left out",
    ),
    "its scope": (
        lambda: InvarianceLearner(MODEL, scope=WRONG_TEXT),
        "scope='any': 'query', 'class' or 'dataset' is needed; 'query' if left out",
    ),
    "a setting": (
        lambda: PairSaliency(MODEL, detach_norms=WRONG_TEXT),
        "detach_norms='any': True or False is needed; False if left out",
    ),
    "a seed": (
        lambda: PairSaliency(MODEL).attribute(PAIR, seed=WRONG_NUMBER),
        f"seed=1.5: a whole number from 0 to {2**63 - 1} or None is needed; 0 if left out",
    ),
    "a switch": (
        lambda: PairSaliency(MODEL).attribute(PAIR, show_progress=WRONG_TEXT),
        "show_progress='any': True or False is needed",
    ),
    "how many pairs at once": (
        lambda: PairSaliency(MODEL).attribute(PAIR, internal_batch_size=True),
        "internal_batch_size=True: a positive number of pairs",
    ),
    "a rule of captum's": (
        lambda: PairIntegratedGradients(MODEL).attribute(PAIR, method="simpson"),
        "method='simpson': 'gausslegendre', 'riemann_left', 'riemann_right', 'riemann_middle' or 'riemann_trapezoid'",
    ),
    "a negative spread": (
        lambda: PairGradientShap(MODEL).attribute(PAIR, stdevs=-1),
        "stdevs=-1: a number from 0 on or (a number from 0 on, a number from 0 on) is needed; 0.0 if left out",
    ),
    "noise of one side": (
        lambda: PairNoiseTunnel(MODEL).attribute(PAIR, stdevs=(0.1, -1)),
        "stdevs=(0.1, -1): a number from 0 on or (a number from 0 on, a number from 0 on) is needed",
    ),
    "what noise is added around": (
        lambda: PairNoiseTunnel(PairIntegratedGradients(SiameseModel(nn.Flatten()))).attribute(PAIR, n_steps=2.5),
        "n_steps=2.5: a whole number from 1 to 5000 is needed; 50 if left out",
    ),
    "a window": (
        lambda: PairOcclusion(MODEL).attribute(PAIR, sliding_window_shapes=(1, 0, 2)),
        "sliding_window_shapes=(1, 0, 2): a window of whole numbers from 1 on, one for each dimension of an item",
    ),
    "a stride": (
        lambda: PairOcclusion(MODEL).attribute(PAIR, sliding_window_shapes=(1, 2, 2), strides=1.5),
        "strides=1.5: a whole number from 1 on, one for each dimension of the window, or a pair (of a, of b) is needed",
    ),
    "masks that are numbers": (
        lambda: PairFeatureAblation(SiameseModel(nn.Flatten())).attribute(PAIR, feature_mask=(0, 1)),
        "feature_mask must be a pair (mask of a, mask of b) of tensors, each a tuple for several, not (0, 1)",
    ),
    "no function": (
        lambda: PairLime(MODEL).attribute(PAIR, similarity_func=3),
        "similarity_func=3: a function or None is needed; None if left out",
    ),
    "no sample": (
        lambda: PairRISE(MODEL).attribute(PAIR, sample=ONES),
        "sample=Tensor(2, 1, 4, 4): Sample or None is needed; None if left out",
    ),
    "no tensor": (
        lambda: PairRegionSwap(MODEL, threshold=0.5).attribute(PAIR, distractor="other.png"),
        "distractor='other.png': Tensor or None is needed; None if left out",
    ),
    "resamples": (
        lambda: measure(PairSaliency(MODEL), PAIR, ["gini"], resamples=WRONG_NUMBER),
        "resamples=1.5: a whole number from 1 on is needed; 1000 if left out",
    ),
    "epochs": (
        lambda: Settings("fashion", "MNIST", epochs=WRONG_NUMBER),
        "epochs=1.5: a whole number from 1 on or None is needed; None if left out",
    ),
    "a learning rate": (
        lambda: Settings("fashion", "MNIST", lr=NAN),
        "lr=nan: a number or None is needed",
    ),
    "the seed of a training": (
        lambda: Settings("fashion", "MNIST", seed=2**32),
        "seed=4294967296: a whole number from 0 to 4294967295 is needed; 0 if left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_the_line_names_option_value_and_what_is_right(name: str) -> None:
    refused(*OTHERS[name])


def test_numbers_of_numpy_and_what_a_default_is_are_taken() -> None:
    import numpy as np

    model, pair = SiameseModel(nn.Linear(3, 2).double()), torch.rand(2, 1, 3, dtype=torch.float64).unbind(0)
    expected = PairIntegratedGradients(model).attribute(pair, n_steps=4)
    found = PairIntegratedGradients(model).attribute(pair, n_steps=np.int64(4), multiply_by_inputs=np.bool_(True))
    assert all(map(torch.equal, found, expected))
    assert all(
        map(torch.equal, PairOcclusion(model).attribute(pair, strides=None), PairOcclusion(model).attribute(pair))
    )


def test_a_spread_is_one_or_one_for_each_side() -> None:
    """Without noise the points are those between baseline and input; captum takes no whole numbers here."""
    model, pair = SiameseModel(nn.Identity(), "dot"), torch.rand(2, 1, 3, dtype=torch.float64).unbind(0)
    quiet, both, loud = (PairGradientShap(model).attribute(pair, stdevs=some) for some in (0, (0, 5), (5, 0)))
    for map_ in quiet:  # the dot product is linear in each side, so that every point gives its share
        torch.testing.assert_close(map_, pair[0] * pair[1])
    assert torch.equal(both[0], quiet[0])
    assert not torch.equal(both[1], quiet[1])
    assert torch.equal(loud[1], quiet[1])
    assert not torch.equal(loud[0], quiet[0])


def test_nothing_is_said_of_what_an_annotation_leaves_open() -> None:
    def free(image: Any, near: Callable[[int], int] | None = None, sizes: list[int] | None = None) -> None: ...

    check(free, {"image": object(), "near": abs, "sizes": [1], "unknown": 3})
    refused(lambda: check(free, {"near": 2}), "near=2: a function or None is needed")
    refused(lambda: check(free, {"sizes": torch.zeros(3)}), "sizes=Tensor(3,): list or None is needed")


BEFORE: dict[str, Asked] = {
    "too few names": (
        lambda: PairSaliency(MODEL).explain((ONES, ONES), ids=[("a", "b")]),
        "ids= holds 1 for 2 pairs: two names for each pair are needed",
    ),
    "names for none": (
        lambda: PairSaliency(MODEL).explain((ONES, ONES), ids=[("a", "b")] * 3),
        "ids= holds 3 for 2 pairs",
    ),
    "too few labels": (
        lambda: measure(PairSaliency(MODEL), (ONES, ONES), ["verification_deletion"], labels=[True]),
        "labels= has shape (1,) for 2 pairs: one for each is needed",
    ),
    "no truth": (
        lambda: measure(PairSaliency(MODEL), (ONES, ONES), ["gini", "auroc"]),
        "auroc needs truth: give truth=, or planted pairs",
    ),
    "no such metric": (
        lambda: measure(PairSaliency(MODEL), (ONES, ONES), ["ginni"]),
        "no metric is called 'ginni'; did you mean 'gini'?",
    ),
}


@pytest.mark.parametrize("name", BEFORE)
def test_what_does_not_fit_the_pairs_is_told_before_the_model_is_asked(name: str) -> None:
    refused(*BEFORE[name])
