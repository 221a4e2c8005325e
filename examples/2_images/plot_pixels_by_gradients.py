"""
Pixel by pixel, backwards through the network
=============================================

Gradients, relevances and contributions send the score back to the pixels; some of them
find the texture that two pictures share, and some only find edges.

The pictures hold two textures each, of which they share one, and the network that comes
with the library was trained to find that.
"""

import torch

from xsiamese import (
    PairDeconvolution,
    PairDeepLift,
    PairDeepLiftShap,
    PairGradientShap,
    PairGuidedBackprop,
    PairInputXGradient,
    PairIntegratedGradients,
    PairLRP,
    PairNoiseTunnel,
    PairSaliency,
    compare,
)
from xsiamese.data import fashion_pair
from xsiamese.data.planted import planted
from xsiamese.zoo import shipped

model = shipped("planted-patches").model
pairs = planted("patches", count=8, seed=4)
others = planted("patches", count=6, seed=5)
samples = {"baselines": (others.a, others.b)}  # real pictures to start from

methods = {
    PairSaliency(model): {},
    PairNoiseTunnel(PairSaliency(model)): {"nt_samples": 8, "stdevs": 0.1},
    PairInputXGradient(model): {},
    PairIntegratedGradients(model): {"n_steps": 16},
    PairDeepLift(model): {},
    PairDeepLiftShap(model): samples,
    PairGradientShap(model): samples,
    PairLRP(model): {},
    PairGuidedBackprop(model): {},
    PairDeconvolution(model): {},
}

# %%
# **One pair.** Blue pulls together, red pushes apart; green has no direction. Each
# method has a unit of its own.

first = pairs[:1].inputs
found = [one.explain(first, **options) for one, options in methods.items()]
figure = compare(found, columns=2)

# %%
# **Which are right?** The share of what both maps hold, without regard to sign, that
# lies on the shared texture. It covers a sixteenth of a picture, and what both pictures
# hold beside it is no less contrasted, so a map of edges gets an eighth.


def on_the_truth(explanation):
    shares = []
    for values, truth in zip(explanation.maps, pairs.truth, strict=True):
        size = values.abs().sum(1)
        shares.append((size * (truth > 0)).sum((1, 2)) / size.sum((1, 2)))
    return torch.stack(shares).mean().item()


for one, options in methods.items():
    share = on_the_truth(one.explain(pairs.inputs, **options))
    print(f"{type(one).__name__:24} {share:.0%}")

# %%
# **Easier to read.** A map of single pixels is restless, though its sums over parts of
# the picture may be right. ``smooth=`` draws it under a Gaussian, ``superpixels=`` as
# the mean of each part of one colour; neither changes what the map sums to.

clothes = PairIntegratedGradients(shipped("fashion").model)
explanation = clothes.explain(fashion_pair("sneaker", "ankle boot"), n_steps=16)
plain = explanation.plot()
smooth = explanation.plot(smooth=1.5)
parts = explanation.plot(superpixels=40)
