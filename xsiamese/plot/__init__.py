"""Pictures of explanations (images, rows of tables, graphs, molecules, connectomes) and of embeddings, as matplotlib
figures.
"""

from __future__ import annotations

from xsiamese.plot.connectome import plot_connectomes as plot_connectomes
from xsiamese.plot.graph import Coloured as Coloured
from xsiamese.plot.graph import plot_graphs as plot_graphs
from xsiamese.plot.image import plot_pair as plot_pair
from xsiamese.plot.latent import curves as curves
from xsiamese.plot.latent import latent_space as latent_space
from xsiamese.plot.molecule import molecule_svg as molecule_svg
from xsiamese.plot.molecule import plot_molecules as plot_molecules
from xsiamese.plot.robust import convergence as convergence
from xsiamese.plot.robust import invariance_table as invariance_table
from xsiamese.plot.robust import stability as stability
from xsiamese.plot.table import plot_rows as plot_rows
