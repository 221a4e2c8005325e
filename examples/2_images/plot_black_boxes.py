"""
A score that only answers
=========================

Nothing is known of this similarity but its answers: it is no network, has no gradient
and no layer; covering parts of the two pictures explains it all the same.

The score is the largest correlation of any place of one picture with any place of the
other, in numpy, as a classical template matcher computes it.
"""

import numpy as np
import torch

from xsiamese import (
    MaskRun,
    PairCorrRISE,
    PairDistanceExplainer,
    PairFeatureAblation,
    PairFeaturePermutation,
    PairKernelShap,
    PairLime,
    PairOcclusion,
    PairRELAX,
    PairRISE,
    PairSBSM,
    PairShapleyValues,
    PairShapleyValueSampling,
    PairXFace,
    SiameseModel,
    compare,
)
from xsiamese.data.planted import planted
from xsiamese.metrics.truth import auroc, top_share


class Patches(torch.nn.Module):
    """Every 8 x 8 place of a picture, as one row of numbers."""

    def forward(self, images):
        places = np.lib.stride_tricks.sliding_window_view(
            images.detach().numpy()[:, 0], (8, 8), (1, 2)
        )
        rows = places.reshape(len(images), -1, 64)
        rows = rows - rows.mean(2, keepdims=True)
        size = np.linalg.norm(rows, axis=2, keepdims=True)
        return torch.from_numpy(rows / np.maximum(size, 1.0)).flatten(1)


class BestMatch(torch.nn.Module):
    """The largest correlation of a place of a with a place of b."""

    higher_is_closer = True

    def forward(self, z_a, z_b):
        a, b = (z.unflatten(1, (-1, 64)) for z in (z_a, z_b))
        return (a @ b.mT).flatten(1).amax(1)


model = SiameseModel(Patches(), BestMatch())
pairs = planted("patches", count=4, seed=4)
print("scores", *(f"{score:.2f}" for score in model(*pairs.inputs)))

# %%
# **A grid of cells** takes the place of pixels where each unit costs a pass: 64 of 4 x
# 4 pixels. Exact Shapley values would need 2 to the power of 64 passes, so they are
# given the four quarters of a picture.


def cells(across):
    number = torch.arange(32) * across // 32
    return (number[:, None] * across + number)[None, None]


fine = {"feature_mask": (cells(8), cells(8))}
coarse = {"feature_mask": (cells(2), cells(2))}
# six methods read one run of masks in ways of their own: the score is asked once
run = {"sample": MaskRun(model).sample(pairs[:1].inputs, masks=300), "masks": 300}
methods = {
    PairOcclusion: {"sliding_window_shapes": (1, 8, 8), "strides": (1, 4, 4)},
    PairFeatureAblation: fine,
    PairFeaturePermutation: fine,
    PairShapleyValues: coarse,
    PairShapleyValueSampling: fine | {"n_samples": 2},
    PairLime: fine | {"n_samples": 150},
    PairKernelShap: fine | {"n_samples": 150},
    PairRISE: run,
    PairRELAX: run,
    PairSBSM: run,
    PairXFace: run,
    PairCorrRISE: run,
    PairDistanceExplainer: run,
}
found = []
for method, options in methods.items():
    several = method.across_pairs  # it takes values from the other pairs of the batch
    inputs = pairs.inputs if several else pairs[:1].inputs
    found.append(method(model).explain(inputs, **options)[0])
figure = compare(found, columns=2)

# %%
# **Which find the shared texture?** Of the first pair: how often a place of it has a
# higher value than another place (AUROC, chance 0.5), whether the strongest place is on
# it, and what share of all values lies there, without regard to sign (6 % of the area).

for explanation in found:
    rows = []
    for values, truth in zip(explanation.maps, pairs[:1].truth, strict=True):
        flat, there = values.flatten(), (truth > 0).flatten().long()
        share = flat.abs()[there > 0].sum() / flat.abs().sum()
        rows.append([auroc(flat, there), top_share(flat, there, 1), share])
    area, peak, share = (float(sum(column)) / 2 for column in zip(*rows, strict=True))
    found_it = f"AUROC {area:.2f}  peak {peak:4.0%}  share {share:4.0%}"
    print(f"{explanation.method:26} {found_it}")

# %%
# **Why they differ.** The score is a maximum: without any of its parts the shared
# texture no longer counts. One part gone at a time shows that best. Masks that take
# several parts at once see it where the rest is whole, and need many of them: of a
# hundred that keep half, nearly none leaves a texture of nine cells as it is.
# SBSM and xFace say what the score loses *on average* without a part: every mask takes
# something, so that their maps have an offset everywhere, and only differences count. A
# quarter of the picture, all that exact Shapley values could be given here, is four
# times the texture. Kernel SHAP's 150 samples of 128 cells are too few for this score.
