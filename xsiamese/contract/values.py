"""Whether the maps are right."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from xsiamese.comparison import Function
from xsiamese.contract.subject import PAIRS, ContractError, Subject, encoder, near, pairs
from xsiamese.model import SiameseModel


def check_two_results(subject: Subject) -> None:
    """Two tensors with one row a pair, shaped as the inputs unless they are of a layer, and in [0, 1] where they are called unsigned."""
    inputs = pairs()
    found = subject.attribute(SiameseModel(encoder(), "dot"), inputs)
    if not isinstance(found, tuple) or len(found) != 2:
        raise ContractError(f"attribute must return a tuple of two maps, it returned {type(found).__name__}")
    of_layer = subject.cls.needs_layer and not getattr(subject.cls, "input_level", False)
    for side, value, leaf in zip("ab", found, inputs, strict=True):
        if not isinstance(value, Tensor) or value.shape[0] != PAIRS or (not of_layer and value.shape != leaf.shape):
            wanted = "with one row a pair" if of_layer else f"of shape {tuple(leaf.shape)}"
            raise ContractError(f"the map of {side} must be a tensor {wanted}, it is {getattr(value, 'shape', value)}")
        if not bool(value.any()):
            raise ContractError(f"the map of {side} is zero for a pair that is not alike")
        if subject.cls.unsigned and bool(((value < 0) | (value > 1)).any()):
            raise ContractError(f"the map of {side} reaches from {float(value.min()):.3g} to {float(value.max()):.3g}, and unsigned=True says [0, 1]")


def check_swap(subject: Subject) -> None:
    """Swapping a and b swaps the maps of a symmetric model."""
    if not subject.cls.symmetric or subject.cls.stochastic:
        return
    a, b = pairs()
    model = SiameseModel(encoder(), "dot")
    first, second = subject.attribute(model, (a, b))
    near(subject.attribute(model, (b, a)), (second, first), "when the inputs are swapped")


def check_twin(subject: Subject) -> None:
    """Equals the model with two separate encoders of equal weights."""
    shared = subject.attribute(SiameseModel(encoder(), "dot"), pairs())
    twin = SiameseModel((encoder(), encoder()), "dot")
    near(shared, subject.attribute(twin, pairs()), "from that of the model's two-encoder twin: one branch sees the other's activations")


def check_batch_is_loop(subject: Subject) -> None:
    """A batch of pairs equals a loop over them."""
    if subject.cls.across_pairs:
        return
    a, b = pairs()
    model = SiameseModel(encoder(), "dot")
    rows = [subject.attribute(model, (a[i : i + 1], b[i : i + 1])) for i in range(PAIRS)]
    near(subject.attribute(model, (a, b)), [torch.cat(side) for side in zip(*rows, strict=True)], "from that of each pair alone: pairs leak into each other")


def check_internal_batch_size(subject: Subject) -> None:
    """``internal_batch_size`` changes no value."""
    model = SiameseModel(encoder(), "dot")
    near(subject.attribute(model, pairs(), internal_batch_size=1), subject.attribute(model, pairs()), "with internal_batch_size=1")


def check_identical_pair(subject: Subject) -> None:
    """Two identical inputs give finite maps, also under a Euclidean distance."""
    a, _ = pairs()
    found = subject.attribute(SiameseModel(encoder(), "euclidean"), (a, a.clone()))
    if not all(bool(torch.isfinite(m).all()) for m in found):
        raise ContractError("the maps of two identical inputs are NaN or infinite")


def check_unused_input(subject: Subject) -> None:
    """An input that the score does not depend on gets zeros, and a warning that names it."""
    if subject.cls.of_activations or subject.cls.fitted:
        return
    model = SiameseModel(encoder(), Function(lambda z_a, z_b: z_a.sum(1)))
    explainer = subject.make(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, map_b = explainer.attribute(pairs(), **subject.options)
    if bool(map_b.abs().max() > 1e-6):
        raise ContractError("input b is not used by the model, and its map is not zero")
    if not any("input b" in str(w.message) for w in caught):
        raise ContractError("input b is not used by the model, and no warning names it")


def check_complete(subject: Subject) -> None:
    """Where completeness is claimed, both maps sum to F(a, b) - F(baselines) within 2 %."""
    if not subject.cls.complete:
        return
    with torch.random.fork_rng():
        torch.manual_seed(5)
        smooth = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.Tanh(), nn.Flatten(), nn.Linear(4, 3)).double()
    model = SiameseModel(smooth, "dot")
    explainer = subject.make(model)
    options = {**subject.options, **({"n_steps": 100} if "n_steps" in subject.cls.options() else {})}
    (map_a, map_b), delta = explainer.attribute(pairs(), return_convergence_delta=True, **options)
    with torch.no_grad():
        zeros = [torch.zeros_like(t) for t in pairs()]
        change = explainer.model(*pairs()) - explainer.model(*zeros)
    gap = explainer.total((map_a, map_b), options) - change
    if bool((gap.abs() > 0.02 * change.abs().max()).any()):
        raise ContractError(f"the maps sum to {float((gap + change)[0]):.4g} and the score changes by {float(change[0]):.4g}")
    if bool((gap - delta).abs().max() > 1e-9):
        raise ContractError("the returned delta is not the pair's: sum of both maps less F(a, b) - F(baseline of a, baseline of b)")


def check_constant_model(subject: Subject) -> None:
    """A constant score gets zeros."""
    if subject.cls.of_activations:
        return
    found = subject.attribute(SiameseModel(encoder(), Function(lambda z_a, z_b: 0 * (z_a * z_b).sum(1) + 1)), pairs())
    if any(bool(m.abs().max() > 1e-9) for m in found):
        raise ContractError("the maps of a constant score are not zero")


def check_differentiable(subject: Subject) -> None:
    """``create_graph=True`` gives maps that can be differentiated with respect to the inputs."""
    if not (subject.cls.uses_gradients and subject.cls.differentiable):
        return
    a, b = (t.requires_grad_() for t in pairs())
    found = subject.attribute(SiameseModel(encoder(), "dot"), (a, b), create_graph=True)
    total = sum(m.square().sum() for m in found)
    assert isinstance(total, Tensor)
    slopes = torch.autograd.grad(total, (a, b), allow_unused=True) if total.requires_grad else (None, None)
    if any(g is None or not bool(torch.isfinite(g).all()) or not bool(g.any()) for g in slopes):
        raise ContractError("the maps made with create_graph=True have no gradient with respect to the inputs")
