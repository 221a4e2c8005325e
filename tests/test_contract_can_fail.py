"""For every point of the contract an explainer that breaks that point, and little else: no check is idle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from xsiamese import PairAttribution, PairBatch, PairExplanation
from xsiamese.author import Found, Unsuited
from xsiamese.contract import kinds
from xsiamese.contract.kinds import subjects
from xsiamese.testing import CHECKS, ContractError, check_explainer

Maps = tuple[Any, Any]


class Good(PairAttribution):
    """Gradient times input, with nothing wrong. What breaks below breaks one line of it."""

    name = "good"
    formula = r"x \odot \partial s / \partial x"
    reference = ("shrikumar2016",)
    modalities = frozenset({"image"})

    def compute(self, batch: PairBatch) -> Maps:
        gradients = batch.gradients()
        return batch.maps([leaf * g for leaf, g in zip(batch.moved, gradients, strict=True)])


def doubled(maps: Maps) -> Maps:
    return maps[0], 2 * maps[1]


class OneResult(Good):
    """Gives a map of the wrong shape."""

    def compute(self, batch: PairBatch) -> Maps:
        return tuple(m.sum((1, 2, 3)) for m in super().compute(batch))  # type: ignore[return-value]


class PrefersB(Good):
    """Counts b twice."""

    def compute(self, batch: PairBatch) -> Maps:
        return doubled(super().compute(batch))


class LastCall(Good):
    """Keeps the gradients of the encoder's last call, as any hook that stores one tensor a module does."""

    needs_layer = True

    def compute(self, batch: PairBatch) -> Maps:
        with batch.record(self.layer) as recording:
            value = batch.value()
        (a, b), (slope_a, slope_b) = recording.activations[0], recording.gradients(value, batch.create_graph)[0]
        same = self.model.encoders[0] is self.model.encoders[1]
        return (b * slope_b if same else a * slope_a), b * slope_b


class Leaks(Good):
    """Centres the maps over the batch."""

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return first - first.mean(0) + 1e-3, second - second.mean(0) + 1e-3


class CountsRows(Good):
    """Depends on how many pairs go through at once."""

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return first * (1 if batch.rows is None else 1 + batch.rows), second


class LeavesAMask(Good):
    """Puts a mask on the model and forgets it."""

    def compute(self, batch: PairBatch) -> Maps:
        batch.model.mask = torch.ones(1)  # type: ignore[assignment]
        return super().compute(batch)


class Swallows(Good):
    """Hides what goes wrong in the model."""

    def compute(self, batch: PairBatch) -> Any:
        try:
            return super().compute(batch)
        except KeyError:
            return Found(batch.maps([torch.ones_like(leaf) for leaf in batch.moved]), torch.zeros(batch.pairs))


class TouchesGrad(Good):
    """Runs .backward(), which adds to every parameter's .grad."""

    def compute(self, batch: PairBatch) -> Maps:
        for parameter in batch.model.parameters():
            parameter.requires_grad_(True)
        with torch.enable_grad():
            batch.value().sum().backward()
        return super().compute(batch)


class TouchesWeights(Good):
    """Changes a weight."""

    def compute(self, batch: PairBatch) -> Maps:
        with torch.no_grad():
            next(batch.model.parameters()).add_(1e-3)
        return super().compute(batch)


class TouchesRandom(Good):
    """Draws from the global generator."""

    def compute(self, batch: PairBatch) -> Maps:
        torch.rand(1)
        return super().compute(batch)


class TouchesNumpy(Good):
    """Draws from numpy's generator."""

    def compute(self, batch: PairBatch) -> Maps:
        np.random.rand()
        return super().compute(batch)


