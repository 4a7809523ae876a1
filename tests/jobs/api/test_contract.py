"""The API as the contract has it (SPEC A2, A4, A8, B4, B5)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs.models import QueueEntry, UnifiedJob
from jobs.services import sync
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

JOB_KEYS = {
    *("job_id", "job_type", "provider", "external_id", "status", "config_name", "created_at", "started_at"),
    *("completed_at", "finished_at", "cost_usd", "hardware_type", "error_message", "output_url", "duration_seconds"),
    *("is_active", "is_terminal", "stage", "progress", "last_log", "queue_position", "last_synced_at"),
    "estimated_wait_seconds",
    *("last_sync_error", "lost_at", "logs_state", "owner", "origin", "is_cancelling", "cancel_requested_at"),
    *("budget_usd", "metadata"),
}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert isinstance(body["detail"], str)
    assert body["detail"]
    return body


def test_job_has_every_key_of_the_contract(make_job: MakeJob, client: Client) -> None:
    make_job(
        status="completed",
        started_at=NOON,
        completed_at=NOON.replace(hour=13),
        cost_usd=Decimal("3.51"),
        config_name="portrait",
    )
    job = client.get("/api/cloud/jobs").json()["jobs"][0]
    assert set(job) == JOB_KEYS
    assert job["finished_at"] == job["completed_at"] == "2026-11-20T13:00:00Z"
    assert (job["cost_usd"], job["duration_seconds"], job["progress"]) == (3.51, 3600.0, 100.0)
    assert (job["is_active"], job["is_terminal"]) == (False, True)
    assert client.get(f"/api/cloud/jobs/{job['job_id']}").json() == {"job": job}


def test_job_is_found_by_its_providers_id_too(make_job: MakeJob, client: Client) -> None:
    job = make_job(job_id="ours", external_id="theirs")
    assert client.get("/api/cloud/jobs/theirs").json()["job"]["job_id"] == job.job_id


def test_total_counts_all_matches_not_the_page(make_job: MakeJob, client: Client) -> None:
    for number in range(7):
        make_job(status="failed" if number < 3 else "running")
    body = client.get("/api/cloud/jobs?limit=2&offset=2").json()
    assert (len(body["jobs"]), body["total"]) == (2, 7)
    body = client.get("/api/cloud/jobs?status=failed&limit=1").json()
    assert (len(body["jobs"]), body["total"]) == (1, 3)
    assert "sync" not in body


def test_list_is_newest_first_and_pages_do_not_overlap(make_job: MakeJob, client: Client) -> None:
    ids = [make_job(created_at=NOON.replace(minute=number)).job_id for number in range(5)]
    first = client.get("/api/cloud/jobs?limit=3").json()["jobs"]
    second = client.get("/api/cloud/jobs?limit=3&offset=3").json()["jobs"]
    assert [job["job_id"] for job in first + second] == ids[::-1]


def test_filters_narrow_the_list_and_empty_ones_do_not(make_job: MakeJob, client: Client) -> None:
    make_job(status="running")
    make_job(status="running", job_type="local", provider="", external_id=None)
    assert client.get("/api/cloud/jobs?job_type=local").json()["total"] == 1
    assert client.get("/api/cloud/jobs?provider=replicate").json()["total"] == 1
    assert client.get("/api/cloud/jobs?limit=20&status=&provider=&job_type=").json()["total"] == 2


def test_list_without_sync_active_asks_no_provider(make_job: MakeJob, client: Client, sandbox: RunningSandbox) -> None:
    make_job()
    client.get("/api/cloud/jobs")
    assert sandbox.requests()["total"] == 0


def test_list_costs_as_many_queries_for_a_page_of_fifty_as_for_five(make_job: MakeJob, client: Client) -> None:
    client.get("/api/cloud/jobs")  # the owner's account is looked up once
    counts = []
    for _ in range(2):
        for _ in range(25):
            QueueEntry.objects.create(job=make_job(status="pending", external_id=None))
        with CaptureQueriesContext(connection) as queries:
            client.get("/api/cloud/jobs")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_waiting_job_tells_its_place_in_the_queue(make_job: MakeJob, client: Client) -> None:
    jobs = [make_job(status="pending", external_id=None, job_id=f"waiting{number}") for number in range(3)]
    for job, priority in zip(jobs, (10, 20, 10), strict=True):
        QueueEntry.objects.create(job=job, priority=priority)
    places = {job["job_id"]: job["queue_position"] for job in client.get("/api/cloud/jobs").json()["jobs"]}
    assert places == {"waiting1": 1, "waiting0": 2, "waiting2": 3}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e9", "limit"),
        ("limit=1000000000", "limit"),
        ("limit=abc", "limit"),
        ("offset=-5", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("status=bogus", "status"),
        ("provider=nowhere", "provider"),
        ("job_type=bogus", "job_type"),
        ("sync_active=maybe", "sync_active"),
        ("status=%00", "status"),
    ],
)
def test_bad_parameter_is_named(client: Client, query: str, field: str) -> None:
    body = refused(client.get(f"/api/cloud/jobs?{query}"), 400, "invalid_parameter")
    assert list(body["errors"]) == [field]
    assert field in body["detail"]


@pytest.mark.parametrize("job_id", ["nope", "..%5C..%5Cetc", "%00", "x" * 5000, "' OR 1=1 --", "n%C3%A4me"])
def test_unknown_job_is_404(client: Client, job_id: str) -> None:
    for path in ("", "/logs", "/inline-progress"):
        refused(client.get(f"/api/cloud/jobs/{job_id}{path}"), 404, "job_not_found")
    refused(client.post(f"/api/cloud/jobs/{job_id}/cancel"), 404, "job_not_found")


def test_sync_answers_what_it_discovered(client: Client, sandbox: RunningSandbox) -> None:
    for _ in range(3):
        sandbox.add_job(kind="training", created_offset=-60)
    answer = client.post("/api/cloud/jobs/sync")
    assert answer.status_code == 200
    assert answer.json() == {
        "synced": 3,
        "message": "Discovered 3 new jobs from Replicate",
        "updated": 0,
        "errors": [],
        "joined": False,
    }
    assert client.post("/api/cloud/jobs/sync/").json()["message"] == "Discovered 0 new jobs from Replicate"


def test_sync_that_read_only_part_says_so(client: Client, sandbox: RunningSandbox) -> None:
    sandbox.add_job(kind="training", created_offset=-60)
    sandbox.fault("status", status=503, match={"path": "/v1/predictions*"})
    answer = client.post("/api/cloud/jobs/sync")
    assert answer.status_code == 200
    body = answer.json()
    assert body["synced"] == 1
    assert body["message"].startswith("Discovered 1 new jobs from Replicate, but only part could be read: ")
    assert len(body["errors"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"content_type": "application/json", "data": "{}"}, id="empty object"),
        pytest.param({"content_type": "application/json", "data": '{"provider": "replicate"}'}, id="named"),
        pytest.param({"data": {"provider": "replicate"}}, id="form"),
    ],
)
def test_sync_takes_its_provider_in_any_form(client: Client, sandbox: RunningSandbox, body: dict[str, Any]) -> None:
    assert client.post("/api/cloud/jobs/sync", **body).status_code == 200


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ('{"provider": "nowhere"}', "invalid_parameter"),
        ('{"provider": 5}', "invalid_parameter"),
        ("[]", "invalid_parameter"),
        ('"text"', "invalid_parameter"),
        ("{", "parse_error"),
    ],
)
def test_sync_refuses_a_bad_body(client: Client, data: str, code: str) -> None:
    refused(client.post("/api/cloud/jobs/sync", data, content_type="application/json"), 400, code)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "status", "status": 500}, 502, "provider_error"),
        ({"kind": "status", "status": 403}, 502, "provider_error"),
        ({"kind": "status", "status": 422}, 502, "provider_error"),
        ({"kind": "html"}, 502, "provider_error"),
        ({"kind": "list_body"}, 502, "provider_error"),
        ({"kind": "429", "retry_after": 40}, 429, "provider_rate_limited"),
        ({"kind": "status", "status": 504}, 504, "provider_timeout"),
    ],
)
def test_failed_sync_is_an_error_never_zero_discovered(
    client: Client, sandbox: RunningSandbox, fault: dict[str, Any], status: int, code: str
) -> None:
    sandbox.fault(**fault)
    answer = client.post("/api/cloud/jobs/sync")
    refused(answer, status, code)
    assert ("Retry-After" in answer.headers) == (status == 429)


def test_provider_without_credentials_is_503(client: Client, settings: Settings) -> None:
    settings.PROVIDERS = {}
    refused(client.post("/api/cloud/jobs/sync"), 503, "provider_not_configured")


def test_sync_active_serves_the_list_and_tells_what_failed(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    sync.discover_jobs("replicate")
    make_job(status="queued")
    body = client.get("/api/cloud/jobs?sync_active=true").json()
    assert (body["sync"]["refreshed"], body["sync"]["failed"]) == (1, 1)
    assert len(body["sync"]["errors"]) == 1
    assert body["total"] == 2


def test_sync_active_answers_200_while_the_provider_is_down(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    make_job(status="running")
    sandbox.fault("status", status=500)
    answer = client.get("/api/cloud/jobs?sync_active=true&limit=5")
    assert answer.status_code == 200
    assert answer.json()["jobs"][0]["status"] == "running"
    assert answer.json()["sync"]["failed"] == 1


def test_change_found_by_sync_active_is_in_the_answer_and_in_the_history(
    client: Client, sandbox: RunningSandbox
) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    sync.discover_jobs("replicate")
    sandbox.change_job(job["id"], status="canceled", completed_at=timezone.now().isoformat())
    found = client.get("/api/cloud/jobs?sync_active=1").json()["jobs"][0]
    assert found["status"] == "cancelled"
    change = UnifiedJob.objects.get().history.first()
    assert change is not None
    assert (change.previous, change.status, change.source) == ("running", "cancelled", "sync_active")


def test_cancel_answers_what_the_provider_made_of_it(client: Client, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    sync.discover_jobs("replicate")
    answer = client.post(f"/api/cloud/jobs/{job['id']}/cancel")
    assert answer.json() == {
        "success": True,
        "job_id": job["id"],
        "status": "cancelled",
        "cancelling": False,
        "message": "Cancelled, confirmed by Replicate.",
    }
    refused(client.post(f"/api/cloud/jobs/{job['id']}/cancel"), 409, "invalid_state")


def test_cancel_that_fails_leaves_the_job_as_it_was(client: Client, sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = make_job(status="running")
    sandbox.fault("status", status=500)
    refused(client.post(f"/api/cloud/jobs/{job.job_id}/cancel"), 502, "provider_error")
    job.refresh_from_db()
    assert job.status == "running"
    assert job.last_sync_error


def test_only_ended_jobs_can_be_deleted(client: Client, make_job: MakeJob) -> None:
    ended, active = make_job(status="failed"), make_job(status="running")
    assert client.delete(f"/api/cloud/jobs/{ended.job_id}").json() == {"success": True, "job_id": ended.job_id}
    refused(client.delete(f"/api/cloud/jobs/{active.job_id}"), 409, "invalid_state")
    assert list(UnifiedJob.objects.values_list("pk", flat=True)) == [active.pk]


def test_validate_tells_whose_credentials_they_are(client: Client, sandbox: RunningSandbox) -> None:
    body = client.get("/api/cloud/providers/replicate/validate").json()
    assert body["valid"] is True
    assert body["user_info"]["username"]
    sandbox.fault("status", status=401)
    body = client.get("/api/cloud/providers/replicate/validate/").json()
    assert body["valid"] is False
    assert "refused the token" in body["error"]
    refused(client.get("/api/cloud/providers/nowhere/validate"), 404, "provider_not_found")


def test_providers_are_listed_without_their_token(client: Client, sandbox: RunningSandbox) -> None:
    answer = client.get("/api/cloud/providers")
    assert [provider["name"] for provider in answer.json()["providers"]] == ["replicate"]
    assert sandbox.token not in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        *("jobs", "metrics", "health", "health/live", "health/ready", "providers"),
        *("jobs/JOB", "jobs/JOB/inline-progress", "jobs/JOB/logs"),
    ],
)
def test_trailing_slash_makes_no_difference_and_no_redirect(client: Client, make_job: MakeJob, path: str) -> None:
    path = path.replace("JOB", make_job(status="completed", external_id=None, job_type="local").job_id)
    assert client.get(f"/api/cloud/{path}").status_code == 200
    assert client.get(f"/api/cloud/{path}/").status_code == 200


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nowhere", "/api/cloud/nowhere/", "/api/cloud"])
def test_address_that_leads_nowhere_is_told_in_json(client: Client, path: str) -> None:
    refused(client.get(path), 404, "not_found")


def test_wrong_method_is_told_in_json(client: Client) -> None:
    refused(client.put("/api/cloud/jobs"), 405, "method_not_allowed")
    refused(client.get("/api/cloud/jobs/sync"), 405, "method_not_allowed")


def test_unforeseen_error_is_a_500_in_json_that_tells_nothing_of_the_inside(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(**_: object) -> None:
        raise RuntimeError("secret detail")

    # The pages are imported with the first request: they must not keep what is planted here for one test.
    assert client.get("/api/cloud/metrics").status_code == 200
    monkeypatch.setattr("jobs.services.metrics.collect", lambda *_args, **_kwargs: explode())
    answer = client.get("/api/cloud/metrics")
    body = refused(answer, 500, "internal_error")
    assert "secret" not in body["detail"]


def test_schema_and_docs_are_served(client: Client) -> None:
    for path in ("/api/schema/", "/api/schema", "/api/docs/", "/api/docs"):
        assert client.get(path).status_code == 200
    schema = client.get("/api/schema/?format=json").json()
    assert "/api/cloud/jobs/{job_id}/inline-progress" in schema["paths"]
    assert "/api/cloud/jobs/sync" in schema["paths"]


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_cursors_lead_through_every_job_once_whatever_comes_in_meanwhile(
    make_job: MakeJob, client: Client, limit: int
) -> None:
    # Several of one moment, so that the key decides.
    expected = [make_job(created_at=NOON - timedelta(minutes=number // 3)).pk for number in range(20)]
    order = list(UnifiedJob.objects.newest_first().values_list("job_id", flat=True))
    seen: list[str] = []
    cursor = ""
    while True:
        body = client.get(f"/api/cloud/jobs?limit={limit}&cursor={cursor}").json()
        seen += [job["job_id"] for job in body["jobs"]]
        make_job(created_at=NOON + timedelta(minutes=len(seen)))
        if body["next_cursor"] is None:
            break
        cursor = body["next_cursor"]
    assert seen == order
    assert len(order) == len(expected)


@pytest.mark.parametrize(
    "cursor", ["nonsense", "MjAyNg==", "%00", "bm90IGEgdGltZSA1", "é", "MjAyNi0xMS0yMFQxMjowMDowMCA1"]
)
def test_a_cursor_that_is_none_is_refused(client: Client, db: None, cursor: str) -> None:
    answer = client.get(f"/api/cloud/jobs?cursor={cursor}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["cursor"])


def test_a_cursor_and_an_offset_are_refused_together(make_job: MakeJob, client: Client) -> None:
    for _ in range(3):
        make_job()
    cursor = client.get("/api/cloud/jobs?limit=1").json()["next_cursor"]
    answer = client.get(f"/api/cloud/jobs?cursor={cursor}&offset=1")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["cursor"])
