"""Pictures of explanations, as matplotlib figures."""

from __future__ import annotations

from xsiamese.plot.image import plot_pair as plot_pair
