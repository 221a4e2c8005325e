"""Figures of counterfactuals: the pair before and after, the edits as arrows, and the score against the threshold."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.pixels import opacity, pale
from xsiamese.plot.scale import COLOURS, SIGNED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# both draw themselves with this file, so it cannot name them
Counterfactual: TypeAlias = Any
DecisionMaps: TypeAlias = Any

ALIKE, APART, EDIT = "#2166ac", "#b2182b", "#e08214"
MOST = 8


def draw(found: Counterfactual, preprocessing: Any = None) -> Figure:
    """One counterfactual.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if the inputs are neither images nor rows of features nor graphs.
    """
    figure = new_figure(11.5, 3.6, layout=None)
    if found.kind == "graph":
        return _draw_graphs(figure, found)
    if found.kind == "tabular":
        return _draw_features(figure, found)
    before = [_picture(item, name, preprocessing) for name, item in zip("ab", found.inputs, strict=True)]
    after = [_picture(item, name, preprocessing) for name, item in zip("ab", found.edited, strict=True)]
    side = "ab".index(found.side)
    donor = before[1 - side] if found.distractor is None else _picture(found.distractor, "distractor", preprocessing)
    areas = figure.add_gridspec(
        1, 3, width_ratios=(2.1, 2.1, 1.2), wspace=0.18, left=0.02, right=0.94, top=0.8, bottom=0.16
    )
    first, second, third, fourth = (
        figure.add_subplot(areas[half].subgridspec(1, 2, wspace=0.08)[k]) for half in (0, 1) for k in (0, 1)
    )
    for axis, picture, title in ((first, before[0], _name(found, 0)), (second, before[1], _name(found, 1))):
        _show(axis, picture, title)
    kept, changed = (fourth, third) if side == 0 else (third, fourth)
    shown = donor if found.kind == "swap" and found.distractor is not None else after[1 - side]
    _show(kept, shown, "cells come from" if shown is donor and found.distractor is not None else _name(found, 1 - side))
    _show(changed, after[side], f"{_name(found, side)}, edited")
    if found.kind == "swap":
        _arrows(figure, found, changed, kept, edited=after[side], source=shown)
    elif found.mask is not None:
        changed.contour(found.mask[0, 0].float().cpu().numpy(), levels=[0.5], colors=EDIT, linewidths=1.5)
    verdicts = [_verdict(found.alike_before), _verdict(found.alike_before != found.flipped)]
    for x, (word, colour), when in ((0.2, verdicts[0], "before"), (0.57, verdicts[1], "after")):
        figure.text(x, 0.06, f"{when}: {word}", color=colour, ha="center", fontsize=11, weight="bold")
    _scores(figure.add_subplot(areas[2]), found)
    figure.suptitle(captions.text(found.summary().split("\n")[0]), fontsize=10)
    return figure


def draw_maps(found: DecisionMaps, preprocessing: Any = None) -> Figure:
    """Factual and counterfactual maps of both images, one row a pair."""
    pairs = min(len(found), MOST)
    figure = new_figure(12, 2.2 * pairs + 0.6)
    axes = figure.subplots(pairs, 6, squeeze=False)
    grown = found.upsample()
    published = found.form == "livieris"
    for i in range(pairs):
        parts = (grown.factual, grown.counterfactual)
        limit = max(float(m[i].abs().max()) for m in grown.maps) or 1.0
        for side in (0, 1):
            picture = _picture(found.inputs[side][i : i + 1], "ab"[side], preprocessing)
            name = found.ids[i][side] if found.ids else "ab"[side]
            _show(axes[i][3 * side], picture, name)
            titles = ("factual: D", "counterfactual: 1 - D") if published else ("factual", "counterfactual")
            for column, (part, title) in enumerate(zip(parts, titles, strict=True)):
                axis = axes[i][3 * side + 1 + column]
                _show(axis, pale(picture.mean(2)), title)
                heat = part[side][i, 0].detach().float().cpu()
                colours = (
                    {"cmap": COLOURS["magnitude"], "vmin": 0, "vmax": 1}  # no direction: red would say apart
                    if published
                    else {"cmap": SIGNED, "vmin": -limit, "vmax": limit}
                )
                axis.imshow(heat.numpy(), alpha=opacity(heat, 1.0 if published else limit).numpy(), **colours)
        if found.alike:
            word, colour = _verdict(found.alike[i])
            axes[i][0].set_ylabel(f"{float(found.scores[i]):.3g}: {word}", color=colour)
    closer = "each map over its own maximum" if published else "blue pulls together, red pushes apart, one scale a pair"
    figure.suptitle(f"{found.method} ({found.form}): {closer}", fontsize=11)
    return figure


def _draw_features(figure: Figure, found: Counterfactual) -> Figure:
    figure.set_size_inches(9, 1.6 + 0.45 * max(2, len(found.edits)))
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    side = "ab".index(found.side)
    partner = found.inputs[1 - side]
    for line, edit in enumerate(found.edits):
        assert edit.before is not None
        assert edit.after is not None
        k = edit.where[0]
        left.annotate("", (1, line), (0, line), arrowprops={"arrowstyle": "-|>", "color": EDIT, "lw": 2})
        left.text(-0.06, line, captions.text(edit.name) or str(edit.where[0]), ha="right", va="center", fontsize=10)
        left.text(0.5, line - 0.08, f"{edit.before:.4g} to {edit.after:.4g}", ha="center", va="bottom", fontsize=9)
        if partner.shape == found.inputs[side].shape:
            start, end, other = (float(item[0, k]) for item in (found.inputs[side], found.edited[side], partner))
            where = (other - start) / ((end - start) or 1.0)  # in any units: those of the edit may be a table's
            left.plot(
                min(max(where, -0.4), 1.5),
                line,
                "o",
                color="#555",
                ms=6,
                label="partner's value" if line == 0 else None,
            )
    left.set_xlim(-0.7, 1.6)
    left.set_ylim(len(found.edits) - 0.4, -0.6)
    left.axis("off")
    if left.get_legend_handles_labels()[0]:
        left.legend(fontsize=8, loc="upper left", frameon=False)
    _scores(right, found)
    figure.suptitle(captions.text(found.summary().split("\n")[0]), fontsize=10)
    figure.set_layout_engine("constrained")
    return figure


def _draw_graphs(figure: Figure, found: Counterfactual) -> Figure:
    """Both graphs with what is deleted dashed, of molecules crossed out, the score beside them."""
    from xsiamese.plot.explained import molecule_of
    from xsiamese.plot.graph import Coloured, draw_graph, frame
    from xsiamese.plot.layout import positions
    from xsiamese.plot.molecule import draw_cut, oriented
    from xsiamese.plot.scale import Scale

    figure.set_size_inches(11.5, 4.2)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(1, 3, width_ratios=(2, 2, 1.1))
    graphs = [item.to_data_list()[0] for item in found.inputs]
    molecules = oriented([molecule_of(graph) for graph in graphs]) if all("smiles" in graph for graph in graphs) else []
    places = positions(graphs[0], graphs[1])
    across, up = frame(places)
    for side, (axis, graph, spots) in enumerate(zip(axes, graphs, places, strict=False)):
        gone = frozenset(edit.where for edit in found.edits if edit.side == "ab"[side])
        title = f"{_name(found, side)}: {len(gone) or 'none'} deleted"
        if molecules:
            draw_cut(axis, molecules[side], gone, EDIT)
            axis.set_axis_off()
            axis.set_title(captions.text(title), fontsize=9)
            continue
        draw_graph(axis, Coloured(graph, title=title, gone=gone), spots, Scale())
        axis.set_xlim(*across)
        axis.set_ylim(*up)
    _scores(axes[2], found)
    figure.suptitle(captions.text(found.summary().split("\n")[0]), fontsize=10)
    return figure


def _arrows(
    figure: Figure, found: Counterfactual, changed: Axes, donor: Axes, *, edited: Tensor, source: Tensor
) -> None:
    """Frames around swapped cells, and an arrow from each source cell to where it went."""
    from matplotlib.patches import ConnectionPatch, Rectangle

    if found.grid is None or len(found.grid) != 2:
        return
    for edit in found.edits:
        assert edit.source is not None
        centres = []
        for axis, cell, picture, grid in (
            (donor, edit.source, source, found.source_grid or found.grid),
            (changed, edit.where, edited, found.grid),
        ):
            height, width = picture.shape[0] / grid[0], picture.shape[1] / grid[1]
            axis.add_patch(
                Rectangle(
                    (cell[1] * width - 0.5, cell[0] * height - 0.5), width, height, fill=False, edgecolor=EDIT, lw=1.6
                )
            )
            centres.append(((cell[1] + 0.5) * width - 0.5, (cell[0] + 0.5) * height - 0.5))
        figure.add_artist(
            ConnectionPatch(
                centres[0],
                centres[1],
                "data",
                "data",
                axesA=donor,
                axesB=changed,
                arrowstyle="-|>",
                color=EDIT,
                lw=1.4,
                alpha=0.9,
                connectionstyle="arc3,rad=0.18",
                mutation_scale=11,
            )
        )


def _scores(axis: Axes, found: Counterfactual) -> None:
    """The score after each edit, and the side of the threshold it is on."""
    path = (found.score_before, found.score_after) if not found.edits else found.path
    low, high = min(*path, found.threshold), max(*path, found.threshold)
    room = 0.15 * (high - low or 1.0)
    axis.set_ylim(low - room, high + room)
    above, below = (ALIKE, APART) if found.higher_is_closer else (APART, ALIKE)
    axis.axhspan(found.threshold, high + room, color=above, alpha=0.12, lw=0)
    axis.axhspan(low - room, found.threshold, color=below, alpha=0.12, lw=0)
    axis.axhline(found.threshold, color="#333", lw=1)
    axis.plot(range(len(path)), path, "-o", color=EDIT, ms=4)
    right = abs(path[-1] - found.threshold) > abs(path[0] - found.threshold)  # where the path is far away
    x, side = (0.97, "right") if right else (0.03, "left")
    axis.text(x, found.threshold, "threshold", transform=axis.get_yaxis_transform(), va="bottom", ha=side, fontsize=8)
    axis.set_xlabel("edits" if found.edits else "before, after", fontsize=9)
    axis.set_xticks(range(len(path)) if len(path) < 9 else [0, len(path) - 1])
    axis.set_title("score (blue: alike)", fontsize=9)
    axis.yaxis.tick_right()
    axis.tick_params(labelsize=8)


def _show(axis: Axes, picture: Tensor, title: str) -> None:
    axis.imshow(picture.squeeze(-1).numpy() if picture.dim() == 3 else picture.numpy(), cmap="gray", vmin=0, vmax=1)
    axis.set_title(captions.text(fill(title, 22)), fontsize=9)  # beside another
    axis.set_xticks([])
    axis.set_yticks([])


def _picture(item: Any, name: str, preprocessing: Any) -> Tensor:
    """An input (1, channels, h, w) as (h, w, channels) in [0, 1]."""
    if not isinstance(item, Tensor) or item.dim() != 4 or item.shape[1] not in (1, 3):
        what = tuple(item.shape) if isinstance(item, Tensor) else type(item).__name__
        raise ValueError(f"{name} is {what}: images (1, 1 or 3 channels, h, w) can be drawn")
    image = item.detach().float().cpu()
    if preprocessing is not None:
        undone: Tensor = preprocessing.undo(image)[0].movedim(0, -1)
        return undone
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp_min(1e-12))[0].movedim(0, -1)


def _name(found: Counterfactual, side: int) -> str:
    return captions.text(found.ids[side]) if found.ids else "ab"[side]


def _verdict(alike: bool) -> tuple[str, str]:
    return ("alike", ALIKE) if alike else ("different", APART)
