"""Whether the maps are right."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from xsiamese.contract.numbers import Numbers
from xsiamese.contract.subject import PAIRS, ContractError, LeftOut, Subject, near
from xsiamese.model.comparison import Function
from xsiamese.model.pair import SiameseModel


def check_two_results(subject: Subject) -> None:
    """Two tensors with one row a pair, shaped as the inputs unless they are of a layer, and in [0, 1] where they are
    called a relevance.
    """
    inputs = subject.pairs()
    found = subject.attribute(subject.model(), inputs)
    if isinstance(found, Numbers):
        if not any(part.numel() for part in found):
            raise ContractError("explain gives neither maps nor columns with numbers")
        return
    if not isinstance(found, tuple) or len(found) != 2:
        raise ContractError(f"attribute must return a tuple of two maps, it returned {type(found).__name__}")
    for side, value, leaf in zip("ab", found, inputs, strict=True):
        if wanted := subject.mirrors(value, leaf):
            raise ContractError(f"the map of {side} must be {wanted}, it is {getattr(value, 'shape', value)}")
        if not bool(value.any()):
            raise ContractError(f"the map of {side} is zero for a pair that is not alike")
        if subject.cls.traits.unsigned and bool(((value < 0) | (value > 1)).any()):
            raise ContractError(
                f"the map of {side} reaches from {float(value.min()):.3g} to {float(value.max()):.3g}, and "
                "a relevance is in [0, 1]"
            )


def check_swap(subject: Subject) -> None:
    """Swapping a and b swaps the maps of a symmetric model."""
    a, b = subject.pairs()
    model = subject.model()
    first, second = _maps(subject, model, (a, b))
    near(subject.attribute(model, (b, a)), (second, first), "when the inputs are swapped")


def check_twin(subject: Subject) -> None:
    """Equals the model with two separate encoders of equal weights."""
    shared = subject.attribute(subject.model(), subject.pairs())
    twin = subject.model((subject.encoder(), subject.encoder()))
    near(
        shared,
        subject.attribute(twin, subject.pairs()),
        "from that of the model's two-encoder twin: one branch sees the other's activations",
    )


def check_batch_is_loop(subject: Subject) -> None:
    """A batch of pairs equals a loop over them."""
    model = subject.model()
    rows = [subject.attribute(model, subject.one(subject.pairs(), i)) for i in range(PAIRS)]
    near(
        subject.attribute(model, subject.pairs()),
        [torch.cat(side) for side in zip(*rows, strict=True)],
        "from that of each pair alone: pairs leak into each other",
    )


def check_internal_batch_size(subject: Subject) -> None:
    """``internal_batch_size`` changes no value."""
    model = subject.model()
    near(
        subject.attribute(model, subject.pairs(), internal_batch_size=1),
        subject.attribute(model, subject.pairs()),
        "with internal_batch_size=1",
    )


def check_identical_pair(subject: Subject) -> None:
    """Two identical inputs give finite maps, also under a Euclidean distance."""
    a, _ = subject.pairs()
    found = subject.attribute(SiameseModel(subject.encoder(), "euclidean"), (a, a.clone()))
    if not all(bool(torch.isfinite(m).all()) for m in found):
        raise ContractError("the maps of two identical inputs are NaN or infinite")


def check_unused_input(subject: Subject) -> None:
    """An input that the score does not depend on gets zeros, and a warning that names it."""
    model = SiameseModel(subject.encoder(), Function(lambda z_a, z_b: z_a.sum(1)))
    explainer = subject.make(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, map_b = subject.plain(explainer.attribute(subject.given(subject.pairs()), **subject.options))
    if bool(map_b.abs().max() > 1e-6):
        raise ContractError("input b is not used by the model, and its map is not zero")
    about_score = subject.cls.takes_target  # a search for what flips a decision may leave a side alone that counts
    if about_score and not any("input b" in str(w.message) for w in caught):
        raise ContractError("input b is not used by the model, and no warning names it")


def check_complete(subject: Subject) -> None:
    """Where completeness is claimed, both maps sum to F(a, b) - F(baselines) within 2 %; where each side moves alone,
    to F(a, b) - F(a0, b) + F(a, b) - F(a, b0).
    """
    model = subject.model(subject.smooth())
    explainer = subject.make(model)
    options = {**subject.options, **({"n_steps": 100} if "n_steps" in subject.cls.options() else {})}
    found, delta = explainer.attribute(subject.given(subject.pairs()), return_convergence_delta=True, **options)
    with torch.no_grad():
        a, b = subject.pairs()
        starts = ((0 * a, b), (a, 0 * b)) if subject.cls.apart else ((0 * a, 0 * b),)
        score = explainer.model(*subject.given((a, b)))
        change = torch.stack([score - explainer.model(*subject.given(start)) for start in starts]).sum(0)
    gap = subject.total(explainer, found) - change
    if bool((gap.abs() > 0.02 * change.abs().max()).any()):
        raise ContractError(
            f"the maps sum to {float((gap + change)[0]):.4g} and the score changes by {float(change[0]):.4g}"
        )
    if bool((gap - delta).abs().max() > 1e-9):
        raise ContractError(
            "the returned delta is not the pair's: sum of both maps less the change of the score from the baselines"
        )


def check_constant_model(subject: Subject) -> None:
    """A constant score gets zeros."""
    found = _maps(
        subject,
        SiameseModel(subject.encoder(), Function(lambda z_a, z_b: 0 * (z_a * z_b).sum(1) + 1)),
        subject.pairs(),
    )
    if any(bool(m.abs().max() > 1e-9) for m in found):
        raise ContractError("the maps of a constant score are not zero")


def check_differentiable(subject: Subject) -> None:
    """``create_graph=True`` gives maps that can be differentiated with respect to the inputs."""
    a, b = (t.requires_grad_() for t in subject.pairs())
    found = _maps(subject, subject.model(), (a, b), create_graph=True)
    total = sum(m.square().sum() for m in found)
    assert isinstance(total, Tensor)
    slopes = torch.autograd.grad(total, (a, b), allow_unused=True) if total.requires_grad else (None, None)
    if any(g is None or not bool(torch.isfinite(g).all()) or not bool(g.any()) for g in slopes):
        raise ContractError("the maps made with create_graph=True have no gradient with respect to the inputs")


def check_relabelling(subject: Subject) -> None:
    """Nodes and edges of a graph in another order get the same values, in that order."""
    subject.check_relabelling()


def _maps(subject: Subject, model: SiameseModel, inputs: tuple[Tensor, Tensor], **options: Any) -> Any:
    """The maps, where there are any: what a swap or a constant score does to columns is their own affair."""
    found = subject.attribute(model, inputs, **options)
    if isinstance(found, Numbers):
        raise LeftOut("it gives no maps")
    return found
