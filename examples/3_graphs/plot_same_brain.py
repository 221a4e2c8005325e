"""
Which connections say that two scans are the same brain?
========================================================

A person was scanned twice. How alike two structural connectomes are is the
correlation of their connections, after what all people share has been taken away. It
adds up over the connections, so that the exact explanation is known, and a gradient
finds it. Needs the connectomes in ``XSIAMESE_DATA/brain_bnu1_dti`` (BNU 1 of the
Consortium for Reliability and Reproducibility, CC BY-NC).
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
# **The graphs**: a node for each of 84 regions, an edge where a tract was found. The
# features of a node are its connections to all regions: how much stronger or weaker
# they are than in other people, in units of the usual difference.

import numpy as np
import torch
from torch_geometric.data import Batch, Data

files = sorted(file for file in folder.rglob("*_FULL_*.txt") if "NORM" not in file.name)
matrices = torch.stack([torch.from_numpy(np.loadtxt(file)) for file in files]).log1p()
people = [file.parts[-3].split("_")[0] for file in files]
who = torch.tensor([sorted(set(people)).index(name) for name in people])
known = who < 24  # what is usual is learned from two thirds of the people
mean, deviation = matrices[known].mean(0), matrices[known].std(0)
differences = torch.where(
    deviation > 0.3, (matrices - mean) / deviation.clamp(min=0.3), 0.0
)  # connections that hardly differ say nothing


def scans(*numbers: int):
    graphs = []
    for i in numbers:
        ends = matrices[i].nonzero().T
        graphs.append(
            Data(
                x=differences[i],
                edge_index=ends,
                edge_weight=matrices[i][ends[0], ends[1]],
            )
        )
    return Batch.from_data_list(graphs)


# %%
# **The model**: the cosine of all connections of one brain with those of the other. For
# the explanation its norms are taken as constants; it is then a sum of products, one
# for each connection.

from sklearn.metrics import roc_auc_score
from torch import nn

from xsiamese import PairInputXGradient, SiameseModel, calibrate
from xsiamese.model.comparison import Cosine


class Connections(nn.Module):
    def forward(self, batch):
        return batch.x.reshape(batch.num_graphs, -1)


model = SiameseModel(Connections(), Cosine(detach_norms=True))
first, second = torch.combinations((~known).nonzero().flatten()).T
a, b, same = scans(*first.tolist()), scans(*second.tolist()), who[first] == who[second]
scores = model(a, b)
print(
    f"12 people it has not seen, {int(same.sum())} pairs of scans of one and {int((~same).sum())} of two: ROC-AUC "
    f"{roc_auc_score(same, scores):.3f}"
)
print(calibrate(model, a, b, same, method="accuracy"))

# %%
# **One person, two scans.** Blue connections say "the same brain": both scans differ
# from other people in the same way there. Red ones speak against it. The circle shows
# the 40 strongest.

explainer = PairInputXGradient(model)
i = int(torch.where(same, scores, -torch.inf).argmax())
alike = explainer.explain(
    (scans(int(first[i])), scans(int(second[i]))), ids=[("first scan", "second scan")]
)
figure = alike.plot(strongest=40)

# %%
# The explanation is exact: the connections of either scan add up to the score. Both
# scans have the same values, since each is a product of the two.

print(
    f"score {float(alike.scores[0]):.4f}, sum of the first scan's connections "
    f"{float(alike.maps[0].node_mask.sum()):.4f}"
)

# %%
# **Two people.** Of two strangers as many connections speak for as against.

j = int(torch.where(same, torch.inf, scores.abs()).argmin())
apart = explainer.explain(
    (scans(int(first[j])), scans(int(second[j]))), ids=[("one person", "another")]
)
figure = apart.plot(strongest=40)

# %%
# **How many connections does it take?** The strongest ones of the same-person pair
# carry most of its score.

values = alike.maps[0].node_mask
values = (
    (values + values.T)[tuple(torch.triu_indices(84, 84, 1))]
    .sort(descending=True)
    .values
)
for count in (10, 40, 160, 640):
    print(
        f"the {count:3} strongest of {int((values != 0).sum())} connections: "
        f"{float(values[:count].sum() / alike.scores[0]):.0%} of the score"
    )
