"""The verdict must be able to fail: everything that it looks for is planted here once, and found."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.chaos.verdict import (
    EVENT,
    RESYNC,
    Answer,
    Change,
    Expected,
    Heard,
    Kept,
    Truth,
    broken_history,
    late_restarts,
    lost_logs,
    unexpected_lines,
    wrong_answers,
    wrong_events,
    wrong_jobs,
)

STARTED, COMPLETED = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 1, 12, 1, tzinfo=UTC)
LOG = "step 1\nstep 2\n"

TRUTH = Truth(
    external_id="a",
    status="succeeded",
    model="simpletuner/advanced-trainer-h100",
    started_at=STARTED,
    completed_at=COMPLETED,
    run_seconds=60.0,
    error=None,
    output_url="https://replicate.delivery/a/output.zip",
    log=LOG,
)
KEPT = Kept(
    job_id="a",
    external_id="a",
    status="completed",
    started_at=STARTED,
    completed_at=COMPLETED,
    cost_usd=Decimal("0.0915"),
    error=None,
    output_url="https://replicate.delivery/a/output.zip",
    log=LOG,
)
CHAIN = (Change(3, "a", None, "queued"), Change(5, "a", "queued", "running"), Change(9, "a", "running", "completed"))


def heard(change: Change) -> Heard:
    return Heard(change.row, EVENT, change.job_id, change.previous, change.status)


def test_run_without_any_fault_is_good() -> None:
    listeners = {"1": [heard(change) for change in CHAIN]}
    assert not [
        *wrong_jobs([TRUTH], [KEPT]),
        *broken_history([KEPT], CHAIN),
        *wrong_events(CHAIN, listeners),
        *lost_logs([TRUTH], [KEPT]),
        *wrong_answers([Answer("GET /", 200), Answer("GET /", None), Answer("GET /", 503)]),
        *late_restarts({"web": [0.5, 4.9]}, within=5.0),
    ]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"status": "running"}, "status is running", id="end not noticed"),
        pytest.param({"status": "failed"}, "status is failed", id="another end"),
        pytest.param({"started_at": None}, "started_at", id="start not known"),
        pytest.param({"completed_at": STARTED}, "completed_at", id="wrong end time"),
        pytest.param({"cost_usd": None}, "cost_usd", id="cost not known"),
        pytest.param({"cost_usd": Decimal("0.0916")}, "cost_usd", id="wrong cost"),
        pytest.param({"error": "made up"}, "error", id="error of nowhere"),
        pytest.param({"output_url": None}, "output_url", id="output lost"),
    ],
)
def test_wrong_value_of_a_job_is_found(changes: dict[str, object], word: str) -> None:
    found = list(wrong_jobs([TRUTH], [replace(KEPT, **changes)]))  # type: ignore[arg-type]
    assert len(found) == 1
    assert word in found[0]


def test_missing_doubled_and_invented_jobs_are_found() -> None:
    assert list(wrong_jobs([TRUTH], [])) == ["job a (succeeded) is missing"]
    assert list(wrong_jobs([TRUTH], [KEPT, replace(KEPT, job_id="b")])) == ["job a is there 2 times"]
    assert list(wrong_jobs([], [KEPT])) == ["job a is not known to its provider"]


def test_aborted_job_costs_nothing_and_may_be_explained_in_words_of_ours() -> None:
    truth = replace(TRUTH, status="aborted", started_at=None, output_url=None, run_seconds=None)
    kept = replace(KEPT, status="cancelled", started_at=None, output_url=None, cost_usd=Decimal(0), error="aborted")
    assert not list(wrong_jobs([truth], [kept]))
    assert list(wrong_jobs([truth], [replace(kept, cost_usd=Decimal(1))]))


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param((), id="no row"),
        pytest.param(CHAIN[1:], id="first row lost"),
        pytest.param((CHAIN[0], CHAIN[2]), id="row lost in the middle"),
        pytest.param(CHAIN[:2], id="last row lost"),
        pytest.param((*CHAIN, Change(10, "a", "running", "completed")), id="end recorded twice"),
        pytest.param((CHAIN[0], Change(4, "a", None, "queued"), *CHAIN[1:]), id="discovered twice"),
        pytest.param((*CHAIN, Change(10, "a", "completed", "completed")), id="row without a change"),
        pytest.param(
            (*CHAIN, Change(10, "a", "completed", "running"), Change(11, "a", "running", "completed")), id="reopened"
        ),
        pytest.param(
            (CHAIN[0], CHAIN[1], Change(6, "a", "running", "queued"), Change(9, "a", "queued", "completed")),
            id="backwards",
        ),
    ],
)
def test_broken_chain_is_found(chain: tuple[Change, ...]) -> None:
    assert list(broken_history([KEPT], chain))


def test_history_of_no_job_is_found() -> None:
    assert list(broken_history([], CHAIN)) == ["there is a history of job a, but no job"]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([heard(CHAIN[0]), heard(CHAIN[2])], id="event lost"),
        pytest.param([heard(CHAIN[0]), heard(CHAIN[1])], id="last event lost"),
        pytest.param([heard(CHAIN[0]), heard(CHAIN[1]), heard(CHAIN[1]), heard(CHAIN[2])], id="event twice"),
        pytest.param([heard(CHAIN[1]), heard(CHAIN[0]), heard(CHAIN[2])], id="out of order"),
        pytest.param([*map(heard, CHAIN), Heard(12, EVENT, "a", "completed", "failed")], id="event without a row"),
        pytest.param([heard(CHAIN[0]), heard(CHAIN[1]), replace(heard(CHAIN[2]), status="failed")], id="other content"),
        pytest.param([*map(heard, CHAIN), Heard(9, RESYNC), heard(CHAIN[1])], id="told again after a resync"),
        pytest.param([heard(CHAIN[0]), Heard(5, RESYNC)], id="lost after a resync"),
    ],
)
def test_wrong_events_are_found(events: list[Heard]) -> None:
    assert list(wrong_events(CHAIN, {"good": [heard(change) for change in CHAIN], "bad": events}))


def test_resync_stands_for_the_events_before_it_and_other_kinds_of_events_do_not_matter() -> None:
    events = [heard(CHAIN[0]), Heard(3, "history_sync"), Heard(5, RESYNC), heard(CHAIN[2]), Heard(9, "history_sync")]
    assert not list(wrong_events(CHAIN, {"1": events}))


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(replace(KEPT, log=None), id="none"),
        pytest.param(replace(KEPT, log=""), id="empty"),
        pytest.param(replace(KEPT, log=LOG[:-1]), id="shorter by a character"),
        pytest.param(replace(KEPT, log=LOG.upper()), id="another of the same length"),
        pytest.param(replace(KEPT, logs_state="live"), id="whole, but nobody says so"),
    ],
)
def test_lost_log_is_found(kept: Kept) -> None:
    assert len(list(lost_logs([TRUTH], [kept]))) == 1


def test_log_of_a_job_that_still_works_is_not_judged() -> None:
    assert not list(lost_logs([replace(TRUTH, status="processing")], [replace(KEPT, log=None)]))


def test_answer_500_is_found() -> None:
    assert list(wrong_answers([Answer("GET /", 500), Answer("GET /", 500)])) == ["GET / was answered with 500, 2 times"]


def test_late_and_missing_restarts_are_found() -> None:
    assert len(list(late_restarts({"web": [0.1, 5.1], "beat": [None]}, within=5.0))) == 2


@pytest.mark.parametrize(
    "line",
    [
        'level=error process=web event="something"',
        'level=warning event=x exception="Traceback (most recent call last):\\n  File"',
        "level=warning event=x error='database is locked'",
    ],
)
def test_trouble_in_the_log_is_found_once_a_kind_unless_it_is_explained(line: str) -> None:
    lines = [f"timestamp=2026-11-01T12:00:0{second}Z {line}" for second in range(3)]
    found = list(unexpected_lines([*lines, "level=info event=fine"], []))
    assert len(found) == 1
    assert "3 times" in found[0]
    assert not list(
        unexpected_lines(lines, [Expected(re.compile("event="), "a reason"), Expected(re.compile("x"), "")])
    )


def test_truth_is_read_from_replicates_objects() -> None:
    payload = {
        "id": "a",
        "status": "succeeded",
        "started_at": "2026-11-01T12:00:00.000000Z",
        "completed_at": "2026-11-01T12:01:00.000000Z",
        "metrics": {"predict_time": 60.0},
        "output": {"version": "studio/x:1", "weights": "https://replicate.delivery/a/trained_model.tar"},
        "logs": LOG,
    }
    truth = Truth.from_payload(payload)
    assert (truth.started_at, truth.completed_at, truth.log) == (STARTED, COMPLETED, LOG)
    assert truth.output_url == "https://replicate.delivery/a/trained_model.tar"
    assert truth.cost_usd is None
    assert Truth.from_payload({**payload, "output": ["https://x/1.png"]}).output_url == "https://x/1.png"
