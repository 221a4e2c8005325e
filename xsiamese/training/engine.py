"""Lightning, or the one line that says how to get it: what trains here needs it before anything starts."""

from __future__ import annotations

from importlib.util import find_spec

# looked for first, since Lightning takes seconds to load; the others are asked for when the training is over
for name in ("lightning", "torchmetrics", "sklearn", "filelock"):
    if find_spec(name) is None:
        raise ImportError(f'training needs {name.title()}: pip install "xsiamese[train]"')

from lightning.pytorch import Callback as Callback  # noqa: E402
from lightning.pytorch import LightningModule as LightningModule  # noqa: E402
from lightning.pytorch import Trainer as Trainer  # noqa: E402
