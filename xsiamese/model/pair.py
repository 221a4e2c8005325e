"""Two-input models: a Siamese model from its parts, or any callable of two inputs, behind one interface."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from torch import Tensor, nn

from xsiamese.model.called import function_of, module_of, refuse_unmade, shown, takes_whole
from xsiamese.model.comparison import Comparison, Function, comparison
from xsiamese.model.decision import Decision, Score, toward_closer
from xsiamese.model.embedding import Embedding, embedding_of
from xsiamese.model.known import closer

Sides = tuple[Any, Any]


class PairModel(nn.Module, ABC):
    """What every explainer sees: ``forward(a, b)`` scores pairs, ``explained(a, b)`` is the score that is explained.

    ``modality`` is what the command line reads for it: image files, unless it says "text". ``factored`` says whether
    the two sides can be encoded apart from each other. If so, the core encodes a side that does not move only once, and
    knows which call of a shared encoder belongs to which side. ``background`` is what an image holds where it shows
    nothing, a value for each channel as the model takes them, for ``baselines="background"``; models with a card know.
    ``typical`` are rows as the model was trained on, for ``baselines="typical"``; checkpoints of tables keep them.
    """

    higher_is_closer: bool = True
    factored: bool = False
    modality: str = "image"
    background: tuple[float, ...] | None = None
    typical: Tensor | None = None

    @abstractmethod
    def forward(self, a: Any, b: Any, *extra: Any) -> Any:
        """The model's output for the pairs (a, b)."""

    def explained(self, a: Any, b: Any, *extra: Any) -> Any:
        """The output that explanations are about: :meth:`forward`, unless that saturates."""
        return self.forward(a, b, *extra)

    def taken(self, inputs: Any) -> Any:
        """The two inputs as they are explained: as they were given, unless the model reads them first, as one of texts
        splits strings into tokens.
        """
        return inputs

    def reported(self, explained: Tensor) -> Tensor:
        """The model's own score from the explained one."""
        return explained

    def closeness(self, score: Score) -> Score:
        """How close a score says that a pair is: the score, negated if it is a distance. It is its own inverse."""
        return toward_closer(score, self.higher_is_closer)

    def decision(self, threshold: float | None = None) -> Decision:
        """What is called alike: from ``threshold`` on, or else from the one that the comparison was calibrated to.

        Raises:
            ValueError: if neither is known, or the threshold is not finite.

        Example:
            >>> model = SiameseModel(nn.Identity(), "euclidean")
            >>> score = model(torch.zeros(2, 1), torch.tensor([[1.0], [3.0]]))
            >>> model.decision(threshold=2.0).alike(model.closeness(score)).tolist()
            [True, False]
        """
        known = getattr(getattr(self, "comparison", None), "threshold_", None)
        chosen = known if threshold is None else threshold
        if chosen is None:
            raise ValueError(
                f"no threshold is known for this {type(self).__name__}, so there is no decision: "
                "find one with xsiamese.calibrate(model, a, b, same) on labelled pairs, or give threshold="
            )
        return Decision(float(chosen), self.higher_is_closer)

    def called_with(self, given: tuple[str, str] | Callable[[Any, Any], Any]) -> PairModel:
        """This model for inputs that were given as a mapping with these two keys, or as an object that ``given`` makes
        again of the two.
        """
        return self


