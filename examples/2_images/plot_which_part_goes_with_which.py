"""
Which part goes with which
==========================

Two maps of one pair can contradict each other, because a comparison is a question about
*pairs* of parts; a pair matrix answers it, and its lines join what goes together.
"""

from xsiamese import (
    Lift,
    PairActivationDecomposition,
    PairBiLRP,
    PairGradCAM,
    PairInteraction,
    PairLayerInteraction,
    PairMaskRegression,
)
from xsiamese.data import fashion_pair
from xsiamese.data.planted import planted
from xsiamese.zoo import find_card, shipped

model, preprocessing = shipped("fashion").model, find_card("fashion").preprocessing
explainer = PairMaskRegression(model)

# %%
# **Two sneakers**, from masks alone. The upper line of the shoe goes with the upper
# line of the other. Lines join cells that go together, as thick as their share of what
# two images alike in everything would give together.

pair = fashion_pair("sneaker", "sneaker", number=2)
alike = explainer.explain(pair, ids=[("a sneaker", "another sneaker")])
figure = alike.plot(preprocessing=preprocessing)

# %%
# **A sneaker and a bag.** Little goes with anything: colours have the same scale as
# above, and stay pale.

pair = fashion_pair("sneaker", "bag", number=2)
different = explainer.explain(pair, ids=[("a sneaker", "a bag")])
figure = different.plot(preprocessing=preprocessing)

# %%
# **Numbers.** Each cell of the matrix has a standard error; both marginals sum to the
# same number.

for found in (alike, different):
    best = found.matrix.top(1, largest="closer")[0]
    print(
        f"{found.named(0)}: {best.of_a} with {best.of_b}, "
        f"{best.value:.3f} ± {1.96 * best.error:.3f}"
    )
    sums = [round(float(values.sum()), 4) for values in found.matrix.marginals]
    print("   sums of both maps:", *sums)

# %%
# **Other ways to the matrix**, on two pictures that share one of two textures, so that
# it is known which cells go together: how often is the strongest match of a pair right
# on both sides? Gradients and relevances give a value to any two cells or pixels; the
# decomposition of the last convolution is exact where only pooling and linear layers
# follow; and ``Lift`` makes a matrix of any method with one map a side.

textures = shipped("planted-patches").model
layer = find_card("planted-patches").layer
pairs = planted("patches", count=8, seed=4)
ways = {
    "PairMaskRegression": PairMaskRegression(textures),
    "PairActivationDecomposition": PairActivationDecomposition(textures, layer),
    "PairLayerInteraction": PairLayerInteraction(textures, layer),
    "PairInteraction": PairInteraction(textures),
    "PairBiLRP": PairBiLRP(textures),
    "Lift of PairGradCAM": Lift(PairGradCAM(textures, layer)),
}


def within(truth, place, grid):
    """Whether the middle of a cell lies on the shared texture."""
    down, across = (int((k + 0.5) * 32 / n) for k, n in zip(place, grid, strict=True))
    return bool(truth[down, across] > 0)


for name, way in ways.items():
    right = 0
    for k in range(len(pairs)):
        matrix = way.explain(pairs[k : k + 1].inputs).matrix
        if max(matrix.shape) > 64:  # pixels
            matrix = matrix.pool((8, 8), (8, 8))
        best = matrix.top(1, largest="closer")[0]
        ends = zip(pairs.truth, (best.of_a, best.of_b), matrix.grids, strict=True)
        right += all(
            within(truth[k], place[-2:], grid[-2:]) for truth, place, grid in ends
        )
    print(f"{name:28} {right} of {len(pairs)} right")
