"""The contracts of explainers and of metrics, ours and everybody's: ``check_explainer(MyExplainer)``."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import torch

from xsiamese.contract import metrics, traces, values
from xsiamese.contract.kinds import SUBJECTS as SUBJECTS
from xsiamese.contract.kinds import subjects
from xsiamese.contract.subject import ContractError as ContractError
from xsiamese.contract.subject import Subject as Subject
from xsiamese.explain.attribution import PairAttribution
from xsiamese.metrics.metric import Metric

CHECKS: dict[str, Callable[[Subject], None]] = {
    "1 two results": values.check_two_results,
    "2 swap": values.check_swap,
    "3 twin": values.check_twin,
    "4 batch is loop": values.check_batch_is_loop,
    "5 internal batch size": values.check_internal_batch_size,
    "6 nothing left": traces.check_nothing_left,
    "7 state": traces.check_state,
    "8 frozen parameters": traces.check_frozen,
    "9 in-place": traces.check_inplace,
    "10 inputs kept": traces.check_inputs_kept,
    "11 identical pair": values.check_identical_pair,
    "12 unused input": values.check_unused_input,
    "13 device and dtype": traces.check_dtype,
    "14 deterministic": traces.check_deterministic,
    "15 complete": values.check_complete,
    "16 constant model": values.check_constant_model,
    "17 memory": traces.check_memory,
    "18 differentiable": values.check_differentiable,
    "19 relabelling": values.check_relabelling,
    "described": traces.check_described,
}


def quick_options(cls: type[PairAttribution]) -> dict[str, Any]:
    """Options that keep an explainer quick on the contract's small pairs."""
    known = cls.options()
    halves = torch.zeros(1, 1, 6, 6, dtype=torch.long)
    halves[..., 3:] = 1
    quick = {
        "n_samples": 64 if cls.name in ("kernel_shap", "lime") else 8,
        "nt_samples": 2,
        "steps": 4,
        "masks": 100,  # fewer than all masks of seven parts, so that they are drawn
        "cells": (3, 3),
        "epochs": 5,
        "feature_mask": (halves, halves),
        "sliding_window_shapes": (1, 2, 2),
    }
    return {k: v for k, v in quick.items() if k in known and not (cls.name == "noise_tunnel" and k != "nt_samples")}


def check_explainer(
    cls: type[PairAttribution], *, only: str | None = None, options: dict[str, Any] | None = None
) -> None:
    """Runs the contract on an explainer class.

    Args:
        cls: the class; it is made as ``cls(model)`` or ``cls(model, layer)``.
        only: the name of a single check, of ``xsiamese.testing.CHECKS``.
        options: options for ``attribute`` that keep it quick; sensible ones are found if left out.

    Raises:
        ContractError: naming every check that fails, and what is wrong.
        ValueError: if there is no check of that name.

    Example:
        >>> from xsiamese import PairGradCAM
        >>> check_explainer(PairGradCAM, only="3 twin")
    """
    if only is not None and only not in CHECKS:
        near = get_close_matches(only, CHECKS, n=1)
        raise ValueError(
            f"no check is called {only!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CHECKS)}")
        )
    failures = [
        f"{name}{subject.kind}: {said}"
        for name, check in CHECKS.items()
        if only in (None, name)
        for subject in subjects(cls, quick_options(cls) if options is None else options)
        if not subject.checks or name in subject.checks
        if (said := _failure(check, subject))
    ]
    if failures:
        raise ContractError(f"{cls.__name__} breaks the contract:\n" + "\n".join(failures))


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


def _failure(check: Callable[[Subject], None], subject: Subject) -> str:
    try:
        check(subject)
    except ContractError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
