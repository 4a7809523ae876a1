"""Cancelling and deleting on the pages, without a script."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import QueueEntry, UnifiedJob
from jobs.services import sync
from jobs.services.cancel_wishes import BUDGET_WATCH
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

LATE = "No confirmation after 60 s; it may still be billing."


def html_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def cancelling(make_job: MakeJob, seconds: float, **fields: Any) -> UnifiedJob:
    at = timezone.now() - timedelta(seconds=seconds)
    return make_job(**{"cancel_requested_at": at, "cancel_requested_by": "ann", **fields})


def test_job_whose_end_is_asked_for_looks_so_everywhere(client: Client, make_job: MakeJob) -> None:
    job = cancelling(make_job, 5)
    for address in ("/", f"/jobs/{job.job_id}", f"/fragments/jobs/{job.job_id}"):
        html = html_of(client, address)
        assert "<span>Cancelling…</span>" in html
        assert "status-warning" in html
        assert LATE not in html
    html = html_of(client, f"/jobs/{job.job_id}")
    assert "Cancel requested." in html
    assert "Asked for by ann" in html
    # The script tells by the API's word whether the job still runs.
    assert 'data-job-status="running"' in html
    assert "Retry" not in html


def test_wish_without_a_confirmation_is_a_warning_after_a_minute_with_a_way_to_ask_again(
    client: Client, make_job: MakeJob
) -> None:
    job = cancelling(make_job, 61, cancel_accepted_at=timezone.now())
    for address in ("/", f"/jobs/{job.job_id}"):
        html = html_of(client, address)
        assert LATE in html
        assert f'action="/jobs/{job.job_id}/cancel"' in html
        assert "Retry" in html


def test_why_a_wish_was_not_heard_is_told_at_once(client: Client, make_job: MakeJob) -> None:
    job = cancelling(make_job, 2, cancel_error="Replicate answered HTTP 500.")
    for address in ("/", f"/jobs/{job.job_id}"):
        html = html_of(client, address)
        assert "Replicate answered HTTP 500." in html
        assert "Retry" in html


def test_end_that_the_budget_asked_for_says_so(client: Client, make_job: MakeJob) -> None:
    job = cancelling(make_job, 2, cancel_requested_by=BUDGET_WATCH.name)
    assert "Budget reached: cancel sent." in html_of(client, f"/jobs/{job.job_id}")


def test_wish_of_an_ended_job_is_not_spoken_of(client: Client, make_job: MakeJob) -> None:
    job = cancelling(make_job, 100, status="completed")
    for address in ("/", f"/jobs/{job.job_id}"):
        html = html_of(client, address)
        assert "Cancelling" not in html
        assert LATE not in html


def test_retry_asks_the_provider_again(client: Client, sandbox: RunningSandbox) -> None:
    external = sandbox.add_job(created_offset=-60, durations={"queue": 1, "train": 9e5}, ignores_cancel=True)
    sync.discover_jobs("replicate")
    job = UnifiedJob.objects.get(external_id=external["id"])
    for number in (1, 2):
        answer = client.post(f"/jobs/{job.job_id}/cancel", {"next": "/?status=running"}, follow=True)
        assert answer.redirect_chain == [("/?status=running", 302)]
        assert messages_of(answer) == ["Cancel requested"]
        assert sandbox.requests()["counts"]["POST /v1/trainings/{id}/cancel"] == number


def test_provider_that_is_away_is_told_with_the_wish_that_stays(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    sandbox.fault("status", status=500)
    job = make_job()
    (message,) = messages_of(client.post(f"/jobs/{job.job_id}/cancel", follow=True))
    assert "The cancellation is noted and will be asked for again." in message


def test_waiting_job_is_cancelled_here_and_nobody_is_said_to_have_confirmed_it(
    client: Client, make_job: MakeJob
) -> None:
    job = make_job(status="pending", external_id=None)
    QueueEntry.objects.create(job=job)
    question = html_of(client, f"/jobs/{job.job_id}/cancel")
    assert "It still waits here: Replicate has not been asked for it." in question
    answer = client.post(f"/jobs/{job.job_id}/cancel", follow=True)
    assert messages_of(answer) == ["Cancelled before it was sent to its provider"]


def test_deleting_asks_first_and_says_what_goes(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="failed", config_name="portraits")
    address = f"/jobs/{job.job_id}/delete"
    assert f'href="{address}"' in html_of(client, f"/jobs/{job.job_id}")
    question = html_of(client, address)
    assert "Delete the record of “portraits”?" in question
    assert UnifiedJob.objects.count() == 1
    answer = client.post(address, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    assert messages_of(answer) == ["The job's record was deleted."]
    assert UnifiedJob.objects.count() == 0
    assert client.post(address).status_code == 404


def test_active_job_offers_no_deletion(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    assert "/delete" not in html_of(client, f"/jobs/{job.job_id}")
    for answer in (
        client.get(f"/jobs/{job.job_id}/delete", follow=True),
        client.post(f"/jobs/{job.job_id}/delete", follow=True),
    ):
        assert "jobs that have ended can be deleted" in messages_of(answer)[0]
    assert UnifiedJob.objects.count() == 1


@pytest.mark.parametrize("action", ["delete", "claim", "ignore", "unignore", "budget", "cancel"])
def test_forms_need_their_token_and_a_job(make_job: MakeJob, action: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    job = make_job(status="failed")
    assert strict.post(f"/jobs/{job.job_id}/{action}").status_code == 403
    assert Client().post(f"/jobs/nobody/{action}").status_code == 404
    job.refresh_from_db()
    assert job.owner is None


@pytest.mark.parametrize("action", ["claim", "ignore", "unignore", "budget"])
def test_reloading_the_address_of_a_form_does_nothing(client: Client, make_job: MakeJob, action: str) -> None:
    job = make_job()
    answer = client.get(f"/jobs/{job.job_id}/{action}")
    assert answer.headers["Location"] == f"/jobs/{job.job_id}"
    job.refresh_from_db()
    assert (job.owner, job.ignored_at, job.budget_usd) == (None, None, None)
