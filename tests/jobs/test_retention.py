"""What is old goes, a little at a time, and nothing else (jobs.services.retention)."""

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import (
    AuditEntry,
    DeletedJob,
    JobLog,
    PollCycle,
    QueueEntry,
    StatusChange,
    UnifiedJob,
    WebhookDelivery,
)
from jobs.services import history_walk, logs, retention, retention_tables, sync, webhooks
from jobs.services.snapshots import apply_snapshots
from providers import registry
from simpletuner_cloud.celery import app
from simpletuner_cloud.schedule import housekeeping_schedule
from tests.conftest import MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LONG_AGO = NOW - timedelta(days=100)


@pytest.fixture(autouse=True)
def _keep_a_month(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RETENTION_DAYS_JOBS = settings.RETENTION_DAYS_LOGS = 40
    settings.RETENTION_DAYS_EVENTS = 40
    monkeypatch.setattr(retention, "SHORTEST_PAUSE_SECONDS", 0.0)


@pytest.fixture
def old_job(make_job: MakeJob) -> Any:
    """A job that ended long ago, with its history."""

    def make(**fields: Any) -> UnifiedJob:
        job = make_job(**({"status": "completed", "created_at": LONG_AGO, "completed_at": LONG_AGO} | fields))
        for previous, status in ((None, "queued"), ("queued", "running"), ("running", job.status)):
            StatusChange.objects.create(
                job=job, previous=previous, status=status, source=Source.SYNC, recorded_at=LONG_AGO
            )
        return job

    return make


def gone() -> dict[str, int]:
    done = retention.run()
    assert done is not None
    return {name: count for name, count in done.items() if count}


def test_job_that_ended_long_ago_goes_with_everything_that_is_its(old_job: Any, make_job: MakeJob) -> None:
    job = old_job()
    JobLog.objects.create(job=job, compressed=b"x", characters=1, saved_at=LONG_AGO)
    QueueEntry.objects.create(job=job, status="completed", finished_at=LONG_AGO)
    delivery = WebhookDelivery.objects.create(
        provider="replicate", webhook_id="a", verdict="applied", sent_at=NOW, job=job
    )
    young = make_job(status="completed", completed_at=NOW - timedelta(days=39), created_at=LONG_AGO)
    assert gone()["jobs"] == 1
    assert list(UnifiedJob.objects.all()) == [young]
    assert not StatusChange.objects.exists()
    assert not JobLog.objects.exists()
    assert not QueueEntry.objects.exists()
    delivery.refresh_from_db()
    assert delivery.job is None


@pytest.mark.parametrize(
    "keeper",
    [
        pytest.param({"status": "running", "completed_at": None}, id="active and billing, however old"),
        pytest.param({"status": "queued", "completed_at": None}, id="waiting"),
        pytest.param({"next_log_capture_at": LONG_AGO}, id="its log is still to be read"),
        pytest.param({"completed_at": NOW - timedelta(days=1)}, id="begun long ago, ended yesterday"),
    ],
)
def test_what_is_needed_stays_whatever_its_age(old_job: Any, keeper: dict[str, Any]) -> None:
    job = old_job(**keeper)
    assert "jobs" not in gone()
    assert UnifiedJob.objects.filter(pk=job.pk).exists()


def test_job_whose_events_may_still_be_asked_for_stays(old_job: Any) -> None:
    """Such as one that ended long ago and was brought in by an import just now."""
    job = old_job()
    latest = StatusChange.objects.filter(pk=job.history.latest("pk").pk)
    latest.update(recorded_at=NOW - timedelta(hours=23))
    assert "jobs" not in gone()
    latest.update(recorded_at=NOW - timedelta(hours=25))
    assert gone()["jobs"] == 1


def test_job_with_an_open_place_in_the_queue_stays(old_job: Any) -> None:
    QueueEntry.objects.create(job=old_job(), status="running", queued_at=LONG_AGO)
    assert gone().keys() == {"events"}


def test_by_default_no_job_log_or_event_ever_goes(settings: Settings, old_job: Any) -> None:
    settings.RETENTION_DAYS_JOBS = settings.RETENTION_DAYS_LOGS = settings.RETENTION_DAYS_EVENTS = 0
    job = old_job()
    JobLog.objects.create(job=job, compressed=b"x", characters=1, saved_at=LONG_AGO)
    QueueEntry.objects.create(job=job, status="completed", finished_at=LONG_AGO)
    assert gone() == {}
    assert {due.table for due in retention.preview() if due.count is None} == {
        "jobs",
        "logs",
        "events",
        "queue entries",
    }


def test_what_would_be_deleted_again_is_not_brought_in_and_comes_back_when_more_is_kept(
    settings: Settings, sandbox: RunningSandbox
) -> None:
    sandbox.add_job(kind="training", created_offset=-100 * 86_400, durations={"queue": 1, "train": 60})
    running = sandbox.add_job(kind="training", created_offset=-100 * 86_400, durations={"queue": 1, "train": 9e8})
    assert sync.discover_jobs("replicate").found == 1
    assert UnifiedJob.objects.get().external_id == running["id"]
    history_walk.start("replicate")
    history_walk.advance()
    assert UnifiedJob.objects.count() == 1
    settings.RETENTION_DAYS_JOBS = 0
    assert sync.discover_jobs("replicate").found == 1


def test_webhook_of_a_job_that_is_past_keeping_is_settled_and_not_asked_for_again(
    sandbox: RunningSandbox, make_snapshot: MakeSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = sandbox.add_job(kind="training", created_offset=-100 * 86_400, durations={"queue": 1, "train": 60})
    delivery = WebhookDelivery.objects.create(
        provider="replicate", webhook_id="late", sent_at=NOW, next_try_at=NOW - timedelta(seconds=1)
    )
    body = make_snapshot(external_id=old["id"], status="completed", completed_at=LONG_AGO, created_at=LONG_AGO)
    monkeypatch.setattr("providers.replicate.provider.ReplicateProvider.read_webhook", lambda *_, **__: body)
    monkeypatch.setattr("jobs.services.webhook_applying.zlib.decompress", lambda _: b"")
    assert webhooks.apply_received() == 1
    delivery.refresh_from_db()
    assert delivery.verdict == "stale"
    assert not UnifiedJob.objects.exists()


def test_old_log_gives_way_to_a_notice_and_is_not_asked_for_again(
    settings: Settings, sandbox: RunningSandbox, old_job: Any
) -> None:
    settings.RETENTION_DAYS_JOBS = 0
    job = old_job(logs_state="saved")
    log = JobLog(job=job)
    log.replace("step 1\nstep 2\n", is_final=True)
    log.saved_at = LONG_AGO
    log.save()
    assert gone()["logs"] == 1
    told = logs.read_log(job.job_id)
    assert "14 characters were left out here" in told.text
    assert "step" not in told.text
    assert (told.state, told.is_final, told.is_cut) == ("partial", True, True)
    assert sandbox.requests()["total"] == 0
    assert gone() == {}
    log.refresh_from_db()
    log.replace("step 1\nstep 2\n", is_final=True)
    assert "step" not in log.text, "a copy that was read before brings nothing back"


def test_log_of_an_active_job_stays(old_job: Any) -> None:
    job = old_job(status="running", completed_at=None)
    JobLog.objects.create(job=job, compressed=b"x", characters=1, saved_at=LONG_AGO)
    assert "logs" not in gone()


def test_of_an_old_history_the_end_stays_and_of_an_active_job_all_of_it(settings: Settings, old_job: Any) -> None:
    settings.RETENTION_DAYS_JOBS = 0
    ended, running = old_job(), old_job(status="running", completed_at=None)
    young = StatusChange.objects.create(job=ended, previous="queued", status="running", source=Source.SYNC)
    assert gone() == {"events": 2}
    assert list(ended.history.order_by("pk").values_list("status", flat=True)) == ["completed", young.status]
    assert running.history.count() == 3


def test_deliveries_go_after_their_time_but_none_that_is_not_applied(settings: Settings) -> None:
    ages = {"applied": (29, 31), "stale": (29, 31), "unknown": (6, 8), "unreadable": (29, 31), "received": (29, 310)}
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            provider="replicate",
            webhook_id=f"{verdict}{age}",
            verdict=verdict,
            sent_at=NOW,
            received_at=NOW - timedelta(days=age),
        )
        for verdict, pair in ages.items()
        for age in pair
    )
    assert gone() == {"webhook deliveries": 4}
    left = set(WebhookDelivery.objects.values_list("webhook_id", flat=True))
    assert left == {f"{verdict}{young}" for verdict, (young, _) in ages.items()} | {"received310"}
    settings.RETENTION_DAYS_DELIVERIES = 0
    WebhookDelivery.objects.update(received_at=LONG_AGO)
    assert gone() == {"webhook deliveries": 1}, "for ever, but for those of unknown jobs"


