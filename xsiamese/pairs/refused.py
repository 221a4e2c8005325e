"""What is said when a model does not take its inputs, or hides what is asked for: the cause, not one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import jit, nn
from torch.fx import GraphModule

from xsiamese.branches.cut import NoGradientError
from xsiamese.branches.derivative import naming_derivatives
from xsiamese.door.arguments import shown
from xsiamese.kinds.inputs import FROM_PAIRS
from xsiamese.kinds.presence import PresenceSide
from xsiamese.kinds.side import SIDES, Side
from xsiamese.model.comparison import COMPARISONS, Learned
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel


class Unsuited(ValueError):
    """The method is not for this model: said by an explainer that is for some models only, such as those with one score
    a token.

    Example:
        >>> raise Unsuited("PairTokenMap needs a model that compares tokens")
        Traceback (most recent call last):
        xsiamese.pairs.refused.Unsuited: PairTokenMap needs a model that compares tokens
    """


# what torch says of inputs that do not fit a layer
_OF_SHAPES = re.compile(
    r"shape|size|channel|dimension|mat1|dtype|same type|should be the same|scalar type|device|expected .*input"
    r"|Expected .* tensor|index out of range|invalid combination",
    re.IGNORECASE,
)
_OF_DTYPES = re.compile(r"same dtype|scalar type|should be the same|same type")
_WHOLE = re.compile(r"\) u?int\d+")
_UNBATCHED = re.compile(r"\((\d+(?:, \d+){1,2})\) ")
_BATCHED = re.compile(r"\(\d+(?:, \d+){3}\) ")  # beside an image, rows of two dimensions are what they are
_OF_ARGUMENTS = re.compile(r"positional argument|keyword argument|missing \d+ required")


def check_target(model: PairModel, target: Any) -> None:
    """Refuses to pick an output of a model that is known to give one score a pair, before any work is done; of others
    their first pass tells.

    Raises:
        ValueError: with the target.
    """
    if target is None or callable(target) or not isinstance(model, SiameseModel):
        return
    known = type(model.comparison) in COMPARISONS.values()
    if isinstance(model.comparison, Learned):  # a head of one's own may give several
        known = getattr([*model.comparison.head.modules()][-1], "out_features", None) == 1
    if known:
        raise ValueError(
            f"target={shown(target)} picks one of several outputs, and this model gives one score a pair, its "
            f"{model.comparison.name}: leave it out"
        )


@contextmanager
def naming(model: PairModel, described: Callable[[], str]) -> Iterator[None]:
    """What a model says against its inputs inside the block, as an error that names them.

    Args:
        model: the model.
        described: the inputs' names and shapes, asked for only where there is an error.
    """
    try:
        with naming_derivatives():
            yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, IndexError, AssertionError) as error:
        if "register a hook on a tensor that doesn't require gradient" in str(error):  # a module's hooks met one
            raise NoGradientError("the score carries no gradient") from error
        if "does not support backward" in str(error):  # as flex_attention says on a CPU
            place = f"by a layer that has none ({str(error).partition('.')[0]})"
            raise NoGradientError("the score carries no gradient", place) from error
        if (said := misfit(error, model, described())) is None:
            error.add_note(f"raised inside the model, on the pair {described()}")
            raise
        raise ValueError(said) from error


def _check_ids(model: nn.Module, sides: Sequence[Side]) -> None:
    """Refuses ids of tokens that no table of the model holds."""
    sizes = [m.num_embeddings for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
    for name, side in zip(SIDES, sides, strict=False):
        if not sizes or side.kind != "text" or not isinstance(side, PresenceSide):
            continue
        ids = side.own[0]
        outside = (ids < 0) | (ids >= max(sizes))
        if bool(outside.any()):
            pair, token = outside.nonzero()[0].tolist()
            raise ValueError(
                f"input {name} holds the id {int(ids[pair, token])}, of token {token} of text {pair}: the model knows "
                f"those from 0 to {max(sizes) - 1}"
            )


@contextmanager
def naming_ids(model: PairModel, sides: Sequence[Side]) -> Iterator[None]:
    """Names the id where a table of the model does not hold one; what a model makes of its ids before is its own."""
    try:
        yield
    except (RuntimeError, IndexError, ValueError) as error:
        if "index out of range" in str(error) or "not in the valid range" in str(error):
            _check_ids(model, sides)
        raise


def misfit(error: Exception, model: PairModel, described: str) -> str | None:
    """What is said of an error in the model's forward pass if the inputs do not fit it, or None: it is the model's own.

    Args:
        error: what the model raised.
        model: the model.
        described: the inputs' names and shapes.
    """
    text = str(error).strip().partition("\n")[0]
    inner = model.model if isinstance(model, TwoInputModel) else None
    if isinstance(model, TwoInputModel) and model.call == "tuple" and "tuple" in text:
        what = type(inner).__name__
        return (
            f"{what} takes one input and was given the pair; if it encodes one item, make a model of it: "
            f"SiameseModel(encoder, comparison=...): {text[:80]}"
        )
    if isinstance(error, TypeError) and _OF_ARGUMENTS.search(text):
        several = "a[1] " in described and bool(_UNBATCHED.search(described))
        return (
            f"the model is called with other arguments than it takes ({described}): {text}; give further ones as "
            "additional_forward_args=, a tuple by place or a dictionary by name"
            + (f"; several items of one size are one argument, torch.stack(a), and {FROM_PAIRS}" if several else "")
        )
    if "Guard failed" in text:
        return (
            "the model is a program of torch.export, which takes only batches as it was exported with; export it with "
            f"a dynamic batch dimension, or explain the module that it was made of ({described}): {text}"
        )
    if isinstance(error, AssertionError):
        return None
    if said := unbatched(model, described):
        return f"the model refused its inputs{said} ({described}): {text}"
    if _OF_DTYPES.search(text) and _WHOLE.search(described):
        return (
            "the model refused its inputs; some are whole numbers, and it takes others: give x.float(), or double() as "
            f"the model is ({described}): {text}"
        )
    if _OF_SHAPES.search(text):
        return f"the model refused its inputs; bring them to the shape that its first layer takes ({described}): {text}"
    return None


def unbatched(model: PairModel, described: str) -> str:
    """What is said of an image without the batch dimension that a model with convolutions needs; "" if it is none."""
    shape = _UNBATCHED.search(described)
    if not shape or _BATCHED.search(described) or not any(isinstance(m, nn.Conv2d) for m in model.modules()):
        return ""
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d)).in_channels
    sizes = shape[1].split(", ")
    if len(sizes) == 3 and first == 1 != int(sizes[0]):  # several images of one channel
        return (
            f"; the model takes batches of images, and an input has the shape ({shape[1]}), without the dimension of "
            f"their one channel: x[:, None] makes it ({sizes[0]}, 1, {sizes[1]}, {sizes[2]})"
        )
    missing = "None, None" if shape[1].count(",") == 1 else "None"
    batched = f"({'1, ' * missing.count('None')}{shape[1]})"
    return (
        f"; the model takes batches of images, and an input has the shape ({shape[1]}), without the batch dimension: "
        f"x[{missing}] makes it {batched}"
    )


def refuse_inside() -> None:
    """Refuses to explain where tensors hold no numbers that could be looked at.

    Raises:
        ValueError: inside a transform of torch.func, or with a FakeTensorMode on.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise ValueError(
            "an explanation was asked for inside a transform of torch.func (vmap, grad, jvp), where tensors hold no "
            "numbers to look at: call it outside with all pairs at once; attribute(..., create_graph=True) gives maps "
            "that can be differentiated"
        )
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None:
        raise ValueError("FakeTensorMode is on, in which tensors hold no numbers: explain outside of it")


def refuse_scripted(model: nn.Module) -> None:
    """Refuses what needs modules of a model that hides them.

    Raises:
        ValueError: if a part of the model was scripted, traced or exported.
    """
    exported = next((name or "the model" for name, m in model.named_modules() if _is_exported(m)), None)
    if exported is not None:
        raise ValueError(
            f"{exported} is a program of torch.export, which has no layers left: explain the module it was made of, or "
            "use a method that needs none, such as PairIntegratedGradients or PairOcclusion"
        )
    name = next((name or "the model" for name, m in model.named_modules() if isinstance(m, jit.ScriptModule)), None)
    if name is not None:
        raise ValueError(
            f"{name} is scripted or traced, which hides its layers from hooks: explain the module it was made of, or "
            "use a method that needs none, such as PairIntegratedGradients or PairOcclusion"
        )


def _is_exported(module: nn.Module) -> bool:
    """Whether a module's graph calls operators only, as torch.export makes it: a traced one still calls its layers."""
    if not isinstance(module, GraphModule):
        return False
    operations = {node.op for node in module.graph.nodes if node.target != "_guards_fn"}
    return "call_function" in operations and "call_module" not in operations and "get_attr" in operations
