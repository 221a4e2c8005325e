"""Jobs: many pairs explained in units that survive whatever ends the process, on one machine or several."""

from __future__ import annotations

from importlib.util import find_spec

for name in ("zarr", "pyarrow", "filelock"):  # every file of this room needs them
    if find_spec(name) is None:
        raise ImportError(f'jobs over many pairs need {name}: pip install "xsiamese[jobs]"')
