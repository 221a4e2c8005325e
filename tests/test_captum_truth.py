"""Every adapted algorithm against what its page says: closed forms, definitions summed out, expectations."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import problems
from xsiamese import PairNoiseTunnel, PairSaliency, Pool, SiameseModel, explainers

NAMES = {cls.name: cls for cls in explainers().values()}


def explain(name: str, model: Any, pair: Any, layer: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    cls: Any = NAMES[name]
    found = (cls(model, layer) if cls.needs_layer else cls(model)).attribute(pair, **options)
    return found[0].detach(), found[1].detach()


def same(found: Any, truth: Any, tolerance: float = 1e-6) -> None:
    for x, y in zip(found, truth, strict=True):
        torch.testing.assert_close(x, y.detach(), atol=tolerance, rtol=tolerance)


def rectified(seed: int = 3) -> tuple[SiameseModel, Tensor, Tensor, Tensor]:
    """z = V relu(W x + c) compared by a dot product, and W, c, V."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4, bias=False)).double()
    return SiameseModel(net, "dot"), net[0].weight.detach(), net[0].bias.detach(), net[2].weight.detach()


def grids() -> tuple[SiameseModel, tuple[Tensor, Tensor]]:
    return problems.gap_dot(), problems.images()


def path(function: Any, start: Tensor, end: Tensor, steps: int = 2000) -> Tensor:
    """The gradient of a function along the straight path, by midpoints, times the way."""
    total = torch.zeros_like(end)
    for part in ((torch.arange(steps) + 0.5) / steps).split(250):
        at = (start + part[:, None, None].to(end) * (end - start)).detach().requires_grad_()
        total += torch.autograd.grad(function(at.flatten(0, 1), len(part)).sum(), at)[0].sum(0)
    return (end - start) * total / steps


# gradients


def test_gradients_of_a_bilinear_score() -> None:
    (model, w), (a, b) = problems.linear(), problems.vectors()
    m = w.T @ w
    same(explain("saliency", model, (a, b)), ((b @ m).abs(), (a @ m).abs()))
    same(explain("input_x_gradient", model, (a, b)), (a * (b @ m), b * (a @ m)))


@pytest.mark.parametrize("start", [0.0, 0.7])
def test_integrated_gradients_of_a_square_end_in_the_middle(start: float) -> None:
    """The gradient of -|W (x - y)|^2 is linear in x, so its mean on a path is that in the middle."""
    (model, w), (a, b) = problems.linear("squared_euclidean"), problems.vectors()
    m = w.T @ w
    truth = [-2 * (x - start) * (((x + start) / 2 - y) @ m) for x, y in ((a, b), (b, a))]
    same(explain("integrated_gradients", model, (a, b), baselines=start, n_steps=3), truth)
    gap = a - b  # jointly from one point the gap grows in proportion
    joint = explain("integrated_gradients", model, (a, b), baselines=start, n_steps=3, joint=True)
    same(joint, (-(a - start) * (gap @ m), (b - start) * (gap @ m)))


def test_one_side_explains_its_own_change_and_both_half_of_a_product() -> None:
    (model, w), (a, b) = problems.linear(), problems.vectors()
    rows = (a * (b @ (w.T @ w)), b * (a @ (w.T @ w)))
    masks = (torch.tensor([[0, 0, 1, 1, 1]]), torch.tensor([[2, 2, 3, 3, 3]]))
    groups = nn.functional.one_hot(masks[0][0])
    shares = [(row @ groups.double())[:, masks[0][0]] for row in rows]
    for name, options, truth in (
        ("integrated_gradients", {"n_steps": 2}, rows),
        ("shapley_values", {"feature_mask": masks}, shares),
    ):
        same(explain(name, model, (a, b), **options), truth, 2e-5)  # type: ignore[arg-type]
        same(explain(name, model, (a, b), **options, joint=True), [t / 2 for t in truth], 2e-5)  # type: ignore[arg-type]


def test_from_the_partner_each_side_says_what_sets_it_apart() -> None:
    model, (a, b) = SiameseModel(problems.smooth_encoder(), "cosine"), problems.vectors()
    explainer = NAMES["integrated_gradients"](model)
    (map_a, map_b), delta = explainer.attribute((a, b), baselines="partner", n_steps=100, return_convergence_delta=True)
    same((map_a.sum(1), map_b.sum(1)), (model(a, b) - model(b, b), model(a, b) - model(a, a)), 1e-6)
    assert float((map_a + map_b).abs().max()) > 0.01
    assert float(delta.abs().max()) < 1e-6
    for name in ("integrated_gradients", "shapley_value_sampling", "deep_lift"):
        for baselines in ("partner", (b, a)):
            with pytest.raises(ValueError, match="its own mirror image"):
                explain(name, model, (a, b), baselines=baselines, joint=True)


