r"""How an embedding moves with each part of an item, :math:`J_f(h)\, (d \odot 1_i)`, by whichever way is cheaper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from xsiamese.author import Parts

Rule = Literal["gauss", "secant", "midpoint", "left", "right"]

Encode = Callable[[Tensor], Tensor]
CHUNK = 64  # tangents or cotangents in one pass
ROOM = 2**20  # numbers at most of them together: each is as large as the point, and so is all that it meets on its way
TANGENT, COTANGENT = 1.03, 0.8  # what one of each costs in passes of the tail, measured


def nodes(rule: str, count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Places in [0, 1] and weights that sum to 1."""
    if rule == "gauss":
        places, weights = np.polynomial.legendre.leggauss(count)
        return like.new_tensor((places + 1) / 2), like.new_tensor(weights / 2)
    shift = {"midpoint": 0.5, "left": 0.0, "right": 1.0}[rule]
    # whole numbers first: steps of 1 / count added up miss or double a point for some counts
    return (torch.arange(count, device=like.device, dtype=like.dtype) + shift) / count, like.new_full(
        (count,), 1 / count
    )


def jacobian(
    encode: Encode, point: Tensor, direction: Tensor, parts: Parts, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """The embedding, (1, ...), and its change with each part moving along ``direction``, (parts, D).

    Forward mode over the parts where these are few, else reverse mode over the dimensions; the attention kernel that
    has no forward derivative is kept away.

    Args:
        encode: the embedding, D numbers (1, ...), of a tensor like ``point``.
        point: where.
        direction: of its shape.
        parts: of its shape.
        chunk: how many parts or dimensions go through in one pass, fewer of a large point.
    """
    chunk = max(1, min(chunk, ROOM // max(1, point.numel())))
    with sdpa_kernel(SDPBackend.MATH):
        with torch.no_grad():
            embedding = encode(point)
        ways = [_by_dimensions, _one_by_one]
        if TANGENT * parts.count <= COTANGENT * embedding.numel():
            ways = [_by_parts, *ways]
        for way in ways[:-1]:
            try:
                return embedding, way(encode, point, direction, parts, chunk)
            except RuntimeError:  # an operation without a rule for derivatives in a batch
                continue
        return embedding, ways[-1](encode, point, direction, parts, chunk)


def _by_parts(encode: Encode, point: Tensor, direction: Tensor, parts: Parts, chunk: int) -> Tensor:
    def moved(part: Tensor) -> Tensor:
        along = torch.where(parts.number == part, direction, torch.zeros_like(direction))
        found: Tensor = jvp(encode, (point,), (along,))[1]
        return found.flatten()

    numbers = torch.arange(parts.count, device=point.device)
    found: Tensor = vmap(moved, chunk_size=chunk)(numbers)
    return found.detach()


def _by_dimensions(encode: Encode, point: Tensor, direction: Tensor, parts: Parts, chunk: int) -> Tensor:
    embedding, pull, *_ = vjp(encode, point)
    every = torch.eye(embedding.numel(), dtype=embedding.dtype, device=point.device)

    def slopes(rows: Tensor) -> Tensor:
        found = vmap(lambda one: pull(one.reshape(embedding.shape))[0])(rows)
        return parts.summed(found * direction)

    return torch.cat([slopes(rows) for rows in torch.split(every, chunk)]).T.detach()


def _one_by_one(encode: Encode, point: Tensor, direction: Tensor, parts: Parts, chunk: int) -> Tensor:
    point = point.detach().requires_grad_()
    with torch.enable_grad():
        embedding = encode(point).flatten()
        if not embedding.requires_grad:
            return direction.new_zeros(parts.count, len(embedding))
        rows = [torch.autograd.grad(one, point, retain_graph=True, allow_unused=True)[0] for one in embedding]
    found = torch.stack([torch.zeros_like(point) if row is None else row for row in rows])
    return parts.summed(found * direction).T.detach()
