"""The result: scores, both maps on one scale, and everything that says where they come from."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.result import stored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SidePair = tuple[Any, Any]


class Cell(NamedTuple):
    """One place of a map: its place within the pair's map, and its value."""

    place: tuple[int, ...]
    value: float


def _versions() -> dict[str, str]:
    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return {name: of(name) for name in ("xsiamese", "torch", "captum")}


@dataclass(frozen=True)
class PairExplanation:
    """Why a model found pairs alike or different.

    Attributes:
        maps: the maps of a and of b, each a tensor (pairs, ...), a ``torch_geometric.explain.Explanation`` of all
            graphs, or a tuple of them (several
            tensors or layers). Signed: positive
            pulls the pair together, negative pushes it apart; the values of both sides have one unit, that of the
            score.
        inputs: the two inputs that were explained.
        scores: the model's own score of each pair, shape (pairs,).
        method: the explainer's class name.
        parameters: how it was called.
        higher_is_closer: whether a higher score means more alike.
        target: what was explained: "closeness" or the target's name.
        ids: two names for each pair, or None.
        seed: the seed of everything random.
        delta: sum of the maps less the change of the value that they should sum to, shape (pairs,), where the method
            claims that.
        unsigned: whether the maps are relevances in [0, 1] instead, which do not say which way a feature pulls.
        citation: BibTeX of the method.
        versions: of the libraries that made it.
    """

    maps: SidePair
    inputs: SidePair
    scores: Tensor
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    higher_is_closer: bool = True
    target: str = "closeness"
    ids: tuple[tuple[str, str], ...] | None = None
    seed: int | None = 0
    delta: Tensor | None = None
    unsigned: bool = False
    citation: str = ""
    versions: Mapping[str, str] = field(default_factory=_versions)

    def __post_init__(self) -> None:
        self.validate()

    def __len__(self) -> int:
        return len(self.scores)

    def validate(self) -> None:
        """Checks that maps, inputs, scores and ids speak of the same pairs.

        Raises:
            ValueError: naming what does not fit.
        """
        pairs = len(self.scores)
        for what, sides in (("map", self.maps), ("input", self.inputs)):
            if len(sides) != 2:
                raise ValueError(f"an explanation has two {what}s, not {len(sides)}")
            for name, value in zip("ab", sides, strict=True):
                for item in _items(value):
                    if _is_graph(item):
                        graphs = 1 if item.get("batch") is None else int(item.batch.max()) + 1
                        if graphs != pairs:
                            raise ValueError(f"the {what} of {name} is of {graphs} graphs for {pairs} scores")
                    elif item.shape[:1] != (pairs,):
                        raise ValueError(f"the {what} of {name} has shape {tuple(item.shape)} for {pairs} scores")
        if self.ids is not None and len(self.ids) != pairs:
            raise ValueError(f"{len(self.ids)} ids for {pairs} pairs")

    def __getitem__(self, index: int | slice) -> PairExplanation:
        """The explanation of some of the pairs; iterating gives one after the other."""
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"there is no pair {index}: the explanation holds {len(self)} pairs")
            index = slice(index, index + 1) if index != -1 else slice(-1, None)

        def take(value: Any) -> Any:
            if _is_graph(value):
                from xsiamese.kinds.graphs.structure import some_graphs

                return some_graphs(value, torch.arange(len(self))[index])
            return (
                value[index]
                if isinstance(value, Tensor)
                else type(value)(map(take, value))
                if isinstance(value, (tuple, list))
                else value
            )

        return replace(
            self,
            maps=take(self.maps),
            inputs=take(self.inputs),
            scores=self.scores[index],
            ids=self.ids[index] if self.ids else None,
            delta=None if self.delta is None else self.delta[index],
        )

    def upsample(self, size: tuple[int, int] | None = None) -> PairExplanation:
        """Grid maps (pairs, channels, h, w) brought to ``size``, or each to the size of its input, bilinearly.

        Values keep their scale: they are densities on the grid, so sums do not carry over.
        """

        def grow(value: Any, item: Any) -> Any:
            if isinstance(value, (tuple, list)):
                items = item if isinstance(item, (tuple, list)) else [item] * len(value)
                return tuple(grow(v, i) for v, i in zip(value, items, strict=True))
            if value.dim() != 4:
                return value
            goal = size or tuple(item.shape[-2:])
            return (
                functional.interpolate(value, goal, mode="bilinear", align_corners=False)
                if tuple(value.shape[-2:]) != goal
                else value
            )

        return replace(self, maps=(grow(self.maps[0], self.inputs[0]), grow(self.maps[1], self.inputs[1])))

    def top(
        self, k: int = 5, *, largest: Literal["closer", "apart", "either"] = "either"
    ) -> list[tuple[list[Cell], list[Cell]]]:
        """The k strongest places of each pair, on side a and on side b; of a graph the strongest nodes, their features
        summed.

        Args:
            k: how many; fewer where a map has fewer values of that sign.
            largest: what pulls "closer" (values above 0), what pushes "apart" (below 0), or "either", by size.
        """
        sign = {"closer": 1, "apart": -1, "either": 0}[largest]
        sides = []
        for value in self.maps:
            if _is_graph(value):
                sides.append(_top_nodes(value, k, sign))
                continue
            if not isinstance(value, Tensor):
                raise ValueError("top() needs one map a side: this explanation has several")
            shape = value.shape[1:]
            sides.append(
                [
                    [
                        Cell(tuple(int(i) for i in torch.unravel_index(j, shape)), float(row[j]))
                        for j in _top(row, k, sign)
                    ]
                    for row in value.flatten(1)
                ]
            )
        return list(zip(*sides, strict=True))

    def plot(self, pair: int | None = None, **options: Any) -> Figure:
        """Both sides and both maps on one scale: images (:func:`~xsiamese.plot.image.plot_pair`), graphs
        (:func:`~xsiamese.plot.explained.plot_explained`)
        or rows of a table (:func:`~xsiamese.plot.table.plot_rows`).

        Args:
            pair: which pair, or None for the first ones.
            **options: passed on.
        """
        shown = self if pair is None else self[pair]
        if _is_graph(self.maps[0]):
            from xsiamese.plot.explained import plot_explained

            return plot_explained(shown, **options)
        if all(isinstance(side, Tensor) and side.dim() == 2 for side in self.inputs):
            from xsiamese.plot.table import plot_rows

            return plot_rows(shown, **options)
        from xsiamese.plot.image import plot_pair

        return plot_pair(shown, **options)

    def save(self, path: str | Path) -> Path:
        """Writes tensors and metadata as one safetensors file (the metadata as JSON in its header)."""
        tensors = {"scores": self.scores, **({} if self.delta is None else {"delta": self.delta})}
        shapes: dict[str, Any] = {}
        for what, sides in (("maps", self.maps), ("inputs", self.inputs)):
            for name, value in zip("ab", sides, strict=True):
                shapes[f"{what}.{name}"] = len(value) if isinstance(value, (tuple, list)) else None
                for i, item in enumerate(_items(value)):
                    key = f"{what}.{name}.{i}"
                    if _is_graph(item):
                        shapes[key] = type(item).__name__
                        tensors.update({f"{key}.{k}": v for k, v in item.to_dict().items() if isinstance(v, Tensor)})
                    else:
                        tensors[key] = item
        plain = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("maps", "inputs", "scores", "delta")
        }
        return stored.write(path, tensors, {**plain, "_shapes": shapes}, "xsiamese")

    @classmethod
    def load(cls, path: str | Path) -> PairExplanation:
        """Reads what :meth:`save` wrote.

        Raises:
            ValueError: if the file is not an explanation of xsiamese.
        """
        tensors, plain = stored.read(path, "xsiamese", "explanation", needs="scores")
        shapes = plain.pop("_shapes")

        def read(name: str) -> Any:
            count = shapes[name]
            return item(f"{name}.0") if count is None else tuple(item(f"{name}.{i}") for i in range(count))

        def item(key: str) -> Any:
            if key not in shapes:
                return tensors[key]
            from xsiamese.kinds.graphs.structure import graph_of

            return graph_of(
                shapes[key], {k.removeprefix(f"{key}."): v for k, v in tensors.items() if k.startswith(f"{key}.")}
            )

        plain["ids"] = tuple(map(tuple, plain["ids"])) if plain["ids"] else None
        return cls(
            maps=(read("maps.a"), read("maps.b")),
            inputs=(read("inputs.a"), read("inputs.b")),
            scores=tensors["scores"],
            delta=tensors.get("delta"),
            **plain,
        )

    def summary(self) -> str:
        """One line a pair: ids, score and what it means."""
        closer = "higher" if self.higher_is_closer else "lower"
        rows = [
            f"{' - '.join(self.ids[i]) if self.ids else f'pair {i}'}: {float(score):.4g}"
            for i, score in enumerate(self.scores)
        ]
        return f"{self.method} of {self.target} ({closer} is closer)\n" + "\n".join(rows)

    def _repr_html_(self) -> str:
        text = f"<pre>{escape(self.summary())}</pre>"
        try:
            figure = self.plot()
        except (ImportError, ValueError):  # no matplotlib, or not images: the text says it all
            return text
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
        return (
            f'{text}<img alt="{escape(self.method)}" '
            f'src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
        )


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _top(values: Tensor, k: int, sign: int) -> Tensor:
    """Where the k largest values of a sign are, fewer if there are fewer; of sign 0 the largest by size."""
    strength = values * sign if sign else values.abs()
    best = strength.topk(min(k, len(values))).indices
    return best[strength[best] > 0] if sign else best


def _top_nodes(value: Any, k: int, sign: int) -> list[list[Cell]]:
    """The k strongest nodes of each graph, numbered within it."""
    if value.get("node_mask") is None:
        raise ValueError("top() of graphs names nodes: this explanation has none; explain the nodes")
    values = value.node_mask.flatten(1).sum(1)
    batch = value.get("batch")
    sizes = [len(values)] if batch is None else torch.bincount(batch).tolist()
    return [[Cell((int(i),), float(one[i])) for i in _top(one, k, sign)] for one in torch.split(values, sizes)]


def _is_graph(value: Any) -> bool:
    return hasattr(value, "edge_index")


def described(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them."""

    def plain(value: Any) -> Any:
        if isinstance(value, (str, int, float, bool, type(None))):
            return value
        if isinstance(value, Tensor):
            return f"tensor{tuple(value.shape)}"
        if isinstance(value, (tuple, list)):
            return [plain(v) for v in value]
        return getattr(value, "__name__", None) or repr(value)

    return {key: plain(value) for key, value in parameters.items()}


def target_name(target: Any) -> str:
    """What an explanation calls its target."""
    if target is None:
        return "closeness"
    return str(getattr(target, "__name__", None) or described({"t": target})["t"])
