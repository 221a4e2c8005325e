"""The contracts of explainers and of metrics, ours and everybody's: ``check_explainer(MyExplainer)``."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch

from xsiamese.contract import metrics, parts, runs, traces, values
from xsiamese.contract.kinds import SUBJECTS as SUBJECTS
from xsiamese.contract.kinds import subjects
from xsiamese.contract.report import Point, Report
from xsiamese.contract.subject import NO_MAPS, LeftOut
from xsiamese.contract.subject import ContractError as ContractError
from xsiamese.contract.subject import Subject as Subject
from xsiamese.explain.attribution import PairAttribution
from xsiamese.kinds.kind import Kind
from xsiamese.metrics.metric import Metric
from xsiamese.model.comparison import Comparison
from xsiamese.pairs.refused import Unsuited
from xsiamese.zoo.cards import ModelCard

CHECKS: dict[str, Point] = {
    "1 two results": Point(values.check_two_results),
    "2 swap": Point(values.check_swap, claims=("symmetric",), exempt=("stochastic",)),
    "3 twin": Point(values.check_twin),
    "4 batch is loop": Point(values.check_batch_is_loop, exempt=("across_pairs",)),
    "5 internal batch size": Point(values.check_internal_batch_size),
    "6 nothing left": Point(traces.check_nothing_left),
    "7 state": Point(traces.check_state),
    "8 frozen parameters": Point(traces.check_frozen),
    "9 in-place": Point(traces.check_inplace),
    "10 inputs kept": Point(traces.check_inputs_kept),
    "11 identical pair": Point(values.check_identical_pair),
    "12 unused input": Point(values.check_unused_input, exempt=("of_activations", "fitted")),
    "13 device and dtype": Point(traces.check_dtype),
    "14 deterministic": Point(traces.check_deterministic),
    "15 complete": Point(values.check_complete, claims=("complete",)),
    "16 constant model": Point(values.check_constant_model, exempt=("of_activations",)),
    "17 memory": Point(traces.check_memory),
    "18 differentiable": Point(values.check_differentiable, claims=("uses_gradients", "differentiable")),
    "19 relabelling": Point(values.check_relabelling, exempt=("stochastic", "across_pairs")),
    "20 one run": Point(runs.check_one_run),
    "21 from a file": Point(runs.check_from_file),
    "22 two at once": Point(runs.check_two_at_once),
    "23 options": Point(runs.check_options),
    "24 linear": Point(runs.check_linear, claims=("linear",)),
    "25 of this model": Point(runs.check_of_this_model),
    "described": Point(traces.check_described),
}


WITHOUT_A_RUN = frozenset({"23 options", "described"})
"""The points that never explain anything."""


def quick_options(cls: type[PairAttribution]) -> dict[str, Any]:
    """Options that keep an explainer quick on the contract's small pairs."""
    known = cls.options()
    halves = torch.zeros(1, 1, 6, 6, dtype=torch.long)
    halves[..., 3:] = 1
    quick = {
        "n_samples": 64 if cls.name in ("kernel_shap", "lime") else 8,
        "nt_samples": 2,
        "n_steps": 8,  # where maps must sum to the change of the score, more are taken
        "steps": 1 if "rule" in known else 4,  # one point of a path says as much of the contract
        "masks": 100,  # fewer than all masks of seven parts, so that they are drawn
        "cells": (3, 3),
        "epochs": 5,
        "most": 3,
        "exact": 1,
        "beam": 2,
        "feature_mask": (halves, halves),
        "sliding_window_shapes": (1, 2, 2),
    }
    if cls.name == "noise_tunnel":  # it takes the options of all others, and hands them on
        return {"nt_samples": 2}
    # an option of that name may be of another type elsewhere
    return {k: v for k, v in quick.items() if k in known and not isinstance(known[k].default, str)}


