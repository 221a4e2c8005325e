"""
For the decision and against it
===============================

Two maps for each image, one of what speaks for the verdict of a Siamese network and one
of what speaks against it.

Livieris et al. 2023 explain a model with a distance d by two Grad-CAM maps for each
image: a *factual* one of :math:`D = \\min(d, 1)` and a *counterfactual* one of
:math:`1 - D`. This example makes their figure (the second notebook of
Grad_CAM_Siamese) for clothes, shows what their published code gives in its place, and
ends with signed maps that refer to a decision.
"""

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

from xsiamese import PairCounterfactualMaps, SiameseModel, calibrate
from xsiamese.data import fashion_pair, fashion_samples
from xsiamese.zoo import find_card, shipped

preprocessing = find_card("fashion").preprocessing


class Unit(nn.Module):
    """Embeddings of length 1: distances are between 0 and 2."""

    def forward(self, z):
        return functional.normalize(z, dim=1)


encoder = nn.Sequential(*shipped("fashion").model.encoder, Unit()).eval()
model = SiameseModel(encoder, "clamped_euclidean")  # D = min(d, 1)
layer = "7"

# %%
# **The published figure.** Two sneakers, and a sneaker with an ankle boot. Each map is
# cut at zero and divided by its maximum, as in the paper. The maps of b are made from
# b's own activations *and b's own gradients*.

names = [("sneaker", "sneaker"), ("sneaker", "ankle boot")]
a, b = (
    torch.cat(side)
    for side in zip(
        fashion_pair(*names[0], number=2), fashion_pair(*names[1]), strict=True
    )
)
published = PairCounterfactualMaps(model, layer).explain(
    (a, b), form="livieris", ids=names
)
figure = published.plot(preprocessing=preprocessing)

# %%
# **What the original's code shows.** Its function has an argument that should choose
# the branch, and ignores it: the second image is given the *first* image's gradients.
# Redone by hand on the same pairs:

gradients, activations = [], []
for item in (a, b):
    activations.append(encoder[:8](item).detach().requires_grad_())
distance = functional.pairwise_distance(
    encoder[8:](activations[0]), encoder[8:](activations[1])
)
gradients = torch.autograd.grad(distance.sum(), activations)


def grad_cam(activation, gradient):
    return (
        (gradient.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).detach()
    )


right, wrong = (
    grad_cam(activations[1], gradients[1]),
    grad_cam(activations[1], gradients[0]),
)
for i, pair in enumerate(names):
    both = torch.stack([right[i].flatten(), wrong[i].flatten()])
    print(
        f"{' - '.join(pair):<22} correlation of the original's map of the second image "
        f"with the right one: {torch.corrcoef(both)[0, 1]:+.2f}"
    )

figure = Figure(figsize=(7.5, 5), layout="constrained")
for i, line in enumerate(figure.subplots(2, 3)):
    picture = preprocessing.undo(b[i])[0]
    line[0].imshow(picture, cmap="gray")
    for axis, heat in zip(line[1:], (right, wrong), strict=True):
        shown = functional.interpolate(
            heat[i : i + 1].relu(), (28, 28), mode="bilinear"
        )[0, 0]
        axis.imshow(0.5 + 0.5 * picture, cmap="gray", vmin=0, vmax=1)
        axis.imshow(
            shown,
            cmap="Greens",
            alpha=(shown / shown.max().clamp_min(1e-12)).sqrt() * 0.85,
        )
    for axis, title in zip(
        line,
        (names[i][1], "factual: own gradients", "the other image's gradients"),
        strict=True,
    ):
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()

# %%
# **Saturation.** A sneaker and a bag are further apart than 1. The clamped distance is
# constant there, its gradient is zero, and the published map is 0 divided by 0. Here
# the unclamped distance is explained, and a warning says so.

pair = fashion_pair("sneaker", "bag")
print(
    f"d = {model.comparison.explained(*(encoder(x) for x in pair)).item():.2f}, "
    f"D = {model(*pair).item():.2f}"
)
found = PairCounterfactualMaps(model, layer).explain(pair, form="livieris")
print(
    "largest value of the four maps:",
    [round(m.max().item(), 2) for m in (*found.factual, *found.counterfactual)],
)

# %%
# **For a decision.** Where D is the factual map whatever the verdict, a decision has
# two sides. With a threshold, here at the equal error rate of the shipped images,
# ``factual`` is what speaks for the verdict and ``counterfactual`` what speaks against
# it, signed and on one scale. Both add up to the whole Grad-CAM map, so that nothing is
# cut away.

samples = fashion_samples()
items = torch.stack([preprocessing.normalise(image) for image in samples.images])
first, second = torch.combinations(torch.arange(len(items))).T
print(
    calibrate(
        model,
        items[first],
        items[second],
        samples.labels[first] == samples.labels[second],
    )
)

decided = PairCounterfactualMaps(model, layer).explain((a, b), ids=names)
print("called alike:", decided.alike)
print(
    "parts less whole:",
    (decided.factual[0] + decided.counterfactual[0] - decided.maps[0])
    .abs()
    .max()
    .item(),
)
figure = decided.plot(preprocessing=preprocessing)
