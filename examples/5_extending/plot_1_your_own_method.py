"""
A method of your own
====================

Eight lines make a new explainer; pictures, files, tables and the check of what it
promises come with the class that it extends.
"""

import torch

from xsiamese import PairAttribution, PairInputXGradient, compare
from xsiamese.data import fashion_pair
from xsiamese.testing import check_explainer
from xsiamese.zoo import shipped

# %%
# **The method**: gradient times the difference of the two inputs, which is, to first
# order, what the score gains where a takes over a value of b. ``compute`` is given a
# batch of pairs and returns a map of each side; options would be its arguments.


class PairDifference(PairAttribution):
    """Gradient times the difference of the two inputs."""

    name = "difference"
    formula = r"(y - x) \odot \partial s / \partial x"
    reference = ("shrikumar2016",)

    def compute(self, batch):
        """The maps of one batch of pairs."""
        sides = zip(batch.moved, batch.partners, batch.gradients(), strict=True)
        return batch.maps([(other - x) * slope for x, other, slope in sides])


# %%
# **It is an explainer like any other.** Both are about the same shirt and pullover: the
# new one is blind where both pictures are equally dark, which is its point.

model, pair = shipped("fashion").model, fashion_pair("shirt", "pullover")
ids = [("a shirt", "a pullover")]
methods = PairDifference, PairInputXGradient
found = [method(model).explain(pair, ids=ids) for method in methods]
figure = compare(found)

# %%
# **Is it any good?** What it says can be tried: a step from a towards b along the fifty
# pixels that gain most, against fifty others.

gains = found[0].maps[0].flatten()
a, b = (side.flatten() for side in pair)
for name, chosen in {
    "the fifty that gain most": gains.topk(50).indices,
    "the fifty that lose most": (-gains).topk(50).indices,
}.items():
    moved = a.clone()
    moved[chosen] = torch.lerp(a[chosen], b[chosen], 0.2)
    with torch.no_grad():
        change = model(moved.view_as(pair[0]), pair[1]) - model(*pair)
    print(f"{name}: the cosine changes by {change.item():+.4f}")

# %%
# **The contract.** Some thirty checks, among them: pairs of a batch do not disturb each
# other, swapping the inputs swaps the maps, and the model is left as it was.

print(check_explainer(PairDifference))
