"""What was tried, what held, and what was left out by the explainer's own word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from xsiamese.contract.subject import LeftOut, Subject


@dataclass(frozen=True)
class Point:
    """A point of the contract.

    Attributes:
        check: raises a :class:`~xsiamese.testing.ContractError` if it is broken.
        claims: traits without which there is nothing to hold the explainer to.
        exempt: traits by which the explainer says that it cannot keep the point.
    """

    check: Callable[[Subject], None]
    claims: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()

    def __call__(self, subject: Subject) -> None:
        """Tries a subject.

        Raises:
            LeftOut: if the explainer's traits say that the point is not for it.
        """
        for claim in self.claims:
            if not getattr(subject.cls, claim):
                raise LeftOut(f"{claim}=False")
        for exemption in self.exempt:
            if getattr(subject.cls, exemption):
                raise LeftOut(f"{exemption}=True")
        self.check(subject)


@dataclass(frozen=True)
class Report:
    """How an explainer fared.

    Attributes:
        explainer: its class's name.
        held: the points that it keeps, each with the kind of input that it was tried on.
        left_out: the points that say nothing of it, with the claim that it does not make or the exemption that it does.
        unsuited: the points whose model it refused as one that it is not for, with what it said.
        failed: the points that it breaks, with what is wrong.

    Example:
        >>> print(Report("PairMine", ("1 two results", "3 twin"), {"2 swap": "stochastic=True"}))
        PairMine: 2 held, 1 left out, 0 unsuited
          2 swap: left out, stochastic=True
    """

    explainer: str
    held: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    unsuited: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = f"{len(self.held)} held, {len(self.left_out)} left out, {len(self.unsuited)} unsuited"
        rows = [f"  {name}: left out, {why}" for name, why in self.left_out.items()]
        rows += [f"  {name}: unsuited, {why}" for name, why in self.unsuited.items()]
        return "\n".join([f"{self.explainer}: {counts}", *rows])
