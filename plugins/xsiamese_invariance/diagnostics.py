"""How far an optimisation is from a solution: seven numbers a pair, their course, and a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

Status = Literal["converged", "max_iter", "infeasible", "interrupted"]


SEVEN = ("stationarity", "infeasibility", "complementarity", "dual_residual", "dual_gap", "at_cap", "envelope")


@dataclass(frozen=True)
class Diagnostics:
    r"""The seven diagnostics of each pair, shape (pairs,), or their course, shape (records, pairs).

    Attributes:
        stationarity: :math:`\|\nabla_\theta L(\theta, \lambda)\|`, without what points out of the bounds of
            :math:`\theta`.
        infeasibility: :math:`\max_c [g_c]_+`.
        complementarity: :math:`\max_c |\lambda_c g_c|`.
        dual_residual: :math:`\|\lambda - \mathrm{clip}(\lambda + g - \mu \lambda, 0, \Lambda)\|`.
        dual_gap: :math:`\max_{\lambda'} L(\theta, \lambda') - L(\theta, \lambda) \ge 0`, in closed form. It is no
            primal-dual gap, which cannot be computed here.
        at_cap: how many multipliers are at their bound :math:`\Lambda`.
        envelope: :math:`\|\nabla \max_\lambda L(\theta, \lambda)\|`, the quantity that the theorems bound.
        multipliers: :math:`\lambda`, shape (pairs, constraints).
    """

    stationarity: Tensor
    infeasibility: Tensor
    complementarity: Tensor
    dual_residual: Tensor
    dual_gap: Tensor
    at_cap: Tensor
    envelope: Tensor
    multipliers: Tensor

    def put(self, rows: Tensor, other: Diagnostics) -> Diagnostics:
        """These, with those of some pairs replaced."""
        return Diagnostics(*(getattr(self, f.name).index_copy(0, rows, getattr(other, f.name)) for f in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Diagnostics], dim: int) -> Diagnostics:
        """Several, one after another along a dimension."""
        return cls(*(torch.cat([getattr(part, f.name) for part in parts], dim) for f in fields(cls)))

    @classmethod
    def course(cls, records: Sequence[Diagnostics]) -> Diagnostics:
        """Those of several moments, as one with a first dimension for the moments."""
        return cls(*(torch.stack([getattr(record, f.name) for record in records]) for f in fields(cls)))

    def at(self, record: int) -> Diagnostics:
        """Those of one moment of a course."""
        return Diagnostics(*(getattr(self, f.name)[record] for f in fields(self)))


@dataclass(frozen=True)
class Convergence:
    """How the optimisation of a batch of pairs went.

    Attributes:
        steps: the steps at which it was looked at, shape (records,).
        course: the seven diagnostics and the multipliers at these, shapes (records, pairs) and (records, pairs,
            constraints).
        status: of each pair: "converged", "infeasible" (settled with a violated constraint whose multiplier is at its
            bound), "max_iter" (neither, by the last step) or "interrupted".
        taken: how many steps each pair took, shape (pairs,).
        objective: faithfulness plus simplicity (plus the price of the divergence) at the end, shape (pairs,).
        faithfulness: the divergence alone at the end, shape (pairs,).
        constraints: the names of the constraints.
    """

    steps: Tensor
    course: Diagnostics
    status: tuple[Status, ...]
    taken: Tensor
    objective: Tensor
    faithfulness: Tensor
    constraints: tuple[str, ...] = ()

    @property
    def final(self) -> Diagnostics:
        """The diagnostics at the end, one number a pair."""
        return self.course.at(-1)

    @property
    def multipliers(self) -> Tensor:
        """The multipliers at the end, shape (pairs, constraints)."""
        return self.final.multipliers

    def share(self, status: Status = "converged") -> float:
        """The share of pairs that ended so."""
        return self.status.count(status) / len(self.status)

    def __len__(self) -> int:
        return len(self.status)

    def __str__(self) -> str:
        end = self.final
        told = [f"{len(self)} pairs: " + ", ".join(f"{self.status.count(s)} {s}" for s in sorted(set(self.status)))]
        begun = torch.isfinite(end.stationarity)  # Ctrl-C may come before some pairs have
        if not bool(begun.all()):
            told.append(f"{int((~begun).sum())} not begun")
        for name in ("stationarity", "infeasibility", "complementarity", "dual_gap"):
            value = getattr(end, name)[begun]
            if len(value):
                told.append(f"{name}: median {float(value.median()):.2g}, worst {float(value.max()):.2g}")
        stuck = [
            f"pair {i}: {self._at_cap(i)}"
            for i, at_cap in enumerate(end.at_cap.tolist())
            if at_cap > 0 and self.status[i] != "converged"
        ]
        return "\n".join([*told, *stuck[:8]])

    def _at_cap(self, pair: int) -> str:
        row = self.multipliers[pair]
        which = [name for name, value in zip(self.constraints, row.tolist(), strict=True) if value >= float(row.max())]
        verdict = "cannot hold" if self.status[pair] == "infeasible" else "does not hold yet"
        return f"{', '.join(which)} {verdict}; multiplier at its bound {float(row.max()):.3g}"

    def pairs(self) -> list[Convergence]:
        """That of each pair."""
        ones = [slice(i, i + 1) for i in range(len(self))]
        return [
            Convergence(
                self.steps,
                Diagnostics(*(getattr(self.course, f.name)[:, one] for f in fields(Diagnostics))),
                self.status[one],
                self.taken[one],
                self.objective[one],
                self.faithfulness[one],
                self.constraints,
            )
            for one in ones
        ]

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Its tensors by name, and all the rest as JSON can hold it."""
        course = {f"course.{f.name}": getattr(self.course, f.name) for f in fields(Diagnostics)}
        own = {name: getattr(self, name) for name in ("steps", "taken", "objective", "faithfulness")}
        return {**own, **course}, {"status": list(self.status), "constraints": list(self.constraints)}

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Convergence:
        """What :meth:`packed` took apart."""
        course = Diagnostics(*(tensors[f"course.{f.name}"] for f in fields(Diagnostics)))
        own = {name: tensors[name] for name in ("steps", "taken", "objective", "faithfulness")}
        return cls(course=course, status=tuple(plain["status"]), constraints=tuple(plain["constraints"]), **own)

    @classmethod
    def joined(cls, parts: Iterable[Convergence]) -> Convergence:
        """Those of several batches as one; the course of a shorter one stays at its end."""
        parts = list(parts)
        longest = max(parts, key=lambda part: len(part.steps))
        courses = []
        for part in parts:
            rows = torch.arange(len(longest.steps)).clamp_max(len(part.steps) - 1)
            courses.append(Diagnostics(*(getattr(part.course, f.name)[rows] for f in fields(Diagnostics))))
        return replace(
            longest,
            course=Diagnostics.joined(courses, 1),
            status=tuple(s for part in parts for s in part.status),
            taken=torch.cat([part.taken for part in parts]),
            objective=torch.cat([part.objective for part in parts]),
            faithfulness=torch.cat([part.faithfulness for part in parts]),
        )
