"""The picture that fits an explanation, by the kinds of its two inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xsiamese.door.arguments import check
from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.words import Texts
from xsiamese.plot import captions
from xsiamese.plot.explained import draw_masks, plot_explained
from xsiamese.plot.figure import new_figure
from xsiamese.plot.image import draw_image, plot_pair
from xsiamese.plot.pixels import seen
from xsiamese.plot.scale import Places, Scale, floored
from xsiamese.plot.series import MOST as CHANNELS
from xsiamese.plot.series import draw_series
from xsiamese.plot.table import draw_row, plot_rows
from xsiamese.plot.text import LINE, draw_text, in_columns, positions, values_of_tokens
from xsiamese.plot.volume import draw_volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Shown

MOST = 4  # pairs in one picture


class Drawing(Protocol):
    """Draws one item with its map, and says where its places are in the axes' units."""

    def __call__(
        self, axes: Axes, item: Any, values: Any, scale: Scale, labels: Sequence[str] | None = None
    ) -> Places: ...


# by the kind's name; a plugin that brings a kind adds its own when it is imported
DRAWINGS: dict[str, Drawing] = {
    "image": draw_image,
    "row": draw_row,
    "graph": draw_masks,
    "series": draw_series,
    "volume": draw_volume,
    "text": draw_text,
}
# kinds with a picture of their own, where both sides are of one
PICTURES: Mapping[str, Callable[..., Figure]] = MappingProxyType(
    {"image": plot_pair, "row": plot_rows, "graph": plot_explained}
)


def picture(explanation: Shown, **options: Any) -> Figure:
    """Both sides and both maps on one scale: images, rows and graphs by :func:`~xsiamese.plot.image.plot_pair`,
    :func:`~xsiamese.plot.table.plot_rows` and :func:`~xsiamese.plot.explained.plot_explained`, all else, and two sides
    of different kinds, by :func:`plot_items`.

    Args:
        explanation: of any kind.
        **options: of the picture that fits.
    """
    first, second = explanation.kinds
    if "image" not in (first, second):  # others do not know them
        for name in ("smooth", "superpixels"):
            if options.get(name) is not None:
                raise ValueError(f"{name}= is for maps of images, and the inputs are {first} and {second}")
    drawn = PICTURES.get(first, plot_items) if first == second else plot_items
    asked(drawn, options)
    return drawn(explanation, **options)


