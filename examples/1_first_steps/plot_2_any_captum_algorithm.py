"""
Any captum algorithm on your own model
======================================

captum's algorithms keep their names, with ``Pair`` in front, and their options, and
take any two-input model as it is.
"""

from captum.attr import DeepLift, Saliency
from torch import nn

import xsiamese
from xsiamese import (
    PairDeepLift,
    PairExplanation,
    PairIntegratedGradients,
    PairLayerGradCam,
    PairOcclusion,
    adapt,
)
from xsiamese.data import fashion_pair
from xsiamese.zoo import find_card, shipped

a, b = fashion_pair("sneaker", "ankle boot")


# %%
# A model of your own. Its score is a distance: the Euclidean one of two embeddings.
# Nothing in it knows of xsiamese.


class Mine(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, left, right):
        return (self.encoder(left) - self.encoder(right)).square().sum(1).sqrt()


model = Mine(shipped("fashion").model.encoder).eval()
print(f"distance {model(a, b).item():.3f}")

# %%
# captum itself refuses DeepLIFT here: the encoder's modules are called twice.

import warnings

warnings.filterwarnings("ignore", module="captum")  # captum tells of the hooks it sets

try:
    DeepLift(model).attribute((a, b))
except RuntimeError as error:
    print("captum: RuntimeError:", str(error).split(". ")[0])

# %%
# The same algorithms on pairs. ``higher_is_closer=False`` says that the score is a
# distance, so that positive values pull the two together, as everywhere in xsiamese.

explainers = {
    "PairIntegratedGradients": (
        PairIntegratedGradients(model, higher_is_closer=False),
        {"n_steps": 32},
    ),
    "PairDeepLift": (PairDeepLift(model, higher_is_closer=False), {}),
    "PairOcclusion": (
        PairOcclusion(model, higher_is_closer=False),
        {"sliding_window_shapes": (1, 6, 6), "strides": (1, 2, 2)},
    ),
    "PairLayerGradCam": (
        PairLayerGradCam(model, "encoder.7", higher_is_closer=False),
        {},
    ),
}
explanations: dict[str, PairExplanation] = {}
for name, (explainer, options) in explainers.items():
    explanations[name] = explainer.explain(
        (a, b), ids=[("sneaker", "ankle boot")], **options
    )
    delta = explanations[name].delta
    print(
        f"{name:<25} maps {tuple(explanations[name].maps[0].shape)}"
        + ("" if delta is None else f", convergence delta {delta.item():.2g}")
    )

# %%
# The convergence delta is the pair's own: the sum of *both* maps less the change of
# closeness from the baselines to the pair. More ``n_steps`` bring that of integrated
# gradients down. DeepLIFT has no rule for the distance itself, so that its delta stays
# (:doc:`/explanation/signs-and-completeness`).

preprocessing = find_card("fashion").preprocessing
integrated = explanations["PairIntegratedGradients"].plot(preprocessing=preprocessing)

# %%
occlusion = explanations["PairOcclusion"].plot(preprocessing=preprocessing)

# %%
gradcam = explanations["PairLayerGradCam"].plot(preprocessing=preprocessing)

# %%
# Which algorithms are there? All of captum's that have a meaning for a pair, and what
# plugins bring.

print(", ".join(name for name in xsiamese.explainers() if name.startswith("Pair")))

# %%
# An algorithm that is not on the list, for example one of your own that follows
# captum's interface, becomes an explainer with :func:`xsiamese.explain.captum.adapt`.


class Rising(Saliency):
    """Only what raises the score: the positive part of the gradient."""

    def attribute(self, inputs, target=None, additional_forward_args=None):
        return tuple(
            gradient.relu()
            for gradient in super().attribute(
                inputs,
                target,
                abs=False,
                additional_forward_args=additional_forward_args,
            )
        )


PairRising = adapt.adapt(Rising)
map_a, map_b = PairRising(model, higher_is_closer=False).attribute((a, b))
print(PairRising.__name__, tuple(map_a.shape), tuple(map_b.shape))
