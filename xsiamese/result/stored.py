"""Results as files: one safetensors file each, tensors by name and all the rest as JSON in its header. Never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from xsiamese.door.files import place, regular

_DRAWN = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp")


def write(path: str | Path, tensors: Mapping[str, Tensor], plain: Mapping[str, Any], mark: str) -> Path:
    """Writes tensors, and what JSON can hold under the header's key ``mark``.

    Raises:
        ValueError: if the name ends otherwise than in .safetensors, say as a picture's, or there is no such folder.
        OSError: if it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix not in ("", ".safetensors"):
        draw = f"; a picture is plot().savefig({path.name!r})" if path.suffix in _DRAWN else ""
        raise ValueError(f"{path}: save() writes tensors, to a file that ends with .safetensors{draw}")
    place(path)
    own = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    try:
        save_file(own, path, {mark: json.dumps(plain)})
    except SafetensorError as error:
        raise OSError(f"{str(path)!r} cannot be written: {str(error).splitlines()[0]}") from error
    return path


def read(path: str | Path, mark: str, what: str, needs: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`write` wrote.

    Args:
        path: the file.
        mark: the header's key.
        what: how an error calls what should be there.
        needs: a tensor that must be among them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no safetensors file, or has no such header or tensor.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    regular(path, what)
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get(mark)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if told is None or (needs is not None and needs not in tensors):
        raise ValueError(f"{path} is a safetensors file but no {what} that xsiamese saved")
    return tensors, _parsed(path, mark, told)


def header(path: str | Path, mark: str) -> Any:
    """What JSON holds under one key of a file's header, or None."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(regular(path, "an explanation"), "pt") as file:
            told = (file.metadata() or {}).get(mark)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    return None if told is None else _parsed(path, mark, told)


def _parsed(path: str | Path, mark: str, told: str) -> Any:
    try:
        return json.loads(told)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header {mark!r} of {path} is no JSON: {error}") from error
