"""What a kind of input is: whose items are its own, and what can be done with one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from xsiamese.kinds.places import Places, of_tensor
from xsiamese.kinds.side import Form, Side

Packed = tuple[dict[str, Tensor], Any]


class Kind(ABC):
    """A kind of input: images, rows of a table, graphs, series, volumes, texts.

    To add one, subclass this, write :meth:`side`, and return an instance from the hook ``xsiamese_kinds``. What other
    parts of the library do with it, they look up by its name: how it is drawn, read from files and tried by the
    contract.

    Attributes:
        name: what explainers name in their ``modalities``, and what ``kind=`` takes.
        three: what the (N, ., .) output of a layer is, where the layer does not tell: "tokens" or "time".
        between: how a coarse map (pairs, channels, ...) grows to the size of its item, a mode of
            ``torch.nn.functional.interpolate``; None where there is nothing between two places.
    """

    name: ClassVar[str]
    three: ClassVar[str] = "tokens"
    between: ClassVar[str | None] = None

    @abstractmethod
    def side(self, item: Any, name: str, *, asked: bool = False) -> Side | None:
        """One side of a batch of pairs, checked, or None if the item is of another kind.

        Args:
            item: what the user gives for one side.
            name: how errors call it.
            asked: whether the user says that it is of this kind, so that its form need not show it.

        Raises:
            ValueError: if it is of this kind and cannot be explained; naming shape and fix.
        """

    def places(self, activation: Tensor, side: Side, module: nn.Module | None = None) -> Places:
        """How the output of a layer lies.

        Args:
            activation: the output for this side.
            side: the side.
            module: the layer.
        """
        return of_tensor(activation, module, self.three)

    def counted(self, side: Side) -> Mapping[int, tuple[int, Tensor]]:
        """Which places of a side's leaves are the items' own, where not all are: of each such leaf the dimension of the
        places and which count, boolean, (pairs, places). Others are padding, or tokens that are never missing.
        """
        return {}

    def labels(self, side: Side, pair: int) -> Sequence[str] | None:
        """Names for the places of one item, such as its tokens or columns, or None."""
        return None

    def two(self, inputs: Any) -> tuple[Any, Any] | None:
        """The two items that one object of this kind holds, or None."""
        return None

    def joined(self, inputs: Any) -> Callable[[Any, Any], Any] | None:
        """What makes such an object of two items again, for a model of one argument."""
        return None

    def count(self, item: Any) -> int:
        """How many pairs a batch of items, or of their maps, holds."""
        return len(Form.of(item)[1][0])

    def take(self, item: Any, which: Tensor) -> Any:
        """The pairs with these numbers of a batch of items, or of their maps."""
        form, tensors = Form.of(item)
        return form.around([tensor[which.to(tensor.device)] for tensor in tensors])

    def cells(self, found: Any) -> Sequence[Tensor]:
        """The values of a map for each pair, a tensor each."""
        return list(found)

    def pack(self, item: Any) -> Packed:
        """A batch of items, or of their maps, as tensors by name and what JSON can hold, for a file."""
        form, tensors = Form.of(item)
        names = form.keys or map(str, range(len(tensors)))
        return dict(zip(names, tensors, strict=True)), {"keys": list(form.keys), "single": form.single}

    def unpack(self, tensors: Mapping[str, Tensor], about: Any) -> Any:
        """What :meth:`pack` packed."""
        form = Form(tuple(about["keys"]), about["single"])
        return form.around([tensors[name] for name in form.keys or map(str, range(len(tensors)))])
