"""
Which connections say that two scans are the same brain?
========================================================

Two structural connectomes of one person are alike because both differ from other people
in the same connections; their circle shows which.

The scans are made here by a formula: 116 regions with the names of the AAL atlas
(:cite:`tzourio2002`), connections that are strong within a lobe, for each of 20 people
a deviation of their own in one lobe, and noise in each of two scans. The score adds up
over the connections, so that the exact explanation is known; a gradient finds it.
"""

import torch
from torch_geometric.data import Batch, Data

from xsiamese.data.atlas import AAL116, AAL116_LOBES

PEOPLE, REGIONS = 20, len(AAL116)
generator = torch.Generator().manual_seed(0)
lobes = sorted(set(AAL116_LOBES))
lobe = torch.tensor([lobes.index(name) for name in AAL116_LOBES])


def symmetric(*shape):
    full = torch.randn(*shape, REGIONS, REGIONS, generator=generator).triu(1)
    return full + full.mT


within = lobe[:, None] == lobe
usual = 1.5 + 2 * within + 0.5 * symmetric()
own = torch.arange(PEOPLE) % len(lobes)  # the lobe in which each person is unusual
there = (lobe == own[:, None])[:, :, None] & (lobe == own[:, None])[:, None]
matrices = usual + (symmetric(PEOPLE) * there)[:, None] + 0.5 * symmetric(PEOPLE, 2)
matrices = matrices.flatten(0, 1) * (1 - torch.eye(REGIONS))
who = torch.arange(PEOPLE).repeat_interleave(2)

# %%
# **The graphs**: a node for each region, an edge for each of its strongest connections.
# The features of a node are its connections to all regions: how much stronger or weaker
# they are than in other people. What is usual is learned from half of the people.

known = who < 10
differences = (matrices - matrices[known].mean(0)) / matrices[known].std()


def scans(numbers):
    graphs = []
    for i in numbers:
        ends = (matrices[i] > 3).nonzero().T
        weights = matrices[i][ends[0], ends[1]]
        graphs.append(Data(x=differences[i], edge_index=ends, edge_weight=weights))
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
a, b, same = scans(first), scans(second), who[first] == who[second]
scores = model(a, b)
print(
    f"10 people it has not seen, {int(same.sum())} pairs of scans of one and "
    f"{int((~same).sum())} of two: ROC-AUC {roc_auc_score(same, scores):.3f}"
)
print(calibrate(model, a, b, same, method="accuracy"))

# %%
# **One person, two scans.** Blue connections say "the same brain": both scans differ
# from other people in the same way there. Red ones speak against it. The circle shows
# the 40 strongest, and nearly all lie in the lobe in which this person is unusual.

explainer = PairInputXGradient(model)
i = int(torch.where(same, scores, -torch.inf).argmax())
print(f"the person is unusual in the {lobes[own[who[first[i]]]]} lobe")
alike = explainer.explain(
    (scans(first[i : i + 1]), scans(second[i : i + 1])),
    ids=[("first scan", "second scan")],
)
figure = alike.plot(strongest=40, labels=(AAL116, AAL116), groups=AAL116_LOBES)

# %%
# The explanation is exact: the connections of either scan add up to the score. Both
# scans have the same values, since each is a product of the two.

values = alike.maps[0].node_mask
print(f"score {alike.scores[0]:.4f}, sum of the first scan's connections ", end="")
print(f"{values.sum():.4f}")

# %%
# **Two people.** Of two strangers as many connections speak for as against.

j = int(torch.where(same, torch.inf, scores.abs()).argmin())
apart = explainer.explain(
    (scans(first[j : j + 1]), scans(second[j : j + 1])),
    ids=[("one person", "another")],
)
figure = apart.plot(strongest=40, groups=AAL116_LOBES)

# %%
# **How many connections does it take?** A lobe holds a few hundred of 6,670, and they
# carry nearly all of the score.

upper = tuple(torch.triu_indices(REGIONS, REGIONS, 1))
strongest = (values + values.mT)[upper].sort(descending=True).values
for count in (10, 40, 160, 640):
    share = strongest[:count].sum() / alike.scores[0]
    print(f"the {count:3} strongest of {len(strongest)}: {share:.0%} of the score")