class SiameseModel(PairModel):
    """Scores pairs: ``s = comparison(encoder(a), encoder(b))``.

    Args:
        encoder: maps a batch of items to embeddings (pairs, dimensions). One module is shared by both sides; a tuple of
            two modules gives a pseudo-Siamese model (two towers), one encoder a side; a function serves too. An item
            may be a tuple of tensors, ``encoder(*item)``, or a mapping, ``encoder(**item)``, or ``encoder(item)``
            where its one argument has none of the names.
        comparison: a name ("cosine", "euclidean", ...), a :class:`~xsiamese.model.comparison.Comparison`, or a function
            or module of two embeddings.
        higher_is_closer: False if such a function is a distance; those of PyTorch and of pytorch-metric-learning are
            known.
        embedding: which output of the encoder is the embedding, where it returns several: a name, a place, or a
            function; a pair of them for two encoders. None knows those of transformers and sentence-transformers, see
            :func:`xsiamese.model.embedding.embedding_of`.

    Example:
        >>> model = SiameseModel(nn.Linear(4, 2), comparison="euclidean")
        >>> model(torch.zeros(3, 4), torch.zeros(3, 4)).tolist()
        [0.0, 0.0, 0.0]
    """

    factored = True

    def __init__(
        self,
        encoder: Callable[..., Any] | tuple[Callable[..., Any], Callable[..., Any]],
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] = "cosine",
        *,
        higher_is_closer: bool | None = None,
        embedding: Embedding | tuple[Embedding, Embedding] = None,
    ) -> None:
        super().__init__()
        if isinstance(encoder, (tuple, list)):
            if len(encoder) != 2:
                raise ValueError(f"{len(encoder)} encoders are given: one for both sides, or a tuple of two")
            self.encoder_a, self.encoder_b = map(module_of, encoder)
        else:
            self.encoder = module_of(encoder)
        self.comparison = _comparison(comparison, higher_is_closer)
        self.embedding = embedding if isinstance(embedding, tuple) else (embedding, embedding)

    @property
    def higher_is_closer(self) -> bool:  # type: ignore[override]
        return self.comparison.higher_is_closer

    @property
    def encoders(self) -> tuple[nn.Module, nn.Module]:
        """The encoders of the two sides: the same module twice where it is shared."""
        if "encoder" in self._modules:
            return self.encoder, self.encoder
        return self.encoder_a, self.encoder_b

    def encode(self, item: Any, side: int = 0) -> Any:
        """The embeddings of a batch of items of one side (0 for a, 1 for b), shape (items, dimensions)."""
        encoder, choice = self.encoders[side], self.embedding[side]
        if isinstance(item, Mapping):
            output = encoder(item) if takes_whole(encoder, item) else encoder(**item)
        else:
            output = encoder(*item) if isinstance(item, (tuple, list)) else encoder(item)
        return embedding_of(output, choice, item, encoder)

    def compare(self, z_a: Any, z_b: Any) -> Tensor:
        """The scores of the pairs of embeddings, shape (pairs,)."""
        score: Tensor = self.comparison(z_a, z_b)
        return score

    def forward(self, a: Any, b: Any, *extra: Any) -> Tensor:
        _refuse(extra)
        return self.compare(self.encode(a, 0), self.encode(b, 1))

    def explained(self, a: Any, b: Any, *extra: Any) -> Tensor:
        _refuse(extra)
        return self.comparison.explained(self.encode(a, 0), self.encode(b, 1))

    def reported(self, explained: Tensor) -> Tensor:
        return self.comparison.reported(explained)


class TwoInputModel(PairModel):
    """Any module or callable of two inputs: ``f(a, b)``, ``f((a, b))`` or ``f({"a": a, "b": b})``.

    Args:
        model: returns one score per pair, or anything that a target turns into one, or the two embeddings if
            ``comparison`` is given.
        comparison: turns the two returned embeddings ``(z_a, z_b)`` into a score.
        higher_is_closer: False if the score is a distance. Defaults to the comparison's, the model's own
            ``higher_is_closer``, or True.
        call: "two" arguments, one "tuple", the two keys of a dictionary, or a function that makes one argument of the
            two inputs. Defaults to what the signature says.

    What cannot be had from a model that is not factored into encoder and comparison: a side that stays fixed is encoded
    again in every pass.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        higher_is_closer: bool | None = None,
        call: str | tuple[str, str] | Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__()
        refuse_unmade(model)
        self.model = shown(model)
        self.comparison = None if comparison is None else _comparison(comparison, higher_is_closer)
        self.higher_is_closer = (
            closer(model, higher_is_closer) if self.comparison is None else self.comparison.higher_is_closer
        )
        self.call = call or _convention(model)

    def forward(self, a: Any, b: Any, *extra: Any) -> Any:
        output = self._call(a, b, *extra)
        return output if self.comparison is None else self.comparison(*_embeddings(output))

    def explained(self, a: Any, b: Any, *extra: Any) -> Any:
        output = self._call(a, b, *extra)
        return output if self.comparison is None else self.comparison.explained(*_embeddings(output))

    def reported(self, explained: Tensor) -> Tensor:
        return explained if self.comparison is None else self.comparison.reported(explained)

    def called_with(self, given: tuple[str, str] | Callable[[Any, Any], Any]) -> PairModel:
        if callable(given) and self.call == "two":
            return self
        named = TwoInputModel(self.model, self.comparison, higher_is_closer=self.higher_is_closer, call=given)
        named.training = self.training  # train() would reach into the user's model
        named.background, named.typical = self.background, self.typical
        return named

    def _call(self, a: Any, b: Any, *extra: Any) -> Any:
        named: dict[str, Any] = {}
        if extra and isinstance(extra[0], Mapping):  # arguments by name
            named, extra = dict(extra[0]), extra[1:]
        if self.call == "two":
            return self.model(a, b, *extra, **named)
        if self.call == "tuple":
            return self.model((a, b), *extra, **named)
        if callable(self.call):
            return self.model(self.call(a, b), *extra, **named)
        if isinstance(self.call, str):
            raise ValueError(f"call={self.call!r}: 'two', 'tuple' or the two keys of a dictionary are needed")
        pair = {self.call[0]: a, self.call[1]: b}
        if set(pair) <= _names(self.model):
            return self.model(*extra, **pair, **named)
        return self.model(pair, *extra, **named)


def pair_model(
    model: Callable[..., Any],
    comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
    higher_is_closer: bool | None = None,
) -> PairModel:
    """``model`` as a :class:`PairModel`: itself if it is one, else wrapped; parallel wrappers are taken off. A module
    that takes one tensor, beside a comparison, is the encoder of a :class:`SiameseModel`.

    Raises:
        TypeError: if it cannot be called, such as a checkpoint, which holds a model.
        ValueError: if a model that has a comparison is given another one.
    """
    if isinstance(model, type):
        raise TypeError(f"{model.__name__} is a class: make the model of it first, {model.__name__}(...)")
    if not callable(model):
        held = callable(getattr(model, "model", None))
        raise TypeError(
            f"a model is called as model(a, b), and a {type(model).__name__} cannot be: "
            + ("give its .model" if held else "give the model itself, or a function of two inputs")
        )
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model.module
    inner = getattr(model, "_orig_mod", model)
    if isinstance(inner, PairModel):
        inner = _bare(inner)
        if comparison is not None:
            raise ValueError(f"{type(inner).__name__} has its own comparison: leave out comparison=")
        return inner if higher_is_closer in (None, inner.higher_is_closer) else _told(inner, higher_is_closer)
    wrapped: PairModel
    if comparison is not None and isinstance(model, nn.Module) and _takes_a_tensor(model):
        wrapped = SiameseModel(model, comparison, higher_is_closer=higher_is_closer)
    else:
        wrapped = TwoInputModel(model, comparison, higher_is_closer=higher_is_closer)
    if isinstance(model, nn.Module):
        wrapped.training = model.training  # train() would reach into the user's model
    return wrapped


def _bare(model: PairModel) -> PairModel:
    """The same model around the encoders that parallel wrappers hold, for explaining; the user's keeps its wrappers."""
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    if not any(isinstance(module, wrappers) for module in model._modules.values()):
        return model
    bare = copy(model)
    bare._modules = {
        name: module.module if isinstance(module, wrappers) else module for name, module in model._modules.items()
    }
    return bare


