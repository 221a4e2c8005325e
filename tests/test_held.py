"""Functions that hold modules: explained as the module itself is, in evaluation mode and with its layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairDeepLift, PairGradCAM, PairSaliency, SiameseModel


class Loose:
    """An object that is no module and holds one."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]

    def encode(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


NET: nn.Module | None = None


def of_a_global(x: Tensor) -> Tensor:
    assert NET is not None
    return NET(x) if len(x) else of_a_global(x)  # type: ignore[no-any-return]


def given_first(net: nn.Module, x: Tensor) -> Tensor:
    return net(x)  # type: ignore[no-any-return]


HOLDERS: dict[str, Callable[[nn.Module], Callable[..., Any]]] = {
    "closure": lambda net: lambda x: net(x),
    "default": lambda net: lambda x, inner=net: inner(x),
    "global": lambda net: of_a_global,
    "global of another function": lambda net: lambda x: of_a_global(x) * 1,
    "fixed argument": lambda net: functools.partial(given_first, net),
    "fixed by name": lambda net: functools.partial(lambda x, net: net(x), net=net),
    "list": lambda net: functools.partial(lambda nets, x: nets[0](x), [net]),
    "object": Loose,
    "method of an object": lambda net: Loose(net).encode,
    "object in a closure": lambda net: (lambda loose: lambda x: loose.net(x))(Loose(net)),
}


@pytest.mark.parametrize("how", HOLDERS)
def test_modules_that_a_function_holds_are_found(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In evaluation mode, with their layers, with modules of their own for each side, and left as they were."""
    torch.manual_seed(0)  # of some weights no cell of b is above zero, and its map is none
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 4)
    )
    net.double().train()
    monkeypatch.setattr(f"{__name__}.NET", net)
    plain, before = deepcopy(net).eval(), deepcopy(net.state_dict())
    a, b = torch.rand(2, 2, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of_a, self.of_b = plain, deepcopy(plain)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (self.of_a(a) * self.of_b(b)).sum(1)  # type: ignore[no-any-return]

    function = HOLDERS[how](net)
    twin = Both()
    with torch.enable_grad():
        moved = a.clone().requires_grad_(), b.clone().requires_grad_()
        slopes = torch.autograd.grad(twin(*moved).sum(), moved)
    lift = captum.DeepLift(twin).attribute((a, b))
    for model in (SiameseModel(function, "dot"), lambda a, b: (function(a) * function(b)).sum(1)):
        for found, expected in (
            (PairSaliency(model).attribute((a, b), abs=False), slopes),
            (PairDeepLift(model).attribute((a, b), joint=True), lift),
            (PairGradCAM(model).attribute((a, b)), PairGradCAM(twin, (twin.of_a[2], twin.of_b[2])).attribute((a, b))),
        ):
            for x, y in zip(found, expected, strict=True):
                torch.testing.assert_close(x, y)
                assert y.any()
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_functions_of_modules_elsewhere_and_comparisons_that_hold_one() -> None:
    head, net = nn.Sequential(nn.Linear(8, 1), nn.Dropout(0.5)), nn.Linear(3, 4).double()
    a, b = torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0))
    model = SiameseModel(lambda x: net(x.double()).float(), lambda u, v: head(torch.cat([u, v], 1)))
    assert {"encoder.net.weight", "comparison.function.head.0.bias"} <= {name for name, _ in model.named_parameters()}
    found = PairSaliency(model).attribute((a, b), abs=False)
    for side, x in enumerate(found):  # float32 rows for a function that makes them double
        slope = head[0].weight[0, 4 * side : 4 * side + 4].double() @ net.weight
        torch.testing.assert_close(x, slope.float().expand(2, 3))


class ByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 4).double()

    def forward(self, *, left: Tensor, right: Tensor, scale: float = 1.0) -> Tensor:
        return scale * (self.net(left) * self.net(right)).sum(1)  # type: ignore[no-any-return]


def test_two_inputs_that_go_by_name_only() -> None:
    a, b = torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = ByName()
    outer = model.net.weight.T @ model.net.weight
    for made in (model, lambda *, left, right: model(left=left, right=right)):
        for pair in ((a, b), {"left": a, "right": b}, {"right": b, "left": a}):
            found = PairSaliency(made).attribute(pair, abs=False)
            expected = [other @ outer + model.net.bias @ model.net.weight for other in (b, a)]
            for x, y in zip(found, expected if next(iter(pair)) != "right" else expected[::-1], strict=True):
                torch.testing.assert_close(x, y.detach())
    doubled = PairSaliency(model).attribute((a, b), abs=False, additional_forward_args={"scale": 2.0})
    torch.testing.assert_close(doubled[0], 2 * PairSaliency(model).attribute((a, b), abs=False)[0])


def test_an_encoder_of_a_tuple_is_told_what_to_say() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, 2 * x

    a, b = torch.rand(2, 2, 3)
    for name in ("cosine", "dot", "euclidean"):
        with pytest.raises(ValueError, match=rf"returned a tuple, and {name} compares two tensors: give embedding="):
            PairSaliency(SiameseModel(Two(), name)).attribute((a, b))
    torch.testing.assert_close(PairSaliency(SiameseModel(Two(), "dot", embedding=1)).attribute((a, b))[0], 4 * b)
