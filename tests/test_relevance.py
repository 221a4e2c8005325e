"""Layer-wise relevance propagation is that of the score: by its formulas in loops, by captum on one output of the
encoder at a time, and by the identities that it must keep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr as captum
import pytest
import torch
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, GammaRule
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from tests import problems
from xsiamese import PairInputXGradient, PairLayerLRP, PairLRP, SiameseModel, TwoInputModel
from xsiamese.author import Rules, adapt
from xsiamese.model.comparison import Cosine

COMPARISONS = ("dot", "cosine", "euclidean", "squared_euclidean", "manhattan")


def mlp(bias: bool = True, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7, bias=bias), nn.ReLU(), nn.Linear(7, 4, bias=bias)).double().eval()


def cnn(bias: bool = False, norm: bool = False) -> nn.Sequential:
    torch.manual_seed(2)
    layers: list[nn.Module] = [nn.Conv2d(2, 4, 3, padding=1, bias=bias), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(4, 5, 3, stride=2, bias=bias)]
    layers += [nn.BatchNorm2d(5)] if norm else []
    layers += [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4, bias=bias)]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean):
                nn.init.uniform_(tensor, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 2)  # type: ignore[arg-type]
    return nn.Sequential(*layers).double().eval()


def slope(model: SiameseModel, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The embedding of a and the gradient of closeness with respect to it."""
    u = model.encode(a).detach().requires_grad_()
    score = model.compare(u, model.encode(b, 1).detach())
    return u.detach(), torch.autograd.grad((score if model.higher_is_closer else -score).sum(), u)[0]


def in_loops(net: nn.Sequential, x: Tensor, top: Tensor, rule: str, gamma: float, box: Any = None) -> Tensor:
    """The rules as they are printed, one number at a time, for one row through Linear, ReLU, Linear."""
    hidden = net[1](net[0](x))
    relevance = top
    for layer, a in ((net[2], hidden), (net[0], x)):
        weight, bias = layer.weight, layer.bias
        outputs, inputs = weight.shape
        below = torch.zeros(inputs, dtype=a.dtype)
        for k in range(outputs):
            z = [a[j] * weight[k, j] for j in range(inputs)]
            offset = torch.zeros(()) if bias is None else bias[k]
            up = bool(sum(z) + offset >= 0)
            alike, more = (
                [v if bool(v > 0) == up else 0 * v for v in z],
                offset if bool(offset > 0) == up else 0 * offset,
            )
            if layer is net[0] and box is not None:
                shares = [
                    z[j] - box[0] * weight[k, j].clamp(min=0) - box[1] * weight[k, j].clamp(max=0)
                    for j in range(inputs)
                ]
                below_all = sum(shares)
            elif rule == "zplus":
                shares, below_all = alike, sum(alike) + more
            else:
                g = gamma if rule == "gamma" else 0.0
                shares = [z[j] + g * alike[j] for j in range(inputs)]
                below_all = sum(shares) + offset + g * more
            for j in range(inputs):
                below[j] += shares[j] / below_all * relevance[k]
        relevance = below
    return relevance.detach()


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "zplus", "box"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_every_rule_is_its_formula(rule: str, comparison: str) -> None:
    model, (a, b) = SiameseModel(mlp(), comparison), problems.vectors()
    options: dict[str, Any] = {"box": (-4.0, 5.0)} if rule == "box" else {"rule": rule, "gamma": 0.7}
    maps = PairLRP(model).attribute((a, b), **options)
    for found, (x, y) in zip(maps, ((a, b), (b, a)), strict=True):
        u, ds = slope(model, x, y)
        for i in range(len(x)):
            truth = in_loops(model.encoder, x[i], u[i] * ds[i], rule, 0.7, options.get("box"))  # type: ignore[arg-type]
            torch.testing.assert_close(found[i], truth, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_lrp_0_is_gradient_times_input_without_biases(comparison: str) -> None:
    model, pair = SiameseModel(cnn(), comparison), problems.images(size=9, channels=2)
    for found, truth in zip(PairLRP(model).attribute(pair), PairInputXGradient(model).attribute(pair), strict=True):
        torch.testing.assert_close(found, truth, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 30.0])
