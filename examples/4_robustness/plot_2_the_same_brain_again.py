"""
The same brain again
====================

A network says whether two scans are of one person, and it is known which connections
give a person away, whoever the person is compared with.

The structural connectomes are made here, so that nothing is downloaded: 40 regions in
four lobes, with connections that are strong within a lobe; 120 connections differ
between people, and in 30 of them each person is clearly stronger or weaker than usual;
a scan adds noise to all.
"""

import torch

PEOPLE, REGIONS, DIFFER, OWN = 208, 40, 120, 30
generator = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=generator)


lobe = torch.arange(REGIONS) // 5 % 4  # five regions of each of four lobes, a side
cells = torch.triu_indices(REGIONS, REGIONS, 1)
usual = 2.0 + 2.0 * (lobe[cells[0]] == lobe[cells[1]]) + 0.5 * normal(len(cells[0]))
differ = torch.randperm(len(usual), generator=generator)[:DIFFER]
truth = torch.zeros(PEOPLE, len(usual), dtype=torch.bool)
for person in range(PEOPLE):
    truth[person, differ[torch.randperm(DIFFER, generator=generator)[:OWN]]] = True
unusual = 1.5 * truth * normal(PEOPLE, len(usual)).sign()
streamlines = (usual + unusual)[:, None] + 0.5 * normal(PEOPLE, 2, len(usual))


def matrix(values):
    """Symmetric matrices of the values of all connections."""
    full = values.new_zeros(*values.shape[:-1], REGIONS, REGIONS)
    full[..., cells[0], cells[1]] = values
    return full + full.mT


scans = matrix((streamlines - usual) / 0.5).flatten(0, 1)  # both of each person
who = torch.arange(PEOPLE).repeat_interleave(2)
train = who < 200

# %%
# **The network**: two layers and the logit of the squared distance, trained on pairs
# with noise.

from torch import nn

from xsiamese import SiameseModel
from xsiamese.data import ClassIndex
from xsiamese.model.comparison import Learned
from xsiamese.zoo.tabular import DistanceLogit

torch.manual_seed(0)
encoder = nn.Sequential(
    nn.Flatten(), nn.Linear(REGIONS**2, 64), nn.SiLU(), nn.Linear(64, 32)
)
model = SiameseModel(encoder, Learned(DistanceLogit(), "absolute_difference"))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
known, index = scans[train], ClassIndex(who[train])
for _ in range(400):
    a, b, same = index.pairs(
        torch.randint(len(known), (64,), generator=generator), generator
    )
    noise = 0.5 * normal(2, 64, REGIONS, REGIONS)
    loss = nn.functional.binary_cross_entropy_with_logits(
        model(known[a] + noise[0], known[b] + noise[1]), same.float()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()

from sklearn.metrics import roc_auc_score

test = scans[~train]
i, j = torch.triu_indices(len(test), len(test), 1)
with torch.no_grad():
    scores = model(test[i], test[j])
area = roc_auc_score(who[~train][i] == who[~train][j], scores)
print(f"ROC-AUC on pairs of {len(test) // 2} people it has not seen: {area:.3f}")

# %%
# **The invariance of one brain**, learned from unlabelled pairs of it with the training
# scans. A unit is a connection, both of its cells in the matrix. There are thousands of
# them, so a unit must be cheap. The unlabelled scans are of other people, and the
# network says so: what is learned is what sets this brain apart.

import warnings

from xsiamese import InvarianceLearner, PairSaliency, RobustPairExplainer
from xsiamese.plot import plot_connectomes
from xsiamese_invariance import Descent, edge_units

units, price = edge_units(REGIONS), {"size": 1e-4, "entropy": 5e-5}
query = test[:1]
references = torch.cat([test[1:2], test[2:16:2]])  # the second scan, then other people
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says that nearly all have one verdict
    learner = InvarianceLearner(
        model, units=units, steps=300, rate=40, batch=16, **price
    )
    invariance = learner.fit(query, known)
print(invariance)

# %%
# **One pair after another**: gradient times difference against masks that are held to
# the invariance.

pairs = (query.expand_as(references), references)
grad_q, grad_r = PairSaliency(model).attribute(pairs)
of_query, of_reference = grad_q * (pairs[0] - pairs[1]), grad_r * (pairs[1] - pairs[0])
difference = of_query.abs() + of_reference.abs()
(held, _), trace = RobustPairExplainer(model, coupling="ball").attribute(
    pairs,
    invariance=invariance,
    units=units,
    masks="shared",
    draws=8,
    descent=Descent(steps=800, rate=200, dual_rate=0.3),
    return_convergence=True,
    **price,
)
print(trace)
figure = plot_connectomes(
    [invariance.maps[0], held[0], held[1]],
    titles=[
        "invariance of this brain",
        "against the same person's second scan",
        "against another person",
    ],
    groups=[f"lobe {k + 1}" for k in lobe.tolist()],
    strongest=30,
    limit=1.0,
    ends=("", "kept"),
    shows="relevance",
)

# %%
# **Are they the right ones?** The 30 strongest connections of each method against the
# 30 in which this person is unusual; how much the answers overlap from reference to
# reference; and how far the score moves if only the 30 are kept. What was learned over
# many pairs finds ten times as many as chance would; the mask of a single pair, though
# it is held to that, is no better than chance here. So the invariance is the answer to
# give, and the masks of single pairs are not.

from xsiamese_invariance.metrics import (
    masked_divergence,
    mixed_draws,
    top_overlap,
    top_units,
)

draws = mixed_draws(known, 16, seed=1)
person = truth[int(who[~train][0])]
for name, maps in {
    "gradient x difference": difference + difference.mT,
    "invariance copied": invariance.maps.expand_as(held),
    "held to the invariance": held,
}.items():
    relevance = maps[:, cells[0], cells[1]]
    top = top_units(relevance, OWN)
    kept = matrix(top.float())
    lost = masked_divergence(model, *pairs, (kept, kept), draws).mean()
    print(
        f"{name:24} right {float(top[:, person].sum(1).float().mean()) / OWN:.0%}, "
        f"overlap {top_overlap(relevance, OWN):.2f}, score lost {lost:.2f} nats"
    )
print(f"by chance {OWN / len(usual):.0%} would be right")
