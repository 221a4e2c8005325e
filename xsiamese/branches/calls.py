"""How a model uses its modules, from watching one forward pass: which serve both sides, in which order, and which comes
last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.lock import own
from xsiamese.branches.outputs import first_tensor, of_neither, unmoved, with_first_tensor

NEITHER = 2
"""Stands for the side of a call that has nothing of a or of b."""


@dataclass
class Usage:
    """How a model uses one module in one forward pass.

    Attributes:
        outputs: the first tensor of what it returned, call by call.
        finished: when its last call ended, in calls of all modules.
        given: the first tensor that an embedding was given, call by call.
        of_neither: which of all its calls had nothing of either side, such as a bank of prototypes; these are not among
            the outputs.
        alone: whether these tensors are all that it returned.
    """

    outputs: list[Tensor] = field(default_factory=list)
    finished: int = 0
    given: list[Tensor | None] = field(default_factory=list)
    of_neither: tuple[int, ...] = ()
    alone: bool = True


class Survey:
    """How a model uses its modules: which are shared by the sides, in which order, and whether the batch is stacked."""

    def __init__(
        self,
        usage: dict[nn.Module, Usage],
        leaves: tuple[Sequence[Tensor], Sequence[Tensor]],
        pairs: int,
        value: Tensor | None = None,
        still: Mapping[int, Survey] | None = None,
    ) -> None:
        self.usage = usage
        self.leaves = leaves
        self.pairs = pairs
        self.value = value
        self._made_of: dict[Any, set[int]] = {}
        self._moves: bool | None = None
        self.transformed = False  # whether layers are called inside a transform of torch.func
        self.still = dict(still or {})  # of a side whose numbers cannot move: what it is with other numbers

    def calls(self, module: nn.Module) -> int:
        """How often the module is called in one forward pass."""
        return len(self.usage[module].outputs) if module in self.usage else 0

    def stacked(self, module: nn.Module) -> bool:
        """Whether one call gets both sides as one batch of 2 x pairs rows; as many nodes of one side are none."""
        output = self.usage[module].outputs[0] if self.calls(module) == 1 else None
        if output is None or output.shape[:1] != (2 * self.pairs,):
            return False
        return output.is_floating_point() and len(self.made_of(module, 0)) != 1

    def order(self, module: nn.Module) -> tuple[int, ...]:
        """The side (0 for a, 1 for b) of each call; the order of the calls where gradients do not tell."""
        sides = []
        for i, output in enumerate(self.usage[module].outputs):
            seen = [side in self.made_of(module, i) if self.still else self._depends(output, side) for side in (0, 1)]
            sides.append(seen.index(True) if sum(seen) == 1 else None)
        known = [side for side in sides if side is not None]
        passed = self.usage[module].of_neither
        told = len(known) == len(sides) and (passed or set(known) == {0, 1})
        found = known if told else [*range(len(sides))]
        for place in passed:
            found.insert(place, NEITHER)
        return tuple(found)

    def pass_over(self, other: Survey) -> None:
        """Leaves out the calls that give the same with other inputs on both sides, where a module has others: they
        serve neither.
        """
        for module, usage in self.usage.items():
            passed = of_neither(usage.outputs, other.usage[module].outputs if module in other.usage else [])
            passed = {i for i in passed if usage.alone and not self.made_of(module, i)}
            usage.of_neither = tuple(sorted(passed))
            usage.outputs = [one for i, one in enumerate(usage.outputs) if i not in passed]
            usage.given = [one for i, one in enumerate(usage.given) if i not in passed]

    def constant(self) -> bool:
        """Whether a module that is called again seems to have a call with nothing of either side."""
        return any(
            len(usage.outputs) > 1 and not all(self.made_of(module, i) for i in range(len(usage.outputs)))
            for module, usage in self.usage.items()
        )

    def unmoved(self, other: Survey) -> list[nn.Module]:
        """The modules that no input reaches, neither by the graph nor in what they give with other inputs."""
        return [
            module
            for module, usage in self.usage.items()
            if module in other.usage
            and usage.alone
            and not any(output.requires_grad for output in usage.outputs)
            and len(usage.outputs) == len(other.usage[module].outputs)
            and all(map(unmoved, usage.outputs, other.usage[module].outputs))
        ]

    def shared(self, root: nn.Module) -> list[nn.Module]:
        """The topmost modules below ``root`` that serve both sides."""
        found: list[nn.Module] = []
        for child in root.children():
            if self.calls(child) > 1 or self.stacked(child) or (child in self.usage and self.usage[child].of_neither):
                if child not in found:
                    found.append(child)
            else:
                found += [module for module in self.shared(child) if module not in found]
        return found

    def cut(self) -> bool:
        """Whether no gradient of the score reaches any input; of whole numbers none begins."""
        leaves = [leaf for side in self.leaves for leaf in side if leaf.requires_grad]
        if self.value is None or self.still or not leaves:
            return False
        if not self.value.requires_grad:
            return True
        slopes = torch.autograd.grad(self.value.sum(), leaves, retain_graph=True, allow_unused=True)
        return all(slope is None for slope in slopes)

    def moves(self) -> bool:
        """Whether the score moves at all with the embeddings: at a pair of equal ones it may be stationary."""
        if self._moves is None:
            ends = [o for u in self.usage.values() for o in u.outputs if o.requires_grad]
            last = ([o for o in ends if o.dim() == 2] or ends)[-4:]  # the embeddings, or what they are made of
            if not last or self.value is None or not self.value.requires_grad:
                self._moves = True  # nothing is known of it
            else:
                slopes = torch.autograd.grad(self.value.sum(), last, retain_graph=True, allow_unused=True)
                self._moves = any(g is not None and bool(g.any()) for g in slopes)
        return self._moves

    def sides_of(self, output: Tensor) -> set[int]:
        """The sides that an output is made of, by its graph."""
        owner = {id(leaf): {side} for side in (0, 1) for leaf in self.leaves[side]}
        waiting = [output.grad_fn]
        while waiting:  # a node is done after all that follow it; each is visited once for all outputs
            node = waiting[-1]
            following = [] if node is None else [one for one, _ in node.next_functions if one is not None]
            if node is None or node in self._made_of:
                waiting.pop()
            elif new := [one for one in following if one not in self._made_of]:
                waiting += new
            else:
                own = owner.get(id(getattr(node, "variable", None)), set())
                self._made_of[node] = own.union(*(self._made_of[one] for one in following))
        return set() if output.grad_fn is None else set(self._made_of[output.grad_fn])

    def made_of(self, module: nn.Module, call: int) -> set[int]:
        """The sides that a module's output of one call is made of."""
        output = self.usage[module].outputs[call]
        found = self.sides_of(output) - set(self.still)
        for side, other in self.still.items():
            outputs = other.usage[module].outputs if module in other.usage else []
            if call >= len(outputs) or not torch.equal(outputs[call], output):
                found.add(side)
        return found

    def serves(self, module: nn.Module, side: int) -> bool:
        """Whether a module sees one side only, and this one in one of its calls; or both in one stacked batch."""
        if module not in self.usage or not self.usage[module].outputs:
            return False
        if self.stacked(module):
            return True
        made_of = [self.made_of(module, call) for call in range(self.calls(module))]
        return all(len(sides) == 1 for sides in made_of) and {side} in made_of

    def serving(self, root: nn.Module, side: int) -> list[nn.Module]:
        """The topmost modules below ``root`` that serve a side, the one that finishes last before the others."""
        found: list[nn.Module] = []
        for child in root.children():
            found += [child] if self.serves(child, side) else self.serving(child, side)
        return sorted(dict.fromkeys(found), key=lambda module: -self.usage[module].finished)

    def word_embedding(self, roots: Sequence[nn.Module], side: int) -> nn.Module | None:
        """The embedding that gets a side's whole numbers as they are: its first ``nn.Embedding``."""
        inside = [m for root in roots or self.usage for m in root.modules() if isinstance(m, nn.Embedding)]
        own = [m for m in dict.fromkeys(inside) if m in self.usage and self.sides_differ(m)]
        called = [m for m in own if self.serves(m, side)]
        return min(called, key=lambda module: self.usage[module].finished, default=None)

    def sides_differ(self, module: nn.Module) -> bool:
        """Whether an embedding is given a row for each pair: positions and types of tokens are the same for all."""
        return any(g is not None and len(g) in (self.pairs, 2 * self.pairs) for g in self.usage[module].given)

    def last_of_nodes(self, nodes: tuple[int, int]) -> nn.Module | None:
        """The message-passing layer that finishes last of those with a row for each node: ``nodes`` of a, of b, or of
        both.
        """
        from torch_geometric.nn import MessagePassing

        whole = {*nodes, sum(nodes)}
        layers = [
            m
            for m, u in self.usage.items()
            if isinstance(m, MessagePassing) and all(len(output) in whole for output in u.outputs)
        ]
        return max(layers, key=lambda module: self.usage[module].finished, default=None)

    def mixed(
        self, module: nn.Module, rows: tuple[Tensor, Tensor], owners: tuple[Sequence[Tensor], Sequence[Tensor]]
    ) -> bool:
        """Whether one call got both sides in another order than all of a and then all of b, which is told by what its
        rows depend on.

        ``rows`` are the pair of each row that is expected of each side, ``owners`` the pair of each row of the leaves.
        """
        output, pair_of = self.usage[module].outputs[0], torch.cat(rows)
        if self.calls(module) != 1 or len(output) != len(pair_of) or not output.requires_grad:
            return False
        # a stacked call holds the rows of a, then those of b
        side_of = torch.arange(2, device=pair_of.device).repeat_interleave(
            torch.tensor([len(one) for one in rows], device=pair_of.device)
        )
        for side, pair in [(side, pair) for side in (0, 1) for pair in range(self.pairs)]:
            reach = self._reach(output[(side_of == side) & (pair_of == pair)], owners)
            sides, pairs = reach.sum(1), reach.sum(0)
            if bool(reach.any()) and (int(pairs.argmax()) != pair or (not sides[side] and bool(sides[1 - side]))):
                return True
        return False

    def _reach(self, block: Tensor, owners: tuple[Sequence[Tensor], Sequence[Tensor]]) -> Tensor:
        """How much some rows of an output move with each side of each pair, shape (2, pairs)."""
        moved = [
            (side, leaf, of)
            for side in (0, 1)
            for leaf, of in zip(self.leaves[side], owners[side], strict=True)
            if leaf.requires_grad
        ]
        weights = (
            torch.arange(block.numel(), device=block.device, dtype=block.dtype).cos().reshape(block.shape)
        )  # else rows of a softmax cancel
        slopes = torch.autograd.grad(
            block, [leaf for _, leaf, _ in moved], weights, retain_graph=True, allow_unused=True
        )
        reach = torch.zeros(2, self.pairs, dtype=torch.float64)
        for (side, _, of), slope in zip(moved, slopes, strict=True):
            if slope is not None:
                reach[side].index_add_(0, of.cpu(), slope.double().abs().reshape(len(slope), -1).sum(1).cpu())
        return reach

    def _depends(self, output: Tensor, side: int) -> bool:
        leaves = [leaf for leaf in self.leaves[side] if leaf.requires_grad]
        if not output.requires_grad or not leaves:
            return False
        return any(
            g is not None
            for g in torch.autograd.grad(output, leaves, torch.ones_like(output), retain_graph=True, allow_unused=True)
        )


