"""What is said when a model does not take its inputs, or hides what is asked for: the cause, not one sentence."""

from __future__ import annotations

import re

from torch import jit, nn

from xsiamese.model.pair import PairModel, TwoInputModel


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
    r"shape|size|channel|dimension|mat1|dtype|same type|scalar type|device|expected .*input|Expected .* tensor"
    r"|index out of range|invalid combination",
    re.IGNORECASE,
)
_UNBATCHED = re.compile(r"\((\d+, \d+, \d+)\)")
_OF_ARGUMENTS = re.compile(r"positional argument|keyword argument|missing \d+ required")


def misfit(error: Exception, model: PairModel, described: str) -> str | None:
    """What is said of an error in the model's forward pass if the inputs do not fit it, or None: it is the model's own.

    Args:
        error: what the model raised.
        model: the model.
        described: the inputs' names and shapes.
    """
    text = str(error)
    inner = model.model if isinstance(model, TwoInputModel) else None
    if isinstance(model, TwoInputModel) and model.call == "tuple" and model.comparison is not None and "tuple" in text:
        what = type(inner).__name__
        return (
            f"{what} takes one input and was given the pair; if it encodes one item, make a model of it: "
            f"SiameseModel(encoder, comparison=...): {text}"
        )
    if isinstance(error, TypeError) and _OF_ARGUMENTS.search(text):
        return (
            f"the model is called with other arguments than it takes ({described}): {text}; give further ones as "
            "additional_forward_args=, a tuple by place or a dictionary by name"
        )
    if "Guard failed" in text:
        return (
            "the model is a program of torch.export, which takes only batches as it was exported with; export it with "
            f"a dynamic batch dimension, or explain the module that it was made of ({described}): {text}"
        )
    if (shape := _UNBATCHED.search(described)) and any(isinstance(m, nn.Conv2d) for m in model.modules()):
        return (
            f"the model takes batches of images, and an input has the shape {shape[0]}, without the batch dimension: "
            f"x[None] makes it (1, {shape[1]}) ({described}): {text}"
        )
    if _OF_SHAPES.search(text):
        return f"the model refused its inputs; bring them to the shape that its first layer takes ({described}): {text}"
    return None


def refuse_scripted(model: nn.Module) -> None:
    """Refuses what needs modules of a model that hides them.

    Raises:
        ValueError: if a part of the model was scripted or traced.
    """
    name = next((name or "the model" for name, m in model.named_modules() if isinstance(m, jit.ScriptModule)), None)
    if name is not None:
        raise ValueError(
            f"{name} is scripted or traced, which hides its layers from hooks: explain the module it was made of, or "
            "use a method that needs none, such as PairIntegratedGradients or PairOcclusion"
        )
