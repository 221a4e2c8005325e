"""
The same brain again
====================

36 people were scanned twice, and a Siamese network is to say whether two structural
connectomes are of one person. Which connections of *one* brain does it recognise it
by, whoever it is compared with? Needs the connectomes in
``XSIAMESE_DATA/brain_bnu1_dti`` (BNU 1 of the Consortium for Reliability and
Reproducibility, CC BY-NC).
"""

import os
import sys
from pathlib import Path

folder = Path(os.environ.get("XSIAMESE_DATA", "../shared/data")) / "brain_bnu1_dti"
if not folder.is_dir():
    print(
        f"no connectomes at {folder}: set XSIAMESE_DATA to the folder that holds brain_bnu1_dti/"
    )
    sys.exit()

# %%
# **The data**: numbers of streamlines between 84 regions, as logarithms, standardised
# connection by connection. Two thirds of the people are for training.

import numpy as np
import torch

files = sorted(file for file in folder.rglob("*_FULL_*.txt") if "NORM" not in file.name)
matrices = (
    torch.stack([torch.from_numpy(np.loadtxt(file)) for file in files]).log1p().float()
)
people = [file.parts[-3].split("_")[0] for file in files]
who = torch.tensor([sorted(set(people)).index(name) for name in people])
train = who < 24
mean, deviation = matrices[train].mean(0), matrices[train].std(0)
scans = torch.where(
    deviation > 0.3, (matrices - mean) / deviation.clamp(min=0.3), 0.0
)  # connections that hardly differ say nothing
print(
    f"{len(set(people))} people, {len(files)} scans, {int((deviation > 0.3).sum()) // 2} connections that differ"
)

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
    nn.Flatten(), nn.Linear(84 * 84, 16), nn.SiLU(), nn.Linear(16, 8)
)
model = SiameseModel(encoder, Learned(DistanceLogit(), "absolute_difference"))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
generator, known = torch.Generator().manual_seed(0), scans[train]
index = ClassIndex(who[train])
for _ in range(250):
    a, b, same = index.pairs(
        torch.randint(len(known), (64,), generator=generator), generator
    )
    noise = torch.randn(2, 64, 84, 84, generator=generator)
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
print(
    f"ROC-AUC on pairs of {len(test) // 2} people it has not seen: "
    f"{roc_auc_score(who[~train][i] == who[~train][j], scores):.3f}"
)

# %%
# **The invariance of one brain**, learned from unlabelled pairs of it with the training
# scans. A unit is a connection, both of its cells in the matrix. There are thousands of
# them, so a unit must be cheap. The unlabelled scans are of other people, and the
# network says so: what is learned is what sets this brain apart.

import warnings

from xsiamese import InvarianceLearner, PairSaliency, RobustPairExplainer
from xsiamese.plot import plot_connectomes
from xsiamese_invariance import Descent, edge_units

units, price = edge_units(84), {"size": 1e-4, "entropy": 5e-5}
query = test[:1]
references = torch.cat(
    [test[1:2], test[2:16:2]]
)  # the person's second scan, then other people's first
with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # it says that nearly all references have one verdict
    invariance = InvarianceLearner(
        model, units=units, steps=300, rate=40, batch=16, **price
    ).fit(query, known)
print(invariance)

# %%
# **One pair after another**: gradient times difference against masks that are held to
# the invariance.

pairs = (query.expand_as(references), references)
grad_q, grad_r = PairSaliency(model).attribute(pairs)
difference = (grad_q * (pairs[0] - pairs[1])).abs() + (
    grad_r * (pairs[1] - pairs[0])
).abs()
(held, _), trace = RobustPairExplainer(model, coupling="ball").attribute(
    pairs,
    invariance=invariance,
    units=units,
    masks="shared",
    draws=8,
    descent=Descent(steps=1200, rate=200, dual_rate=0.3),
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
    strongest=40,
    limit=1.0,
    ends=("", "kept"),
    shows="relevance",
)

# %%
# **How alike are the answers?** The 50 strongest connections, over the references; and
# how far the score moves if only these are kept. The honest reading: this network
# spreads its evidence over thousands of connections. No fifty of them carry the
# decision, whoever chooses them, and a list of the strongest is a poor summary of it.

from xsiamese_invariance.metrics import (
    masked_divergence,
    mixed_draws,
    top_overlap,
    top_units,
)

cells = torch.triu_indices(84, 84, 1)
draws = mixed_draws(known, 16, seed=1)
for name, maps in {
    "gradient x difference": difference + difference.mT,
    "invariance copied": invariance.maps.expand_as(held),
    "held to the invariance": held,
}.items():
    relevance = maps[:, cells[0], cells[1]]
    kept = torch.zeros_like(maps)
    kept[:, cells[0], cells[1]] = top_units(relevance, 50).float()
    lost = masked_divergence(
        model, *pairs, (kept + kept.mT, kept + kept.mT), draws
    ).mean()
    print(
        f"{name:24} overlap of the top 50: {top_overlap(relevance, 50):.2f}   score lost with only these kept: "
        f"{lost:.2f} nats"
    )
