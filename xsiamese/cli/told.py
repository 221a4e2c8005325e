"""An explanation for machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xsiamese.result.cells import Largest
from xsiamese.result.explanation import PairExplanation


def described(explanation: PairExplanation, outputs: Sequence[Path], features: Sequence[str] = ()) -> dict[str, Any]:
    """An explanation of one pair for machines; of a row the strongest features by their names."""

    def strongest(largest: Largest) -> dict[str, Any]:
        cells = explanation.top(3, largest=largest)[0]
        named = [
            [{**cell._asdict(), **({"feature": features[cell.place[0]]} if features else {})} for cell in side]
            for side in cells
        ]
        return dict(zip("ab", named, strict=True))

    places: dict[str, Any] = {}
    if explanation.maps is not None:
        signed = {"closer": strongest("closer"), "apart": strongest("apart")}
        places = {"relevant": strongest("either")} if explanation.unsigned else signed
    decision = explanation.decision
    return {
        "method": explanation.method,
        "score": float(explanation.scores[0]),
        "measure": explanation.measure,
        "higher_is_closer": explanation.higher_is_closer,
        "threshold": explanation.threshold,
        "decision": None if decision is None else explanation.verdict(0),
        "target": explanation.target,
        "ids": None if explanation.ids is None else explanation.ids[0],
        "parameters": dict(explanation.parameters),
        "seed": explanation.seed,
        **places,
        "versions": dict(explanation.versions),
        "output": [str(path) for path in outputs] or None,
        "counterfactuals": [found.packed()[1] for found in getattr(explanation, "counterfactuals", ())],
    }
