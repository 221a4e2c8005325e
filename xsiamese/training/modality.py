"""The seam between kinds of items and training: where items come from, how they become the model's input, what is
measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from xsiamese.data.items import Items
from xsiamese.data.sources import Source
from xsiamese.model.pair import PairModel
from xsiamese.training.evaluation import embeddings, evaluate
from xsiamese.training.inputs import Ready

if TYPE_CHECKING:
    from xsiamese.training.settings import Settings

MODALITIES: Mapping[str, str] = {
    "image": "xsiamese.training.images",
    "graph": "xsiamese.training.graphs",
    "tabular": "xsiamese.training.tables",
}


class Modality(ABC):
    """What training asks of a kind of items; one subclass, called ``Training``, in the module that :data:`MODALITIES`
    names for it.

    Args:
        settings: of the training.

    Attributes:
        noun: how messages and metrics call the items.
        augmented: whether training items can be changed at random.
        reading: the keys of ``settings.reading`` that :meth:`load` knows.
    """

    noun: ClassVar[str] = "items"
    augmented: ClassVar[bool] = False
    reading: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if unknown := sorted(set(settings.reading) - set(self.reading)):
            known = f"it takes {', '.join(self.reading)}" if self.reading else "it takes none"
            raise ValueError(
                f"{unknown[0]}={settings.reading[unknown[0]]!r} says how other data are read than "
                f"{settings.network}'s {self.noun}; {known}"
            )
        if settings.augment is not None and not self.augmented:
            raise ValueError(f"augmentation is for images, and {settings.network} takes {self.noun}: leave it out")

    def refuse(self, name: str, why: str) -> None:
        """Refuses a setting that would change nothing.

        Args:
            name: of the setting.
            why: what it is for.

        Raises:
            ValueError: if it is not as it is when left out.
        """
        if (value := getattr(self.settings, name)) != getattr(type(self.settings), name):
            raise ValueError(f"{name}={value!r} is for {why}, and {self.settings.dataset} is none: leave it out")

    @abstractmethod
    def load(self, valid: float | None) -> Source[Any]:
        """The data set of these settings, split; ``valid`` is the share of validation items, or None for
        what is usual.
        """

    @abstractmethod
    def ready(self) -> Ready:
        """What makes stored items the model's input."""

    def check(self, source: Source[Any]) -> None:
        """Raises a ValueError if no pairs can be made of a part of the data set."""
        for name, part in (("training", source.train), ("validation", source.valid), ("test", source.test)):
            if source.pairs is None and (len(part) or name != "validation"):
                try:
                    part.partners()
                except ValueError as error:
                    told = (
                        f"{len(part)} {name} {self.noun} of {self.settings.dataset}: {error}; give more "
                        f"{self.noun} or other shares"
                    )
                    raise ValueError(told) from error

    def graded(self, source: Source[Any]) -> bool:
        """Whether pairs are labelled by how alike they are, a number, instead of same or different."""
        return False

    def arguments(self, source: Source[Any]) -> dict[str, Any]:
        """Arguments of the network that the data decide, such as the number of features."""
        return {}

    def described(self) -> dict[str, Any]:
        """What a checkpoint keeps of how items become its input; JSON can hold it."""
        return {}

    def example(self) -> str:
        """Two words that ``xsiamese explain`` takes, as an example, or nothing."""
        return ""

    def rows(self, items: Items, size: int) -> int:
        """How many items a batch of the second curve has where training batches have ``size``."""
        return max(size, 256)

    def embed(self, model: PairModel, items: Items) -> Tensor:
        """The embeddings of items, shape (items, dimensions), on the CPU."""
        return embeddings(model, items, self.ready())

    def measure(self, model: PairModel, source: Source[Any]) -> dict[str, Any]:
        """What the trained model is worth: what JSON can hold. Sets the threshold of its comparison."""
        pairs = (
            None
            if source.pairs is None
            else (source.pairs[1] if len(source.valid) else source.pairs[0], source.pairs[2])
        )
        seed = self.settings.seed
        return evaluate(
            model,
            source.train,
            source.test,
            self.ready(),
            calibration=source.valid,
            seen=source.seen,
            seed=seed,
            pairs=pairs,
            noun=self.noun,
        )

    def figures(self, model: PairModel, source: Source[Any]) -> dict[str, Any]:
        """Further pictures, matplotlib figures by the end of their file's name."""
        return {}


def modality(settings: Settings) -> Modality:
    """The kind of items that these settings are for.

    Raises:
        ValueError: if nothing here trains networks of that kind, or ``settings.reading`` has a key that this kind does
            not know.
    """
    kind = settings.card.modality
    if kind not in MODALITIES:
        raise ValueError(
            f"the card {settings.network!r} is for {kind} data: {', '.join(MODALITIES)} can be trained from here"
        )
    made: Modality = import_module(MODALITIES[kind]).Training(settings)
    return made
