"""Superpixels: the parts of an image that have one colour, as groups of its pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from xsiamese.door.arguments import check

MISSING = 'superpixels need scikit-image: pip install "xsiamese[superpixels]"'


def superpixels(images: Tensor, count: int = 50, *, compactness: float = 10.0) -> Tensor:
    """Cuts images into about ``count`` connected parts of one colour each, by scikit-image's SLIC
    (:cite:t:`achanta2012`).

    A part is a feature that a person sees, and one that many pixels share: ``feature_mask=(superpixels(a),
    superpixels(b))`` makes a few dozen features of an image for :class:`~xsiamese.PairKernelShap`,
    :class:`~xsiamese.PairLime`, :class:`~xsiamese.PairFeatureAblation` and their kind.

    Args:
        images: shape (images, channels, height, width), or a single one (channels, height, width), with 1 or 3
            channels in any range: each image is stretched to its own.
        count: about how many parts; there may be fewer, and no more than pixels.
        compactness: how much nearness counts beside colour: the larger, the more the parts are squares.

    Returns:
        The number of each pixel's part, from 0, shape (images, 1, height, width), on the device of the images.

    Raises:
        ImportError: if scikit-image is not installed.
        ValueError: if these are no images, or ``count`` is not positive.

    Example:
        >>> from xsiamese import superpixels
        >>> image = torch.zeros(1, 8, 8)
        >>> image[:, :, 5:] = 1
        >>> parts = superpixels(image, 4)[0, 0]
        >>> set(parts[:, :5].flatten().tolist()) & set(parts[:, 5:].flatten().tolist())
        set()
    """
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise ImportError(MISSING) from error
    if images.dim() not in (3, 4) or images.shape[-3] not in (1, 3):
        raise ValueError(f"{tuple(images.shape)}: images (images, 1 or 3 channels, height, width) are needed")
    check(superpixels, {"count": count, "compactness": compactness})
    found = []
    for image in images.detach().double().cpu().reshape(-1, *images.shape[-3:]):
        stretched = (image - image.min()) / (image.max() - image.min()).clamp_min(1e-12)
        # as three colours, also of grey: distances are then those of the Lab space, for which compactness is meant
        colours = stretched.expand(3, -1, -1).movedim(0, -1).numpy()
        parts = torch.from_numpy(slic(colours, n_segments=count, compactness=compactness, start_label=0)).long()
        found.append(torch.unique(parts, return_inverse=True)[1])  # numbered without gaps
    return torch.stack(found)[:, None].to(images.device)
