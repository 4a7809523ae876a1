"""``python -m tests.chaos``: the whole system under a seeded schedule of faults. What it does: docs/testing.md."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

from tests.chaos import schedule
from tests.chaos.run import run
from tests.chaos.system import DATABASES, SQLITE


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    result.add_argument("--seconds", type=float, default=600.0, help="how long things go wrong (600)")
    result.add_argument("--seed", type=int, default=None, help="of the schedule; without one it is drawn")
    result.add_argument("--database", choices=DATABASES, default=SQLITE)
    result.add_argument("--show", action="store_true", help="print the schedule and end")
    return result


def main(arguments: Sequence[str]) -> int:
    """Run once; returns 0 if nothing was wrong."""
    options = parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    planned = schedule.make(seed, options.seconds)
    if options.show:
        print(planned.to_text())
        return 0
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {text}", flush=True)

    report = run(planned, database=options.database, say=say)
    print(report.to_text(), flush=True)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
