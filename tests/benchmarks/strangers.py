"""Which models the library was tried on that it had not seen: the outcome of every test of ``tests/strangers``.

Run ``python tests/benchmarks/strangers.py``; it writes ``docs/measurements/strangers.json``, from which the page "Does
it work with my model?" makes its table.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "measurements" / "strangers.json"
_NODE = re.compile(r"(?P<file>\w+)\.py::(?P<test>\w+)(?:\[(?P<kind>.*)\])?$")


class Outcomes:
    """Notes how each test ended."""

    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ended = report.when == "call" or report.outcome != "passed"  # a skip ends in the set-up
        if ended and (node := _NODE.search(report.nodeid)):
            self.found.append({key: value or "" for key, value in node.groupdict().items()} | {"ended": report.outcome})


def main() -> None:
    """Runs the tests and writes."""
    outcomes = Outcomes()
    pytest.main(["-q", "-p", "no:cacheprovider", "-W", "ignore", str(ROOT / "tests" / "strangers")], [outcomes])
    import timm
    import transformers

    versions = {"torch": torch.__version__, "timm": timm.__version__, "transformers": transformers.__version__}
    OUT.write_text(json.dumps({"versions": versions, "outcomes": outcomes.found}, indent=1) + "\n", encoding="utf-8")
    print(f"{len(outcomes.found)} outcomes written to {OUT}", file=sys.stderr)


if __name__ == "__main__":
    main()