@pytest.mark.parametrize("rule", ["gamma", "zplus"])
def test_what_enters_arrives_without_biases(rule: Any, gamma: float) -> None:
    pair = problems.images(size=9, channels=2)
    for comparison in ("dot", Cosine(detach_norms=True)):
        model = SiameseModel(cnn(), comparison)
        maps = PairLRP(model).attribute(pair, rule=rule, gamma=gamma)
        for found in maps:
            torch.testing.assert_close(found.sum((1, 2, 3)), model(*pair).detach(), atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize(
    ("rule", "theirs"), [("epsilon", None), ("gamma", GammaRule(0.25)), ("zplus", Alpha1_Beta0_Rule())]
)
def test_equals_captum_on_one_dimension_of_the_embedding_at_a_time(rule: Any, theirs: Any) -> None:
    """Relevance is linear in what enters: R(u * g) is the sum of g_k R(u_k), and R(u_k) is captum's of one output.

    The inputs are positive, for captum's rules split weights and not contributions.
    """
    net, (a, b) = mlp(), (t.abs() for t in problems.vectors())
    if theirs is not None:
        nn.init.zeros_(net[0].bias)  # type: ignore[arg-type]  # captum keeps biases whole, ours are split like the rest
    model = SiameseModel(net, "euclidean")
    found = PairLRP(model).attribute((a, b), rule={"0": rule})[0]
    _, ds = slope(model, a, b)
    truth = torch.zeros_like(a)
    for k in range(ds.shape[1]):
        alone = mlp()
        alone.load_state_dict(net.state_dict())
        if theirs is not None:
            alone[0].rule = theirs
        truth += ds[:, k : k + 1] * captum.LRP(alone).attribute(a, target=k)
    torch.testing.assert_close(found, truth, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "zplus"])
def test_a_batch_normalisation_is_one_layer_with_the_convolution_before_it(rule: Any) -> None:
    pair, net = problems.images(size=9, channels=2), cnn(bias=True, norm=True)
    one = cnn(bias=True)
    one.load_state_dict({k: v for k, v in net.state_dict().items() if k.split(".")[0] in ("0", "3")}, strict=False)
    one[7].load_state_dict(net[8].state_dict())
    merged = torch.nn.utils.fusion.fuse_conv_bn_eval(net[3], net[4])
    one[3].load_state_dict(merged.state_dict())
    for found, truth in zip(
        PairLRP(SiameseModel(net, "cosine")).attribute(pair, rule=rule),
        PairLRP(SiameseModel(one, "cosine")).attribute(pair, rule=rule),
        strict=True,
    ):
        torch.testing.assert_close(found, truth, atol=1e-10, rtol=1e-8)


def _spectral(layer: nn.Module) -> None:
    parametrizations.spectral_norm(layer)


def _weight(layer: nn.Module) -> None:
    parametrizations.weight_norm(layer)


def _old_weight(layer: nn.Module) -> None:
    nn.utils.weight_norm(layer)


def _pruned(layer: nn.Module) -> None:
    prune.random_unstructured(layer, "weight", 0.4)


@pytest.mark.parametrize("wrap", [_spectral, _weight, _old_weight, _pruned])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_normalised_and_pruned_weights(wrap: Callable[[nn.Module], None]) -> None:
    net, plain, pair = mlp(), mlp(), problems.vectors()
    wrap(net[0])
    net.eval()
    with torch.no_grad():
        net(pair[0])
        plain[0].weight.copy_(net[0].weight)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    for found, truth in zip(
        PairLRP(SiameseModel(net, "cosine")).attribute(pair, rule="gamma"),
        PairLRP(SiameseModel(plain, "cosine")).attribute(pair, rule="gamma"),
        strict=True,
    ):
        torch.testing.assert_close(found, truth, atol=1e-10, rtol=1e-9)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("wrt", ["both", "first", "second"])
@pytest.mark.parametrize("way", [problems.Shared, problems.Backwards, problems.Stacked])
def test_however_the_model_is_written(way: Any, wrt: Any) -> None:
    """What enters is u * ds/du also where the model is one module: its comparison is not taken for a layer."""
    pair, head = problems.images(size=9, channels=2), nn.Linear(4, 1).double()

    def compare(u: Tensor, v: Tensor) -> Tensor:
        score: Tensor = head((u - v).abs())
        return score.squeeze(1)

    written = way(cnn(bias=True), compare)
    written.head = head
    for options in ({"rule": "gamma"}, {"rule": "zplus"}):
        truth = PairLRP(SiameseModel(cnn(bias=True), compare)).attribute(pair, wrt=wrt, **options)
        found = PairLRP(TwoInputModel(written)).attribute(pair, wrt=wrt, **options)
        for x, y in zip(found, truth, strict=True):
            torch.testing.assert_close(x, y, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.GELU(), nn.SiLU(inplace=True), nn.Softplus()])
