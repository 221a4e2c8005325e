"""
A comparison of your own
========================

Two colour histograms are compared by what they share, and once the comparison says
which way is closer, every explainer knows which parts of two photographs match.

The photographs are those that come with scikit-learn (CC BY 2.0, see
``sklearn.datasets.load_sample_images``).
"""

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import nn

from xsiamese import Comparison, PairOcclusion, SiameseModel
from xsiamese.zoo.cards import Preprocessing


class Overlap(Comparison):
    """Sum of the smaller of each two coordinates: how much two histograms share."""

    name = "overlap"
    higher_is_closer = True

    def forward(self, z_a, z_b):
        return z_a.minimum(z_b).sum(1)


class Colours(nn.Module):
    """A soft histogram of the colours of an image: 4 x 4 x 4 bins."""

    def forward(self, images):
        middle = (torch.arange(4) + 0.5) / 4
        near = torch.exp(-(((images[..., None] - middle) / 0.125) ** 2))
        near = near / near.sum(-1, keepdim=True)
        red, green, blue = near.unbind(1)
        counts = torch.einsum("bhwr,bhwg,bhwc->brgc", red, green, blue)
        return counts.flatten(1) / images[0, 0].numel()


model = SiameseModel(Colours(), Overlap())

# %%
# **Two photographs**: a palace under a blue sky, and a flower before dark leaves. Each
# is made smaller, and left with its own colours.

pixels = Preprocessing((64, 96), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
photographs = torch.from_numpy(np.stack(load_sample_images().images))
photographs = photographs.permute(0, 3, 1, 2)
small = nn.functional.interpolate(photographs.float(), (64, 96), mode="area")
palace, flower = pixels.normalise(small)[:, None]
halves = flower[..., :48], flower[..., 48:]
for name, pair in {"palace - flower": (palace, flower), "two halves": halves}.items():
    print(f"{name}: they share {model(*pair).item():.0%} of their colours")

# %%
# **Which places hold the shared colours?** A window over one picture turns its places
# black, and what the overlap loses is the window's value. The leaves around the flower
# are nearly black themselves: so covering the sky, which has no partner, brings the two
# *closer*, and the sky is red. The palace keeps what little the two share.

window = {"sliding_window_shapes": (3, 8, 8), "strides": (3, 4, 4)}
explainer = PairOcclusion(model)
found = explainer.explain((palace, flower), ids=[("palace", "flower")], **window)
figure = found.plot(preprocessing=pixels)

# %%
# **The two halves of the flower** share far more: petals with petals, leaves with
# leaves.

found = explainer.explain(halves, ids=[("left half", "right half")], **window)
figure = found.plot(preprocessing=pixels)
