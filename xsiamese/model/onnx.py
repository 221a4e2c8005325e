"""Encoders and comparisons that run on ONNX Runtime, without the framework that they were trained in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.door.files import regular
from xsiamese.model.blackbox import BlackBoxEncoder
from xsiamese.model.comparison import Comparison
from xsiamese.model.decision import which_way

NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class Session:
    """A file of ONNX, to be asked.

    Args:
        path: of the file.
        providers: on what it runs, as ONNX Runtime calls it; the processor if left out.

    Raises:
        ImportError: if ONNX Runtime is not installed.
        ValueError: if the file is missing or no model of ONNX.
    """

    def __init__(self, path: str | Path, providers: list[str] | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError('models of ONNX need ONNX Runtime: pip install "xsiamese[onnx]"') from error
        self.path = regular(path, "a model of ONNX")
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=providers or ["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own errors have no common base
            raise ValueError(f"{path} cannot be read as a model of ONNX: {str(error).splitlines()[0]}") from error
        self.inputs = [(one.name, NUMBERS.get(one.type)) for one in self._session.get_inputs()]
        data = sorted(self.path.parent.glob(f"{self.path.name}.data"))  # large weights stand beside the model
        told = hashlib.blake2b(digest_size=16)
        for part in (self.path, *data):
            told.update(part.read_bytes())
        self.digest = told.hexdigest()

    def __call__(self, *items: np.ndarray[Any, Any], **named: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The first output for some inputs, by place or by name, in the types that the model takes.

        Raises:
            ValueError: if they do not fit the model.
        """
        given = {name: array for (name, _), array in zip(self.inputs, items, strict=False)} | named
        if set(given) != {name for name, _ in self.inputs} or len(items) > len(self.inputs):
            wanted, got = ", ".join(name for name, _ in self.inputs), len(items) + len(named)
            raise ValueError(f"{self.path.name} takes {wanted}, and got {', '.join(named) or f'{got} inputs'}")
        types = dict(self.inputs)
        arrays = {name: array.astype(types[name] or array.dtype, copy=False) for name, array in given.items()}
        try:
            found: np.ndarray[Any, Any] = self._session.run(None, arrays)[0]
        except Exception as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(f"{self.path.name} does not take {shapes}: {str(error).splitlines()[0]}") from error
        return found


class OnnxEncoder(BlackBoxEncoder):
    """An encoder in a file of ONNX, as any deployed model is: for searches and galleries, and for the methods that only
    ask, such as :class:`~xsiamese.PairMaskRegression`.

    Its first output is the embedding. An item of several tensors gives them in the order of the file's inputs, or by
    their names.

    Args:
        path: of the file.
        providers: on what it runs, as ONNX Runtime calls it; the processor if left out.

    Raises:
        ImportError: if ONNX Runtime is not installed.
        ValueError: if the file is missing or no model of ONNX.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from xsiamese import OnnxEncoder, SiameseModel, export
        >>> items, folder = torch.rand(3, 1, 4, 4), TemporaryDirectory()
        >>> model = SiameseModel(torch.nn.Flatten())
        >>> path = export(model, items, f"{folder.name}/model")
        >>> deployed = SiameseModel(OnnxEncoder(path / "encode.onnx"))
        >>> torch.allclose(deployed(items, items.flip(0)), model(items, items.flip(0)), atol=1e-4)
        True
    """

    def __init__(self, path: str | Path, providers: list[str] | None = None) -> None:
        self._asked = Session(path, providers)
        super().__init__(self._asked)

    def extra_repr(self) -> str:
        return f"{self._asked.path.name}, {self._asked.digest}"  # tells the weights: a gallery of others is refused


class OnnxComparison(Comparison):
    """A comparison in a file of ONNX. It has no gradient.

    Args:
        path: of the file.
        higher_is_closer: what its score says.
        providers: on what it runs.
    """

    name = "onnx"

    def __init__(self, path: str | Path, higher_is_closer: bool, providers: list[str] | None = None) -> None:
        super().__init__()
        self.higher_is_closer = which_way(higher_is_closer)
        self._asked = Session(path, providers)

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        found = self._asked(z_a.detach().cpu().numpy(), z_b.detach().cpu().numpy())
        return torch.from_numpy(found).to(z_a).reshape(len(z_a))

    def extra_repr(self) -> str:
        return f"{self._asked.path.name}, {self._asked.digest}"