@pytest.mark.parametrize("name", ["integrated_gradients", "deep_lift", "feature_ablation"])
def test_a_pool_is_the_mean_over_its_items(name: str) -> None:
    (model, _, _, _), (a, b) = rectified(), problems.vectors()
    items = torch.randn(3, 5, dtype=torch.float64)
    each = [explain(name, model, (a, b), baselines=(items[i : i + 1], items[i : i + 1])) for i in range(3)]
    truth = [torch.stack(side).mean(0) for side in zip(*each, strict=True)]
    same(explain(name, model, (a, b), baselines=Pool(items)), truth, 1e-6)
    if name != "feature_ablation":
        explainer = NAMES[name](model)
        delta = explainer.attribute((a, b), baselines=Pool(items), return_convergence_delta=True)[1]
        assert float(delta.abs().max()) < (0.2 if name == "integrated_gradients" else 1e-5)
    assert len(Pool(torch.randn(50, 5), most=7).drawn()[0]) == 7


def test_a_pool_is_refused_where_nothing_is_averaged() -> None:
    (model, _), pair = problems.linear(), problems.vectors()
    with pytest.raises(ValueError, match="PairSaliency starts from one baseline"):
        explain("saliency", model, pair, baselines=Pool(pair[0]))
    with pytest.raises(ValueError, match="both baselines must be Pools"):
        explain("integrated_gradients", model, pair, baselines=(Pool(pair[0]), None))


def test_expected_gradients_of_a_square() -> None:
    """The mean over the start of what integrated gradients gives, whose draws are many here."""
    (model, w), (a, b) = problems.linear("squared_euclidean"), problems.vectors(2)
    starts = torch.tensor([[0.0] * 5, [1.0] * 5], dtype=torch.float64)
    m = w.T @ w
    truth = [torch.stack([-2 * (x - s) * (((x + s) / 2 - y) @ m) for s in starts]).mean(0) for x, y in ((a, b), (b, a))]
    found = explain("gradient_shap", model, (a, b), baselines=(starts, starts), n_samples=5000)
    same(found, truth, 0.15)
    constant = (starts[:1], starts[:1])  # of a score that is linear in one side no draw matters
    dot, _ = problems.linear()
    same(explain("gradient_shap", dot, (a, b), baselines=constant, n_samples=3), (a * (b @ m), b * (a @ m)), 1e-6)


def test_deep_lift_is_the_rescale_rule() -> None:
    (model, w, c, v), (a, b) = rectified(), problems.vectors()

    def rescaled(x: Tensor, y: Tensor, start: Tensor) -> Tensor:
        z, z0 = x @ w.T + c, start @ w.T + c
        slopes = (z.relu() - z0.relu()) / (z - z0)
        top = ((y @ w.T + c).relu() @ v.T) @ v  # the gradient of the dot product at the hidden layer
        return (x - start) * ((top * slopes) @ w)

    zero, one = torch.zeros_like(a), torch.ones_like(a)
    same(explain("deep_lift", model, (a, b)), (rescaled(a, b, zero), rescaled(b, a, zero)))
    both = torch.stack([rescaled(a, b, zero), rescaled(a, b, one)]).mean(0)
    samples = torch.stack([zero[0], one[0]])
    same(explain("deep_lift_shap", model, (a, b), baselines=(samples, samples))[:1], (both,))
    z, z0 = a @ w.T + c, zero @ w.T + c
    top = ((b @ w.T + c).relu() @ v.T) @ v
    same(explain("layer_deep_lift", model, (a, b), "1")[:1], ((z.relu() - z0.relu()) * top,))
    delta = NAMES["deep_lift"](model).attribute((a, b), return_convergence_delta=True)[1]
    assert float(delta.abs().max()) < 1e-9  # one side of a dot product: exact


@pytest.mark.parametrize("name", ["guided_backprop", "deconvolution"])
def test_guided_backpropagation_by_hand(name: str) -> None:
    (model, w, c, v), (a, b) = rectified(), problems.vectors()
    passed = (((b @ w.T + c).relu() @ v.T) @ v).relu()
    passed = passed * ((a @ w.T + c) > 0) if name == "guided_backprop" else passed
    same(explain(name, model, (a, b))[:1], (passed @ w,))


def test_guided_gradcam_is_their_product() -> None:
    model, pair = grids()
    guided, cam = explain("guided_backprop", model, pair), explain("gradcam", model, pair, "3")
    truth = [g * nn.functional.interpolate(c.relu(), size=g.shape[2:]) for g, c in zip(guided, cam, strict=True)]
    same(explain("guided_gradcam", model, pair, "3"), truth)


