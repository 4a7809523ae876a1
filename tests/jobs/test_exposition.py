"""What Prometheus scrapes: jobs.services.exposition and its endpoint."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from jobs import coordination, tasks
from jobs.models import PollCycle, QueueEntry, WebhookDelivery
from jobs.services import exposition, telemetry, webhook_facts
from jobs.services.heartbeats import Pulse, Role
from providers.calls import CallReport
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

URL = "/api/cloud/metrics/prometheus"


@pytest.fixture(autouse=True)
def _nothing_counted_before() -> Iterator[None]:
    telemetry.flush()
    coordination.client().flushdb()
    exposition.forget()
    yield
    exposition.forget()


class Scrape:
    """One answer, read by Prometheus's own parser."""

    def __init__(self, client: Client) -> None:
        answer = client.get(URL)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"simpletuner_{name}", tuple(sorted(labels.items()))))


def test_poller_jobs_and_money_are_told(client: Client, sandbox: RunningSandbox, make_job: MakeJob) -> None:
    make_job(status="completed", cost_usd=Decimal("1.25"))
    make_job(status="failed", cost_usd=Decimal("0.50"))
    QueueEntry.objects.create(job=make_job(status="pending", external_id=None))
    make_job(status="running", lost_at=timezone.now())
    PollCycle.objects.create(
        provider="replicate", started_at=timezone.now() - timedelta(seconds=90), seconds=2.5, active_jobs=7, failed=3
    )
    scrape = Scrape(client)
    assert scrape.value("poll_lag_seconds", provider="replicate") == pytest.approx(90, abs=5)
    assert scrape.value("poll_cycle_duration_seconds", provider="replicate") == 2.5
    assert scrape.value("poll_cycle_active_jobs", provider="replicate") == 7
    assert scrape.value("poll_cycle_failed_jobs", provider="replicate") == 3
    assert (scrape.value("poll_enabled"), scrape.value("poll_interval_seconds")) == (1, 30)
    counts = {status: scrape.value("jobs", status=status) for status in ("completed", "failed", "running", "queued")}
    assert counts == {"completed": 1, "failed": 1, "running": 1, "queued": 0}
    assert scrape.value("jobs_lost") == 1
    assert scrape.value("spend_usd", provider="replicate") == 1.75
    assert (scrape.value("queue_waiting_jobs"), scrape.value("queue_dispatching_jobs")) == (1, 0)
    assert (scrape.value("database_up"), scrape.value("redis_up")) == (1, 1)
    assert scrape.value("health_severity", component="database") == 0


def test_processes_queue_and_streams_are_told(client: Client) -> None:
    Pulse(Role.WORKER).beat()
    coordination.client().rpush("simpletuner:sandbox:simpletuner-sandbox", "a", "b")
    coordination.client().zadd(coordination.key("streams:127.0.0.1"), {"x": time.time() + 60, "gone": 1.0})
    coordination.client().zadd(coordination.key("streams:10.0.0.9"), {"y": time.time() + 60})
    scrape = Scrape(client)
    assert (scrape.value("processes", role="worker"), scrape.value("processes", role="beat")) == (1, 0)
    assert scrape.value("broker_queue_messages") == 2
    assert scrape.value("event_streams") == 2
    assert "simpletuner_heartbeat_age_seconds" in scrape.families


def test_webhooks_are_told(client: Client) -> None:
    now = timezone.now()
    WebhookDelivery.objects.create(
        provider="replicate", webhook_id="a", sent_at=now, received_at=now - timedelta(seconds=50)
    )
    WebhookDelivery.objects.create(provider="replicate", webhook_id="b", sent_at=now, verdict="applied")
    webhook_facts.count("replicate", "applied")
    webhook_facts.count("replicate", webhook_facts.REFUSED)
    telemetry.observe("webhook_transit_seconds", 0.3, provider="replicate")
    telemetry.flush()
    scrape = Scrape(client)
    assert scrape.value("webhook_inbox") == 1
    assert scrape.value("webhook_inbox_oldest_seconds") == pytest.approx(50, abs=5)
    assert scrape.value("webhook_deliveries_total", provider="replicate", verdict="applied") == 1
    assert scrape.value("webhook_deliveries_total", provider="replicate", verdict="refused") == 1
    assert scrape.value("webhook_transit_seconds_count", provider="replicate") == 1


def test_provider_calls_are_a_histogram_that_prometheus_can_read(client: Client) -> None:
    for seconds in (0.04, 0.06, 20.0, 500.0):
        report = CallReport(method="GET", route="/v1/trainings", seconds=seconds, status=200)
        telemetry.count_provider_call("replicate", report)
    telemetry.flush()
    scrape = Scrape(client)
    labels = {"provider": "replicate", "method": "GET"}
    name = "provider_call_duration_seconds"
    counts = [scrape.value(f"{name}_bucket", le=bound, **labels) for bound in ("0.05", "0.1", "10.0", "30.0", "+Inf")]
    assert counts == [1, 2, 2, 3, 4]
    assert scrape.value(f"{name}_count", **labels) == 4
    assert scrape.value(f"{name}_sum", **labels) == pytest.approx(520.1)
    assert scrape.value("provider_calls_total", route="/v1/trainings", status="200", **labels) == 4


def test_names_follow_the_conventions_and_every_metric_has_a_text(client: Client) -> None:
    telemetry.count_provider_call("replicate", CallReport(method="GET", route="/v1/x", seconds=1, status=200))
    telemetry.flush()
    for family in Scrape(client).families.values():
        assert family.name.startswith("simpletuner_")
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)


@pytest.mark.usefixtures("no_redis")
def test_without_redis_the_rest_is_told(client: Client, make_job: MakeJob) -> None:
    make_job(status="running")
    scrape = Scrape(client)
    assert (scrape.value("redis_up"), scrape.value("database_up"), scrape.value("jobs", status="running")) == (0, 1, 1)


def test_without_the_database_the_rest_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", refuse)
    scrape = Scrape(client)
    assert (scrape.value("redis_up"), scrape.value("database_up"), scrape.value("build_info")) == (1, 0, None)
    assert scrape.value("health_severity", component="database") == 2


def test_scrapes_in_a_row_cost_the_database_one(client: Client) -> None:
    with CaptureQueriesContext(connection) as first:
        Scrape(client)
    with CaptureQueriesContext(connection) as second:
        Scrape(client)
    assert (len(first) > 0, len(second)) == (True, 0)


def test_the_cost_does_not_grow_with_the_jobs(client: Client, make_job: MakeJob) -> None:
    tasks.process_queue()
    # The first look of a process asks for more, such as whether its tables are up to date.
    Scrape(client)
    exposition.forget()
    with CaptureQueriesContext(connection) as few:
        Scrape(client)
    for _ in range(20):
        make_job()
    exposition.forget()
    with CaptureQueriesContext(connection) as many:
        Scrape(client)
    assert len(many) == len(few)


def test_the_breaker_and_the_calls_of_a_real_sync_are_told(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    make_job()
    tasks.poll_active_jobs()
    telemetry.flush()
    scrape = Scrape(client)
    assert scrape.value("provider_breaker_state", provider="replicate", state="closed") == 1
    assert (scrape.value("provider_call_duration_seconds_count", provider="replicate", method="GET") or 0) >= 1
    sandbox.fault("status", status=401)
    tasks.poll_active_jobs()
    telemetry.flush()
    exposition.forget()
    scrape = Scrape(client)
    assert scrape.value("provider_breaker_state", provider="replicate", state="refused") == 1
    assert scrape.value("provider_call_errors_total", provider="replicate", kind="ProviderAuthError") == 1
