"""What a job says of each pair in one row of a table: score, decision, status, and the strongest places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from xsiamese.jobs.unit import Explained
from xsiamese.result.explanation import PairExplanation
from xsiamese.result.matrices import MatrixExplanation

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
    own: dict[str, list[Any]] = {"score": [], "alike": [], "delta": [], "top": []}
    if found is not None:
        scores = found.scores.detach().cpu().double()
        decision = found.decision
        own["score"] = scores.tolist()
        own["alike"] = [] if decision is None else decision.alike(decision.closeness(found.decided)).tolist()
        own["delta"] = [] if found.delta is None else found.delta.detach().cpu().double().tolist()
        own["top"] = strongest(found)

    def spread(values: Sequence[Any]) -> list[Any]:
        """The values of the good pairs among all pairs."""
        return [values[place[i]] if i in place and values else None for i in range(count)]

    columns: dict[str, list[Any]] = {
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


def strongest(explanation: PairExplanation) -> list[list[dict[str, Any]]]:
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
    if explanation.maps is None:
        return [[] for _ in range(len(explanation))]
    try:
        cells = explanation.top(TOP)
    except ValueError:  # maps of several layers, or of edges alone
        return [[] for _ in range(len(explanation))]
    return [
        [{"a": cell.place, "b": None, "value": cell.value} for cell in of_a]
        + [{"a": None, "b": cell.place, "value": cell.value} for cell in of_b]
        for of_a, of_b in cells
    ]
