"""jobs.services.webhook_facts: what became of deliveries, and whether they still come."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import WebhookDelivery
from jobs.services import provider_config, webhook_facts
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db


def delivered(**ago: float) -> None:
    at = timezone.now() - timedelta(**ago)
    WebhookDelivery.objects.create(provider="replicate", webhook_id=str(ago), sent_at=at, received_at=at)


@pytest.fixture
def _configured() -> None:
    provider_config.set_webhook_url("replicate", "https://hooks.example/api/webhooks/replicate")


def test_verdicts_are_counted_by_provider() -> None:
    assert webhook_facts.verdict_counts("replicate") == {}
    for verdict in ("applied", "stale", "applied"):
        webhook_facts.count("replicate", verdict)
    webhook_facts.count("elsewhere", "refused")
    assert webhook_facts.verdict_counts("replicate") == {"applied": 2, "stale": 1}


def test_newest_delivery_tells_when_one_was_last_received() -> None:
    assert webhook_facts.last_received_at("replicate") is None
    delivered(hours=1)
    delivered(hours=3)
    last = webhook_facts.last_received_at("replicate")
    assert last is not None
    assert timedelta(minutes=59) < timezone.now() - last < timedelta(minutes=61)


@pytest.mark.usefixtures("_configured")
def test_hours_without_a_webhook_while_jobs_run_are_a_silence(make_job: MakeJob) -> None:
    for hours in (5, 4):
        make_job(started_at=timezone.now() - timedelta(hours=hours))
    delivered(hours=3)
    silence = webhook_facts.silence("replicate")
    assert silence is not None
    assert (silence.running_jobs, round(silence.seconds)) == (2, 3 * 3600)
    assert silence.last_received_at == webhook_facts.last_received_at("replicate")


@pytest.mark.usefixtures("_configured")
def test_silence_is_counted_from_the_start_of_the_run_if_nothing_ever_came(make_job: MakeJob) -> None:
    make_job(started_at=timezone.now() - timedelta(hours=2))
    silence = webhook_facts.silence("replicate")
    assert silence is not None
    assert (silence.last_received_at, round(silence.seconds)) == (None, 2 * 3600)


@pytest.mark.usefixtures("_configured")
def test_no_silence_while_webhooks_come_or_nothing_runs_long(make_job: MakeJob) -> None:
    delivered(hours=30)
    assert webhook_facts.silence("replicate") is None
    make_job(status="completed", started_at=timezone.now() - timedelta(hours=2))
    make_job(status="queued")
    assert webhook_facts.silence("replicate") is None
    make_job(started_at=timezone.now() - timedelta(minutes=10))
    assert webhook_facts.silence("replicate") is None
    make_job(started_at=timezone.now() - timedelta(hours=2))
    delivered(minutes=5)
    assert webhook_facts.silence("replicate") is None


def test_no_silence_where_no_webhook_is_expected(make_job: MakeJob) -> None:
    make_job(started_at=timezone.now() - timedelta(hours=5))
    assert webhook_facts.silence("replicate") is None
