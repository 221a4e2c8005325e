"""Two molecules drawn by RDKit, atoms and bonds coloured on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.graph import new_figure
from xsiamese.plot.scale import Scale
from xsiamese.plot.shown import Shows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Values = Sequence[float] | Tensor | None


def plot_molecules(
    molecules: Sequence[Any],
    atoms: Sequence[Values],
    bonds: Sequence[Values] = (None, None),
    *,
    titles: Sequence[str] = ("a", "b"),
    title: str = "",
    ends: tuple[str, str] = ("apart", "together"),
    limit: float | None = None,
    shows: Shows = "signed",
) -> Figure:
    """Pairs of molecules side by side, what the two share drawn in one orientation, with one scale of colours.

    Args:
        molecules: RDKit molecules or SMILES, two in a row.
        atoms: for each molecule a value for each atom, or None.
        bonds: for each molecule a value for each bond, in RDKit's order, or None.
        titles: one for each.
        title: of the picture.
        ends: what the lowest and the highest colour mean.
        limit: the value of the full colour; None takes the largest there is.
        shows: what the values say; colours of what has no direction start at 0.

    Raises:
        ImportError: if rdkit or matplotlib is not installed.
        ValueError: if a SMILES cannot be read, or values do not fit a molecule.

    Example:
        >>> figure = plot_molecules(["c1ccccc1", "c1ccncc1"], [[0.5] * 6, [0.5, 0.5, 0.5, -0.5, 0.5, 0.5]])
    """
    import io

    from matplotlib.image import imread

    bonds = [*bonds, *[None] * (len(molecules) - len(bonds))]
    scale = Scale(limit or strongest([*atoms, *bonds]), ends, shows, pale=True)
    drawn = [
        one
        for k in range(0, len(molecules), 2)
        for one in oriented([read(molecule) for molecule in molecules[k : k + 2]])
    ]
    rows = -(-len(drawn) // 2)
    figure = new_figure(9.2, 3.7 * rows + 0.4)
    axes = figure.subplots(rows, 2, squeeze=False).flatten().tolist()
    for axis in axes:
        axis.set_axis_off()
    for axis, molecule, of_atoms, of_bonds, name in zip(axes, drawn, atoms, bonds, titles, strict=False):
        picture = _painted(molecule, of_atoms, of_bonds, scale, size=(900, 720), kind="png")
        axis.imshow(imread(io.BytesIO(picture)), interpolation="antialiased")
        axis.set_title(captions.text(name), fontsize=10)
    scale.bar(figure, axes)
    if title:
        figure.suptitle(captions.text(title), fontsize=11)
    return figure


def molecule_svg(
    molecule: Any,
    atoms: Values = None,
    bonds: Values = None,
    *,
    limit: float | None = None,
    size: tuple[int, int] = (420, 340),
    shows: Shows = "signed",
) -> str:
    """One molecule as SVG text.

    Args:
        molecule: an RDKit molecule or a SMILES.
        atoms, bonds: a value for each, or None.
        limit: the value of the full colour; None takes the largest there is. Give the same one for molecules that are
            to be compared.
        size: width and height in pixels.
        shows: what the values say; colours of what has no direction start at 0.

    Example:
        >>> molecule_svg("CCO", [0.1, 0.0, -0.4]).splitlines()[-1]
        '</svg>'
    """
    scale = Scale(limit or strongest([atoms, bonds]), shows=shows, pale=True)
    text: str = _painted(oriented([read(molecule)])[0], atoms, bonds, scale, size=size, kind="svg").decode()
    return text.strip()


def read(molecule: Any) -> Any:
    """An RDKit molecule, from itself or from a SMILES.

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if a SMILES cannot be read.
    """
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError('drawing molecules needs rdkit: pip install "xsiamese[graph]"') from error
    if not isinstance(molecule, str):
        return Chem.Mol(molecule)
    found = Chem.MolFromSmiles(molecule)
    if found is None:
        raise ValueError(f"RDKit cannot read the SMILES {molecule!r}")
    return found


def oriented(molecules: Sequence[Any]) -> list[Any]:
    """With coordinates in the plane; each molecule lies as the first does where their largest common part is."""
    from rdkit import Chem
    from rdkit.Chem import rdDepictor, rdFMCS

    rdDepictor.SetPreferCoordGen(False)
    for k, molecule in enumerate(molecules):
        rdDepictor.Compute2DCoords(molecule)
        if not k:
            rdDepictor.StraightenDepiction(molecule)
            continue
        first = molecules[0]
        common = rdFMCS.FindMCS([first, molecule], timeout=2, ringMatchesRingOnly=True, completeRingsOnly=True)
        pattern = Chem.MolFromSmarts(common.smartsString) if common.numAtoms > 2 else None
        if pattern is not None:
            matched = list(zip(first.GetSubstructMatch(pattern), molecule.GetSubstructMatch(pattern), strict=True))
            rdDepictor.GenerateDepictionMatching2DStructure(molecule, first, matched)
    return list(molecules)


def strongest(values: Sequence[Values]) -> float:
    """The largest absolute value."""
    sizes = [float(torch.as_tensor(value).abs().max()) for value in values if value is not None and len(value)]
    return max(sizes, default=0.0) or 1.0


def _painted(molecule: Any, atoms: Values, bonds: Values, scale: Scale, *, size: tuple[int, int], kind: str) -> bytes:
    """The bytes of a picture."""
    from rdkit.Chem.Draw import rdMolDraw2D

    def colours(values: Values, count: int, what: str) -> dict[int, tuple[float, ...]]:
        if values is None:
            return {}
        numbers = torch.as_tensor(values).detach().cpu().double().flatten()
        if len(numbers) != count:
            raise ValueError(f"{len(numbers)} values for {count} {what}: one each is needed")
        found = scale.colours(numbers)
        return {k: tuple(found[k, :3]) for k in (numbers.abs() > 0.03 * scale.limit).nonzero().flatten().tolist()}

    of_atoms, of_bonds = (
        colours(atoms, molecule.GetNumAtoms(), "atoms"),
        colours(bonds, molecule.GetNumBonds(), "bonds"),
    )
    canvas = (rdMolDraw2D.MolDraw2DSVG if kind == "svg" else rdMolDraw2D.MolDraw2DCairo)(*size)
    options: Any = canvas.drawOptions()
    options.useBWAtomPalette()
    options.padding, options.bondLineWidth = 0.08, 2 if kind == "svg" else 4
    options.scaleBondWidth = False
    options.highlightBondWidthMultiplier = 8
    options.fillHighlights = True
    options.clearBackground = True
    rdMolDraw2D.PrepareAndDrawMolecule(
        canvas,
        molecule,
        highlightAtoms=list(of_atoms),
        highlightAtomColors=of_atoms,
        highlightBonds=list(of_bonds),
        highlightBondColors=of_bonds,
        highlightAtomRadii=dict.fromkeys(of_atoms, 0.36),
    )
    canvas.FinishDrawing()
    text = canvas.GetDrawingText()
    return text.encode() if isinstance(text, str) else text
