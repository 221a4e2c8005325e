"""Fifty SIGKILLs at random moments of a job: what is left in the end is what an uninterrupted job gives.

A job of ten units runs in a copy of this process, which is killed after a random part of the time that it needs; the
same job goes on, and is killed again, until it is done. Then the next one begins, until there were 50 kills. Every
array and every row is compared with those of a job that nothing interrupted.

Run ``python tests/benchmarks/jobs_kill.py``; it writes ``docs/measurements/jobs_kill.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.jobs import contents, forked, job, same

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "jobs_kill.json"
UNITS = 10


def main() -> None:
    """Kills, compares, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    wanted = parser.parse_args().kills
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    moments = random.Random(0)
    every = torch.cartesian_prod(torch.arange(10), torch.arange(10))[: 4 * UNITS]
    given: dict[str, Any] = {"pairs": every, "unit": 4}
    with tempfile.TemporaryDirectory() as place:
        begun = time.monotonic()
        job(Path(place, "whole"), **given)
        lasts = time.monotonic() - begun
        whole = contents(Path(place, "whole"))
        kills = jobs = equal = 0
        left: list[int] = []
        while kills < wanted:
            folder = Path(place, f"job{jobs}")
            while True:
                code = forked(lambda out=folder: job(out, **given), kill_after=moments.uniform(0.02, 0.8) * lasts)
                kills += code == -signal.SIGKILL
                done = len(contents(folder)["named"]) if (folder / "pairs").is_dir() else 0
                left.append(done)
                if code != -signal.SIGKILL or kills == wanted:
                    break
            job(folder, **given)
            jobs += 1
            equal += same(contents(folder), whole) and not list(folder.rglob("*.tmp-*"))
    found = {
        "kills": kills,
        "jobs": jobs,
        "jobs_equal_to_the_uninterrupted": equal,
        "units_done_when_killed": {str(n): left.count(n) for n in sorted(set(left))},
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