class TouchesBuffers(Good):
    """Scores the pairs once more when all is put back."""

    def attribute(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        found = super().attribute(inputs, *args, **kwargs)
        with torch.no_grad():
            self.model.comparison(torch.ones(1, 3), torch.ones(1, 3))
        return found


class NeedsParameters(Good):
    """Weighs its maps by whether parameters were trainable before."""

    def attribute(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        frozen = not any(p.requires_grad for p in self.model.parameters())
        first, second = super().attribute(*args, **kwargs)
        return first * (2 if frozen else 1), second


class SeesInPlace(Good):
    """Keeps a layer's output as it is, so that an in-place ReLU changes it afterwards."""

    needs_layer = True

    def compute(self, batch: PairBatch) -> Maps:
        kept: list[Tensor] = []
        layer = dict(batch.model.named_modules())[
            "encoder.3" if "encoder.3" in dict(batch.model.named_modules()) else "encoder_a.3"
        ]
        handle = layer.register_forward_hook(lambda m, i, o: kept.append(o))
        with torch.no_grad():
            batch.value()
        handle.remove()
        return (kept[0], kept[-1]) if len(kept) > 1 else (kept[0], kept[0])


class WritesInputs(Good):
    """Scales the user's own tensors."""

    def attribute(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        found = super().attribute(inputs, *args, **kwargs)
        inputs[0].mul_(2)
        return found


class CallsItselfUnsigned(Good):
    """Says that its signed maps are relevances."""

    unsigned = True


class DividesByTheDistance(Good):
    """Divides by a score that is zero for two identical inputs."""

    def compute(self, batch: PairBatch) -> Maps:
        score = batch.value().detach()[:, None, None, None]
        first, second = super().compute(batch)
        return first / score, second / score


class ExplainsTheUnused(Good):
    """Gives the input itself where the score does not depend on it."""

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return first, second if bool(second.any()) else batch.b.leaves[0]


class Silent(Good):
    """Says nothing of an unused input."""

    def attribute(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().attribute(*args, **kwargs)


class AlwaysDouble(Good):
    """Returns float64 whatever came in."""

    def attribute(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        first, second = super().attribute(*args, **kwargs)
        return first.double(), second.double()


class Wanders(Good):
    """Draws without a seed."""

    generator = torch.Generator().manual_seed(0)

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return first + 1e-3 * torch.rand(first.shape, generator=self.generator).to(first), second


class IgnoresTheSeed(Good):
    """Says that it draws, and always draws the same."""

    stochastic = True


class ClaimsCompleteness(Good):
    """Says that gradient times input sums to the change of the score."""

    complete = True


class WrongDelta(Good):
    """Integrates, but reports the delta of one side only."""

    complete = True

    def compute(self, batch: PairBatch, *, n_steps: int = 8) -> Maps:
        nodes = (torch.arange(n_steps, dtype=torch.float64) + 0.5) / n_steps
        moved, total = batch.moved, [torch.zeros_like(leaf) for leaf in batch.moved]
        for node in nodes.tolist():
            points = [(node * leaf).detach().requires_grad_() for leaf in moved]
            for i, gradient in enumerate(batch.differentiate(batch.value(*points), points)):
                total[i] += gradient / n_steps
        return batch.maps([leaf * g for leaf, g in zip(moved, total, strict=True)])

    def attribute(self, *args: Any, return_convergence_delta: bool = False, **kwargs: Any) -> Any:  # type: ignore[override]
        found = super().attribute(*args, return_convergence_delta=return_convergence_delta, **kwargs)
        return (found[0], found[1] + 1) if return_convergence_delta else found


class SeesThings(Good):
    """Adds the input to the map."""

    def compute(self, batch: PairBatch) -> Maps:
        return batch.maps([leaf * (g + 1e-2) for leaf, g in zip(batch.moved, batch.gradients(), strict=True)])


class Hoards(Good):
    """Keeps every map it ever made."""

    kept: list[Any] = []

    def compute(self, batch: PairBatch) -> Maps:
        maps = super().compute(batch)
        self.kept.append(maps)
        return maps


class CutsTheGraph(Good):
    """Detaches what should be differentiable."""

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return first.detach(), second.detach()


class PrefersTheFirstNode(Good):
    """Counts the node of a graph that comes first twice."""

    modalities = frozenset({"graph"})

    def compute(self, batch: PairBatch) -> Maps:
        maps = []
        for i, (leaf, slope) in enumerate(zip(batch.moved, batch.gradients(), strict=True)):
            side, number = batch.place(i)
            pair = side.pair_of(number)
            first = torch.diff(pair, prepend=pair[:1] - 1)
            maps.append(leaf * slope * (1 + first).reshape(-1, *[1] * (leaf.dim() - 1)))
        return batch.maps(maps)


class RunsTwice(Good):
    """Explains, and then explains again to know the scores."""

    def explain(self, inputs: Any, *args: Any, **kwargs: Any) -> PairExplanation:
        super().attribute(inputs)
        return super().explain(inputs, *args, **kwargs)


class AllAtOnce(Good):
    """Forgets in explain how many pairs may go through at once."""

    def explain(self, *args: Any, internal_batch_size: Any = None, **kwargs: Any) -> PairExplanation:
        return super().explain(*args, **kwargs)


class OtherScores(Good):
    """Says another score than the model's."""

    def compute(self, batch: PairBatch) -> Found:  # type: ignore[override]
        return Found(super().compute(batch), 2 * batch.value())


class OtherMaps(Good):
    """Gives other maps in explain than in attribute."""

    def explain(self, *args: Any, **kwargs: Any) -> PairExplanation:
        found = super().explain(*args, **kwargs)
        return replace(found, maps=doubled(found.maps))


class NeverExplains(Good):
    """Has maps, and no explanation."""

    def explain(self, *args: Any, **kwargs: Any) -> PairExplanation:
        raise ZeroDivisionError("on purpose")


class Step:
    """An entry that packs itself."""

    def __init__(self, size: Tensor) -> None:
        self.size = size

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"size": self.size}, {}

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Step:
        return cls(tensors["size"])


class Steps(PairExplanation):
    """A view of steps."""

    packables = (Step,)


class Finds(Good):
    """Gives no maps, but a step a pair, with nothing wrong."""

    result = Steps

    def compute(self, batch: PairBatch) -> Found:  # type: ignore[override]
        maps = super().compute(batch)
        return Found(columns={"step": [Step(m.detach()) for m in maps[0]], "size": maps[1].flatten(1).sum(1)})


class ForgetsItsEntries(Finds):
    """Does not say what its entries are, so that a file cannot bring them back."""

    result = PairExplanation


class Whole(Steps):
    """Loses its type in a slice."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return PairExplanation(**{f.name: getattr(found, f.name) for f in fields(found)})


class LosesItsType(Finds):
    """Its result is one no more when it is cut."""

    result = Whole


class FindsNothing(Finds):
    """Gives neither maps nor columns."""

    def compute(self, batch: PairBatch) -> Found:  # type: ignore[override]
        super().compute(batch)
        return Found(columns={"words": ["nothing"] * batch.pairs})


class LeaksColumns(Finds):
    """Centres what it finds over the batch."""

    def compute(self, batch: PairBatch) -> Found:  # type: ignore[override]
        size = super().compute(batch).columns["size"]
        assert isinstance(size, Tensor)
        return Found(columns={"size": size - size.mean()})


class KeepsOnSelf(Good):
    """Remembers the pair on the explainer while it works."""

    def explain(self, inputs: Any, *args: Any, **kwargs: Any) -> PairExplanation:
        self.scale = inputs[0].sum()
        found = super().explain(inputs, *args, **kwargs)
        return replace(found, scores=found.scores, maps=tuple(m * self.scale / inputs[0].sum() for m in found.maps))


class Undescribed(Good):
    """Has an option and does not say what it is."""

    def compute(self, batch: PairBatch, *, power: float = 1.0) -> Maps:
        return super().compute(batch)


class DoesNotFit(Good):
    """Has an option whose default is none of its values."""

    def compute(self, batch: PairBatch, *, power: int = 1.5) -> Maps:  # type: ignore[assignment]
        """The maps.

        Args:
            batch: the pairs.
            power: of nothing.
        """
        return super().compute(batch)


class ClaimsToBeLinear(Good):
    """Squares its maps and says that it is linear."""

    linear = True

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return first * first.abs(), second * second.abs()


class LooksAway(Good):
    """Squares the input and never asks the model, with every exemption that there is."""

    stochastic = across_pairs = of_activations = fitted = unsigned = True
    symmetric = differentiable = False

    def compute(self, batch: PairBatch) -> Maps:
        return batch.maps([leaf**2 / 100 + torch.rand(1) for leaf in batch.moved])


class Nameless(Good):
    """Says neither what it computes nor where that comes from."""

    formula = ""


# which check, who breaks it, what the message must say, and what else breaks with it
BROKEN: list[tuple[str, type[PairAttribution], str, set[str]]] = [
    (
        "1 two results",
        OneResult,
        r"the map of a must be a tensor of shape \(3, 1, 6, 6\), it is torch.Size\(\[3\]\)",
        set(),
    ),
    (
        "1 two results",
        CallsItselfUnsigned,
        r"the map of a reaches from -.* to .*, and a relevance is in \[0, 1\]",
        set(),
    ),
    ("2 swap", PrefersB, "the map of a is off by .* when the inputs are swapped", set()),
    ("3 twin", LastCall, "two-encoder twin", {"2 swap", "12 unused input"}),
    (
        "4 batch is loop",
        Leaks,
        "pairs leak into each other",
        {"5 internal batch size", "12 unused input", "16 constant model"},
    ),
    ("5 internal batch size", CountsRows, "with internal_batch_size=1", set()),
    ("6 nothing left", LeavesAMask, "hooks, masks or attributes stay on the model after attribute", set()),
    ("6 nothing left", Swallows, "swallowed", set()),
    ("7 state", TouchesGrad, r"requires_grad or .grad of a parameter changed", set()),
    (
        "7 state",
        TouchesWeights,
        "was written to while the model was explained",
        set(CHECKS),  # whatever explains is refused
    ),
    ("7 state", TouchesRandom, "state of a random generator", set()),
    ("7 state", TouchesNumpy, "state of a random generator", set()),
    ("7 state", TouchesBuffers, "parameters or buffers changed", set()),
    ("8 frozen parameters", NeedsParameters, "when the parameters are frozen", set()),
    (
        "9 in-place",
        SeesInPlace,
        "clone what a hook records",
        {
            "2 swap",
            "12 unused input",
            "15 complete",
            "16 constant model",
            "18 differentiable",
            "13 device and dtype",
            "3 twin",
            "6 nothing left",
        },
    ),
    (
        "10 inputs kept",
        WritesInputs,
        r"input a was modified \(its values",
        {"2 swap", "3 twin", "4 batch is loop", "18 differentiable"},
    ),
    ("11 identical pair", DividesByTheDistance, "NaN or infinite", set()),
    ("12 unused input", ExplainsTheUnused, "its map is not zero", {"16 constant model"}),
    ("12 unused input", Silent, "no warning names it", set()),
    ("13 device and dtype", AlwaysDouble, r"the map of a is torch.float64 on cpu for inputs in torch.bfloat16", set()),
    (
        "14 deterministic",
        Wanders,
        "two calls with one seed",
        {
            "2 swap",
            "3 twin",
            "4 batch is loop",
            "5 internal batch size",
            "8 frozen parameters",
            "9 in-place",
            "16 constant model",
            "20 one run",
            "22 two at once",
        },
    ),
    ("14 deterministic", IgnoresTheSeed, "two seeds give the same maps", set()),
    ("15 complete", ClaimsCompleteness, r"the maps sum to .* and the score changes by", set()),
    ("15 complete", WrongDelta, "the returned delta is not the pair's", set()),
    ("16 constant model", SeesThings, "constant score are not zero", {"12 unused input"}),
    ("17 memory", Hoards, r"\d+ tensors are still alive after 4 calls", set()),
    ("18 differentiable", CutsTheGraph, "no gradient with respect to the inputs", set()),
    (
        "19 relabelling",
        PrefersTheFirstNode,
        r"on graphs \(node_mask\): the map of a is off by .* when the nodes and edges of a are in another order",
        set(),
    ),
    ("1 two results", FindsNothing, "neither maps nor columns with numbers", {"25 of this model"}),
    ("4 batch is loop", LeaksColumns, "column size is off by .* pairs leak into each other", {"5 internal batch size"}),
    ("20 one run", RunsTwice, "explain encodes 12 rows and attribute 6", set()),
    ("20 one run", AllAtOnce, "explain sends 3 rows through the model at once, not 2", set()),
    ("20 one run", OtherScores, "the model's own are", set()),
    ("20 one run", OtherMaps, "the map of b is off by .* in explain from that of attribute", set()),
    ("20 one run", NeverExplains, "ZeroDivisionError: on purpose", {"17 memory", "21 from a file", "22 two at once"}),
    ("21 from a file", ForgetsItsEntries, "whole: column step comes back as parts: name Step in packables", set()),
    ("21 from a file", LosesItsType, "pairs 1 on: a PairExplanation where .* Whole", set()),
    ("22 two at once", KeepsOnSelf, "when two pairs are explained at once: keep nothing on self", set()),
    ("23 options", Undescribed, "the option power is described nowhere", set()),
    ("23 options", DoesNotFit, "the default of power does not fit its annotation: --power 1.5: a whole number", set()),
    ("24 linear", ClaimsToBeLinear, "from the sum of those of two values", set()),
    ("25 of this model", LooksAway, "are the same for a model with other weights", {"1 two results"}),
    ("described", Nameless, "formula", set()),
]


class ForgetsAfterAFailure(Good):
    """Takes its mask off only if all goes well."""

    def compute(self, batch: PairBatch) -> Maps:
        batch.model.mask = torch.ones(1)  # type: ignore[assignment]
        maps = super().compute(batch)
        del batch.model.mask
        return maps


class TouchesFlags(Good):
    """Leaves the whole model in training mode."""

    def attribute(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        found = super().attribute(*args, **kwargs)
        self.model.train()
        return found


class GivesAList(Good):
    """Gives a list of its maps."""

    def attribute(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return list(super().attribute(*args, **kwargs))


class GivesAListOfGraphs(GivesAList):
    """Gives a list of its explanations."""

    modalities = frozenset({"graph"})


class SeesOnlyB(Good):
    """Gives zeros for a."""

    def compute(self, batch: PairBatch) -> Maps:
        first, second = super().compute(batch)
        return 0 * first, second


class OtherShapes(Good):
    """Gives maps of another shape in explain than in attribute."""

    def explain(self, *args: Any, **kwargs: Any) -> PairExplanation:
        found = super().explain(*args, **kwargs)
        return replace(found, maps=tuple(m.sum(1) for m in found.maps))


class LosesItsNodes(Good):
    """Takes the masks off what it explains of graphs."""

    modalities = frozenset({"graph"})

    def attribute(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        found = super().attribute(*args, **kwargs)
        for one in found:
            del one.node_mask
        return found


class Kept(PairExplanation):
    """A view that its own file knows otherwise: how says in what."""

    def kept(self) -> PairExplanation:
        return self

    def save(self, *args: Any, **kwargs: Any) -> Any:
        return PairExplanation.save(self.kept(), *args, **kwargs)


class KeptPlain(Kept):
    """Its file is one of no type."""

    def kept(self) -> PairExplanation:
        return PairExplanation(**{f.name: getattr(self, f.name) for f in fields(self)})


class KeptHigher(Kept):
    """Its file has higher scores."""

    def kept(self) -> PairExplanation:
        return replace(self, scores=torch.arange(float(len(self))))


class KeptBare(Kept):
    """Its file has other columns."""

    def kept(self) -> PairExplanation:
        return replace(self, columns={"place": torch.zeros(len(self))})


class ComesBackPlain(Good):
    """Its result is of no type in a file."""

    result = KeptPlain


class ComesBackHigher(Good):
    """Its result has other scores in a file."""

    result = KeptHigher


class ComesBackBare(Good):
    """Its result has other columns in a file."""

    result = KeptBare


class OneAtATime(Good):
    """Refuses to work while it works."""

    busy: ClassVar[bool] = False

    def explain(self, *args: Any, **kwargs: Any) -> PairExplanation:
        if self.busy:
            raise KeyError("busy")
        self.busy = True  # type: ignore[misc]
        try:
            return super().explain(*args, **kwargs)
        finally:
            self.busy = False  # type: ignore[misc]


class LeavesFlags(Good):
    """Leaves the model in evaluation mode when it explains."""

    def explain(self, *args: Any, **kwargs: Any) -> PairExplanation:
        found = super().explain(*args, **kwargs)
        self.model.eval()
        return found


class CannotBeWritten(Good):
    """Has a default that is read as another value."""

    def compute(self, batch: PairBatch, *, power: Literal["1"] | int = 1) -> Maps:
        """The maps.

        Args:
            batch: the pairs.
            power: of nothing.
        """
        return super().compute(batch)


class Undocumented(Good):
    formula = Good.formula


class Masked(Good):
    """Is shown as something else."""

    def __repr__(self) -> str:
        return "an explainer"


# the other ways to break a point: the point, who breaks it so, the whole message
BROKEN_OTHERWISE: list[tuple[str, type[PairAttribution], str]] = [
    ("1 two results", GivesAList, "attribute must return a tuple of two maps, it returned list"),
    ("1 two results", GivesAListOfGraphs, "attribute must return a tuple of two maps, it returned list"),
    ("1 two results", LosesItsNodes, "the explanation of a has no node_mask"),
    ("1 two results", SeesOnlyB, "the map of a is zero for a pair that is not alike"),
    (
        "6 nothing left",
        ForgetsAfterAFailure,
        "hooks, masks or attributes stay on the model after an exception in its forward pass",
    ),
    ("7 state", TouchesFlags, "training flags are not as they were: they must be put back module by module"),
    (
        "20 one run",
        OtherShapes,
        "the map of a has shape (3, 6, 6), not (3, 1, 6, 6), in explain from that of attribute",
    ),
    ("21 from a file", ComesBackPlain, "whole: a PairExplanation comes back from the file of a KeptPlain"),
    ("21 from a file", ComesBackHigher, "whole: the scores that come back are [0.0, 1.0, 2.0]"),
    ("21 from a file", ComesBackBare, "whole: other columns come back from the file: place"),
    ("22 two at once", OneAtATime, "of two explanations at once one raised KeyError: 'busy'"),
    (
        "22 two at once",
        LeavesFlags,
        "training flags or requires_grad are not as they were after two explanations at once",
    ),
    ("23 options", CannotBeWritten, "--power 1 is read as '1', and the default is 1"),
    ("described", Undocumented, "name and docstring are needed"),
    ("described", Masked, "repr does not name Masked"),
]


def broken(check: str, cls: type[PairAttribution]) -> str:
    """What the check says against the class, or nothing."""
    try:
        check_explainer(cls, only=check)
    except ContractError as error:
        return str(error)
    return ""


def test_the_good_one_passes() -> None:
    check_explainer(Good)


def test_every_point_is_broken_by_somebody() -> None:
    assert {check for check, *_ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize(("check", "cls", "message", "also"), BROKEN, ids=[cls.__name__ for _, cls, *_ in BROKEN])
def test_the_check_fails_and_says_why(check: str, cls: type[PairAttribution], message: str, also: set[str]) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        check_explainer(cls, only=check)
    assert str(caught.value).startswith(f"{cls.__name__} breaks the contract:\n{check}")
    assert {other for other in CHECKS if broken(other, cls)} - {check} <= also


@pytest.mark.parametrize(
    ("check", "cls", "message"), BROKEN_OTHERWISE, ids=[c.__name__ for _, c, _ in BROKEN_OTHERWISE]
)
def test_the_check_fails_in_other_ways_too(check: str, cls: type[PairAttribution], message: str) -> None:
    kind = subjects(cls, {})[0].kind
    assert broken(check, cls).splitlines()[:2] == [f"{cls.__name__} breaks the contract:", f"{check}{kind}: {message}"]


def test_what_is_not_installed_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    class OfTexts(Good):
        """Is for texts."""

        modalities = frozenset({"text"})

    assert [type(one).__name__ for one in subjects(OfTexts, {})] == ["Texts", "LateInteraction"]
    monkeypatch.setattr(kinds, "comparisons", dict)
    assert [type(one).__name__ for one in subjects(OfTexts, {})] == ["Texts"]
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    assert broken("1 two results", PrefersTheFirstNode).splitlines()[1:] == [
        'on trial: it explains no kind of input that is installed: pip install "xsiamese[graph]"'
    ]


def test_an_unexpected_exception_is_a_failure_with_its_name() -> None:
    class Raises(Good):
        """Raises."""

        def compute(self, batch: PairBatch) -> Maps:
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ContractError, match="1 two results: ZeroDivisionError: on purpose"):
        check_explainer(Raises, only="1 two results")


def test_a_good_one_without_maps_is_held_by_its_columns() -> None:
    report = check_explainer(Finds)
    assert not report.unsuited
    assert report.left_out["2 swap"] == "it gives no maps"
    assert {"3 twin", "4 batch is loop", "20 one run", "21 from a file"} <= set(report.held)


def test_the_report_says_what_was_left_out_by_which_claim() -> None:
    class Draws(Good):
        """Adds a little noise."""

        stochastic = across_pairs = True

        def compute(self, batch: PairBatch) -> Maps:
            first, second = super().compute(batch)
            return first * (1 + torch.rand(1)), second

    assert check_explainer(Draws, only="2 swap").left_out == {"2 swap": "stochastic=True"}
    report = check_explainer(Draws, only="4 batch is loop")
    assert str(report).splitlines() == [
        "Draws: 0 held, 1 left out, 0 unsuited",
        "  4 batch is loop: left out, across_pairs=True",
    ]
    assert check_explainer(Good, only="15 complete").left_out == {"15 complete": "complete=False"}


def test_a_model_that_a_method_is_not_for_is_counted_and_one_must_suit() -> None:
    class ForInnerProducts(Good):
        """Is for one comparison."""

        def compute(self, batch: PairBatch) -> Maps:
            if batch.model.comparison.name == "euclidean":
                raise Unsuited("inner products only")
            return super().compute(batch)

    class ForNothing(Good):
        """Is for no model at all."""

        def compute(self, batch: PairBatch) -> Maps:
            raise Unsuited("never")

    assert check_explainer(ForInnerProducts).unsuited == {"11 identical pair": "inner products only"}
    with pytest.raises(ContractError, match="no model of the contract suits it, and one must: never"):
        check_explainer(ForNothing)


def test_who_explains_nothing_is_no_explainer() -> None:
    class Homeless(Good):
        """Names no kind of input."""

        modalities = frozenset()

    with pytest.raises(ContractError, match="on trial: it explains no kind of input"):
        check_explainer(Homeless)


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean '3 twin'"):
        check_explainer(Good, only="3 twins")
