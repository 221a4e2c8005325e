"""Layers by name, by module or by themselves, and where the spatial grid of their output is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from xsiamese.branches.calls import Survey
from xsiamese.branches.layout import ChannelsFirst as ChannelsFirst
from xsiamese.branches.layout import ChannelsLast as ChannelsLast
from xsiamese.branches.layout import Grid, Layout
from xsiamese.branches.layout import PatchesLast as PatchesLast
from xsiamese.branches.layout import Tokens as Tokens
from xsiamese.branches.probe import Taken, last_cells
from xsiamese.branches.record import LayerPair
from xsiamese.kinds.places import Places, of_tensor
from xsiamese.model.pair import PairModel, SiameseModel

OneLayer = str | nn.Module | tuple[str | nn.Module, str | nn.Module]
Layer = OneLayer | Sequence[OneLayer] | None


def as_grid(activation: Tensor, layout: Layout, places: Places | None = None) -> Tensor:
    """An activation with its channels in dimension 1: (N, C, H, W), (N, C, T), (N, C, tokens) or (N, C).

    Args:
        activation: a layer's output.
        layout: the user's word for where its grid is, which goes before all else.
        places: how it lies, see :meth:`PairBatch.places`; tokens (N, tokens, C) are thought of if left out.
    """
    if layout is not None:
        return layout(activation)
    return (places or of_tensor(activation, None, "tokens")).first(activation)


def find_layers(model: PairModel, layer: Layer) -> tuple[list[LayerPair], list[str]]:
    """The modules that ``layer`` means, one pair (side a, side b) for each layer, and their names.

    Raises:
        ValueError: if no layer has that name, with the nearest names.
    """
    wanted = layer if isinstance(layer, list) else [layer]
    pairs: list[LayerPair] = []
    names: list[str] = []
    for one in wanted:
        first, second = one if isinstance(one, tuple) else (one, one)
        pair = _find(model, first, 0), _find(model, second, 1)
        pairs.append(pair)
        names.append(" / ".join(dict.fromkeys(_name(model, module) for module in pair)))
    return pairs, names


def default_layers(
    model: PairModel,
    survey: Survey,
    images: tuple[Grid | None, Grid | None],
    mark: Callable[[], Mapping[nn.Module, Tensor]],
) -> tuple[list[LayerPair], list[str], tuple[Taken | None, Taken | None]]:
    """For each side the last layer whose cells stand apart and reach the score, its name, and why it was taken.

    Args:
        model: the model.
        survey: how it uses its modules.
        images: height and width of each side's images; None for a side of another kind.
        mark: see :func:`xsiamese.branches.probe.last_cells`.

    Raises:
        ValueError: if there is none.
    """
    found: list[nn.Module] = []
    taken: list[Taken | None] = []
    for side, image in enumerate(images):
        roots = [model.encoders[side]] if isinstance(model, SiameseModel) else survey.serving(model, side)
        one = None if image is None else last_cells(survey, roots, image, mark)
        module = one.module if one else survey.word_embedding(roots, side) or survey.last_spread(roots, side)
        if module is None and survey.value is not None and not survey.value.requires_grad and any(survey.leaves):
            raise ValueError(
                "the score carries no gradient, so the layer to explain on cannot be found: the graph is cut in the "
                "forward pass (no_grad, detach, numpy, whole numbers or a quantised layer); give layer= to a method "
                "that needs none, such as PairAblationCAM, or use PairFeatureAblation or PairOcclusion"
            )
        if module is None:
            raise ValueError(
                "no layer has a spatial grid (N, C, H, W) to explain on: give layer=, and layout= for tokens"
            )
        found.append(module)
        taken.append(one)
    pair = (found[0], found[1])
    return [pair], [" / ".join(dict.fromkeys(_name(model, module) for module in pair))], (taken[0], taken[1])


def default_of_nodes(model: PairModel, survey: Survey, nodes: tuple[int, int]) -> tuple[list[LayerPair], list[str]]:
    """The last layer of each side that sends messages and has a row for each of the ``nodes`` of graphs.

    Raises:
        ValueError: if there is none.
    """
    roots: tuple[nn.Module, ...] = (model,)
    if isinstance(model, SiameseModel):
        roots = tuple(dict.fromkeys(model.encoders))
    found = []
    for root in roots:
        inside = {module: usage for module, usage in survey.usage.items() if module in set(root.modules())}
        last = Survey(inside, survey.leaves, survey.pairs).last_of_nodes(nodes)
        if last is None:
            raise ValueError(
                "no MessagePassing layer of torch_geometric has one row for each node to explain on: give layer=, "
                "one before the readout"
            )
        found.append(last)
    pair = (found[0], found[-1])
    return [pair], [" / ".join(dict.fromkeys(_name(model, module) for module in pair))]


def _find(model: PairModel, layer: Any, side: int) -> nn.Module:
    if isinstance(layer, nn.Module):
        return layer
    if not isinstance(layer, str):
        raise TypeError(f"layer is a {type(layer).__name__}: a dotted name, a module, or a pair of them is needed")
    roots = (
        [model.encoders[side], model] if isinstance(model, SiameseModel) else [getattr(model, "model", model), model]
    )
    known: dict[str, nn.Module] = {}
    for root in roots:
        if isinstance(root, nn.Module):
            for name, module in root.named_modules():
                known.setdefault(name.replace("_orig_mod.", ""), module)
    if layer in known and layer:
        return known[layer]
    names = [name for name in known if name]
    near = get_close_matches(layer, names, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"there are {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}"
    )
    raise ValueError(f"no layer is called {layer!r}; {hint}")


def _name(model: PairModel, module: nn.Module) -> str:
    roots = list(model.encoders) if isinstance(model, SiameseModel) else [getattr(model, "model", model)]
    for root in [*roots, model]:
        if isinstance(root, nn.Module):
            for name, candidate in root.named_modules():
                if candidate is module:
                    return name.replace("_orig_mod.", "") or type(module).__name__
    return type(module).__name__
