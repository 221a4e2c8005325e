"""A few dozen real images that come with the library: Fashion-MNIST test images (MIT licence, see samples/LICENSE)."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import NamedTuple

from torch import Tensor

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


class Samples(NamedTuple):
    """Images and their classes.

    Attributes:
        images: grey values in [0, 255], shape (images, 1, 28, 28), uint8.
        labels: indices into ``CLASSES``, shape (images,).
    """

    images: Tensor
    labels: Tensor


def fashion_samples() -> Samples:
    """Four images of each of the ten classes.

    Example:
        >>> fashion_samples().images.shape
        torch.Size([40, 1, 28, 28])
    """
    from safetensors.torch import load_file

    with as_file(files("xsiamese.data").joinpath("samples", "fashion.safetensors")) as path:
        tensors = load_file(path)
    return Samples(tensors["images"], tensors["labels"])


def fashion_pair(first: str = "sneaker", second: str = "ankle boot", number: int = 0) -> tuple[Tensor, Tensor]:
    """A pair of shipped images as the ``fashion`` model takes them, each (1, 1, 28, 28).

    Args:
        first, second: classes; the same class twice gives two different images.
        number: which of the class's images, 0 to 3.

    Raises:
        ValueError: if a class is unknown.
    """
    from xsiamese.zoo import find_card

    samples = fashion_samples()
    preprocessing = find_card("fashion").preprocessing
    assert preprocessing is not None
    chosen = []
    for i, name in enumerate((first, second)):
        if name not in CLASSES:
            raise ValueError(f"no class is called {name!r}; there are {', '.join(CLASSES)}")
        of_class = (samples.labels == CLASSES.index(name)).nonzero().flatten()
        chosen.append(samples.images[of_class[(number + (i if first == second else 0)) % len(of_class)]])
    return preprocessing.normalise(chosen[0])[None], preprocessing.normalise(chosen[1])[None]
