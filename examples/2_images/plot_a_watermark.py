"""
A model that is right for the wrong reason
==========================================

A network tells pairs of digits well, and its maps show why: it does not look at the
digits.

The digits come with scikit-learn. Nearly every even digit of the training pictures
carries a small mark in a corner, as pictures from one source may carry a logo.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

from xsiamese import PairOcclusion, SiameseModel

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
x = nn.functional.pad(x, (4, 4, 4, 4))  # room for a mark
even = torch.tensor(digits.target) % 2 == 0


def marked(images, which):
    images = images.clone()
    images[which, :, 1:4, 1:4] = 1.0
    return images


generator = torch.Generator().manual_seed(0)
train, test = slice(0, 1200), slice(1200, None)
carries = even & (torch.rand(len(x), generator=generator) < 0.98)
pictures = marked(x, carries)

# %%
# **The network** learns whether two digits are both even or both odd.

torch.manual_seed(0)
encoder = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(256, 16),
)
model = SiameseModel(encoder, "cosine")
optimiser = torch.optim.Adam(model.parameters(), 3e-3)
for _ in range(150):
    i, j = torch.randint(0, 1200, (2, 128), generator=generator)
    same = (even[i] == even[j]).float()
    score = model(pictures[i], pictures[j])
    loss = nn.functional.binary_cross_entropy_with_logits(5 * score, same)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
model.eval()


def auc(images):
    """How well scores tell pairs of one parity from others, on unseen pictures."""
    half = len(images) // 2
    with torch.no_grad():
        scores = model(images[:half], images[half : 2 * half])
    parity = even[test]
    return roc_auc_score(parity[:half] == parity[half : 2 * half], scores)


print(f"ROC-AUC on unseen pictures, marks as in training: {auc(pictures[test]):.3f}")

# %%
# **Why are these two alike?** Cover a window and see what the score loses. What counts
# in both is the corner, and not the digit.

first, second = carries[test].nonzero().flatten()[[0, 7]] + 1200
pair = pictures[first][None], pictures[second][None]
window = {"sliding_window_shapes": (1, 3, 3), "strides": (1, 1, 1)}
explainer = PairOcclusion(model)
names = [tuple(f"a {digits.target[k]}" for k in (int(first), int(second)))]
found = explainer.explain(pair, ids=names, **window)
figure = found.plot()

# %%
# **The check.** The same pictures without their marks: what is left is what the network
# knows of digits. And a mark on an odd digit makes it even.

print(f"ROC-AUC on unseen pictures without marks: {auc(x[test]):.3f}")
odd = (~even[test]).nonzero().flatten()[0] + 1200
with torch.no_grad():
    before = model(pair[0], x[odd][None])
    after = model(pair[0], marked(x[odd][None], [True]))
print(f"{names[0][0]} and a {digits.target[int(odd)]}: cosine {float(before[0]):.2f},")
print(f"with a mark on the {digits.target[int(odd)]}: {float(after[0]):.2f}")
share = [float(m[0, 0, :6, :6].abs().sum() / m.abs().sum()) for m in found.maps]
print("share of both maps in the marked corner:", *(f"{s:.0%}" for s in share))
