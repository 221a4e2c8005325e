"""Networks on the same regions: as a matrix, and as a circle of the strongest connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.graph import INK
from xsiamese.plot.scale import Scale
from xsiamese.plot.shown import Shows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = 0.08  # radians around the circle that a line of its names needs


def plot_connectomes(
    matrices: Sequence[Tensor],
    *,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    strongest: int = 60,
    titles: Sequence[str] = ("a", "b"),
    title: str = "",
    ends: tuple[str, str] = ("apart", "together"),
    limit: float | None = None,
    shows: Shows = "signed",
) -> Figure:
    """One column a network: its matrix of values above, its strongest connections on a circle below, all on one scale.

    Args:
        matrices: for each network a value for each connection, shape (regions, regions). The circle shows the mean of
            both directions.
        names: of the regions.
        groups: the group of each region (hemisphere, lobe); regions of one group lie together. With two groups each has
            its half of the circle.
        strongest: how many connections the circle shows, the strongest of each network.
        titles: one for each.
        title: of the picture.
        ends: what the lowest and the highest colour mean.
        limit: the value of the full colour; None takes the 0.995 quantile of all absolute values that are not zero.
        shows: what the values say; colours of what has no direction start at 0.

    Raises:
        ValueError: if a matrix is not square, or names or groups do not fit.

    Example:
        >>> figure = plot_connectomes([torch.randn(8, 8), torch.randn(8, 8)], groups=["left"] * 4 + ["right"] * 4)
    """
    values = [torch.as_tensor(matrix).detach().cpu().double() for matrix in matrices]
    for matrix in values:
        if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"a matrix is {tuple(matrix.shape)}: (regions, regions) is needed")
        for what, given in (("names", names), ("groups", groups)):
            if given is not None and len(given) != len(matrix):
                raise ValueError(f"{len(given)} {what} for {len(matrix)} regions")
    sizes = torch.cat([matrix.abs().flatten() for matrix in values])
    sizes = sizes[sizes > 0]
    scale = Scale(limit or (float(sizes.quantile(0.995)) if len(sizes) else 1.0), ends, shows)
    figure = new_figure(4.4 * len(values) + 0.8, 9.0)
    axes = figure.subplots(2, len(values), squeeze=False)
    for k, matrix in enumerate(values):
        order = _order(len(matrix), groups)
        draw_matrix(axes[0][k], matrix, scale, groups, order)
        axes[0][k].set_title(captions.text(titles[k]), fontsize=10)
        draw_circle(axes[1][k], matrix, scale, names, groups=groups, order=order, strongest=strongest)
    scale.bar(figure, axes.flatten().tolist())
    if title:
        figure.suptitle(captions.text(title), fontsize=11)
    return figure


def draw_matrix(axis: Axes, matrix: Tensor, scale: Scale, groups: Sequence[str] | None, order: list[int]) -> None:
    """The matrix with the regions of a group beside each other, and lines between the groups."""
    axis.imshow(
        matrix[order][:, order].numpy(), cmap=scale.map, vmin=scale.low, vmax=scale.limit, interpolation="nearest"
    )
    spans = _spans(groups, order)
    middles, labels = (
        [(start + stop - 1) / 2 for _, start, stop in spans],
        [captions.text(group) for group, _, _ in spans],
    )
    axis.set_xticks(middles, labels=labels, rotation=90)  # a group of few regions has room for one line only
    axis.set_yticks(middles, labels=labels)
    axis.tick_params(length=0, labelsize=8)
    for _, start, _ in spans[1:]:
        axis.axhline(start - 0.5, color=INK, lw=0.8)
        axis.axvline(start - 0.5, color=INK, lw=0.8)


def draw_circle(
    axis: Axes,
    matrix: Tensor,
    scale: Scale,
    names: Sequence[str] | None,
    *,
    groups: Sequence[str] | None,
    order: list[int],
    strongest: int,
) -> None:
    """The strongest connections as arcs; only their regions are named, the strongest first, where there is room."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    spots, angles = _around(order, groups)
    both = (matrix + matrix.T) / 2
    u, v = torch.triu_indices(len(matrix), len(matrix), 1)
    chosen = both[u, v].abs().argsort(descending=True)[:strongest]
    chosen = chosen[both[u, v][chosen] != 0].flip(0)
    colours = scale.colours(both[u, v])
    named: dict[int, float] = {}
    for k in chosen.tolist():
        start, end, value = int(u[k]), int(v[k]), float(both[u[k], v[k]])
        p, q = spots[start], spots[end]
        bend = (p + q) * 0.12
        share = min(abs(value) / scale.limit, 1.0)
        path = Path([p.tolist(), bend.tolist(), q.tolist()], [Path.MOVETO, Path.CURVE3, Path.CURVE3])
        axis.add_patch(
            PathPatch(
                path,
                fill=False,
                edgecolor=colours[k],
                lw=0.7 + 3.2 * share**0.5,
                alpha=0.55 + 0.45 * share,
                capstyle="round",
            )
        )
        for region in (start, end):
            named[region] = max(named.get(region, 0.0), share)
    x, y = spots.T.numpy()
    axis.scatter(
        x,
        y,
        s=max(6.0, 900 / len(order)),
        c=["#222222" if k in named else "#c4c4c4" for k in range(len(order))],
        zorder=3,
    )
    for region in _with_room(named, angles) if names is not None or len(order) <= 40 else ():
        turn = float(angles[region].rad2deg())
        left = 90 < turn % 360 < 270
        text = captions.text(names[region]) if names is not None else str(region)
        place = 1.06 * spots[region]
        axis.text(
            float(place[0]),
            float(place[1]),
            text,
            fontsize=6.5,
            rotation=turn + 180 if left else turn,
            rotation_mode="anchor",
            ha="right" if left else "left",
            va="center",
        )
    room = 1.42 if names is not None else 1.12
    axis.set_xlim(-room, room)
    axis.set_ylim(-room, room)
    axis.set_aspect("equal")
    axis.set_axis_off()


