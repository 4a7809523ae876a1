"""Discovery and refresh (SPEC A2, A4, A5.2) against a real HTTP server: jobs.services.sync."""

import threading
import time
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle import Source
from jobs.models import StatusChange, UnifiedJob
from jobs.services import sync
from jobs.services.provider_calls import provider_state
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownProvider,
)
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

LISTS = ("GET /v1/predictions", "GET /v1/trainings")


def calls(sandbox: RunningSandbox) -> dict[str, int]:
    counts: dict[str, int] = sandbox.requests()["counts"]
    return counts


def running_plan(**plan: Any) -> dict[str, Any]:
    """A job that has been training for a while and will for long."""
    return {"kind": "training", "created_offset": -120, "durations": {"queue": 10, "train": 100_000}, **plan}


def add_running(sandbox: RunningSandbox, count: int, **plan: Any) -> list[str]:
    return [sandbox.add_job(**running_plan(**plan))["id"] for _ in range(count)]


def test_discovery_of_a_hundred_jobs_costs_two_list_calls_and_constant_queries(sandbox: RunningSandbox) -> None:
    add_running(sandbox, 60)
    add_running(sandbox, 40, kind="prediction")
    sandbox.reset_requests()
    with CaptureQueriesContext(connection) as queries:
        done = sync.discover_jobs("replicate")
    assert (done.found, done.errors, done.joined) == (100, (), False)
    assert calls(sandbox) == dict.fromkeys(LISTS, 1)
    assert UnifiedJob.objects.filter(status="running", external_kind="prediction").count() == 40
    assert len(queries) <= 16


def test_discovery_brings_the_newest_hundred_of_both_lists_together(sandbox: RunningSandbox) -> None:
    old = [sandbox.add_job(**running_plan(created_offset=-90_000 - number))["id"] for number in range(60)]
    new = [sandbox.add_job(**running_plan(kind="prediction", created_offset=-600))["id"] for number in range(90)]
    assert sync.discover_jobs("replicate").found == 100
    known = set(UnifiedJob.objects.values_list("external_id", flat=True))
    assert set(new) <= known
    assert known - set(new) == set(old[:10])


def test_second_sync_finds_nothing_new_and_updates_what_moved(sandbox: RunningSandbox) -> None:
    moved, _still = add_running(sandbox, 2)
    sync.discover_jobs("replicate")
    sandbox.change_job(moved, status="failed", error="CUDA out of memory", completed_at="2026-11-20T10:00:00Z")
    done = sync.discover_jobs("replicate")
    assert (done.found, done.errors) == (0, ())
    job = UnifiedJob.objects.get(external_id=moved)
    assert (job.status, job.error_message) == ("failed", "CUDA out of memory")


def test_syncs_pressed_at_once_share_one_run_and_count_each_job_once(
    sandbox: RunningSandbox, transactional_db: None
) -> None:
    add_running(sandbox, 5)
    sandbox.fault("latency", seconds=0.3)
    sandbox.reset_requests()
    found: list[sync.Discovery] = []
    barrier = threading.Barrier(6)

    def press() -> None:
        barrier.wait()
        found.append(sync.discover_jobs("replicate"))
        connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done.found for done in found) == 5
    assert [done.found_by_other for done in found if done.joined] == [5] * 5
    assert calls(sandbox) == dict.fromkeys(LISTS, 1)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"kind": "status", "status": 500}, ProviderUnavailable, id="server error"),
        pytest.param({"kind": "status", "status": 401}, ProviderAuthError, id="token refused"),
        pytest.param({"kind": "429", "retry_after": 7}, ProviderRateLimited, id="slow down"),
        pytest.param({"kind": "html"}, ProviderError, id="HTML with 200"),
        pytest.param({"kind": "null_body"}, ProviderError, id="null"),
        pytest.param({"kind": "bad_json"}, ProviderError, id="half a JSON"),
        pytest.param({"kind": "reset"}, ProviderError, id="connection reset"),
    ],
)
def test_failed_sync_is_an_error_and_changes_nothing(
    sandbox: RunningSandbox, make_job: MakeJob, fault: dict[str, Any], error: type[ProviderError]
) -> None:
    job = make_job(status="running")
    sandbox.fault(**fault)
    with pytest.raises(error):
        sync.discover_jobs("replicate")
    job.refresh_from_db()
    assert job.status == "running"
    assert UnifiedJob.objects.count() == 1


def test_sync_with_one_list_down_keeps_what_it_read_and_says_what_failed(sandbox: RunningSandbox) -> None:
    add_running(sandbox, 3)
    sandbox.fault("status", status=503, match={"path": "/v1/predictions*"})
    done = sync.discover_jobs("replicate")
    assert done.found == 3
    assert len(done.errors) == 1
    with pytest.raises(ProviderUnavailable):
        sync.discover_jobs("replicate")


