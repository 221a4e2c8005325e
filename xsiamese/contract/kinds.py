"""What an explainer is tried on, by the kinds of input that it names: small models and pairs of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xsiamese.contract.subject import PAIRS, Subject
from xsiamese.door.registry import comparisons
from xsiamese.explain.attribution import PairAttribution
from xsiamese.kinds.catalogue import names
from xsiamese.model.tokens import Pooling, TextEncoder

# the points that depend on what an input is; the others are tried on the first kind that the explainer names
OF_KIND = frozenset(
    {
        "1 two results",
        "3 twin",
        "4 batch is loop",
        "5 internal batch size",
        "13 device and dtype",
        "15 complete",
    }
)


class Dense(Subject):
    """An explainer class on trial on small pairs of another kind than images.

    Attributes:
        shape: of an item.
        window: what an occlusion covers at once.
    """

    shape: ClassVar[tuple[int, ...]]
    window: ClassVar[tuple[int, ...]]
    checks = OF_KIND

    def __init__(self, cls: type[PairAttribution], options: dict[str, Any]) -> None:
        known = dict(options)
        if "feature_mask" in known:
            known["feature_mask"] = (_halves(self.shape),) * 2
        if cls.fitted and "n_samples" in known:
            known["n_samples"] = 16  # that what is zero is nearly so is tried on images
        if isinstance(known.get("masks"), int):
            known["masks"] = max(known["masks"], 3 * prod(self.shape))  # enough to tell all parts apart
        if "sliding_window_shapes" in known:
            known["sliding_window_shapes"] = self.window
        super().__init__(cls, known)

    def attribute(
        self, model: Callable[..., Any], inputs: tuple[Tensor, Tensor], layer: Any = "3", **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        return self.quietly(self.make(model, layer), inputs, {**self.options, **kwargs})

    def encoder(self, *, inplace: bool = False, norm: bool = False) -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            made = self.built(nn.ReLU(inplace), nn.ReLU(inplace))
            with torch.no_grad():
                made[-1].weight.mul_(4)  # type: ignore[operator]
        return made.double().eval()

    def smooth(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return self.built(nn.Tanh(), nn.Tanh()).double().eval()

    def pairs(self, count: int = PAIRS) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(11)
        a, b = (torch.randn(PAIRS, *self.shape, generator=generator, dtype=torch.float64)[:count] for _ in range(2))
        return a, b

    def built(self, first: nn.Module, second: nn.Module) -> nn.Sequential:
        """The encoder around two activations; its layer "3" has weights."""
        raise NotImplementedError


class Rows(Dense):
    kind = " on rows"
    shape, window = (5,), (2,)

    def built(self, first: nn.Module, second: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Linear(5, 4), first, nn.Identity(), nn.Linear(4, 6), second, nn.Linear(6, 3))


class Series(Dense):
    kind = " on series"
    shape, window = (2, 11), (1, 3)

    def built(self, first: nn.Module, second: nn.Module) -> nn.Sequential:
        pool, flat = nn.AdaptiveAvgPool1d(1), nn.Flatten()
        return nn.Sequential(
            nn.Conv1d(2, 4, 3), first, nn.MaxPool1d(2), nn.Conv1d(4, 6, 2), second, pool, flat, nn.Linear(6, 3)
        )


class Volumes(Dense):
    kind = " on volumes"
    shape, window = (1, 2, 3, 4), (1, 2, 2, 2)

    def built(self, first: nn.Module, second: nn.Module) -> nn.Sequential:
        pool, flat = nn.AdaptiveAvgPool3d(1), nn.Flatten()
        return nn.Sequential(
            nn.Conv3d(1, 4, 2), first, nn.Identity(), nn.Conv3d(4, 6, (1, 2, 2)), second, pool, flat, nn.Linear(6, 3)
        )


class Tokens(TextEncoder, nn.Sequential):  # type: ignore[misc]  # forward is the encoder's
    """Layers that take tokens, and the mean over them at the end."""

    pooling: Pooling | None = "mean"

    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        x = input_ids
        for layer in self:
            x = layer(x)
        return x, torch.ones_like(x[..., 0])


class EachToken(Tokens):
    """Layers that take tokens, whose vectors are compared one by one."""

    pooling = "tokens"


class Texts(Dense):
    """On ids, or on embeddings where the explainer needs inputs that can move."""

    shape, window = (5, 4), (1, 4)
    layers: ClassVar[type[Tokens]] = Tokens

    def __init__(self, cls: type[PairAttribution], options: dict[str, Any]) -> None:
        super().__init__(cls, options)
        self.ids = not cls.needs_motion()
        self.kind = " on ids of tokens" if self.ids else " on embeddings of tokens"  # type: ignore[misc]
        self.options["kind"] = "text"
        if self.ids and "sliding_window_shapes" in self.options:
            self.options["sliding_window_shapes"] = (2,)
        if self.ids and "feature_mask" in self.options:
            self.options["feature_mask"] = (_halves(self.shape[:1]),) * 2

    def pairs(self, count: int = PAIRS) -> tuple[Tensor, Tensor]:
        if not self.ids:
            return super().pairs(count)
        generator = torch.Generator().manual_seed(11)
        a, b = (torch.randint(1, 11, (PAIRS, 5), generator=generator)[:count] for _ in range(2))
        return a, b

    def built(self, first: nn.Module, second: nn.Module) -> nn.Sequential:
        start = nn.Embedding(11, 4) if self.ids else nn.Linear(4, 4)
        return self.layers(start, first, nn.Identity(), nn.Linear(4, 6), second, nn.Linear(6, 3))


class LateInteraction(Texts):
    """On texts whose tokens are compared, each of a with the one of b that is most like it."""

    comparison = "maxsim"
    layers = EachToken
    checks = frozenset({"1 two results", "4 batch is loop", "15 complete"})

    def __init__(self, cls: type[PairAttribution], options: dict[str, Any]) -> None:
        super().__init__(cls, options)
        self.kind = f"{self.kind}, in late interaction"  # type: ignore[misc]


def _halves(shape: tuple[int, ...]) -> Tensor:
    """Two features: the first half along the last dimension, and the second."""
    mask = torch.zeros(1, *shape, dtype=torch.long)
    mask[..., shape[-1] // 2 :] = 1
    return mask


def _graphs(cls: type[PairAttribution], options: dict[str, Any]) -> Iterator[Subject]:
    if find_spec("torch_geometric"):
        from xsiamese.contract.graphs import GraphSubject

        for mask, part in (("node_mask", "nodes"), ("edge_mask", "edges")):
            if part in cls.known_parts:
                yield GraphSubject(cls, options, mask)


def _texts(cls: type[PairAttribution], options: dict[str, Any]) -> Iterator[Subject]:
    yield Texts(cls, options)
    if LateInteraction.comparison in comparisons():
        yield LateInteraction(cls, options)


# by the kind's name; a plugin that brings a kind adds a subject of it here in its tests
SUBJECTS: dict[str, Callable[[type[PairAttribution], dict[str, Any]], Iterator[Subject]]] = {
    "image": lambda cls, options: iter((Subject(cls, options),)),
    "graph": _graphs,
    "row": lambda cls, options: iter((Rows(cls, options),)),
    "series": lambda cls, options: iter((Series(cls, options),)),
    "volume": lambda cls, options: iter((Volumes(cls, options),)),
    "text": _texts,
}


def subjects(cls: type[PairAttribution], options: Mapping[str, Any]) -> list[Subject]:
    """What an explainer is tried on: a subject of each kind that it names, the first of them on all points.

    Raises:
        ValueError: if there is no subject of a kind.
    """
    named = names(cls.modalities)
    if unknown := sorted(named - set(SUBJECTS)):
        raise ValueError(
            f"{cls.__name__} explains {', '.join(unknown)}, and the contract has no pairs of it: add a subject to "
            "xsiamese.contract.kinds.SUBJECTS"
        )
    found = [one for kind, made in SUBJECTS.items() if kind in named for one in made(cls, dict(options))]
    if found and not any(not one.checks for one in found):
        found[0].checks = frozenset()  # type: ignore[misc]
    return found
