"""Pair matrices from activations and gradients: identities, completeness, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import (
    Lift,
    PairActivationDecomposition,
    PairBiLRP,
    PairGradCAM,
    PairHiResCAM,
    PairInputXGradient,
    PairInteraction,
    PairLayerInteraction,
    SiameseModel,
)
from xsiamese.model.comparison import Bilinear, Cosine, Euclidean, Function, Learned, SquaredEuclidean


def seeded(*layers: Any, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(*(layer() for layer in layers)).double().eval()


def conv(i: int, o: int, bias: bool = True) -> Any:
    return lambda: nn.Conv2d(i, o, 3, padding=1, bias=bias)


def net(act: Any = nn.ReLU, *, bias: bool = True, pool: Any = None, norm: bool = False) -> nn.Sequential:
    """Two convolutions, whose second's activation is layer "5", pooling, and a linear layer."""
    pooling = pool or (lambda: nn.AdaptiveAvgPool2d(1))
    normed = (lambda: nn.BatchNorm2d(6)) if norm else nn.Identity
    middle = (lambda: nn.MaxPool2d(2)) if act is nn.ReLU else nn.Identity
    found = seeded(
        conv(1, 4, bias), act, middle, conv(4, 6, bias), normed, act, pooling, nn.Flatten, lambda: nn.Linear(6, 5, bias)
    )
    for module in found:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.1  # type: ignore[operator]
            module.running_var *= 1.5  # type: ignore[operator]
    return found


