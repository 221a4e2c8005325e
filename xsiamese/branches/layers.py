"""Layers by name, by module or by themselves, and where the spatial grid of their output is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from xsiamese.branches.along import Lies
from xsiamese.branches.calls import Survey
from xsiamese.branches.cut import NEEDS_NONE, NoGradientError
from xsiamese.branches.layout import ChannelsFirst as ChannelsFirst
from xsiamese.branches.layout import ChannelsLast as ChannelsLast
from xsiamese.branches.layout import Grid, Layout
from xsiamese.branches.layout import PatchesLast as PatchesLast
from xsiamese.branches.layout import Tokens as Tokens
from xsiamese.branches.probe import Moved, PassedBy, Taken, has_odd_grid, last_cells
from xsiamese.branches.record import LayerPair
from xsiamese.branches.refused import TRANSFORMED
from xsiamese.branches.spread import last_places
from xsiamese.kinds.places import Places, of_tensor
from xsiamese.model.called import Called
from xsiamese.model.held import said_of_hidden
from xsiamese.model.pair import PairModel, SiameseModel

OneLayer = str | nn.Module | tuple[str | nn.Module, str | nn.Module]
Layer = OneLayer | Sequence[OneLayer] | None
SomeLayers = tuple[nn.Module | None, nn.Module | None]
NO_TOKENS = (
    "no layer gives each token a place, (pairs, tokens, channels): the model reads ids one after the other, turns them "
    "first, or has no layer for their vectors; explain the ids, PairFeatureAblation or PairShapleyValueSampling"
)


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


def find_layers(model: PairModel, layer: Layer) -> list[SomeLayers]:
    """The modules that ``layer`` means, one pair (side a, side b) for each layer; None for a side whose encoder is
    another one and has no such layer.

    Raises:
        ValueError: if no layer has that name, with the nearest names.
    """
    if isinstance(layer, list) and not layer:
        raise ValueError("layer=[] names no layer: leave it out for the one that is chosen by itself")
    pairs: list[SomeLayers] = []
    for one in layer if isinstance(layer, list) else [layer]:
        if (side := _only_tower(model, one)) is not None:
            module = _find(model, one, side)
            pairs.append((module, None) if side == 0 else (None, module))
            continue
        if isinstance(one, tuple) and len(one) != 2:
            raise ValueError(f"layer={one!r}: a tuple is (of a, of b); several layers are a list")
        first, second = one if isinstance(one, tuple) else (one, one)
        pairs.append((_find(model, first, 0), _find(model, second, 1)))
    return pairs


def names_of(model: PairModel, pairs: Sequence[SomeLayers]) -> list[str]:
    """The dotted names of layers, of both sides where they differ."""
    return [" / ".join(dict.fromkeys(name_of(model, m) for m in pair if m is not None)) for pair in pairs]


class NoLayerError(ValueError):
    """No layer of a model has places of its inputs by itself."""


def default_layers(
    model: PairModel,
    survey: Survey,
    images: tuple[Grid | None, Grid | None],
    halves: Callable[[], Moved],
    lies: tuple[Lies, Lies],
    *,
    ids: bool = False,
) -> tuple[SomeLayers, tuple[Taken | None, Taken | None]]:
    """For each side the last layer whose cells stand apart and reach the score, and why it was taken; None for a side
    that has none, beside one that has.

    Args:
        model: the model.
        survey: how it uses its modules.
        images: height and width of each side's images; None for a side of another kind.
        halves: see :func:`xsiamese.branches.probe.last_cells`.
        lies: where the places of each side's items lie.
        ids: whether both sides are ids of tokens.

    Raises:
        NoLayerError: if there is none.
    """
    found: list[nn.Module | None] = []
    taken: list[Taken | None] = []
    elsewhere: list[tuple[int, str]] = []
    for side, image in enumerate(images):
        roots = [model.encoders[side]] if isinstance(model, SiameseModel) else survey.serving(model, side)
        one, passed = (None, PassedBy()) if image is None else last_cells(survey, roots, image, halves)
        module = one.module if one else survey.word_embedding(roots, side)
        if module is None or (one and (passed.turned or passed.gathered or has_odd_grid(survey, image))):
            other, rest, along = last_places(survey, roots, side, lies[side])
            passed.gathered += rest.gathered
            passed.turned += rest.turned
            if module is None or (other and survey.usage[other.module].finished > survey.usage[module].finished):
                one, module = other, other.module if other else None
            if one is other and one and lies[side].axes[along.axis : along.axis + 1] == ((1,),) and along.axis:
                elsewhere.append((side, name_of(model, one.module)))
        if module is None and (passed.gathered or passed.turned):
            raise NoLayerError(_untied(model, passed))
        if module is None and survey.cut():
            raise NoGradientError(
                "the score carries no gradient, so the layer to explain on cannot be found",
                remedy=f"name one, layer=, for a method that removes channels; {NEEDS_NONE}",
            )
        found.append(module)
        taken.append(one)
    if elsewhere:
        _warn_elsewhere(elsewhere, lies)
    if not any(found) or not (all(found) or has_two_towers(model)):
        if not survey.usage:
            raise NoLayerError(
                "this explainer needs the model's modules, and a plain function hides them: wrap it in an nn.Module, "
                "or use SiameseModel"
            )
        if not isinstance(model, SiameseModel) and not any(survey.serving(model, side) for side in (0, 1)):
            raise NoLayerError(
                "every layer of this model sees both inputs together, so that none has a map for each: explain the "
                "inputs, PairFeatureAblation or PairOcclusion, or layer=(layer_a, layer_b)"
            )
        if survey.transformed:
            raise NoLayerError(TRANSFORMED)
        if said := said_of_hidden(model):
            raise NoLayerError(said)
        if any(isinstance(module, nn.EmbeddingBag) for module in survey.usage):
            raise NoLayerError(
                "nn.EmbeddingBag sums the vectors of all ids at once, so that no layer has a place for each: explain "
                "the ids, PairFeatureAblation or PairShapleyValueSampling"
            )
        if ids:
            raise NoLayerError(NO_TOKENS)
        raise NoLayerError(
            "no layer has a spatial grid (N, C, H, W) to explain on: give layer=, and layout= for tokens; a recurrent "
            "encoder that hands on its last state has no places at any layer: explain its inputs"
        )
    return (found[0], found[1]), (taken[0], taken[1])


def _untied(model: PairModel, passed: PassedBy) -> str:
    """What is said where no layer's places are those of the input."""
    if passed.turned:
        name = name_of(model, passed.turned[0])
        return (
            f"the places of {name!r} do not follow those of the input as far as can be told: the model turns it first "
            "(transpose, permute or flip), or mixes all places, as a mean that is taken off does: give it as the first "
            f"layer takes it, name the layer if its places are those of the input, layer={name!r}, or explain the "
            "inputs (PairIntegratedGradients, PairOcclusion)"
        )
    return (
        f"the tokens of {name_of(model, passed.gathered[0])!r} do not lie as the places of the input (learned latents "
        "have no place, other tokens lie in another order, or stand among others), and no layer before it has any that "
        "do: explain the inputs (PairIntegratedGradients, PairOcclusion)"
    )


