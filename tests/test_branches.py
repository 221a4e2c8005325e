"""One shared module, two calls: recording, untying, surveying, and leaving the model as it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import (
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairLayerConductance,
    PairLayerDeepLift,
    PairLRP,
    PairSaliency,
    SiameseModel,
    record,
    untied,
)
from xsiamese.branches.calls import survey
from xsiamese.branches.standins import Branches
from xsiamese.branches.untied import untie_repeats
from xsiamese.contract.traces import _traces as traces


def dot(z_a: Tensor, z_b: Tensor) -> Tensor:
    return (z_a * z_b).sum(1)


def encoder(**kwargs: Any) -> nn.Sequential:
    return problems.conv_encoder(**kwargs)


FORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "shared": lambda e: problems.Shared(e, dot),
    "backwards": lambda e: problems.Backwards(e, dot),
    "stacked": lambda e: problems.Stacked(e, dot),
    "tuple": lambda e: problems.OneTuple(e, dot),
    "dict": lambda e: problems.OneDict(e, dot),
    "embeddings": lambda e: problems.Embeddings(e, dot),
    "compiled": lambda e: torch.compile(problems.Shared(e, dot), backend="eager"),  # type: ignore[dict-item,return-value]
    "compiled encoder": lambda e: problems.Shared(torch.compile(e, backend="eager"), dot),  # type: ignore[arg-type]
    "parallel": lambda e: nn.DataParallel(problems.Shared(e, dot)),
}


def inputs_for(form: str) -> Any:
    a, b = problems.images(2)
    return {"left": a, "right": b} if form == "dict" else (a, b)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("cls", "layer"), [(PairGradCAM, "3"), (PairLayerConductance, "3"), (PairDeepLift, None), (PairSaliency, None)]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_way_of_writing_the_model_gives_the_maps_of_the_siamese_one(
    form: str, cls: Any, layer: str | None
) -> None:
    expected = cls(SiameseModel(encoder(), dot), layer).attribute(problems.images(2))
    model = FORMS[form](encoder())
    comparison = {"comparison": dot} if form == "embeddings" else {}
    found = cls(model, f"encoder.{layer}" if layer else None, **comparison).attribute(inputs_for(form))
    for x, y in zip(found, expected, strict=True):
        assert y.any()
        torch.testing.assert_close(x, y)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_left_on_any_of_them(form: str) -> None:
    model = FORMS[form](encoder())
    before = traces(model), [m.training for m in model.modules()]
    for cls, layer in ((PairGradCAM, "encoder.3"), (PairLayerConductance, "encoder.3"), (PairSaliency, None)):
        cls(model, layer, **({"comparison": dot} if form == "embeddings" else {})).attribute(inputs_for(form))
    assert (traces(model), [m.training for m in model.modules()]) == before


class Stop(Exception):
    pass


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
@pytest.mark.parametrize(
    ("cls", "layer"),
    [
        (PairGradCAM, "encoder.3"),
        (PairLayerConductance, "encoder.3"),
        (PairDeepLift, None),
        (PairFeatureAblation, None),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_is_left_after_an_exception_or_ctrl_c(cls: Any, layer: str | None, error: type[BaseException]) -> None:
    calls = 0

    def compare(z_a: Tensor, z_b: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error
        return dot(z_a, z_b)

    model = problems.Shared(nn.Sequential(*encoder(), nn.BatchNorm1d(6).double()), compare).train()
    model.encoder[1].eval()
    before = traces(model), [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    calls = 0 if cls is not PairGradCAM else 1
    with pytest.raises(error):
        cls(model, layer).attribute(problems.images(2))
    assert (
        traces(model),
        [m.training for m in model.modules()],
        [p.requires_grad for p in model.parameters()],
    ) == before
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(rng, torch.get_rng_state())


# untied


def test_views_are_made_of_the_same_parameters_and_buffers() -> None:
    shared = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    shared.scale = torch.ones(3)  # type: ignore[assignment]  # a plain tensor attribute
    views = untied(problems.Shared(shared, dot), shared)
    found = views.of((shared, shared))
    assert found is not None
    first, second = found
    assert first is not second
    assert shared not in (first, second)
    for view in (first, second):
        for mine, original in zip(
            [*view.parameters(), *view.buffers()], [*shared.parameters(), *shared.buffers()], strict=True
        ):
            assert mine is original
        assert view.scale is shared.scale


def test_untied_weights_are_copies() -> None:
    shared = nn.Linear(3, 3)
    found = untied(problems.Shared(shared, dot), shared, tie=False).of((shared, shared))
    assert found is not None
    assert len({id(found[0].weight), id(found[1].weight), id(shared.weight)}) == 3
    assert torch.equal(found[0].weight, found[1].weight)


def test_views_keep_training_flags_and_give_the_same_scores() -> None:
    shared = encoder()
    model = problems.Shared(shared, dot).train()
    shared[1].eval()
    views = untied(model, shared)
    for view in views.of((shared, shared)) or ():
        assert [m.training for m in view.modules()] == [m.training for m in shared.modules()]
    torch.testing.assert_close(views.model(*problems.images(2)), model(*problems.images(2)))


def test_views_of_a_stacked_batch_get_its_halves() -> None:
    shared = encoder()
    views = untied(problems.Stacked(shared, dot), shared, stacked=True)
    seen: list[Tensor] = []
    for view in views.of((shared, shared)) or ():
        view.register_forward_hook(lambda m, args, output: seen.append(args[0]))
    a, b = problems.images(2)
    torch.testing.assert_close(views.model(a, b), dot(shared(a), shared(b)))
    assert torch.equal(seen[0], a)
    assert torch.equal(seen[1], b)


def test_a_hook_on_a_view_does_not_reach_the_users_model() -> None:
    shared = encoder()
    before = traces(shared)
    views = untied(problems.Shared(shared, dot), shared)
    (views.of((shared, shared)) or ())[0].register_forward_hook(lambda *_: None)
    assert traces(shared) == before


def test_a_reused_relu_is_untied_call_by_call() -> None:
    relu = nn.ReLU()
    reused = nn.Sequential(
        nn.Conv2d(1, 3, 3), relu, nn.Conv2d(3, 4, 3), relu, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).double()
    model = problems.Shared(reused, dot)
    views = untied(model, reused)
    a, b = problems.images(2)
    untie_repeats(views.model, lambda: views.model(a, b))
    counts: dict[nn.Module, int] = {}
    for module in views.model.modules():
        if not isinstance(module, Branches):
            module.register_forward_hook(lambda m, *_: counts.__setitem__(m, counts.get(m, 0) + 1))
    torch.testing.assert_close(views.model(a, b), model(a, b))
    assert set(counts.values()) == {1}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("cls", [PairDeepLift, PairLRP])
@pytest.mark.parametrize("apart", [False, True], ids=["in one place", "in two places"])
def test_a_reused_relu_is_as_good_as_two(cls: Any, apart: bool) -> None:
    def build(relus: list[nn.Module]) -> nn.Sequential:
        torch.manual_seed(0)
        blocks = [nn.Conv2d(1, 3, 3), relus[0]], [nn.Conv2d(3, 4, 3), relus[1], nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(
            *(nn.Sequential(*block) for block in blocks) if apart else [*blocks[0], *blocks[1]]
        ).double()

    one = nn.ReLU()
    inputs = problems.images(2)
    for wrap in (lambda e: SiameseModel(e, "dot"), lambda e: problems.Shared(e, dot)):
        found = cls(wrap(build([one, one]))).attribute(inputs)
        for x, y in zip(found, cls(wrap(build([nn.ReLU(), nn.ReLU()]))).attribute(inputs), strict=True):
            torch.testing.assert_close(x, y)


# record


def test_a_recording_holds_each_branchs_own_activation_and_gradient() -> None:
    shared = encoder()
    model = problems.Backwards(shared, dot)
    a, b = problems.images(2)
    with torch.enable_grad(), record([(shared[3], shared[3])], ["3"], 2, order=[((1, 0), (1, 0))]) as recording:
        value = model(a, b)
    (found_a, found_b), (slope_a, slope_b) = recording.activations[0], recording.gradients(value)[0]
    torch.testing.assert_close(found_a, shared[:4](a))
    torch.testing.assert_close(found_b, shared[:4](b))
    z_a, z_b = (shared[:4](t).detach().requires_grad_() for t in (a, b))
    truth = torch.autograd.grad(dot(shared[4:](z_a), shared[4:](z_b)).sum(), (z_a, z_b))
    torch.testing.assert_close(slope_a, truth[0])
    torch.testing.assert_close(slope_b, truth[1])


def test_the_graph_starts_at_the_layer() -> None:
    shared = encoder().requires_grad_(False)
    with torch.enable_grad(), record([(shared[3], shared[3])], ["3"], 2) as recording:
        problems.Shared(shared, dot)(*problems.images(2))
    assert all(t.is_leaf and t.requires_grad for t in recording.activations[0])


def test_layers_of_the_two_sides_may_differ() -> None:
    first, second = encoder(seed=1), encoder(seed=2)
    model = SiameseModel((first, second), "dot")
    map_a, map_b = PairGradCAM(model, ("1", "3")).attribute(problems.images(2))
    assert map_a.shape[-1] == 8
    assert map_b.shape[-1] == 4
    torch.testing.assert_close(map_a, PairGradCAM(model, "1").attribute(problems.images(2))[0])
    torch.testing.assert_close(map_b, PairGradCAM(model, "3").attribute(problems.images(2))[1])


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerConductance])
@pytest.mark.parametrize("kind", ["siamese", "shared"])
def test_layers_of_the_two_sides_may_differ_on_one_shared_encoder(cls: Any, kind: str) -> None:
    shared = encoder()
    model: Any = SiameseModel(shared, dot) if kind == "siamese" else problems.Shared(shared, dot)
    map_a, map_b = cls(model, (shared[1], shared[3])).attribute(problems.images(2))
    torch.testing.assert_close(map_a, cls(model, shared[1]).attribute(problems.images(2))[0])
    torch.testing.assert_close(map_b, cls(model, shared[3]).attribute(problems.images(2))[1])


# layers that are called several times a side


class TwiceABranch(nn.Module):
    """Each branch calls one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x)).flatten(1)


