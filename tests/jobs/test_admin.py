"""The operator's pages: jobs.admin, without a login in single-user mode."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs.lifecycle import Source
from jobs.models import HistoryWalk, PollCycle, QueueEntry, StatusChange, UnifiedJob, WebhookDelivery
from jobs.services import sync
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

JOBS = "/admin/jobs/unifiedjob/"
INBOX = "/admin/jobs/webhookdelivery/"


def make_delivery(**fields: object) -> WebhookDelivery:
    return WebhookDelivery.objects.create(
        **{"provider": "replicate", "webhook_id": "msg_1", "sent_at": timezone.now(), **fields}
    )


def act(client: Client, action: str, *jobs: UnifiedJob) -> str:
    data = {"action": action, "_selected_action": [job.pk for job in jobs]}
    return client.post(JOBS, data, follow=True).content.decode()


def test_owner_needs_no_login_on_this_machine_and_has_no_password(client: Client) -> None:
    assert client.get("/admin/").status_code == 200
    assert not get_user_model().objects.get().has_usable_password()


def test_bound_elsewhere_the_admin_asks_for_a_login(client: Client, settings: Settings) -> None:
    settings.SINGLE_USER = False
    assert client.get(JOBS).status_code == 302


@pytest.mark.parametrize(
    "query",
    ["", "?status__exact=running", "?provider=replicate", "?job_type__exact=cloud", "?q=job", "?created_at__year=2026"],
)
def test_job_list_filters_and_searches(client: Client, make_job: MakeJob, query: str) -> None:
    make_job(config_name="job portrait")
    answer = client.get(JOBS + query)
    assert answer.status_code == 200
    assert b"job portrait" in answer.content


def test_job_is_found_by_either_id(client: Client, make_job: MakeJob) -> None:
    make_job(job_id="our-id", external_id="their-id", config_name="wanted")
    make_job(config_name="unwanted")
    for query in ("our-id", "their-id", "wanted"):
        assert b"our-id" in client.get(f"{JOBS}?q={query}").content
    assert b"unwanted" not in client.get(f"{JOBS}?q=their-id").content


def test_providers_facts_cannot_be_edited_and_history_is_shown(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    StatusChange.objects.create(job=job, previous="queued", status="running", source=Source.POLLER)
    page = client.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert 'name="config_name"' in page
    assert 'name="status"' not in page
    assert "Poller" in page
    client.post(
        f"{JOBS}{job.pk}/change/",
        {"config_name": "renamed", "status": "failed", "history-TOTAL_FORMS": 0, "history-INITIAL_FORMS": 0},
    )
    job.refresh_from_db()
    assert (job.config_name, job.status) == ("renamed", "running")


def test_sync_now_and_cancel_call_the_services(client: Client, sandbox: RunningSandbox) -> None:
    sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    sync.discover_jobs("replicate")
    job = UnifiedJob.objects.get()
    assert "1 job was synced." in act(client, "sync_now", job)
    assert "Cancel was asked for 1 job." in act(client, "cancel", job)
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert "already ended" in act(client, "cancel", job)


def test_trouble_of_the_provider_is_told_on_the_page(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    sandbox.fault("status", status=500)
    assert "HTTP 500" in act(client, "sync_now", make_job())


def test_active_job_cannot_be_deleted(client: Client, make_job: MakeJob) -> None:
    active, ended = make_job(status="running"), make_job(status="failed")
    assert client.post(f"{JOBS}{active.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in client.get(JOBS).content.decode()
    act(client, "delete_selected", active)
    client.post(f"{JOBS}{ended.pk}/delete/", {"post": "yes"})
    assert list(UnifiedJob.objects.values_list("pk", flat=True)) == [active.pk]


@pytest.mark.parametrize(
    "model",
    [
        "queueentry",
        "statuschange",
        "pollcycle",
        "hardwareprice",
        "modelhardware",
        "providersettings",
        "webhookdelivery",
        "historywalk",
    ],
)
def test_every_list_opens(client: Client, make_job: MakeJob, model: str) -> None:
    job = make_job()
    QueueEntry.objects.create(job=job)
    StatusChange.objects.create(job=job, status="running", source=Source.SYNC)
    PollCycle.objects.create(provider="replicate")
    HistoryWalk.objects.create(provider="replicate")
    make_delivery(job=job)
    assert client.get(f"/admin/jobs/{model}/").status_code == 200


@pytest.mark.parametrize("model", ["queueentry", "statuschange", "pollcycle", "webhookdelivery", "historywalk"])
def test_records_are_not_made_by_hand(client: Client, model: str) -> None:
    assert client.get(f"/admin/jobs/{model}/add/").status_code == 403


def test_inbox_is_searched_and_filtered(client: Client, make_job: MakeJob) -> None:
    make_delivery(webhook_id="msg_wanted", job=make_job(job_id="our-id"), external_id="their-id", body_sha256="abc123")
    make_delivery(webhook_id="msg_other", verdict="unknown")
    for query in ("q=msg_wanted", "q=our-id", "q=their-id", "q=abc1", "verdict__exact=received"):
        page = client.get(f"{INBOX}?{query}").content
        assert b"msg_wanted" in page
        assert b"msg_other" not in page


def test_delivery_is_shown_but_not_edited_and_no_body_is_loaded_for_it(client: Client) -> None:
    delivery = make_delivery(content=b"x" * 100, error="why")
    page = client.get(f"{INBOX}{delivery.pk}/change/").content.decode()
    assert "why" in page
    assert 'name="verdict"' not in page
    assert client.post(f"{INBOX}{delivery.pk}/delete/", {"post": "yes"}).status_code == 403
    with CaptureQueriesContext(connection) as queries:
        client.get(INBOX)
    assert not any('"content"' in query["sql"] for query in queries)


def test_deliveries_are_applied_again_on_request_if_their_body_is_kept(client: Client) -> None:
    unknown = make_delivery(verdict="unknown", content=b"x", attempts=3, error="not there")
    applied = make_delivery(webhook_id="msg_2", verdict="applied")
    data = {"action": "apply_again", "_selected_action": [unknown.pk, applied.pk]}
    page = client.post(INBOX, data, follow=True).content.decode()
    assert "1 delivery is applied again" in page
    unknown.refresh_from_db()
    applied.refresh_from_db()
    assert (unknown.verdict, unknown.attempts, unknown.error, applied.verdict) == ("received", 0, "", "applied")
    assert unknown.next_try_at is not None
    page = client.post(INBOX, data | {"_selected_action": [applied.pk]}, follow=True).content.decode()
    assert "no longer kept" in page
