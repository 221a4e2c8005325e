"""What models do inside: layers with a forward of their own, experts that a router chooses, derivatives."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import pytest
import torch
from captum.attr import DeepLift, GuidedBackprop
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from xsiamese import (
    PairCounterfactualMaps,
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairGuidedBackprop,
    PairIntegratedGradients,
    PairLayerIntegratedGradients,
    PairLRP,
    SiameseModel,
    explainers,
)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of channels that come first, as ConvNeXt has it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SameConv(nn.Conv2d):
    """A convolution that pads its input by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(x, (1, 1, 1, 1)), self.weight, self.bias)


class StandardConv(nn.Conv2d):
    """A convolution whose weights are standardised in each pass."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), keepdim=True)
        return functional.conv2d(x, (self.weight - mean) / variance.sqrt(), self.bias)


class CosineLinear(nn.Linear):
    """A layer that is not affine in its input."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(functional.normalize(x), functional.normalize(self.weight), self.bias)


def encoder(layer: nn.Module, size: int = 4) -> nn.Sequential:
    layers = nn.Conv2d(3, 4, 3, padding=1, bias=False), layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3, bias=False)
    made = nn.Sequential(*layers).double().eval()
    made(torch.zeros(1, 3, size, size, dtype=torch.float64))
    return made


def images(size: int = 4) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    a, b = torch.randn(2, 2, 3, size, size, dtype=torch.float64)
    return a, b


