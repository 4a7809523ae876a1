import pytest

from jobs.lifecycle import ACTIVE, ORDER, TERMINAL, JobStatus, Source, next_status
from providers.snapshots import RemoteStatus

WORDS = ("pending", "uploading", "queued", "running", "completed", "failed", "cancelled")

# What a job becomes: one row for what it is, one column for what is reported, both in the order of WORDS.
TABLE = {
    "pending":   ("pending",   "uploading", "queued",    "running",   "completed", "failed",    "cancelled"),
    "uploading": ("uploading", "uploading", "queued",    "running",   "completed", "failed",    "cancelled"),
    "queued":    ("queued",    "queued",    "queued",    "running",   "completed", "failed",    "cancelled"),
    "running":   ("running",   "running",   "running",   "running",   "completed", "failed",    "cancelled"),
    "completed": ("completed", "completed", "completed", "completed", "completed", "completed", "completed"),
    "failed":    ("failed",    "failed",    "failed",    "failed",    "failed",    "failed",    "failed"),
    "cancelled": ("cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled", "cancelled"),
}  # fmt: skip
CASES = [
    pytest.param(current, reported, expected, id=f"{current} hears {reported}")
    for current, row in TABLE.items()
    for reported, expected in zip(WORDS, row, strict=True)
]


@pytest.mark.parametrize(("current", "reported", "expected"), CASES)
def test_each_status_moves_as_the_table_says(current: str, reported: str, expected: str) -> None:
    assert next_status(JobStatus(current), JobStatus(reported)) is JobStatus(expected)


def test_table_is_complete() -> None:
    assert tuple(TABLE) == WORDS == tuple(JobStatus.values)


def test_order_of_two_reports_matters_only_between_two_ends() -> None:
    for current in JobStatus:
        for first in JobStatus:
            for second in JobStatus:
                if {first, second} <= TERMINAL:
                    continue
                one = next_status(next_status(current, first), second)
                other = next_status(next_status(current, second), first)
                assert one is other


def test_repeated_report_changes_nothing() -> None:
    for current in JobStatus:
        for reported in JobStatus:
            once = next_status(current, reported)
            assert next_status(once, reported) is once


def test_each_status_is_either_active_or_terminal() -> None:
    assert {status.value for status in ACTIVE} == {"pending", "uploading", "queued", "running"}
    assert {status.value for status in TERMINAL} == {"completed", "failed", "cancelled"}
    assert set(ORDER) == ACTIVE == set(JobStatus) - TERMINAL


def test_provider_reports_only_words_that_we_have() -> None:
    assert {status.value for status in RemoteStatus} == set(WORDS) - {"pending", "uploading"}


def test_status_columns_hold_every_word() -> None:
    assert max(len(word) for word in (*JobStatus.values, *Source.values)) <= 16
