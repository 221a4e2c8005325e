"""Pictures of robust explanations: convergence, explanations of one query over many references, and an invariance on a
table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = (
    ("stationarity", r"stationarity $\|\nabla_\theta L\|$"),
    ("infeasibility", r"infeasibility $\max_c [g_c]_+$"),
    ("dual_gap", "dual gap"),
    ("multipliers", r"largest multiplier $\lambda$"),
)
FLOOR = {"multipliers": 1e-4}
COLOURS = ("#3b6fb6", "#d9822b", "#4f9d69", "#8c4f9d")


class Course(Protocol):
    """The course of an optimisation of many pairs: ``steps``, shape (records,), and in ``course`` the diagnostics, each
    (records, pairs).
    """

    steps: Tensor
    course: Any


def convergence(
    traces: Course | Mapping[str, Course], title: str = "", tolerances: Mapping[str, float] | None = None
) -> Figure:
    """Four diagnostics against iterations on a logarithmic scale: the median over pairs, and the band between the
    quartiles.

    Args:
        traces: the course of an optimisation, or several by name.
        title: of the picture.
        tolerances: drawn as dashed lines, by the name of the diagnostic: {"stationarity": 1e-3}.

    Raises:
        ValueError: for a trace without records.
    """
    named = traces if isinstance(traces, Mapping) else {"": traces}
    figure = new_figure(8.6, 5.6)
    panels = figure.subplots(2, 2, sharex=True)
    for place, (axes, (key, label)) in enumerate(zip(panels.flat, PANELS, strict=True)):
        for colour, (name, trace) in zip(COLOURS, named.items(), strict=False):
            values = getattr(trace.course, key).detach().double().cpu()
            if not len(trace.steps):
                raise ValueError(f"the trace {name!r} has no records: nothing can be drawn")
            if values.dim() == 3:
                values = values.amax(2) if values.shape[2] else values.new_zeros(values.shape[:2])
            low, middle, high = torch.quantile(
                values, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), dim=1
            ).clamp(min=FLOOR.get(key, 1e-8))
            steps = trace.steps.cpu().numpy()
            axes.fill_between(steps, low.numpy(), high.numpy(), color=colour, alpha=0.2, linewidth=0)
            axes.plot(
                steps, middle.numpy(), color=colour, label=f"{captions.text(name)} ({values.shape[1]} pairs)".strip()
            )
        if tolerances and key in tolerances:
            axes.axhline(tolerances[key], color="0.4", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_title(label, fontsize=10)
        axes.grid(alpha=0.25)
        if place >= 2:
            axes.set_xlabel("iteration")
    panels[0, 0].legend(frameon=False, fontsize="small")
    figure.suptitle(captions.text(title) or "Median and quartiles over pairs", fontsize=11)
    return figure


def stability(relevances: Mapping[str, Tensor], names: Sequence[str] = (), k: int = 4, title: str = "") -> Figure:
    """Explanations of one query over many references: one panel a method, one line a reference, dots on the k most
    relevant units.

    Args:
        relevances: by the name of the method, shape (references, units) each; their absolute values are drawn in parts
            of each line's largest.
        names: of the units.
        k: how many units of a line are marked.
        title: of the picture.

    Raises:
        ValueError: if the methods have other numbers of units, or k is more than these.
    """
    maps = {name: value.detach().abs().double().cpu() for name, value in relevances.items()}
    shapes = {tuple(value.shape) for value in maps.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"relevances have shapes {', '.join(map(str, sorted(shapes)))}: the same references and units are needed "
            "for every method"
        )
    references, units = shapes.pop()
    if not 1 <= k <= units:
        raise ValueError(f"k={k}: between 1 and the {units} units")
    order = list(maps.values())[-1].mean(0).argsort(descending=True, stable=True)
    figure = new_figure(1.2 + 3.9 * len(maps), 1.6 + 0.11 * references + 0.5)
    for axes, (name, values) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        shown = (values / values.amax(1, keepdim=True).clamp(min=1e-12))[:, order]
        image = axes.imshow(shown.numpy(), cmap="Purples", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        top = shown.argsort(dim=1, descending=True, stable=True)[:, :k]
        axes.scatter(
            top.flatten().numpy(),
            torch.arange(references).repeat_interleave(k).numpy(),
            s=5,
            color="#d9822b",
            linewidths=0,
        )
        axes.set_title(f"{captions.text(name)}\ntop-{k} overlap {_overlap(top, units):.2f}", fontsize=10)
        axes.set_xticks(
            range(units),
            [captions.text(names[i]) if i < len(names) else str(i) for i in order.tolist()],
            rotation=90,
            fontsize=7,
        )
        axes.set_ylabel("reference")
    figure.colorbar(image, ax=figure.axes, fraction=0.02, pad=0.01, label="relevance / largest of the line")
    figure.suptitle(captions.text(title) or "One query, many references", fontsize=11)
    return figure


def invariance_table(
    mask: Tensor,
    names: Sequence[str],
    values: Sequence[str] = (),
    others: Mapping[str, Tensor] | None = None,
    title: str = "",
) -> Figure:
    """The invariance of one query on a table: a bar for each column, the most relevant on top.

    Args:
        mask: the relevance of each unit, shape (units,), in [0, 1].
        names: of the units.
        values: the query's own values, written beside the names.
        others: relevances to compare with, by name, shape (units,) each, drawn as dots in parts of their largest.
        title: of the picture.

    Raises:
        ValueError: if there is not a name for each unit.
    """
    mask = mask.detach().double().cpu().flatten()
    if len(names) != len(mask) or (values and len(values) != len(mask)):
        raise ValueError(f"{len(mask)} units, {len(names)} names and {len(values)} values: one each is needed")
    order = mask.argsort(stable=True)
    labels = [f"{names[i]} = {values[i]}" if values else names[i] for i in order.tolist()]
    figure = new_figure(6.4, 0.9 + 0.27 * len(mask))
    axes = figure.add_subplot()
    axes.barh(range(len(mask)), mask[order].numpy(), color="#7b5ea7", height=0.7, label="invariance")
    for colour, (name, other) in zip(COLOURS[1:], (others or {}).items(), strict=False):
        scaled = other.detach().abs().double().cpu().flatten()
        axes.scatter(
            (scaled / scaled.max().clamp(min=1e-12))[order].numpy(),
            range(len(mask)),
            s=18,
            color=colour,
            label=f"{captions.text(name)} / its largest",
            zorder=3,
        )
    axes.set_yticks(range(len(mask)), [captions.text(label) for label in labels], fontsize=8)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("relevance")
    axes.set_title(captions.text(title) or "What counts whatever the reference is", fontsize=11)
    if others:
        axes.legend(frameon=False, fontsize="small", loc="lower right")
    _plain(axes)
    return figure


def _overlap(top: Tensor, units: int) -> float:
    chosen = torch.zeros(len(top), units, dtype=torch.float64).scatter_(1, top, 1.0)
    common = chosen @ chosen.T / top.shape[1]
    return float((common.sum() - common.diagonal().sum()) / max(len(top) * (len(top) - 1), 1))


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
