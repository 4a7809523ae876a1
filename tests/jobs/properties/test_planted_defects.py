"""The store machine sees what it is there to see: each defect that is planted here makes it fail."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobs import events
from jobs.lifecycle import TERMINAL, JobStatus
from jobs.log_archive import Archive
from jobs.models import JobLog, StatusChange, UnifiedJob
from jobs.models import job as job_module
from jobs.pricing import PriceBook
from jobs.services import failed_checks, log_standing, snapshots, sync
from providers.snapshots import FetchFailure, JobSnapshot, RemoteStatus
from tests.jobs.properties.machine import FactsMachine, StoreMachine

pytestmark = pytest.mark.django_db

Plant = Callable[[pytest.MonkeyPatch], None]


def the_end_is_not_final(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(job_module, "next_status", lambda _current, reported: reported)


def an_older_answer_sets_the_status_back(planted: pytest.MonkeyPatch) -> None:
    def back(current: JobStatus, reported: JobStatus) -> JobStatus:
        return current if current in TERMINAL else reported

    planted.setattr(job_module, "next_status", back)


def a_late_completed_at_overwrites(planted: pytest.MonkeyPatch) -> None:
    facts = UnifiedJob._lifecycle_facts

    def latest(job: UnifiedJob, snapshot: JobSnapshot) -> dict[str, Any]:
        found = facts(job, snapshot)
        return found | ({"completed_at": snapshot.completed_at} if job.is_terminal and snapshot.completed_at else {})

    planted.setattr(UnifiedJob, "_lifecycle_facts", latest)


def an_end_told_before_the_end_counts(planted: pytest.MonkeyPatch) -> None:
    facts = UnifiedJob._lifecycle_facts

    def any_of_them(job: UnifiedJob, snapshot: JobSnapshot) -> dict[str, Any]:
        found = facts(job, snapshot)
        if job.is_terminal and snapshot.completed_at:
            found["completed_at"] = job_module._earliest(job.completed_at, snapshot.completed_at)
        return found

    planted.setattr(UnifiedJob, "_lifecycle_facts", any_of_them)


def an_unknown_word_is_a_failure(planted: pytest.MonkeyPatch) -> None:
    facts = UnifiedJob._lifecycle_facts

    def guess(job: UnifiedJob, snapshot: JobSnapshot) -> dict[str, Any]:
        return facts(job, replace(snapshot, status=snapshot.status or RemoteStatus.FAILED))

    planted.setattr(UnifiedJob, "_lifecycle_facts", guess)


def an_absent_output_erases(planted: pytest.MonkeyPatch) -> None:
    facts = UnifiedJob._described_facts

    def erase(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> dict[str, Any]:
        return facts(job, snapshot, prices) | {"output_url": snapshot.output_url}

    planted.setattr(UnifiedJob, "_described_facts", erase)


def the_cost_of_a_running_job_falls(planted: pytest.MonkeyPatch) -> None:
    cost = UnifiedJob._cost

    def forgetful(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> Decimal | None:
        known, job.cost_usd = job.cost_usd, None
        found = cost(job, snapshot, prices)
        job.cost_usd = known
        return known if found is None else found

    planted.setattr(UnifiedJob, "_cost", forgetful)


def a_shorter_log_replaces_a_longer_one(planted: pytest.MonkeyPatch) -> None:
    def overwrite(log: JobLog, text: str) -> bool:
        log._keep(Archive(text, "", 0))
        return True

    planted.setattr(JobLog, "follow", overwrite)


def a_log_read_while_running_counts_as_the_whole(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(log_standing, "is_last_word", lambda _snapshot: True)


def an_event_is_sent_twice(planted: pytest.MonkeyPatch) -> None:
    send = events.job_status_changed

    def twice(change: StatusChange) -> None:
        send(change)
        send(change)

    planted.setattr(events, "job_status_changed", twice)


def an_event_is_not_sent(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(events, "job_status_changed", lambda _change: None)


def a_discovery_is_not_in_the_history(planted: pytest.MonkeyPatch) -> None:
    record = snapshots._record_history

    def only_moves(
        changes: Sequence[tuple[str | None, UnifiedJob]], *, provider_times: dict[str, datetime], **rest: Any
    ) -> None:
        record([change for change in changes if change[0]], provider_times=provider_times, **rest)

    planted.setattr(snapshots, "_record_history", only_moves)


def a_repeat_is_another_change(planted: pytest.MonkeyPatch) -> None:
    merge = UnifiedJob.merge

    def always(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
        return merge(job, snapshot, prices) | {"status"}

    planted.setattr(UnifiedJob, "merge", always)


def a_failed_question_fails_the_job(planted: pytest.MonkeyPatch) -> None:
    put_off = failed_checks._put_off

    def fail(failures: Sequence[FetchFailure], *arguments: Any, **named: Any) -> None:
        put_off(failures, *arguments, **named)
        asked = [failure.external_id for failure in failures]
        UnifiedJob.objects.filter(external_id__in=asked).update(status=JobStatus.FAILED)

    planted.setattr(failed_checks, "_put_off", fail)


def a_failed_question_leaves_no_trace(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sync, "record_refusal", lambda *_: None)


def an_old_error_stays(planted: pytest.MonkeyPatch) -> None:
    facts = UnifiedJob._lifecycle_facts

    def keep(job: UnifiedJob, snapshot: JobSnapshot) -> dict[str, Any]:
        found = facts(job, snapshot)
        return found | {"last_sync_error": found["last_sync_error"] or job.last_sync_error}

    planted.setattr(UnifiedJob, "_lifecycle_facts", keep)


def a_provider_is_asked_inside_a_transaction(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sync, "refresh_active_jobs", transaction.atomic(sync.refresh_active_jobs))


IN_THE_FACTS: tuple[Plant, ...] = (
    the_end_is_not_final,
    an_older_answer_sets_the_status_back,
    a_late_completed_at_overwrites,
    an_end_told_before_the_end_counts,
    an_unknown_word_is_a_failure,
    an_absent_output_erases,
    the_cost_of_a_running_job_falls,
    a_shorter_log_replaces_a_longer_one,
    a_log_read_while_running_counts_as_the_whole,
    an_event_is_sent_twice,
    an_event_is_not_sent,
    a_discovery_is_not_in_the_history,
    a_repeat_is_another_change,
)
IN_THE_ASKING: tuple[Plant, ...] = (
    a_failed_question_fails_the_job,
    a_failed_question_leaves_no_trace,
    an_old_error_stays,
    a_provider_is_asked_inside_a_transaction,
)


def named(plant: Plant) -> str:
    return plant.__name__


def assert_fails(machine: type[FactsMachine]) -> None:
    until_it_fails = settings(max_examples=500, stateful_step_count=8, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=settings(until_it_fails, report_multiple_bugs=False))


@pytest.mark.parametrize("plant", IN_THE_FACTS, ids=named)
def test_facts_fail_if(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_fails(FactsMachine)


@pytest.mark.parametrize("plant", IN_THE_ASKING, ids=named)
def test_asking_fails_if(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_fails(StoreMachine)