def pair(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(1, 1, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    return a, b


def rbf() -> Function:
    return Function(lambda u, v: torch.exp(-0.5 * (u - v).square().sum(1)))


def learned() -> Learned:
    return Learned(seeded(lambda: nn.Linear(5, 4), nn.Tanh, lambda: nn.Linear(4, 1), seed=3), join="product")


def bilinear() -> Bilinear:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        head = Bilinear(5).double()
        nn.init.normal_(head.weight)
    return head


HEADS = {
    "dot": lambda: "dot",
    "cosine": lambda: "cosine",
    "detached cosine": lambda: Cosine(detach_norms=True),
    "squared L2": SquaredEuclidean,
    "L2": Euclidean,
    "rbf": rbf,
    "learned": learned,
    "bilinear": bilinear,
}
REFERENCE = 0.3  # a reference whose embedding differs from that of the other item's reference


def close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    first, second = (torch.as_tensor(one, dtype=torch.float64) for one in (found, expected))
    torch.testing.assert_close(first, second, rtol=0, atol=tolerance)


def four_terms(model: SiameseModel, a: Tensor, b: Tensor, r: Tensor, q: Tensor) -> Tensor:
    """What both sides give together, by the model's own scores."""
    sign = 1 if model.higher_is_closer else -1
    with torch.no_grad():
        return sign * (model(a, b) - model(r, b) - model(a, q) + model(r, q))[0]


@pytest.mark.parametrize("head", [name for name in HEADS if name != "detached cosine"])
@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_secant_is_complete_at_every_number_of_steps(head: str, act: Any, steps: int) -> None:
    model, (a, b) = SiameseModel(net(act), HEADS[head]()), pair()
    starts = torch.full_like(a, REFERENCE), torch.full_like(b, -REFERENCE)
    found = PairInteraction(model).explain((a, b), rule="secant", steps=steps, baselines=starts, cells=(3, 3))
    close(found.matrix.total, four_terms(model, a, b, *starts), 1e-9)
    close(found.gap, [0.0], 1e-9)
    close(found.matrix.value, found.scores[0] * (1 if model.higher_is_closer else -1), 1e-9)
    close(found.maps[0].sum(), found.maps[1].sum())


@pytest.mark.parametrize("head", [name for name in HEADS if name != "L2"])  # whose curvature grows without bound at 0
def test_eight_nodes_are_complete_for_smooth_encoders(head: str) -> None:
    model, (a, b) = SiameseModel(net(nn.Tanh), HEADS[head]()), pair()
    starts = torch.full_like(a, REFERENCE), torch.full_like(b, -REFERENCE)
    found = PairInteraction(model).explain((a, b), baselines=starts, cells=(3, 3))
    if head != "detached cosine":  # whose norms the model itself does not hold at those of the pair
        close(found.matrix.total, four_terms(model, a, b, *starts), 1e-6)
    close(found.gap, [0.0], 1e-6)


def test_orders_of_convergence() -> None:
    """I22: 1/N for the ends, 1/N^2 for the middle, at once for Gauss-Legendre."""
    model, inputs = SiameseModel(net(nn.Tanh), "dot"), pair()

    def gap(rule: str, steps: int) -> float:
        found = PairInteraction(model).explain(inputs, rule=rule, steps=steps, cells=(1, 1))
        return abs(float(found.gap[0]))

    for rule, order in (("right", 1), ("left", 1), ("midpoint", 2)):
        ratio = gap(rule, 10) / gap(rule, 40)
        assert 4**order * 0.7 < ratio < 4**order * 1.4, (rule, ratio)
    assert gap("gauss", 8) < 1e-9


def test_hessian_times_product_is_the_mixed_derivative() -> None:
    """I2, by autograd on the score itself, entry by entry."""
    model, (a, b) = SiameseModel(net(nn.Tanh), "cosine"), pair()
    found = PairInteraction(model).explain((a, b), form="hessian").matrix.dense()

    def score(x: Tensor, y: Tensor) -> Tensor:
        return model(x.reshape(1, 1, 6, 6), y.reshape(1, 1, 6, 6)).sum()

    hessian = torch.autograd.functional.hessian(score, (a.flatten(), b.flatten()))[0][1]  # type: ignore[index]
    close(found, a.reshape(-1, 1) * hessian * b.flatten())


def test_bias_free_and_homogeneous() -> None:
    """I1, I3, I4, I5, I7: what bias-free ReLU encoders must give."""
    encoder, (a, b) = net(bias=False), pair()
    score = float(SiameseModel(encoder, "dot")(a, b))
    dot = PairInteraction(SiameseModel(encoder, "dot"))
    hessian = dot.explain((a, b), form="hessian")
    close(hessian.matrix.total, score)
    rows = PairInputXGradient(SiameseModel(encoder, "dot")).attribute((a, b))
    close(hessian.maps[0], rows[0])
    close(hessian.maps[1], rows[1])
    for rule, steps in (("right", 1), ("gauss", 5)):
        close(dot.explain((a, b), rule=rule, steps=steps).matrix.dense(), hessian.matrix.dense())
    full = PairInteraction(SiameseModel(encoder, "cosine")).explain((a, b), form="hessian")
    close(full.matrix.total, 0.0)  # of degree 0 in either embedding
    held = PairInteraction(SiameseModel(encoder, "cosine")).explain((a, b), form="jacobian", steps=1, rule="right")
    close(held.matrix.total, float(held.scores[0]))


def test_the_squared_distance_is_three_matrices() -> None:
    """I12: within a, within b, and across, which is ours."""
    encoder, (a, b) = net(bias=False), pair()
    across = PairInteraction(SiameseModel(encoder, "squared_euclidean")).explain((a, b), form="hessian").matrix
    dot = PairInteraction(SiameseModel(encoder, "dot"))
    within = [float(dot.explain((x, x.clone()), form="hessian").matrix.total) for x in (a, b)]
    distance = float(SiameseModel(encoder, "squared_euclidean")(a, b))
    close(sum(within) - float(across.total), distance)


@pytest.mark.parametrize("make", [PairInteraction, PairActivationDecomposition, PairBiLRP], ids=lambda c: c.__name__)
def test_swap_is_the_transpose_and_a_self_pair_is_a_gram_matrix(make: Any) -> None:
    """I13."""
    explainer, (a, b) = make(SiameseModel(net(), "dot"), *(["5"] if make.needs_layer else [])), pair()
    one, other, own = (explainer.explain(p).matrix.dense() for p in ((a, b), (b, a), (a, a.clone())))
    close(other, one.T)
    close(own, own.T)
    assert float(torch.linalg.eigvalsh(own).min()) > -1e-10


@pytest.mark.parametrize("head", ["dot", "cosine", "squared_euclidean"])
@pytest.mark.parametrize("kind", ["average", "maximum", "flat"])
def test_the_closed_form_is_the_score(head: str, kind: str) -> None:
    """P5, with batch norm and biases."""
    if kind == "flat":
        encoder = seeded(conv(1, 4), nn.ReLU, nn.Flatten, lambda: nn.Linear(144, 5))
    else:
        pool = (lambda: nn.AdaptiveMaxPool2d(1)) if kind == "maximum" else None
        encoder = net(norm=True, pool=pool)
    model, inputs = SiameseModel(encoder, head), pair()
    layer = "1" if kind == "flat" else "5"
    found = PairActivationDecomposition(model, layer).explain(inputs)
    close(found.matrix.value, found.scores[0] * (1 if model.higher_is_closer else -1))
    close(found.matrix.dense(alone=True).sum(), found.matrix.value)
    close(found.matrix.marginals[0].sum(), found.matrix.total)
    close(found.matrix.marginals[1].sum(), found.matrix.total)


def test_the_closed_form_is_the_embeddings_of_its_parts() -> None:
    """e_i = W a_i / n, by hand."""
    encoder, (a, b) = net(norm=True), pair()
    head = encoder[8]
    acts = [encoder[:6](x)[0].flatten(1) for x in (a, b)]
    shares = [(head.weight @ act).T / act.shape[1] for act in acts]
    matrix = PairActivationDecomposition(SiameseModel(encoder, "dot"), "5").explain((a, b)).matrix
    close(matrix.dense(), (shares[0] @ shares[1].T).detach())


def test_marginals_of_the_closed_form_are_class_activation_maps() -> None:
    """I8 and I10."""
    inputs = pair()
    model = SiameseModel(net(bias=False), "dot")
    found = PairActivationDecomposition(model, "5").explain(inputs)
    for side, maps in enumerate(PairGradCAM(model, "5").attribute(inputs)):
        close(found.maps[side], maps)
    assert float(found.matrix.total) == pytest.approx(float(found.scores[0]))
    most = SiameseModel(net(bias=False, pool=lambda: nn.AdaptiveMaxPool2d(1)), "dot")
    found = PairActivationDecomposition(most, "5").explain(inputs)
    for side, maps in enumerate(PairHiResCAM(most, "5").attribute(inputs)):
        close(found.maps[side], maps)


def test_grad_cam_of_a_full_cosine_is_the_matrix_less_what_the_norms_take() -> None:
    """I9: the row sums of the matrix over the norms, less the cosine times the item's share of itself; it sums to 0."""
    encoder, (a, b) = net(bias=False), pair()
    cosine, dot = SiameseModel(encoder, "cosine"), SiameseModel(encoder, "dot")
    z_a, z_b = encoder(a)[0].detach(), encoder(b)[0].detach()
    both, own = (PairActivationDecomposition(dot, "5").explain(x).matrix for x in ((a, b), (a, a.clone())))
    taken = float(cosine(a, b)) * own.marginals[0] / z_a.square().sum()
    cam = PairGradCAM(cosine, "5").attribute((a, b))[0][0, 0]
    close(cam, both.marginals[0] / (z_a.norm() * z_b.norm()) - taken)
    close(cam.sum(), 0.0)


def test_a_corpus_less_a_foil_is_the_mean_of_matrices_and_one_matrix_of_mean_embeddings() -> None:
    """I18."""
    encoder, (query, b), (c, d) = net(), pair(1), pair(2)
    explainer = PairActivationDecomposition(SiameseModel(encoder, "dot"), "5")
    of = [explainer.explain((query, x)).matrix for x in (b, c, d)]
    corpus = 0.5 * (of[0] + of[1]) - of[2]
    mean = (encoder(b) + encoder(c)).detach()[0] / 2 - encoder(d).detach()[0]
    # places of the query, each with the whole of the other item: its marginal, and what it gives beside the bias
    each = corpus.marginals[0] + corpus.alone[0].reshape(corpus.grids[0])
    act = encoder[:6](query)[0].flatten(1)
    close(each.flatten(), ((encoder[8].weight @ act).T / act.shape[1] @ mean).detach())


def test_one_pass_a_side_for_the_closed_form() -> None:
    encoder = net()
    rows: list[int] = []
    encoder[0].register_forward_hook(lambda module, args, output: rows.append(len(output)))
    PairActivationDecomposition(SiameseModel(encoder, "dot"), "5").explain(pair())
    assert rows == [1, 1]


@pytest.mark.parametrize("head", ["cosine", "euclidean"])
def test_all_pairs_of_four_items_are_four_passes(head: str) -> None:
    encoder, items, rows = net(norm=True), torch.cat([*pair(1), *pair(2)]), []
    explainer = PairActivationDecomposition(SiameseModel(encoder, head), "5")
    encoder[0].register_forward_hook(lambda module, args, output: rows.append(len(output)))
    first, second = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([1, 2, 3, 2, 3, 3])
    found = explainer.explain((items[first], items[second]))
    assert sum(rows) == 4
    for k in (1, 5):  # by the model's own layers: the shares of a are those of the mean of its places
        acts = [encoder[:6](items[i : i + 1])[0].flatten(1) for i in (first[k], second[k])]
        u, v = ((encoder[8].weight @ act).T / act.shape[1] for act in acts)
        z_a, z_b = (encoder(items[i : i + 1])[0] for i in (first[k], second[k]))
        if head == "cosine":
            close(found[k].matrix.dense(), ((u @ v.T) / (z_a.norm() * z_b.norm())).detach())
        close(
            found[k].matrix.value,
            (torch.cosine_similarity(z_a, z_b, 0) if head == "cosine" else -(z_a - z_b).norm()).detach(),
        )


@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0])
def test_bilrp_conserves_without_biases(gamma: float) -> None:
    """I23."""
    model, inputs = SiameseModel(net(bias=False), "dot"), pair()
    found = PairBiLRP(model).explain(inputs, gamma=gamma)
    close(found.matrix.total, found.scores[0], 1e-6)
    if not gamma:
        close(found.matrix.dense(), PairInteraction(model).explain(inputs, form="hessian").matrix.dense(), 1e-7)


