"""Pictures of explanations and of embeddings, as matplotlib figures."""

from __future__ import annotations

from xsiamese.plot.image import plot_pair as plot_pair
from xsiamese.plot.latent import curves as curves
from xsiamese.plot.latent import latent_space as latent_space
from xsiamese.plot.robust import convergence as convergence
from xsiamese.plot.robust import invariance_table as invariance_table
from xsiamese.plot.robust import stability as stability
