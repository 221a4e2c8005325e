"""One branch of a pair as a model of single graphs, which is what PyTorch Geometric's own tools take."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from xsiamese.author import SiameseModel, intact


class Branch(nn.Module):
    r"""One side of each pair with the other side's embedding held: two logits, "apart" and "together".

    .. math:: \big(0,\; \pm (s(G, z) - \tau)\big)

    With it ``torch_geometric.explain.metric`` measures our explanations, one side at a time. Its tools take masks in
    [0, 1]: cut a signed one off first with ``Explanation.threshold("topk_hard", k)``. The masks that they set on the
    encoder cannot reach the held side, which is not run again.

    Args:
        model: a factored model.
        other: the graphs of the other side, as many as those that are measured.
        side: which side the measured graphs are, "a" or "b".
        threshold: the score at which two graphs begin to be alike; None takes the comparison's own.

    Attributes:
        config: the ``model_config`` of ``torch_geometric.explain.Explainer``.

    Raises:
        TypeError: if the model does not encode each side by itself.
        ValueError: if ``side`` is neither, or no threshold is known.

    Example:
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.explain import DummyExplainer, Explainer
        >>> from torch_geometric.explain.metric import fidelity
        >>> from torch_geometric.nn import GCNConv, global_add_pool
        >>> from xsiamese import PairInputXGradient
        >>> class Neighbours(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv = GCNConv(1, 1, bias=False, normalize=False, add_self_loops=False)
        ...         nn.init.ones_(self.conv.lin.weight)
        ...     def forward(self, data):
        ...         return global_add_pool(self.conv(data.x, data.edge_index), data.batch)
        >>> model = SiameseModel(Neighbours(), "dot")
        >>> edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        >>> a, b = (Data(x=torch.tensor([[2.0], [0.0], [0.0]]), edge_index=edges) for _ in "ab")
        >>> why_a, _ = PairInputXGradient(model).attribute((a, b), parts="edges")
        >>> branch = Branch(model, b, threshold=1.0)
        >>> settings = {"explanation_type": "model", "model_config": branch.config, "edge_mask_type": "object"}
        >>> explainer = Explainer(branch, DummyExplainer(), **settings)
        >>> best = why_a.threshold("topk_hard", 1)
        >>> best.target = branch(best.x, best.edge_index, best.batch).argmax(1)
        >>> fidelity(explainer, best)  # without the edge the decision is another, with it alone the same
        (1.0, 0.0)
    """

    config: ClassVar[dict[str, str]] = {
        "mode": "multiclass_classification",
        "task_level": "graph",
        "return_type": "raw",
    }

    def __init__(
        self, model: SiameseModel, other: Any, side: Literal["a", "b"] = "a", *, threshold: float | None = None
    ) -> None:
        super().__init__()
        if not isinstance(model, SiameseModel):
            raise TypeError(f"a {type(model).__name__} cannot hold one side's embedding: a SiameseModel is needed")
        if side not in ("a", "b"):
            raise ValueError(f"side={side!r}: 'a' or 'b' is needed")
        threshold = model.comparison.threshold_ if threshold is None else threshold
        if threshold is None:
            raise ValueError(
                "no threshold is known, so there is no decision: give threshold=, or calibrate the model on labelled "
                "pairs"
            )
        self.model, self.side, self.threshold = model, "ab".index(side), threshold
        with intact(model), torch.no_grad():
            self.held = model.encode(other, 1 - self.side)
        self.training = model.training  # PyG's tools put the whole model back into this mode

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None, **more: Any) -> Tensor:
        """The logits of each graph, shape (graphs, 2)."""
        from torch_geometric.data import Batch

        batch = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch is None else batch
        embeddings = (self.model.encode(Batch(x=x, edge_index=edge_index, batch=batch, **more), self.side), self.held)
        score = self.model.comparison.explained(*embeddings[:: -1 if self.side else 1])
        margin = self.model.closeness(score) - self.model.decision(self.threshold).cut
        return torch.stack([torch.zeros_like(margin), margin], 1)
