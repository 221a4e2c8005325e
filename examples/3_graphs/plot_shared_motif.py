"""
The part that two graphs share
==============================

Two graphs hang two motifs on a random tree each and have one motif in common; it is
known which nodes an explanation should find.

A graph network that comes with the library was trained to tell how many motifs two
graphs share.
"""

import torch
from sklearn.metrics import roc_auc_score

from xsiamese import (
    PairGNNExplainer,
    PairGradCAM,
    PairGraphOcclusion,
    PairIntegratedGradients,
    PairLeaveOneOut,
    PairMaskRegression,
)
from xsiamese.data.planted import planted
from xsiamese.zoo import find_card, shipped

model, layer = shipped("planted-motifs").model, find_card("planted-motifs").layer
pairs = planted("motifs", count=12, seed=2)

# %%
# **One pair.** Every node is taken away in turn; what the score loses is the node's
# value. Blue nodes make the two alike: those of the house, which both graphs hold.

removed = PairGraphOcclusion(model)
found = removed.explain(pairs[:1].inputs, ids=[("a graph", "another graph")])
figure = found.plot()

# %%
# **A small part that is enough** is what the GNNExplainer looks for, by learning a mask
# of nodes and edges: relevances, which have no direction.

mask = PairGNNExplainer(model)
figure = mask.explain(pairs[:1].inputs, ids=[("a graph", "another graph")]).plot()

# %%
# **Which methods find the motif?** The area under the ROC curve that ranks its nodes
# before all others, over 12 pairs; 0.5 is a guess.

methods = {
    "PairGraphOcclusion": removed,
    "PairLeaveOneOut": PairLeaveOneOut(model),
    "PairGNNExplainer": mask,
    "PairGradCAM": PairGradCAM(model, layer),
    "PairIntegratedGradients": PairIntegratedGradients(model),
    "PairMaskRegression": PairMaskRegression(model),
}
truth = torch.cat(pairs.truth)
for name, method in methods.items():
    torch.manual_seed(0)
    maps = method.explain(pairs.inputs).maps
    values = torch.cat(
        [side.node_mask.reshape(len(side.node_mask), -1) for side in maps]
    )
    print(f"{name:24} {roc_auc_score(truth, values.sum(1).detach()):.2f}")

# %%
# The GNNExplainer's number is hardly better than a guess. It looks for *a* part that
# keeps the score, whichever that is, and a relevance does not say which way it pulls:
# what it shows above is enough for the model, and is not the shared motif. Ask a method
# with a sign which nodes make two graphs alike.
