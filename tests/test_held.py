"""Functions that hold modules: explained as the module itself is, in evaluation mode and with its layers."""

from __future__ import annotations

import functools
import inspect
from collections import namedtuple
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairDeepLift, PairGradCAM, PairSaliency, SiameseModel
from xsiamese.model.called import Called, function_of, module_of, shown, takes_whole
from xsiamese.model.held import Holding, held


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


class Times(nn.Module):
    """Multiplies by a number of its own."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.by

    def shifted(self, shift: float, x: Tensor, *, sign: float = 1.0) -> Tensor:
        return sign * (x * self.by + shift)


Two = namedtuple("Two", ["first", "second"])
TWO, THREE = Times(2.0), Times(3.0)


class Chained:
    """A callable object that is no module; what it calls is held by the function of its class alone."""

    def __call__(self, x: Tensor) -> Tensor:
        return TWO(x)  # type: ignore[no-any-return]


def of_both(x: Tensor, first: nn.Module = TWO, *, second: nn.Module = THREE) -> Tensor:
    return first(x) + second(x)  # type: ignore[no-any-return]


def summed(x: Tensor, *modules: nn.Module) -> Tensor:
    return sum((module(x) for module in modules), torch.zeros(()))


def of_the_last(*given: Any) -> Tensor:
    return sum((module(given[-1]) for module in given[:-1]), torch.zeros(()))


def countdown(x: Tensor, left: int = 2, net: nn.Module = TWO) -> Tensor:
    return net(countdown(x, left - 1, net)) if left else x


def unassigned(net: nn.Module) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        return net(x) if len(x) else later(x)

    if not isinstance(net, nn.Module):
        later: Callable[[Tensor], Tensor] = net
    return function


def nothing_there(net: nn.Module) -> Callable[[Tensor], Tensor]:
    absent = None
    return lambda x: net(x) if absent is None else absent(x)


def in_lists(value: Any, number: int) -> Any:
    return functools.reduce(lambda inner, _: [inner], range(number), value)


def of_lists(number: int) -> Callable[..., Any]:
    nested = in_lists(TWO, number)
    return lambda x: (nested, x)


HELD: dict[str, tuple[Callable[..., Any], list[str], float]] = {
    "closure": ((lambda net: lambda x: net(x))(TWO), ["net"], 2.0),
    "one module by two names": ((lambda one, two: lambda x: one(x) + two(x))(TWO, TWO), ["one"], 4.0),
    "defaults": (of_both, ["first", "second"], 5.0),
    "global of an object's class": (Chained(), ["TWO"], 2.0),
    "more places than names": (functools.partial(of_the_last, TWO, THREE), ["_0", "_1"], 5.0),
    "by name and by keyword": (functools.partial(of_both, first=THREE), ["first", "second"], 6.0),
    "a partial of a partial": (
        functools.partial(functools.partial(of_both, second=TWO), first=THREE), ["first", "second"], 5.0,
    ),
    "list": ((lambda nets: lambda x: nets[0](x) - nets[1](x))([TWO, THREE]), ["nets_0", "nets_1"], -1.0),
    "tuple": ((lambda nets: lambda x: nets[0](x) - nets[1](x))((TWO, THREE)), ["nets_0", "nets_1"], -1.0),
    "named tuple": ((lambda of: lambda x: of.first(x) - of.second(x))(Two(TWO, THREE)), ["of_0", "of_1"], -1.0),
    "mapping": ((lambda of: lambda x: of["a.b"](x) * of["c"](x))({"a.b": TWO, "c": THREE}), ["a_b", "c"], 6.0),
    "one name, two modules": (
        (lambda of, net: lambda x: of["net"](x) * net(x))({"net": THREE}, TWO), ["net", "net_1"], 6.0,
    ),
    "method": (functools.partial(Loose(TWO).encode), ["net"], 2.0),
    "itself": (functools.partial(countdown), ["net"], 4.0),
    "not assigned yet": (unassigned(THREE), ["net"], 3.0),
    "none": (nothing_there(THREE), ["net"], 3.0),
}  # fmt: skip


@pytest.mark.parametrize("how", HELD)
def test_what_a_function_holds_by_name_and_a_copy_that_holds_others(how: str) -> None:
    """Each module of the copy multiplies by ten times as much; the function that was given stays as it was."""
    function, names, value = HELD[how]
    found = held(function)
    assert list(found) == names
    around = Holding(function, found)
    x = torch.ones(1)
    assert float(around(x)) == value
    assert around.given.with_modules(list(found.values())) is function
    other = deepcopy(around)
    assert all(new is not old for new, old in zip(other.children(), found.values(), strict=True))
    with torch.no_grad():
        for child in other.children():
            child.by.mul_(10)  # type: ignore[operator]
    power = 2 if how in ("mapping", "one name, two modules", "itself") else 1
    assert float(other(x)) == value * 10**power
    assert float(around(x)) == float(function(x)) == value


def test_how_deep_modules_are_looked_for() -> None:
    """Six containers inside a function; an object counts for four of them, so that two of three are looked at."""
    assert list(held(of_lists(6))) == ["nested_0_0_0_0_0_0"]
    assert held(of_lists(7)) == {}
    inner: Any = Loose(TWO)
    outer: Any = Loose(inner)
    holders: list[Any] = [inner, outer, lambda x: outer(x), [outer], [[outer]], [[[outer]]], Loose(outer)]
    assert [len(held(holder)) for holder in holders] == [1, 1, 1, 1, 1, 0, 0]
    deep = [in_lists(TWO, number) for number in (5, 6)]

    class Calling:
        def __call__(self, x: Tensor, nested: Any = None) -> Any:
            return nested, x

    for nested, count in zip(deep, (1, 0), strict=True):
        Calling.__call__.__defaults__ = (nested,)
        assert len(held(Calling())) == count
    again: list[Any] = []
    again += [again] * 99 + [TWO]  # which holds itself, and is looked at once
    assert list(held(lambda x: again[-1](x))) == ["again_99"]
    for plain in (nn.Linear, torch, "text", 3, torch.relu, functools.reduce):
        assert held(plain) == {}  # type: ignore[arg-type]


def test_a_module_behind_partials_and_methods_is_called_as_it_was() -> None:
    x = torch.ones(1)
    for made, value, free in (
        (functools.partial(TWO.shifted, 5.0), 7.0, ["x", "sign"]),
        (functools.partial(functools.partial(TWO.shifted, 5.0), sign=-1.0), -7.0, ["x", "sign"]),
        (functools.partial(functools.partial(TWO.shifted, 1.0, sign=3.0), sign=-1.0), -3.0, ["x", "sign"]),
        (TWO.forward, 2.0, ["x"]),
        (functools.partial(TWO), 2.0, ["x"]),
    ):
        around = shown(made)
        assert isinstance(around, Called)
        assert around.module is TWO
        assert float(around(x)) == value
        assert list(inspect.signature(function_of(around)).parameters) == free
        assert list(inspect.signature(function_of(module_of(made))).parameters) == free
    assert float(shown(functools.partial(TWO.shifted, 1.0, sign=3.0))(x, sign=-1.0)) == -3.0  # a call's own goes first
    assert float(shown(functools.partial(functools.partial(summed, x), TWO, THREE))()) == 5.0
    assert shown(torch.relu) is torch.relu
    assert shown(TWO) is module_of(TWO) is TWO
    assert function_of(torch.relu) is torch.relu
    with pytest.raises(TypeError, match=r"^the encoder is 3: a module that makes embeddings, or a tuple of two, is"):
        module_of(3)  # type: ignore[arg-type]


def test_which_encoders_take_a_mapping_whole() -> None:
    def one(batch: Any) -> Any:
        return batch

    def named(image: Any) -> Any:
        return image

    def more(batch: Any, scale: float = 1.0, *rest: Any) -> Any:
        return batch, scale, rest

    def two(batch: Any, other: Any) -> Any:
        return batch, other

    def by_name(*, batch: Any) -> Any:
        return batch

    def anything(batch: Any, **names: Any) -> Any:
        return batch, names

    def none() -> None: ...

    for function, whole in (
        (one, True), (more, True), (named, False), (two, False), (by_name, False), (anything, False), (none, False),
        (functools.partial(two, 3), True), (functools.partial(two, other=3), True), (max, False),  # which tells nothing
    ):  # fmt: skip
        assert takes_whole(module_of(function), {"image": None}) is whole, function
