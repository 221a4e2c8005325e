"""Networks that a module does not call by its attribute: through functions, in plain objects or globals, and programs
of ``torch.fx``, of which a copy is in training.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from xsiamese import (
    PairDeepLift,
    PairGradCAM,
    PairGuidedBackprop,
    PairIntegratedGradients,
    PairLayerActivation,
    PairLayerIntegratedGradients,
    PairLRP,
    SiameseModel,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
    net = nn.Sequential(first, nn.BatchNorm2d(6), nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.append(nn.Linear(8, 5)).double()
    for _ in range(20):
        net(torch.randn(8, 3, 16, 16, dtype=torch.float64))  # running statistics
    return net.eval()


def images() -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return a, b


class Direct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x)
        return found


class Function(Direct):
    def __init__(self) -> None:
        super().__init__()
        self.step = lambda x: self.net(x)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.step(x)
        return found


class Steps(Direct):
    def __init__(self) -> None:
        super().__init__()
        net = self.net
        self.steps = {"first": [lambda x: net[:3](x)], "then": [lambda x: net[3:](x)]}

    def forward(self, x: Tensor) -> Tensor:
        for steps in self.steps.values():
            x = steps[0](x)
        return x


class Patched(Direct):
    def __init__(self) -> None:
        super().__init__()
        before = self.net.forward
        self.net.forward = lambda x: before(x)  # type: ignore[method-assign]


class Holder:
    def __init__(self, net: nn.Module) -> None:
        self.net = net


class Held(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.holder = Holder(network())

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.holder.net(x)
        return found


HIDDEN_NET = network()


class Global(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = HIDDEN_NET(x)
        return found


def program() -> nn.Module:
    made = fx.symbolic_trace(network())
    made.eval()
    return made


class Rebuilt(fx.GraphModule):
    """A program that is made anew when it is copied, for training, as torchvision's feature extractors are."""

    def __deepcopy__(self, memo: Any) -> Rebuilt:
        made = Rebuilt(deepcopy(dict(self.named_children()), memo), deepcopy(self.graph))
        return made.train()


def rebuilt() -> nn.Module:
    traced = fx.symbolic_trace(network())
    return Rebuilt(dict(traced.named_children()), traced.graph).eval()


FOUND: dict[str, Callable[[], nn.Module]] = {
    "function": Function, "steps": Steps, "patched": Patched, "program": program, "rebuilt": rebuilt,
}  # fmt: skip


class One(nn.Module):
    """The closeness of one side to an embedding that is held."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor, held: Tensor) -> Tensor:
        return functional.cosine_similarity(self.net(x), held)


@pytest.mark.parametrize("name", FOUND)
def test_what_is_called_by_a_function_is_copied_with_the_model(name: str) -> None:
    """The copy called the network itself, so that rules and hooks of the copy were left out, in silence; the copy of a
    program was in training.
    """
    a, b = images()
    model, plain = SiameseModel(FOUND[name]().eval(), "cosine"), SiameseModel(Direct().eval(), "cosine")
    known = captum.DeepLift(One()).attribute(a, additional_forward_args=(network()(b).detach(),))
    torch.testing.assert_close(PairDeepLift(model).attribute((a, b))[0], known.detach())
    for cls, options in ((PairLRP, {"rule": "gamma"}), (PairLRP, {"rule": "zplus"}), (PairGuidedBackprop, {})):
        found, expected = (cls(one).attribute((a, b), **options) for one in (model, plain))
        torch.testing.assert_close(found, expected)
    layer = [m for m in model.modules() if isinstance(m, nn.Conv2d)][1]
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, args, output: kept.append(output.detach().clone()))
    with torch.no_grad():
        model(a, b)
    handle.remove()
    torch.testing.assert_close(PairLayerActivation(model, layer).attribute((a, b)), (kept[0], kept[1]))
    path = PairLayerIntegratedGradients(model, layer).attribute((a, b), n_steps=8)
    layer = [m for m in plain.modules() if isinstance(m, nn.Conv2d)][1]
    torch.testing.assert_close(path, PairLayerIntegratedGradients(plain, layer).attribute((a, b), n_steps=8))


@pytest.mark.parametrize(("make", "name"), [(Held, "net"), (Global, "HIDDEN_NET")])
def test_a_network_that_is_no_part_of_the_model_is_named(make: Callable[[], nn.Module], name: str) -> None:
    """Rules were left out in silence."""
    model, plain = SiameseModel(make(), "cosine"), SiameseModel(Direct().eval(), "cosine")
    for cls in (PairDeepLift, PairLRP, PairGuidedBackprop, PairGradCAM, PairLayerActivation):
        with pytest.raises(ValueError, match=f"^the model calls '{name}', a Sequential that is no part of it"):
            cls(model).attribute(images())
    found, known = (PairIntegratedGradients(one).attribute(images(), n_steps=4) for one in (model, plain))
    torch.testing.assert_close(found, known)
