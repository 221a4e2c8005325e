"""Lightning, or the one line that says how to get it: what trains here needs it before anything starts."""

from __future__ import annotations

from importlib.util import find_spec

try:
    from lightning.pytorch import Callback as Callback
    from lightning.pytorch import LightningModule as LightningModule
    from lightning.pytorch import Trainer as Trainer
except ImportError as error:
    raise ImportError('training needs Lightning: pip install "xsiamese[train]"') from error

for name in ("torchmetrics", "sklearn"):  # asked for when the training is over
    if find_spec(name) is None:
        raise ImportError(f'training needs {name}: pip install "xsiamese[train]"')
