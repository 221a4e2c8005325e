"""
What would have to be different?
================================

Which regions of one digit, replaced by regions of another, would make a model call the
two alike, and what would have to go for two alike ones to be told apart?

Every answer is checked on the model itself.

The digits are the 8 x 8 images that come with scikit-learn; the model is trained
here, in a few seconds.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from xsiamese import PairRegionSwap, SiameseModel, calibrate
from xsiamese_counterfactual import PairMinimalMask

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
x = nn.functional.interpolate(x, (16, 16), mode="bilinear")
y = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1300, None)  # and 100 to find the threshold

encoder = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(48, 16),
)
model = SiameseModel(encoder, "euclidean")
layer = "4"  # 8 x 8 cells

# %%
# Contrastive training: the same digit close to each other, different digits at least 2
# apart.

optimiser = torch.optim.Adam(model.parameters(), 5e-3)
for _ in range(400):
    chosen = torch.randint(0, 1200, (64,))
    z = model.encode(x[chosen])
    distance = (z[:, None] - z[None]).square().sum(2).clamp_min(1e-12).sqrt()
    same = y[chosen][:, None] == y[chosen][None]
    loss = (
        distance[same].square().mean()
        + (2 - distance[~same]).clamp_min(0).square().mean()
    )
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
model.eval()

# %%
# **A decision needs a threshold.** It is found on pairs that were not trained on, and
# kept in ``model.comparison.threshold_``.

first, second = torch.combinations(torch.arange(1200, 1300)).T
print(calibrate(model, x[first], x[second], y[first] == y[second]))

# %%
# **Different, and what would make them alike.** An edit copies one cell of one image
# over a cell of the other; a cell may come from anywhere. The fewest that flip the
# decision are looked for in both directions. Cells are those of the last grid of the
# network: the picture shows the pixels under each cell, while the model was given the
# swapped activations.

images, labels = x[test], y[test]


def digit(number: int, nth: int = 0):
    return images[(labels == number).nonzero().flatten()[nth]][None]


swap = PairRegionSwap(model, layer)
found = swap.find(
    (digit(3), digit(9)), ids=[("a three", "a nine")], reference=x[train]
)[0]
print(found)
figure = found.plot()

# %%
# **Alike, and what would make them different.** Cells of an alike partner can do that
# too, by doubling what should be there once, but a *distractor* is the clearer
# question: which parts of a seven must come into a one for it to be no one any more? A
# distractor that the model calls alike itself would be refused.

a, b = digit(1), digit(1, 4)
sevens = images[labels == 7]
other = sevens[~model.comparison.is_close(model(sevens, b.expand_as(sevens)))][:1]
found = swap.find(
    (a, b), ids=[("a one", "another one")], distractor=other, wrt="first"
)[0]
print(found)
figure = found.plot()

# %%
# **Removal instead of exchange.** The smallest smooth mask: what is under it is blurred
# away, or replaced by the partner's pixels. The mask that is reported is a hard one,
# and the score is that of the image it leaves.

mask = PairMinimalMask(model).find(
    (digit(0), digit(0, 3)), ids=[("a zero", "another zero")]
)[0]
print(mask)
figure = mask.plot()

# %%
# **How often, and how many.** Over 60 pairs of the test digits:

one, two = torch.randint(0, len(images), (2, 60))
results = swap.find((images[one], images[two]))
counts = [result.count for result in results]
print(
    f"{sum(result.flipped for result in results)} of 60 flipped, "
    f"with {sum(counts) / 60:.1f} cells of 64 on average"
)

# %%
# A pair that nothing allowed can flip is no error: the result says so, with the best
# score that was reached.

print(swap.find((digit(3), digit(4)), limit=1)[0])
