"""
Graph edits: does the explanation find them?
============================================

What are the fewest edges and nodes that would have to go for two different graphs to be
called the same?

If the model can tell any two graphs apart, the answer is known: it is their edit
distance. So the search can be put to the test.
"""

import torch
from torch_geometric.data import Batch, Data

from xsiamese_counterfactual import PairGraphEdits

# %%
# **A model that needs no training**: how many node colours of the Weisfeiler-Leman test
# two graphs do not share. It is 0 where the test cannot tell them apart.


def colours(batch, rounds: int = 3) -> torch.Tensor:
    """A row a graph: how often each of 128 colours, made by hashing, occurs."""
    start, end = batch.edge_index
    table = torch.randint(2**40, (128,), generator=torch.Generator().manual_seed(0))
    colour = torch.zeros(len(batch.batch), dtype=torch.long)
    counts = torch.zeros(batch.num_graphs, 128 * (rounds + 1))
    for step in range(rounds + 1):
        counts.index_put_(
            (batch.batch, 128 * step + colour), torch.ones(len(colour)), accumulate=True
        )
        around = torch.zeros_like(colour).index_add_(0, end, table[colour[start]])
        colour = (31 * table[colour] + around) % 8191 % 128
    return counts


def distance(a, b) -> torch.Tensor:
    return (colours(a) - colours(b)).abs().sum(1)


# %%
# **Pairs with known edits.** b is a, less some edges and nodes that are left without
# any.


def ring_with_chords(nodes: int, seed: int) -> set[tuple[int, int]]:
    generator = torch.Generator().manual_seed(seed)
    chords = [
        tuple(sorted(torch.randperm(nodes, generator=generator)[:2].tolist()))
        for _ in range(3)
    ]
    return {(k, k + 1) for k in range(nodes - 1)} | {(0, nodes - 1)} | set(chords)


def graph(edges: set[tuple[int, int]], nodes: int):
    ends = torch.tensor([pair for u, v in sorted(edges) for pair in ((u, v), (v, u))]).T
    return Batch.from_data_list([Data(x=torch.ones(nodes, 1), edge_index=ends)])


def pair(missing: int, seed: int, nodes: int = 8):
    edges = ring_with_chords(nodes, seed)
    order = torch.randperm(
        len(edges), generator=torch.Generator().manual_seed(seed)
    ).tolist()
    return graph(edges, nodes), graph(
        {sorted(edges)[k] for k in order[missing:]}, nodes
    )


search = PairGraphEdits(distance, threshold=0.5, higher_is_closer=False)
found = search.find(
    pair(2, seed=3), delete="both", ids=[("a graph", "the same less two edges")]
)[0]
print(found)
figure = found.plot()

# %%
# **Either side.** Both have an edge that the other lacks. One deletion in each makes
# them the same, and no single one does.

edges = {(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 3)}
found = search.find((graph(edges | {(1, 5)}, 6), graph(edges | {(2, 5)}, 6)))[0]
print(found)
figure = found.plot()

# %%
# **How often?** All sets of up to three deletions are tried, so that no smaller answer
# is missed; four and more are left to a beam.

for missing in (1, 2, 3, 4):
    results = [search.find(pair(missing, seed))[0] for seed in range(5)]
    right = sum(result.count == missing for result in results)
    fewer = sum(result.flipped and result.count < missing for result in results)
    print(
        f"{missing} edges missing: {right} of 5 answers have {missing} deletions, "
        f"{fewer} have fewer, {sum(not r.flipped for r in results)} found none"
    )

# %%
# **A question that nothing answers** is no error. With one deletion allowed, three
# missing edges are too many:

print(search.find(pair(3, seed=1), most=1)[0].reason)
