"""Data: pairs from images, folders, graphs and tables, and the samples that come with the library."""

from __future__ import annotations

from xsiamese.data.samples import fashion_pair as fashion_pair
from xsiamese.data.samples import fashion_samples as fashion_samples