def _told(model: PairModel, higher_is_closer: bool | None) -> PairModel:
    """The same model, whose score goes the other way."""
    given = getattr(model, "comparison", None)
    if isinstance(given, Function) or given is None:
        told = copy(model)  # around the same modules
        told._modules = dict(model._modules)
        if isinstance(given, Function):
            told.comparison = copy(given)
            told.comparison.higher_is_closer = bool(higher_is_closer)
        if not isinstance(model, SiameseModel):  # whose direction is its comparison's
            told.higher_is_closer = bool(higher_is_closer)
        return told
    comparison(given, higher_is_closer)  # says which way it goes
    return model


def _comparison(
    spec: str | Comparison | Callable[[Tensor, Tensor], Tensor], higher_is_closer: bool | None = None
) -> Comparison:
    return comparison(spec, higher_is_closer)


def _names(model: Callable[..., Any]) -> set[str]:
    """What a callable's arguments are called."""
    try:
        return set(inspect.signature(function_of(model)).parameters)
    except (TypeError, ValueError):  # scripted modules have none
        return set()


def _convention(model: Callable[..., Any]) -> str | tuple[str, str]:
    """Whether a callable takes the pair as two arguments, by place or by name, or as one."""
    try:
        parameters = inspect.signature(model.forward if isinstance(model, nn.Module) else model).parameters.values()
    except (TypeError, ValueError):
        return "two"
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(by_name) == 2 and not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return by_name[0], by_name[1]
    return "tuple" if len(positional) == 1 and not any(p.kind is p.VAR_POSITIONAL for p in parameters) else "two"


def _takes_a_tensor(module: nn.Module) -> bool:
    """Whether a module takes one tensor, and so no pair: its only argument is annotated so, or is handed on to such a
    module, as by ``nn.Sequential``.
    """
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return len(module) > 0 and _takes_a_tensor(module[0])
    if _convention(module) != "tuple":
        return False
    parameters = inspect.signature(module.forward).parameters.values()
    return next(iter(parameters)).annotation in (Tensor, "Tensor", "torch.Tensor")


def _embeddings(output: Any) -> tuple[Tensor, Tensor]:
    if not (isinstance(output, (tuple, list)) and len(output) == 2 and all(isinstance(z, Tensor) for z in output)):
        what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"a comparison was given, so the model must return two embeddings (z_a, z_b); it returned {what}"
        )
    return output[0], output[1]


def _refuse(extra: tuple[Any, ...]) -> None:
    if extra:
        raise ValueError(
            f"a SiameseModel takes the two inputs only, not {len(extra)} additional_forward_args: "
            "make them part of each side, ((a, mask_a), (b, mask_b)), or explain a two-input callable"
        )
