"""
From the first layer to the last
================================

The same question can be asked of any layer: early maps are sharp and early maps are
restless, late ones are smooth and say which parts were recognised.

captum's layer methods are all here, with ``Pair`` in front. The pictures hold two
textures each, of which they share one.
"""

import torch

from xsiamese import (
    PairInternalInfluence,
    PairLayerActivation,
    PairLayerConductance,
    PairLayerDeepLift,
    PairLayerDeepLiftShap,
    PairLayerFeatureAblation,
    PairLayerFeaturePermutation,
    PairLayerGradientShap,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
    PairLayerLRP,
    compare,
)
from xsiamese.data.planted import planted
from xsiamese.zoo import find_card, shipped

model, last = shipped("planted-patches").model, find_card("planted-patches").layer
pairs = planted("patches", count=4, seed=4)
first = pairs[:1].inputs

# %%
# **Through the layers**, by gradient times activation: the outputs of the three
# convolutions. In the first, both textures are outlined; in the last, only what the two
# pictures share is left.

early, middle = "encoder.0", "encoder.4"
through = [
    PairLayerGradientXActivation(model, layer).explain(first)
    for layer in (early, middle, last)
]
figure = compare(through)

# %%
# **One layer, all methods.** Their channels are summed. The activations themselves
# (PairLayerActivation) say where the network sees anything, not why the score is high.

number = torch.arange(8) // 2  # the layer is 8 x 8: cells of 2 x 2, all channels
cells = {"layer_mask": (number[:, None] * 4 + number)[None, None]}
others = planted("patches", count=4, seed=5)
samples = {"baselines": (others.a, others.b)}
methods = {
    PairLayerActivation: {},
    PairLayerGradientXActivation: {},
    PairLayerIntegratedGradients: {"n_steps": 8},
    PairLayerConductance: {"n_steps": 8},
    PairInternalInfluence: {"n_steps": 8},
    PairLayerDeepLift: {},
    PairLayerDeepLiftShap: samples,
    PairLayerGradientShap: samples,
    PairLayerLRP: {},
    PairLayerFeatureAblation: cells,
    PairLayerFeaturePermutation: cells,
}
found = []
for method, options in methods.items():
    inputs = pairs.inputs if method.across_pairs else first
    found.append(method(model, last).explain(inputs, **options)[0])
figure = compare(found, columns=2)
