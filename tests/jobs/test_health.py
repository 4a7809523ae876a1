"""How the parts are doing: jobs.services.health, its endpoints, and the strip of the page."""

import re
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination, tasks
from jobs.models import PollCycle, ProviderSettings, QueueEntry, WebhookDelivery
from jobs.services import health, heartbeats, polling, store
from jobs.services.health import Component, Health
from jobs.services.heartbeats import Pulse, Role
from providers import registry
from tests.conftest import MakeJob
from tests.jobs.conftest import Age
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _long_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STARTED", time.monotonic() - 3600)


@pytest.fixture
def _all_alive() -> None:
    Pulse(Role.WORKER).beat()
    Pulse(Role.BEAT).beat()


def part(name: str) -> Component:
    return next(part for part in health.report().components if part.name == name)


@pytest.mark.usefixtures("_all_alive")
def test_health_names_its_parts(client: Client, sandbox: RunningSandbox) -> None:
    tasks.poll_active_jobs()
    body = client.get("/api/cloud/health?include_replicate=true").json()
    names = ("database", "redis", "workers", "beat", "poller", "queue", "webhooks", "disk", "replicate")
    assert {part["name"]: part["status"] for part in body["components"]} == dict.fromkeys(names, "healthy")
    assert set(body["components"][0]) == {"name", "status", "message", "latency_ms"}
    assert body["status"] == "healthy"
    assert body["uptime_seconds"] > 0
    assert client.get("/api/cloud/health/live").json() == {"status": "alive"}
    assert client.get("/api/cloud/health/ready").json() == {"status": "ready"}


@pytest.mark.usefixtures("_all_alive")
def test_health_is_degraded_when_the_poller_is_late_or_the_provider_fails(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    tasks.poll_active_jobs()
    PollCycle.objects.update(started_at=timezone.now() - timedelta(seconds=91))
    assert health.report().status is Health.DEGRADED
    assert "91 s ago" in part("poller").message
    PollCycle.objects.update(started_at=timezone.now() - timedelta(seconds=88))
    assert part("poller").status is Health.HEALTHY
    sandbox.fault("status", status=401)
    make_job(status="running")
    tasks.poll_active_jobs()
    assert part("replicate").status is Health.DEGRADED
    assert "refused the token" in part("replicate").message


@pytest.mark.parametrize(("role", "name"), [(Role.WORKER, "workers"), (Role.BEAT, "beat")])
def test_a_process_that_is_gone_is_told_with_what_it_means(role: Role, name: str, age_heartbeats: Age) -> None:
    assert (part(name).status, "is not running" in part(name).message) == (Health.DEGRADED, True)
    Pulse(role).beat()
    assert part(name).status is Health.HEALTHY
    age_heartbeats(40)
    assert part(name).status is Health.DEGRADED
    assert re.search(r"has not been heard of for 4\d s: .*statuses shown may be old", part(name).message)


def test_nobody_wonders_where_the_others_are_while_everything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STARTED", time.monotonic())
    assert {part(name).status for name in ("workers", "beat")} == {Health.HEALTHY}


@pytest.mark.parametrize(("role", "name"), [(Role.WORKER, "workers"), (Role.BEAT, "beat")])
def test_a_process_that_lives_but_does_nothing_is_told(role: Role, name: str) -> None:
    pulse = Pulse(role)
    pulse._last_work -= health.IDLE_SECONDS + 30
    pulse.beat()
    assert part(name).status is Health.DEGRADED
    assert "statuses shown may be old" in part(name).message


def test_a_second_beat_stands_by(monkeypatch: pytest.MonkeyPatch) -> None:
    Pulse(Role.BEAT).beat()
    monkeypatch.setattr(heartbeats.os, "getpid", lambda: 1)  # type: ignore[attr-defined]
    idle = Pulse(Role.BEAT)
    idle._last_work -= health.IDLE_SECONDS + 30
    idle.beat()
    assert part("beat").status is Health.HEALTHY
    assert part("beat").message.startswith("2 run, of which all but one stand by")


def test_the_provider_that_was_polled_least_recently_tells_how_the_poller_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.FACTORIES, "other", registry.FACTORIES["replicate"])
    settings.PROVIDERS = settings.PROVIDERS | {"other": {"token": "t", "base_url": "https://other.invalid"}}
    PollCycle.objects.create(provider="replicate")
    assert polling.stalest_cycle() is None
    late = PollCycle.objects.create(provider="other", started_at=timezone.now() - timedelta(minutes=5))
    PollCycle.objects.create(provider="replicate")
    assert polling.stalest_cycle() == late


def test_the_queue_counts_messages_and_waiting_jobs(make_job: MakeJob, settings: Settings) -> None:
    QueueEntry.objects.create(job=make_job(status="pending", external_id=None))
    queue = f"{settings.REDIS_KEY_PREFIX}{settings.CELERY_TASK_DEFAULT_QUEUE}"
    coordination.client().rpush(queue, *range(health.DEEP_QUEUE))
    assert (part("queue").status, part("queue").message) == (
        Health.HEALTHY,
        "100 messages for workers, 1 jobs waiting",
    )
    coordination.client().rpush(queue, "one more")
    assert part("queue").status is Health.DEGRADED


