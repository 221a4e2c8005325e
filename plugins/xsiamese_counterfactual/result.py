"""The result: what would have had to be different for the decision to flip, checked on the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from xsiamese.author import Decision, stored
from xsiamese.plot.notebook import as_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["swap", "mask", "tabular", "graph"]
ItemPair = tuple[Any, Any]


class Edit(NamedTuple):
    """One change to one side of a pair.

    Attributes:
        where: the cell (row, column), the index of the feature, the node or both ends of the edge that changes.
        source: the cell of the other image that it is replaced by, or None.
        before, after: a feature's values, or None.
        score: the score with this edit and all those before it.
        name: what to call it.
        side: "a" or "b", where edits of one result may be on either.
    """

    where: tuple[int, ...]
    source: tuple[int, ...] | None
    before: float | None
    after: float | None
    score: float
    name: str = ""
    side: str = ""

    def __str__(self) -> str:
        if self.source is not None:
            return f"{self.where} <- {self.source}"
        name = self.name or str(self.where)
        return name if self.after is None else f"{name}: {self.before:.4g} -> {self.after:.4g}"


@dataclass(frozen=True)
class Counterfactual:
    """The smallest change found that flips the decision on one pair, or the reason why none was found.

    Attributes:
        kind: "swap", "mask", "tabular" or "graph".
        side: which of the two was changed, "a", "b" or, for graphs, "both".
        flipped: whether the model decides otherwise after the edits, by a fresh forward pass.
        score_before, score_after: the model's unclamped scores before and after.
        threshold: where the decision turns, in the same units.
        higher_is_closer: whether a higher score means more alike.
        edits: what was changed, in the order in which it was.
        count: how many cells, connected regions or features were changed, or parts of graphs deleted.
        size: how much of the side was changed, as a share in [0, 1] (of cells, pixels, the features' ranges, or the
            parts that could be deleted).
        inputs: the pair before, one row each.
        edited: the pair after, one row each. Where cells of a layer were swapped this is a picture of the edit, not
            what the model saw.
        nearest: the Euclidean distance from the edited side to the nearest real example, where it was edited (layer,
            pixels or features).
        typical: the median distance of a real example to its nearest neighbour there, the scale to judge ``nearest``
            by; None for one example.
        reason: why it did not flip; empty if it did.
        distractor: the image that cells came from if not from the partner.
        mask: what was removed, (1, 1, height, width), True where it was.
        grid: rows and columns of the cells of the edited side.
        source_grid: of the side that cells came from.
        method, parameters, layer, ids, seed, citation: where it comes from.
    """

    kind: Kind
    side: Literal["a", "b", "both"]
    flipped: bool
    score_before: float
    score_after: float
    threshold: float
    higher_is_closer: bool
    edits: tuple[Edit, ...]
    count: int
    size: float
    inputs: ItemPair
    edited: ItemPair
    nearest: float | None = None
    typical: float | None = None
    reason: str = ""
    distractor: Tensor | None = None
    mask: Tensor | None = None
    grid: tuple[int, ...] | None = None
    source_grid: tuple[int, ...] | None = None
    method: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    layer: str | None = None
    ids: tuple[str, str] | None = None
    seed: int | None = 0
    citation: str = ""

    @property
    def decision(self) -> Decision:
        """What was to flip."""
        return Decision(self.threshold, self.higher_is_closer)

    @property
    def path(self) -> tuple[float, ...]:
        """The score before, and after each edit."""
        return (self.score_before, *(edit.score for edit in self.edits))

    @property
    def alike_before(self) -> bool:
        """Whether the unedited pair is called alike."""
        return bool(self.decision.alike(self.decision.closeness(torch.tensor(self.score_before, dtype=torch.float64))))

    def summary(self) -> str:
        """What was changed and what it did, in a few lines."""
        before, after = ("alike", "different") if self.alike_before else ("different", "alike")
        name = " - ".join(self.ids) if self.ids else "pair"
        where = f" at layer {self.layer}" if self.layer else ""
        what = {
            "swap": "cell(s) swapped",
            "mask": "region(s) removed",
            "tabular": "feature(s) changed",
            "graph": "deletion(s)",
        }[self.kind]
        side = {"both": "a and b"}.get(self.side, self.side)
        verdict = f"flips from {before} to {after}" if self.flipped else f"stays {before} ({self.reason})"
        closer = "higher" if self.higher_is_closer else "lower"
        lines = [
            f"{name}: {verdict} with {self.count} {what} in {side}{where}, {self.size:.1%} of "
            f"{'them' if self.side == 'both' else 'it'}",
            f"score {self.score_before:.4g} -> {self.score_after:.4g}, threshold {self.threshold:.4g} ({closer} is "
            "closer)",
        ]
        if self.nearest is not None:
            scale = (
                ""
                if not self.typical
                else f", {self.nearest / self.typical:.2g} times the usual distance between neighbours"
            )
            lines.append(f"nearest real example at {self.nearest:.4g}{scale}")
        return "\n".join([*lines, *(f"  {edit}: score {edit.score:.4g}" for edit in self.edits[:12])])

    __str__ = summary

    def plot(self, preprocessing: Any = None) -> Figure:
        """The pair before, the pair after, the edits as arrows, and the score against the threshold.

        Args:
            preprocessing: turns a model's input back into pixels (a model card's).
        """
        from xsiamese_counterfactual.drawing import draw

        return draw(self, preprocessing)

    def save(self, path: str | Path) -> Path:
        """Writes tensors and metadata as one safetensors file."""
        return stored.write(path, *self.packed(), "xsiamese_counterfactual")

    @classmethod
    def load(cls, path: str | Path) -> Counterfactual:
        """Reads what :meth:`save` wrote.

        Raises:
            ValueError: if the file is not a counterfactual.
        """
        return cls.unpacked(*stored.read(path, "xsiamese_counterfactual", "counterfactual"))

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Its tensors by name, and all the rest as JSON can hold it."""
        tensors: dict[str, Tensor] = {}
        counts: dict[str, int | list[str] | None] = {}
        for what in ("inputs", "edited"):
            for name, item in zip("ab", getattr(self, what), strict=True):
                if self.kind == "graph":
                    keys = [key for key, value in item if isinstance(value, Tensor)]
                    counts[f"{what}.{name}"] = keys
                    tensors.update({f"{what}.{name}.{key}": item[key] for key in keys})
                    continue
                parts = (item,) if isinstance(item, Tensor) else tuple(item)
                counts[f"{what}.{name}"] = None if isinstance(item, Tensor) else len(parts)
                tensors.update({f"{what}.{name}.{i}": part for i, part in enumerate(parts)})
        tensors.update({what: value for what in ("distractor", "mask") if (value := getattr(self, what)) is not None})
        plain = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in ("inputs", "edited", "distractor", "mask")
        }
        return {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}, {**plain, "counts": counts}

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Counterfactual:
        """What :meth:`packed` took apart."""
        plain = dict(header)
        counts = plain.pop("counts")

        def item(name: str) -> Any:
            if isinstance(counts[name], list):
                from torch_geometric.data import Batch, Data

                graph = {key: tensors[f"{name}.{key}"] for key in counts[name]}
                nodes = len(graph.pop("batch"))
                return Batch.from_data_list(
                    [Data(**{key: value for key, value in graph.items() if key != "ptr"}, num_nodes=nodes)]
                )
            return (
                tensors[f"{name}.0"]
                if counts[name] is None
                else tuple(tensors[f"{name}.{i}"] for i in range(counts[name]))
            )

        plain["edits"] = tuple(Edit(tuple(e[0]), None if e[1] is None else tuple(e[1]), *e[2:]) for e in plain["edits"])
        plain.update({key: tuple(plain[key]) for key in ("grid", "source_grid", "ids") if plain[key] is not None})
        plain.update({what: (item(f"{what}.a"), item(f"{what}.b")) for what in ("inputs", "edited")})
        return cls(**plain, distractor=tensors.get("distractor"), mask=tensors.get("mask"))

    def _repr_html_(self) -> str:
        return as_html(self.summary(), self.plot, "counterfactual")
