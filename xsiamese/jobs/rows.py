"""What a job says of each pair in one row of a table: score, decision, status, and the strongest places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from xsiamese.jobs.unit import Explained
from xsiamese.kinds.catalogue import kind
from xsiamese.result.cells import cells_of, ordered
from xsiamese.result.explanation import PairExplanation
from xsiamese.result.matrices import MatrixExplanation

Ordered = tuple[np.ndarray, Tensor]
TOP = 3  # places a side, or matches
PLACE = pa.list_(pa.int32())
SCHEMA = pa.schema(
    [
        ("pair", pa.int64()),  # the row of the table of pairs, from 0
        ("a", pa.string()),
        ("b", pa.string()),
        ("status", pa.dictionary(pa.int8(), pa.string())),  # ok or error
        ("error", pa.string()),
        ("score", pa.float64()),
        ("alike", pa.bool_()),  # null where no threshold is known
        ("delta", pa.float64()),  # null where the method does not claim to be complete
        ("seed", pa.int64()),
        ("versions", pa.dictionary(pa.int8(), pa.string())),
        ("top", pa.list_(pa.struct([("a", PLACE), ("b", PLACE), ("value", pa.float64())]))),
        ("unit", pa.int32()),
        ("row", pa.int32()),  # in the arrays of the unit; null for an error
    ]
)


def rows_of(explained: Explained, seed: int, versions: str) -> pa.Table:
    """One row a pair, in the order of the table."""
    unit, (a, b), found = explained.unit, explained.words, explained.explanation
    place = {pair: row for row, pair in enumerate(explained.good)}
    count = unit.stop - unit.start
    own: dict[str, Any] = {"score": [], "alike": [], "delta": [], "top": []}
    if found is not None:
        scores = found.scores.detach().cpu().double()
        decision = found.decision
        own["score"] = scores.tolist()
        own["alike"] = [] if decision is None else decision.alike(decision.closeness(found.decided)).tolist()
        own["delta"] = [] if found.delta is None else found.delta.detach().cpu().double().tolist()
        own["top"] = strongest(found)

    def spread(values: Sequence[Any] | pa.Array) -> Sequence[Any] | pa.Array:
        """The values of the good pairs among all pairs."""
        if isinstance(values, pa.Array):
            return values.take(pa.array([place.get(i) for i in range(count)], pa.int64()))
        return [values[place[i]] if i in place and len(values) else None for i in range(count)]

    columns: dict[str, Any] = {
        "pair": list(range(unit.start, unit.stop)),
        "a": a,
        "b": b,
        "status": ["ok" if i in place else "error" for i in range(count)],
        "error": [explained.errors.get(i) for i in range(count)],
        **{name: spread(values) for name, values in own.items()},
        "seed": [seed] * count,
        "versions": [versions] * count,
        "unit": [unit.number] * count,
        "row": [place.get(i) for i in range(count)],
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def strongest(explanation: PairExplanation) -> Sequence[list[dict[str, Any]]] | pa.Array:
    """The strongest places of each pair: of a matrix the parts that match, else places of a and places of b; nothing
    of maps that have no single strongest place.
    """
    if isinstance(explanation, MatrixExplanation):
        return [
            [
                {"a": match.of_a, "b": match.of_b, "value": match.value}
                for match in matrix.matches(TOP, largest="either")
            ]
            for matrix in explanation.matrices
        ]
    nothing: list[list[dict[str, Any]]] = [[] for _ in range(len(explanation))]
    if explanation.maps is None:
        return nothing
    try:
        sides = [cells_of(value, kind(of)) for value, of in zip(explanation.maps, explanation.kinds, strict=True)]
    except ValueError:  # maps of several layers, or of edges alone
        return nothing
    if all(len({one.shape for one in cells}) == 1 for cells in sides):
        return _at_once(*(ordered(torch.stack(list(cells)), TOP) for cells in sides))
    return [
        [{"a": cell.place, "b": None, "value": cell.value} for cell in of_a]
        + [{"a": None, "b": cell.place, "value": cell.value} for cell in of_b]
        for of_a, of_b in explanation.top(TOP)
    ]


def _at_once(of_a: Ordered, of_b: Ordered) -> pa.Array:
    """The same of maps of one shape, without an object for each of their numbers: what explains waits for those."""
    pairs, counts = len(of_a[0]), [values.shape[1] for _, values in (of_a, of_b)]
    each = [np.repeat([own, not own], counts) for own in (True, False)]  # whose place each entry of a pair is
    columns = [_lists(places, np.tile(is_own, pairs)) for (places, _), is_own in zip((of_a, of_b), each, strict=True)]
    values = torch.cat([of_a[1], of_b[1]], 1).detach().cpu().double().numpy().ravel()
    entries = pa.StructArray.from_arrays([*columns, pa.array(values)], ["a", "b", "value"])
    return pa.ListArray.from_arrays(pa.array(np.arange(pairs + 1) * sum(counts), pa.int32()), entries)


def _lists(places: np.ndarray, there: np.ndarray) -> pa.Array:
    """Places (maps, k, dimensions), one list each, where they are there, and null where not."""
    ends = np.cumsum([0, *(there * places.shape[-1])])
    flat = pa.array(places.ravel(), pa.int32())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat, mask=pa.array(~there))
