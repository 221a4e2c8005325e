"""A cosine whose norms are constants to the gradient: what a gradient says of the angle alone."""

from __future__ import annotations

from copy import copy
from typing import Any

from xsiamese.model.pair import PairModel


def norms_detached(model: PairModel) -> PairModel:
    r"""The same model, of whose comparison the norms are constants; its scores are the same.

    Of :math:`s = u \cdot v / (|u| |v|)` only :math:`u` and :math:`v` above are differentiated, so that
    :math:`u \cdot \partial s / \partial u = s`, and not 0.

    Args:
        model: a model that compares by "cosine", or by a comparison that has ``detach_norms``. It stays as it is.

    Raises:
        ValueError: if its comparison has no norms to detach.

    Example:
        >>> import torch
        >>> from xsiamese import SiameseModel
        >>> u, v = torch.tensor([[3.0, 4.0]], requires_grad=True), torch.tensor([[1.0, 0.0]])
        >>> model = norms_detached(SiameseModel(torch.nn.Identity(), "cosine"))
        >>> (u.detach() * torch.autograd.grad(model(u, v).sum(), u)[0]).sum()
        tensor(0.6000)
    """
    comparison: Any = getattr(model, "comparison", None)
    if not hasattr(comparison, "detach_norms"):
        by = "does not say how it compares" if comparison is None else f"compares by {comparison.name}"
        raise ValueError(
            f"detach_norms= takes the norms of a cosine as constants, and this {type(model).__name__} {by}: leave it "
            "out, or give the model comparison='cosine'"
        )
    if comparison.detach_norms:
        return model
    other, constant = copy(model), copy(comparison)
    constant.detach_norms = True
    other._modules = {**model._modules, "comparison": constant}
    return other
