"""Exact Shapley values from the value of every subset of the features: 2^n questions, where orders would be n!."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial
from typing import Any

import torch
from captum.attr import PerturbationAttribution
from torch import Tensor
from tqdm.auto import tqdm

MOST = 12
"""Features whose subsets are asked for one by one: 4,096 questions."""


class SubsetShapley(PerturbationAttribution):
    r"""What captum's ``ShapleyValues`` gives, :math:`\phi_i = \sum_{S \ni i} \frac{(|S| - 1)!\,(n - |S|)!}{n!}\,
    (v(S) - v(S \setminus i))`, from each subset once instead of each order.
    """

    forward_func: Callable[..., Tensor]

    def attribute(
        self,
        inputs: tuple[Tensor, ...],
        *,
        baselines: tuple[Tensor, ...],
        additional_forward_args: tuple[Any, ...] | None = None,
        feature_mask: tuple[Tensor, ...] | None = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> tuple[Tensor, ...]:
        """The value of each feature at each of its places.

        Args:
            inputs: tensors of shape (pairs, ...).
            baselines: what stands for a missing feature, (1, ...) or (pairs, ...).
            additional_forward_args: what the function takes after them, tensors with a row a pair.
            feature_mask: the feature of each number, (1, ...), from 0; every number is one if left out.
            perturbations_per_eval: subsets in one pass.
            show_progress: shows a bar.

        Raises:
            ValueError: if there are more than :data:`MOST` features.
        """
        numbers, count = numbered(inputs, feature_mask)
        if count > MOST:
            raise ValueError(
                f"exact Shapley values of {count} features ask 2^{count} times: group them to {MOST} at most with "
                "feature_mask=, or take PairShapleyValueSampling"
            )
        # bit i of a subset's number says whether feature i is in it
        subsets = (torch.arange(2**count)[:, None] >> torch.arange(count) & 1).bool().to(inputs[0].device)
        parts = torch.split(subsets, perturbations_per_eval)
        values = torch.cat(
            [
                self._values(part, inputs, baselines, numbers, additional_forward_args or ())
                for part in (tqdm(parts, desc="subsets") if show_progress else parts)
            ]
        )
        shapley = weights(subsets).to(values).T @ values  # (features, pairs)
        return tuple(shapley[number[0]].movedim(-1, 0).contiguous() for number in numbers)

    def _values(
        self,
        present: Tensor,
        inputs: Sequence[Tensor],
        baselines: Sequence[Tensor],
        numbers: Sequence[Tensor],
        extra: Sequence[Any],
    ) -> Tensor:
        """The value of each pair with some subsets of its features, (subsets, pairs)."""
        copies = len(present)
        moved = [
            # a subset's mask (1, ...) for all pairs; the copies follow one another, all pairs in each
            torch.where(present[:, number], x, base).flatten(0, 1)
            for x, base, number in zip(inputs, baselines, numbers, strict=True)
        ]
        more = [v.repeat(copies, *[1] * (v.dim() - 1)) if isinstance(v, Tensor) and v.dim() else v for v in extra]
        return self.forward_func(*moved, *more).detach().reshape(copies, len(inputs[0]))


def numbered(inputs: Sequence[Tensor], masks: Sequence[Tensor] | None) -> tuple[list[Tensor], int]:
    """The feature of each number of each tensor, (1, ...), and how many features there are."""
    if masks is None:
        starts, count = [], 0
        for x in inputs:
            starts.append(torch.arange(count, count + x[0].numel(), device=x.device).reshape(1, *x.shape[1:]))
            count += x[0].numel()
        return starts, count
    known = torch.unique(torch.cat([mask.flatten() for mask in masks]))
    found = [torch.searchsorted(known, mask).to(x.device) for mask, x in zip(masks, inputs, strict=True)]
    return [number.expand(1, *x.shape[1:]) for number, x in zip(found, inputs, strict=True)], len(known)


def weights(subsets: Tensor) -> Tensor:
    """How much each subset's value adds to each feature's Shapley value, (subsets, features)."""
    count = subsets.shape[1]
    size = subsets.sum(1).tolist()
    inside = [factorial(s - 1) * factorial(count - s) / factorial(count) if s else 0.0 for s in size]
    outside = [factorial(s) * factorial(count - s - 1) / factorial(count) if s < count else 0.0 for s in size]
    of = torch.tensor([inside, outside], dtype=torch.float64, device=subsets.device)
    return torch.where(subsets, of[0][:, None], -of[1][:, None])
