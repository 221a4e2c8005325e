"""What every search for a counterfactual shares: the threshold, the choice of the side to edit, and the explanation
around it.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Decision, PairBatch, PairExplanation, Wrt
from xsiamese_counterfactual.decision import DecisionExplainer, unclamped
from xsiamese_counterfactual.result import Counterfactual

SIDE_NAMES: tuple[Literal["a"], Literal["b"]] = ("a", "b")


class PairCounterfactual(DecisionExplainer):
    """Finds the smallest edit of one side of a pair that flips the decision.

    Args:
        model, layer, comparison, higher_is_closer, layout: see :class:`~xsiamese.PairAttribution`.
        threshold: where the decision turns, in the units of the unclamped score; None takes the comparison's calibrated
            one.
    """

    needs_threshold: ClassVar[bool] = True
    uses_gradients: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Any:
        """What the search changes, as maps of the inputs: the closeness lost on the way, where it was lost. Needs a
        threshold.
        """
        decision = self.decision()
        maps = []
        with unclamped():
            for side in batch.objective.moving:
                leaf = (batch.a, batch.b)[side].leaves[0]
                found = self.search(batch, decision, side, **options)
                maps.append(torch.stack([self.spread(one, row) for one, row in zip(found, leaf, strict=True)]))
        return batch.maps(maps)

    def spread(self, found: Counterfactual, row: Tensor) -> Tensor:
        """The closeness that a counterfactual took away, on the values of one item; zeros where nothing was changed."""
        raise TypeError(f"{type(self).__name__} gives maps of a layer, which nothing is spread on")

    @classmethod
    def options(cls) -> dict[str, Parameter]:
        return {p.name: p for p in signature(cls.search).parameters.values() if p.kind is p.KEYWORD_ONLY}

    @abstractmethod
    def search(
        self, batch: PairBatch, decision: Decision, side: int, *args: Any, **options: Any
    ) -> list[Counterfactual]:
        """The best edit of one side (0 for a, 1 for b) of each pair. ``batch`` is checked and ready; ``options`` are
        the method's own.
        """

    def find(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        *,
        wrt: Wrt = "both",
        ids: Sequence[tuple[str, str]] | None = None,
        additional_forward_args: Any = None,
        internal_batch_size: int | None = None,
        show_progress: bool = False,
        seed: int | None = 0,
        **options: Any,
    ) -> list[Counterfactual]:
        """One counterfactual for each pair.

        Args:
            inputs: the two sides (a, b).
            wrt: which side may be edited. An edit changes one side only; "both" tries each and takes the smaller one
                that flips.
            ids: two names for each pair.
            additional_forward_args: further arguments of the model.
            internal_batch_size: the most rows in one forward pass.
            show_progress: shows a bar over the pairs.
            seed: the seed of everything random.
            **options: the method's own, see its :meth:`search`.

        Returns:
            A list with one :class:`Counterfactual` a pair. A pair that nothing allowed can flip gets one with
            ``flipped=False`` and a reason.

        Raises:
            ValueError: if no threshold is known, or inputs or options do not fit.
        """
        decision = self.decision()
        self._check_options(options)
        with (
            self.prepared(
                inputs,
                additional_forward_args=additional_forward_args,
                wrt=wrt,
                internal_batch_size=internal_batch_size,
                show_progress=show_progress,
                seed=seed,
            ) as batch,
            unclamped(),
        ):
            if ids is not None and len(ids) != batch.pairs:
                raise ValueError(f"{len(ids)} ids for {batch.pairs} pairs")
            if self.needs_layer:
                self.layer_names_ = batch.layer_names(self.layer)
            found = self.search_sides(batch, decision, **options)
        notes = {
            "threshold": self.threshold,
            "wrt": wrt,
            **{k: v for k, v in options.items() if isinstance(v, (str, int, float, bool, type(None)))},
        }
        layer = self.layer_names_[0] if self.layer_names_ else None
        return [
            replace(
                one,
                method=type(self).__name__,
                parameters=notes,
                layer=layer if one.layer is None else one.layer or None,
                ids=(str(ids[i][0]), str(ids[i][1])) if ids else None,
                seed=seed,
                citation=self.citation(),
            )
            for i, one in enumerate(found)
        ]

    def search_sides(self, batch: PairBatch, decision: Decision, **options: Any) -> list[Counterfactual]:
        """The better of the sides that may be edited, for each pair."""
        sides = [self.search(batch, decision, side, **options) for side in batch.objective.moving]
        return [min(found, key=self.preferred) for found in zip(*sides, strict=True)]

    def preferred(self, found: Counterfactual) -> tuple[Any, ...]:
        """The order of results: what flips comes first, then fewer and smaller edits; of what does not flip, what comes
        nearest to it.
        """
        away = abs(found.score_after - found.threshold)
        return (False, found.count, found.size, -away) if found.flipped else (True, away, 0, 0)

    def explain(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        target: Any = None,
        *,
        ids: Sequence[tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> CounterfactualExplanation:
        """:meth:`attribute` and :meth:`find` in one: maps, scores and a counterfactual for each pair.

        Raises:
            ValueError: if a target is given: a counterfactual is about the model's decision.
        """
        if target is not None:
            raise ValueError("a counterfactual is about the model's decision: leave out target")
        shared = {
            k: v
            for k, v in kwargs.items()
            if k
            in (
                "additional_forward_args",
                "internal_batch_size",
                "show_progress",
                "seed",
                "wrt",
                "parts",
                *self.options(),
            )
        }
        found = self.find(inputs, ids=ids, **{k: v for k, v in kwargs.items() if k != "parts"})
        base = super().explain(inputs, ids=ids, **shared)
        return CounterfactualExplanation(
            **{f.name: getattr(base, f.name) for f in fields(base)}, counterfactuals=tuple(found)
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        known = [p.name for p in signature(self.search).parameters.values() if p.kind is p.KEYWORD_ONLY]
        for option in options:
            if option not in known:
                near = get_close_matches(option, known)
                hint = f"did you mean {near[0]!r}?" if near else f"its own are {', '.join(known)}"
                raise TypeError(f"{type(self).__name__}.find has no option {option!r}; {hint}")


@dataclass(frozen=True)
class CounterfactualExplanation(PairExplanation):
    """A :class:`~xsiamese.PairExplanation` with what would flip each decision.

    Attributes:
        counterfactuals: one for each pair.
    """

    counterfactuals: tuple[Counterfactual, ...] = ()

    def __getitem__(self, index: int | slice) -> CounterfactualExplanation:
        part = super().__getitem__(index)
        assert isinstance(part, CounterfactualExplanation)
        where = index if isinstance(index, slice) else slice(index, index + 1 or None)
        return replace(part, counterfactuals=self.counterfactuals[where])

    def summary(self) -> str:
        return "\n".join(
            [f"{self.method}: what would flip the decision", *(one.summary() for one in self.counterfactuals)]
        )

    def plot(self, pair: int | None = None, **options: Any) -> Any:
        """The counterfactual of one pair, the first if none is named; see :meth:`Counterfactual.plot`."""
        return self.counterfactuals[pair or 0].plot(options.get("preprocessing"))

    def save(self, path: str | Path) -> Path:
        """Writes maps and counterfactuals as one safetensors file."""
        from safetensors import safe_open
        from safetensors.torch import save_file

        plain = PairExplanation(**{f.name: getattr(self, f.name) for f in fields(PairExplanation)})
        path = plain.save(path)
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            headers = dict(file.metadata())
        packed = [one.packed() for one in self.counterfactuals]
        tensors |= {
            f"counterfactual.{i}.{key}": tensor for i, (parts, _) in enumerate(packed) for key, tensor in parts.items()
        }
        save_file(tensors, path, {**headers, "xsiamese_counterfactuals": json.dumps([header for _, header in packed])})
        return path

    @classmethod
    def load(cls, path: str | Path) -> CounterfactualExplanation:
        """Reads what :meth:`save` wrote."""
        from safetensors import safe_open

        plain = PairExplanation.load(path)
        with safe_open(path, "pt") as file:
            tensors, headers = (
                {key: file.get_tensor(key) for key in file.keys()},  # noqa: SIM118
                json.loads(file.metadata().get("xsiamese_counterfactuals", "[]")),
            )
        found = []
        for i, header in enumerate(headers):
            start = f"counterfactual.{i}."
            found.append(
                Counterfactual.unpacked(
                    {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}, header
                )
            )
        return cls(**{f.name: getattr(plain, f.name) for f in fields(PairExplanation)}, counterfactuals=tuple(found))


class Neighbours:
    """Distances to the nearest of some real examples, given as rows."""

    def __init__(self, real: Tensor) -> None:
        self.real = real.flatten(1).to(torch.promote_types(real.dtype, torch.float32))
        self.typical: float | None = None
        if len(real) > 1:
            between = torch.cdist(self.real, self.real).fill_diagonal_(torch.inf)
            self.typical = float(between.min(1).values.median())

    def distance(self, edited: Tensor) -> float:
        """From one row to the nearest."""
        return float(torch.cdist(edited.reshape(1, -1).to(self.real), self.real).min())


def pairs_of(batch: PairBatch, name: str) -> Iterator[PairBatch]:
    """The pairs one by one, with a bar if one was asked for."""
    parts = batch.split(1)
    return iter(tqdm(parts, total=batch.pairs, desc=name, unit="pair")) if batch.show_progress else parts