def asked(drawn: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuses options that a picture does not have, and values that they cannot take.

    Raises:
        TypeError: for an option that there is not, with those that there are.
        ValueError: for a value.
    """
    known = [name for name, one in signature(drawn).parameters.items() if one.kind is one.KEYWORD_ONLY]
    if wrong := next((name for name in options if name not in known), None):
        raise TypeError(f"{drawn.__name__} has no option {wrong!r}; it has {', '.join(known)}")
    check(drawn, options)
    if not 0 <= (quantile := options.get("quantile", 0.0)) <= 1:
        raise ValueError(f"quantile={quantile}: a share in [0, 1] is needed")


def plot_items(
    explanation: Shown,
    *,
    labels: tuple[Sequence[str] | None, Sequence[str] | None] | None = None,
    quantile: float = 0.995,
    title: str = "",
    smooth: float | None = None,
    superpixels: int | None = None,
) -> Figure:
    """One row a pair: a with its map, b with its map, each drawn as its kind is, all of a pair on one scale.

    Args:
        explanation: with one map a side over the places of its input.
        labels: names for the places of a and of b (words, channels), for a single pair; those that the kind knows if
            left out.
        quantile: which quantile of the absolute values gets the full colour.
        title: above the picture; the method by default.
        smooth, superpixels: of the maps of images, see :func:`~xsiamese.plot.image.plot_pair`.

    Raises:
        ImportError: if matplotlib, or scikit-image for superpixels, is not installed.
        ValueError: if a kind has no drawing, or there are several maps a side.

    Example:
        >>> from xsiamese import PairSaliency, SiameseModel
        >>> explainer = PairSaliency(SiameseModel(torch.nn.Flatten(), "dot"))
        >>> figure = explainer.explain((torch.rand(1, 2, 40), torch.rand(1, 2, 40))).plot()
    """
    for name, of in zip("ab", explanation.kinds, strict=True):
        if of not in DRAWINGS:
            raise ValueError(f"input {name} is a {of}, which has no drawing: there are those of {', '.join(DRAWINGS)}")
    if any(isinstance(found, (tuple, list)) for found in explanation.maps):
        raise ValueError("this explanation has several maps a side: explain one layer or one tensor to draw it")
    grown = seen(explanation[:MOST], smooth, superpixels)
    shown = [grown[i] for i in range(len(grown))]
    figure = new_figure(9.6, sum(height(one) for one in shown) + 0.5)
    heights = [height(one) for one in shown]
    lines = figure.subplots(len(shown), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    for one, line in zip(shown, lines, strict=True):
        draw_pair(figure, line, one, captions.beside(one, 0), quantile=quantile, labels=labels)
    figure.suptitle(title or captions.title(explanation, MOST), fontsize=11)
    return figure


def draw_pair(
    figure: Figure,
    line: Sequence[Axes],
    one: Shown,
    name: str,
    points: int = 10,
    *,
    quantile: float,
    labels: tuple[Sequence[str] | None, Sequence[str] | None] | None,
) -> None:
    """Both sides of one pair on one scale, with a name on their left and titles of so many points."""
    parts = [_shown(one, side, labels) for side in (0, 1)]
    values = torch.cat([torch.cat([v.flatten() for v in _numbers(found)]) for _, found, _ in parts]).abs()
    limit = float(values.quantile(quantile)) or float(values.max()) or 1.0
    scale = Scale(floored(limit, [values], one, 0), captions.ends(one), one.shows)
    for side, axes in enumerate(line):
        item, found, names = parts[side]
        DRAWINGS[one.kinds[side]](axes, item, scale.drawn(found), scale, names)
        held = "   held fixed" if captions.held(one) == side else ""
        axes.set_title(captions.item(one, 0, side) + held, fontsize=points)
    line[0].text(
        -0.06, 0.5, name, transform=line[0].transAxes, rotation=90, ha="right", va="center", fontsize=9
    )  # fmt: skip
    scale.bar(figure, list(line))


def _shown(
    one: Shown, side: int, labels: tuple[Sequence[str] | None, Sequence[str] | None] | None = None
) -> tuple[Any, Any, Any]:
    """The item of one side, its map, and names for its places: of texts whose words are known one place a word, else
    one a token.
    """
    item, found = one.inputs[side], one.maps[side]
    if isinstance(item, Texts) and labels is None:
        words, values = in_columns(item, *item.by_word(found)[0])
        return torch.arange(len(words)), values, words
    item, found = one_of(item), one_of(found)
    if one.kinds[side] == "image":  # a colour is of all channels together, and so is what the full one stands for
        found = (found.abs() if one.shows == "magnitude" else found).sum(0, keepdim=True)
    return item, values_of_tokens(found, len(item)) if one.kinds[side] == "text" else found, _labels(one, side, labels)


def _labels(one: Shown, side: int, labels: tuple[Sequence[str] | None, Sequence[str] | None] | None) -> Any:
    if labels is not None:
        return labels[side]
    of = kind(one.kinds[side])
    known = of.side(one.inputs[side], "ab"[side], asked=True)
    return None if known is None else of.labels(known, 0)


def one_of(batch: Any) -> Any:
    """The only item of a batch, or of several tensors the first."""
    first = next(iter(batch.values())) if isinstance(batch, Mapping) else batch
    first = first[0] if isinstance(first, (tuple, list)) else first
    return first[0] if isinstance(first, Tensor) else first


def _numbers(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found.detach().double().cpu()]
    return [value.detach().double().cpu() for key, value in found.to_dict().items() if key.endswith("_mask")]


def height(one: Shown) -> float:
    """The height of the row of a pair, in inches."""

    def of_side(side: int) -> float:
        item, _, words = _shown(one, side)
        if one.kinds[side] == "series":
            return max(2.0, 0.6 + 0.75 * min(CHANNELS, len(item) if item.dim() > 1 else 1))  # the name needs room
        if one.kinds[side] == "text":
            words = words or [str(i) for i in range(len(item))]
            return max(2.0, 0.6 + 0.22 * (1 - positions(words)[-1][1] / LINE))  # what stands beside it needs room
        return 2.4

    return max(of_side(0), of_side(1))
