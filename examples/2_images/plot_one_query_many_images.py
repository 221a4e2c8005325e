"""
One query against many
======================

A search says *which* images are close, and a gallery also says *why*, for every hit.

It encodes each item once, and explains without asking the encoder again: here one
sneaker against the other 39 images that are shipped.
"""

import torch

from xsiamese import Gallery, PairGradCAM
from xsiamese.data import fashion_pair
from xsiamese.data.samples import CLASSES
from xsiamese.zoo import find_card, shipped

model, preprocessing = shipped("fashion").model, find_card("fashion").preprocessing
items = torch.cat(
    [fashion_pair(name, name, number)[0] for name in CLASSES for number in range(4)]
)
names = [f"{name} {number}" for name in CLASSES for number in range(4)]
gallery = Gallery(PairGradCAM(model, detach_norms=True), items, ids=names)
print(gallery)

# %%
# **The closest and the farthest of 39.** The scores are those of the embeddings, which
# are there.

hits = gallery.search([names.index("sneaker 0")], k=39)
found = list(zip(hits.ids[0], hits.scores[0], strict=True))
for name, score in (*found[:4], *found[-3:]):
    print(f"{name:14} {score:6.3f}")

# %%
# **Why.** The query on the left, a hit on the right: what pulls a pair together is
# blue, what pushes it apart red, on one scale for all. The dark slope over the toes of
# a shoe is what the query has in common with a sneaker and an ankle boot, and what
# keeps it from a shirt and a coat. The norms of the cosine are constants here, so that
# a map sums to what its image gives to the score.

shown = hits.explain()[[0, 2, 37, 38]]
figure = shown.plot(preprocessing=preprocessing, norm="global")
