"""The capacity model gives again what was measured, and the document what the model says."""

import re
from pathlib import Path

import pytest

from benchmarks import capacity
from benchmarks.capacity import Load, import_seconds, needs, pages, refresh_seconds, sources, table, web_memory_mb
from jobs.services import history_walk, logs
from simpletuner_cloud.roles import WORKER_THREADS

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize(
    ("active", "calls", "seconds"),
    [(10, 1, 0.06), (100, 1, 0.06), (500, 5, 0.31), (1_000, 10, 0.60), (5_000, 50, 3.13)],
)
def test_refreshes_take_what_was_measured(active: int, calls: int, seconds: float) -> None:
    assert pages(active) == calls
    assert refresh_seconds(active) == pytest.approx(seconds, rel=0.1)
    measured = (DOCS / "performance.md").read_text(encoding="utf-8")
    assert f"| refresh of {active:,} active jobs | {seconds:.2f} | {calls} |" in measured


def test_streams_take_the_memory_that_was_measured() -> None:
    """93 MB + 18.7 to 21.1 kB for each of a thousand."""
    assert web_memory_mb(0) == 93
    assert web_memory_mb(1_000) == pytest.approx(93 + 20, rel=0.02)


def test_an_import_takes_what_was_measured() -> None:
    """50,000 jobs in 28 ticks, which come every five seconds; its work was 88 s."""
    assert import_seconds(50_000) == pytest.approx(125, abs=15)


def test_every_cost_stands_under_a_heading_of_the_measurements() -> None:
    headings = set(re.findall(r"^## (.+)$", (DOCS / "performance.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert sources() <= headings


def test_the_model_counts_with_what_the_code_does() -> None:
    assert capacity.WORKER_THREADS == WORKER_THREADS
    assert capacity.CAPTURES_PER_SECOND == logs.CAPTURES_PER_TICK / 30
    most_pages_a_second = history_walk.MOST_PAGES_PER_TICK * history_walk.TICKS_PER_MINUTE / 60
    assert most_pages_a_second * capacity.PAGE_JOBS == capacity.IMPORT_JOBS_PER_SECOND


def test_the_document_has_the_models_table() -> None:
    assert table() in (DOCS / "capacity.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("load", "breaks"),
    [
        pytest.param(Load(10_000, 100, 200, 50), None, id="one team"),
        pytest.param(Load(10**6, 47_000, 200, 50), None, id="just within a cycle"),
        pytest.param(Load(10**6, 49_000, 200, 50), "poll cycle", id="a cycle longer than its interval"),
        pytest.param(Load(10**6, 100, 144_001, 50, seen_share=0), "logs end faster", id="more ends than captures"),
        pytest.param(Load(10**6, 100, 100_000, 10_000), "pages fetch", id="everybody is told of everything"),
        pytest.param(Load(10**6, 100, 200, 50_000, seen_share=0), "connections", id="many web processes"),
    ],
)
def test_what_breaks_is_named(load: Load, breaks: str | None) -> None:
    found = needs(load).breaks
    assert (found == ()) if breaks is None else any(breaks in one for one in found)
