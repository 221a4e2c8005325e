"""Where labelled images come from: MNIST-like sets of torchvision, Omniglot, folders of images."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from xsiamese.data.division import Division, divided
from xsiamese.data.items import LabelledImages, split
from xsiamese.data.items import Source as Source
from xsiamese.zoo.cards import Preprocessing

NAMES = ("MNIST", "FashionMNIST", "KMNIST", "Omniglot")


def load(
    dataset: str,
    data: Path,
    preprocessing: Preprocessing,
    *,
    valid: float | None = None,
    test: float | None = None,
    seed: int = 0,
    same_label: str = "1",
    by: Division | None = None,
) -> Source[LabelledImages]:
    """Loads a data set by its name or path.

    Args:
        dataset: MNIST, FashionMNIST, KMNIST, Omniglot, a folder with a folder of images per class, or a CSV of pairs
            (path_a, path_b, label).
        data: where a named set lies, in torchvision's layout; it is downloaded there if it does not.
        preprocessing: gives the size and the channels of the images.
        valid: the share of validation images: of the training images of a named set (none by default), of all images of
            a folder (0.1).
        test: the share of test images of a folder (0.1).
        seed: of the split.
        same_label: the label of a same pair in a CSV.
        by: of a folder, whether whole classes are held out, see :func:`~xsiamese.data.division.divided`.

    Raises:
        ValueError: for an unknown set, with the nearest names; for an empty folder; for shares that leave nothing.
    """
    path = Path(dataset)
    if by is not None and not path.is_dir():
        raise ValueError(f"split={by!r} is for a folder of class folders: {dataset} itself says what is held out")
    if dataset in ("MNIST", "FashionMNIST", "KMNIST"):
        train, tests = (torchvision_set(dataset, data, part, preprocessing) for part in (True, False))
        train, held, _ = split(train, valid or 0.0, 0.0, seed)
        return Source(dataset, train, held, tests)
    if dataset == "Omniglot":
        from xsiamese.data import omniglot

        return Source(dataset, *omniglot.load(data, preprocessing.size, valid=valid or 0.0, seed=seed))
    if path.suffix.lower() == ".csv" and path.is_file():
        from xsiamese.data.table import load as load_table

        return load_table(
            path,
            preprocessing,
            valid=0.1 if valid is None else valid,
            test=0.1 if test is None else test,
            seed=seed,
            same=same_label,
        )
    if path.is_dir():
        from xsiamese.data.folders import read_folders

        items = read_folders(path, preprocessing)
        shares = 0.1 if valid is None else valid, 0.1 if test is None else test
        return divided(path.resolve().name, items, *shares, seed=seed, by=by)
    near = get_close_matches(dataset, NAMES, n=2) or [n for n in NAMES if n.lower() == dataset.lower()]
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"known: {', '.join(NAMES)}, a folder of class folders, or a CSV of pairs"
    )
    raise ValueError(f"no data set is called {dataset!r} and no such folder exists; {hint}")


def torchvision_set(name: str, data: Path, train: bool, preprocessing: Preprocessing) -> LabelledImages:
    """One part of an MNIST-like set, from ``data``, ``data/NAME`` or a folder of that name in other letters; downloaded
    if it is nowhere.
    """
    datasets = _torchvision("datasets")
    folders = [
        data,
        *(
            sorted(p for p in data.iterdir() if p.is_dir() and p.name.replace("_", "").lower() == name.lower())
            if data.is_dir()
            else []
        ),
    ]
    root = next((f for f in folders if (f / name / "raw").is_dir()), None)
    try:
        found: Any = getattr(datasets, name)(root or data, train=train, download=root is None)
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"{name} is not in {data} and could not be downloaded there ({error}): give --data the folder that holds "
            f"{name}/raw"
        ) from error
    images = found.data.unsqueeze(1)
    if preprocessing.size != tuple(images.shape[2:]):
        images = _torchvision("transforms.v2").functional.resize(images, list(preprocessing.size), antialias=True)
    if preprocessing.channels == 3:
        images = images.expand(-1, 3, -1, -1)
    return LabelledImages(images.contiguous(), found.targets.long(), tuple(str(c) for c in found.classes))


def _torchvision(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"torchvision.{module}")
    except ImportError as error:
        raise ImportError('torchvision is needed to read images: pip install "xsiamese[image]"') from error