def test_hanging_provider_is_given_up(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.http.READ_TIMEOUT_SECONDS", 0.3)
    sandbox.fault("timeout", seconds=20)
    with pytest.raises(ProviderTimeout):
        sync.discover_jobs("replicate")


def test_unknown_provider_is_named() -> None:
    with pytest.raises(UnknownProvider, match="nowhere"):
        sync.discover_jobs("nowhere")


@pytest.mark.parametrize("active", [10, 100])
def test_refresh_of_active_jobs_costs_at_most_four_calls(sandbox: RunningSandbox, active: int) -> None:
    add_running(sandbox, active // 2)
    add_running(sandbox, active // 2, kind="prediction")
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    done = sync.refresh_active_jobs(source=Source.SYNC_ACTIVE)
    assert (done.active, done.refreshed, done.failed) == (active, active, 0)
    assert sum(calls(sandbox).values()) <= 4


def test_every_active_job_is_refreshed_beyond_the_newest_hundred(sandbox: RunningSandbox) -> None:
    """SimpleTuner's server refreshes the newest 100 alone."""
    ids = [sandbox.add_job(**running_plan(created_offset=-7200 + number))["id"] for number in range(250)]
    UnifiedJob.objects.bulk_create(
        UnifiedJob(job_id=id_, provider="replicate", external_id=id_, external_kind="training", status="queued")
        for id_ in ids
    )
    sandbox.reset_requests()
    done = sync.refresh_active_jobs(source=Source.POLLER)
    assert (done.refreshed, done.changed, done.failed) == (250, 250, 0)
    assert not UnifiedJob.objects.exclude(status="running").exists()
    assert sum(calls(sandbox).values()) <= 8


def test_refresh_asks_nothing_when_nothing_is_active(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    make_job(status="completed")
    make_job(status="running", job_type="local", provider="", external_id=None)
    sandbox.reset_requests()
    assert sync.refresh_active_jobs(source=Source.POLLER) == sync.Refresh()
    assert calls(sandbox) == {}


def test_refresh_discovers_nothing(sandbox: RunningSandbox) -> None:
    add_running(sandbox, 4)
    sync.discover_jobs("replicate")
    add_running(sandbox, 4)
    sync.refresh_active_jobs(source=Source.POLLER)
    assert UnifiedJob.objects.count() == 4


def test_failing_provider_is_recorded_on_its_jobs_and_changes_no_status(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    jobs = [make_job(status="running") for _ in range(4)]
    sandbox.fault("status", status=500)
    done = sync.refresh_active_jobs(source=Source.POLLER)
    assert (done.refreshed, done.failed) == (0, 4)
    assert len(done.errors) == 1
    for job in jobs:
        job.refresh_from_db()
        assert job.status == "running"
        assert "HTTP 500" in (job.last_sync_error or "")
        assert job.last_synced_at is None


@pytest.mark.parametrize("fault", [None, {"kind": "status", "status": 500}], ids=["not found", "server error"])
def test_poison_job_does_not_hold_up_the_others(
    sandbox: RunningSandbox, make_job: MakeJob, fault: dict[str, Any] | None
) -> None:
    good = add_running(sandbox, 5)
    sync.discover_jobs("replicate")
    poison = make_job(status="running")
    if fault:
        sandbox.fault(**fault, match={"path": f"/v1/trainings/{poison.external_id}"})
    done = sync.refresh_active_jobs(source=Source.POLLER)
    assert (done.refreshed, done.failed) == (5, 1)
    poison.refresh_from_db()
    assert poison.status == "running"
    assert poison.last_sync_error
    assert not provider_state("replicate").is_failing
    assert not UnifiedJob.objects.filter(external_id__in=good, last_sync_error__isnull=False).exists()


def test_provider_that_says_slow_down_is_left_alone_until_then(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    """SimpleTuner's server went on with 300 requests in 100 s."""
    make_job(status="running")
    sandbox.fault("429", retry_after=120)
    sync.refresh_active_jobs(source=Source.POLLER)
    sandbox.reset_requests()
    for _ in range(5):
        sync.refresh_active_jobs(source=Source.POLLER)
        with pytest.raises(ProviderRateLimited) as refusal:
            sync.discover_jobs("replicate")
        assert 110 < (refusal.value.retry_after or 0) <= 120
    assert calls(sandbox) == {}


def test_every_change_has_its_source(sandbox: RunningSandbox) -> None:
    job_id = add_running(sandbox, 1)[0]
    sync.discover_jobs("replicate")
    sandbox.change_job(job_id, status="succeeded", completed_at="2026-11-20T10:00:00Z")
    sync.refresh_active_jobs(source=Source.SYNC_ACTIVE)
    sources = StatusChange.objects.order_by("pk").values_list("source", "previous", "status")
    assert list(sources) == [("sync", None, "running"), ("sync_active", "running", "completed")]


def test_ids_that_contain_words_are_refreshed_like_any_other(make_job: MakeJob, sandbox: RunningSandbox) -> None:
    """SimpleTuner's server never refreshes ids that contain "test" or "batch"."""
    for external_id in ("testjob00000000000000000", "batchjob0000000000000000"):
        make_job(status="running", external_id=external_id)
    done = sync.refresh_active_jobs(source=Source.POLLER)
    assert done.failed == 2
    assert not UnifiedJob.objects.filter(last_sync_error__isnull=True).exists()


def test_provider_that_hangs_costs_one_time_limit_for_a_hundred_jobs(
    sandbox: RunningSandbox, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SimpleTuner's server takes 120 s for two jobs."""
    monkeypatch.setattr("providers.http.READ_TIMEOUT_SECONDS", 0.5)
    for _ in range(100):
        make_job(status="running")
    sandbox.fault("timeout", seconds=20)
    sandbox.reset_requests()
    started = time.monotonic()
    done = sync.refresh_active_jobs(source=Source.SYNC_ACTIVE)
    assert time.monotonic() - started < 3
    assert (done.refreshed, done.failed, len(done.errors)) == (0, 100, 1)
    assert sandbox.requests()["total"] <= 2
    assert not UnifiedJob.objects.exclude(status="running", last_sync_error__isnull=False).exists()


def test_refusal_in_the_middle_of_single_calls_ends_them(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    for _ in range(60):
        make_job(status="running", external_kind="training")
    sandbox.fault("429", retry_after=60, match={"path": "/v1/trainings/*"})
    sandbox.reset_requests()
    done = sync.refresh_active_jobs(source=Source.POLLER)
    assert done.failed == 60
    assert sandbox.requests()["total"] <= 1 + 16
