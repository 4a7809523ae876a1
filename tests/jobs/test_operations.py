"""Background work, queue, metrics, health and store: what operators rely on."""

import asyncio
import itertools
import logging
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination, tasks
from jobs.background_tasks import get_task_manager, start_background_tasks, stop_background_tasks
from jobs.lifecycle import JobStatus
from jobs.models import PollCycle, ProviderSettings, QueueEntry, UnifiedJob
from jobs.services import metrics, polling, queue, store, sync
from simpletuner_cloud.enterprise import EnterpriseConfig
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def add_running(sandbox: RunningSandbox) -> str:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    return str(job["id"])


@pytest.mark.django_db(transaction=True)
def test_background_work_can_be_switched_on_and_off(caplog: pytest.LogCaptureFixture) -> None:
    manager = get_task_manager()
    assert manager._running is False
    with caplog.at_level(logging.INFO):
        asyncio.run(start_background_tasks())
    assert manager._running is True
    assert any("job status polling is on, every 30 s" in record.getMessage() for record in caplog.records)
    asyncio.run(stop_background_tasks())
    assert manager._running is False


@pytest.mark.django_db(transaction=True)
def test_stopped_work_does_nothing_at_a_tick_until_it_is_started(sandbox: RunningSandbox) -> None:
    add_running(sandbox)
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    asyncio.run(stop_background_tasks())
    tasks.poll_active_jobs()
    assert sandbox.requests()["total"] == 0
    asyncio.run(start_background_tasks())
    tasks.poll_active_jobs()
    assert sandbox.requests()["total"] > 0


def test_ticks_keep_the_work_known_as_running_after_redis_lost_everything(sandbox: RunningSandbox) -> None:
    assert get_task_manager()._running is False
    tasks.process_queue()
    assert get_task_manager()._running is True


def test_poll_refreshes_active_jobs_captures_logs_and_writes_its_cycle_down(sandbox: RunningSandbox) -> None:
    job_id = add_running(sandbox)
    sync.discover_jobs("replicate")
    sandbox.change_job(job_id, status="failed", error="boom", completed_at=timezone.now().isoformat(), logs="a\nb")
    tasks.poll_active_jobs()
    job = UnifiedJob.objects.get()
    assert (job.status, job.error_message) == ("failed", "boom")
    assert job.log.text == "a\nb"
    cycle = PollCycle.objects.get()
    assert (cycle.provider, cycle.active_jobs, cycle.refreshed, cycle.changed, cycle.failed) == (
        "replicate",
        1,
        1,
        1,
        0,
    )


