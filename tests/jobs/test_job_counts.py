"""Numbers of jobs that nobody counts: they agree with the jobs whatever is done to these."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from jobs.access import NOBODY, SYSTEM, VIEWER
from jobs.lifecycle import JobStatus, Source
from jobs.models import JobTally, UnifiedJob
from jobs.services import job_counts
from jobs.services.snapshots import apply_snapshots
from tests.conftest import MakeJob, MakeSnapshot

STATUSES = [status.value for status in JobStatus]


def assert_right() -> None:
    """Every number that can be told is what counting gives."""
    jobs = list(UnifiedJob.objects.values_list("provider", "status", "job_type", "owner_id"))
    assert job_counts.total() == len(jobs)
    assert job_counts.by_status() == dict.fromkeys(STATUSES, 0) | dict(Counter(status for _, status, _, _ in jobs))
    for provider in {job[0] for job in jobs if job[0]}:
        assert job_counts.total(provider=provider) == sum(job[0] == provider for job in jobs)
    for owner_id in {job[3] for job in jobs if job[3]}:
        owner = replace(SYSTEM, user_id=owner_id, permissions=VIEWER)
        assert job_counts.total(owner) == sum(job[3] == owner_id for job in jobs)
    assert job_counts.total(NOBODY) == 0


@pytest.mark.django_db
@property_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    deeds=st.lists(
        st.tuples(
            st.sampled_from(["add", "bulk", "move", "own", "delete", "empty", "undo", "compact"]),
            st.integers(0, 5),
            st.sampled_from(STATUSES),
        ),
        max_size=25,
    )
)
def test_numbers_agree_with_the_jobs_after_any_deeds(
    monkeypatch: pytest.MonkeyPatch, deeds: list[tuple[str, int, str]]
) -> None:
    monkeypatch.setattr(job_counts, "MOST_ROWS", 3)
    with transaction.atomic():
        user, _ = get_user_model().objects.get_or_create(username="tally")
        for number, (deed, size, status) in enumerate(deeds):
            jobs = UnifiedJob.objects.filter(pk__in=list(UnifiedJob.objects.values_list("pk", flat=True)[:size]))
            new = [UnifiedJob(job_id=f"{number}-{n}", status=status, provider="replicate") for n in range(size)]
            if deed == "add":
                UnifiedJob.objects.create(job_id=f"{number}", status=status, provider="", job_type="local")
            elif deed == "bulk":
                UnifiedJob.objects.bulk_create(new)
            elif deed == "move":
                jobs.update(**{"status": status})
            elif deed == "own":
                jobs.update(owner=user if status == "running" else None)
            elif deed == "delete":
                jobs.delete()
            elif deed == "empty":
                jobs.update(last_sync_error="nothing that counts")
            elif deed == "undo":
                before = transaction.savepoint()
                UnifiedJob.objects.bulk_create(new)
                transaction.savepoint_rollback(before)
            else:
                job_counts.make_compact()
            assert_right()
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_what_a_sync_brings_in_and_moves_is_counted(make_snapshot: MakeSnapshot) -> None:
    snapshots = [make_snapshot(external_id=f"counted{n:03d}abcdefghijklmnop") for n in range(30)]
    apply_snapshots(snapshots, source=Source.SYNC, create=True)
    assert job_counts.by_status()["running"] == 30
    ended = [make_snapshot(external_id=s.external_id, status="failed", raw_status="failed") for s in snapshots[:10]]
    apply_snapshots(ended, source=Source.POLLER)
    assert (job_counts.by_status()["running"], job_counts.by_status()["failed"]) == (20, 10)
    assert_right()


@pytest.mark.django_db
def test_many_rows_become_one_of_each_kind_and_say_the_same(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_counts, "MOST_ROWS", 5)
    for status in ("running", "completed", "failed", "running", "running", "queued"):
        make_job(status=status)
    UnifiedJob.objects.filter(status="queued").delete()
    assert job_counts.make_compact()
    assert JobTally.objects.count() == 3
    assert not job_counts.make_compact()
    assert_right()


@pytest.mark.django_db(transaction=True)
def test_triggers_that_were_lost_come_back_with_the_next_migration_and_all_is_counted(make_job: MakeJob) -> None:
    make_job()
    with connection.cursor() as cursor:
        for name in job_counts.TRIGGERS:
            table = f" ON {job_counts.JOBS}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER {name}{table}")
    make_job()
    assert job_counts.total() == 1
    call_command("migrate", verbosity=0)
    assert_right()
    make_job(created_at=timezone.now() - timedelta(days=1))
    assert_right()


@pytest.mark.django_db(transaction=True)
def test_writers_and_those_who_make_it_compact_do_not_disturb_each_other(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_counts, "MOST_ROWS", 2)
    pks = [make_job(status="queued").pk for _ in range(40)]
    errors: list[Exception] = []

    def run(work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is told
            errors.append(error)
        finally:
            connection.close()

    def move(some: list[int]) -> None:
        for pk in some:
            UnifiedJob.objects.filter(pk=pk).update(**{"status": "running"})

    def tidy() -> None:
        for _ in range(30):
            job_counts.make_compact()

    threads = [threading.Thread(target=run, args=(lambda n=n: move(pks[n::3]),)) for n in range(3)]
    threads += [threading.Thread(target=run, args=(tidy,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert_right()