def survey(
    run: Callable[[], Any], modules: Sequence[nn.Module], leaves: tuple[Sequence[Tensor], Sequence[Tensor]], pairs: int
) -> Survey:
    """Runs the model once and notes how it uses ``modules``; the leaves should require gradients.

    ``run`` returns the score.
    """
    usage: dict[nn.Module, Usage] = {}
    inside: list[nn.Module] = []

    def note(module: nn.Module, args: Any, output: Any) -> Any:
        tensor = first_tensor(output)
        if tensor is not None and torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            inside.append(module)  # of a transform of torch.func, outside of which its tensors cannot be looked at
        elif tensor is not None and tensor.dim():  # a number, as a loss, has no rows
            entry = usage.setdefault(module, Usage())
            entry.alone &= output is tensor
            if output is not tensor and tensor.requires_grad:
                # whether what comes after reads it, and not the module itself before it returns it beside others
                tensor = tensor.view_as(tensor)
                output = with_first_tensor(output, tensor)
            entry.outputs.append(tensor)
            entry.given.append(first_tensor(args) if isinstance(module, nn.Embedding) else None)
            entry.finished = sum(len(u.outputs) for u in usage.values())
        return output

    with ExitStack() as stack:
        for module in dict.fromkeys(modules):
            stack.callback(module.register_forward_hook(own(note)).remove)
        value = run()
    found = Survey(usage, leaves, pairs, value if isinstance(value, Tensor) else None)
    found.transformed = bool(inside)
    return found
