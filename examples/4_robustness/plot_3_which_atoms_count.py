"""
Which atoms count?
==================

A Siamese network on MUTAG is to say whether two molecules are both mutagenic or both not. Which atoms of *one* molecule decide, whichever it is compared
with? The units of a molecule are its own atoms, so its mask can be learned over many references although no two molecules have the same atoms. Needs
``XSIAMESE_DATA/tudataset``.
"""

import os
import sys
from pathlib import Path

folder = Path(os.environ.get("XSIAMESE_DATA", "../shared/data")) / "tudataset" / "MUTAG" / "raw"
if not folder.is_dir():
    print(f"no molecules at {folder}: set XSIAMESE_DATA to the folder that holds tudataset/")
    sys.exit()

# %%
# **The data.** A molecule is a matrix with a row for each atom: seven columns for its kind, then its bonds and itself. (The set has no hydrogens.)

import torch  # noqa: E402


def column(name: str) -> torch.Tensor:
    lines = (folder / f"MUTAG_{name}.txt").read_text().split("\n")
    return torch.tensor([[int(n) for n in line.split(",")] for line in lines if line]).squeeze(1)


molecule, kinds, labels = column("graph_indicator") - 1, column("node_labels"), column("graph_labels")
bonds, orders = column("A") - 1, column("edge_labels")
place = torch.arange(len(molecule)) - torch.searchsorted(molecule, torch.arange(len(labels)))[molecule]
size = int(place.max()) + 1
rows = torch.zeros(len(labels), size, 7 + size)
rows[molecule, place, kinds] = 1
rows[molecule, place, 7 + place] = 1
rows[molecule[bonds[:, 0]], place[bonds[:, 0]], 7 + place[bonds[:, 1]]] = 1
order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
train, test = order[:130], order[130:]

# %%
# **The network**: two rounds of messages, the mean over atoms, and the logit of the squared distance.

from torch import nn  # noqa: E402

from xsiamese import SiameseModel  # noqa: E402
from xsiamese.comparison import Learned  # noqa: E402
from xsiamese.data import ClassIndex  # noqa: E402
from xsiamese.zoo.tabular import DistanceLogit  # noqa: E402


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(7, 16), nn.Linear(16, 16), nn.Linear(16, 8)

    def forward(self, molecules: torch.Tensor) -> torch.Tensor:
        atoms, bonds = molecules[..., :7], molecules[..., 7:]
        there = bonds.diagonal(dim1=1, dim2=2)
        hidden = nn.functional.silu(bonds @ self.first(atoms) / 3)
        hidden = nn.functional.silu(bonds @ self.second(hidden) / 3)
        return self.last((hidden * there[..., None]).sum(1) / there.sum(1, keepdim=True))


torch.manual_seed(0)
model = SiameseModel(Encoder(), Learned(DistanceLogit(), "absolute_difference"))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2, weight_decay=1e-2)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, total_steps=500)
generator, index = torch.Generator().manual_seed(0), ClassIndex(labels[train])
for _ in range(500):
    a, b, same = index.pairs(torch.randint(len(train), (64,), generator=generator), generator)
    loss = nn.functional.binary_cross_entropy_with_logits(model(rows[train][a], rows[train][b]), same.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
model.eval()

from sklearn.metrics import roc_auc_score  # noqa: E402

i, j = torch.triu_indices(len(test), len(test), 1)
with torch.no_grad():
    scores = model(rows[test][i], rows[test][j])
print(f"ROC-AUC on pairs of {len(test)} molecules it has not seen: {roc_auc_score(labels[test][i] == labels[test][j], scores):.3f}")

# %%
# **The mutagenic molecule with most nitrogens**, and twelve others to compare it with. Each atom is a unit; its bonds, and places without an atom, are none
# (-1). What replaces an atom is the kind of another atom of the set.

from xsiamese import InvarianceLearner, PairSaliency, RobustPairExplainer  # noqa: E402

nitrogens = torch.zeros(len(labels), dtype=torch.long).index_add_(0, molecule, (kinds == 1).long())
chosen = int(max(test.tolist(), key=lambda m: int(labels[m] > 0) * int(nitrogens[m])))
mine = molecule == chosen
query, references, count = rows[[chosen]], rows[[m for m in test.tolist() if m != chosen][:12]], int(mine.sum())
units = torch.full((1, size, 7 + size), -1)
units[0, :count, :7] = torch.arange(count)[:, None]
drawn = torch.randint(len(kinds), (130, size), generator=torch.Generator().manual_seed(1))
pool = torch.cat([nn.functional.one_hot(kinds[drawn], 7).float(), rows[train][..., 7:]], 2)
price = {"size": 0.005, "entropy": 0.0025}
invariance = InvarianceLearner(model, units=units, aligned=False, steps=400, **price).fit(query, rows[train], pool=pool)
pairs = (query.expand_as(references), references)
(held, _), trace = RobustPairExplainer(model, coupling="ball").attribute(
    pairs, invariance=invariance, units=(units, None), pool=pool, wrt="first", draws=16, return_convergence=True, **price
)
gradient = PairSaliency(model).attribute(pairs)[0][..., :7].abs().sum(2)[:, :count]
print(trace)

# %%
# The invariance of the molecule, and its explanations against two references. (The set has no charges, so nitro groups are drawn with a hydrogen.)

from rdkit import Chem  # noqa: E402

from xsiamese.plot import plot_molecules, stability  # noqa: E402

drawing = Chem.RWMol()
for kind in kinds[mine].tolist():
    drawing.AddAtom(Chem.Atom(("C", "N", "O", "F", "I", "Cl", "Br")[kind]))
types = (Chem.BondType.AROMATIC, Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
for (start, end), kind in zip(bonds[mine[bonds[:, 0]]].tolist(), orders[mine[bonds[:, 0]]].tolist(), strict=True):
    if start < end:
        drawing.AddBond(int(place[start]), int(place[end]), types[kind])
drawing.UpdatePropertyCache(strict=False)  # the set writes nitro groups without their charges
Chem.FastFindRings(drawing)
masks = held[:, :count, 0]
with torch.no_grad():
    alike = model(*pairs).sigmoid()
closest, farthest = int(alike.argmax()), int(alike.argmin())
titles = [f"{'closest' if m == closest else 'farthest'} reference, called alike with {alike[m]:.2f}" for m in (closest, farthest)]
figure = plot_molecules(
    [drawing] * 4, [invariance.mask[0, :count], masks.mean(0), masks[closest], masks[farthest]], limit=1.0, ends=("", "kept"),
    titles=["invariance", "mean over 12 references", *titles],
)  # fmt: skip

# %%
# All twelve references; atoms are numbered as in the set. The gradient gives the same answer every time, and points to carbons of the rings. The masks point to
# the two nitro groups, which is where a chemist would look first. Being stable and being right are two things, and only the second needs looking at the atoms.

names = [f"{'CNOFI'[kind] if kind < 5 else ('Cl', 'Br')[kind - 5]}{number}" for number, kind in enumerate(kinds[mine].tolist())]
panels = stability({"|gradient|": gradient, "held to the invariance": masks}, names)