class Views(nn.Module):
    """An encoder that looks at an item twice, once from its other side."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + self.inner(x.flip(-1)).square()  # type: ignore[no-any-return]


class FourCalls(nn.Module):
    """The same as a model of both inputs, in which the calls of the sides alternate or not."""

    def __init__(self, inner: nn.Module, alternating: bool) -> None:
        super().__init__()
        self.inner, self.alternating = inner, alternating

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        items = (a, b, a.flip(-1), b.flip(-1)) if self.alternating else (a, a.flip(-1), b, b.flip(-1))
        z = [self.inner(item) for item in items]
        first, second = ((z[0], z[2]), (z[1], z[3])) if self.alternating else ((z[0], z[1]), (z[2], z[3]))
        return dot(first[0] + first[1].square(), second[0] + second[1].square())


class FourEncoders(nn.Module):
    """The same with an encoder for each call."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.all = nn.ModuleList(deepcopy(inner) for _ in range(4))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z = [one(item) for one, item in zip(self.all, (a, a.flip(-1), b, b.flip(-1)), strict=True)]
        return dot(z[0] + z[1].square(), z[2] + z[3].square())


SEVERAL: dict[str, Callable[[nn.Module], nn.Module]] = {
    "in the encoder": lambda inner: SiameseModel(Views(inner), dot),
    "one side after the other": lambda inner: FourCalls(inner, False),
    "alternating": lambda inner: FourCalls(inner, True),
}


