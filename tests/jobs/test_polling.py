"""The poller's cycle: one at a time, few calls, and what webhooks leave of it (jobs.services.polling)."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import PollCycle, ProviderSettings, UnifiedJob
from jobs.services import polling, sync
from jobs.services.snapshots import apply_snapshots
from providers import registry
from simpletuner_cloud.enterprise import EnterpriseConfig
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

RUNNING = {"kind": "training", "created_offset": -600, "durations": {"queue": 5, "train": 900_000}}


def add_running(sandbox: RunningSandbox, count: int, **plan: Any) -> None:
    for _ in range(count):
        sandbox.add_job(**(RUNNING | plan))


def bring_in_all() -> None:
    listing = registry.get_provider("replicate").list_recent(limit=100_000)
    apply_snapshots(listing.snapshots, source=Source.SYNC, create=True)


@pytest.fixture
def webhook(db: None) -> None:
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://example.test/hook")


@pytest.mark.parametrize(
    ("trainings", "predictions"),
    [pytest.param(1000, 0, id="in one list"), pytest.param(500, 500, id="in both lists")],
)
def test_a_thousand_active_jobs_cost_twenty_calls_at_most(
    sandbox: RunningSandbox, trainings: int, predictions: int
) -> None:
    """SimpleTuner's server asks for the newest hundred alone, each singly."""
    add_running(sandbox, trainings)
    add_running(sandbox, predictions, kind="prediction")
    bring_in_all()
    sandbox.reset_requests()
    done = polling.run_cycle()
    assert done is not None
    assert (done.active, done.refreshed, done.failed) == (1000, 1000, 0)
    assert sandbox.requests()["total"] <= 20


def test_two_beats_that_tick_at_once_cause_one_cycle(sandbox: RunningSandbox, transactional_db: None) -> None:
    add_running(sandbox, 5)
    sync.discover_jobs("replicate")
    sandbox.fault("latency", seconds=0.3)
    sandbox.reset_requests()
    barrier = threading.Barrier(4)
    done: list[sync.Refresh | None] = []

    def tick() -> None:
        barrier.wait()
        done.append(polling.run_cycle())
        connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(refresh is not None for refresh in done) == 1
    assert PollCycle.objects.count() == 1
    assert sandbox.requests()["total"] == 1


def lose_lease() -> None:
    coordination.client().delete(coordination.key("lease:poller:replicate"))


def test_cycle_that_lost_its_lease_gives_up_keeps_what_it_wrote_and_harms_no_other(
    sandbox: RunningSandbox, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sync, "STEP_SECONDS", -1.0)
    add_running(sandbox, 6)
    sync.discover_jobs("replicate")
    UnifiedJob.objects.update(status="queued")
    take = sync._Reader.take

    def frozen(reader: Any, outcome: Any) -> None:
        lose_lease()
        take(reader, outcome)

    monkeypatch.setattr(sync._Reader, "take", frozen)
    with coordination.lease("somebody-else", seconds=30):
        assert polling.run_cycle() == sync.Refresh()
    assert any("lease is lost" in record.getMessage() for record in caplog.records)
    assert UnifiedJob.objects.filter(status="running").count() == 1
    monkeypatch.setattr(sync._Reader, "take", take)
    done = polling.run_cycle()
    assert done is not None
    assert (done.refreshed, done.changed) == (6, 5)


def test_provider_that_hangs_holds_up_its_own_cycles_and_no_others(
    settings: Settings, sandbox: RunningSandbox, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.FACTORIES, "other", registry.FACTORIES["replicate"])
    settings.PROVIDERS = settings.PROVIDERS | {"other": settings.PROVIDERS["replicate"]}
    job = sandbox.add_job(**RUNNING)
    make_job(provider="other", external_id=job["id"], status="queued")
    with coordination.lease("poller:replicate", seconds=30):
        assert polling.run_cycle("replicate") is None
        done = polling.run_cycle("other")
    assert done is not None
    assert done.active == 1
    assert list(PollCycle.objects.values_list("provider", flat=True)) == ["other"]


def test_cycle_does_not_give_back_the_lease_that_another_took_meanwhile(
    sandbox: RunningSandbox, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job()

    def taken_over(**_named: Any) -> sync.Refresh:
        coordination.client().set(coordination.key("lease:poller:replicate"), "another's", px=60_000)
        return sync.Refresh()

    monkeypatch.setattr(polling, "refresh_active_jobs", taken_over)
    polling.run_cycle()
    assert coordination.client().get(coordination.key("lease:poller:replicate")) == "another's"
    assert polling.run_cycle() is None


def test_slow_cycle_renews_its_lease_between_answers(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "STEP_SECONDS", -1.0)
    add_running(sandbox, 5)
    sync.discover_jobs("replicate")
    renewed: list[int] = []
    sync.refresh_active_jobs(source=Source.POLLER, on_progress=lambda: renewed.append(1))
    assert len(renewed) == 5


def test_first_cycle_after_a_redis_that_lost_its_memory_runs_at_once(sandbox: RunningSandbox) -> None:
    add_running(sandbox, 1)
    assert polling.run_cycle() is not None
    coordination.client().flushdb()
    assert polling.run_cycle() is not None


@pytest.mark.parametrize(
    ("environment", "file", "silent_seconds", "asked"),
    [
        pytest.param(None, None, 290, 0, id="heard of within five minutes"),
        pytest.param(None, None, 310, 1, id="not heard of for five minutes"),
        pytest.param(60.0, None, 70, 1, id="the environment's minute"),
        pytest.param(None, 60.0, 70, 1, id="the file's minute"),
        pytest.param(0.0, 60.0, 100_000, 0, id="never"),
        pytest.param(None, 0.0, 100_000, 0, id="the file's never"),
    ],
)
def test_with_webhooks_the_silent_jobs_alone_are_asked_for(
    sandbox: RunningSandbox,
    settings: Settings,
    webhook: None,
    environment: float | None,
    file: float | None,
    silent_seconds: float,
    asked: int,
) -> None:
    settings.RECONCILE_INTERVAL = environment
    settings.ENTERPRISE = EnterpriseConfig(reconcile_seconds=file)
    add_running(sandbox, 2)
    sync.discover_jobs("replicate")
    silent = UnifiedJob.objects.earliest("pk")
    UnifiedJob.objects.filter(pk=silent.pk).update(last_synced_at=timezone.now() - timedelta(seconds=silent_seconds))
    sandbox.reset_requests()
    done = polling.run_cycle()
    assert (done.refreshed if done else 0) == asked
    assert sandbox.requests()["total"] == asked


def test_jobs_spread_over_a_long_list_are_found_with_a_call_a_page_at_most(sandbox: RunningSandbox) -> None:
    add_running(sandbox, 150)
    for number in range(300):
        sandbox.add_job(kind="training", created_offset=-4000 - number, durations={"queue": 1, "train": 5})
    add_running(sandbox, 50, created_offset=-90_000)
    bring_in_all()
    sandbox.reset_requests()
    done = polling.run_cycle()
    assert done is not None
    assert (done.active, done.refreshed) == (200, 200)
    assert sandbox.requests()["total"] <= 6
