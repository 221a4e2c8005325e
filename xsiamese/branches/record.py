"""One shared module, two calls: which call belongs to which side.

A Siamese model calls one module twice in a forward pass, and whatever is stored per module is overwritten by the second
call.
:func:`record` keeps a list per module; :func:`xsiamese.branches.calls.survey` finds out how a model uses its modules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from xsiamese.branches.lock import own
from xsiamese.branches.outputs import first_tensor, of_neither, with_first_tensor
from xsiamese.branches.refused import TRANSFORMED, refuse_packed, refuse_transformed

LayerPair = tuple[nn.Module, nn.Module]
Orders = tuple[tuple[int, ...], tuple[int, ...]]


class Recording:
    """The activations of some layers in both branches, and the gradients with respect to them.

    A layer that is called several times a side, as for several views of an item, counts as several layers.
    """

    def __init__(
        self, layers: Sequence[LayerPair], names: Sequence[str], order: Sequence[Orders], rows: tuple[int, int]
    ) -> None:
        self._given = layers
        self.names = names
        self.order = order
        self.rows = rows
        self.calls: dict[nn.Module, list[Tensor]] = {module: [] for pair in layers for module in pair}
        self._went_on: list[tuple[Tensor, int]] = []

    def goes_on(self, tensor: Tensor) -> None:
        """Notes that what follows gets an activation itself."""
        self._went_on.append((tensor, tensor._version))

    @property
    def overwritten(self) -> bool:
        """Whether what follows has written into an activation since it was recorded."""
        return any(tensor._version != version for tensor, version in self._went_on)

    @property
    def layers(self) -> list[LayerPair]:
        """The layers (of a, of b), each as often as it is called on a side."""
        return [pair for pair, calls in zip(self._given, self.calls_a_side, strict=True) for _ in range(calls)]

    @property
    def calls_a_side(self) -> list[int]:
        """How often each of the layers is called on a side."""
        return [len(self._branches(i, self._made(pair))) for i, pair in enumerate(self._given)]

    @property
    def activations(self) -> list[tuple[Tensor, Tensor]]:
        """For each layer its activations on side a and on side b, each with one row per pair."""
        return [both for i, pair in enumerate(self._given) for both in self._branches(i, self._made(pair))]

    def gradients(self, value: Tensor, create_graph: bool = False) -> list[tuple[Tensor, Tensor]]:
        """For each layer the gradients of ``value.sum()`` with respect to :attr:`activations`; zeros where it does not
        depend on them.

        Raises:
            ValueError: if the model checkpoints what is around a layer, so that a backward pass makes its output anew.
        """
        tensors = list(dict.fromkeys(t for calls in self.calls.values() for t in calls))
        wanted = [t for t in tensors if t.requires_grad]
        found: Sequence[Tensor | None] = ()
        if wanted and value.requires_grad:
            try:
                with torch.enable_grad():  # the user may be in no_grad
                    found = torch.autograd.grad(value.sum(), wanted, create_graph=create_graph, allow_unused=True)
            except CheckpointError as error:
                raise ValueError(
                    "the model checkpoints its activations around this layer, which makes its output anew in the "
                    "backward pass: switch it off to explain (gradient_checkpointing_disable(), use_checkpoint=False, "
                    "or without torch.utils.checkpoint), or use a method of the inputs"
                ) from error
        gradient = {id(t): g for t, g in zip(wanted, found, strict=bool(found)) if g is not None}
        return [
            both
            for i, pair in enumerate(self._given)
            for both in self._branches(
                i, [[gradient.get(id(t), torch.zeros_like(t)) for t in self.calls[m]] for m in pair]
            )
        ]

    def _made(self, pair: LayerPair) -> list[list[Tensor]]:
        return [list(self.calls[module]) for module in pair]

    def _branches(self, index: int, calls: list[list[Tensor]]) -> list[tuple[Tensor, Tensor]]:
        """What a layer gave on (a, b), once for each of its calls on a side."""
        name, orders = self.names[index], self.order[index]
        passed = self._of_neither(index)
        first, second = (self._branch(side, found, name, orders[side], passed) for side, found in enumerate(calls))
        if len(first) != len(second):
            raise ValueError(
                f"layer {name!r} is called {len(first)} times for a and {len(second)} times for b: choose a layer "
                "called as often on either side"
            )
        return list(zip(first, second, strict=True))

    def _of_neither(self, index: int) -> set[int]:
        """Which of several calls a side have nothing of that side."""
        module, other = self._given[index]
        found = self.calls[module]
        half = len(found) // 2
        return of_neither(found[:half], found[half:]) if module is other and self.order[index][0] == (0, 1) else set()

    def _branch(
        self, side: int, found: list[Tensor], name: str, order: tuple[int, ...], passed: Collection[int] = ()
    ) -> list[Tensor]:
        """What a layer gave on one side, call by call."""
        rows = self.rows
        if not found:
            raise ValueError(f"layer {name!r} is never called in the forward pass: choose one that is")
        if not order:
            return found
        if len(found) == 1 and len(found[0]) == sum(rows):
            return [found[0][: rows[0]] if side == 0 else found[0][rows[0] :]]
        if len(found) == len(order):
            return [one for one, of in zip(found, order, strict=True) if of == side]
        if len(found) == 1:
            several = len(found[0]) % sum(rows) == 0
            if len(found[0]) in rows and rows[0] != rows[1]:  # of as many rows a layer may see both sides together
                raise ValueError(
                    f"layer {name!r} is called once with the {len(found[0])} rows of one side: each side has its own, "
                    "give layer=(layer_a, layer_b)"
                )
            raise ValueError(
                f"layer {name!r} is called once with {len(found[0])} rows for {rows[0]} and {rows[1]}: "
                + (
                    "it gets several views of a side in one call, or a bank of prototypes with them; call it once for "
                    "each view, and by itself for the bank"
                    if several
                    else "it sees both inputs together and has no map for each; "
                    "choose a layer inside the encoder, or layer=(layer_a, layer_b), or, where it gets a bank of "
                    "prototypes with them, call it by itself for that"
                )
            )
        if order == (0, 1) and len(found) % 2 == 0:  # an encoder that calls it several times, all of a before b
            half = len(found) // 2
            return [one for i, one in enumerate(found[:half] if side == 0 else found[half:]) if i not in passed]
        raise ValueError(
            f"layer {name!r} is called {len(found)} times, which does not fit 2 branches: choose a layer called as "
            "often on either side"
        )


@contextmanager
def record(
    layers: Sequence[LayerPair],
    names: Sequence[str],
    rows: int | tuple[int, int],
    *,
    order: Sequence[Orders] | None = None,
    detach: bool = True,
    copies: bool = True,
) -> Iterator[Recording]:
    """Records the activations of ``layers`` in the forward pass that runs inside the block.

    ``rows`` says how many rows a layer's output has for one side: the number of pairs, or (nodes of a, nodes of b).
    ``order`` says for each layer, of a and of b, which side its calls belong to, in their order; () if they are all of
    one.
    With ``detach`` the graph starts at the first recorded layer: what comes before it costs no more than a pass without
    gradients.
    Without ``copies`` and outside of any graph, what follows a layer gets its output itself, and
    :attr:`Recording.overwritten` says whether that was changed.
    """
    recording = Recording(
        layers,
        names,
        order or [((0, 1), (0, 1)) if first is second else ((), ()) for first, second in layers],
        (rows, rows) if isinstance(rows, int) else rows,
    )

    def keep(module: nn.Module, args: Any, output: Any) -> Any:
        refuse_packed(next(n for n, pair in zip(names, layers, strict=True) if module in pair), [output])
        tensor = first_tensor(output)
        if tensor is None:
            return output
        refuse_transformed([tensor])
        if torch._C._current_graph_task_id() >= 0:
            raise ValueError(
                "the model checkpoints its activations: a layer is called again in the backward pass; switch it off "
                "to explain on it, or choose a layer outside of the checkpoint"
            )
        if not copies and not torch.is_grad_enabled() and not tensor.is_inference():
            recording.calls[module].append(tensor)
            recording.goes_on(tensor)
            return output
        if detach and not tensor.requires_grad and tensor.is_floating_point():
            tensor = tensor.detach().requires_grad_()
        recording.calls[module].append(tensor)
        # a clone goes on: the next module may work in place
        return with_first_tensor(output, tensor.clone()) if tensor.requires_grad else output

    with ExitStack() as stack:
        for module in recording.calls:
            stack.callback(module.register_forward_hook(own(keep)).remove)
        yield recording


def _on_its_graph(tensor: Tensor, put_in: Tensor) -> Tensor:
    """What is put in place of a tensor, with its graph: a model may take a derivative by what comes before it."""
    if not torch.is_grad_enabled() or not tensor.requires_grad or tensor.shape != put_in.shape:
        return put_in
    return put_in + (tensor - tensor.detach())


@contextmanager
def replaced(
    layer: nn.Module, call: int, rows: slice | None, activation: Tensor | Callable[[Tensor], Tensor]
) -> Iterator[Callable[[], int]]:
    """Puts ``activation``, or what it makes of the layer's output, in place of that output in the layer's ``call``-th
    call, or in some rows of it, inside the block; gives how many calls there have been.
    """
    count, around = -1, torch._C._functorch.maybe_current_level()

    def put(module: nn.Module, args: Any, output: Any) -> Any:
        nonlocal count
        count += 1
        if count != call:
            return output
        tensor = first_tensor(output)
        assert tensor is not None
        if torch._C._functorch.maybe_current_level() != around:  # in a transform of the model's own
            raise ValueError(TRANSFORMED)
        put_in = activation if isinstance(activation, Tensor) else activation(tensor)
        if rows is None:
            return with_first_tensor(output, _on_its_graph(tensor, put_in))
        whole = tensor.clone()
        whole[rows] = put_in
        return with_first_tensor(output, whole)

    handle = layer.register_forward_hook(own(put))
    try:
        yield lambda: count + 1
    finally:
        handle.remove()