def test_poll_with_a_provider_in_trouble_is_written_down(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    make_job(status="running")
    sandbox.fault("status", status=500)
    tasks.poll_active_jobs()
    cycle = PollCycle.objects.get()
    assert cycle.failed == 1
    assert "HTTP 500" in cycle.error


def test_cycle_that_outlives_its_interval_is_not_run_twice(sandbox: RunningSandbox) -> None:
    with coordination.lease("poller:replicate", seconds=30) as renew:
        assert renew is not None
        assert polling.run_cycle() is None
    assert not PollCycle.objects.exists()
    assert polling.run_cycle() is not None


def test_lease_of_a_holder_that_died_ends_by_itself() -> None:
    with coordination.lease("short", seconds=0.05) as renew:
        assert renew is not None
        threading.Event().wait(0.1)
        with coordination.lease("short", seconds=5) as second:
            assert second is not None


def test_webhook_turns_the_poll_off_within_one_tick_and_its_removal_on_again(sandbox: RunningSandbox) -> None:
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://example.test/api/webhooks/replicate")
    assert not polling.current_policy().enabled
    tasks.poll_active_jobs()
    assert not PollCycle.objects.exists()
    ProviderSettings.objects.all().delete()
    tasks.poll_active_jobs()
    assert PollCycle.objects.count() == 1


def test_webhook_of_the_enterprise_file_counts_too(settings: Settings) -> None:
    settings.ENTERPRISE = EnterpriseConfig(webhook_urls={"replicate": "https://example.test/hook"})
    assert not polling.current_policy().enabled
    settings.ENTERPRISE = EnterpriseConfig(
        job_polling_enabled=True, webhook_urls={"replicate": "https://example.test/hook"}
    )
    assert polling.current_policy().enabled


def test_single_flight_without_redis_is_shared_within_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    coordination.client.cache_clear()
    calls = itertools.count(1)
    try:
        answers = [coordination.single_flight("x", lambda: next(calls), fresh_seconds=5) for _ in range(3)]
        assert [answer.value for answer in answers] == [1, 1, 1]
    finally:
        monkeypatch.undo()
        coordination.client.cache_clear()


def test_queue_entries_follow_their_jobs(make_job: MakeJob) -> None:
    ended, running, waiting = make_job(status="failed"), make_job(), make_job(status="pending", external_id=None)
    for job in (ended, running, waiting):
        QueueEntry.objects.create(job=job)
    assert queue.settle_entries() == 2
    statuses = dict(QueueEntry.objects.values_list("job_id", "status"))
    assert statuses == {ended.pk: "failed", running.pk: "running", waiting.pk: "pending"}
    assert queue.settle_entries() == 0


def test_metrics_count_costs_rates_and_waits(make_job: MakeJob, client: Client) -> None:
    now = timezone.now()
    start = now - timedelta(hours=2)
    for status, cost in (("completed", "2.50"), ("completed", "1.50"), ("failed", "0.50")):
        make_job(
            status=status,
            cost_usd=Decimal(cost),
            created_at=start,
            started_at=start + timedelta(minutes=1),
            completed_at=start + timedelta(minutes=61),
        )
    make_job(status="running", hardware_type="gpu-h100", started_at=now)
    make_job(status="running", started_at=now)
    make_job(status="queued")
    make_job(status="completed", created_at=now - timedelta(days=45), cost_usd=Decimal(99))
    body = client.get("/api/cloud/metrics?days=30").json()
    assert (body["job_count"], body["running_count"], body["queued_count"]) == (6, 2, 1)
    assert body["jobs_by_status"] == dict.fromkeys(JobStatus.values, 0) | {
        "completed": 2,
        "failed": 1,
        "running": 2,
        "queued": 1,
    }
    assert body["total_cost_usd"] == 4.5
    assert body["burn_rate_usd_per_hour"] == pytest.approx(5.49)
    assert body["burn_rate_unknown_jobs"] == 1
    assert body["success_rate"] == pytest.approx(2 / 3)
    assert body["avg_job_duration_seconds"] == 3600
    assert body["median_wait_seconds"] == pytest.approx(60, abs=1)
    assert sum(day["cost_usd"] for day in body["cost_by_day"]) == 4.5


def test_metrics_of_an_empty_store_know_nothing(client: Client) -> None:
    body = client.get("/api/cloud/metrics").json()
    assert (body["success_rate"], body["median_wait_seconds"], body["total_cost_usd"]) == (None, None, 0)
    assert client.get("/api/cloud/metrics?days=0").status_code == 400


def test_burn_rate_is_per_running_job() -> None:
    assert metrics.collect().burn_rate_usd_per_hour == 0


def test_store_of_the_sandbox_refuses_to_be_the_real_one() -> None:
    store.claim_store("sandbox")
    store.claim_store("sandbox")
    with pytest.raises(ImproperlyConfigured, match="sandbox store"):
        store.claim_store("live")


def test_with_webhooks_only_silent_jobs_are_asked_for(sandbox: RunningSandbox) -> None:
    """Replicate repeats only the last webhook of a job, for about a minute: a lost one must not freeze a job."""
    heard, silent = add_running(sandbox), add_running(sandbox)
    sync.discover_jobs("replicate")
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://example.test/api/webhooks/replicate")
    sandbox.reset_requests()
    tasks.poll_active_jobs()
    assert sandbox.requests()["total"] == 0
    UnifiedJob.objects.filter(external_id=silent).update(last_synced_at=timezone.now() - timedelta(seconds=301))
    for job_id in (heard, silent):
        sandbox.change_job(job_id, status="succeeded", completed_at=timezone.now().isoformat())
    tasks.poll_active_jobs()
    assert UnifiedJob.objects.get(external_id=silent).status == "completed"
    assert UnifiedJob.objects.get(external_id=heard).status == "running"


@pytest.mark.parametrize("url", ["http://example.test/hook", "https://user:pass@example.test/", "ftp://x", "nonsense"])
def test_webhook_url_that_a_provider_must_not_call_is_refused_in_the_admin(client: Client, url: str) -> None:
    answer = client.post("/admin/jobs/providersettings/add/", {"provider": "replicate", "webhook_url": url})
    assert answer.status_code == 200
    assert b"must be an https URL" in answer.content
    assert not ProviderSettings.objects.exists()


def test_answer_that_cannot_be_shared_is_not_produced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError("away")

    calls = itertools.count(1)

    def produce() -> int:
        monkeypatch.setattr(coordination.client(), "set", refuse)
        return next(calls)

    assert coordination.single_flight("y", produce).value == 1
    assert next(calls) == 2
