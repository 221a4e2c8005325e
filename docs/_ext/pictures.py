"""Pictures that are made when the documentation is built: one for each explainer on a shipped pair, all of them side by
side on one, and one for each kind of input. What has not changed since the last build is not made again.

``python docs/_ext/pictures.py FOLDER`` makes them.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import MatrixExplanation, PairAttribution, PairExplanation, SiameseModel, Texts
from xsiamese.branches.intact import reseed
from xsiamese.data import fashion_pair
from xsiamese.data.planted import planted
from xsiamese.data.samples import fashion_samples
from xsiamese.zoo import find_card, shipped
from xsiamese_text.encoders import StaticEncoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
IDS = [("a sneaker", "an ankle boot")]
EARLIER = "4"  # a layer of the shipped images' model that another convolution follows
GRAPH_ONLY = frozenset({"graph"})
SENTENCES = ("a", "cat", "sat", "on", "a", "mat"), ("the", "kitten", "slept", "on", "a", "rug")
WORDS = ["a", "the", "on", "cat", "kitten", "sat", "slept", "mat", "rug"]
# what a word is about, by hand: nothing much, animals, resting, floors
VECTORS = [
    [0.2, 0, 0, 0], [0.2, 0, 0, 0], [0.2, 0, 0, 0.1], [0, 1, 0, 0], [0, 0.9, 0.1, 0], [0, 0, 1, 0], [0, 0, 0.8, 0],
    [0, 0, 0.1, 1], [0, 0, 0, 0.9],
]  # fmt: skip


class Counted(nn.Module):
    """Lets an item through and counts it."""

    rows: list[int] = []

    def forward(self, item: Any) -> Any:
        self.rows.append(int(item.num_graphs) if hasattr(item, "num_graphs") else len(item))
        return item


class CountedWords(StaticEncoder):
    """An encoder of words that counts texts."""

    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        Counted.rows.append(len(input_ids))
        return super().states(input_ids, **more)


def explained(cls: type[PairAttribution]) -> tuple[PairExplanation, int]:
    """An explainer on the pair that all of its kind are shown on, and how many items it encoded for it."""
    if cls.modalities <= GRAPH_ONLY:
        model, layer, pair = shipped("planted-motifs").model, None, _motifs()
    elif cls.name == "robust":
        model, layer, pair = shipped("planted-rows").model, None, _rows()
    elif cls.modalities == {"text"}:
        model, layer, pair = SiameseModel(CountedWords(torch.tensor(VECTORS)), "cosine"), None, _texts()
    else:
        model, layer, pair = shipped("fashion").model, find_card("fashion").layer, fashion_pair()
    assert isinstance(model, SiameseModel)
    encoder = model.encoder
    if isinstance(encoder, nn.Sequential):  # its layers keep their numbers
        encoder = nn.Sequential(nn.Sequential(Counted(), encoder[0]), *encoder[1:])
    elif not isinstance(encoder, CountedWords):
        encoder = nn.Sequential(Counted(), encoder)
    counted = SiameseModel(encoder, model.comparison).eval()
    if cls.name == "internal_influence":  # behind the last layer all places are pooled, so that there each has the same
        layer = EARLIER
    inside = {"layer": layer} if layer and cls.needs_layer else {}
    made = _made(cls, counted, inside)
    if cls.across_pairs:  # it takes a feature from another pair of the batch, so there must be one
        more = [fashion_pair("sneaker", "ankle boot", number=number) for number in range(4)]
        pair = (torch.cat([a for a, _ in more]), torch.cat([b for _, b in more]))
    Counted.rows.clear()
    reseed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = made.explain(pair, ids=IDS * len(pair[0]) if layer else None, **_options(cls))
    return found[0], sum(Counted.rows)


def _texts() -> tuple[Texts, Texts]:
    """Two sentences as tokens, each a word."""
    made = []
    for words in SENTENCES:
        ids = torch.tensor([[WORDS.index(word) for word in words]])
        made.append(Texts({"input_ids": ids}, [words], torch.arange(len(words))[None], [words]))
    return made[0], made[1]


def _made(cls: type[PairAttribution], model: nn.Module, inside: dict[str, Any]) -> PairAttribution:
    within = {"lift": "PairInputXGradient", "noise_tunnel": "PairSaliency"}
    if cls.name in within:
        return cls(xsiamese.explainers()[within[cls.name]](model))
    return cls(model, **inside)


def _options(cls: type[PairAttribution]) -> dict[str, Any]:
    """What a picture asks for beside the defaults: cells in place of pixels where each costs a pass, and samples."""
    if cls.name == "robust":
        return {"pool": planted("rows", 64, 3).a}
    if cls.distribution_baselines:
        return {"baselines": (_samples(), _samples())}
    grouped = {
        "shapley_values": (3, 4),
        "shapley_value_sampling": (7, 7),
        "lime": (7, 7),
        "kernel_shap": (7, 7),
        "feature_ablation": (7, 7),
        "feature_permutation": (7, 7),
    }
    if cls.name in ("layer_feature_ablation", "layer_feature_permutation"):  # all channels of a place together
        return {"layer_mask": torch.arange(49).view(1, 1, 7, 7).expand(1, 64, 7, 7)}
    if cls.name in grouped:
        return {"feature_mask": (_cells(*grouped[cls.name]),) * 2}
    return {"occlusion": {"sliding_window_shapes": (1, 6, 6), "strides": (1, 2, 2)}}.get(cls.name, {})


def _cells(rows: int, columns: int) -> Tensor:
    """The number of the cell of each of 28 x 28 pixels."""
    down, across = (torch.arange(28) * count // 28 for count in (rows, columns))
    return (down[:, None] * columns + across)[None, None]


@cache
def _samples() -> Tensor:
    preprocessing = find_card("fashion").preprocessing
    assert preprocessing is not None
    return preprocessing.normalise(fashion_samples().images[::4])


def _motifs() -> Any:
    pairs = planted("motifs", 8, 2)
    first = int(pairs.alike.long().argmax())
    return pairs[first : first + 1].inputs


def _rows() -> Any:
    pairs = planted("rows", 8, 2)
    first = int(pairs.alike.long().argmax())
    return pairs[first : first + 1].inputs


def side_by_side(all_found: Mapping[str, PairExplanation]) -> Figure:
    """The maps of every method on one pair of images, each on a scale of its own."""
    from xsiamese.plot.captions import ends
    from xsiamese.plot.graph import new_figure
    from xsiamese.plot.image import pixels_of
    from xsiamese.plot.pixels import opacity, pale
    from xsiamese.plot.scale import Scale

    across = 4
    shown = {name: one for name, one in all_found.items() if one.maps is not None and one.kinds == ("image", "image")}
    down = -(-len(shown) // across)
    figure = new_figure(2.4 * across, 1.42 * down)
    grid = figure.subplots(down, 2 * across, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (name, one) in enumerate(shown.items()):
        row, column = divmod(number, across)
        maps = [side[0].sum(0).double() for side in one.upsample().maps]
        limit = float(torch.stack([side.abs() for side in maps]).quantile(0.995)) or 1.0
        scale = Scale(limit, ends(one), one.shows)
        for side, found in enumerate(maps):
            axes = grid[row, 2 * column + side]
            grey = pixels_of(one.inputs[side], "ab"[side], find_card("fashion").preprocessing)[0, 0]
            axes.imshow(pale(grey).numpy(), cmap="gray", vmin=0, vmax=1)
            low = -limit if one.shows == "signed" else 0.0
            opaque = opacity(found, limit).numpy()
            axes.imshow(scale.drawn(found).numpy(), cmap=scale.map, vmin=low, vmax=limit, alpha=opaque)
        grid[row, 2 * column].set_title(name.removeprefix("Pair"), fontsize=6.5, loc="left")
    return figure


def of_kinds() -> dict[str, Figure]:
    """A pair of each kind of input that has a shipped model, explained by a method of one pass or a few."""
    from xsiamese import auto

    figures = {}
    for kind, name in {"row": "rows", "series": "series", "graph": "motifs"}.items():
        model, pairs = shipped(f"planted-{name}").model, planted(name, 8, 2)
        first = int(pairs.alike.long().argmax())
        figures[kind] = auto(model, "fast", kind=kind).explain(pairs[first : first + 1].inputs).plot()
    texts = ["A cat sat."], ["The kitten slept."]
    figures["text"] = auto(xsiamese.from_wordllama()).explain(texts).plot()
    sizes = {"row": (4.8, 2.7), "text": (4.8, 1.3), "graph": (4.8, 2.5), "series": (4.8, 1.4)}
    for kind, (width, height) in sizes.items():
        figures[kind].set_size_inches(width, height)  # two stand beside each other, under titles of their own
        figures[kind].suptitle("")
    for axes in figures["text"].axes[:2]:
        axes.set_xlim(0, 24)  # two short lines
    found, _ = explained(xsiamese.explainers()["PairGradCAM"])
    return {"image": drawn(found), **figures}


def drawn(found: PairExplanation) -> Figure:
    """The picture of an explanation; of shipped images with their pixels, which a matrix takes together as cells."""
    if found.kinds[0] != "image":
        return found.plot()
    fine = isinstance(found, MatrixExplanation) and any(grid == (28, 28) for grid in found.matrix.grids)
    coarse = {"pool": ((7, 7), (7, 7))} if fine else {}
    return found.plot(preprocessing=find_card("fashion").preprocessing, **coarse)


def make(folder: Path) -> dict[str, int]:
    """Makes what is not there or was made by other code; how many items each explainer encoded for its pair.

    A method that fails on its pair has no picture, and its page says nothing of one.
    """
    known, mark = folder / "pictures.json", fingerprint()
    made = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    if made.get("code") == mark:
        return dict(made["rows"])
    folder.mkdir(parents=True, exist_ok=True)
    rows, all_found = {}, {}
    for name, cls in xsiamese.explainers().items():
        all_found[name], rows[name] = explained(cls)
        save(drawn(all_found[name]), folder / f"{name}.png")
    save(side_by_side(all_found), folder / "side_by_side.png")
    for kind, figure in of_kinds().items():
        save(figure, folder / f"kind_{kind}.png")
    known.write_text(json.dumps({"code": mark, "rows": rows}), encoding="utf-8")
    return rows


def save(figure: Figure, path: Path) -> None:
    """On white, so that it is read on a dark page too."""
    figure.savefig(path, dpi=130, facecolor="white", bbox_inches="tight", pad_inches=0.08)


def fingerprint() -> str:
    """Of all that a picture depends on in this repository."""
    files = [path for folder in ("xsiamese", "plugins") for path in (ROOT / folder).rglob("*") if path.is_file()]
    told = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(path for path in files if path.suffix in (".py", ".json", ".safetensors")):
        told.update(path.read_bytes())
    return told.hexdigest()


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
