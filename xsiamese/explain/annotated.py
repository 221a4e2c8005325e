"""What the options of an explainer may be: the annotations of the functions that take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from torch import Tensor

from xsiamese.door import arguments
from xsiamese.door.arguments import AtLeast

COUNTS = {"n_steps": 5_000, "n_samples": 10**6, "nt_samples": 10**6}
"""The most of what captum is asked for: the points of a Gaussian quadrature alone take minutes beyond that."""

_Positive = Annotated[float, AtLeast(0)]
_Window = tuple[int, ...]
_Stride = int | _Window
CAPTUM: dict[str, Any] = {
    "eps": _Positive,
    "feature_mask": Any,  # per_tensor, which knows of tuples for several tensors, looks at it
    "interpolate_mode": Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"],
    "layer_mask": Annotated[Tensor | tuple[Any, Any] | None, "a tensor, or a pair (of a, of b)"],
    "method": Literal["gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"],
    "sliding_window_shapes": Annotated[
        _Window | tuple[_Window | tuple[_Window, ...], ...],
        "a window of whole numbers from 1 on, one for each dimension of an item, as (channels, height, width), or a "
        "pair (of a, of b)",
    ],
    "stdevs": _Positive | tuple[_Positive, _Positive],
    "strides": Annotated[
        _Stride | tuple[_Stride | tuple[_Stride, ...], ...] | None,
        "a whole number from 1 on, one for each dimension of the window, or a pair (of a, of b)",
    ],
}
"""What captum asserts, or leaves to torch, where its annotations say less."""


def annotations_of(cls: type[Any]) -> Mapping[str, Any]:
    """The annotation of each option of an explainer, of its own and of captum's algorithm or its sampler."""
    algorithm, sampler = getattr(cls, "algorithm", None), getattr(cls, "requires", None)
    found = _of(algorithm, "__init__", "attribute")
    found |= {name: hint for name, hint in CAPTUM.items() if name in found}
    return found | _of(sampler, "ask") | _of(cls, "__init__", "read", "ask", "search", "compute")


def _of(owner: Any, *names: str) -> dict[str, Any]:
    functions = (getattr(owner, name, None) for name in names)
    return {name: hint for one in functions if one is not None for name, hint in arguments.hints(one).items()}


def check_options(cls: type[Any], given: Mapping[str, Any]) -> None:
    """Refuses options of an explainer whose values are not what they are annotated to be.

    Raises:
        ValueError: with the option, the value and what is needed.
    """
    if not given:  # most calls, and what may be given takes longer to read than a small model to run
        return
    usual = {name: p.default for name, p in {**cls.settings(), **cls.options()}.items()}
    arguments.check_each(annotations_of(cls), usual, given, most=COUNTS)
