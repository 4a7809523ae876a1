"""The one write (SPEC B2): jobs.services.snapshots."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction
from django.forms import model_to_dict
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from jobs import events
from jobs.lifecycle import Source
from jobs.models import HardwarePrice, JobLog, ModelHardware, QueueEntry, StatusChange, UnifiedJob
from jobs.services.snapshots import apply_snapshot, apply_snapshots
from providers.snapshots import JobSnapshot
from tests.conftest import MakeJob, MakeSnapshot

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[events.JobStatusChanged]:
    """Events that have left."""
    bodies: list[events.JobStatusChanged] = []
    monkeypatch.setattr(events, "send_event", lambda _channel, _name, body: bodies.append(body))
    return bodies


def test_unknown_job_is_left_out_unless_it_may_be_created(make_snapshot: MakeSnapshot) -> None:
    assert apply_snapshot(make_snapshot(), source=Source.POLLER) is None
    assert not UnifiedJob.objects.exists()


def test_discovered_job_has_the_providers_facts_and_one_history_row(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot(
        status="completed",
        raw_status="succeeded",
        name="portrait",
        created_at=NOON,
        started_at=NOON + timedelta(seconds=10),
        completed_at=NOON + timedelta(seconds=110),
        run_seconds=100.0,
        hardware="gpu-h100",
        output_url="https://replicate.delivery/weights.tar",
        metadata={"model": "simpletuner/advanced-trainer-h100"},
    )
    applied = apply_snapshot(snapshot, source=Source.SYNC, create=True)
    assert applied is not None
    assert applied.created
    job = UnifiedJob.objects.get()
    assert (job.job_id, job.external_id, job.provider) == (snapshot.external_id, snapshot.external_id, "replicate")
    assert (job.status, job.config_name, job.hardware_type) == ("completed", "portrait", "gpu-h100")
    assert job.cost_usd == Decimal("0.152500")
    assert job.created_at == NOON
    assert job.completed_at == NOON + timedelta(seconds=110)
    change = StatusChange.objects.get()
    assert (change.previous, change.status, change.source) == (None, "completed", "sync")
    assert change.provider_time == snapshot.as_of


def test_id_taken_by_another_job_gets_the_providers_name_before_it(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    snapshot = make_snapshot()
    make_job(job_id=snapshot.external_id, external_id=None, provider="", job_type="local")
    applied = apply_snapshot(snapshot, source=Source.SYNC, create=True)
    assert applied is not None
    assert applied.job.job_id == f"replicate-{snapshot.external_id}"


def test_same_snapshot_twice_is_silent(
    make_job: MakeJob,
    make_snapshot: MakeSnapshot,
    sent: list[events.JobStatusChanged],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    job = make_job(status="queued")
    snapshot = make_snapshot(external_id=job.external_id)
    with django_capture_on_commit_callbacks(execute=True):
        apply_snapshot(snapshot, source=Source.POLLER)
    before = model_to_dict(UnifiedJob.objects.get(pk=job.pk), exclude=["last_synced_at"])
    with django_capture_on_commit_callbacks(execute=True):
        apply_snapshot(snapshot, source=Source.WEBHOOK)
    assert model_to_dict(UnifiedJob.objects.get(pk=job.pk), exclude=["last_synced_at"]) == before
    assert [body["status"] for body in sent] == ["running"]
    assert StatusChange.objects.count() == 1


def test_event_leaves_only_after_the_commit(
    make_job: MakeJob,
    make_snapshot: MakeSnapshot,
    sent: list[events.JobStatusChanged],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    job = make_job(status="queued")
    with django_capture_on_commit_callbacks(execute=False) as callbacks:
        apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    assert sent == []
    for callback in callbacks:
        callback()
    assert sent == [events.payload(StatusChange.objects.select_related("job").get())]
    assert sent[0]["type"] == "job_status_changed"
    assert (sent[0]["job_id"], sent[0]["previous"], sent[0]["status"]) == (job.job_id, "queued", "running")


def test_late_report_does_not_reopen_a_finished_job(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="cancelled", completed_at=NOON)
    apply_snapshot(make_snapshot(external_id=job.external_id, status="running"), source=Source.POLLER)
    apply_snapshot(make_snapshot(external_id=job.external_id, status="failed", error="no"), source=Source.POLLER)
    job.refresh_from_db()
    assert (job.status, job.error_message, job.completed_at) == ("cancelled", None, NOON)
    assert not StatusChange.objects.exists()


def test_finished_job_still_learns_what_came_late(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="completed", started_at=None, hardware_type="gpu-l40s")
    late = make_snapshot(
        external_id=job.external_id,
        status="completed",
        started_at=NOON,
        completed_at=NOON + timedelta(hours=1),
        run_seconds=3600.0,
        output_url="https://replicate.delivery/w.tar",
    )
    apply_snapshot(late, source=Source.POLLER)
    job.refresh_from_db()
    assert (job.started_at, job.output_url) == (NOON, "https://replicate.delivery/w.tar")
    assert job.cost_usd == Decimal("3.510000")


def test_unknown_word_keeps_the_status_and_is_named(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="running")
    apply_snapshot(
        make_snapshot(external_id=job.external_id, status=None, raw_status="hibernating"), source=Source.POLLER
    )
    job.refresh_from_db()
    assert (job.status, job.provider_status) == ("running", "hibernating")
    assert "hibernating" in (job.last_sync_error or "")
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    job.refresh_from_db()
    assert job.last_sync_error is None


def test_new_job_with_an_unknown_word_claims_the_least_and_says_so(make_snapshot: MakeSnapshot) -> None:
    apply_snapshot(make_snapshot(status=None, raw_status="hibernating"), source=Source.SYNC, create=True)
    job = UnifiedJob.objects.get()
    assert (job.status, job.provider_status) == ("queued", "hibernating")
    assert "hibernating" in (job.last_sync_error or "")


def test_absent_facts_never_erase_known_ones(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(
        status="running",
        started_at=NOON,
        config_name="name",
        hardware_type="gpu-h100",
        output_url="https://x.test/o",
        cost_usd=Decimal("1.5"),
        metadata={"model": "owner/model"},
    )
    JobLog.objects.create(job=job, compressed=b"", characters=0)
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    job.refresh_from_db()
    assert (job.started_at, job.config_name, job.hardware_type) == (NOON, "name", "gpu-h100")
    assert (job.output_url, job.metadata) == ("https://x.test/o", {"model": "owner/model"})


def test_completion_time_is_the_providers_never_our_clock(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="running", started_at=NOON)
    apply_snapshot(make_snapshot(external_id=job.external_id, status="completed"), source=Source.POLLER)
    job.refresh_from_db()
    assert (job.status, job.completed_at) == ("completed", None)


def test_cost_of_a_running_job_grows_and_never_falls(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="running", started_at=NOON, hardware_type="gpu-h100")
    for seconds, expected in ((100, "0.152500"), (200, "0.305000"), (150, "0.305000")):
        apply_snapshot(
            make_snapshot(external_id=job.external_id, as_of=NOON + timedelta(seconds=seconds)), source=Source.POLLER
        )
        job.refresh_from_db()
        assert job.cost_usd == Decimal(expected)


def test_unknown_hardware_costs_nothing_known_until_the_operator_names_it(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="running", started_at=NOON, metadata={"model": "ostris/flux-dev-lora-trainer"})
    snapshot = make_snapshot(external_id=job.external_id, as_of=NOON + timedelta(seconds=1000))
    apply_snapshot(snapshot, source=Source.POLLER)
    job.refresh_from_db()
    assert (job.cost_usd, job.hardware_type) == (None, None)
    ModelHardware.objects.create(model="ostris/flux-dev-lora-trainer", hardware="gpu-h100")
    HardwarePrice.objects.create(
        provider="replicate", hardware="gpu-h100", usd_per_second="0.002", effective_from="2026-11-01"
    )
    apply_snapshot(snapshot, source=Source.POLLER)
    job.refresh_from_db()
    assert (job.cost_usd, job.hardware_type) == (Decimal("2.000000"), "gpu-h100")


def test_log_is_kept_and_progress_read_from_it(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="running", started_at=NOON)
    apply_snapshot(
        make_snapshot(external_id=job.external_id, logs="loading\nStep 1500/5000 - loss: 0.0234"),
        source=Source.PROGRESS,
    )
    job.refresh_from_db()
    assert (job.stage, job.progress, job.last_log) == ("Training", 30.0, "Step 1500/5000 - loss: 0.0234")
    assert JobLog.objects.get().text == "loading\nStep 1500/5000 - loss: 0.0234"


def test_shorter_log_never_replaces_a_longer_one(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="running")
    for text in ("step 1/10\nstep 2/10", "step 1/10", ""):
        apply_snapshot(make_snapshot(external_id=job.external_id, logs=text or None), source=Source.POLLER)
    log = JobLog.objects.get()
    assert (log.text, log.is_final) == ("step 1/10\nstep 2/10", False)
    apply_snapshot(
        make_snapshot(external_id=job.external_id, status="completed", logs="step 1/10"), source=Source.POLLER
    )
    log.refresh_from_db()
    assert (log.text, log.is_final) == ("step 1/10\nstep 2/10", True)


def test_end_of_a_job_closes_its_queue_entry(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job, other = make_job(status="running"), make_job(status="running")
    QueueEntry.objects.create(job=job, status="running")
    QueueEntry.objects.create(job=other, status="running")
    apply_snapshot(make_snapshot(external_id=job.external_id, status="failed", error="oom"), source=Source.POLLER)
    entry = QueueEntry.objects.get(job=job)
    assert entry.status == "failed"
    assert entry.finished_at is not None
    assert QueueEntry.objects.get(job=other).status == "running"


def batch(make_snapshot: MakeSnapshot, count: int, **fields: object) -> list[JobSnapshot]:
    return [make_snapshot(external_id=f"batch{number:04d}", **fields) for number in range(count)]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"status": "running"}, id="moving"),
        pytest.param({"status": "completed", "logs": "step 1/2", "hardware": "gpu-h100"}, id="ending with logs"),
    ],
)
def test_queries_do_not_grow_with_the_batch(make_snapshot: MakeSnapshot, fields: dict[str, object]) -> None:
    counts = []
    for size in (5, 100):
        UnifiedJob.objects.all().delete()
        with CaptureQueriesContext(connection) as creating:
            apply_snapshots(batch(make_snapshot, size, status="queued"), source=Source.SYNC, create=True)
        with CaptureQueriesContext(connection) as updating:
            apply_snapshots(batch(make_snapshot, size, **fields), source=Source.SYNC, create=True)
        with CaptureQueriesContext(connection) as repeating:
            apply_snapshots(batch(make_snapshot, size, **fields), source=Source.SYNC, create=True)
        counts.append((len(creating), len(updating), len(repeating)))
        assert UnifiedJob.objects.filter(status=fields["status"]).count() == size
        assert StatusChange.objects.count() == 2 * size
    assert counts[0] == counts[1]
    assert max(counts[1]) <= 16


def test_import_does_not_cost_more_in_a_full_store(
    make_snapshot: MakeSnapshot, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    UnifiedJob.objects.bulk_create(
        UnifiedJob(job_id=f"old{number}", provider="replicate", external_id=f"old{number}") for number in range(3000)
    )
    with django_assert_max_num_queries(14):
        apply_snapshots(batch(make_snapshot, 100), source=Source.SYNC, create=True)


def test_jobs_of_one_batch_are_told_apart_by_provider_and_id(make_snapshot: MakeSnapshot) -> None:
    applied = apply_snapshots(
        [make_snapshot(provider="one", external_id="same"), make_snapshot(provider="two", external_id="same")],
        source=Source.SYNC,
        create=True,
    )
    assert [result.created for result in applied] == [True, True]
    assert UnifiedJob.objects.filter(external_id="same").values("job_id").distinct().count() == 2


def test_same_job_twice_in_a_batch_is_one_row_and_the_later_word_counts(make_snapshot: MakeSnapshot) -> None:
    applied = apply_snapshots(
        [make_snapshot(status="running"), make_snapshot(status="completed")], source=Source.SYNC, create=True
    )
    assert len(applied) == 1
    assert UnifiedJob.objects.get().status == "completed"
    assert StatusChange.objects.get().status == "completed"


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Run ``work`` in threads of their own, with connections of their own, all at once."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:  # noqa: BLE001  (told to the test below)
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.django_db(transaction=True)
def test_eight_writers_of_one_change_make_one_change(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="queued")
    snapshot = make_snapshot(external_id=job.external_id, status="completed")
    in_threads(8, lambda _: apply_snapshot(snapshot, source=Source.WEBHOOK))
    assert StatusChange.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_discoveries_of_the_same_jobs_count_each_once(make_snapshot: MakeSnapshot) -> None:
    snapshots = batch(make_snapshot, 20)
    created: list[int] = []
    in_threads(
        8,
        lambda _: created.append(
            sum(result.created for result in apply_snapshots(snapshots, source=Source.SYNC, create=True))
        ),
    )
    assert sum(created) == UnifiedJob.objects.count() == StatusChange.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_history_ids_become_visible_in_their_order(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    """A reader goes on after the last id it saw: an id that is committed late would never be read."""
    slow, quick = make_job(status="queued"), make_job(status="queued")
    slow_has_its_id = threading.Event()
    seen_after_quick: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            with transaction.atomic():
                apply_snapshot(make_snapshot(external_id=slow.external_id), source=Source.POLLER)
                slow_has_its_id.set()
                threading.Event().wait(0.5)
        else:
            slow_has_its_id.wait()
            apply_snapshot(make_snapshot(external_id=quick.external_id), source=Source.POLLER)
            seen_after_quick.extend(StatusChange.objects.order_by("pk").values_list("pk", flat=True))

    in_threads(2, work)
    assert seen_after_quick == list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))
    assert len(seen_after_quick) == 2


def test_job_that_was_queued_and_is_now_over_keeps_everything_of_its_run(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    """SimpleTuner's server loses start, output and error text of such a job."""
    job = make_job(status="queued")
    over = make_snapshot(
        external_id=job.external_id,
        status="failed",
        started_at=NOON,
        completed_at=NOON + timedelta(minutes=5),
        error="CUDA out of memory",
        output_url="https://replicate.delivery/partial.tar",
    )
    apply_snapshot(over, source=Source.POLLER)
    job.refresh_from_db()
    assert (job.status, job.started_at, job.completed_at) == ("failed", NOON, NOON + timedelta(minutes=5))
    assert (job.error_message, job.output_url) == ("CUDA out of memory", "https://replicate.delivery/partial.tar")
    assert StatusChange.objects.get().previous == "queued"


