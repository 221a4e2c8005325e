"""Every captum explainer equals captum itself on the two-encoder twin, and captum alone fails on a shared encoder as
the docs say.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal

import captum.attr as captum
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLinearRegression
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import PairAttribution, SiameseModel

LAYER = "3"


def lime(model: nn.Module) -> captum.Lime:
    """LIME with the linear model that ours fits by itself, without captum's Lasso."""
    return captum.Lime(model, interpretable_model=SkLearnLinearRegression())


SIDES: dict[str, int] = {"first": 0, "second": 1}


def encoder() -> nn.Sequential:
    """A CNN of layers that every captum algorithm knows (captum has no rule for Flatten)."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 5, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
    return nn.Sequential(*layers).double().eval()


def compare(z_a: Tensor, z_b: Tensor) -> Tensor:
    """A score that is linear in neither embedding."""
    return 30 * (torch.nn.functional.cosine_similarity(z_a.flatten(1), z_b.flatten(1)) + (z_a * z_b).flatten(1).sum(1))


MODELS: dict[str, Callable[[], Any]] = {
    "siamese": lambda: SiameseModel(encoder(), compare),
    "shared": lambda: problems.Shared(encoder(), compare),
    "backwards": lambda: problems.Backwards(encoder(), compare),
    "stacked": lambda: problems.Stacked(encoder(), compare),
}
INPUTS = problems.images(2, size=6)
SAMPLES = problems.images(4, size=6, seed=9)
HALVES = torch.zeros(1, 1, 6, 6, dtype=torch.long)
HALVES[..., 3:] = 1
MASKS = (HALVES, HALVES + 2)
LAYER_MASK = torch.arange(5)[None, :, None, None].expand(1, 5, 3, 3)

# our name: (captum's class, captum's options, needs the samples as baselines)
INPUT_LEVEL: dict[str, tuple[type[Any], dict[str, Any], bool]] = {
    "PairSaliency": (captum.Saliency, {}, False),
    "PairInputXGradient": (captum.InputXGradient, {}, False),
    "PairIntegratedGradients": (captum.IntegratedGradients, {"n_steps": 12}, False),
    "PairGradientShap": (captum.GradientShap, {"n_samples": 6, "stdevs": 0.1}, True),
    "PairDeepLift": (captum.DeepLift, {}, False),
    "PairDeepLiftShap": (captum.DeepLiftShap, {}, True),
    "PairGuidedBackprop": (captum.GuidedBackprop, {}, False),
    "PairDeconvolution": (captum.Deconvolution, {}, False),
    "PairFeatureAblation": (captum.FeatureAblation, {}, False),
    "PairOcclusion": (captum.Occlusion, {"sliding_window_shapes": (1, 2, 2)}, False),
    "PairFeaturePermutation": (captum.FeaturePermutation, {}, False),
    "PairShapleyValueSampling": (captum.ShapleyValueSampling, {"n_samples": 4, "feature_mask": MASKS}, False),
    "PairShapleyValues": (captum.ShapleyValues, {"feature_mask": MASKS}, False),
    "PairLime": (lime, {"n_samples": 20, "feature_mask": MASKS}, False),
    "PairKernelShap": (captum.KernelShap, {"n_samples": 20, "feature_mask": MASKS}, False),
}
LAYER_LEVEL: dict[str, tuple[type[Any], dict[str, Any], bool]] = {
    "PairLayerActivation": (captum.LayerActivation, {}, False),
    "PairLayerGradCam": (captum.LayerGradCam, {}, False),
    "PairLayerGradientXActivation": (captum.LayerGradientXActivation, {}, False),
    "PairLayerIntegratedGradients": (captum.LayerIntegratedGradients, {"n_steps": 12}, False),
    "PairLayerConductance": (captum.LayerConductance, {"n_steps": 12}, False),
    "PairInternalInfluence": (captum.InternalInfluence, {"n_steps": 12}, False),
    "PairLayerDeepLift": (captum.LayerDeepLift, {}, False),
    "PairLayerDeepLiftShap": (captum.LayerDeepLiftShap, {}, True),
    "PairLayerGradientShap": (captum.LayerGradientShap, {"n_samples": 6, "stdevs": 0.1}, True),
    "PairLayerFeatureAblation": (captum.LayerFeatureAblation, {"layer_mask": LAYER_MASK}, False),
    "PairLayerFeaturePermutation": (captum.LayerFeaturePermutation, {"layer_mask": LAYER_MASK}, False),
    "PairGuidedGradCam": (captum.GuidedGradCam, {}, False),
}
CASES = {**INPUT_LEVEL, **LAYER_LEVEL}
OURS = ("PairLRP", "PairLayerLRP")  # captum's is not of the score: see test_captum_truth.py


class Swapped(nn.Module):
    """The twin as a function of b, with a held."""

    def __init__(self, twin: nn.Module) -> None:
        super().__init__()
        self.twin = twin

    def forward(self, b: Tensor, a: Tensor) -> Tensor:
        found: Tensor = self.twin(a, b)
        return found


def twin() -> problems.Twin:
    return problems.Twin(encoder(), compare)


def seeded(seed: int = 0) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def single(value: Any) -> Any:
    return value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value


def raw(name: str, wrt: str, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    """captum, called as its documentation says, on a model whose encoders share nothing: the maps of the sides that
    move.
    """
    algorithm, options, samples = CASES[name]
    moving = (0, 1) if wrt == "both" else (SIDES[wrt],)
    inputs: Any = (a, b)
    call = dict(options)
    if samples:
        call["baselines"] = SAMPLES
    if wrt != "both":
        side = SIDES[wrt]
        held = (a, b)[1 - side].clone().requires_grad_()  # DeepLIFT hooks the held branch, too
        inputs, call["additional_forward_args"] = (a, b)[side], (held,)
        call.update({k: call[k][side] for k in ("baselines", "feature_mask") if k in call})
        if "feature_mask" in call:  # captum plays with every number up to the largest, also those that name nothing
            call["feature_mask"] = call["feature_mask"] - call["feature_mask"].min()
    if name == "PairOcclusion" and wrt == "both":
        call["sliding_window_shapes"] = (call["sliding_window_shapes"],) * 2

    def model() -> tuple[nn.Module, list[nn.Module]]:
        made = twin()
        layers = [made.first[3], made.second[3]]
        return (Swapped(made) if wrt == "second" else made), layers

    if name in INPUT_LEVEL:
        seeded()
        found = algorithm(model()[0]).attribute(inputs, **call)
        return found if isinstance(found, tuple) else (found,)
    if name in ("PairLayerGradientXActivation", "PairLayerIntegratedGradients") and wrt == "both":
        whole, layers = model()
        return tuple(single(m) for m in algorithm(whole, layers).attribute(inputs, **call))
    maps = []
    seeded()
    for side in moving:
        whole, layers = model()
        value = algorithm(whole, layers[side]).attribute(inputs, **call)
        maps.append(value[side] if name == "PairGuidedGradCam" and wrt == "both" else single(value))
    return tuple(maps)


def expected(name: str, wrt: str) -> tuple[Tensor, ...]:
    cls = xsiamese.explainers()[name]
    a, b = INPUTS
    if not cls.stochastic or cls.across_pairs:
        return raw(name, wrt, a, b)
    rows = [
        raw(name, wrt, a[i : i + 1], b[i : i + 1]) for i in range(len(a))
    ]  # every pair gets the same random numbers
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))


def ours(name: str, model: Any, wrt: Literal["both", "first", "second"], **more: Any) -> Any:
    cls: Callable[..., PairAttribution] = xsiamese.explainers()[name]
    _, options, samples = CASES[name]
    options = {**options, **({"baselines": SAMPLES} if samples else {}), **more}
    if cls.apart and wrt == "both":
        options.setdefault("joint", True)  # captum moves both sides at once
    if "layer_mask" in options:
        options["layer_mask"] = (LAYER_MASK, LAYER_MASK)
    explainer = (
        cls(model, LAYER if isinstance(model, SiameseModel) else f"encoder.{LAYER}")
        if name in LAYER_LEVEL
        else cls(model)
    )
    return explainer.attribute(INPUTS, wrt=wrt, **options)


def test_every_captum_explainer_is_compared() -> None:
    import xsiamese_captum

    assert {cls.__name__ for cls in xsiamese_captum.EXPLAINERS} == {*CASES, "PairNoiseTunnel", *OURS}


@pytest.mark.parametrize("wrt", ["both", "first", "second"])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_equals_captum_on_the_twin(name: str, kind: str, wrt: Literal["both", "first", "second"]) -> None:
    truth = expected(name, wrt)
    found = ours(name, MODELS[kind](), wrt)
    moving = (0, 1) if wrt == "both" else (SIDES[wrt],)
    for side, value in zip(moving, truth, strict=True):
        assert value.abs().max() > 1e-9, "captum's map is zero: the case says nothing"
        torch.testing.assert_close(found[side], value.double(), atol=1e-6, rtol=1e-6)  # some of captum's are in float32
    for side in {0, 1} - set(moving):
        assert not found[side].any()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("nt_type", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_noise_tunnel_equals_captums(nt_type: str, kind: str) -> None:
    from xsiamese import PairIntegratedGradients, PairNoiseTunnel

    options = {"nt_type": nt_type, "nt_samples": 3, "stdevs": 0.2, "n_steps": 5}
    rows = []
    for a, b in zip(*INPUTS, strict=True):
        seeded()
        rows.append(captum.NoiseTunnel(captum.IntegratedGradients(twin())).attribute((a[None], b[None]), **options))
    found = PairNoiseTunnel(PairIntegratedGradients(MODELS[kind]())).attribute(INPUTS, joint=True, **options)
    for side in (0, 1):
        torch.testing.assert_close(found[side], torch.cat([row[side] for row in rows]), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("wrt", ["both", "first", "second"])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "name", [n for n in CASES if xsiamese.explainers()[n].complete or xsiamese.explainers()[n].returns_delta]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_delta_is_the_pairs_own(name: str, kind: str, wrt: Literal["both", "first", "second"]) -> None:
    (map_a, map_b), delta = ours(name, MODELS[kind](), wrt, return_convergence_delta=True)
    a, b = INPUTS
    samples = SAMPLES if CASES[name][2] else tuple(torch.zeros_like(t[:1]) for t in INPUTS)
    whole = twin()
    with torch.no_grad():
        starts = []
        for i in range(len(samples[0])):
            a0 = samples[0][i : i + 1].expand_as(a) if wrt != "second" else a
            b0 = samples[1][i : i + 1].expand_as(b) if wrt != "first" else b
            starts.append(whole(a0, b0))
        change = whole(a, b) - torch.stack(starts).mean(0)
    total = xsiamese.explainers()[name](SiameseModel(encoder())).total((map_a, map_b), CASES[name][1])
    torch.testing.assert_close(delta, total - change, atol=1e-9, rtol=0)


def test_delta_of_both_sides_equals_captums() -> None:
    _, truth = captum.IntegratedGradients(twin()).attribute(INPUTS, n_steps=12, return_convergence_delta=True)
    _, delta = ours("PairIntegratedGradients", MODELS["shared"](), "both", return_convergence_delta=True)
    torch.testing.assert_close(delta, truth)


# captum's own tools take our explainers


def test_captums_noise_tunnel_takes_ours() -> None:
    from xsiamese import PairSaliency

    seeded()
    truth = captum.NoiseTunnel(captum.Saliency(twin())).attribute(INPUTS, nt_samples=3, stdevs=0.1)
    seeded()
    found = captum.NoiseTunnel(PairSaliency(MODELS["shared"]())).attribute(INPUTS, nt_samples=3, stdevs=0.1)
    for x, y in zip(found, truth, strict=True):
        torch.testing.assert_close(x, y)


def test_captums_infidelity_takes_ours() -> None:
    from xsiamese import PairInputXGradient

    def perturb(inputs: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        noise = tuple(0.1 * torch.randn_like(t) for t in inputs)
        return noise, tuple(t - n for t, n in zip(inputs, noise, strict=True))

    explainer = PairInputXGradient(MODELS["shared"]())
    seeded()
    truth = infidelity(twin(), perturb, INPUTS, captum.InputXGradient(twin()).attribute(INPUTS), n_perturb_samples=4)
    seeded()
    found = infidelity(explainer.forward_func, perturb, INPUTS, explainer.attribute(INPUTS), n_perturb_samples=4)
    torch.testing.assert_close(found, truth)


def test_captums_sensitivity_takes_ours() -> None:
    from xsiamese import PairSaliency

    seeded()
    truth = sensitivity_max(captum.Saliency(twin()).attribute, INPUTS, n_perturb_samples=3)
    seeded()
    found = sensitivity_max(PairSaliency(MODELS["shared"]()).attribute, INPUTS, n_perturb_samples=3)
    torch.testing.assert_close(found, truth)


# what captum alone makes of a shared encoder: these keep the docs true


@pytest.mark.parametrize(
    "name",
    [
        "PairLayerGradCam",
        "PairLayerActivation",
        "PairLayerGradientXActivation",
        "PairLayerConductance",
        "PairInternalInfluence",
    ],
)
def test_captum_alone_explains_the_last_call_only(name: str) -> None:
    shared = MODELS["shared"]()
    found = single(CASES[name][0](shared, shared.encoder[3]).attribute(INPUTS, **CASES[name][1]))
    torch.testing.assert_close(found, expected(name, "both")[1])
    assert (found - expected(name, "both")[0]).abs().max() > 1e-3


@pytest.mark.parametrize("algorithm", [captum.DeepLift, captum.LRP])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_captum_alone_refuses(algorithm: type[Any]) -> None:
    with pytest.raises((RuntimeError, AssertionError)):
        algorithm(MODELS["shared"]()).attribute(INPUTS)


@pytest.mark.parametrize("name", ["PairLayerIntegratedGradients", "PairLayerFeatureAblation"])
def test_captum_alone_puts_one_tensor_into_both_calls(name: str) -> None:
    shared = MODELS["shared"]()
    found = single(CASES[name][0](shared, shared.encoder[3]).attribute(INPUTS, **CASES[name][1]))
    for side in (0, 1):
        assert (found - expected(name, "both")[side]).abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_captum_alone_multiplies_the_map_of_b_onto_both_inputs() -> None:
    shared = MODELS["shared"]()
    found = captum.GuidedGradCam(shared, shared.encoder[3]).attribute(INPUTS)
    truth = expected("PairGuidedGradCam", "both")
    torch.testing.assert_close(found[1], truth[1])
    assert (found[0] - truth[0]).abs().max() > 1e-3


# differentiable maps


@pytest.mark.parametrize("kind", ["siamese", "shared"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("PairSaliency", {"abs": False}), ("PairIntegratedGradients", {"n_steps": 4}), ("PairInputXGradient", {})],
)
def test_create_graph_matches_finite_differences(name: str, options: dict[str, Any], kind: str) -> None:
    smooth = problems.smooth_encoder()
    model = SiameseModel(smooth, "cosine") if kind == "siamese" else problems.Shared(smooth, compare)
    a, b = (t.requires_grad_() for t in problems.vectors(2))
    explainer = xsiamese.explainers()[name](model)
    assert torch.autograd.gradcheck(lambda *pair: explainer.attribute(pair, create_graph=True, **options), (a, b))


@pytest.mark.parametrize("name", ["PairGradCAM", "PairHiResCAM", "PairLayerGradCam"])
def test_create_graph_of_a_layer_matches_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    smooth = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    explainer = xsiamese.explainers()[name](SiameseModel(smooth), "1")
    a, b = (t.requires_grad_() for t in problems.images(1, size=4))
    assert torch.autograd.gradcheck(lambda *pair: explainer.attribute(pair, create_graph=True), (a, b))


@pytest.mark.parametrize("joint", [False, True])
def test_expanded_feature_masks(joint: bool) -> None:
    """A mask that is one row expanded is as good as one that was written out."""
    model, inputs = SiameseModel(problems.conv_encoder(), "dot"), problems.images()
    expanded = (torch.arange(8) // 4).expand(1, 1, 8, 8)
    found, expected = (
        xsiamese.explainers()["PairShapleyValues"](model).attribute(inputs, feature_mask=(mask, mask), joint=joint)
        for mask in (expanded, expanded.contiguous())
    )
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def test_captums_pictures_are_loaded_when_one_is_asked_for_and_are_then_its_own() -> None:
    code = """
import sys, xsiamese
xsiamese.explainers()
assert "matplotlib.pyplot" not in sys.modules
import captum.attr
from captum.attr._core.llm_attr import draw_mask_border
from captum.attr import visualization
assert not hasattr(visualization, "__wrapped__") and "matplotlib.pyplot" not in sys.modules
import matplotlib, numpy
matplotlib.use("agg")
from matplotlib.figure import Figure
axes = Figure().subplots()
mask = numpy.zeros((6, 6), dtype=bool)
mask[2:5, 2:5] = True
draw_mask_border(axes, mask)  # taken before the module had run
assert len(axes.images) == 1 and "matplotlib.pyplot" in sys.modules
assert visualization.visualize_image_attr.__module__ == "captum.attr._utils.visualization"
assert visualization.draw_mask_border is not draw_mask_border and type(visualization).__name__ == "module"
try:
    visualization.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "module 'captum.attr._utils.visualization' has no attribute 'nothing'"
