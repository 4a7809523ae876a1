"""``POST /api/cloud/jobs/sync?history=true`` and what tells of it."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from jobs.models import HistoryWalk, UnifiedJob
from jobs.services import history_walk
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

URL = "/api/cloud/jobs/sync"
PROGRESS = f"{URL}/history"


def post(client: Client, url: str, body: Any = None) -> Any:
    return client.post(url, body, content_type="application/json") if body is not None else client.post(url)


@pytest.mark.parametrize(
    ("url", "body"),
    [
        (f"{URL}?history=true", None),
        (f"{URL}/?history=1", None),
        (URL, {"history": True}),
        (URL, {"history": "yes", "provider": "replicate"}),
        (f"{URL}?provider=replicate", {"history": True}),
        (f"{URL}?history=true", {"history": False}),
    ],
)
def test_history_is_asked_for_in_the_query_or_the_body_and_answered_at_once(
    client: Client, sandbox: RunningSandbox, url: str, body: Any
) -> None:
    answer = post(client, url, body)
    told = answer.json()
    assert answer.status_code == 202
    assert list(told)[:2] == ["synced", "message"]
    assert told["message"] == "Importing the whole history from Replicate in the background"
    assert (told["synced"], told["updated"], told["errors"], told["joined"]) == (0, 0, [], False)
    assert told["history"] == client.get(PROGRESS).json()["history"]
    assert (told["history"]["state"], told["history"]["pages"]) == ("running", 0)
    assert sandbox.requests()["total"] == 0


@pytest.mark.parametrize(
    ("url", "body"),
    [(URL, None), (f"{URL}?history=false", None), (f"{URL}?history=", None), (URL, {"history": False}), (URL, {})],
)
def test_plain_sync_is_what_it_was(client: Client, sandbox: RunningSandbox, url: str, body: Any) -> None:
    sandbox.add_job(kind="training", created_offset=-60)
    answer = post(client, url, body)
    assert answer.status_code == 200
    assert answer.json() == {
        "synced": 1,
        "message": "Discovered 1 new jobs from Replicate",
        "updated": 0,
        "errors": [],
        "joined": False,
    }
    assert not HistoryWalk.objects.exists()


def test_who_asks_while_it_runs_joins_and_is_told_how_far_it_is(client: Client, sandbox: RunningSandbox) -> None:
    first = post(client, f"{URL}?history=true").json()
    HistoryWalk.objects.update(seen=1200, found=340)
    second = post(client, f"{URL}?history=true")
    assert (second.status_code, second.json()["joined"]) == (202, True)
    assert second.json()["history"]["id"] == first["history"]["id"]
    assert second.json()["message"].endswith("1200 jobs read, 340 new")


def test_progress_is_null_before_the_first_walk_and_tells_the_newest_after(
    client: Client, sandbox: RunningSandbox
) -> None:
    sandbox.add_job(kind="training", created_offset=-60)
    assert client.get(PROGRESS).json() == {"history": None}
    post(client, f"{URL}?history=true")
    history_walk.advance()
    told = client.get(f"{PROGRESS}?provider=replicate").json()["history"]
    assert set(told) == {
        *("id", "provider", "state", "pages", "seen", "found", "updated", "unreadable", "started_at", "updated_at"),
        *("finished_at", "next_try_at", "error", "notes"),
    }
    assert (told["state"], told["pages"], told["seen"], told["found"]) == ("completed", 2, 1, 1)
    assert told["finished_at"].endswith("Z")


def test_running_walk_can_be_stopped_and_keeps_what_it_found(client: Client, sandbox: RunningSandbox) -> None:
    post(client, f"{URL}?history=true")
    assert client.delete(PROGRESS).json()["history"]["state"] == "cancelled"
    again = client.delete(PROGRESS)
    assert (again.status_code, again.json()["code"]) == (409, "invalid_state")


@pytest.mark.parametrize(
    ("url", "body"), [(f"{URL}?history=maybe", None), (URL, {"history": "maybe"}), (URL, {"history": None})]
)
def test_what_is_no_yes_or_no_is_refused_by_name(client: Client, url: str, body: Any) -> None:
    answer = post(client, url, body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["history"])
    assert not HistoryWalk.objects.exists()


@pytest.mark.parametrize("body", [[], [1], "text"])
def test_body_that_is_no_object_is_refused(client: Client, body: Any) -> None:
    assert post(client, URL, body).status_code == 400


def test_history_of_a_provider_without_a_token_is_an_error(client: Client, settings: Settings) -> None:
    settings.PROVIDERS = {}
    answer = post(client, f"{URL}?history=true")
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_not_configured")


def test_forms_without_script_start_and_stop_it(client: Client, sandbox: RunningSandbox) -> None:
    assert client.post("/sync/history", {"next": "/?status=failed"}).headers["Location"] == "/?status=failed"
    assert b"Importing history: beginning" in client.get("/").content
    assert client.post("/sync/history/stop").status_code == 302
    assert HistoryWalk.objects.get().state == "cancelled"
    assert client.get("/sync/history").headers["Location"] == "/"
    assert HistoryWalk.objects.count() == 1


def test_page_tells_what_was_odd_about_an_import(client: Client, sandbox: RunningSandbox) -> None:
    HistoryWalk.objects.create(provider="replicate", seen=1200, found=7, unreadable=2, pages=12)
    history_walk.cancel("replicate")
    page = client.get("/fragments/history-import").content.decode()
    assert "History import stopped: 1,200 jobs read, 7 new" in page
    assert "2 rows were not understood." in page
    assert not UnifiedJob.objects.exists()
