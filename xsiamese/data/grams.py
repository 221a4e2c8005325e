"""Free text as numbers: hashed n-grams of characters, which need no vocabulary and know new words."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

WIDTH = 256  # features of a column of free text
LENGTH = 3


def grams(text: str, length: int = LENGTH) -> list[str]:
    """The n-grams of each word with a space on both sides; a shorter word is one.

    Example:
        >>> grams("Red ale")
        [' re', 'red', 'ed ', ' al', 'ale', 'le ']
    """
    words = [f" {word} " for word in text.lower().split()]
    return [word[i : i + length] for word in words for i in range(max(len(word) - length + 1, 1))]


def hashed(texts: Sequence[str], width: int = WIDTH) -> Tensor:
    r"""How often the n-grams of each place :math:`\text{crc32}(g) \bmod \text{width}` stand in each text, of length
    one, so that the dot product of two texts is the cosine of their counts; shape (texts, width). No text is 0.

    The trick is that of :cite:`weinberger2009`, without signs: a count is never negative.

    Example:
        >>> one, other, far = hashed(["red ale", "Red  Ale", "stout"])
        >>> round(float(one @ other), 6), bool(one @ far < 0.2)
        (1.0, True)
    """
    counts = torch.zeros(len(texts), width, dtype=torch.float64)
    for row, text in zip(counts, texts, strict=True):
        for gram in grams(text):
            row[zlib.crc32(gram.encode()) % width] += 1
    return torch.nn.functional.normalize(counts, dim=1)
