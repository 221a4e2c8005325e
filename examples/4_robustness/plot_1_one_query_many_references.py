"""
One mixture, many references
============================

The explanation of *the same* concrete mixture changes with every mixture that it is
compared to: how much of that is the network, and how much the method?

The table is made here by published formulas, so that it is known what counts: Abrams'
law (1918) for the strength after 28 days, ACI 209 for its growth with age, and the
share of fly ash and slag that works like cement (EN 206). Aggregates and
superplasticizer do nothing, by construction.
"""

import csv
import tempfile
from pathlib import Path

import torch

names = ["cement", "slag", "fly ash", "water", "superplasticizer", "coarse", "fine"]
low = torch.tensor([150.0, 0, 0, 140, 0, 850, 650])  # kg in a cubic metre
high = torch.tensor([500.0, 200, 150, 220, 12, 1100, 900])
generator = torch.Generator().manual_seed(0)
mixtures = low + (high - low) * torch.rand(1000, 7, generator=generator)
days = torch.tensor([3.0, 7, 14, 28, 56, 90, 180])
age = days[torch.randint(7, (1000,), generator=generator)]

binder = mixtures[:, 0] + 0.6 * mixtures[:, 1] + 0.4 * mixtures[:, 2]
by_volume = 1.505 * mixtures[:, 3] / binder  # of water to loose cement
strength = 96.5 / 7**by_volume * age / (4 + 0.85 * age)  # MPa
names.append("age")
table = torch.cat([mixtures, age[:, None], strength[:, None]], 1)

# %%
# **A network.** Two mixtures are alike if their strengths are among the closest fifth
# of all pairs. This is ``xsiamese train siamese-mlp concrete.csv --target strength
# --close 0.2`` in Python.

from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings

folder = Path(tempfile.mkdtemp())
with open(folder / "concrete.csv", "w", newline="") as file:
    csv.writer(file).writerows([[*names, "strength"], *table.tolist()])
settings = Settings(
    "siamese-mlp",
    str(folder / "concrete.csv"),
    output=folder,
    epochs=25,
    device="cpu",
    progress=False,
    reading={"target": "strength", "close": 0.2},
    arguments={"dimensions": 8},
)
trained = train(settings)
print(
    f"test ROC-AUC {trained.metrics['roc_auc']:.3f}; "
    f"alike means within {trained.metrics['close_within']:.1f} MPa"
)

# %%
# **The instability.** One mixture and 24 references that the network has not seen. The
# gradient's directions agree little. On this
# network that is no accident of the method: the covariance of the gradients over the
# references is exactly :math:`4 J^\top \mathrm{Cov}(\phi_r) J`, the spread of the
# references' embeddings seen through the query's Jacobian.

from xsiamese import reference_instability

rows = loaded(settings)
model, test, pool = trained.model, rows.test.rows, rows.train.rows[:256]
query, references = test[:1], test[1:25]
print(reference_instability(model, query, references).summary())

# %%
# **What counts whatever the reference is**: learned from unlabelled pairs of the query
# with training rows, by keeping the network's own scores with as few columns as
# possible. The three columns that do nothing in the formulas are found to do nothing.
# The mean absolute gradient over the same rows (dots) puts the columns in the same
# order, at less cost.

from xsiamese import InvarianceLearner, PairSaliency
from xsiamese.plot import invariance_table, stability

invariance = InvarianceLearner(model).fit(query, pool)
gradient = (
    PairSaliency(model)
    .attribute((query.expand_as(pool), pool), wrt="first")[0]
    .abs()
    .mean(0)
)
shown = [f"{value:+.1f} sd" for value in query[0].tolist()]
bars = invariance_table(
    invariance.mask[0],
    names,
    shown,
    {"mean |gradient|": gradient},
    "One mixture: what counts whatever it is compared with",
)

# %%
# **Before and after.** Each line is a reference, each column a feature, dots mark the
# four strongest. Gradient times difference is the usual answer to "why are these two
# (not) alike"; a mask optimised for each pair alone is free to choose among masks that
# do equally well; the last one must stay within 0.05 nats of the invariance.

from xsiamese import RobustPairExplainer

pairs = (query.expand_as(references), references)
grad_q, grad_r = PairSaliency(model).attribute(pairs)
difference = (grad_q * (pairs[0] - pairs[1])).abs() + (
    grad_r * (pairs[1] - pairs[0])
).abs()
free, _ = RobustPairExplainer(model, coupling="none").attribute(
    pairs, pool=pool, masks="shared"
)
(held, _), trace = RobustPairExplainer(model, coupling="ball").attribute(
    pairs, invariance=invariance, masks="shared", return_convergence=True
)
panels = stability(
    {
        "gradient x difference": difference,
        "mask of its own": free,
        "held to the invariance": held,
    },
    names,
)
print(trace)

# %%
# **Is it worth it?** A stable answer is easily had: give the same one every time. So
# stability is only worth something beside faithfulness: keep the four strongest
# features of each method, replace the others by those of other mixtures, and see how
# far the score moves. Here the invariance, masks that are held to it and the plain mean
# gradient find the same four columns for every reference, and keep the score best:
# where one list is right for all references, the cheap mean is enough.

from xsiamese_invariance.metrics import (
    masked_divergence,
    mixed_draws,
    top_overlap,
    top_units,
)

draws = mixed_draws(pool, 64, seed=1)
found = {
    "gradient x difference": difference,
    "mean |gradient|": gradient.expand_as(held),
    "invariance copied": invariance.mask.expand_as(held),
}
for name, relevance in {
    **found,
    "mask of its own": free,
    "held to the invariance": held,
}.items():
    kept = top_units(relevance, 4).float()
    with torch.no_grad():
        lost = masked_divergence(model, *pairs, (kept, kept), draws).mean()
    print(
        f"{name:24} overlap of the top 4: {top_overlap(relevance, 4):.2f}   "
        f"score lost with only these kept: {lost:.3f} nats"
    )
