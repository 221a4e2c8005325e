"""
Which atoms make two molecules alike?
=====================================

Leaving out one atom after the other explains why a fingerprint finds two molecules
alike, though nothing of it can be differentiated.

Chemists compare molecules by bits for small neighbourhoods of atoms, and the share of
bits that two molecules have in common: a function of two inputs like any other.
"""

from rdkit import Chem, RDLogger

from xsiamese.plot import plot_molecules
from xsiamese_graph import fingerprint_atoms

RDLogger.DisableLog("rdApp.warning")
aspirin = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
wintergreen = Chem.MolFromSmiles("COC(=O)c1ccccc1O")

# %%
# **Atom by atom.** The value of an atom is what the similarity loses when the bits that
# it is part of are taken out of its molecule. Blue atoms make the two alike, red ones
# make them different. RDKit draws such maps for one of the two molecules; here are
# both, on one scale, turned so that what they share lies the same way.

values = fingerprint_atoms(aspirin, wintergreen)
figure = plot_molecules(
    [aspirin, wintergreen],
    values,
    titles=["aspirin", "oil of wintergreen"],
    title="Tanimoto similarity of Morgan fingerprints",
)

# %%
# The numbers are RDKit's own:

from rdkit import DataStructs
from rdkit.Chem.Draw.SimilarityMaps import (
    GetAtomicWeightsForFingerprint,
    GetMorganFingerprint,
)

theirs = GetAtomicWeightsForFingerprint(
    aspirin, wintergreen, GetMorganFingerprint, DataStructs.TanimotoSimilarity
)
print("equal to RDKit's:", values[1].tolist() == list(theirs))

# %%
# **Any similarity.** The same function takes whatever scores two things. Here it is the
# size of the largest common part, of which nothing is known but the number, and a bond
# is left out by really cutting it.

from rdkit.Chem import rdFMCS

from xsiamese_graph import leave_one_out


def common(a: Chem.Mol, b: Chem.Mol) -> float:
    """Bonds of the largest common part, over those of the larger molecule."""
    return rdFMCS.FindMCS([a, b]).numBonds / max(
        aspirin.GetNumBonds(), wintergreen.GetNumBonds()
    )


def without_bond(molecule: Chem.Mol, number: int) -> Chem.Mol:
    if number < 0:
        return molecule
    cut = Chem.RWMol(molecule)
    bond = molecule.GetBondWithIdx(number)
    cut.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return cut.GetMol()


bonds = leave_one_out(
    common,
    (aspirin, wintergreen),
    without_bond,
    lambda molecule: molecule.GetNumBonds(),
)
figure = plot_molecules(
    [aspirin, wintergreen],
    [None, None],
    bonds,
    titles=["aspirin", "oil of wintergreen"],
    title="Largest common part, bond by bond",
)

# %%
# :func:`~xsiamese.plot.molecule.molecule_svg` draws a single molecule as SVG, for a web
# page or a paper.
