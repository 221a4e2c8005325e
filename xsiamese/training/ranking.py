"""What a model of graded pairs is worth: how well it orders the training items by their known similarity to each test
item.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.model.comparison import one_each
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.training.evaluation import embeddings
from xsiamese.training.inputs import Ready
from xsiamese.training.losses import similarity


def rank(
    model: PairModel, queries: LabelledGraphs, base: LabelledGraphs, ready: Ready, batch: int = 1024
) -> dict[str, Any]:
    r"""Measures the similarities of each query to each graph of the base, as Bai et al. 2019 (:cite:`bai2019`).

    Returns: Mean squared error of the similarity (their unit is 1e-3); Spearman's rho, Kendall's tau and precision at
        10 and 20, each found for every query and averaged over the queries; Spearman's rho of all pairs at once;
        numbers of graphs. A query of which some similarity is not known counts with those that are.
    """
    from scipy.stats import kendalltau, spearmanr

    assert queries.alike is not None
    assert queries.known is not None
    assert base.known is not None
    found, truth = (
        similarities(model, queries, base, ready, batch).double(),
        queries.alike[queries.known][:, base.known].double(),
    )
    rows: dict[str, list[float]] = {"spearman": [], "kendall": [], "precision_at_10": [], "precision_at_20": []}
    for row, true in zip(found, truth, strict=True):
        seen = torch.isfinite(true)
        row, true = row[seen], true[seen]
        if len(true) < 2 or bool((true == true[0]).all()):
            continue
        rows["spearman"].append(_ordered(spearmanr, row, true))
        rows["kendall"].append(_ordered(kendalltau, row, true))
        for k in (10, 20):
            rows[f"precision_at_{k}"].append(precision(row, true, min(k, len(true))))
    seen = torch.isfinite(truth)
    return {
        **{name: sum(values) / max(len(values), 1) for name, values in rows.items()},
        "mse": float((found - truth)[seen].square().mean()),
        "spearman_of_all": _ordered(spearmanr, found[seen], truth[seen]),
        "test_pairs": int(seen.sum()),
        "test_graphs": len(queries),
        "base_graphs": len(base),
    }


def _ordered(measure: Any, found: Tensor, true: Tensor) -> float:
    """A rank correlation; 0 of a model that says the same of all."""
    return 0.0 if bool((found == found[0]).all()) else float(measure(found, true).statistic)


def precision(found: Tensor, true: Tensor, k: int) -> float:
    """The share of the k items found closest that are among the k closest; items as close as the k-th count
    among them.
    """
    closest = found.topk(k).indices
    return float((true[closest] >= true.topk(k).values[-1]).double().mean())


def similarities(
    model: PairModel, queries: LabelledGraphs, base: LabelledGraphs, ready: Ready, batch: int = 1024
) -> Tensor:
    """The similarity of each query to each graph of the base by the model, shape (queries, base), on the CPU."""
    a, b = (
        side.flatten() for side in torch.meshgrid(torch.arange(len(queries)), torch.arange(len(base)), indexing="ij")
    )
    device = next(model.parameters()).device
    parts = []
    z = [embeddings(model, part, ready) for part in (queries, base)] if isinstance(model, SiameseModel) else []
    with intact(model), torch.no_grad():
        for i, j in zip(torch.split(a, batch), torch.split(b, batch), strict=True):
            if isinstance(model, SiameseModel):
                score = one_each(model.compare(z[0][i].to(device), z[1][j].to(device)))
            else:
                score = model(ready(queries.gather(i).to(device)), ready(base.gather(j).to(device)))
            parts.append(similarity(score, model.higher_is_closer).cpu())
    return torch.cat(parts).view(len(queries), len(base))