def _warn_elsewhere(elsewhere: Sequence[tuple[int, str]], lies: tuple[Lies, Lies]) -> None:
    """Tells that the places of layers lie along another dimension than the times of the series that items are read as.

    Args:
        elsewhere: the sides, and what their layers are called.
        lies: where the places of either side's items lie.
    """
    (side, name), (_, *shape) = elsewhere[0], lies[elsewhere[0][0]].shape
    warnings.warn(
        f"input {'ab'[side]}, shape (pairs, {shape[0]}, {shape[1]}), is read as a series of {shape[1]} times, and the "
        f"places of layer {name!r} are the {shape[0]} of dimension 1: of items (pairs, places, features), as sets, "
        "points and frames, say kind='text', or give series as (pairs, channels, times)",
        stacklevel=2,
    )


def has_two_towers(model: PairModel) -> bool:
    """Whether each side has an encoder of its own."""
    return isinstance(model, SiameseModel) and model.encoders[0] is not model.encoders[1]


def default_of_nodes(model: PairModel, survey: Survey, nodes: tuple[int, int]) -> LayerPair:
    """The last layer of each side that sends messages and has a row for each of the ``nodes`` of graphs.

    Raises:
        ValueError: if there is none.
    """
    found = []
    last = survey.last_of_nodes(nodes)
    towers = last is not None and survey.calls(last) == 1 and len(survey.made_of(last, 0)) == 1
    for side in (0, 1):
        if isinstance(model, SiameseModel) or towers:  # else one that both sides pass, which may be crossed by then
            roots = [model.encoders[side]] if isinstance(model, SiameseModel) else survey.serving(model, side)
            known = {module for root in roots for module in root.modules()}
            inside = {module: usage for module, usage in survey.usage.items() if module in known}
            last = Survey(inside, survey.leaves, survey.pairs).last_of_nodes(nodes)
        if last is None:
            raise ValueError(
                "no MessagePassing layer of torch_geometric has one row for each node to explain on: give layer=, "
                "one before the readout"
            )
        found.append(last)
    return found[0], found[1]


def _only_tower(model: PairModel, layer: Any) -> int | None:
    """The only side whose encoder has a layer, where each side has an encoder of its own; None if it is not one."""
    if not has_two_towers(model) or not isinstance(layer, (str, nn.Module)):
        return None
    assert isinstance(model, SiameseModel)
    inside = []
    for side, encoder in enumerate(model.encoders):
        known = {f"{'encoder_a' if side == 0 else 'encoder_b'}.{name}" for name, _ in encoder.named_modules()}
        known |= {name for name, _ in encoder.named_modules()}
        inside.append(layer in known if isinstance(layer, str) else any(m is layer for m in encoder.modules()))
    return inside.index(True) if sum(inside) == 1 else None


def _find(model: PairModel, layer: Any, side: int) -> nn.Module:
    if isinstance(layer, nn.Module):
        return layer
    if not isinstance(layer, str):
        raise TypeError(f"layer is a {type(layer).__name__}: a dotted name, a module, or a pair of them is needed")
    roots = (
        [model.encoders[side], model] if isinstance(model, SiameseModel) else [getattr(model, "model", model), model]
    )
    # of a partial or a bound method also by the module's own names
    roots += [root.module for root in roots if isinstance(root, Called)]
    known: dict[str, nn.Module] = {}
    for root in roots:
        if isinstance(root, nn.Module):
            for name, module in root.named_modules():
                known.setdefault(name.replace("_orig_mod.", ""), module)
    if layer in known and layer:
        return known[layer]
    names = [name for name in known if name]
    near = get_close_matches(layer, names)
    hint = (
        f"did you mean {' or '.join(map(repr, near))}?"
        if near
        else f"there are {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}"
    )
    raise ValueError(f"no layer is called {layer!r}; {hint}")


def name_of(model: PairModel, module: nn.Module) -> str:
    roots = list(model.encoders) if isinstance(model, SiameseModel) else [getattr(model, "model", model)]
    for root in [*roots, model]:
        if isinstance(root, nn.Module):
            for name, candidate in root.named_modules():
                if candidate is module:
                    return name.replace("_orig_mod.", "") or type(module).__name__
    return type(module).__name__