@pytest.mark.parametrize("name", ["GradCam", "GradientXActivation", "IntegratedGradients", "DeepLift", "Conductance"])
@pytest.mark.parametrize("kind", SEVERAL)
def test_calls_of_a_layer_are_added_or_given_one_by_one_as_of_one_encoder_a_call(kind: str, name: str) -> None:
    shared, inputs = encoder(), problems.images(2)
    model, twin = SEVERAL[kind](shared), FourEncoders(shared)
    cls, theirs = xsiamese.explainers()[f"PairLayer{name}"], getattr(captum, f"Layer{name}")
    options: dict[str, Any] = {"joint": True} if "joint" in cls.options() else {}
    if name == "IntegratedGradients":  # all calls on one path
        truths = theirs(twin, [one[1] for one in twin.all]).attribute(inputs, n_steps=4)
        options["n_steps"] = 4
    else:
        truths = [theirs(twin, one[1]).attribute(inputs) for one in twin.all]
    both = cls(model, shared[1], calls="all").attribute(inputs, **options)
    for found, truth in zip((*both[0], *both[1]), truths, strict=True):
        torch.testing.assert_close(found, truth)
        assert truth.any()
    sums = cls(model, shared[1], calls="sum").attribute(inputs, **options)
    torch.testing.assert_close(sums, (truths[0] + truths[1], truths[2] + truths[3]))
    if name == "GradCam":
        ours = [PairGradCAM(model, shared[1], calls=calls).attribute(inputs) for calls in ("all", "sum")]
        torch.testing.assert_close(ours, [both, sums])
        first = PairGradCAM(model, shared[1], calls="sum").attribute(inputs, wrt="first")
        torch.testing.assert_close(first, (sums[0], torch.zeros_like(sums[1])))
        held = cls(model, shared[1], calls="sum").attribute(inputs, wrt="first")
        torch.testing.assert_close(held[0], first[0])