def test_activations_pass_relevance_on(activation: nn.Module) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4, bias=False), activation).double()
    model, (a, b) = SiameseModel(net, "dot"), problems.vectors()
    u, ds = slope(model, a, b)
    for rule in ("epsilon", "gamma"):
        found = PairLRP(model).attribute((a, b), rule=rule)[0]
        torch.testing.assert_close(found.sum(1), (u * ds).sum(1), atol=1e-10, rtol=1e-9)


def test_layer_normalisation_keeps_relevance() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4, bias=False), nn.LayerNorm(4, bias=False)).double()
    model, pair = SiameseModel(net, "dot"), problems.vectors()
    score = model(*pair).detach()
    torch.testing.assert_close(PairLRP(model).attribute(pair)[0].sum(1), score, atol=1e-10, rtol=1e-9)
    assert (
        float((PairInputXGradient(model).attribute(pair)[0].sum(1) / score).abs().max()) < 0.01
    )  # a gradient does not


@pytest.mark.parametrize("wrt", ["both", "first"])
@pytest.mark.parametrize("rule", ["epsilon", "gamma"])
def test_of_a_layer(rule: Any, wrt: Any) -> None:
    """The relevance at an activation is that of the layer before it, and at every layer what entered."""
    model, pair = SiameseModel(cnn(), "dot"), problems.images(size=9, channels=2)
    at = {name: PairLayerLRP(model, name).attribute(pair, rule=rule, wrt=wrt) for name in ("0", "1", "3", "4", "7")}
    for side in (0, 1) if wrt == "both" else (0,):
        torch.testing.assert_close(at["0"][side], at["1"][side])
        torch.testing.assert_close(at["3"][side], at["4"][side])
        for found in at.values():
            torch.testing.assert_close(found[side].flatten(1).sum(1), model(*pair).detach(), atol=1e-10, rtol=1e-9)
    if wrt == "first":
        assert not any(bool(found[1].any()) for found in at.values())
    u, ds = slope(model, *pair)
    torch.testing.assert_close(at["7"][0], u * ds)


def test_the_default_layer_is_taken() -> None:
    found = PairLayerLRP(SiameseModel(cnn(norm=True), "cosine")).attribute(problems.images(size=9, channels=2))
    assert bool(found[0].any())
    assert found[0].dim() == 4