# layers


def test_of_a_layer_under_a_linear_head() -> None:
    """Global pooling, a linear layer and a dot product: the score is linear in one side's activations A, and its
    gradient there is the same for all A. So the methods of a layer agree, and are known.
    """
    model, (a, b) = grids()
    net = model.encoder
    first, second, zero = (net[:4](x).detach() for x in (a, b, torch.zeros_like(a)))  # type: ignore[index]
    slope = (net[4:](second).detach() @ net[6].weight.detach())[:, :, None, None] / first[0, 0].numel()  # type: ignore[index]
    share = first * slope
    same(explain("layer_activation", model, (a, b), "3"), (first, second))
    same(explain("layer_gradient_x_activation", model, (a, b), "3")[:1], (share,))
    same(explain("layer_gradcam", model, (a, b), "3")[:1], (share.sum(1, keepdim=True),))
    same(explain("internal_influence", model, (a, b), "3", n_steps=4)[:1], (slope.expand_as(first),))
    for name in ("layer_integrated_gradients", "layer_conductance"):
        found = explain(name, model, (a, b), "3", n_steps=200)[0]
        torch.testing.assert_close(found, (first - zero) * slope, atol=1e-3, rtol=1e-3)
    samples = torch.zeros(2, *a.shape[1:], dtype=a.dtype)
    for name in ("layer_gradient_shap", "layer_deep_lift_shap"):
        same(explain(name, model, (a, b), "3", baselines=(samples, samples))[:1], ((first - zero) * slope,), 1e-6)
    same(explain("layer_feature_ablation", model, (a[:1], b[:1]), "3")[:1], (share[:1],))


def test_conductance_and_influence_along_the_path() -> None:
    (model, w, c, v), (a, b) = rectified(), problems.vectors()
    held = ((b @ w.T + c).relu() @ v.T).detach()

    def value(x: Tensor, times: int) -> Tensor:
        return ((x @ w.T + c).relu() @ v.T * held.repeat(times, 1)).sum(1)

    truth = path(value, torch.zeros_like(a), a)
    found = explain("integrated_gradients", model, (a, b), n_steps=400)[0]
    torch.testing.assert_close(found, truth, atol=2e-3, rtol=2e-3)
    through = explain("layer_conductance", model, (a, b), "0", n_steps=500)[0]
    ways = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None, None] * (a @ w.T) + c
    slopes = (held @ v) * (ways > 0)
    conducted = (0.5 * (slopes[1:] + slopes[:-1]) * (ways[1:] - ways[:-1])).sum(0)
    torch.testing.assert_close(through, conducted, atol=5e-3, rtol=5e-3)
    torch.testing.assert_close(
        explain("internal_influence", model, (a, b), "0", n_steps=400)[0], slopes.mean(0), atol=5e-3, rtol=5e-3
    )


# parts taken away


def test_what_a_part_is_worth_by_taking_it_away() -> None:
    (model, *_), (a, b) = rectified(), problems.vectors()

    def value(x: Tensor) -> Tensor:
        return model(x, b).detach()

    truth = torch.zeros_like(a)
    for i in range(5):
        without = a.clone()
        without[:, i] = 0.3
        truth[:, i] = value(a) - value(without)
    same(explain("feature_ablation", model, (a, b), baselines=0.3)[:1], (truth,))
    windows = torch.zeros_like(a)
    covered = torch.zeros(5, dtype=a.dtype)
    for i in range(4):
        without = a.clone()
        without[:, i : i + 2] = 0
        windows[:, i : i + 2] += (value(a) - value(without))[:, None]
        covered[i : i + 2] += 1
    found = explain("occlusion", model, (a, b), sliding_window_shapes=(2,))[:1]
    same(found, (windows / covered,), 1e-6)
    rolled = explain("feature_permutation", model, (a, b), perm_func=lambda x, mask: torch.where(mask, x.roll(1, 0), x))
    for i in range(5):
        other = a.clone()
        other[:, i] = a.roll(1, 0)[:, i]
        torch.testing.assert_close(rolled[0][:, i], value(a) - value(other), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("size", "step"), [(28, 3), (64, 6), (112, 10)])