def test_progress_stays_known_while_the_log_speaks_of_something_else(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="running")
    for log in ("Step 1500/5000 - loss: 0.0234", "Step 1500/5000 - loss: 0.0234\n" + "validating sample\n" * 2000):
        apply_snapshot(make_snapshot(external_id=job.external_id, logs=log), source=Source.PROGRESS)
    job.refresh_from_db()
    assert (job.stage, job.progress, job.step) == ("Validation", 30.0, 1500)


def test_words_of_an_earlier_state_fill_gaps_but_replace_nothing(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    job = make_job(status="completed", output_url="https://replicate.delivery/final.tar", metadata={"source": "api"})
    late = make_snapshot(
        external_id=job.external_id,
        status="running",
        output_url="https://replicate.delivery/draft.tar",
        metadata={"source": "web", "model": "owner/model"},
    )
    apply_snapshot(late, source=Source.POLLER)
    job.refresh_from_db()
    assert job.output_url == "https://replicate.delivery/final.tar"
    assert job.metadata == {"source": "api", "model": "owner/model"}


def test_older_log_does_not_set_progress_back(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="running")
    for seconds, log in ((60, "step 2/10\nstep 6/10"), (30, "step 2/10")):
        snapshot = make_snapshot(external_id=job.external_id, logs=log, as_of=NOON + timedelta(seconds=seconds))
        apply_snapshot(snapshot, source=Source.PROGRESS)
    job.refresh_from_db()
    assert (job.progress, job.last_log) == (60.0, "step 6/10")
