"""
One query, many references
==========================

A Siamese network compares concrete mixtures. The explanation of *the same* mixture
changes with every reference it is compared to. How much of that is the network, how
much is the method, and what can be done about it? Needs the tables in
``XSIAMESE_DATA/tabular_uci`` (I-Cheng Yeh's concrete data from UCI, CC BY 4.0).
"""

import gzip
import os
import sys
import tempfile
from pathlib import Path

source = (
    Path(os.environ.get("XSIAMESE_DATA", "../shared/data"))
    / "tabular_uci"
    / "concrete"
    / "data.csv.gz"
)
if not source.is_file():
    print(
        f"no table at {source}: set XSIAMESE_DATA to the folder that holds tabular_uci/"
    )
    sys.exit()

# %%
# **A network.** Two mixtures are alike if their strengths are among the closest fifth
# of all pairs. This is ``xsiamese train siamese-mlp concrete.csv --target strength
# --close 0.2`` in Python.

from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings

folder = Path(tempfile.mkdtemp())
names = [
    "cement",
    "slag",
    "fly ash",
    "water",
    "superplasticizer",
    "coarse aggregate",
    "fine aggregate",
    "age",
]
table = folder / "concrete.csv"
table.write_text(
    ",".join([*names, "strength"])
    + "\n"
    + gzip.decompress(source.read_bytes()).decode()
)
settings = Settings(
    "siamese-mlp",
    str(table),
    output=folder,
    epochs=25,
    device="cpu",
    progress=False,
    reading={"target": "strength", "close": 0.2},
    arguments={"dimensions": 8},
)
trained = train(settings)
print(
    f"test ROC-AUC {trained.metrics['roc_auc']:.3f}; alike means within {trained.metrics['close_within']:.1f} MPa"
)

# %%
# **The instability.** One mixture, 24 references that are not among the training rows
# (the table has some mixtures twice). The gradient's directions agree little. On this
# network that is no accident of the method: the covariance of the gradients over the
# references is exactly :math:`4 J^\top \mathrm{Cov}(\phi_r) J`, the spread of the
# references' embeddings seen through the query's Jacobian.

import torch

from xsiamese import reference_instability

rows = loaded(settings)
model, test, pool = trained.model, rows.test.rows, rows.train.rows[:256]
new = (test[:, None] != rows.train.rows).any(2).all(1)
query, references = test[new][:1], test[new][1:25]
print(reference_instability(model, query, references).summary())

# %%
# **What counts whatever the reference is**: learned from unlabelled pairs of the query
# with training rows, by keeping the network's own scores with as few columns as
# possible. The mean absolute gradient over the same rows (dots) is the cheap way to a
# similar answer.

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
# far the score moves. Here masks of their own keep it best, and are as steady as those
# that are held; the mean gradient, the same for every reference, keeps as much as the
# held ones. On this query the invariance buys nothing.

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
        f"{name:24} overlap of the top 4: {top_overlap(relevance, 4):.2f}   score lost with only these kept: "
        f"{lost:.3f} nats"
    )