def test_jobs_that_are_being_handed_over_are_told_apart_from_those_that_wait(make_job: MakeJob) -> None:
    QueueEntry.objects.create(job=make_job(status="pending", external_id=None))
    QueueEntry.objects.create(job=make_job(status="pending", external_id=None), status="dispatching")
    assert part("queue").message == "0 messages for workers, 1 jobs waiting, 1 being handed over"


def deliver(**fields: object) -> None:
    now = timezone.now()
    defaults: dict[str, object] = {"provider": "replicate", "webhook_id": f"w{time.monotonic_ns()}", "sent_at": now}
    WebhookDelivery.objects.create(**(defaults | fields))


def test_webhooks_that_are_not_applied_are_told_after_two_minutes() -> None:
    deliver(received_at=timezone.now() - timedelta(seconds=100))
    assert part("webhooks").status is Health.HEALTHY
    deliver(received_at=timezone.now() - timedelta(minutes=5))
    assert (part("webhooks").status, "2 webhooks" in part("webhooks").message) == (Health.DEGRADED, True)
    WebhookDelivery.objects.update(verdict="applied")
    assert (part("webhooks").status, part("webhooks").message) == (Health.HEALTHY, "the last webhook 100 s ago")


def test_webhooks_that_should_come_and_do_not_are_told(make_job: MakeJob) -> None:
    long_ago = timezone.now() - timedelta(hours=3)
    make_job(started_at=long_ago, created_at=long_ago)
    assert part("webhooks").status is Health.HEALTHY, "no URL is configured"
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://example.test/api/webhooks/replicate")
    assert part("webhooks").status is Health.DEGRADED
    assert "no webhook so far while 1 job runs: can Replicate reach" in part("webhooks").message
    deliver(verdict="applied")
    assert part("webhooks").status is Health.HEALTHY


def test_a_disk_that_fills_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    free = health.LEAST_FREE_BYTES
    monkeypatch.setattr("jobs.services.health.shutil.disk_usage", lambda _path: SimpleNamespace(free=free - 1))
    assert (part("disk").status, "255 MB" in part("disk").message) == (Health.DEGRADED, True)
    monkeypatch.setattr("jobs.services.health.shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
    assert part("disk").status is Health.HEALTHY


@pytest.mark.usefixtures("no_redis")
def test_without_redis_the_report_still_comes_and_says_what_is_not_known(client: Client) -> None:
    answer = client.get("/api/cloud/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "degraded"
    told = {part["name"]: part for part in body["components"]}
    assert told["database"]["status"] == "healthy"
    assert "Redis does not answer" in told["redis"]["message"]
    assert {told[name]["message"] for name in ("workers", "beat", "poller", "queue", "replicate")} == {
        "Not known while Redis is away."
    }
    assert client.get("/api/cloud/health/ready").status_code == 200


@pytest.mark.usefixtures("hung_redis")
def test_redis_is_asked_once_when_it_hangs() -> None:
    """A time limit for each part would add up to half a minute."""
    started = time.monotonic()
    assert part("redis").status is Health.DEGRADED
    assert time.monotonic() - started < 2 * coordination.SOCKET_TIMEOUT_SECONDS


def test_without_the_database_health_answers_and_readiness_refuses(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/api/cloud/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "unhealthy")
    ready = client.get("/api/cloud/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready"})
    assert client.get("/api/cloud/health/live").status_code == 200


def test_tables_of_an_older_version_are_unhealthy_and_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "has_pending_migrations", lambda: True)
    assert part("database").status is Health.UNHEALTHY
    assert client.get("/api/cloud/health/ready").status_code == 503


@pytest.mark.usefixtures("_all_alive")
def test_the_page_shows_a_strip_while_something_is_not_well_and_none_otherwise(
    client: Client, sandbox: RunningSandbox, age_heartbeats: Age
) -> None:
    tasks.poll_active_jobs()
    for address in ("/", "/fragments/notices"):
        assert "strip-warning" not in client.get(address).content.decode()
    age_heartbeats(40)
    for address in ("/", "/fragments/notices"):
        html = client.get(address).content.decode()
        assert re.search(r"The background worker has not been heard of for 4\d s", html)
        assert "statuses shown may be old" in html
    assert re.search(r'<live-fragment id="notices"[^>]* role="status"', client.get("/").content.decode())


@pytest.mark.usefixtures("no_redis")
def test_the_strip_tells_a_cause_and_not_each_of_its_consequences(client: Client) -> None:
    html = client.get("/fragments/notices").content.decode()
    assert html.count("<li") == 1
    assert "Redis does not answer" in html


def test_a_provider_that_is_left_alone_is_told_with_the_time_of_the_next_try(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    make_job()
    sandbox.fault("status", status=401)
    tasks.poll_active_jobs()
    assert part("replicate").status is Health.DEGRADED
    assert re.search(r"The token is refused: nothing is asked until .* \d\d:\d\d:\d\d UTC", part("replicate").message)
