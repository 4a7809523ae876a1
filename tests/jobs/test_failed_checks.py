"""Jobs in trouble of their own: put off, marked as lost, never in the way of others (jobs.services.failed_checks)."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DataError, OperationalError
from django.test import Client
from django.utils import timezone

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.pricing import PriceBook
from jobs.services import failed_checks, inline_progress, sync
from jobs.services.failed_checks import JITTER, LOST_PAUSES, PAUSES
from jobs.services.provider_calls import provider_state
from jobs.services.snapshots import apply_snapshot
from providers.errors import ProviderUnavailable, RemoteJobNotFound, UnexpectedPayload
from providers.snapshots import FetchFailure, JobSnapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

OLD = timedelta(hours=1)


def add_running(sandbox: RunningSandbox, count: int = 1, **plan: Any) -> list[str]:
    usual = {"kind": "training", "created_offset": -3600, "durations": {"queue": 10, "train": 900_000}}
    return [str(sandbox.add_job(**(usual | plan))["id"]) for _ in range(count)]


def known(sandbox: RunningSandbox, count: int = 1, **plan: Any) -> list[str]:
    ids = add_running(sandbox, count, **plan)
    sync.discover_jobs("replicate")
    return ids


def poll() -> sync.Refresh:
    return sync.refresh_active_jobs(source=Source.POLLER)


def old_job(make_job: MakeJob, **fields: Any) -> UnifiedJob:
    return make_job(**({"created_at": timezone.now() - OLD} | fields))


def single_calls(sandbox: RunningSandbox) -> int:
    counts: dict[str, int] = sandbox.requests()["counts"]
    return sum(count for name, count in counts.items() if "{id}" in name)


def fail(job: UnifiedJob, error: Exception, times: int = 1) -> None:
    failure = FetchFailure(external_id=job.external_id or "", error=error)  # type: ignore[arg-type]
    for _ in range(times):
        UnifiedJob.objects.filter(pk=job.pk).update(next_check_at=None)
        failed_checks.record_failures(
            "replicate", [failure], anything_read=True, asked_at=timezone.now(), knows_us=lambda: True
        )
    job.refresh_from_db()


def test_old_job_that_is_not_found_is_marked_as_lost_and_keeps_its_status(
    sandbox: RunningSandbox, make_job: MakeJob, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    job = old_job(make_job, cost_usd="1.5")
    with caplog.at_level(logging.WARNING):
        assert poll().failed == 1
    job.refresh_from_db()
    assert job.status == "running"
    assert job.lost_at is not None
    assert "has not known this job since" in (job.last_sync_error or "")
    assert sum("job is lost" in record.getMessage() for record in caplog.records) == 1
    listed = client.get("/api/cloud/jobs").json()["jobs"][0]
    assert (listed["job_id"], listed["status"], listed["cost_usd"]) == (job.job_id, "running", 1.5)
    assert datetime.fromisoformat(listed["lost_at"]) == job.lost_at


def test_page_and_list_say_since_when_a_job_is_lost(make_job: MakeJob, client: Client) -> None:
    job = old_job(make_job, lost_at=datetime(2026, 11, 20, 12, 30, tzinfo=UTC))
    for path in ("/", f"/jobs/{job.job_id}"):
        page = client.get(path).content.decode()
        assert "data-lost" in page
        assert "Lost at Replicate since" in page
        assert "2026-11-20T12:30" in page
    make_job()
    UnifiedJob.objects.update(lost_at=None)
    assert "data-lost" not in client.get("/").content.decode()


def test_young_job_that_is_not_found_yet_waits_and_is_asked_for_with_every_round(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    job = make_job(created_at=timezone.now() - timedelta(seconds=30))
    for _ in range(3):
        poll()
    job.refresh_from_db()
    assert (job.lost_at, job.failed_checks, job.next_check_at) == (None, 0, None)
    assert "does not know this job yet" in (job.last_sync_error or "")
    assert single_calls(sandbox) == 3


def test_job_of_unknown_kind_is_lost_only_if_neither_list_of_the_provider_knows_it(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    there = add_running(sandbox, kind="prediction")[0]
    job = old_job(make_job, external_id=there, external_kind="")
    gone = old_job(make_job, external_kind="")
    poll()
    for each in (job, gone):
        each.refresh_from_db()
    assert (job.lost_at, gone.lost_at is None) == (None, False)


def test_beginning_of_the_loss_stays_and_checks_become_ever_rarer(make_job: MakeJob) -> None:
    job = old_job(make_job)
    pauses: list[timedelta] = []
    with time_machine.travel(timezone.now(), tick=False) as clock:
        began = timezone.now()
        for _ in range(len(LOST_PAUSES) + 2):
            fail(job, RemoteJobNotFound("x"))
            pauses.append(job.next_check_at - timezone.now() if job.next_check_at else timedelta(0))
            clock.shift(pauses[-1] + timedelta(seconds=1))
    assert job.lost_at == began
    for pause, usual in zip(pauses, [*LOST_PAUSES, LOST_PAUSES[-1]], strict=False):
        assert usual * (1 - JITTER) <= pause <= usual * (1 + JITTER)
    assert LOST_PAUSES[-1] == timedelta(days=1)


def test_unreadable_job_is_put_off_for_an_hour_at_most_and_is_not_lost(make_job: MakeJob) -> None:
    job = old_job(make_job)
    fail(job, UnexpectedPayload("garbage"), times=len(PAUSES) + 5)
    assert job.lost_at is None
    assert job.last_sync_error == "garbage"
    assert job.next_check_at is not None
    assert job.next_check_at - timezone.now() <= timedelta(hours=1) * (1 + JITTER)


def test_job_that_is_put_off_costs_no_call_until_it_is_due(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = old_job(make_job)
    poll()
    poll()
    sandbox.reset_requests()
    for _ in range(3):
        assert poll().active == 0
    assert sandbox.requests()["total"] == 0
    UnifiedJob.objects.update(next_check_at=timezone.now() - timedelta(seconds=1))
    assert poll().failed == 1
    job.refresh_from_db()
    assert job.failed_checks == 3


def test_every_job_without_trouble_is_checked_in_every_round_whatever_its_age(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    known(sandbox, 3)
    known(sandbox, 3, created_offset=-5 * 86_400)
    old_job(make_job)
    for failures in (1, 1, 0, 0):
        done = poll()
        assert (done.refreshed, done.failed) == (6, failures)


def test_list_asked_for_by_a_person_asks_for_all_but_once_a_minute(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = old_job(make_job, next_check_at=timezone.now() + OLD, failed_checks=4)
    asked = [sync.refresh_for_list(None).active for _ in range(3)]
    assert asked == [1, 0, 0]
    job.refresh_from_db()
    assert job.failed_checks == 4


def test_open_page_does_not_ask_for_the_progress_of_a_job_that_is_put_off(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    job = old_job(make_job, next_check_at=timezone.now() + OLD, progress=40.0)
    assert inline_progress.inline_progress(job.job_id).progress == 40.0
    assert sandbox.requests()["total"] == 0


@pytest.mark.parametrize("source", list(Source))
def test_first_good_word_from_anywhere_undoes_it_all(
    make_job: MakeJob, make_snapshot: MakeSnapshot, source: Source
) -> None:
    job = old_job(
        make_job, lost_at=timezone.now(), failed_checks=9, next_check_at=timezone.now() + OLD, last_sync_error="lost"
    )
    apply_snapshot(make_snapshot(external_id=job.external_id), source=source)
    job.refresh_from_db()
    assert (job.lost_at, job.failed_checks, job.next_check_at, job.last_sync_error) == (None, 0, None, None)


def test_job_that_was_heard_of_meanwhile_is_not_marked(make_job: MakeJob) -> None:
    asked_at = timezone.now()
    job = old_job(make_job, last_synced_at=asked_at + timedelta(seconds=1))
    failure = FetchFailure(external_id=job.external_id or "", error=RemoteJobNotFound("x"))
    failed_checks.record_failures("replicate", [failure], anything_read=True, asked_at=asked_at, knows_us=lambda: True)
    job.refresh_from_db()
    assert (job.lost_at, job.failed_checks) == (None, 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 401},
        {"kind": "429", "retry_after": 0},
        {"kind": "reset"},
        {"kind": "html"},
        {"kind": "status", "status": 404},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
def test_trouble_of_the_whole_provider_counts_against_no_job(sandbox: RunningSandbox, fault: dict[str, Any]) -> None:
    known(sandbox, 5)
    sandbox.fault(**fault)
    for _ in range(3):
        assert poll().refreshed == 0
    assert not UnifiedJob.objects.exclude(failed_checks=0, next_check_at=None, lost_at=None).exists()
    assert not UnifiedJob.objects.filter(last_sync_error=None).exists()
    assert provider_state("replicate").is_failing


def test_job_that_ended_while_its_provider_was_asked_in_vain_is_not_marked(make_job: MakeJob) -> None:
    ended = old_job(make_job, status="completed")
    running = old_job(make_job)
    for job in (ended, running):
        fail(job, ProviderUnavailable("Replicate cannot be reached."))
        job.refresh_from_db()
    assert (ended.last_sync_error, running.last_sync_error) == (None, "Replicate cannot be reached.")


def test_what_is_said_of_a_lost_job_is_not_overwritten_by_a_providers_trouble(make_job: MakeJob) -> None:
    job = old_job(make_job)
    fail(job, RemoteJobNotFound("x"))
    said = job.last_sync_error
    fail(job, ProviderUnavailable("down"))
    assert job.last_sync_error == said


def test_nobody_is_lost_if_the_provider_knows_nothing_of_ours(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    """Another account's token, for one: every job answers 404."""
    for _ in range(4):
        old_job(make_job)
    add_running(sandbox, 2)
    done = poll()
    assert done.failed == 4
    assert any("right account" in error for error in done.errors)
    assert not UnifiedJob.objects.filter(lost_at__isnull=False).exists()
    assert not UnifiedJob.objects.exclude(last_sync_error__contains="right account").exists()
    assert "right account" in provider_state("replicate").last_error
    sandbox.reset_requests()
    poll()
    assert sandbox.requests()["total"] == 0


