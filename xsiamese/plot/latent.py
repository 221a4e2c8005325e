"""Pictures of training: the embedding in the plane, and loss curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Reduction = Literal["pca", "tsne", "umap"]


def latent_space(
    embeddings: Tensor,
    labels: Tensor,
    classes: Sequence[str] = (),
    title: str = "",
    *,
    limits: Tensor | None = None,
    legend: bool = True,
) -> Figure:
    """The embeddings of items in the plane, coloured by class.

    Args:
        embeddings: shape (items, 2); see :func:`plane` for more dimensions.
        labels: the class of each item, shape (items,).
        classes: their names.
        title: of the picture.
        limits: lowest and highest corner, shape (2, 2), the same in all frames of an animation.
        legend: whether the classes are named; beyond 20 classes they are not.
    """
    present = torch.unique(labels).tolist()
    named = legend and len(present) <= 20
    figure = new_figure(6.3 if named else 5.0, 5.0)
    axes = figure.add_subplot()
    size = min(max(8000 / len(embeddings), 4), 40)
    colours = _colours(len(present))
    for colour, label in zip(colours, present, strict=True):
        points = embeddings[labels == label]
        name = classes[label] if label < len(classes) else str(label)
        x, y = points.T.numpy()
        axes.scatter(x, y, s=size, alpha=0.6, linewidths=0, color=colour, label=captions.text(name), rasterized=True)
    if limits is not None:
        axes.set_xlim(float(limits[0, 0]), float(limits[1, 0]))
        axes.set_ylim(float(limits[0, 1]), float(limits[1, 1]))
    axes.set_title(captions.text(title))
    axes.set_xlabel("$z_1$")
    axes.set_ylabel("$z_2$")
    if named:
        shown = axes.legend(
            markerscale=(40 / size) ** 0.5,
            fontsize="small",
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            handletextpad=0.1,
        )
        for handle in shown.legend_handles:
            if handle is not None:
                handle.set_alpha(1)
    return figure


def plane(embeddings: Tensor, reduction: Reduction = "pca", seed: int = 0) -> Tensor:
    """Embeddings as points in the plane, shape (items, 2): as they are if they have two dimensions, else by PCA, t-SNE
    (:cite:`vandermaaten2008`) or UMAP (:cite:`mcinnes2018`).

    The last two compare neighbours, of which fewer than five points have too few: these are drawn by PCA.
    """
    z = embeddings.flatten(1).float()
    if z.shape[1] <= 2:
        return torch.cat([z, z.new_zeros(len(z), 2 - z.shape[1])], 1)
    if reduction != "pca" and len(z) >= 5:
        return torch.from_numpy(_neighbours(reduction, seed, len(z)).fit_transform(z.numpy()))
    centred = z - z.mean(0)
    axes: Tensor = torch.linalg.svd(centred[:20_000], full_matrices=False).Vh[:2]
    points = centred @ axes.T
    return torch.cat([points, points.new_zeros(len(z), 2 - points.shape[1])], 1)  # one item has one axis


def _neighbours(reduction: Reduction, seed: int, items: int) -> Any:
    """What makes points of embeddings by their neighbours."""
    if reduction == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError('umap is not installed: pip install "xsiamese[umap]"') from error
        return UMAP(n_components=2, n_neighbors=min(15, items - 1), random_state=seed, init="pca")
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError('t-SNE needs scikit-learn: pip install "xsiamese[train]"') from error
    return TSNE(perplexity=min(30.0, (items - 1) / 3), random_state=seed, init="pca")


def curves(history: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """Loss by epoch, a line for each series that has a value."""
    figure = new_figure(6.0, 3.5)
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    for name, values in history.items():
        if values:
            axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=name.replace("_", " "))
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_title(captions.text(title))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def against(true: Tensor, found: Tensor, title: str = "") -> Figure:
    """Similarities that a model gives against the known ones, a dot a pair; on the line they are equal."""
    figure = new_figure(4.5, 4.5)
    axes = figure.add_subplot()
    axes.scatter(true.numpy(), found.numpy(), s=4, alpha=0.15, linewidths=0, rasterized=True)
    low, high = (float(f(torch.cat([true, found]))) for f in (torch.min, torch.max))
    axes.plot([low, high], [low, high], color="black", linewidth=0.8)
    axes.set_xlabel("known similarity")
    axes.set_ylabel("similarity of the model")
    axes.set_title(captions.text(title), fontsize="medium")
    return figure


def frame(figure: Figure) -> Any:
    """A figure as a PIL image."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(100)  # a film is looked at, not printed
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    wheel = colormaps["tab10" if count <= 10 else "tab20" if count <= 20 else "hsv"]
    return [wheel(i) if count <= 20 else wheel(i / count) for i in range(count)]
