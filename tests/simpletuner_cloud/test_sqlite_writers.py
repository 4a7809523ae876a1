"""Many writers at once on one SQLite file, as ``make run`` has them: the short form of benchmarks/sqlite_writers.py."""

import os
from pathlib import Path

import pytest

from benchmarks.sqlite_writers import run


@pytest.mark.skipif(os.environ.get("TEST_DATABASE") == "postgresql", reason="PostgreSQL lets writers in side by side")
def test_twenty_writers_at_once_lose_nothing_and_none_is_refused(tmp_path: Path) -> None:
    outcome = run(tmp_path, processes=2, threads=10, seconds=2)
    assert outcome.written.errors == []
    assert outcome.missing == []
    assert outcome.written.jobs >= 20