@pytest.mark.parametrize("kind", SEVERAL)
def test_deeplift_is_right_where_an_encoder_is_called_once_a_view(kind: str) -> None:
    shared, inputs = encoder(), problems.images(2)
    truth = captum.DeepLift(FourEncoders(shared)).attribute(inputs)
    found = xsiamese.PairDeepLift(SEVERAL[kind](shared)).attribute(inputs, joint=True)
    torch.testing.assert_close(found, truth)


def test_a_sum_over_calls_says_so_and_methods_of_one_call_refuse() -> None:
    model, inputs = SiameseModel(Views(encoder()), dot), problems.images(2)
    with pytest.warns(UserWarning, match="called 2 times a side, and its maps are added.*calls='all' gives each"):
        PairGradCAM(model, "inner.1").attribute(inputs)
    for cls in (xsiamese.PairAblationCAM, xsiamese.PairLayerInteraction, xsiamese.PairGuidedGradCam):
        with pytest.raises(ValueError, match="called once a side"):
            cls(model, "inner.1").explain(inputs)
    with pytest.raises(ValueError, match="calls='each': 'sum', 'all' or None is needed"):
        PairGradCAM(model, calls="each")  # type: ignore[arg-type]


def test_a_layer_that_is_met_again_on_its_own_output_is_a_layer_a_call() -> None:
    class Unrolled(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.one, self.two = deepcopy(layer), deepcopy(layer)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.one(x)).flatten(1)

    twice, inputs = TwiceABranch(), problems.images(2)
    plain = SiameseModel(Unrolled(twice.layer), dot)
    for cls in (PairGradCAM, PairLayerConductance, PairLayerDeepLift):
        found = cls(SiameseModel(twice, dot), "layer", calls="all").attribute(inputs)
        torch.testing.assert_close(found, cls(plain, ["one", "two"]).attribute(inputs))


# what does not fit is refused


class AfterTheJoin(nn.Module):
    """One layer sees both inputs together."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()
        self.head = nn.Linear(12, 1).double()
        self.never = nn.Linear(2, 2).double()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(torch.cat([self.encoder(a), self.encoder(b)], 1))


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerConductance, PairLayerDeepLift])
@pytest.mark.parametrize(
    ("make", "layer", "message"),
    [
        (AfterTheJoin, "never", "layer 'never' is never called in the forward pass"),
        (AfterTheJoin, "head", "layer 'head' .*sees both inputs together and has no map for each"),
    ],
)
def test_layers_that_do_not_fit_are_refused(make: Callable[[], nn.Module], layer: str, message: str, cls: Any) -> None:
    model = make()
    before = traces(model)
    with pytest.raises(ValueError, match=message):
        cls(model, layer).attribute(problems.images(2))
    assert traces(model) == before


# survey


def test_a_survey_knows_calls_order_and_stacking() -> None:
    a, b = (t.requires_grad_() for t in problems.images(3))
    for form, calls, order, stacked in (
        (problems.Shared, 2, (0, 1), False),
        (problems.Backwards, 2, (1, 0), False),
        (problems.Stacked, 1, (0,), True),
    ):
        model = form(encoder(), dot)
        seen = survey(lambda m=model: m(a, b), list(model.modules()), ((a,), (b,)), 3)  # type: ignore[misc]
        assert seen.calls(model.encoder) == calls
        assert seen.stacked(model.encoder) is stacked
        assert seen.shared(model) == [model.encoder]
        assert seen.order(model.encoder) == order
        assert all(seen.serves(model.encoder[4], side) for side in (0, 1))
        assert seen.serving(model, 0) == seen.serving(model, 1) == [model.encoder]
