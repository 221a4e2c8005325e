"""One run over a batch of pairs: part by part, each with its value, joined, and what the maps sum to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from xsiamese.branches.fastpath import on_fast_path
from xsiamese.branches.intact import reseed
from xsiamese.explain.beside import warn_beside
from xsiamese.explain.found import Found
from xsiamese.explain.maps import Maps, check_map, in_dtype, why_lost
from xsiamese.explain.prepare import seed_of
from xsiamese.explain.traits import Traits
from xsiamese.kinds.side import SIDES
from xsiamese.model.precision import LOW
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.objective import NotFiniteError
from xsiamese.pairs.refused import naming_ids
from xsiamese.pairs.silence import rounding, why_zero
from xsiamese.pairs.witness import COUNTS, DRAWS, REMEDY, UNCOUNTED, Rest, Witness

ASKED_AGAIN = 16  # pairs at most, of a model that draws random numbers or keeps count
ONE_DRAW, OR_MEAN = "so that its maps are those of one draw", "or take the mean over several explanations"
Compute = Callable[[slice, PairBatch], Maps | Found]
"""Explains a part, given which of all pairs it holds."""


def run(
    batch: PairBatch, compute: Compute, traits: Traits, name: str, *, alone: bool, rest: Rest, trims: bool = False
) -> Found:
    """What an explainer finds of all pairs, and the value of each.

    Args:
        batch: all pairs; ``batch.rows`` is the most that go through the model at once.
        compute: explains one part of them.
        traits: which parts there may be.
        name: what a progress bar and warnings call the explainer.
        alone: whether each pair is a part of its own.
        trims: whether a part is of the items' own places only.
        rest: how the model stood before anything of it was asked, as for its prepared items.
    """
    found: list[Found] = []
    before = 0
    alone |= traits.stochastic and not traits.common_draws
    trims = trims and any(batch.counted)
    for part in _parts(batch, traits, name, alone or trims):
        which = slice(before, before + part.pairs)
        part = part.trimmed() if trims else part
        found.append(_part(part, partial(compute, which), traits, name, rest))
        before += part.pairs
    return Found.joined(found, batch.create_graph)


def _parts(batch: PairBatch, traits: Traits, name: str, alone: bool) -> Iterable[PairBatch]:
    most = (batch.rows, traits.chunk, 1 if alone else None)
    size = batch.pairs if traits.across_pairs else min(filter(None, most), default=batch.pairs)
    parts = batch.split(size)
    total = -(-batch.pairs // size)
    return tqdm(parts, total=total, desc=name, unit="batch") if batch.show_progress else parts


def _part(
    part: PairBatch,
    compute: Callable[[PairBatch], Maps | Found],
    traits: Traits,
    name: str,
    rest: Rest,
) -> Found:
    """One part, explained and checked; its value is the one that the method met on its way, or costs a pass."""
    if traits.stochastic and (seed := part.seed) is not None:
        if not (traits.same_draws or traits.common_draws or traits.across_pairs):
            seed = seed_of(part)
            part = replace(part, seed=seed)
        reseed(seed)
    watched = replace(part, witness=Witness((*part.a.leaves, *part.b.leaves), _starts(part, traits), rest.own))
    device = part.a.leaves[0].device
    with naming_ids(part.model, part.sides), _telling_of_baselines(part, traits):
        made = compute(watched)
    ragged = part.a.ragged, part.b.ragged
    found = Found.of(made, name, part.pairs, ragged=ragged, layered=traits.needs_layer)
    maps, seen = found.maps, watched.witness
    value = found.value if found.value is not None else None if seen is None else seen.value
    if value is not None:  # one that a method found by its own ways, as from embeddings, was not looked at yet
        part.objective.check_finite(value)
    if maps is not None:
        # differences of scores that are equal are their rounding: other kernels take other numbers of rows
        least = 0.0 if traits.uses_gradients or value is None else rounding(value) * float(value.detach().abs().max())
        whole, maps = maps, (in_dtype(maps[0], part.a.leaves[0].dtype), in_dtype(maps[1], part.b.leaves[0].dtype))
        for side in part.moving:
            why = partial(why_zero, part, side, gradients=traits.uses_gradients, layered=traits.needs_layer)
            reason = partial(why_lost, whole[side], part.sides[side].leaves[0].dtype, "ab"[side], why)
            # a search tells which side it changed, and why none
            says_itself = not (traits.takes_target or traits.uses_gradients)
            check_map(maps[side], "ab"[side], name, None if says_itself else reason, least)
            if not traits.uses_gradients and part.first_pair == 0 and found.value is None and seen:
                _warn_rounded(maps[side], seen.value, "ab"[side], device, part.a.leaves[0].dtype)
    if value is None and traits.removes:
        part = ungated(part)
    columns = dict(found.columns)
    if traits.complete or traits.returns_delta:
        columns["_start"] = _start(part) if seen is None or seen.start is None else seen.start
    value = (valued(part) if value is None else value).detach()
    if part.first_pair == 0:
        drew = bool(seen and seen.drew) or rest.drew_before or (not traits.stochastic and rest.drew())
        told = drew and _warn_again(part, value, DRAWS, f"{ONE_DRAW}; {REMEDY}, {OR_MEAN}")
        if not told and rest.counted():
            told = _warn_again(part, value, COUNTS, UNCOUNTED)
        if part.rows != 1 and not told:
            warn_beside(part, rows=rest.asked + (seen.rows if seen else 0))
        _warn_of_padding(part, value)
    return Found(maps, value, columns)


@contextmanager
def _telling_of_baselines(part: PairBatch, traits: Traits) -> Iterator[None]:
    """Says of a score that is NaN where inputs are at their baseline, or layers follow rules, that it is so there, and
    not of the pair.
    """
    try:
        yield
    except NotFiniteError as error:
        valued(part)  # which says it of the pair itself
        if not (traits.takes_baselines or traits.removes):
            raise NotFiniteError(
                f"{str(error).partition(':')[0]}, where the method changes what layers give, and not of the pairs "
                "themselves: an embedding is zero, say, which leaves nothing to share out; take "
                "PairIntegratedGradients or PairOcclusion"
            ) from error
        raise NotFiniteError(
            f"{str(error).partition(':')[0]}, where inputs are at their baseline or in part removed, and not of the "
            "pairs themselves: the model has no score of what is left then, as of a text of padding only; give "
            "baselines= that it can take, such as the id of [UNK] or [MASK]"
        ) from error


def _warn_rounded(
    maps: object, value: Tensor | None, side: str, device: torch.device, given: torch.dtype = torch.float32
) -> None:
    """Says so where scores are rounded so coarsely that differences of them, as maps are, are rounding."""
    if value is None or not isinstance(maps, Tensor):
        return
    whose, remedy, dtype = "the model keeps", "make the model one of float32, model.float()", given
    if torch.is_autocast_enabled(device.type):
        whose, remedy, dtype = "autocast keeps", "explain without autocast", torch.get_autocast_dtype(device.type)
    if dtype not in LOW:
        return
    rounded = torch.equal(value.to(dtype).to(value), value)  # else only what it was made of, which weighs less
    what, share = ("scores", 1) if rounded else ("what scores are made of", 16)
    largest, step = float(maps.abs().max()), torch.finfo(dtype).eps / share * float(value.abs().max())
    if 0 < largest <= 2 * step:
        warnings.warn(
            f"the map of {side} is {largest:.2g} at the most, and {whose} {what} in {dtype}, to {step:.2g}: "
            f"what it shows is rounding; {remedy}",
            stacklevel=7,
        )


def _warn_again(part: PairBatch, value: Tensor, why: str, so: str) -> bool:
    """Says so, and whether it does, if a model gives other values when it is asked about some pairs again."""
    some = next(iter(part.split(min(ASKED_AGAIN, part.rows or ASKED_AGAIN))))
    again = valued(some)
    first = value[: some.pairs].to(again)
    if torch.allclose(first, again, rtol=1e-5, atol=1e-7):
        return False
    if torch.allclose(first, again, rtol=1e-3, atol=1e-5) and torch.equal(again, valued(some)):
        return False  # other numbers of rows are rounded in another way
    worst = int((first - again).abs().argmax())
    once, twice = (float(part.objective.reported(values)[worst]) for values in (first, again))
    warnings.warn(f"{why} pair {worst} {once:.4g} and {twice:.4g}, {so}", stacklevel=7)
    return True


def _warn_of_padding(part: PairBatch, value: Tensor) -> None:
    """Says so if PyTorch's fast path, which a call without gradients takes, gives another value: it writes 0 at
    padding, which the model then reads.
    """
    if not any(isinstance(module, nn.TransformerEncoder) for module in part.model.modules()):
        return
    one = next(iter(part.split(1)))
    with torch.no_grad(), suppress(RuntimeError), on_fast_path():  # of a text of nothing it has no tensor
        fast, slow = float(one.value()), float(value[0])
        if abs(fast - slow) > 1e-3 * abs(slow) + 1e-5:
            warnings.warn(
                f"the model reads what its nn.TransformerEncoder gives at padding, which PyTorch computes in two ways: "
                f"the value of pair 0 is {fast:.4g} without gradients and {slow:.4g} with them, which is what is "
                "explained; leave padding out where tokens are pooled",
                stacklevel=7,
            )


def ungated(batch: PairBatch) -> PairBatch:
    """The same pairs without gates on their edges: parts that are really taken away need none of the model's layers."""
    if not batch.a.parts:
        return batch
    a, b = (side.explaining(("nodes",), name, moving=False) for side, name in zip(batch.sides, SIDES, strict=True))
    return replace(batch, a=a, b=b)


def valued(batch: PairBatch) -> Tensor:
    """The value explained of each pair, shape (pairs,), without gradients, at most ``batch.rows`` pairs at once."""
    with torch.no_grad():
        return torch.cat([part.value() for part in batch.split(batch.rows or batch.pairs)])


def _starts(part: PairBatch, traits: Traits) -> tuple[Tensor, ...] | None:
    """The tensors of both sides where a path starts, if each pair has one start."""
    alone = part.apart and part.wrt == "both"
    if part.distribution or alone or not (traits.complete or traits.returns_delta):
        return None
    both, places = (*part.baselines[0], *part.baselines[1]), set(part.objective.moved_at)
    leaves = (*part.a.leaves, *part.b.leaves)
    return tuple(start if i in places else leaf for i, (start, leaf) in enumerate(zip(both, leaves, strict=True)))


def _start(batch: PairBatch) -> Tensor:
    """The value that the maps of each pair are counted from."""
    with torch.no_grad():
        return torch.cat([part.start() for part in batch.split(batch.rows or batch.pairs)])
