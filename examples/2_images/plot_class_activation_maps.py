"""
Ten class activation maps of one pair
=====================================

All of the family ask one layer where two images are alike, and weigh its channels in
ten ways that do not agree.

Two pictures hold two textures each, of which they share one; the network that comes
with the library was trained to find that. So it is known where a map should be blue.
"""

import torch

from xsiamese import (
    PairAblationCAM,
    PairEigenCAM,
    PairGradCAM,
    PairGradCAMPlusPlus,
    PairGuidedGradCam,
    PairHiResCAM,
    PairLayerCAM,
    PairLayerGradCam,
    PairScoreCAM,
    PairXGradCAM,
    compare,
)
from xsiamese.data.planted import planted
from xsiamese.zoo import find_card, shipped

model, layer = shipped("planted-patches").model, find_card("planted-patches").layer
pairs = planted("patches", count=8, seed=4)
first = pairs[:1]
with torch.no_grad():
    print(f"cosine {model(*first.inputs).item():.2f}: each shares one of two textures")

# %%
# **One layer, ten ways.** Blue pulls the two together and red pushes them apart; green
# has no direction, for PairEigenCAM never looks at the score. The shared texture is the
# right one of a, and the lower one of b. Several maps of a do not find it.

methods = [
    PairGradCAM,
    PairLayerGradCam,
    PairHiResCAM,
    PairXGradCAM,
    PairGradCAMPlusPlus,
    PairLayerCAM,
    PairAblationCAM,
    PairScoreCAM,
    PairEigenCAM,
    PairGuidedGradCam,
]
found = [method(model, layer).explain(first.inputs) for method in methods]
figure = compare(found, columns=2)

# %%
# **Which are right?** The share of the positive part of both maps that lies on the
# shared texture, over eight pairs. The texture covers a sixteenth of a picture. What
# was found on many more pairs and networks is on each method's page
# (:doc:`/explanation/scoreboard`).


def on_the_truth(explanation):
    shares = []
    for grown, truth in zip(explanation.upsample().maps, pairs.truth, strict=True):
        closer = grown.sum(1).clamp_min(0)
        total = closer.sum((1, 2)).clamp_min(1e-12)
        shares.append((closer * (truth > 0)).sum((1, 2)) / total)
    return torch.stack(shares).mean().item()


for method in methods:
    explanation = method(model, layer).explain(pairs.inputs)
    print(f"{method.__name__:20} {on_the_truth(explanation):.0%}")