def test_bilrp_gamma_rule_of_one_layer_by_hand() -> None:
    gamma, weight = 0.5, torch.tensor([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0]]).double()
    encoder = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        encoder.weight.copy_(weight)
    x, y = torch.tensor([[1.0, 2.0, 3.0]]).double(), torch.tensor([[0.5, -1.0, 2.0]]).double()
    bent = weight + gamma * weight.clamp_min(0)
    shares = [z * bent * ((weight @ z[0]) / (bent @ z[0]))[:, None] for z in (x, y)]
    found = PairBiLRP(SiameseModel(encoder, "dot")).explain((x, y), gamma=gamma).matrix
    close(found.dense(), shares[0].T @ shares[1], 1e-6)


def test_bilrp_says_what_biases_take() -> None:
    model, inputs = SiameseModel(net(), "dot"), pair()
    found = PairBiLRP(model).explain(inputs)
    assert abs(found.matrix.constant) > 1e-3
    close(found.matrix.value, found.scores[0])


def test_a_lifted_gradient_is_the_mixed_derivative_of_a_bilinear_model() -> None:
    encoder = seeded(lambda: nn.Linear(6, 4))
    model = SiameseModel(encoder, "dot")
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    weight = encoder[0].weight
    expected = a.T * (weight.T @ weight) * b
    close(Lift(PairInputXGradient(model)).explain((a, b)).matrix.dense(), expected.detach())


