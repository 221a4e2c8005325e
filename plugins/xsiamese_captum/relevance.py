"""Layer-wise relevance propagation of the score, in each branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import PairAttribution, PairBatch, Rule, Rules


class PairLRP(PairAttribution):
    r"""Layer-wise relevance propagation: what each part of an input contributed to the embedding, layer by layer.

    The relevance that enters a branch is :math:`u \odot \partial s / \partial u`, the embedding times the gradient of
    the score (captum, told to explain the score, starts from :math:`s\, \partial s / \partial u`). Rules without an
    :math:`\epsilon` pass on all of it but the part that biases take: on an encoder without them each map sums to
    :math:`u \cdot \partial s / \partial u`, which for a dot product is the score, and for cosine zero (see
    ``detach_norms``).

    Rules follow the model's modules. Linear layers and convolutions have them, with the batch normalisation behind
    them, under weight norm, spectral norm and pruning as well; activations pass relevance on, layer normalisation takes
    its deviation for a constant. What is no module, such as attention by a function, is differentiated.

    Example:
        >>> import torch
        >>> from xsiamese import PairLRP, SiameseModel
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 4), torch.rand(2, 4))
        >>> map_a, map_b = PairLRP(model).attribute(pair, rule="gamma")
        >>> torch.allclose(map_a.sum(1), model(*pair), atol=1e-5), torch.allclose(map_b.sum(1), model(*pair), atol=1e-5)
        (True, True)
    """

    name = "lrp"
    formula = (
        r"R_j = \sum_k \frac{\rho(a_j w_{jk})}{\sum_i \rho(a_i w_{ik}) + \rho(b_k)} R_k, \quad "
        r"R_u = u \odot \partial s / \partial u"
    )
    reference = ("bach2015", "montavon2019", "eberle2022", "ali2022")
    takes_baselines = differentiable = False

    def compute(
        self,
        batch: PairBatch,
        *,
        rule: Rule | Mapping[str, Rule] = "epsilon",
        gamma: float = 0.25,
        epsilon: float = 0.0,
        box: tuple[float | Tensor, float | Tensor] | None = None,
    ) -> tuple[Any, Any]:
        """The relevance of each input.

        Args:
            batch: the pairs.
            rule: "epsilon", "gamma" (for images, whose maps by the first are noisy), "zplus", or "gradient" for a layer
                without a rule; or a mapping from layers, or what is around them, to rules, "epsilon" for the others.
            gamma: for "gamma", how much more positive contributions weigh; 0 is "epsilon".
            epsilon: what is added to denominators, in units of a layer's output; with "epsilon" and 0 it is LRP-0.
            box: the lowest and the highest value of the input after normalisation, numbers or tensors for one item: the
                layers that get the input follow the rule z^B.
        """
        with batch.propagating(Rules(rule, gamma, epsilon, box)) as (here, _, relevance):
            return batch.maps(relevance.maps(here.gradients()))


class PairLayerLRP(PairAttribution):
    r"""The relevance that arrives at a layer's output in each branch; see :class:`PairLRP`.

    At an activation it is that of the layer with weights before it.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerLRP, SiameseModel
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> pairs = torch.rand(2, 1, 6, 6), torch.rand(2, 1, 6, 6)
        >>> maps = PairLayerLRP(SiameseModel(encoder, "dot"), "1").attribute(pairs)
        >>> [tuple(m.shape) for m in maps]
        [(2, 4, 4, 4), (2, 4, 4, 4)]
    """

    name = "layer_lrp"
    formula = PairLRP.formula
    reference = PairLRP.reference
    needs_layer = True
    takes_baselines = differentiable = False

    def compute(
        self,
        batch: PairBatch,
        *,
        rule: Rule | Mapping[str, Rule] = "epsilon",
        gamma: float = 0.25,
        epsilon: float = 0.0,
    ) -> tuple[Any, Any]:
        """The relevance of each unit of the layer.

        Args:
            batch: the pairs.
            rule: see :meth:`PairLRP.compute`.
            gamma: see there.
            epsilon: see there.
        """
        rules, both = Rules(rule, gamma, epsilon), batch.one_sided("both")
        with both.propagating(rules, self.layer) as (here, layer, _), here.record(layer) as seen:
            gradients = seen.gradients(here.value())
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        for activation, gradient in zip(seen.activations, gradients, strict=True):
            batch.check_rows(self.layer, activation)
            for side, found in enumerate(sides):
                moves = side in batch.objective.moving
                found.append(activation[side] * gradient[side] if moves else torch.zeros_like(activation[side]))
        first, second = sides
        return (first[0], second[0]) if len(first) == 1 else (tuple(first), tuple(second))