def test_what_it_cannot_do_is_said() -> None:
    pair = problems.vectors()
    with pytest.raises(ValueError, match="rule='alpha': 'epsilon', 'gamma', 'zplus' or 'gradient' or a mapping"):
        PairLRP(SiameseModel(mlp(), "dot")).attribute(pair, rule="alpha")
    with pytest.raises(ValueError, match="leaves the box"):
        PairLRP(SiameseModel(mlp(), "dot")).attribute(pair, box=(0, 1))
    with pytest.raises(ValueError, match="gets the input as it is"):
        PairLRP(SiameseModel(nn.Sequential(nn.Tanh(), mlp()), "dot")).attribute(pair, box=(-9, 9))
    for settings, said in (
        ({"rule": {"0": "foo"}}, "rule='foo': one of epsilon, gamma, zplus, gradient is needed"),
        ({"gamma": -1.0}, "gamma=-1.0: a number that is not negative is needed"),
        ({"epsilon": -0.5}, "epsilon=-0.5: a number that is not negative is needed"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            PairLRP(SiameseModel(mlp(), "dot")).attribute(pair, **settings)
    with pytest.raises(ValueError, match=r"^box=3: a pair \(lowest, highest value of the input\) is needed$"):
        Rules(box=3)  # type: ignore[arg-type]
    recurrent = SiameseModel(nn.Sequential(nn.RNN(5, 3).double()), lambda u, v: u[0].sum(1) * v[0].sum(1))
    with pytest.raises(ValueError, match=r"no rule for '0', a RNN: rule={'0': 'gradient'}"):
        PairLRP(recurrent).attribute(pair)
    assert bool(PairLRP(recurrent).attribute(pair, rule={"0": "gradient"})[0].any())
    with pytest.raises(ValueError, match="take PairLRP"):
        adapt(captum.LRP)


class Held(nn.Module):
    """Two inputs, an encoder, or its layers as the model's own, and what compares."""

    def __init__(self, net: nn.Sequential, loose: bool) -> None:
        super().__init__()
        self.net = net if not loose else None
        self.enter, self.rest = (net[0], net[1:]) if loose else (None, None)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z_a, z_b = (self.net(x) if self.net is not None else self.rest(self.enter(x)) for x in (a, b))  # type: ignore[misc]
        return (z_a * z_b).sum(1)


def test_rules_are_given_by_the_names_that_layers_have() -> None:
    """They were names below each shared module: all others, and misspelt ones, changed nothing in silence."""
    pair = tuple(t.abs() for t in problems.vectors())
    siamese = SiameseModel(mlp(), "dot")
    first, none, every = (PairLRP(siamese).attribute(pair, rule=rule) for rule in ({"0": "gamma"}, "epsilon", "gamma"))
    assert not any(torch.allclose(one, other) for one, other in zip(first, none, strict=True))
    whole, loose = (TwoInputModel(Held(mlp(), one), higher_is_closer=True) for one in (False, True))
    rules: list[tuple[Any, dict[str, Any]]] = [
        (siamese, {"encoder.0": "gamma"}), (whole, {"net.0": "gamma"}), (whole, {"model.net.0": "gamma"}),
        (whole, {"net": "epsilon", "net.0": "gamma"}), (whole, {"net.0": "gamma", "net": "epsilon"}),
        (loose, {"enter": "gamma"}), (loose, {"": "epsilon", "enter": "gamma"}),
    ]  # fmt: skip
    for model, rule in rules:
        torch.testing.assert_close(PairLRP(model).attribute(pair, rule=rule), first)
    for model, rule in ((siamese, {"": "gamma"}), (whole, {"net": "gamma"}), (loose, {"": "gamma"})):
        torch.testing.assert_close(PairLRP(model).attribute(pair, rule=rule), every)
    for wrong, near in (("net.O", "did you mean 'net.2' or 'net.1' or 'net.0'"), ("nothing", "there are ")):
        with pytest.raises(ValueError, match=f"^no layer is called '{wrong}'; {near}"):
            PairLRP(whole).attribute(pair, rule={wrong: "gamma"})
    attention = TwoInputModel(Attending(), higher_is_closer=True)
    inputs = torch.rand(2, 2, 3, 4, dtype=torch.float64).unbind()
    with pytest.raises(ValueError, match=r"no rule for 'att', a MultiheadAttention: rule={'att': 'gradient'} takes"):
        PairLRP(attention).attribute(inputs)
    assert all(bool(one.any()) for one in PairLRP(attention).attribute(inputs, rule={"att": "gradient"}))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.att = nn.MultiheadAttention(4, 2, batch_first=True).double()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z_a, z_b = (self.att(x, x, x)[0].mean(1) for x in (a, b))
        return (z_a * z_b).sum(1)


class Mapped(nn.Module):
    """Layers inside a transform of torch.func."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return torch.func.vmap(self.net)(x)


def test_layers_inside_a_transform_are_told() -> None:
    pair = problems.vectors()
    with pytest.raises(ValueError, match=r"inside a transform of torch\.func"):
        PairLRP(SiameseModel(Mapped(), "dot")).attribute(pair, rule="gamma")


def test_what_is_nearly_nothing_has_no_share_and_no_nan() -> None:
    """A sigmoid of a number so small that its share overflows made the score NaN, which was blamed on baselines."""
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Sigmoid(), nn.Linear(3, 2, bias=False))
    torch.manual_seed(0)
    with torch.no_grad():
        net[0].weight.copy_(torch.diag(torch.tensor([1e-42, 1.0, 2.0])))  # type: ignore[operator]
    a, b = torch.ones(1, 3), torch.tensor([[1.0, 2.0, 3.0]])
    found = PairLRP(SiameseModel(net, "dot")).attribute((a, b))
    assert all(bool(one.isfinite().all()) and not one[0, 0] and bool(one[0, 1:].all()) for one in found)
    slope = net[2].weight.T @ net(b)[0]  # type: ignore[operator]
    torch.testing.assert_close(found[0][0, 1:], (slope * torch.tensor([0.5, 1.0, 2.0]).sigmoid())[1:].detach())


def test_a_batch_normalisation_with_no_layer_before_it_is_differentiated() -> None:
    """Its output is affine in the input: what comes back to it goes on by its slope, the scale over the deviation."""
    norm, linear = nn.BatchNorm1d(3).double(), nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([0.5, -1.0, 2.0]))  # type: ignore[union-attr]
        norm.running_var.copy_(torch.tensor([0.25, 4.0, 1.0]))  # type: ignore[union-attr]
        norm.weight.copy_(torch.tensor([2.0, 1.0, 0.5]))
    encoder = nn.Sequential(norm, linear).eval()
    a, b = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = PairLRP(SiameseModel(encoder, "dot")).attribute((a, b))
    slope = torch.tensor([2.0, 1.0, 0.5]).double() / (torch.tensor([0.25, 4.0, 1.0]).double() + norm.eps).sqrt()
    for item, other, one in zip((a, b), (b, a), found, strict=True):
        share = item * slope * (encoder(other) @ linear.weight).detach()
        torch.testing.assert_close(one, share, rtol=1e-5, atol=1e-6)