def test_at_a_layer_it_is_the_rest_of_the_encoder() -> None:
    """The layer's outputs as inputs of what follows them."""
    encoder, (a, b) = net(nn.Tanh), pair()
    found = PairLayerInteraction(SiameseModel(encoder, "cosine"), "2").explain((a, b))
    whole = found.matrix
    rest = SiameseModel(encoder[3:], "cosine")
    ends, start = (encoder[:3](x).detach() for x in (a, b)), encoder[:3](torch.zeros_like(a)).detach()
    alone = PairInteraction(rest).explain(tuple(ends), baselines=(start, start)).matrix
    close(whole.dense(), alone.dense())
    for side, values in enumerate(alone.dense().sum(1 - k).reshape(alone.grids[k]) for k in (0, 1)):
        close(found.maps[side][0, 0], values)


def test_tangents_cotangents_and_loops_agree() -> None:
    import xsiamese_interactions.tangents as module
    from xsiamese.pairs.parts import parts_of

    encoder, (a, _) = net(), pair()
    parts = parts_of(a, (2, 3))
    ways = [way(encoder, a, a, parts, 4) for way in (module._one_by_one, module._by_parts, module._by_dimensions)]
    close(ways[1], ways[0])
    close(ways[2], ways[0])


def test_a_large_point_takes_fewer_tangents_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import xsiamese_interactions.tangents as module
    from xsiamese.pairs.parts import parts_of

    encoder, (a, _) = net(), pair()
    monkeypatch.setattr(module, "ROOM", 2 * a.numel())
    passes: list[int] = []
    encoder[8].register_forward_hook(lambda *_: passes.append(1))
    module.jacobian(encoder, a, a, parts_of(a, (1, 3)))
    assert len(passes) == 1 + 2  # the embedding; two tangents of three, and the third


