"""The page of the queue, without a browser: what it says, and what its forms do."""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.access import VIEWER, Actor
from jobs.models import AuditEntry, QueueLimits
from jobs.services import actors
from jobs.services.actors import owner_account
from jobs.services.dispatch import processor
from tests.jobs.dispatch_helpers import at_sandbox, entry_of, let_pass, limit, now_minus, submit
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>\"'"


def page(client: Client, address: str = "/queue") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def names(html: str) -> list[str]:
    return re.findall(r'<bdi class="job-name">([^<]*)</bdi>', html)


def post(client: Client, address: str, **fields: Any) -> list[str]:
    """The words that the page then shows."""
    answer = client.post(address, fields, follow=True)
    assert answer.redirect_chain == [("/queue", 302)]
    return [str(message) for message in answer.context["messages"]]


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are asked for by somebody who may but look."""
    user = get_user_model().objects.create_user("vera")
    actor = Actor(user_id=user.pk, name="vera", permissions=VIEWER, via="session")
    monkeypatch.setattr("simpletuner_cloud.client.owner_actor", lambda **_: actor)


@pytest.mark.parametrize("address", ["/queue", "/queue/", "/fragments/queue"])
def test_entries_stand_in_their_order_with_what_they_wait_for(client: Client, address: str) -> None:
    limit(max_concurrent=1)
    submit("runs", status="running")
    submit("second", queued_at=now_minus(minutes=20))
    submit("first", priority=20)
    html = page(client, address)
    assert names(html) == ["runs", "first", "second"]
    assert "1 of 1 slots are in use" in html
    assert "10 + 3 by waiting" in html


def test_nothing_waits_is_said(client: Client) -> None:
    assert "Nothing waits." in page(client)


def test_names_and_reasons_are_escaped(client: Client) -> None:
    submit(
        HOSTILE, owner=get_user_model().objects.create_user("x<b>"), reason=HOSTILE, next_attempt_at=now_minus(days=-1)
    )
    assert "<script>alert" not in page(client)
    assert "x<b>" not in page(client)


def test_page_costs_the_same_queries_however_long_the_queue_is(client: Client) -> None:
    page(client)
    counts = []
    for _ in range(2):
        for _ in range(10):
            submit(owner=owner_account())
        with CaptureQueriesContext(connection) as queries:
            page(client, "/fragments/queue")
        counts.append(len(queries))
    assert counts[0] == counts[1] < 15


def test_long_queue_says_how_many_more_wait(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.presentation.queue_page.ENTRIES_SHOWN", 2)
    for number in range(5):
        submit(str(number))
    assert "3 more wait behind these." in page(client)


def test_limits_are_saved(client: Client) -> None:
    limits = {"max_concurrent": 7, "user_max_concurrent": 3, "team_max_concurrent": 4, "ageing_minutes": 9}
    assert post(client, "/queue/limits", **limits, enable_fair_share="on") == ["Limits saved"]
    assert QueueLimits.objects.values(*limits, "enable_fair_share").get() == {**limits, "enable_fair_share": True}
    post(client, "/queue/limits", **limits)
    assert QueueLimits.objects.get().enable_fair_share is False
    assert AuditEntry.objects.filter(action="queue.limits").count() == 2


@pytest.mark.parametrize("value", ["0", "-1", "", "many", "1e3", "٣", "9" * 40])
def test_limit_that_is_none_changes_nothing(client: Client, value: str) -> None:
    limit(max_concurrent=4)
    (message,) = post(client, "/queue/limits", max_concurrent=value, user_max_concurrent="9")
    assert "were not changed" in message
    assert QueueLimits.objects.values_list("max_concurrent", "user_max_concurrent").get() == (4, 2)


def test_priority_is_set_and_taken_back(client: Client) -> None:
    job = submit("mugs")
    assert post(client, f"/queue/{job.job_id}/priority", priority="25") == ["Priority of mugs saved"]
    assert entry_of(job).priority_override == 25
    post(client, f"/queue/{job.job_id}/priority", priority="")
    assert entry_of(job).priority_override is None
    assert "from 0 to 30" in post(client, f"/queue/{job.job_id}/priority", priority="31")[0]


def test_waiting_job_is_cancelled(client: Client) -> None:
    job = submit("mugs")
    assert post(client, f"/queue/{job.job_id}/cancel") == ["mugs was cancelled"]
    assert entry_of(job).status == "cancelled"
    assert "already ended" in post(client, f"/queue/{job.job_id}/cancel")[0]


def test_processing_now_starts_what_fits(client: Client, sandbox: RunningSandbox) -> None:
    job = submit()
    assert post(client, "/queue/process") == ["1 job was started"]
    assert len(at_sandbox(sandbox, job)) == 1
    assert post(client, "/queue/process") == ["Nothing could be started"]


def test_job_in_question_is_sent_again_by_hand(client: Client, sandbox: RunningSandbox) -> None:
    job = submit("mugs")
    sandbox.fault("reset", method="POST", path="/v1/predictions", times=1)
    processor.process()
    assert "/send-again" not in page(client)
    let_pass(301)
    assert f"/queue/{job.job_id}/send-again" in page(client)
    assert post(client, f"/queue/{job.job_id}/send-again") == ["mugs is sent again"]
    assert entry_of(job).status == "pending"


@pytest.mark.parametrize("action", ["limits", "process", "JOB/priority", "JOB/cancel", "JOB/send-again"])
def test_address_of_a_form_alone_does_nothing(client: Client, action: str) -> None:
    job = submit()
    answer = client.get(f"/queue/{action.replace('JOB', job.job_id)}")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/queue")
    assert entry_of(job).status == "pending"


@pytest.mark.parametrize("action", ["limits", "process", "JOB/priority", "JOB/cancel", "JOB/send-again"])
def test_form_without_its_token_is_refused(action: str) -> None:
    job = submit()
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(f"/queue/{action.replace('JOB', job.job_id)}").status_code == 403
    assert entry_of(job).status == "pending"


@pytest.mark.parametrize("action", ["limits", "process", "JOB/priority", "JOB/cancel", "JOB/send-again"])
def test_who_may_but_look_sees_no_forms_and_is_refused(client: Client, viewer: None, action: str) -> None:
    job = submit(owner=get_user_model().objects.get(username="vera"))
    html = page(client)
    assert names(html) == ["mugs"]
    assert 'action="/queue' not in html
    assert client.post(f"/queue/{action.replace('JOB', job.job_id)}", {"priority": "30"}).status_code == 403
    assert (entry_of(job).status, entry_of(job).priority_override) == ("pending", None)


def test_others_jobs_are_not_shown_and_not_found(client: Client, viewer: None) -> None:
    submit("other's", owner=actors.owner_account())
    assert names(page(client)) == []


@pytest.mark.parametrize("action", ["priority", "cancel", "send-again"])
def test_unknown_job_is_not_found(client: Client, action: str) -> None:
    assert client.post(f"/queue/nobody/{action}").status_code == 404
