"""Folders of images, a folder per class (the layout of Grad_CAM_Siamese): decoded once, in threads, corrupt files
skipped and named.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from xsiamese.data.items import LabelledImages
from xsiamese.zoo.cards import Preprocessing
from xsiamese.zoo.pixels import Picture, read_picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})


def read_folders(folder: Path, preprocessing: Preprocessing) -> LabelledImages:
    """Reads ``folder/CLASS/*.jpg`` and other images; the classes are the folders' names, sorted. Other files are left
    out.

    Raises:
        ValueError: if there is no class folder, or none with an image that can be read.
    """
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise ValueError(f"{folder} holds no folders: one folder of images for each class is needed")
    files = [
        (path, name.name) for name in classes for path in sorted(name.iterdir()) if path.suffix.lower() in SUFFIXES
    ]
    if not files:
        raise ValueError(
            f"{folder} holds no images in its {len(classes)} folders (looked for {', '.join(sorted(SUFFIXES))})"
        )
    images, kept, skipped = decode([path for path, _ in files], preprocessing)
    names = tuple(name.name for name in classes if any(files[i][1] == name.name for i in kept))
    if empty := [name.name for name in classes if name.name not in names]:
        warnings.warn(f"class {', '.join(map(repr, empty[:5]))} has no image that can be read: left out", stacklevel=2)
    labels = torch.tensor([names.index(files[i][1]) for i in kept])
    return LabelledImages(images, labels, names, tuple(str(files[i][0]) for i in kept), tuple(skipped))


def decode(paths: Sequence[Path], preprocessing: Preprocessing) -> tuple[Tensor, list[int], list[str]]:
    """Decodes and resizes images.

    Returns:
        The images as bytes (items, channels, height, width), which of the paths they are, and the skipped files with
        the reasons.

    Raises:
        ValueError: if none can be read.
    """
    from tqdm.auto import tqdm

    def one(path: Path) -> Picture | str:
        try:
            return read_picture(path, preprocessing.size, preprocessing.channels)
        except (ValueError, MemoryError) as error:
            return str(error) or f"{path} needs more memory than there is"

    with ThreadPoolExecutor() as pool:
        found = list(
            tqdm(pool.map(one, paths), total=len(paths), desc="decoding", unit="image", disable=None, leave=False)
        )
    skipped = [result for result in found if isinstance(result, str)]
    kept = [i for i, result in enumerate(found) if isinstance(result, Picture)]
    if not kept:
        raise ValueError(
            f"none of {len(paths)} images can be read; the first: {skipped[0] if skipped else 'there is none'}"
        )
    if skipped:
        warnings.warn(
            f"{len(skipped)} of {len(paths)} images cannot be read and are left out: {'; '.join(skipped[:3])}",
            stacklevel=3,
        )
    read = [result for result in found if isinstance(result, Picture)]
    if several := [str(paths[i]) for i, picture in zip(kept, read, strict=True) if picture.frames > 1]:
        warnings.warn(
            f"{len(several)} of {len(paths)} files hold several images, of which the first is taken: "
            f"{', '.join(several[:3])}",
            stacklevel=3,
        )
    return torch.stack([picture.pixels for picture in read]), kept, skipped