def test_attention_has_forward_derivatives_here() -> None:
    """The fused kernel has none on the CPU; its plain form has."""

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
            self.head = nn.Linear(8, 40)  # more dimensions than tokens: forward mode

        def forward(self, x: Tensor) -> Tensor:
            query = self.inner.self_attn.in_proj_weight[:8]
            mixed = nn.functional.scaled_dot_product_attention(x @ query, x, x)
            return self.head(mixed.tanh().mean(1))

    encoder = seeded(Attends)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1, 5, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    found = PairInteraction(SiameseModel(encoder)).explain((a, b), kind="text")
    assert found.matrix.shape == (5, 5)
    assert abs(float(found.gap[0])) < 1e-6


def bias_free_graphs() -> tuple[Any, tuple[Any, Any]]:
    """A GCN of two layers with mean pooling, and a pair of paths of five and four nodes."""
    geometric = pytest.importorskip("torch_geometric")
    from torch_geometric.nn import GCNConv, global_mean_pool

    class Graphs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = GCNConv(3, 6, bias=False), GCNConv(6, 4, bias=False)

        def forward(self, data: Any) -> Tensor:
            h = self.first(data.x, data.edge_index).relu()
            return global_mean_pool(self.second(h, data.edge_index), data.batch)

    generator, graphs = torch.Generator().manual_seed(0), []
    for count in (5, 4):
        edges = torch.tensor([[*range(count - 1)], [*range(1, count)]])
        x = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        graphs.append(geometric.data.Data(x=x, edge_index=torch.cat([edges, edges.flip(0)], 1)))
    return seeded(Graphs)[0], (graphs[0], graphs[1])


def test_nodes_of_graphs_sum_to_the_score() -> None:
    """I19: a bias-free GCN with mean pooling."""
    encoder, graphs = bias_free_graphs()
    found = PairInteraction(SiameseModel(encoder, "dot")).explain(graphs, form="hessian")
    assert found.matrix.shape == (5, 4)
    close(found.matrix.total, found.scores[0])
    close(found.maps[0].node_mask.sum(), found.scores[0])


def test_nodes_hold_the_walks_that_begin_at_them() -> None:
    """I21: walk by walk and by hand, what a walk of three nodes brings into the embedding; every pair of walks, added
    up by where they begin, is the matrix of the nodes.
    """
    from torch_geometric.utils import to_dense_adj

    encoder, graphs = bias_free_graphs()
    brought = []
    for graph in graphs:
        count = len(graph.x)
        with_loops = to_dense_adj(graph.edge_index, max_num_nodes=count)[0].double() + torch.eye(count).double()
        root = with_loops.sum(1).rsqrt()
        step = root[:, None] * with_loops * root  # from node j to node i
        first, second = encoder.first.lin.weight.detach(), encoder.second.lin.weight.detach()
        open_ = (step @ graph.x @ first.T > 0).double()
        walks = torch.zeros(count, len(second), dtype=torch.float64)
        for i in range(count):
            for j in range(count):
                for k in range(count):
                    at_j = step[j, i] * (first @ graph.x[i]) * open_[j]
                    walks[i] += step[k, j] * (second @ at_j) / count
        brought.append(walks)
    found = PairInteraction(SiameseModel(encoder, "dot")).explain(graphs, form="hessian")
    close(found.matrix.dense(), brought[0] @ brought[1].T)


def test_a_constant_encoder_gives_zeros() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :2] * 0 + 1

    with pytest.warns(UserWarning, match=r"no effect|flat|zero"):
        found = PairInteraction(SiameseModel(Constant())).explain(pair())
    assert float(found.matrix.dense().abs().max()) == 0


def test_identical_inputs_have_a_meaning() -> None:
    a, _ = pair()
    for head in HEADS.values():
        found = PairInteraction(SiameseModel(net(), head())).explain((a, a.clone()), rule="secant", steps=2)
        assert bool(torch.isfinite(found.matrix.dense()).all())