def check_explainer(
    cls: type[PairAttribution], *, only: str | None = None, options: dict[str, Any] | None = None
) -> Report:
    """Runs the contract on an explainer class.

    A point that the class's own traits leave out, such as "4 batch is loop" by ``across_pairs=True``, is counted and
    not tried. A model that it refuses with :class:`xsiamese.author.Unsuited` is counted too; one must suit.

    Args:
        cls: the class; it is made as ``cls(model)`` or ``cls(model, layer)``.
        only: the name of a single check, of ``xsiamese.testing.CHECKS``.
        options: options for ``attribute`` that keep it quick; sensible ones are found if left out.

    Returns:
        What held, and what was left out by which claim.

    Raises:
        ContractError: naming every check that fails, and what is wrong.
        ValueError: if there is no check of that name.

    Example:
        >>> from xsiamese import PairGradCAM
        >>> print(check_explainer(PairGradCAM, only="22 two at once"))
        PairGradCAM: 2 held, 0 left out, 0 unsuited
    """
    if only is not None and only not in CHECKS:
        near = get_close_matches(only, CHECKS, n=1)
        raise ValueError(
            f"no check is called {only!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CHECKS)}")
        )
    report = tried(cls, subjects(cls, quick_options(cls) if options is None else options), only)
    if report.failed:
        broken = "\n".join(f"{point}: {said}" for point, said in report.failed.items())
        raise ContractError(f"{cls.__name__} breaks the contract:\n{broken}")
    return report


def tried(cls: type[PairAttribution], trials: Sequence[Subject], only: str | None = None) -> Report:
    """How a class fares on some subjects, whatever comes of it."""
    found: dict[str, dict[str, str]] = {"held": {}, "left_out": {}, "unsuited": {}, "failed": {}}
    for name, point in CHECKS.items():
        for subject in trials:
            if only in (None, name) and (not subject.checks or name in subject.checks):
                outcome, said = _outcome(point, subject)
                found[outcome][f"{name}{subject.kind}"] = said
    if not trials:
        found["failed"]["on trial"] = 'it explains no kind of input that is installed: pip install "xsiamese[graph]"'
    elif only is None and found["unsuited"] and not found["failed"] and not found["held"].keys() - WITHOUT_A_RUN:
        said = next(iter(found["unsuited"].values()))
        found["failed"]["on trial"] = f"no model of the contract suits it, and one must: {said}"
    return Report(cls.__name__, tuple(found["held"]), found["left_out"], found["unsuited"], found["failed"])


def check_metric(metric: Metric | type[Metric]) -> None:
    """Runs the contract of metrics on one: it describes itself, gives one number a pair within its range, the same in a
    batch and alone and each time, and leaves the model as it was.

    Args:
        metric: the metric, or its class if it is made without arguments.

    Raises:
        ContractError: naming every check that fails, and what is wrong.

    Example:
        >>> from xsiamese.metrics.simplicity import Gini
        >>> check_metric(Gini)
    """
    made = metric() if isinstance(metric, type) else metric
    failures = []
    for name, check in metrics.CHECKS.items():
        try:
            check(made)
        except Exception as error:
            said = str(error) if isinstance(error, ContractError) else f"{type(error).__name__}: {error}"
            failures.append(f"{name}: {said}")
    if failures:
        raise ContractError(f"{type(made).__name__} breaks the contract:\n" + "\n".join(failures))


def check_comparison(made: Comparison | type[Comparison]) -> None:
    """Runs the contract of comparisons: one score a pair, of that pair alone, finite gradients at equal embeddings.

    Args:
        made: the comparison, or its class if it is made without arguments; for embeddings of three dimensions.

    Raises:
        ContractError: saying what is wrong.

    Example:
        >>> from xsiamese.model.comparison import Euclidean
        >>> check_comparison(Euclidean)
    """
    parts.comparison(made() if isinstance(made, type) else made)


def check_card(card: ModelCard) -> None:
    """Runs the contract of model cards: the model that it builds, or whose weights it ships, is as it says.

    Args:
        card: of an installed plugin, if it ships weights.

    Raises:
        ContractError: saying what is wrong.

    Example:
        >>> from xsiamese.zoo import find_card
        >>> check_card(find_card("fashion"))
    """
    parts.card(card)


def check_kind(kind: Kind, item: Any) -> None:
    """Runs the contract of kinds of input on one batch of items: sides, parts and files give the model the same.

    Args:
        kind: the kind.
        item: what a user gives for one side, of two pairs or more.

    Raises:
        ContractError: saying what is wrong.

    Example:
        >>> from xsiamese.kinds.series import Series
        >>> check_kind(Series(), torch.rand(2, 3, 20))
    """
    parts.kind(kind, item)


def _outcome(point: Point, subject: Subject) -> tuple[str, str]:
    try:
        point(subject)
    except ContractError as error:
        return "failed", str(error)
    except LeftOut as error:
        return "left_out", str(error)
    except Unsuited as error:
        return "unsuited", str(error)
    except Exception as error:
        if NO_MAPS in str(error):
            return "left_out", "it gives no maps"
        return "failed", f"{type(error).__name__}: {error}"
    return "held", ""
