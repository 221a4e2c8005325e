"""
A job of many pairs
===================

Every pair of 40 images, explained into a folder that another program can read; the
job is stopped in its middle and goes on.
"""

# %%
# A job over pairs of numbers: rows of a tensor. It does the first of two parts, as one
# of two machines would.

import tempfile

import pyarrow.compute as pc
import torch
from matplotlib.figure import Figure

from xsiamese import PairGradCAM, explain_pairs
from xsiamese.data import fashion_samples
from xsiamese.data.samples import CLASSES
from xsiamese.zoo import open_model

opened = open_model("fashion")
samples = fashion_samples()
items = opened.preprocessing.normalise(samples.images)
pairs = torch.combinations(torch.arange(len(items)))
folder = tempfile.mkdtemp() + "/out"
explainer = PairGradCAM(opened.model, opened.layer)
job = {"items": items, "unit": 128, "show_progress": False}
print(explain_pairs(pairs, folder, explainer, shard="1/2", **job))

# %%
# The other part, as the other machine would do it. What is there is not done again.

found = explain_pairs(pairs, folder, explainer, shard="2/2", **job)
print(found)

# %%
# Scores and decisions of all pairs are columns of a table, here against what the images
# really show.

rows = found.table(["a", "b", "score", "alike"]).to_pydict()
first, second = (
    samples.labels[[int(number) for number in rows[side]]] for side in "ab"
)
same, scores = first == second, torch.tensor(rows["score"])
figure = Figure(figsize=(7, 3), layout="constrained")
axes = figure.subplots()
for name, chosen in (("different class", ~same), ("same class", same)):
    axes.hist(
        scores[chosen], bins=40, alpha=0.6, label=f"{name}, {int(chosen.sum())} pairs"
    )
axes.set(xlabel="cosine", ylabel="pairs")
axes.legend(frameon=False)

# %%
# Only what is asked for is read: how many pairs are wrongly alike, and the one of them
# with the highest score.

print(
    len(found.filter(pc.field("alike"))),
    "alike, of which",
    int(same[torch.tensor(rows["alike"])].sum()),
    "are same",
)
worst = int(scores.masked_fill(same, -1).argmax())
print(*(CLASSES[samples.labels[int(rows[side][worst])]] for side in "ab"))
hardest = found[worst]
figure = hardest.plot(preprocessing=opened.preprocessing)