def test_matrices_of_one_query_subtract() -> None:
    """A triplet: what the query has with one item and not with another, linear in the score."""
    model, (a, p), (n, _) = SiameseModel(net(), "dot"), pair(1), pair(2)
    explainer = PairInteraction(model)
    plus, minus = (explainer.explain((a, x), rule="secant", steps=1).matrix for x in (p, n))
    with torch.no_grad():
        expected = float(model(a, p) - model(a, n))
    close((plus - minus).value, expected)


class Detached(nn.Module):
    """Answers, and lets no gradient through."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach().flatten(1)[:, :4]


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        (lambda: PairInteraction(SiameseModel(net())), {"form": "second"}, "'path', 'jacobian' or 'hessian'"),
        (lambda: PairInteraction(SiameseModel(net())), {"rule": "simpson"}, "rule='simpson'"),
        (lambda: PairInteraction(SiameseModel(net())), {"steps": 0}, "steps=0"),
        (
            lambda: PairInteraction(
                SiameseModel(seeded(nn.Flatten, lambda: nn.Linear(36, 8), lambda: nn.LayerNorm(8)))
            ),
            {"rule": "secant"},
            "use rule='gauss'",
        ),
        (
            lambda: PairActivationDecomposition(
                SiameseModel(seeded(conv(1, 4), nn.ReLU, conv(4, 4), nn.ReLU, nn.Flatten)), "1"
            ),
            {},
            "what follows layer 1 is not only pooling and linear",
        ),
        (lambda: PairBiLRP(SiameseModel(net())), {"gamma": [0.1]}, "more linear layers"),
        (lambda: PairInteraction(lambda x, y: (x * y).sum((1, 2, 3))), {}, "is not: use PairMaskRegression"),
        (lambda: PairBiLRP(lambda x, y: (x * y).sum((1, 2, 3))), {}, "is not: use PairMaskRegression"),
        (lambda: PairInteraction(SiameseModel(Detached())), {}, "carries no gradient .* PairMaskRegression"),
        (lambda: PairLayerInteraction(SiameseModel(net(), learned()), "comparison.head.0"), {}, "sees both inputs"),
        (lambda: PairActivationDecomposition(SiameseModel(net(), learned()), "comparison.head.0"), {}, "sees both"),
        (lambda: PairLayerInteraction(SiameseModel(net()), ["2", "5"]), {}, "of one layer"),
        (lambda: PairInteraction(SiameseModel(net())), {"target": 0}, "target=0 picks one of several outputs"),
        (lambda: PairInteraction(SiameseModel(net())), {"cells": (9, 9)}, "no finer than"),
        (
            lambda: PairInteraction(SiameseModel(seeded(conv(1, 4), lambda: nn.MaxPool2d(2, dilation=2), nn.Flatten))),
            {"rule": "secant"},
            "^the secant form knows no dilated max pooling: use rule='gauss'$",
        ),
    ],
)
def test_what_cannot_be_is_named(make: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make().explain(pair(), **options)


def test_saved_and_loaded() -> None:
    from tempfile import TemporaryDirectory

    from xsiamese import MatrixExplanation, load

    found = PairInteraction(SiameseModel(net())).explain(pair(), cells=(2, 2))
    with TemporaryDirectory() as folder:
        again = load(found.save(f"{folder}/why.safetensors"))
    assert isinstance(again, MatrixExplanation)
    close(again.matrix.dense(), found.matrix.dense())
    assert again.matrix.grids == ((2, 2), (2, 2))


def test_a_large_image_is_pooled_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its matrix is that of its pixels, summed by cells: nothing of the score is lost."""
    from xsiamese_interactions import items

    monkeypatch.setattr(items, "MOST", 30)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(1, 2, 8, 9, generator=generator, dtype=torch.float64) for _ in range(2))
    explainer = PairInteraction(SiameseModel(nn.Sequential(nn.Flatten(), nn.Linear(144, 3).double()), "dot"))
    with pytest.warns(UserWarning, match=r"72 pixels of (a|b) are pooled to 4 x 5 cells, 2 x 2 pixels each"):
        pooled = explainer.explain((a, b)).matrix
    whole = explainer.explain((a, b), cells=(8, 9)).matrix
    close(pooled.dense(), whole.pool((4, 5), (4, 5)).dense())
    close(pooled.total, whole.total)