def _with_room(named: dict[int, float], angles: Tensor) -> list[int]:
    """Regions whose names do not touch, those with the largest share first."""
    kept: list[int] = []
    for region in sorted(named, key=lambda k: (-named[k], k)):
        gaps = (angles[kept] - angles[region] + torch.pi) % (2 * torch.pi) - torch.pi  # the shorter way around
        if not kept or float(gaps.abs().min()) >= LINE:
            kept.append(region)
    return kept


def _order(count: int, groups: Sequence[str] | None) -> list[int]:
    """Regions sorted by group, groups in the order in which they first come."""
    if groups is None:
        return list(range(count))
    first = {group: k for k, group in reversed(list(enumerate(groups)))}
    return sorted(range(count), key=lambda k: (first[groups[k]], k))


def _spans(groups: Sequence[str] | None, order: list[int]) -> list[tuple[str, int, int]]:
    if groups is None:
        return []
    sorted_ = [groups[k] for k in order]
    return [
        (group, sorted_.index(group), len(sorted_) - sorted_[::-1].index(group)) for group in dict.fromkeys(sorted_)
    ]


def _around(order: list[int], groups: Sequence[str] | None) -> tuple[Tensor, Tensor]:
    """The place of each region on the circle, clockwise from the top; the first of two groups on the left, mirrored."""
    spans = _spans(groups, order) or [("", 0, len(order))]
    gap = 0.12 if len(spans) > 1 else 0.0
    angles = torch.zeros(len(order), dtype=torch.float64)
    start = torch.pi / 2
    for k, (_, low, high) in enumerate(spans):
        width = 2 * torch.pi * (high - low) / len(order)
        steps = gap / 2 + (torch.arange(high - low, dtype=torch.float64) + 0.5) / (high - low) * (width - gap)
        mirrored = len(spans) == 2 and k == 0
        angles[torch.tensor(order[low:high])] = torch.pi / 2 + steps if mirrored else start - steps
        start -= 0.0 if mirrored else width
    return torch.stack([angles.cos(), angles.sin()], 1), angles
