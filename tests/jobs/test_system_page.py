"""The administration's page on the system: what an operator reads there, for whom it is, and what it costs."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination, tasks
from jobs.circuit_breaker import CALLS_WITHOUT_ANSWER
from jobs.models import HistoryWalk, PollCycle, UnifiedJob, WebhookDelivery
from jobs.services import call_governor, retention
from jobs.services.heartbeats import Pulse, Role
from tests.conftest import MakeAccount, MakeJob
from tests.jobs.conftest import Age
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

SYSTEM = "/admin/system/"
# With one provider, whatever is in the store.
MOST_QUERIES = 36


def said(client: Client) -> str:
    answer = client.get(SYSTEM)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_processes_poller_and_queues_are_told(client: Client, settings: Settings, age_heartbeats: Age) -> None:
    Pulse(Role.BEAT).beat()
    age_heartbeats(60)
    Pulse(Role.WORKER).beat()
    PollCycle.objects.create(provider="replicate", active_jobs=7, failed=3, error="Three were missed.")
    coordination.client().rpush(f"{settings.REDIS_KEY_PREFIX}{settings.PROVIDER_QUEUES['replicate']}", 1, 2)
    page = said(client)
    for words in ("Alive", "Silent", "Three were missed.", "<td>7</td>", "every 30 s"):
        assert words in page
    assert re.search(r"Next cycle: in (2\d|30) s", page)
    assert f'<th scope="row">{settings.PROVIDER_QUEUES["replicate"]}</th><td>2</td>' in page
    assert "does not run: no scheduler" in page


def test_late_poller_is_told(client: Client) -> None:
    PollCycle.objects.create(provider="replicate", started_at=timezone.now() - timedelta(minutes=10))
    assert "Next cycle: due since" in said(client)


def test_open_breaker_is_told_with_its_reason_and_end_and_nobody_is_asked(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    assert "Closed: calls go out" in said(client)
    sandbox.fault("status", status=503)
    for _ in range(CALLS_WITHOUT_ANSWER + 1):
        make_job()
    tasks.poll_active_jobs()
    sandbox.reset_requests()
    page = said(client)
    for words in ("Open: no calls go out", "half open from then on", "503", "Next call not before"):
        assert words in page
    assert sandbox.requests()["total"] == 0


def test_calls_that_are_left_are_told(client: Client, sandbox: RunningSandbox, settings: Settings) -> None:
    settings.PROVIDER_CALLS_PER_MINUTE = 100
    assert "20 of 20 may go out at once; 100 in a minute" in said(client)
    governor = call_governor.CallGovernor("replicate", sandbox.token)
    for _ in range(5):
        governor.admit("GET", "/v1/account")
    left = call_governor.calls_left("replicate")
    assert left is not None
    assert left.now in (15, 16)
    assert f"{left.now} of 20" in said(client) or "16 of 20" in said(client)


def test_webhooks_import_and_retention_are_told(client: Client) -> None:
    assert "No run is known" in said(client)
    WebhookDelivery.objects.create(
        provider="replicate",
        webhook_id="msg_1",
        sent_at=timezone.now(),
        received_at=timezone.now() - timedelta(hours=1),
    )
    HistoryWalk.objects.create(provider="replicate", pages=12, seen=1100, error="It stumbled.")
    PollCycle.objects.create(provider="replicate", started_at=timezone.now() - timedelta(days=30))
    retention.run()
    page = said(client)
    for words in ("1 delivery", "1 h ago", "12 pages", "It stumbled.", "poll cycles: 1", "30 days", "for ever"):
        assert words in page
    retention.run()
    assert "Nothing was due." in said(client)


@pytest.mark.usefixtures("no_redis")
def test_without_redis_it_says_what_is_not_known(client: Client) -> None:
    page = said(client)
    assert "Redis does not answer" in page
    assert "Not known while Redis is away." in page


def test_no_secret_is_shown(client: Client, settings: Settings, sandbox: RunningSandbox) -> None:
    page = said(client)
    assert sandbox.token not in page
    assert settings.SECRET_KEY not in page
    assert settings.REDIS_URL not in page


def test_queries_are_few_and_no_more_with_more_rows(client: Client, make_job: MakeJob) -> None:
    said(client)
    with CaptureQueriesContext(connection) as few:
        said(client)
    for number in range(20):
        job = make_job()
        PollCycle.objects.create(provider="replicate")
        HistoryWalk.objects.create(provider="replicate", state="completed")
        WebhookDelivery.objects.create(
            provider="replicate", webhook_id=f"msg_{number}", sent_at=timezone.now(), job=job
        )
    with CaptureQueriesContext(connection) as many:
        said(client)
    assert len(many) <= len(few) + 2
    assert len(many) <= MOST_QUERIES
    assert UnifiedJob.objects.count() == 20


@pytest.mark.usefixtures("with_accounts")
@pytest.mark.parametrize(("role", "is_staff", "status"), [("admin", None, 200), ("lead", None, 302), ("", True, 403)])
def test_it_is_for_staff_who_see_everything(
    make_account: MakeAccount, role: str, is_staff: bool | None, status: int
) -> None:
    ada = make_account("ada", role)
    if is_staff is not None:
        User.objects.filter(pk=ada.pk).update(is_staff=is_staff)
    client = Client()
    assert client.get(SYSTEM).status_code == 302
    client.force_login(ada)
    assert client.get(SYSTEM).status_code == status
    assert client.post(SYSTEM).status_code in (302, 403, 405)


def test_index_and_every_page_lead_to_it(client: Client) -> None:
    for path in ("/admin/", "/admin/jobs/unifiedjob/"):
        assert f'href="{SYSTEM}"' in client.get(path).content.decode()
