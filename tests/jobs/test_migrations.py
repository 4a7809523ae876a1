"""What migrations do to rows that are there already."""

from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from jobs.log_archive import compress
from jobs.models import JobLog, UnifiedJob
from tests.conftest import MakeJob

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RAN = {"status": "failed", "started_at": NOON, "completed_at": NOON, "logs_state": "live"}

migration = import_module("jobs.migrations.0005_logs_state")


@pytest.mark.django_db
def test_every_model_has_its_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_rows_from_before_the_log_states_come_through_the_migration() -> None:
    executor = MigrationExecutor(connection)
    before = [("jobs", "0003_reliability")]
    try:
        executor.migrate(before)
        old = executor.loader.project_state(before).apps
        job = old.get_model("jobs", "UnifiedJob").objects.create(
            job_id="old", provider="replicate", external_id="old", status="completed", started_at=NOON
        )
        old.get_model("jobs", "JobLog").objects.create(
            job=job, compressed=compress("step 1\n"), characters=7, is_final=True
        )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert UnifiedJob.objects.get(job_id="old").logs_state == "saved"
    log = JobLog.objects.get(job__job_id="old")
    assert (log.text, log.is_cut, log.characters) == ("step 1\n", False, 7)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "kept", "is_final", "state", "is_due"),
    [
        pytest.param({"status": "running"}, "step 1", False, "live", False, id="active"),
        pytest.param(RAN, "step 1", True, "saved", False, id="read after the end"),
        pytest.param(RAN, "step 1", False, "live", True, id="not read after the end"),
        pytest.param(RAN, None, False, "live", True, id="never read"),
        pytest.param(RAN | {"metadata": {"data_removed": True}}, "step 1", False, "partial", False, id="end removed"),
        pytest.param(RAN | {"metadata": {"data_removed": True}}, "step 1", True, "saved", False, id="read in time"),
        pytest.param(RAN | {"metadata": {"data_removed": True}}, None, False, "lost", False, id="all removed"),
        pytest.param(RAN | {"metadata": {"data_removed": True}}, "", True, "lost", False, id="read too late"),
        pytest.param({"status": "cancelled"}, None, False, "saved", False, id="ended before it started"),
        pytest.param({"status": "cancelled", "external_id": None}, None, False, "saved", False, id="at no provider"),
    ],
)
def test_migration_tells_where_the_logs_of_ended_jobs_are(
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, object],
    kept: str | None,
    is_final: bool,
    state: str,
    is_due: bool,
) -> None:
    monkeypatch.setattr(migration, "BATCH_ROWS", 2)
    jobs = [make_job(**fields) for _ in range(5)]
    if kept is not None:
        for job in jobs:
            JobLog.objects.create(job=job, compressed=compress(kept), characters=len(kept), is_final=is_final)
    for _ in range(2):
        migration.tell_logs_states(apps, None)
        for job in jobs:
            job.refresh_from_db()
            assert (job.logs_state, job.next_log_capture_at is not None) == (state, is_due)
