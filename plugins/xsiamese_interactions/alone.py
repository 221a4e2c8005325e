"""Each place of a layer's output alone, asked of what follows without the rows, nearly all zeros, where it averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from xsiamese.author import parts_of

MEAN = torch.ops.aten.mean.dim


class Alone(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A layer's output of each item as it is, none of it, and each place of it alone: all that the rest of the encoder
    is asked, (items x (2 + places), ...).

    What follows gets :attr:`stand_in`, one number that looks like these rows. The mean over all places needs none of
    them, since that of one place alone is the place over how many there are; whatever else touches it first finds the
    rows in its place. What gets past this mode finds a number that is none, so that nothing wrong adds up.

    Args:
        output: of all items, (items, ...).
        channel: the dimension whose numbers belong to one place, as :func:`parts_of` takes it.
    """

    def __init__(self, output: Tensor, channel: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.output, self.channel, self.parts = output, channel, parts_of(output[:1], None, channel)
        self.dims = set() if channel is None else set(range(1, output.dim())) - {channel}  # those of the places
        rows = len(output) * (2 + self.parts.count)
        self.stand_in = output.new_full((), torch.nan).expand(rows, *output.shape[1:])
        self.rows: Tensor | None = None  # written out, once something asks for them

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        first_asked = func is MEAN and args[0] is self.stand_in and self.rows is None
        if first_asked and not kwargs and self._of_all_places(args[1]):
            return self._means(keepdim=len(args) > 2 and args[2])
        args, kwargs = tree_map(self._put, (args, kwargs or {}))
        return func(*args, **kwargs)

    def _put(self, given: Any) -> Any:
        if given is not self.stand_in:
            return given
        if self.rows is None:  # once: what changes it in place must be seen by what comes after
            self.rows = self._made()
        return self.rows

    def _of_all_places(self, dims: Sequence[int] | None) -> bool:
        return bool(dims) and {dim % self.output.dim() for dim in dims or ()} == self.dims

    def _means(self, keepdim: bool) -> Tensor:
        """The rows' means over all places, (rows, channels), or with dimensions of 1 where places were."""
        assert self.channel is not None
        places = self.output.movedim(self.channel, -1).flatten(1, -2)  # in the order of the parts: the last one fastest
        means = self.output.mean(sorted(self.dims), keepdim=keepdim)
        whole = means.reshape(len(means), 1, -1)
        rows = torch.cat([whole, torch.zeros_like(whole), places / places.shape[1]], 1)
        return rows.reshape(-1, *means.shape[1:])

    def _made(self) -> Tensor:
        flat = self.output.reshape(len(self.output), 1, -1)
        made = self.output.new_zeros(len(self.output), 2 + self.parts.count, flat.shape[-1])
        made[:, :1] = flat
        # number k of an output stands in the row of its own part and in no other: nothing else is written
        number = self.parts.number.expand(self.parts.shape).reshape(1, 1, -1).expand_as(flat)
        made[:, 2:].scatter_(1, number, flat)
        return made.reshape(-1, *self.output.shape[1:])