@pytest.mark.parametrize("size", [4, 5])  # as wide as there are channels, and not
def test_normalised_channels_that_come_first_pass_relevance_on(size: int) -> None:
    """All of it, where weights have no bias; with the spread a constant, it is gradient times input."""
    torch.manual_seed(0)
    made, (a, b) = encoder(ChannelNorm(4), size), images(size)
    found = PairLRP(SiameseModel(made, "dot")).explain((a, b))
    torch.testing.assert_close(found.scores, (made(a) * made(b)).sum(1).detach())
    x = a.clone().requires_grad_()
    h = made[0](x)
    spread = (h.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt().detach()
    score = (made[4](((h - h.mean(1, keepdim=True)) / spread).relu().flatten(1)) * made(b).detach()).sum()
    (slope,) = torch.autograd.grad(score, x)
    torch.testing.assert_close(found.maps[0], (slope * a).detach())
    torch.testing.assert_close(found.maps[0].flatten(1).sum(1), found.scores)


@pytest.mark.parametrize("layer", [SameConv, StandardConv])
def test_a_convolution_with_a_forward_of_its_own(layer: Any) -> None:
    torch.manual_seed(0)
    made, (a, b) = encoder(layer(4, 4, 3, bias=False)), images()
    x = a.clone().requires_grad_()
    (slope,) = torch.autograd.grad((made(x) * made(b)).sum(), x)
    found = PairLRP(SiameseModel(made, "dot")).attribute((a, b))[0]
    torch.testing.assert_close(found, (slope * a).detach())
    with pytest.raises(ValueError, match=rf"^LRP has no rule for '1', a {layer.__name__}: rule="):
        PairLRP(SiameseModel(made, "dot")).attribute((a, b), rule="gamma")


def test_a_layer_that_is_not_what_its_class_says_has_no_rule() -> None:
    made = nn.Sequential(nn.Flatten(), CosineLinear(48, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    with pytest.raises(ValueError, match=r"^LRP has no rule for '1', a CosineLinear: rule=\{'1': 'gradient'\} takes"):
        PairLRP(SiameseModel(made, "dot")).attribute(images())
    with pytest.raises(ValueError, match=r"^LRP has no rule for '1', a ChannelNorm"):
        PairLRP(SiameseModel(encoder(Halved(4)), "dot")).attribute(images())


class Halved(ChannelNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


Halved.__name__ = "ChannelNorm"


class Experts(nn.Module):
    """Each row, or each token, goes to the expert that a router chooses for it."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(5, 3)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.router(x).softmax(-1)
        chosen, given = weights.argmax(-1), x.new_zeros(*x.shape[:-1], 4)
        for i, expert in enumerate(self.experts):
            if (own := chosen == i).any():
                given[own] = expert(x[own]) * weights[own][:, i : i + 1]
        return given.reshape(len(x), -1, 4).mean(1)


class Twin(nn.Module):
    def __init__(self, made: nn.Module) -> None:
        super().__init__()
        self.first, self.second = deepcopy(made), deepcopy(made)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (self.first(a) * self.second(b)).sum(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", [(5,), (7, 5)])
def test_experts_that_a_router_chooses(shape: tuple[int, ...]) -> None:
    """DeepLIFT would compare what an expert gives for one row with what it gives for another."""
    torch.manual_seed(0)
    made = Experts().double().eval()
    a, b = torch.randn(2, 4, *shape, dtype=torch.float64)
    model = SiameseModel(made, "dot")
    with pytest.raises(
        ValueError, match=r"^encoder\.experts\.\d.* gets other rows for other inputs, as an expert that"
    ):
        PairDeepLift(model).attribute((a, b), kind="text" if len(shape) > 1 else "row")
    found = PairGuidedBackprop(model).attribute((a, b))
    for x, y in zip(found, GuidedBackprop(Twin(made)).attribute((a, b)), strict=True):
        torch.testing.assert_close(x, y)


def test_a_layer_that_has_no_part_is_no_expert() -> None:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)).double()
    made.extra = nn.Linear(2, 2)
    made.forward = nn.Sequential(*[made[i] for i in range(3)]).forward  # type: ignore[method-assign]
    a, b = torch.randn(2, 3, 5, dtype=torch.float64)
    plain = nn.Sequential(*[made[i] for i in range(3)])
    found = PairDeepLift(SiameseModel(made, "dot")).attribute((a, b), joint=True)
    expected = DeepLift(Twin(plain)).attribute((a, b))
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y)


class Force(nn.Module):
    """The derivative of an energy, as of a force field."""

    def __init__(self, derived: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.energy, self.derived = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1)), derived

    def forward(self, x: Tensor) -> Tensor:
        return self.derived(self.energy, x).mean(1)


def by_autograd(energy: nn.Module, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad(energy(x).sum(), x, create_graph=True)[0]


def by_transform(energy: nn.Module, x: Tensor) -> Tensor:
    found: Tensor = torch.func.vmap(torch.func.grad(lambda row: energy(row).sum()))(x)
    return found


@pytest.mark.parametrize("derived", [by_autograd, by_transform])
def test_a_derivative_inside_is_told_by_methods_that_would_change_it(derived: Any) -> None:
    torch.manual_seed(0)
    made = Force(derived).double().eval()
    a, b = torch.randn(2, 2, 7, 5, dtype=torch.float64)
    model = SiameseModel(made, "dot")
    with pytest.raises(
        ValueError, match=r"^the model takes a derivative inside its own forward pass, as a force field"
    ):
        PairLRP(model).attribute((a, b))
    with pytest.raises(
        ValueError, match=r"takes a derivative inside its own forward pass|inside a transform of torch.fun"
    ):
        PairDeepLift(model).attribute((a, b))
    ((of_a, _), x) = PairIntegratedGradients(model).attribute((a, b), n_steps=100), a.clone().requires_grad_()
    gone = (made(x) * made(b)).sum(1) - (made(torch.zeros_like(a)) * made(b)).sum(1)
    torch.testing.assert_close(of_a.flatten(1).sum(1), gone.detach(), rtol=1e-3, atol=1e-5)


class Field(nn.Module):
    """An energy for each place of an image, and its derivative, which is known in closed form."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form = form
        self.first, self.second = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 1, 3, padding=1)
        self.curve, self.head = nn.Tanh(), nn.Linear(3, 4)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "closed":
            units = self.curve(self.first(x))
            energy = self.second(units)
            slope = functional.conv_transpose2d(torch.ones_like(energy), self.second.weight, padding=1) * (1 - units**2)
            force = functional.conv_transpose2d(slope, self.first.weight, padding=1)
        else:
            with torch.set_grad_enabled(torch.is_grad_enabled() or self.form == "enabled"):
                x = x if x.requires_grad else x.detach().requires_grad_()
                energy = self.second(self.curve(self.first(x)))
                force = torch.autograd.grad(energy.sum(), x, create_graph=True)[0]
        return self.head(torch.cat([energy, force], 1).tanh().mean((2, 3)))  # type: ignore[no-any-return]


FIELD = tuple(torch.randn(2, 2, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))
SQUARES = (torch.arange(25).reshape(1, 1, 5, 5) // 9,) * 2
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("RISE XFace CorrRISE RELAX DistanceExplainer", {"masks": 8}),
    ("KernelShap Lime", {"feature_mask": SQUARES, "n_samples": 8}),
    ("ShapleyValues FeatureAblation FeaturePermutation", {"feature_mask": SQUARES}),
    ("ShapleyValueSampling", {"feature_mask": SQUARES, "n_samples": 2}),
    ("MaskRegression Lift", {"masks": 128}),
    ("Occlusion", {"sliding_window_shapes": (2, 2, 2)}),
    ("MinimalMask", {"steps": 3}),
    ("Robust", {"steps": 2}),
    (
        "DeepLiftShap LayerDeepLiftShap GradientShap LayerGradientShap",
        {"baselines": tuple(map(torch.zeros_like, FIELD))},
    ),
]
TOLD = "the model takes a derivative inside its own forward pass, as a force field does, "


@pytest.mark.parametrize("name", [name for name, cls in explainers().items() if "image" in cls.traits.modalities])
def test_a_field_is_explained_as_its_closed_form_is_or_told(name: str) -> None:
    """By every method, at every layer; none of them may give other numbers."""
    cls = explainers()[name]
    made: dict[str, Any] = {"threshold": 0.5} if "threshold" in cls.settings() else {}
    made |= {"coupling": "none"} if "coupling" in cls.settings() else {}

    short = name.removeprefix("Pair").removesuffix("PairExplainer")
    settings = next((said for names, said in SETTINGS if short in names.split()), {})

    def maps(form: str, layer: str | None) -> list[Tensor] | str:
        try:
            explainer = cls(SiameseModel(Field(form), "dot"), layer, **made)
            return list(explainer.explain(FIELD, **settings).maps)
        except ValueError as error:
            return str(error)

    told = 0
    for layer in ("first", "second") if cls.traits.needs_layer and not name.startswith("PairDeepLift") else (None,):
        found = maps("enabled", layer)
        if isinstance(found, str):
            told += 1
            assert found.startswith(TOLD) or "only pooling and linear" in found
            continue
        for one, expected in zip(found, maps("closed", layer), strict=True):
            torch.testing.assert_close(one, expected, rtol=1e-6, atol=1e-9)
    changing = ("LRP", "DeepLift", "Guided", "Deconvolution")
    captums = ("PairLayerIntegratedGradients", "PairLayerFeatureAblation", "PairLayerFeaturePermutation")
    assert bool(told) == (any(one in name for one in changing) or name in (*captums, "PairActivationDecomposition"))


def test_a_derivative_where_gradients_are_off_is_no_fault_of_the_inputs() -> None:
    model = SiameseModel(Field("bare"), "dot")
    with pytest.raises(ValueError, match=rf"^{TOLD}where gradients are off \(take it inside torch.enable_grad\(\)\)"):
        PairFeatureAblation(model).attribute(FIELD)
    expected = PairGradCAM(SiameseModel(Field("closed"), "dot"), "first").attribute(FIELD)
    torch.testing.assert_close(PairGradCAM(model, "first").attribute(FIELD), expected)


class Forwards(nn.Module):
    """Attention without a backward pass, as flex_attention is on a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise NotImplementedError("FlexAttention does not support backward on CPU. Please use another device.")
        return self.inner(x)  # type: ignore[no-any-return]


def test_a_layer_without_a_backward_pass_is_no_fault_of_the_inputs() -> None:
    torch.manual_seed(0)
    encoder, pair = Forwards(), (torch.randn(2, 5), torch.randn(2, 5))
    model, inner = SiameseModel(encoder, "dot"), encoder.inner
    said = r"^the score carries no gradient: the graph is cut by a layer that has none \(FlexAttention does not support"
    with pytest.raises(ValueError, match=said):
        PairIntegratedGradients(model).attribute(pair)
    found = PairFeatureAblation(model).attribute(pair)[0]
    lost = pair[0] * (inner(pair[1]) @ inner.weight)
    torch.testing.assert_close(found, lost.detach())


class Padded(nn.Module):
    """A text encoder that finds padding itself, and pools with or without it."""

    def __init__(self, leaves_out: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
        self.leaves_out = leaves_out

    def forward(self, ids: Tensor) -> Tensor:
        padding = ids == 0
        tokens = self.encoder(self.embedding(ids), src_key_padding_mask=padding)
        if not self.leaves_out:
            return tokens.mean(1)
        return (tokens * ~padding[..., None]).sum(1) / (~padding).sum(1, keepdim=True)


def padded_texts() -> tuple[Tensor, Tensor]:
    a, b = torch.randint(1, 20, (2, 2, 6), generator=torch.Generator().manual_seed(0))
    a[:, 4:], b[0, 3:] = 0, 0
    return a, b


def test_a_text_of_padding_only_is_what_has_no_score_and_not_the_pair() -> None:
    """Its mask leaves nothing to pool; methods that take no such text are as for any encoder."""
    torch.manual_seed(0)
    model, (a, b) = SiameseModel(Padded(leaves_out=True)).eval(), padded_texts()
    found = PairGradCAM(model).explain((a, b))
    torch.testing.assert_close(found.scores, model(a, b).detach())
    said = "in pair 0, 1, where inputs are at their baseline or in part removed, and not of the pairs themselves: .*"
    with pytest.raises(ValueError, match=said):
        PairLayerIntegratedGradients(model).explain((a, b))
    other = tuple(torch.full_like(ids, 7).masked_fill(ids == 0, 0) for ids in (a, b))
    found = PairLayerIntegratedGradients(model).explain((a, b), baselines=other, n_steps=400)
    for side, maps in enumerate(found.maps):  # type: ignore[arg-type]
        sides = [other[k] if k == side else (a, b)[k] for k in (0, 1)]
        torch.testing.assert_close(maps.sum((1, 2)), (model(a, b) - model(*sides)).detach(), rtol=1e-2, atol=1e-3)
    broken = SiameseModel(Padded(leaves_out=True)).eval()
    nn.init.constant_(cast(Any, broken.encoder).encoder.layers[0].linear1.bias, torch.nan)
    with pytest.raises(ValueError, match=r"pair 0.*: so is the model's own encoder.encoder.layers.0.linear1.bias"):
        PairLayerIntegratedGradients(broken).explain((a, b), baselines=other)


def test_a_score_that_reads_padding_is_two_by_pytorch_s_two_ways() -> None:
    torch.manual_seed(0)
    model, (a, b) = SiameseModel(Padded(leaves_out=False)).eval(), padded_texts()
    with torch.no_grad():
        fast = float(model(a, b)[0])
    slow = float(model(a, b)[0].detach())
    said = f"the value of pair 0 is {fast:.4g} without gradients and {slow:.4g} with them"
    with pytest.warns(UserWarning, match=re.escape(said)):
        found = PairGradCAM(model).explain((a, b))
    assert float(found.scores[0]) == pytest.approx(slow, abs=1e-6)
    assert torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the model reads what its nn.TransformerEncoder")
        PairGradCAM(SiameseModel(Padded(leaves_out=True)).eval()).explain((a, b))


class Transformed(nn.Module):
    """Layers that are called inside a transform of torch.func, or the same model without one."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form, self.first, self.last = form, nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "vmap":
            inner: Tensor = torch.func.vmap(lambda one: self.first(one[None])[0])(x)
        elif self.form == "jvp":
            inner = torch.func.jvp(self.first, (x,), (torch.zeros_like(x),))[0]
        else:
            inner = self.first(x)
        return self.last(inner.tanh()).mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", ["vmap", "jvp"])
@pytest.mark.parametrize("name", [name for name, cls in explainers().items() if cls.traits.needs_layer])
def test_layers_inside_a_transform_are_told_and_those_behind_it_explained(name: str, form: str) -> None:
    """A zero of captum's, and errors of PyTorch's inside, were what came before."""
    cls = explainers()[name]
    if "image" not in cls.traits.modalities or name == "PairDeepLift":
        return
    made: dict[str, Any] = {"threshold": 0.5} if "threshold" in cls.settings() else {}
    settings = {"baselines": tuple(map(torch.zeros_like, FIELD))} if cls.traits.distribution_baselines else {}
    inside = cls(SiameseModel(Transformed(form), "dot"), "first", **made)
    with pytest.raises(ValueError, match=r"inside a transform of torch\.func|takes a derivative inside"):
        inside.explain(FIELD, **settings)
    found, expected = (cls(SiameseModel(Transformed(one), "dot"), "last", **made) for one in (form, "none"))
    if any(one in name for one in ("LRP", "Guided", "DeepLift")):  # rules go through the layers inside, too
        return
    for one, other in zip(found.explain(FIELD, **settings).maps, expected.explain(FIELD, **settings).maps, strict=True):
        torch.testing.assert_close(one, other)


class Checkpointed(nn.Module):
    """Makes its layers' outputs anew in the backward pass."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.reentrant, self.first, self.last = reentrant, nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = checkpoint(lambda x: self.first(x).tanh(), x, use_reentrant=self.reentrant)
        return self.last(inner).mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_are_told_by_maps_of_a_decision(reentrant: bool) -> None:
    explainer = PairCounterfactualMaps(SiameseModel(Checkpointed(reentrant).double(), "dot"), "first", threshold=0.0)
    with pytest.raises(ValueError, match=r"^the model checkpoints its activations"):
        explainer.explain(FIELD)


class FullExperts(nn.Module):
    """Experts that take so many of all rows that are there, the first ones."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(6, 3), nn.ModuleList(nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        shares = self.router(x).softmax(1)
        chosen, most, out = shares.argmax(1), -(-len(x) // 3), x
        for i, expert in enumerate(self.experts):
            rows = (chosen == i).nonzero()[:most, 0]
            out = out.index_add(0, rows, shares[rows, i, None] * expert(x[rows]))
        return out


class NeuralODE(nn.Module):
    """Steps that are chosen by the error of all rows together."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        time, step = 0.0, 0.2
        while time < 1 - 1e-9:
            step = min(step, 1 - time)
            first = self.slope(x).tanh()
            second = self.slope(x + step * first).tanh()
            small = float((step * (second - first)).square().mean()) < 1e-5 or step < 1e-2
            x, time = (x + step * (first + second) / 2, time + step) if small else (x, time)
            step *= 1.5 if small else 0.5
        return x


@pytest.mark.parametrize("inner", [FullExperts, NeuralODE])
@pytest.mark.parametrize("name", ["PairFeatureAblation", "PairRISE", "PairShapleyValueSampling", "PairLime"])
def test_what_copies_do_to_each_other_is_told_and_one_by_one_there_is_nothing_to_tell(name: str, inner: Any) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 2, 6)
    model = SiameseModel(nn.Sequential(nn.Linear(6, 6), inner(), nn.Linear(6, 3)).eval(), "dot")
    said = "layers of the model look at the whole of all that is asked at once: the value of pair 0 is"
    with pytest.warns(UserWarning, match=said):
        explainers()[name](model).attribute((a, b))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainers()[name](model).attribute((a, b), internal_batch_size=1)