def test_many_are_lost_if_the_provider_knows_another_job_of_ours(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    ended = known(sandbox)[0]
    sandbox.change_job(ended, status="succeeded", completed_at="2026-11-20T10:00:00Z")
    poll()
    for _ in range(4):
        old_job(make_job)
    poll()
    assert UnifiedJob.objects.filter(lost_at__isnull=False, status="running").count() == 4


def test_wrong_address_costs_two_calls_and_marks_nobody(sandbox: RunningSandbox) -> None:
    known(sandbox, 20)
    known(sandbox, 20, kind="prediction")
    sandbox.fault("status", status=404)
    sandbox.reset_requests()
    done = poll()
    assert (done.failed, sandbox.requests()["total"]) == (40, 2)
    assert not UnifiedJob.objects.filter(lost_at__isnull=False).exists()


def spoil(monkeypatch: pytest.MonkeyPatch, poison: str, error: Exception) -> None:
    """Let the merging of one job's reports fail."""
    merge = UnifiedJob.merge

    def merged(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
        if snapshot.external_id == poison:
            raise error
        return merge(job, snapshot, prices)

    monkeypatch.setattr(UnifiedJob, "merge", merged)


@pytest.mark.parametrize(
    "error", [DataError("too long"), ValueError("NUL"), OverflowError("year 10000"), KeyError("x"), TypeError("x")]
)
def test_report_that_cannot_be_stored_spoils_no_other_and_is_told(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    poison, *good = known(sandbox, 7)
    UnifiedJob.objects.update(status="queued")
    spoil(monkeypatch, poison, error)
    done = poll()
    assert (done.refreshed, done.changed, done.failed) == (6, 6, 1)
    job = UnifiedJob.objects.get(external_id=poison)
    assert (job.status, job.failed_checks) == ("queued", 1)
    assert type(error).__name__ in (job.last_sync_error or "")
    assert UnifiedJob.objects.filter(external_id__in=good, status="running", last_sync_error=None).count() == 6
    assert any(getattr(record, "msg", None) and poison in str(record.msg) for record in caplog.records)


def test_database_in_trouble_is_no_jobs_fault(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = known(sandbox, 3)[0]
    spoil(monkeypatch, poison, OperationalError("database is locked"))
    with pytest.raises(OperationalError):
        poll()
    assert not UnifiedJob.objects.exclude(failed_checks=0).exists()


def test_sync_with_a_report_that_cannot_be_stored_keeps_the_others(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = add_running(sandbox)[0]
    add_running(sandbox, 4)
    spoil(monkeypatch, poison, DataError("too long"))
    done = sync.discover_jobs("replicate")
    assert done.found == 4
    assert [poison in error for error in done.errors] == [True]


def test_single_refresh_of_a_report_that_cannot_be_stored_is_an_error(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = known(sandbox)[0]
    spoil(monkeypatch, poison, DataError("too long"))
    with pytest.raises(UnexpectedPayload, match="cannot be stored"):
        sync.refresh_job(UnifiedJob.objects.get(), source=Source.PROGRESS)
    assert UnifiedJob.objects.get().failed_checks == 1
