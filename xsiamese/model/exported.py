"""Models out of their framework: encoder and comparison as programs of ONNX or of ``torch.export``, and back."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xsiamese.door.files import regular
from xsiamese.kinds.side import Form
from xsiamese.model.comparison import (
    ClampedEuclidean,
    Comparison,
    Cosine,
    Dot,
    Euclidean,
    Function,
    Manhattan,
    SquaredEuclidean,
)
from xsiamese.model.onnx import OnnxComparison, OnnxEncoder
from xsiamese.model.pair import SiameseModel

Format = Literal["onnx", "torch"]
ABOUT = "model.json"
FORMAT = 1
ENDINGS: Mapping[Format, str] = {"onnx": "onnx", "torch": "pt2"}

# what has a closed form stays what it is: pair matrices of a cosine are products, and searches too
PLAIN: Mapping[str, type[Comparison]] = {
    cls.name: cls for cls in (Cosine, Dot, Euclidean, SquaredEuclidean, Manhattan, ClampedEuclidean)
}


class _Encode(nn.Module):
    """The way of an item to its embedding, as a function of its tensors."""

    def __init__(self, model: SiameseModel, side: int, form: Form) -> None:
        super().__init__()
        self.model, self.side, self.form = model, side, form

    def forward(self, *tensors: Tensor) -> Tensor:
        embedding: Tensor = self.model.encode(self.form.around(tensors), self.side)
        return embedding


def export(model: SiameseModel, items: Any, path: str | Path, *, format: Format = "onnx") -> Path:  # noqa: A002
    """Writes encoder and comparison as programs that run without the model's own code.

    A folder with ``encode.onnx`` (``encode_a`` and ``encode_b`` for two encoders) and ``model.json``, and with
    ``compare.onnx`` for a comparison that is learned or is a function; the others are named in ``model.json``.
    Any number of items can be encoded.

    Args:
        model: of an encoder, or two, and a comparison.
        items: two items or more as one side of a batch of pairs, tensors; a pair (of a, of b) for two encoders.
        path: of the folder, which is made.
        format: "onnx", for ONNX Runtime and other engines, or "torch", a program of ``torch.export``.

    Raises:
        ImportError: if onnx or onnxscript is not installed.
        ValueError: if the model is not factored, the items are no tensors or fewer than two, something is there
            already, or the model cannot be traced.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from xsiamese import SiameseModel, export, open_exported
        >>> folder = TemporaryDirectory()
        >>> model = SiameseModel(torch.nn.Linear(4, 2), "euclidean")
        >>> path = export(model, torch.rand(2, 4), f"{folder.name}/model", format="torch")
        >>> sorted(file.name for file in path.iterdir())
        ['encode.pt2', 'model.json']
        >>> a, b = torch.rand(5, 4), torch.rand(5, 4)
        >>> torch.allclose(open_exported(path)(a, b), model(a, b))
        True
    """
    path = Path(path)
    if not isinstance(model, SiameseModel):
        raise ValueError(f"{type(model).__name__} is not factored: give a SiameseModel of encoder and comparison")
    if format not in ENDINGS:
        raise ValueError(f"format={format!r}: 'onnx' or 'torch' is needed")
    if path.exists():
        raise ValueError(f"{path} is there already: give the model a place of its own")
    shared = model.encoders[0] is model.encoders[1]
    if not shared and not (isinstance(items, (tuple, list)) and len(items) == 2):
        raise ValueError("the model has two encoders: give items as a pair (of a, of b)")
    examples = [_tensors(one) for one in ((items,) if shared else items)]
    making = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        making.mkdir(parents=True)
        with _still(model):
            _write(model, examples, making, format)
        making.rename(path)
    except OSError as error:
        raise ValueError(f"the model cannot be written to {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return path


def open_exported(path: str | Path, *, providers: list[str] | None = None) -> SiameseModel:
    """The model that :func:`export` wrote: its encoder runs on ONNX Runtime, or is the program of ``torch.export``.

    Args:
        path: of the folder.
        providers: on what ONNX Runtime runs; the processor if left out.

    Raises:
        ImportError: if ONNX Runtime is not installed.
        ValueError: if there is no such model, or one of its files is missing or damaged.
    """
    folder = Path(path)
    try:
        told = json.loads(regular(folder / ABOUT, "what an exported model is").read_text(encoding="utf-8"))
        kind, files = told["kind"], told["encoders"]
        about = told["comparison"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder} holds no exported model: {str(error).splitlines()[0]}") from error
    if told["format"] > FORMAT or kind not in ENDINGS:
        raise ValueError(f"{folder} was written by a newer xsiamese: format {told['format']}, {kind!r}")
    encoders = [OnnxEncoder(folder / one, providers) if kind == "onnx" else _program(folder / one) for one in files]
    if about["file"] is None:
        comparison: Comparison = PLAIN[about["name"]](**about["settings"])
    elif kind == "onnx":
        comparison = OnnxComparison(folder / about["file"], about["higher_is_closer"], providers)
    else:
        comparison = Function(_program(folder / about["file"]), about["higher_is_closer"])
    comparison.threshold_ = about["threshold"]
    return SiameseModel(encoders[0] if len(encoders) == 1 else (encoders[0], encoders[1]), comparison)


def _write(model: SiameseModel, examples: Sequence[tuple[Form, Sequence[Tensor]]], folder: Path, kind: Format) -> None:
    ending, names = ENDINGS[kind], ["encode"] if len(examples) == 1 else ["encode_a", "encode_b"]
    embeddings = []
    for side, (name, (form, tensors)) in enumerate(zip(names, examples, strict=True)):
        encode = _Encode(model, side, form)
        _traced(encode, tensors, folder / f"{name}.{ending}", list(form.keys) or None)
        with torch.no_grad():
            embeddings.append(encode(*tensors))
    if len(embeddings) == 1:
        embeddings.append(embeddings[0].flip(0))  # one tensor given twice would be taken for one input
    head, plain = model.comparison, type(model.comparison) in PLAIN.values()
    if not plain:
        _traced(head, embeddings, folder / f"compare.{ending}", ["z_a", "z_b"])
    settings = {
        name: getattr(head, name) for name in ("detach_norms", "limit", "explain_clamped") if hasattr(head, name)
    }
    about = {
        "name": head.name,
        "file": None if plain else f"compare.{ending}",
        "settings": settings if plain else {},
        "higher_is_closer": head.higher_is_closer,
        "threshold": head.threshold_,
    }
    told = {
        "format": FORMAT, "kind": kind, "encoders": [f"{name}.{ending}" for name in names], "comparison": about,
    }  # fmt: skip
    (folder / ABOUT).write_text(json.dumps(told, indent=1), encoding="utf-8")


def _traced(module: nn.Module, tensors: Sequence[Tensor], path: Path, names: list[str] | None) -> None:
    """Writes one module for any number of rows."""
    rows = torch.export.Dim("items", min=1)
    shapes = (tuple({0: rows} for _ in tensors),) if isinstance(module, _Encode) else tuple({0: rows} for _ in tensors)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, tuple(tensors), dynamic_shapes=shapes, strict=False)
            if path.suffix == ".pt2":
                torch.export.save(program, path)
                return
            torch.onnx.export(program, (), str(path), input_names=names, dynamo=True, verbose=False)
    except ImportError as error:
        raise ImportError('export to ONNX needs onnx and onnxscript: pip install "xsiamese[onnx]"') from error
    except Exception as error:  # whatever tracing meets in a model's code
        told = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(f"{type(module).__name__.lstrip('_').lower()} cannot be exported: {told.strip()}") from error


def _program(path: Path) -> nn.Module:
    try:
        found: nn.Module = torch.export.load(regular(path, "a program of torch.export")).module()
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a program of torch.export: {str(error).splitlines()[0]}") from error
    return found


def _tensors(items: Any) -> tuple[Form, Sequence[Tensor]]:
    inside = items.values() if isinstance(items, Mapping) else items if isinstance(items, (tuple, list)) else (items,)
    if not all(isinstance(one, Tensor) for one in inside):
        what = type(items).__name__
        raise ValueError(f"items is a {what}: tensors, a tuple or a mapping of them can be exported")
    form, tensors = Form.of(items)
    if len(tensors[0]) < 2:
        raise ValueError(f"items holds {len(tensors[0])} item: two at least show which size is their number")
    return form, tensors


@contextmanager
def _still(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode inside the block, every module as it was after it."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode
