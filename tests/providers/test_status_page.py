"""Replicate's public status page, as it is read."""

from typing import Any

import pytest
import responses

from providers.errors import ProviderError, ProviderNotThere, ProviderTimeout, ProviderUnavailable, UnexpectedPayload
from providers.replicate import provider as replicate
from providers.replicate.provider import ReplicateProvider
from providers.replicate.status_page import MAX_NOTES, status_page
from tests.sandbox_server import RunningSandbox, running_sandbox

INCIDENT = {
    "id": "01J",
    "name": "Elevated errors",
    "status": "investigating",
    "url": "https://www.replicatestatus.com/incidents/01J",
    "current_worst_impact": "partial_outage",
    "last_update_at": "2026-11-25T08:00:00Z",
    "last_update_message": "We look into it.",
    "affected_components": [{"id": "c1", "name": "Predictions", "current_status": "partial_outage"}],
}


def asked(url: str) -> ReplicateProvider:
    return ReplicateProvider(token="a-token-that-nobody-else-sees", status_url=url)


def test_page_is_read_as_it_is_published() -> None:
    page = status_page(
        {
            "page_url": "https://www.replicatestatus.com/",
            "ongoing_incidents": [INCIDENT],
            "in_progress_maintenances": [],
            "scheduled_maintenances": [{"name": "Network", "starts_at": "2026-12-01T00:00:00Z", "ends_at": None}],
        }
    )
    assert page.page_url == "https://www.replicatestatus.com/"
    assert page.incidents == (INCIDENT,)
    assert page.maintenances == ()
    assert page.planned == ({"name": "Network", "starts_at": "2026-12-01T00:00:00Z", "affected_components": []},)


@pytest.mark.parametrize("payload", [None, [], "ok", {}, {"incidents": []}, {"ongoing_incidents": "none"}])
def test_what_is_no_summary_is_not_taken_for_all_being_well(payload: object) -> None:
    with pytest.raises(UnexpectedPayload):
        status_page(payload)


@pytest.mark.parametrize(
    ("note", "read"),
    [
        pytest.param({}, {"name": "unnamed"}, id="nothing in it"),
        pytest.param({"name": 5, "status": ["x"], "extra": 1}, {"name": "unnamed"}, id="wrong types and unknown keys"),
        pytest.param({"name": "a", "url": "javascript:alert(1)"}, {"name": "a"}, id="a link that is no page"),
        pytest.param({"name": "a", "url": "https://[bad"}, {"name": "a"}, id="a link that is none"),
        pytest.param({"name": "a\x00b"}, {"name": "a\ufffdb"}, id="what no database takes"),
        pytest.param({"name": "a", "affected_components": "all"}, {"name": "a"}, id="components that are none"),
    ],
)
def test_odd_notes_are_read_as_far_as_they_make_sense(note: dict[str, Any], read: dict[str, Any]) -> None:
    page = status_page({"ongoing_incidents": [note, "not a note"]})
    assert page.incidents == ({"affected_components": [], **read},)


def test_page_without_end_is_cut() -> None:
    page = status_page({"ongoing_incidents": [{"name": "x" * 100_000}] * 10_000})
    assert len(page.incidents) == MAX_NOTES
    assert len(page.incidents[0]["name"]) == 2000


def test_token_is_not_sent_to_the_status_page(http: responses.RequestsMock) -> None:
    http.get("https://status.invalid/api/v1/summary", json={"ongoing_incidents": [INCIDENT]})
    assert asked("https://status.invalid/api/v1/summary").status_page().incidents == (INCIDENT,)
    assert "Authorization" not in http.calls[0].request.headers
    assert "a-token-that-nobody-else-sees" not in str(http.calls[0].request.headers)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 401}, ProviderNotThere),
        ({"kind": "status", "status": 404}, ProviderNotThere),
        ({"kind": "status", "status": 422}, ProviderNotThere),
        ({"kind": "status", "status": 503}, ProviderUnavailable),
        ({"kind": "html"}, UnexpectedPayload),
        ({"kind": "null_body"}, UnexpectedPayload),
        ({"kind": "reset"}, ProviderUnavailable),
        ({"kind": "429"}, ProviderError),
    ],
    ids=str,
)
def test_every_trouble_with_the_page_is_an_error_in_our_words(
    fault: dict[str, Any], error: type[ProviderError]
) -> None:
    with running_sandbox() as sandbox:
        sandbox.fault(**fault, path="/api/*")
        with pytest.raises(error, match="status page") as caught:
            asked(f"{sandbox.url}/api/v1/summary").status_page()
        assert "token" not in caught.value.message


def test_page_that_hangs_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate, "STATUS_SECONDS", 0.2)
    with running_sandbox() as sandbox:
        sandbox.fault("timeout", path="/api/*")
        with pytest.raises(ProviderTimeout):
            asked(f"{sandbox.url}/api/v1/summary").status_page()


def page_of(sandbox: RunningSandbox) -> Any:
    return sandbox.call("GET", "/api/v1/summary", headers={"Authorization": ""}).json()


def test_sandbox_has_a_status_page_on_which_trouble_can_be_planned() -> None:
    with running_sandbox() as sandbox:
        assert page_of(sandbox)["ongoing_incidents"] == []
        sandbox.plan_status_page(ongoing_incidents=[{"name": "Slow"}, {}], scheduled_maintenances=[{}])
        page = page_of(sandbox)
        assert page["ongoing_incidents"][0]["name"] == "Slow"
        assert len({note["id"] for note in page["ongoing_incidents"]}) == 2
        assert page["scheduled_maintenances"][0]["status"] == "maintenance_scheduled"
        read = asked(f"{sandbox.url}/api/v1/summary").status_page()
        assert [note["current_worst_impact"] for note in read.incidents] == ["partial_outage"] * 2
        sandbox.call("DELETE", "/_sandbox/status-page")
        assert page_of(sandbox)["ongoing_incidents"] == []


@pytest.mark.parametrize("plan", [{"incidents": []}, {"ongoing_incidents": "x"}, {"ongoing_incidents": ["x"]}, []])
def test_sandbox_refuses_a_plan_with_a_typo(plan: object) -> None:
    with running_sandbox() as sandbox:
        assert sandbox.call("PUT", "/_sandbox/status-page", json=plan).status_code in (400, 422)
        assert page_of(sandbox)["ongoing_incidents"] == []
