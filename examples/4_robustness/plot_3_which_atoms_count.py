"""
Which atoms and bonds count, whatever a molecule is compared with?
==================================================================

A Siamese network says whether two molecules are both nitroaromatic or both not; the
atoms by which it recognises *one* molecule should be those of its nitro group,
whichever other it is compared with.

The molecules are enumerated here: six ring systems with every two of twelve groups. The
units of a molecule are its own, so its mask can be learned over many references
although no two molecules have the same atoms.
"""

from itertools import product

import torch
from rdkit import Chem

from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.molecules import molecule

CORES = ["{}c1ccc({})cc1", "{}c1cccc({})c1", "{}c1ccc({})nc1", "{}c1sc({})cc1"]
CORES += ["{}c1ccc2cc({})ccc2c1", "{}c1ccc(-c2ccc({})cc2)cc1"]
SMALL = ["C", "CC", "O", "F", "Cl", "Br", "N"]
ENDS = [*SMALL, "OC", "C(=O)O", "C(=O)N", "C#N", "[N+](=O)[O-]"]
STARTS = [*SMALL, "CO", "OC(=O)", "NC(=O)", "N#C", "O=[N+]([O-])"]
smiles = [core.format(*ends) for core in CORES for ends in product(STARTS, ENDS)]
nitro = Chem.MolFromSmarts("[N+](=O)[O-]")
active = torch.tensor(
    [Chem.MolFromSmiles(one).HasSubstructMatch(nitro) for one in smiles]
)
mixed = torch.randperm(len(smiles), generator=torch.Generator().manual_seed(0))
order = torch.cat([mixed[active[mixed]], mixed[~active[mixed]][: int(active.sum())]])
molecules = LabelledGraphs.of(
    [molecule(smiles[i]) for i in order],
    active[order].long(),
    ("no nitro group", "nitroaromatic"),
    names=tuple(smiles[i] for i in order),
)
shuffled = torch.randperm(len(order), generator=torch.Generator().manual_seed(1))
train, test = molecules.take(shuffled[:180]), molecules.take(shuffled[180:])
print(f"{len(train)} molecules to train on, {len(test)} others to test")

# %%
# **The network**: two graph convolutions of PyG, the mean over the atoms, and a logit
# from the cosine. It is smooth and bounded on purpose: a molecule without some of its
# bonds is unlike any that a network has seen.

from sklearn.metrics import roc_auc_score
from torch_geometric.nn import GCN, global_mean_pool

from xsiamese import SiameseModel
from xsiamese.data import ClassIndex
from xsiamese.model.comparison import Function


class Encoder(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.network, self.head = GCN(inputs, 32, 2, act="silu"), torch.nn.Linear(32, 8)

    def forward(self, batch):
        atoms = self.network(batch.x, batch.edge_index)
        return self.head(global_mean_pool(atoms, batch.batch, batch.num_graphs))


torch.manual_seed(0)
cosine = torch.nn.functional.cosine_similarity
model = SiameseModel(
    Encoder(molecules.features), Function(lambda u, v: 6 * cosine(u, v) - 3)
)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-2)
generator, index = torch.Generator().manual_seed(0), ClassIndex(train.labels)
for _ in range(200):
    rows = torch.randint(len(train), (64,), generator=generator)
    a, b, same = index.pairs(rows, generator)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        model(train.gather(a), train.gather(b)), same.float()
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()

i, j = torch.triu_indices(len(test), len(test), 1)
with torch.no_grad():
    scores = model(test.gather(i), test.gather(j))
area = roc_auc_score(test.labels[i] == test.labels[j], scores)
print(f"ROC-AUC on pairs of {len(test)} molecules it has not seen: {area:.3f}")

# %%
# **One nitroaromatic molecule**, and eight others to compare it with. An atom that is
# removed becomes one of another kind, drawn from all atoms of the pool; a bond that is
# removed is deleted.

from xsiamese import InvarianceLearner, PairSaliency, RobustPairExplainer

chosen = int(test.labels.argmax())
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
print(trace)

# %%
# The invariance of the molecule, and its explanations against two references.

from xsiamese.plot import plot_molecules, stability

drawing = Chem.MolFromSmiles(test.names[chosen])
edges = [tuple(ends) for ends in query.edge_index.T.tolist()]
bonds = [
    edges.index((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
    for bond in drawing.GetBonds()
]
atoms = held.node_mask.view(len(others), -1)
of_bonds = held.edge_mask.view(len(others), -1)[:, bonds]
with torch.no_grad():
    alike = model(*pairs).sigmoid()
closest, farthest = int(alike.argmax()), int(alike.argmin())
figure = plot_molecules(
    [drawing] * 4,
    [invariance.maps.node_mask.flatten(), atoms.mean(0), *atoms[[closest, farthest]]],
    [
        invariance.maps.edge_mask[bonds],
        of_bonds.mean(0),
        *of_bonds[[closest, farthest]],
    ],
    limit=1.0,
    ends=("", "kept"),
    shows="relevance",
    titles=[
        "the invariance",
        f"mean over {len(others)} references",
        f"against {test.names[others[closest]]}: alike with {alike[closest]:.2f}",
        f"against {test.names[others[farthest]]}: alike with {alike[farthest]:.2f}",
    ],
)

# %%
# **All references**, atom by atom, and whether the atoms found are those of the nitro
# group: the area under the ROC curve that ranks the group's atoms first.

saliency = PairSaliency(model).attribute(pairs, wrt="first")[0].node_mask
gradient = saliency.abs().sum(1).view(len(others), -1)
labels = [f"{atom.GetSymbol()}{atom.GetIdx()}" for atom in drawing.GetAtoms()]
panels = stability({"|gradient|": gradient, "held to the invariance": atoms}, labels)
group = torch.zeros(len(labels))
group[list(drawing.GetSubstructMatch(nitro))] = 1
for name, relevance in {"|gradient|": gradient, "held": atoms}.items():
    areas = [roc_auc_score(group, one) for one in relevance.detach()]
    print(f"{name:10} nitro group first: {sum(areas) / len(areas):.2f}")
