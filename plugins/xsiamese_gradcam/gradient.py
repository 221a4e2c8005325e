"""Maps whose channel weights are made of gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from xsiamese.author import Places
from xsiamese_gradcam.cam import PairCAM
from xsiamese_gradcam.linear import PairLinearCAM


class PairGradCAM(PairLinearCAM):
    """Grad-CAM: each channel counts by its mean gradient. With global average pooling and a dot product a side's map
    sums to the score.

    On graphs the mean is over the nodes of each graph, and the map is the node mask of an ``Explanation``, (nodes, 1).

    Example:
        >>> import torch
        >>> from xsiamese import PairGradCAM, SiameseModel
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> pairs = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
        >>> map_a, map_b = PairGradCAM(SiameseModel(encoder), layer="1").attribute(pairs)
        >>> map_a.shape
        torch.Size([2, 1, 6, 6])
    """

    name = "gradcam"
    formula = r"\sum_k \Big(\tfrac{1}{hw} \sum_{ij} \frac{\partial s}{\partial A_{kij}}\Big) A_k"
    reference = ("selvaraju2017",)

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        return (places.mean(gradient) * activation).sum(1, keepdim=True)


class PairHiResCAM(PairLinearCAM):
    """HiResCAM: gradients are not averaged over places. Exact for any linear head, pooled or flattened.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairHiResCAM, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairHiResCAM(model, layer="1").attribute(pair)
        >>> torch.allclose(map_a.sum((1, 2, 3)), model(*pair), atol=1e-5)
        True
    """

    name = "hirescam"
    products = True
    formula = r"\sum_k \frac{\partial s}{\partial A_k} \odot A_k"
    reference = ("draelos2020",)

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        return (gradient * activation).sum(1, keepdim=True)


class PairGradCAMPlusPlus(PairCAM):
    """Grad-CAM++: positive gradients only, weighted so that several small regions count as much as a large one.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairGradCAMPlusPlus, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairGradCAMPlusPlus(model, layer="1").attribute(pair)
        >>> map_a.shape, map_b.shape
        (torch.Size([2, 1, 6, 6]), torch.Size([2, 1, 6, 6]))
    """

    name = "gradcam_plus_plus"
    formula = (
        r"\sum_k \Big(\sum_{ij} \alpha_{kij}\, \mathrm{relu}(g_{kij})\Big) A_k, \quad \alpha = "
        r"\frac{g^2}{2 g^2 + \sum_{ab} A_{kab}\, g^3}"
    )
    reference = ("chattopadhay2018",)

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        total = places.total(activation)
        below = 2 * gradient**2 + total * gradient**3
        alpha = torch.where(below != 0, gradient**2 / torch.where(below != 0, below, 1), 0)
        weights = places.total(alpha * gradient.relu())
        return (weights * activation).sum(1, keepdim=True)


class PairLayerCAM(PairCAM):
    """LayerCAM: each place counts by its own positive gradient, which sharpens early layers. (Signed, it is
    HiResCAM.)

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairLayerCAM, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairLayerCAM(model, layer="1").attribute(pair)
        >>> bool((map_a >= 0).all())
        True
    """

    name = "layercam"
    formula = r"\sum_k \mathrm{relu}\Big(\frac{\partial s}{\partial A_k}\Big) \odot A_k"
    reference = ("jiang2021",)

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        return (gradient.relu() * activation).sum(1, keepdim=True)


class PairXGradCAM(PairLinearCAM):
    """XGrad-CAM: each channel counts by its gradients weighted with its activations; the map sums as
    HiResCAM's does.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairXGradCAM, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairXGradCAM(model, layer="1").attribute(pair)
        >>> torch.allclose(map_a.sum((1, 2, 3)), model(*pair), atol=1e-5)
        True
    """

    name = "xgradcam"
    formula = r"\sum_k \frac{\sum_{ij} g_{kij} A_{kij}}{\sum_{ij} A_{kij}} A_k"
    reference = ("fu2020",)

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        total = places.mean(activation)
        weights = torch.where(total != 0, places.mean(gradient * activation) / torch.where(total != 0, total, 1), 0)
        return (weights * activation).sum(1, keepdim=True)
