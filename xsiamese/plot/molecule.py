"""Two molecules drawn by RDKit, atoms and bonds coloured on one scale."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.scale import Scale
from xsiamese.plot.shown import Shows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = Sequence[float] | Tensor | None
Colours = dict[int, tuple[float, ...]]
SIZE = (900, 720)


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
        picture = _painted(molecule, of_atoms, of_bonds, scale, size=SIZE, kind="png")
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

    for k, molecule in enumerate(molecules):
        lay_out(molecule)
        if not k:
            rdDepictor.StraightenDepiction(molecule)
            continue
        first, alone = molecules[0], molecule.GetConformer().GetPositions()
        common = rdFMCS.FindMCS([first, molecule], timeout=2, ringMatchesRingOnly=True, completeRingsOnly=True)
        pattern = Chem.MolFromSmarts(common.smartsString) if common.numAtoms > 2 else None
        if pattern is not None:
            matched = list(zip(first.GetSubstructMatch(pattern), molecule.GetSubstructMatch(pattern), strict=True))
            rdDepictor.GenerateDepictionMatching2DStructure(molecule, first, matched)
            if bent(molecule):  # what is bent in a large ring of the first must not bend this one
                molecule.GetConformer().SetPositions(alone)
    return list(molecules)


def lay_out(molecule: Any) -> None:
    """Gives a molecule coordinates in the plane; large rings, which RDKit's own way bends, by CoordGen."""
    from rdkit.Chem import rdDepictor

    for large in (False, True):
        rdDepictor.SetPreferCoordGen(large)
        rdDepictor.Compute2DCoords(molecule)
        if not bent(molecule):
            break
    rdDepictor.SetPreferCoordGen(False)


def bent(molecule: Any) -> bool:
    """Whether a bond is drawn less than two thirds as long as the usual one, or more than one and a half times."""
    places = torch.from_numpy(molecule.GetConformer().GetPositions())
    ends = torch.tensor([[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] for bond in molecule.GetBonds()])
    if not len(ends):
        return False
    lengths = (places[ends[:, 0]] - places[ends[:, 1]]).norm(dim=1)
    usual = lengths.median()
    return bool(((lengths < usual / 1.5) | (lengths > usual * 1.5)).any())


def draw_cut(axes: Axes, molecule: Any, gone: Collection[tuple[int, ...]], colour: str) -> None:
    """One molecule, with what is deleted marked: a bond crossed out between its ends, an atom ringed and crossed out.

    Args:
        axes: where to draw.
        molecule: with coordinates in the plane, as :func:`oriented` gives.
        gone: atoms as (atom,), bonds as (atom, atom) in either order.
        colour: of the marks.
    """
    import io

    from matplotlib.image import imread

    canvas = _drawn(molecule, {}, {}, size=SIZE, kind="png")
    places = torch.tensor([tuple(canvas.GetDrawCoords(k)) for k in range(molecule.GetNumAtoms())])
    axes.imshow(imread(io.BytesIO(_bytes(canvas))), interpolation="antialiased")
    usual = torch.tensor(
        [float((places[b.GetBeginAtomIdx()] - places[b.GetEndAtomIdx()]).norm()) for b in molecule.GetBonds()] or [60.0]
    ).median()
    half = 0.2 * float(usual)
    for part in gone:
        x, y = places[list(part)].mean(0).tolist()  # an atom's own place, or the middle of a bond
        for sign in (1, -1):
            axes.plot([x - half, x + half], [y - sign * half, y + sign * half], color=colour, lw=2.2)
        if len(part) == 1:
            axes.plot([x], [y], "o", mfc="none", mec=colour, ms=14)


def strongest(values: Sequence[Values]) -> float:
    """The largest absolute value."""
    sizes = [float(torch.as_tensor(value).abs().max()) for value in values if value is not None and len(value)]
    return max(sizes, default=0.0) or 1.0


def _painted(molecule: Any, atoms: Values, bonds: Values, scale: Scale, *, size: tuple[int, int], kind: str) -> bytes:
    """The bytes of a picture."""

    def colours(values: Values, count: int, what: str) -> Colours:
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
    return _bytes(_drawn(molecule, of_atoms, of_bonds, size=size, kind=kind))


def _drawn(molecule: Any, of_atoms: Colours, of_bonds: Colours, *, size: tuple[int, int], kind: str) -> Any:
    """A canvas with the molecule on it."""
    from rdkit.Chem.Draw import rdMolDraw2D

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
    return canvas


def _bytes(canvas: Any) -> bytes:
    text = canvas.GetDrawingText()
    return text.encode() if isinstance(text, str) else text
