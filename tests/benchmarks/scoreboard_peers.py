"""What else one could use to explain a pair, as explainers of the scoreboard: others' libraries on one branch at a
time, and formulas of papers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from xsiamese import PairAttribution, SiameseModel
from xsiamese.author import PairBatch


class _Peer(PairAttribution):
    modalities = frozenset({"image"})
    formula = "as published"


class Branch(nn.Module):
    """The score as a function of one side, the other embedding held."""

    def __init__(self, model: SiameseModel, side: int, held: Tensor) -> None:
        super().__init__()
        self.encoder, self.model, self.side, self.held = model.encoder, model, side, held

    def forward(self, x: Tensor) -> Tensor:
        z, held = self.encoder(x), self.held.repeat(len(x) // len(self.held), 1)
        score: Tensor = self.model.compare(*((z, held) if self.side == 0 else (held, z)))
        return score[:, None]


def branches(batch: PairBatch) -> list[tuple[Branch, Tensor]]:
    model = batch.model
    assert isinstance(model, SiameseModel)
    items = [next(iter(side.own)) for side in batch.sides]  # of texts the ids, and not whether they are there
    with torch.no_grad():
        z = [model.encode(x) for x in items]
    return [(Branch(model, side, z[1 - side]), items[side]) for side in (0, 1)]


class CaptumIntegratedGradients(_Peer):
    """captum's integrated gradients, a branch at a time, from zeros."""

    name = "captum_integrated_gradients"
    modalities = frozenset({"image", "row", "series"})

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        from captum.attr import IntegratedGradients

        return tuple(IntegratedGradients(one).attribute(x, target=0).detach() for one, x in branches(batch))


class CaptumOcclusion(_Peer):
    """captum's occlusion, a branch at a time: 6 x 6 windows, eight times of a series, or one column."""

    name = "captum_occlusion"
    modalities = frozenset({"image", "row", "series"})
    uses_gradients = False

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        from captum.attr import Occlusion

        found = []
        for one, x in branches(batch):
            window = {4: (x.shape[1], 6, 6), 3: (x.shape[1], 8)}.get(x.dim(), (1,))
            strides = {4: (x.shape[1], 2, 2), 3: (x.shape[1], 2)}.get(x.dim(), (1,))
            found.append(Occlusion(one).attribute(x, window, strides=strides, target=0).detach())
        return tuple(found)


class CaptumWords(_Peer):
    """captum's integrated gradients of the vectors of words, a branch at a time, from zeros."""

    name = "captum_words"
    modalities = frozenset({"text"})
    uses_gradients = False  # ids cannot move

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        from captum.attr import IntegratedGradients

        found = []
        for one, ids in branches(batch):
            table, one.encoder = one.encoder[0], one.encoder[1:]
            with torch.enable_grad():
                vectors = IntegratedGradients(one).attribute(table(ids), target=0)
            found.append(vectors.detach().sum(1))  # (items, channels, words)
        return tuple(found)


class GraphBranch(Branch):
    """The same, as PyTorch Geometric's explainers call a model of one graph."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        from torch_geometric.data import Batch, Data

        z = self.encoder(Batch.from_data_list([Data(x=x, edge_index=edge_index)]))
        score: Tensor = self.model.compare(*((z, self.held) if self.side == 0 else (self.held, z)))
        return score[:, None]


class PyGIntegratedGradients(_Peer):
    """captum's integrated gradients as PyTorch Geometric calls it, a branch at a time."""

    name = "pyg_integrated_gradients"
    modalities = frozenset({"graph"})

    def algorithm(self) -> Any:
        from torch_geometric.explain import CaptumExplainer

        return CaptumExplainer("IntegratedGradients")

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        from torch_geometric.explain import Explainer

        graphs = [side.rebuild(side.leaves) for side in batch.sides]
        with torch.no_grad():
            z = [batch.model.encode(one) for one in graphs]
        maps = []
        for side, both in enumerate(graphs):
            nodes = []
            for i, graph in enumerate(both.to_data_list()):
                branch = GraphBranch(batch.model, side, z[1 - side][i : i + 1]).eval()
                explain = Explainer(
                    branch,
                    self.algorithm(),
                    explanation_type="model",
                    node_mask_type="attributes",
                    model_config={"mode": "regression", "task_level": "graph"},
                )
                with torch.enable_grad():
                    nodes.append(explain(graph.x.detach(), graph.edge_index).node_mask.detach())
            maps.append(torch.cat(nodes))
        return batch.maps(maps)


class PyGGNNExplainer(PyGIntegratedGradients):
    """PyTorch Geometric's GNNExplainer with its defaults, a branch at a time."""

    name = "pyg_gnn_explainer"
    shows = "relevance"

    def algorithm(self) -> Any:
        from torch_geometric.explain import GNNExplainer

        return GNNExplainer()


