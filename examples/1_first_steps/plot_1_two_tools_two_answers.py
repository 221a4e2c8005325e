"""
Two tools, two answers
======================

On one model and one pair, captum's Grad-CAM is the map of b, pytorch-grad-cam's is the
map of a, neither warns, and xsiamese gives both.

A Siamese model calls one encoder twice. captum keeps the activations of the last call,
and pytorch-grad-cam those of the first.

The model and the images are those that come with the library.
"""

import torch
from captum.attr import LayerGradCam
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional

from xsiamese import PairGradCAM
from xsiamese.data import fashion_pair
from xsiamese.zoo import find_card, shipped

a, b = fashion_pair("sneaker", "ankle boot")
encoder = shipped("fashion").model.encoder


# %%
# The model as most people write it: one encoder, called for a and then for b.


class Siamese(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, a, b):
        return functional.cosine_similarity(self.encoder(a), self.encoder(b))


model = Siamese(encoder).eval()
layer = encoder[7]  # the last grid, 64 x 7 x 7
print(f"cosine similarity {model(a, b).item():.3f}")

# %%
# **What the maps should be.** A twin with two separate encoders of equal weights
# computes the same score and shares no module, so a tool that stores things per module
# cannot mix up its calls. It settles which map belongs to which input.

from copy import deepcopy


class Twin(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.first, self.second = deepcopy(encoder), deepcopy(encoder)

    def forward(self, a, b):
        return functional.cosine_similarity(self.first(a), self.second(b))


twin = Twin(encoder).eval()
true_a = LayerGradCam(twin, twin.first[7]).attribute((a, b)).detach()
true_b = LayerGradCam(twin, twin.second[7]).attribute((a, b)).detach()


def difference(found, truth):
    """Relative distance of two maps: 0 for equal ones."""
    return ((found - truth).norm() / truth.norm()).item()


# %%
# **captum** takes two inputs, and returns one map for the shared layer.

of_captum = LayerGradCam(model, layer).attribute((a, b)).detach()
print(
    f"captum:  {difference(of_captum, true_a):.2g} from the map of a, "
    f"{difference(of_captum, true_b):.2g} from the map of b"
)

# %%
# **pytorch-grad-cam** takes one tensor, so that people stack the pair as channels. It
# also cuts what is negative and stretches the rest to 0..1; to compare, its map on the
# twin is treated in the same way.

try:
    from pytorch_grad_cam import GradCAM
except ImportError:
    of_gradcam = None
    print(
        "pytorch-grad-cam is not installed, so its column stays empty: "
        'pip install "grad-cam>=1.5.5"'
    )
else:

    class OneInput(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, stacked):
            return self.model(*stacked.chunk(2, dim=1))

    def gradcam(model, layer):
        found = GradCAM(OneInput(model), [layer])(
            torch.cat([a, b], 1), targets=[lambda score: score]
        )
        return torch.from_numpy(found)[:, None]

    of_gradcam = gradcam(model, layer)
    to_a, to_b = (
        difference(of_gradcam, gradcam(twin, side[7]))
        for side in (twin.first, twin.second)
    )
    print(
        f"pytorch-grad-cam:  {to_a:.2g} from the map of a, {to_b:.2g} from the map of b"
    )

# %%
# **xsiamese** takes the same model and gives a map for each input, from one backward
# pass.

map_a, map_b = PairGradCAM(model, layer).attribute((a, b))
print(
    f"xsiamese:  {difference(map_a, true_a):.2g} from the map of a, "
    f"{difference(map_b, true_b):.2g} from the map of b"
)

# %%
# Side by side. Whoever asks captum or pytorch-grad-cam about this layer gets one map
# and lays it over either image. Blue pulls the two together and red pushes them apart;
# pytorch-grad-cam's map has no sign. The crossed-out pictures are of the other image.

images = [find_card("fashion").preprocessing.undo(side)[0, 0] for side in (a, b)]


def draw(axis, image, found, title, *, wrong, limit=None):
    axis.imshow(0.5 + 0.5 * image, cmap="gray", vmin=0, vmax=1)
    if found is not None:
        grown = functional.interpolate(found, image.shape, mode="bilinear")[0, 0]
        limit = limit or grown.abs().max()
        axis.imshow(
            grown,
            cmap="RdBu",
            vmin=-limit,
            vmax=limit,
            alpha=0.9 * (grown.abs() / limit).sqrt().numpy(),
        )
    if wrong and found is not None:
        axis.plot(
            [0, 1],
            [0, 1],
            [0, 1],
            [1, 0],
            color="black",
            linewidth=1.2,
            transform=axis.transAxes,
        )
    axis.set_title(title, fontsize=9)


scale = max(map_a.abs().max(), map_b.abs().max())  # both maps of xsiamese have one unit
figure = Figure(figsize=(9, 5), layout="constrained")
axes = figure.subplots(2, 4)
for row, (name, image, ours) in enumerate(
    zip("ab", images, (map_a, map_b), strict=True)
):
    axes[row, 0].imshow(image, cmap="gray")
    axes[row, 0].set_title(f"image {name}", fontsize=9)
    draw(axes[row, 1], image, of_captum, "captum: the map of b", wrong=name == "a")
    absent = of_gradcam is None
    draw(
        axes[row, 2],
        image,
        of_gradcam,
        "grad-cam is not installed" if absent else "pytorch-grad-cam: the map of a",
        wrong=name == "b",
    )
    draw(
        axes[row, 3],
        image,
        ours,
        f"xsiamese: the map of {name}",
        wrong=False,
        limit=scale,
    )
for axis in axes.flat:
    axis.set_xticks([])
    axis.set_yticks([])
figure.suptitle("One model, one pair, one layer")
