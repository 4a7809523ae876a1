"""The benchmarks still run: all of them at tiny sizes, beside another server with the same API."""

import os
import subprocess
import sys

from benchmarks.results import Result, at_least, at_most, percentile, table, told
from tests.chaos.system import ROOT, clean_environment
from tests.sandbox_server import RunningSandbox

EVERY_CASE = (
    "progress parser",
    "3 listeners: a change reaches the last",
    "sync, 10 new into 30: beyond",
    "sync, known: queries that depend on the store",
    "sync_active, 3 active: provider calls",
    "poll over 5: list p99 meanwhile",
    "inline progress, 3 browsers",
    "webhooks, 50 a second for 0.2 s: lost",
    "sync_active: the peer's seconds / ours",
    "list, 100 jobs: slowest page / first page of 20",
    "list, each its own: our requests/s / the peer's",
    "list, all the same: our requests/s / the peer's",
)
# How much is counted does not depend on how busy the machine is.
COUNTED = ("lost", "refused", "not applied", "failures", "failed requests", "provider calls", "depend on the store")


def test_every_case_is_measured_and_nothing_is_lost(web: str, sandbox: RunningSandbox) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", "--quick", "--peer", web),
            *("--database", os.environ.get("TEST_DATABASE", "sqlite")),
        ],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    head, *rows = run.stdout[run.stdout.index("\nwhat ") + 1 :].splitlines()
    assert head.split() == ["what", "target", "measured", "verdict"]
    for case in EVERY_CASE:
        assert any(row.startswith(case) for row in rows), case
    counted = [row for row in rows if any(word in row.split("  ")[0] for word in COUNTED)]
    assert len(counted) > 10
    assert [row for row in counted if "MISSED" in row] == []


def test_table_tells_what_was_kept_and_what_was_not() -> None:
    results = [at_most("seconds", 0.5, 0.3, unit=" s"), at_least("ratio", 5, 4), told("beside", "x")]
    assert [result.is_kept for result in results] == [False, True, None]
    assert table([*results, Result("a", "b", "c", True)]).splitlines() == [
        "what     target   measured  verdict",
        "seconds  ≤ 0.3 s  0.50 s    MISSED ",
        "ratio    ≥ 4      5.00      kept   ",
        "beside            x                ",
        "a        b        c         kept   ",
    ]
    assert [percentile(range(1, 101), share) for share in (0.5, 0.99, 1.0)] == [51, 100, 100]
    assert percentile([], 0.5) == 0