def test_a_window_that_is_not_given_moves_by_a_third_of_itself(size: int, step: int) -> None:
    """s = a . b: a window that covers a takes what is under it, and a value has the mean of the windows over it."""
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, 1, size, size, dtype=torch.float64)
    encoder, rows = nn.Flatten(), []
    encoder.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    found = explain("occlusion", SiameseModel(encoder, "dot"), (a, b))
    wide = size // 4
    starts = range(0, -(-(size - wide) // step) * step + 1, step)
    taken, often = torch.zeros(2, 1, 1, size, size, dtype=torch.float64)
    for y in starts:
        for x in starts:
            window = (..., slice(y, y + wide), slice(x, x + wide))
            taken[window] += (a * b)[window].sum()
            often[window] += 1
    same(found, (taken / often, taken / often))
    assert sum(rows) < 2 * 100 + 20 + 2 * 8  # and once a pair beside copies of itself and beside others


def test_shapley_values_by_their_definition() -> None:
    (model, _, _, _), (a, b) = rectified(), problems.vectors(2)
    masks = torch.tensor([[0, 1, 1, 2, 3]])
    truth = torch.zeros(2, 4, dtype=torch.float64)
    orders = list(permutations(range(4)))
    for order in orders:
        present = torch.zeros_like(a)
        last = model(present, b).detach()
        for player in order:
            present = torch.where(masks == player, a, present)
            now = model(present, b).detach()
            truth[:, player] += (now - last) / len(orders)
            last = now
    truth = truth[:, masks[0]]
    options = {"feature_mask": (masks, masks)}
    same(explain("shapley_values", model, (a, b), **options)[:1], (truth,), 1e-5)
    same(explain("kernel_shap", model, (a, b), **options)[:1], (truth,), 0.05)
    found = explain("shapley_value_sampling", model, (a, b), n_samples=100, **options)[0]
    torch.testing.assert_close(found, truth, atol=0.15, rtol=0.2)


def test_lime_and_kernel_shap_find_an_additive_score_by_default() -> None:
    """Contributions of a thousandth, as of a pixel to a cosine: nothing may be shrunk away, and nothing is left to
    chance.
    """
    torch.manual_seed(0)
    model = SiameseModel(nn.Identity(), "dot")
    a, b = torch.randn(2, 1, 24, dtype=torch.float64) * 0.03
    for name in ("lime", "kernel_shap"):
        same(explain(name, model, (a, b), wrt="first")[:1], (a * b,), 1e-6)


# noise


def test_shapley_values_of_many_features_in_closed_form() -> None:
    """Of all 12 features of a at once the game of their product is worth something only whole: each has a twelfth."""
    from xsiamese.author import TwoInputModel

    product = TwoInputModel(lambda a, b: a.prod(1) * b.sum(1))
    a, b = torch.rand(2, 12, dtype=torch.float64) + 1, torch.ones(2, 3, dtype=torch.float64)
    of_a, of_b = explain("shapley_values", product, (a, b))
    whole = product(a, b)
    same((of_a,), ((whole / 12)[:, None].expand(2, 12),), 1e-12)
    same((of_b,), ((whole / 3)[:, None].expand(2, 3),), 1e-12)
    by_two = explain("shapley_values", product, (a, b), internal_batch_size=2)[0]
    same((by_two,), (of_a,), 1e-12)


def test_exact_shapley_values_of_too_many_features_are_refused_at_once() -> None:
    model, (a, b) = SiameseModel(nn.Identity(), "dot"), torch.rand(2, 1, 13)
    with pytest.raises(ValueError, match=r"of 13 features ask 2\^13 times: .*feature_mask=.*PairShapleyValueSampling"):
        explain("shapley_values", model, (a, b))


def test_noise_averages_to_what_it_should() -> None:
    """The gradient of -|W (x - y)|^2 is linear: its mean over noise is itself, its variance the square of its slope."""
    (model, w), (a, b) = problems.linear("squared_euclidean"), problems.vectors(1)
    m, sigma = w.T @ w, 0.3
    tunnel = PairNoiseTunnel(PairSaliency(model))
    options: dict[str, Any] = {"nt_samples": 8000, "stdevs": sigma, "abs": False}
    mean = tunnel.attribute((a, b), **options)
    slope, spread = -2 * (a - b) @ m, (2 * sigma) ** 2 * 2 * (m**2).sum(0)  # noise of both sides
    torch.testing.assert_close(mean[0], slope, atol=0.05, rtol=0.05)
    torch.testing.assert_close(
        tunnel.attribute((a, b), nt_type="vargrad", **options)[0][0], spread, atol=0.02, rtol=0.05
    )
    squares = tunnel.attribute((a, b), nt_type="smoothgrad_sq", **options)[0]
    torch.testing.assert_close(squares[0], slope[0] ** 2 + spread, atol=0.1, rtol=0.1)


def test_every_adapted_algorithm_is_held_to_its_page() -> None:
    import xsiamese_captum

    text = Path(__file__).read_text(encoding="utf-8")
    elsewhere = {"lrp", "layer_lrp", "noise_tunnel", "layer_feature_permutation"}
    missing = {cls.name for cls in xsiamese_captum.EXPLAINERS if f'"{cls.name}"' not in text} - elsewhere
    assert not missing