class PytorchGradCAM(_Peer):
    """pytorch-grad-cam's Grad-CAM, a branch at a time, on the last convolution."""

    name = "pytorch_grad_cam"
    shows = "relevance"

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget

        found = []
        for one, x in branches(batch):
            layer = [m for m in one.encoder.modules() if isinstance(m, nn.Conv2d)][-1]
            maps = []
            for i in range(len(x)):
                single = Branch(one.model, one.side, one.held[i : i + 1])
                with GradCAM(single, [layer]) as cam, torch.enable_grad():
                    # parameters are frozen here, so that the graph must begin at the image
                    image = x[i : i + 1].clone().requires_grad_()
                    maps.append(torch.from_numpy(cam(image, [RawScoresOutputTarget()])))
            found.append(torch.stack(maps).to(x))
        return tuple(found)


class Stylianou(_Peer):
    """Each place's share of the inner product with the other embedding (Stylianou et al. 2019; Zhu et al. 2021): the
    pooled features taken apart.
    """

    name = "stylianou"
    uses_gradients = False

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        encoder = batch.model.encoder
        pool = next(i for i, m in enumerate(encoder) if isinstance(m, nn.AdaptiveAvgPool2d))
        features, linear = encoder[:pool], encoder[-1]
        with torch.no_grad():
            places = [linear(features(x).movedim(1, -1)) for x in batch.leaves]
            units = [functional.normalize(p.mean((1, 2)), dim=1) for p in places]
        return tuple(torch.einsum("nhwc,nc->nhw", p, units[1 - i])[:, None] for i, p in enumerate(places))


def _masks(count: int, cells: int, size: int, seed: int) -> Tensor:
    """RISE's masks: a coarse random grid, enlarged and shifted."""
    generator = np.random.default_rng(seed)
    step = -(-size // cells)
    coarse = torch.from_numpy((generator.random((count, 1, cells, cells)) < 0.5).astype("float32"))
    large = functional.interpolate(coarse, (cells + 1) * step, mode="bilinear", align_corners=False)
    shifts = generator.integers(step, size=(count, 2))
    return torch.stack([m[:, i : i + size, j : j + size] for m, (i, j) in zip(large, shifts, strict=True)])


class CorrRISE(_Peer):
    """The correlation of a pixel's mask with the score, one side masked at a time (Lu et al. 2024): 300 masks."""

    name = "corr_rise"
    uses_gradients = False

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        found = []
        for one, x in branches(batch):
            masks = _masks(300, 8, x.shape[-1], 0)
            maps = []
            for i in range(len(x)):
                with torch.no_grad():
                    scores = Branch(one.model, one.side, one.held[i : i + 1])(x[i : i + 1] * masks)[:, 0]
                centred = masks - masks.mean(0)
                scores = scores - scores.mean()
                maps.append(
                    (centred * scores[:, None, None, None]).sum(0) / (centred.norm(dim=0) * scores.norm() + 1e-12)
                )
            found.append(torch.stack(maps))
        return tuple(found)


class SBSM(_Peer):
    """How much more distant the pair is with a window blanked, averaged over the windows at a pixel (Dong et al. 2019):
    8 x 8 windows, every 3 pixels.
    """

    name = "sbsm"
    uses_gradients = False

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        found = []
        for one, x in branches(batch):
            size = x.shape[-1]
            corners = [(i, j) for i in range(0, size - 7, 3) for j in range(0, size - 7, 3)]
            masks = torch.ones(len(corners), 1, size, size)
            for mask, (i, j) in zip(masks, corners, strict=True):
                mask[:, i : i + 8, j : j + 8] = 0
            gone = 1 - masks
            maps = []
            for i in range(len(x)):
                single = Branch(one.model, one.side, one.held[i : i + 1])
                with torch.no_grad():
                    lost = single(x[i : i + 1])[0, 0] - single(x[i : i + 1] * masks)[:, 0]
                maps.append((gone * lost[:, None, None, None]).sum(0) / gone.sum(0).clamp(min=1))
            found.append(torch.stack(maps))
        return tuple(found)


class Random(PairAttribution):
    """Noise: what chance gives."""

    name = "random"
    formula = r"\varepsilon"
    modalities = frozenset({"image", "row", "series", "text", "graph"})
    uses_gradients = False

    def compute(self, batch: PairBatch, **options: Any) -> Any:
        # another noise for another pair
        generator = np.random.default_rng([int(abs(float(x.sum())) * 1e3) for x in batch.leaves])
        return batch.maps([torch.from_numpy(generator.standard_normal(tuple(x.shape))).to(x) for x in batch.moved])


PEERS = {
    "random": Random,
    "captum IntegratedGradients, by branch": CaptumIntegratedGradients,
    "captum Occlusion, by branch": CaptumOcclusion,
    "captum IntegratedGradients of vectors, by branch": CaptumWords,
    "PyG IntegratedGradients, by branch": PyGIntegratedGradients,
    "PyG GNNExplainer, by branch": PyGGNNExplainer,
    "pytorch-grad-cam, by branch": PytorchGradCAM,
    "Stylianou 2019": Stylianou,
    "CorrRISE": CorrRISE,
    "SBSM": SBSM,
}
