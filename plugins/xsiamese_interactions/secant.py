r"""The path integral by secants: complete at every number of steps.

Between two points of the path a nonlinearity :math:`\sigma` counts as its secant :math:`(\sigma(z_1) - \sigma(z_0)) /
(z_1 - z_0)`, as DeepLift's rescale rule does between the two ends (:cite:`shrikumar2017`). What is left of the encoder
is affine, so that the parts' shares of a step sum to the step itself, whatever its length. The encoder runs twice: over
the points, keeping the secants, and over the parts, using them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from xsiamese.author import Parts
from xsiamese_interactions.tangents import CHUNK

KNOWN = "the secant form knows ReLU and other elementwise functions, max pooling and affine layers, and this encoder"
OTHER = "use rule='gauss'"
Begun = Callable[[Tensor, Callable[[], None]], Tensor]

RELU = {functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
SMOOTH = {
    functional.gelu,
    functional.silu,
    functional.elu,
    functional.celu,
    functional.selu,
    functional.softplus,
    functional.hardtanh,
    functional.leaky_relu,
    functional.mish,
    functional.relu6,
    functional.tanh,
    functional.sigmoid,
    torch.tanh,
    torch.sigmoid,
    torch.exp,
    Tensor.tanh,
    Tensor.sigmoid,
    Tensor.exp,
}


class Secants(TorchFunctionMode):
    """Keeps the secants of a pass over the points of a path, and puts them in place of the nonlinearities afterwards.

    Attributes:
        on: whether it listens: what runs before the layer is none of its business.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self.kept: list[Tensor] = []
        self.next: int | None = None  # the number of the next secant to be used, or None while they are being kept
        self.segment = slice(None)

    def begin(self) -> None:
        """Listens from here to the end of the pass; a pass that was broken off is forgotten."""
        self.on = True
        if self.next is None:
            self.kept.clear()
        else:
            self.next = 0

    def replay(self, segment: slice) -> None:
        """Uses the secants of some segments in the next pass."""
        self.next, self.segment, self.on = 0, segment, False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        known = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if not self.on:
            return func(*args, **known)
        if func in RELU or func in SMOOTH:
            known.pop("inplace", None)  # what was kept must stay
            smooth = torch.relu if func in RELU else func
            return self._elementwise(func in RELU, lambda z: smooth(z, *args[1:], **known), args[0])
        if name in ("max_pool2d", "_max_pool2d", "boolean_dispatch") or func is functional.max_pool2d:
            return self._pooled(*args, **known)
        return func(*args, **known)

    def _elementwise(self, is_relu: bool, function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
        if self.next is not None:
            return self._used(z)
        low, high = z[:-1], z[1:]
        self.kept.append(_relu_slope(low, high) if is_relu else _slope(function, low, high))
        return function(z)

    def _pooled(
        self, z: Tensor, size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *_: Any, **__: Any
    ) -> Tensor:
        if dilation not in (1, (1, 1), [1, 1]):
            raise ValueError("the secant form knows no dilated max pooling: use rule='gauss'")
        window = _windows(z, size, stride or size, padding, 0.0 if self.next is not None else -torch.inf)
        if self.next is not None:
            return self._used(window).sum(-1)
        # the maximum of a window as a chain of max(m, z_k) = m + relu(z_k - m): each link has a relu's secant
        best = window[..., 0]
        shares = [torch.ones_like(best[:-1])]
        for k in range(1, window.shape[-1]):
            gain = torch.nan_to_num(window[..., k] - best, neginf=torch.finfo(z.dtype).min)
            slope = _relu_slope(gain[:-1], gain[1:])
            shares = [share * (1 - slope) for share in shares] + [slope]
            best = torch.maximum(best, window[..., k])
        self.kept.append(torch.stack(shares, -1))
        return best

    def _used(self, z: Tensor) -> Tensor:
        assert self.next is not None
        slope = self.kept[self.next][self.segment]
        self.next += 1
        # rows of z come segment by segment, each with all its parts
        return (z.reshape(len(slope), -1, *z.shape[1:]) * slope[:, None]).reshape(z.shape)


def segments(
    encode: Begun, start: Tensor, end: Tensor, parts: Parts, *, steps: int, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """The embeddings along the straight path, and each part's share of every step.

    Args:
        encode: embeddings (rows, ...) of rows of tensors like ``end``, and what is to be called where these come in.
        start: where the path begins, (1, ...).
        end: where it ends.
        parts: of a tensor like ``end``.
        steps: how many.
        chunk: how many rows go through at once, roughly.

    Returns:
        Embeddings (steps + 1, ...), and shares (steps, parts, D) that sum over the parts to their differences.

    Raises:
        ValueError: if the encoder does something between its layers that is neither affine nor known.
    """
    mode = Secants()
    places = torch.linspace(0, 1, steps + 1, dtype=end.dtype, device=end.device)
    rows = [-1] + [1] * (end.dim() - 1)
    with torch.no_grad(), mode:
        points = start + places.reshape(rows) * (end - start)
        embeddings = encode(points, mode.begin)
    step = (end - start) / steps
    every = torch.where(
        parts.number == torch.arange(parts.count, device=end.device).reshape(rows), step, torch.zeros_like(step)
    )
    moves = torch.cat([every, torch.zeros_like(step)])  # the last row gives what the affine pieces add by themselves
    at_once = max(1, chunk // len(moves))
    found = []
    for first in range(0, steps, at_once):
        some = slice(first, min(first + at_once, steps))
        mode.replay(some)
        rows_moved = moves.repeat(some.stop - some.start, *[1] * (moves.dim() - 1))
        try:
            with torch.no_grad(), mode:
                moved = encode(rows_moved, mode.begin).flatten(1)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:  # the same layers were passed before, by other rows
            raise ValueError(f"{KNOWN} reads something else beside it, as a bank of prototypes: {OTHER}") from error
        moved = moved.reshape(some.stop - some.start, len(moves), -1)
        found.append(moved[:, :-1] - moved[:, -1:])
    shares = torch.cat(found)
    _check(embeddings, shares)
    return embeddings, shares


def _check(embeddings: Tensor, shares: Tensor) -> None:
    """Shares that do not sum to the steps tell of an operation that is neither affine nor known."""
    gap = (shares.sum(1) - embeddings.diff(dim=0).flatten(1)).abs().max()
    size = embeddings.abs().max()
    if not bool(gap <= 1e3 * torch.finfo(shares.dtype).eps * (size + shares.abs().sum(1).max())):
        raise ValueError(f"{KNOWN} does something else (its steps are off by {float(gap):.2g}): {OTHER}")


def unit_shares(embeddings: Tensor, shares: Tensor) -> Tensor:
    r"""The shares of the steps of :math:`u / |u|`, exactly, from those of u."""
    first, last = embeddings[:-1], embeddings[1:]
    sizes = [z.norm(dim=1)[:, None, None] for z in (first, last)]
    safe = [torch.where(size > 0, size, torch.ones_like(size)) for size in sizes]
    inverse = (1 / safe[0] + 1 / safe[1]) / 2
    mean = ((first + last) / 2)[:, None]
    outer = 2 / (safe[0] * safe[1] * (safe[0] + safe[1]))
    found = inverse * shares - outer * mean * (shares * mean).sum(-1, keepdim=True)
    # from or to an embedding of zero, whose direction counts as zero, the whole of the other end is gained
    found = torch.where(sizes[0] > 0, found, shares / safe[1])
    return torch.where(sizes[1] > 0, found, torch.where(sizes[0] > 0, shares / safe[0], torch.zeros_like(shares)))


def _relu_slope(low: Tensor, high: Tensor) -> Tensor:
    """(relu(high) - relu(low)) / (high - low), without cancellation."""
    least, most = torch.minimum(low, high), torch.maximum(low, high)
    above, below = most.clamp_min(0), (-least).clamp_min(0)
    total = (above + below).clamp_min(torch.finfo(low.dtype).tiny)
    mixed = above / total
    return torch.where(least >= 0, torch.ones_like(low), torch.where(most <= 0, torch.zeros_like(low), mixed))


def _slope(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """The secant of a smooth function, and its derivative where the two ends nearly meet."""
    gap = high - low
    near = gap.abs() <= torch.finfo(low.dtype).eps ** 0.5 * (1 + low.abs())
    with torch.enable_grad():
        middle = ((low + high) / 2).detach().requires_grad_()
        tangent = torch.autograd.grad(function(middle).sum(), middle)[0]
    return torch.where(near, tangent, (function(high) - function(low)) / torch.where(near, torch.ones_like(gap), gap))


def _windows(z: Tensor, size: Any, stride: Any, padding: Any, fill: float) -> Tensor:
    """Every window of a pooling, (rows, channels, h, w, window)."""
    (kh, kw), (sh, sw), (ph, pw) = ((v, v) if isinstance(v, int) else tuple(v) for v in (size, stride, padding))
    padded = functional.pad(z, (pw, pw, ph, ph), value=fill)
    return padded.unfold(2, kh, sh).unfold(3, kw, sw).flatten(4)
