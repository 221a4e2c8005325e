"""What a user asks of the robust explainer, checked before any work."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from xsiamese.author import PairBatch, Side
from xsiamese_invariance.descent import Descent
from xsiamese_invariance.divergence import kind_for
from xsiamese_invariance.invariance import FLAT, Invariance
from xsiamese_invariance.local import Coupling, Local
from xsiamese_invariance.replacement import Kind
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.units import Units

ORDER = Descent(dual_rate=0.5, mu=1e-2, cap=2.0)


def local_of(
    batch: PairBatch,
    coupling: Coupling,
    invariance: Any,
    units: Any,
    *,
    pool: Any,
    shared: bool,
    replacement: Kind,
    draws: int,
    prices: tuple[float, float],
    divergence: str,
    held: tuple[float, float, float, int],
    steps: int | None,
    rule: Descent | None,
) -> Local:
    """The options, checked before any work.

    Raises:
        ValueError: if one does not fit.
    """
    eps, beta, xi, top = held
    if not eps > 0:
        raise ValueError(
            f"eps={eps}: a positive radius is needed; at 0 the constraint's gradient vanishes on its boundary and "
            "multipliers grow without bound"
        )
    if not (beta >= 0 and xi >= 0 and draws >= 1):
        raise ValueError(
            f"beta={beta}, xi={xi}, draws={draws}: a price and a margin of at least 0, and a draw, are needed"
        )
    both = tuple(invariance) if isinstance(invariance, (tuple, list)) else (invariance, None)
    if batch.wrt == "second" and both[1] is None:
        both = (both[1], both[0])
    if shared and both[1] is not None:
        raise ValueError("masks='shared' are held to one invariance: give that of a alone")
    used = tuple(both[number] for number in batch.objective.moving)
    if coupling != "none" and not any(used):
        warnings.warn(
            "no invariance is given, so that nothing holds the masks: learn one with InvarianceLearner, or say "
            "coupling='none'",
            stacklevel=6,
        )
    if coupling != "none":
        for number, one in zip(batch.objective.moving, used, strict=True):
            if one is not None:
                _warn(one, (batch.b, batch.a)[number], batch.first_pair, coupling)
    default = ORDER if coupling == "order" else Descent()
    rule = rule or default
    known = next((one for one in used if one is not None), None)
    kind = (
        known.divergence
        if known is not None and divergence == "auto"
        else kind_for(divergence, batch.model, batch.target is not None)
    )
    maps = (
        units if isinstance(units, (tuple, list)) else _learned_units(batch, used) if units is None else (units, units)
    )
    return Local(
        coupling,
        used,
        (maps[0], maps[1]),
        pool,
        shared,
        replacement,
        draws,
        kind,
        Simplicity(*prices),
        eps,
        beta,
        xi,
        top,
        rule if steps is None else replace(rule, steps=steps),
        int(torch.randint(2**31, ())),
    )


def _warn(one: Invariance, partners: Side, first: int, coupling: str) -> None:
    """Says what makes an invariance worth less than it seems."""
    if seen := one.seen(partners):
        which = ", ".join(str(first + i) for i in seen[:8])
        warnings.warn(
            f"the reference of pair {which} is one that the invariance was learned from: what is said of stability "
            "needs references that were not",
            stacklevel=7,
        )
    if coupling == "order" and bool((one.spread < FLAT).any()):
        warnings.warn(
            f"the invariance is flat (all relevances within {FLAT}), and its order, to which masks are held, means "
            "nothing",
            stacklevel=7,
        )


def _learned_units(batch: PairBatch, used: Sequence[Invariance | None]) -> tuple[Any, Any]:
    """The units that the invariances were learned on; a side without one gets those of the other, if they are the same
    for all items and fit.
    """
    found: list[Any] = [None, None]
    for number, one in zip(batch.objective.moving, used, strict=True):
        if one is None or not isinstance(one.units, Units) or one.units.index is None or len(one.units.shapes) != 1:
            continue
        index, shape, common = one.units.index, one.units.shapes[0], one.units.valid is None
        found[number] = torch.where(index == one.units.count, -1, index).reshape(
            shape if common else (len(index), *shape)
        )
        other = (batch.a, batch.b)[1 - number].leaves
        if found[1 - number] is None and common and len(other) == 1 and tuple(other[0].shape[1:]) == shape:
            found[1 - number] = found[number]
    return found[0], found[1]
