"""Two-input models: a Siamese model from its parts, or any callable of two inputs, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from xsiamese.model.called import arguments_of, convention, module_of, refuse_unmade, shown, takes_whole
from xsiamese.model.comparison import Comparison, comparison
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
        self.call = call or convention(model)

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
        if set(pair) <= arguments_of(self.model):
            return self.model(*extra, **pair, **named)
        return self.model(pair, *extra, **named)


def _comparison(
    spec: str | Comparison | Callable[[Tensor, Tensor], Tensor], higher_is_closer: bool | None = None
) -> Comparison:
    return comparison(spec, higher_is_closer)


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
