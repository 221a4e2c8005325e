"""The invariance of a query, a class or a data set: what of it counts whatever it is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.author import Leaves, Side, stored
from xsiamese_invariance.graph import GraphUnits, graph_marks
from xsiamese_invariance.units import Units

FLAT = 0.05


@dataclass(frozen=True)
class Invariance:
    """Global masks, learned from unlabelled pairs by :class:`~xsiamese_invariance.learner.InvarianceLearner`.

    Attributes:
        mask: the relevance of each unit in [0, 1], shape (rows, units): a row for each query, for each class, or one
            for a data set.
        scope: "query", "class" or "dataset".
        units: which unit each number of an item belongs to.
        aligned: whether the mask was laid on both items of a pair.
        trace: the objective on the draws of single steps, shape (records, rows).
        pool: rows of the unlabelled items, from which explanations draw what replaces removed features; one tensor a
            leaf.
        divergence: "kl", "probability" or "squared".
        scale: the standard deviation of the scores, for "squared".
        fingerprints: of the unlabelled references, to tell whether a reference that is explained was among them.
        classes: the class of each row, for the scope "class".
    """

    mask: Tensor
    scope: str
    units: Units | GraphUnits
    aligned: bool
    trace: Tensor
    pool: Leaves = ()
    divergence: str = "kl"
    scale: float = 1.0
    fingerprints: frozenset[str] = frozenset()
    classes: tuple[int, ...] = ()

    @property
    def order(self) -> Tensor:
        """The units of each row, the most relevant first, shape (rows, units)."""
        return self.mask.argsort(dim=1, descending=True, stable=True)

    @property
    def spread(self) -> Tensor:
        """The largest less the smallest relevance of each row, shape (rows,). Near zero, a row says nothing, and
        neither does its order.
        """
        valid = self.units.valid
        low = self.mask if valid is None else torch.where(valid, self.mask, 1)
        return self.mask.amax(1) - low.amin(1)

    @property
    def maps(self) -> Any:
        """The masks on the numbers of an item, shape (rows, ...), a tuple of these for an item of several tensors, a
        PyG ``Explanation`` for graphs.
        """
        return self.units.maps(self.mask)

    def __len__(self) -> int:
        return len(self.mask)

    def __repr__(self) -> str:
        return (
            f"Invariance({self.scope}, {len(self)} x {self.mask.shape[1]} units, spread "
            f"{float(self.spread.min()):.2g} to {float(self.spread.max()):.2g})"
        )

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> Self:
        """The invariance of some rows, each as often as it is named: ``invariance[[0, 0, 1]]`` for two pairs of the
        first query and one of the second.
        """
        index = torch.arange(len(self))[[rows] if isinstance(rows, int) else rows].to(self.mask.device)
        classes = tuple(self.classes[i] for i in index.tolist()) if self.classes else ()
        return replace(
            self, mask=self.mask[index], units=self.units.select(index), trace=self.trace[:, index], classes=classes
        )

    def of_classes(self, classes: Tensor) -> Self:
        """The rows of the classes of some queries.

        Raises:
            ValueError: if a class was not there when the invariance was learned.
        """
        unknown = sorted(set(classes.tolist()) - set(self.classes))
        if unknown or self.scope != "class":
            raise ValueError(
                f"class {unknown[0] if unknown else ''} is not among those of this invariance: "
                f"{', '.join(map(str, self.classes)) or 'it has none'}"
            )
        return self[[self.classes.index(c) for c in classes.tolist()]]

    def with_mask(self, mask: Tensor) -> Self:
        """The same with other masks: a hand-made invariance, or a control such as a permuted one."""
        if mask.shape != self.mask.shape or not bool(((mask >= 0) & (mask <= 1)).all()):
            raise ValueError(
                f"a mask of shape {tuple(mask.shape)} is no mask in [0, 1] of shape {tuple(self.mask.shape)}"
            )
        if not bool(mask.any(1).all()):
            raise ValueError(
                f"row {int((~mask.any(1)).nonzero()[0])} of the mask is zero: nothing can be held to an invariance "
                "in which nothing counts"
            )
        return replace(self, mask=mask)

    def rows_for(self, first: int, pairs: int) -> Tensor:
        """The masks of the pairs from ``first`` on, shape (pairs, units)."""
        return self.mask.expand(pairs, -1) if len(self) == 1 else self.mask[first : first + pairs]

    def seen(self, items: Side) -> list[int]:
        """Which of some items were among the references that it was learned from."""
        return (
            [i for i, mark in enumerate(fingerprints(items)) if mark in self.fingerprints] if self.fingerprints else []
        )

    def save(self, path: str | Path) -> Path:
        """Writes it as one safetensors file."""
        units, told = self.units.state()
        tensors = {"mask": self.mask, "trace": self.trace, **{f"pool.{i}": leaf for i, leaf in enumerate(self.pool)}}
        tensors |= {f"units.{name}": value for name, value in units.items()}
        plain = {
            "scope": self.scope,
            "aligned": self.aligned,
            "divergence": self.divergence,
            "scale": self.scale,
            "classes": self.classes,
            "fingerprints": sorted(self.fingerprints),
            "units": told,
            "pool": len(self.pool),
        }
        return stored.write(path, tensors, plain, "xsiamese_invariance")

    @classmethod
    def load(cls, path: str | Path) -> Invariance:
        """Reads what :meth:`save` wrote.

        Raises:
            ValueError: if the file is no invariance.
        """
        tensors, plain = stored.read(path, "xsiamese_invariance", "invariance")
        kind = GraphUnits if "parts" in plain["units"] else Units
        units = kind.of(
            {name.removeprefix("units."): value for name, value in tensors.items() if name.startswith("units.")},
            plain["units"],
        )
        return cls(
            mask=tensors["mask"],
            scope=plain["scope"],
            units=units,
            aligned=plain["aligned"],
            trace=tensors["trace"],
            pool=tuple(tensors[f"pool.{i}"] for i in range(plain["pool"])),
            divergence=plain["divergence"],
            scale=plain["scale"],
            fingerprints=frozenset(plain["fingerprints"]),
            classes=tuple(plain["classes"]),
        )


def fingerprints(items: Side) -> list[str]:
    """A short digest of each item, the same for equal values of one dtype."""
    if items.ragged:
        return graph_marks(items)
    plain = [leaf.detach().cpu().contiguous().reshape(len(leaf), -1).view(torch.uint8).numpy() for leaf in items.leaves]
    return [
        hashlib.blake2b(b"".join(part[i].tobytes() for part in plain), digest_size=8).hexdigest()
        for i in range(items.pairs)
    ]