def test_what_only_serves_the_moment_goes_by_itself_and_the_audit_log_never() -> None:
    PollCycle.objects.create(provider="replicate", started_at=NOW - timedelta(days=8))
    PollCycle.objects.create(provider="replicate", started_at=NOW - timedelta(days=6))
    Session.objects.create(session_key="old", session_data="", expire_date=NOW - timedelta(days=1))
    Session.objects.create(session_key="good", session_data="", expire_date=NOW + timedelta(days=1))
    AuditEntry.objects.create(actor="somebody", via="page", action="job.cancel", at=LONG_AGO)
    DeletedJob.objects.create(provider="replicate", external_id="x", job_id="x", deleted_at=LONG_AGO)
    assert gone() == {"poll cycles": 1, "sessions": 1}
    assert AuditEntry.objects.exists()
    assert DeletedJob.objects.exists()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [
        retention_tables.Table(table.name, table.aged_by, table.due, table.remove, at_once=3)
        for table in retention_tables.TABLES
    ]
    monkeypatch.setattr(retention, "TABLES", tables)


@pytest.mark.usefixtures("small_batches")
def test_run_ends_when_its_time_is_over_and_the_next_goes_on(old_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(7):
        old_job()
    clock = iter(range(100))
    monkeypatch.setattr("jobs.services.retention.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(retention, "LONGEST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(coordination, "lease", _FreeLease)
    assert retention.run(seconds=4) is not None
    left = UnifiedJob.objects.count()
    assert 0 < left < 7
    monkeypatch.undo()
    assert gone()["jobs"] == left
    assert not UnifiedJob.objects.exists()


@pytest.mark.usefixtures("small_batches")
def test_run_that_dies_between_two_batches_has_deleted_whole_ones(old_job: Any) -> None:
    for _ in range(7):
        old_job()

    def die(_table: str, _rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retention.run(on_batch=die)
    assert UnifiedJob.objects.count() == 4
    assert not StatusChange.objects.exclude(job__in=UnifiedJob.objects.all()).exists()
    assert gone()["jobs"] == 4


def test_batches_are_small_and_their_queries_do_not_depend_on_their_size(old_job: Any) -> None:
    assert max(table.at_once for table in retention_tables.TABLES) <= 500

    def queries(count: int) -> int:
        for _ in range(count):
            old_job()
        with CaptureQueriesContext(connection) as captured:
            assert gone()["jobs"] == count
        return len(captured)

    queries(1)
    assert queries(5) == queries(60)


def test_one_process_at_a_time_deletes() -> None:
    with coordination.lease("retention", seconds=60):
        assert retention.run() is None
        with pytest.raises(CommandError, match="Another process"):
            call_command("retention", "--apply")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_row_that_somebody_writes_to_is_left_and_holds_up_nobody(old_job: Any) -> None:
    held, other = old_job(), old_job()
    is_held, may_go = threading.Event(), threading.Event()

    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM jobs_unifiedjob WHERE id = %s FOR UPDATE", [held.pk])
            is_held.set()
            may_go.wait(20)
            cursor.execute("COMMIT")
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert is_held.wait(10)
    assert gone()["jobs"] == 1
    may_go.set()
    writer.join()
    assert list(UnifiedJob.objects.all()) == [held]
    assert not UnifiedJob.objects.filter(pk=other.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_run_in_the_middle_of_syncs_loses_nothing_and_brings_nothing_back(
    sandbox: RunningSandbox, old_job: Any
) -> None:
    """Syncs, refreshes and endings of the same jobs at once, while hundreds of old ones go."""
    for number in range(240):
        old_job(external_id=f"old{number:04d}")
    listed_old = [
        sandbox.add_job(kind="training", created_offset=-100 * 86_400 - n, durations={"queue": 1, "train": 60})["id"]
        for n in range(20)
    ]
    for external_id in listed_old:
        old_job(external_id=external_id)
    young = [
        sandbox.add_job(kind="training", created_offset=-600, durations={"queue": 1, "train": 9e5})["id"]
        for _ in range(40)
    ]
    is_over = threading.Event()
    problems: list[Exception] = []

    def repeat(work: Any) -> None:
        try:
            while not is_over.is_set():
                work()
        except Exception as problem:  # noqa: BLE001
            problems.append(problem)
        finally:
            connections.close_all()

    def discover() -> None:
        apply_snapshots(_listing(), source=Source.SYNC, create=True)

    def end_some() -> None:
        for job_id in young[:20]:
            sandbox.change_job(job_id, status="succeeded", completed_at=timezone.now().isoformat())
        sync.refresh_active_jobs(source=Source.POLLER)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in (discover, discover, end_some)]
    for thread in threads:
        thread.start()
    done = retention.run()
    is_over.set()
    for thread in threads:
        thread.join()
    discover()
    sync.refresh_active_jobs(source=Source.POLLER)
    assert problems == []
    assert done is not None
    # Those that a sync was just writing to are left for the next run.
    retention.run()
    assert set(UnifiedJob.objects.values_list("external_id", flat=True)) == set(young)
    statuses = dict(UnifiedJob.objects.values_list("external_id", "status"))
    assert [statuses[job_id] for job_id in young] == ["completed"] * 20 + ["running"] * 20
    for job in UnifiedJob.objects.all():
        assert job.history.count() == job.history.values("status").distinct().count() >= 1
        assert job.history.values_list("status", flat=True).first() == job.status


def test_dry_run_prints_counts_and_the_oldest_and_deletes_nothing(settings: Settings, old_job: Any) -> None:
    settings.RETENTION_DAYS_LOGS = 0
    old_job()
    old_job(completed_at=LONG_AGO - timedelta(days=1), created_at=LONG_AGO - timedelta(days=1))
    out = StringIO()
    call_command("retention", "--dry-run", stdout=out)
    lines = {line[:20].strip(): line[20:].split() for line in out.getvalue().splitlines()}
    oldest = LONG_AGO - timedelta(days=1)
    assert lines["jobs"] == ["2", f"{oldest:%Y-%m-%d}", f"{oldest:%H:%M}"]
    assert lines["events"][0] == "4"
    assert lines["logs"] == ["kept", "-"]
    assert lines["sessions"] == ["0", "-"]
    assert UnifiedJob.objects.count() == 2


def test_apply_deletes_all_of_it_and_says_how_much(old_job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHOSEN_AT_ONCE", 2)
    for _ in range(5):
        old_job()
    out = StringIO()
    call_command("retention", "--apply", stdout=out)
    assert "jobs                            5 gone" in out.getvalue()
    assert not UnifiedJob.objects.exists()


def test_beat_sends_it_every_hour() -> None:
    entry = housekeeping_schedule()["delete-old-rows"]
    assert entry["schedule"] == 3600
    app.loader.import_default_modules()
    assert entry["task"] in app.tasks


def _listing() -> Any:
    return registry.get_provider("replicate").list_recent(limit=1000).snapshots


class _FreeLease:
    """A lease that looks at no clock."""

    def __init__(self, _name: str, *, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> Any:
        return lambda: None

    def __exit__(self, *_: object) -> None:
        return None
