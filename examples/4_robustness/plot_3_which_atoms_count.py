"""
Which atoms and bonds count?
============================

A Siamese network on MUTAG is to say whether two molecules are both mutagenic or both
not. Which atoms and bonds of *one* molecule decide, whichever it is compared with?
The units of a molecule are its own, so its mask can be learned over many references
although no two molecules have the same atoms. Needs ``XSIAMESE_DATA/tudataset``.
"""

import os
import sys
from pathlib import Path

folder = Path(os.environ.get("XSIAMESE_DATA", "../shared/data")) / "tudataset" / "MUTAG"
if not folder.is_dir():
    print(
        f"no molecules at {folder}: set XSIAMESE_DATA to the folder that holds tudataset/"
    )
    sys.exit()

# %%
# **The network**: two graph convolutions of PyG, the mean over the atoms, and a logit
# from the cosine. It is smooth and bounded on purpose: a molecule without some of its
# bonds is unlike any that a network has seen. (The set has no hydrogens.)

import torch
from torch_geometric.nn import GCN, global_mean_pool

from xsiamese import SiameseModel
from xsiamese.data import ClassIndex
from xsiamese.data.graph_sets import read_tu
from xsiamese.model.comparison import Function


class Encoder(torch.nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.network, self.head = GCN(inputs, 32, 2, act="silu"), torch.nn.Linear(32, 8)

    def forward(self, batch):
        return self.head(
            global_mean_pool(
                self.network(batch.x, batch.edge_index), batch.batch, batch.num_graphs
            )
        )


molecules = read_tu(folder, "MUTAG")
order = torch.randperm(len(molecules), generator=torch.Generator().manual_seed(0))
train, test = molecules.take(order[:130]), molecules.take(order[130:])
torch.manual_seed(0)
model = SiameseModel(
    Encoder(molecules.features),
    Function(lambda u, v: 6 * torch.nn.functional.cosine_similarity(u, v) - 3),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=400)
generator, index = torch.Generator().manual_seed(0), ClassIndex(train.labels)
for _ in range(400):
    a, b, same = index.pairs(
        torch.randint(len(train), (64,), generator=generator), generator
    )
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        model(train.gather(a), train.gather(b)), same.float()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
model.eval()

from sklearn.metrics import roc_auc_score

i, j = torch.triu_indices(len(test), len(test), 1)
with torch.no_grad():
    scores = model(test.gather(i), test.gather(j))
print(
    f"ROC-AUC on pairs of {len(test)} molecules it has not seen: "
    f"{roc_auc_score(test.labels[i] == test.labels[j], scores):.3f}"
)

# %%
# **The mutagenic molecule with most nitrogens**, and eight others to compare it with.
# An atom that is removed becomes one of another kind, drawn from all atoms of the pool;
# a bond that is removed is deleted.

from xsiamese import InvarianceLearner, PairSaliency, RobustPairExplainer

nitrogens = torch.stack(
    [test.gather(torch.tensor([m])).x[:, 1].sum() for m in range(len(test))]
)
chosen = int((nitrogens * (test.labels == 1)).argmax())
query = test.gather(torch.tensor([chosen]))
others = torch.tensor([m for m in range(len(test)) if m != chosen][:8])
pairs = (test.gather(torch.full_like(others, chosen)), test.gather(others))
price = {"size": 0.004, "entropy": 0.002}
invariance = InvarianceLearner(model, steps=200, **price).fit(
    query, train.gather(torch.arange(len(train)))
)
explainer = RobustPairExplainer(model, coupling="ball")
(held, _), trace = explainer.attribute(
    pairs, invariance=invariance, wrt="first", draws=8, return_convergence=True, **price
)
gradient = (
    PairSaliency(model)
    .attribute(pairs, wrt="first")[0]
    .node_mask.sum(1)
    .view(len(others), -1)
)
print(trace)

# %%
# The invariance of the molecule, and its explanations against two references. (The set
# has no charges, so nitro groups are drawn with a hydrogen.)

from rdkit import Chem

from xsiamese.plot import plot_molecules, stability

kinds, orders = query.x.argmax(1).tolist(), query.edge_attr.argmax(1).tolist()
names = ("C", "N", "O", "F", "I", "Cl", "Br")
types = (
    Chem.BondType.AROMATIC,
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
)
drawing, bonds = Chem.RWMol(), []
for kind in kinds:
    drawing.AddAtom(Chem.Atom(names[kind]))
for entry, (start, end) in enumerate(query.edge_index.T.tolist()):
    if start < end:
        drawing.AddBond(start, end, types[orders[entry]])
        bonds.append(entry)
drawing.UpdatePropertyCache(
    strict=False
)  # the set writes nitro groups without their charges
Chem.FastFindRings(drawing)
atoms = held.node_mask.view(len(others), -1)
of_bonds = held.edge_mask.view(len(others), -1)[:, bonds]
with torch.no_grad():
    alike = model(*pairs).sigmoid()
closest, farthest = int(alike.argmax()), int(alike.argmin())
titles = [
    f"{'closest' if m == closest else 'farthest'} reference, called alike with {alike[m]:.2f}"
    for m in (closest, farthest)
]
figure = plot_molecules(
    [drawing] * 4,
    [
        invariance.maps.node_mask.flatten(),
        atoms.mean(0),
        atoms[closest],
        atoms[farthest],
    ],
    [
        invariance.maps.edge_mask[bonds],
        of_bonds.mean(0),
        of_bonds[closest],
        of_bonds[farthest],
    ],
    limit=1.0,
    ends=("", "kept"),
    shows="relevance",
    titles=["invariance", f"mean over {len(others)} references", *titles],
)

# %%
# All references; atoms are numbered as in the set. A stable answer need not be a right
# one: what an explanation is worth has to be looked for in the molecule.

labels = [f"{names[kind]}{number}" for number, kind in enumerate(kinds)]
panels = stability({"|gradient|": gradient, "held to the invariance": atoms}, labels)
