"""GET /api/cloud/{provider}/status and the short path of validate."""

import threading
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from jobs import coordination
from jobs.services import provider_calls, provider_status
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

STATUS = "/api/cloud/replicate/status"


def status(client: Client) -> dict[str, Any]:
    answer = client.get(STATUS)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("slash", ["", "/"])
def test_all_is_well_if_the_page_says_so(client: Client, sandbox: RunningSandbox, slash: str) -> None:
    assert client.get(STATUS + slash).json() == {
        "operational": True,
        "ongoing_incidents": [],
        "in_progress_maintenances": [],
        "scheduled_maintenances": [],
        "status_page_url": f"{sandbox.url}/",
        "error": None,
    }


@pytest.mark.parametrize(
    ("lists", "operational"),
    [
        ({"ongoing_incidents": [{"name": "Slow"}]}, False),
        ({"in_progress_maintenances": [{"name": "Slow"}]}, False),
        ({"scheduled_maintenances": [{"name": "Slow"}]}, True),
    ],
    ids=["an incident", "work in progress", "work that is planned"],
)
def test_what_goes_on_is_told_and_what_is_planned_alarms_nobody(
    client: Client, sandbox: RunningSandbox, lists: dict[str, Any], operational: bool
) -> None:
    sandbox.plan_status_page(**lists)
    body = status(client)
    assert body["operational"] is operational
    (name,) = lists
    assert [note["name"] for note in body[name]] == ["Slow"]
    assert body[name][0]["affected_components"][0]["name"] == "Predictions"
    assert body["error"] is None


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 500}, {"kind": "reset"}, {"kind": "html"}, {"kind": "list_body"}], ids=str
)
def test_page_that_cannot_be_read_is_told_and_nothing_is_claimed(
    client: Client, sandbox: RunningSandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault(**fault, path="/api/*")
    body = status(client)
    assert "status page" in body["error"]
    assert body["operational"] is None
    assert body["ongoing_incidents"] == []


def test_trouble_of_the_page_is_none_of_the_api(client: Client, sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=500, path="/api/*")
    for _ in range(20):
        coordination.client().flushdb()
        status(client)
    assert not provider_calls.provider_state("replicate").is_failing
    assert client.get("/api/cloud/replicate/validate").json()["valid"] is True


def test_all_who_ask_within_a_minute_share_one_reading(client: Client, sandbox: RunningSandbox) -> None:
    sandbox.fault("latency", seconds=0.2, path="/api/*")
    threads = [threading.Thread(target=provider_status.status_report, args=("replicate",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status(client)
    assert sandbox.requests()["counts"]["GET /api/v1/summary"] == 1


def test_reading_older_than_a_minute_is_not_told(
    client: Client, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(client)["operational"] is True
    sandbox.plan_status_page(ongoing_incidents=[{}])
    assert status(client)["operational"] is True
    monkeypatch.setattr(provider_status, "FRESH_SECONDS", 0.0)
    assert status(client)["operational"] is False


def test_without_a_token_it_is_told_that_nothing_is_configured(client: Client, settings: Settings) -> None:
    settings.PROVIDERS = {}
    assert "not configured" in status(client)["error"]


@pytest.mark.parametrize("provider", ["nobody", "health", "providers", "metrics", "sync"])
@pytest.mark.parametrize("what", ["status", "validate"])
def test_other_words_are_no_providers(client: Client, provider: str, what: str) -> None:
    answer = client.get(f"/api/cloud/{provider}/{what}")
    assert (answer.status_code, answer.json()["code"]) == (404, "provider_not_found")


def test_a_job_may_still_be_called_status(client: Client) -> None:
    for job_id in ("status", "validate"):
        assert client.get(f"/api/cloud/jobs/{job_id}").json()["code"] == "job_not_found"


def test_short_path_of_validate_answers_as_the_long_one(client: Client, sandbox: RunningSandbox) -> None:
    short, long = (client.get(f"/api/cloud/{path}/validate") for path in ("replicate", "providers/replicate"))
    assert short.json() == long.json()
    assert short.json()["user_info"]["username"] == "studio-north"
