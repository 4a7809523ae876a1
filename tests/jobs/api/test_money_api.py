"""Cancelling, claiming, budgets and spend over the API: shapes, refusals, and what a bad request is told."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from jobs.models import UnifiedJob
from jobs.services import sync
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

JSON = "application/json"


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert isinstance(body["detail"], str)
    return body


def test_provider_that_runs_on_is_told_as_cancelling(client: Client, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(created_offset=-60, durations={"queue": 1, "train": 9e5}, ignores_cancel=True)
    sync.discover_jobs("replicate")
    body = client.post(f"/api/cloud/jobs/{job['id']}/cancel/").json()
    assert (body["success"], body["status"], body["cancelling"]) == (True, "running", True)
    assert "bills until" in body["message"]
    told = client.get(f"/api/cloud/jobs/{job['id']}").json()["job"]
    assert told["is_cancelling"] is True
    assert told["cancel_requested_at"] is not None


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "status", "status": 504}, 504, "provider_timeout"),
        ({"kind": "status", "status": 500}, 502, "provider_error"),
        ({"kind": "429", "retry_after": 40}, 429, "provider_rate_limited"),
    ],
)
def test_failure_is_never_told_as_success_and_says_that_the_wish_is_noted(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob, fault: dict[str, Any], status: int, code: str
) -> None:
    job = make_job()
    sandbox.fault(**fault)
    body = refused(client.post(f"/api/cloud/jobs/{job.job_id}/cancel"), status, code)
    assert body["detail"].endswith("The cancellation is noted and will be asked for again.")
    assert client.get(f"/api/cloud/jobs/{job.job_id}").json()["job"]["is_cancelling"] is True


def test_many_are_cancelled_in_one_request(client: Client, sandbox: RunningSandbox, make_job: MakeJob) -> None:
    fine = sandbox.add_job(created_offset=-60, durations={"queue": 1, "train": 9e5})["id"]
    sync.discover_jobs("replicate")
    ended = make_job(status="failed").job_id
    answer = client.post("/api/cloud/jobs/cancel", {"job_ids": [fine, ended, "nope"]}, content_type=JSON)
    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is False
    assert [(row["job_id"], row["success"], row["status"], row["code"]) for row in body["results"]] == [
        (fine, True, "cancelled", ""),
        (ended, False, None, "invalid_state"),
        ("nope", False, None, "job_not_found"),
    ]
    assert all(row["message"] for row in body["results"])


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], {"job_ids": []}, {"job_ids": "abc"}, {"job_ids": [None]}, {"job_ids": [{}]}),
        *({"job_ids": ["x" * 129]}, {"job_ids": ["a\x00"]}, {"job_ids": [str(n) for n in range(101)]}),
    ],
)
def test_bad_list_of_jobs_is_refused(client: Client, body: Any) -> None:
    refused(client.post("/api/cloud/jobs/cancel", body, content_type=JSON), 400, "invalid_parameter")


def test_claim_and_ignore_over_the_api(client: Client, make_job: MakeJob) -> None:
    job = make_job().job_id
    path = f"/api/cloud/jobs/{job}"
    assert client.post(f"{path}/ignore").json() == {"success": True, "job_id": job, "owner": None, "ignored": True}
    assert client.post(f"{path}/unignore").json()["ignored"] is False
    assert client.post(f"{path}/claim").json() == {"success": True, "job_id": job, "owner": "owner", "ignored": False}
    refused(client.post(f"{path}/ignore"), 409, "invalid_state")
    get_user_model().objects.create_user("ann")
    refused(client.post(f"{path}/claim", {"user": "ann"}, content_type=JSON), 409, "invalid_state")
    other = make_job().job_id
    answer = client.post(f"/api/cloud/jobs/{other}/claim", {"user": "ann"}, content_type=JSON)
    assert answer.json()["owner"] == "ann"


@pytest.mark.parametrize("user", ["nobody", "", "x" * 151, 5, ["a"], {"a": 1}, "a\x00"])
def test_claim_for_a_user_who_is_not_there_names_the_field(client: Client, make_job: MakeJob, user: Any) -> None:
    answer = client.post(f"/api/cloud/jobs/{make_job().job_id}/claim", {"user": user}, content_type=JSON)
    assert list(refused(answer, 400, "invalid_parameter")["errors"]) == ["user"]
    assert UnifiedJob.objects.get().owner is None


@pytest.mark.parametrize("action", ["claim", "ignore", "unignore", "cancel"])
def test_what_is_not_there_is_404_and_other_methods_are_405(client: Client, make_job: MakeJob, action: str) -> None:
    refused(client.post(f"/api/cloud/jobs/nope/{action}"), 404, "job_not_found")
    refused(client.post(f"/api/cloud/jobs/%00/{action}"), 404, "job_not_found")
    refused(client.get(f"/api/cloud/jobs/{make_job().job_id}/{action}"), 405, "method_not_allowed")


def test_budget_over_the_api(client: Client, make_job: MakeJob) -> None:
    job = make_job(hardware_type="gpu-h100", started_at=timezone.now(), cost_usd=Decimal("2.5"))
    path = f"/api/cloud/jobs/{job.job_id}/budget"
    body = client.put(path, {"budget_usd": 10}, content_type=JSON).json()
    assert (body["budget_usd"], body["cost_usd"], body["percent"], body["watched"]) == (10.0, 2.5, 25.0, True)
    assert client.get(f"/api/cloud/jobs/{job.job_id}").json()["job"]["budget_usd"] == 10.0
    body = client.put(path, {"budget_usd": None}, content_type=JSON).json()
    assert (body["budget_usd"], body["percent"], body["watched"]) == (None, None, False)
    refused(client.post(path), 405, "method_not_allowed")
    refused(client.put("/api/cloud/jobs/nope/budget", {"budget_usd": 1}, content_type=JSON), 404, "job_not_found")
    ended = make_job(status="failed").job_id
    answer = client.put(f"/api/cloud/jobs/{ended}/budget", {"budget_usd": 1}, content_type=JSON)
    refused(answer, 409, "invalid_state")


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "abc", "NaN", "Infinity", 1e300, "1e400", [], {}, 0.00000001])
def test_bad_budget_names_its_field(client: Client, make_job: MakeJob, value: Any) -> None:
    job = make_job(hardware_type="gpu-h100", started_at=timezone.now(), cost_usd=Decimal("2.5"))
    answer = client.put(f"/api/cloud/jobs/{job.job_id}/budget", {"budget_usd": value}, content_type=JSON)
    assert list(refused(answer, 400, "invalid_parameter")["errors"]) == ["budget_usd"]
    job.refresh_from_db()
    assert job.budget_usd is None


def test_budget_that_is_not_named_is_missed(client: Client, make_job: MakeJob) -> None:
    answer = client.put(f"/api/cloud/jobs/{make_job().job_id}/budget", {}, content_type=JSON)
    assert list(refused(answer, 400, "invalid_parameter")["errors"]) == ["budget_usd"]


def test_spend_over_the_api(client: Client, make_job: MakeJob) -> None:
    make_job(cost_usd=Decimal("1.25"), hardware_type="gpu-h100")
    make_job(started_at=timezone.now())
    body = client.get("/api/cloud/spend?days=2&group=hardware").json()
    assert body | {"since": ""} == {
        "period_days": 2,
        "since": "",
        "group": "hardware",
        "total_cost_usd": 1.25,
        "jobs": 2,
        "unknown_cost_count": 1,
        "rows": [
            {"key": "gpu-h100", "cost_usd": 1.25, "jobs": 1, "unknown_cost_count": 0},
            {"key": "", "cost_usd": 0.0, "jobs": 1, "unknown_cost_count": 1},
        ],
    }
    assert len(client.get("/api/cloud/spend").json()["rows"]) == 30
    assert client.get("/api/cloud/spend/?group=owner").status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [("days=0", "days"), ("days=abc", "days"), ("days=99999", "days"), ("group=planet", "group")],
)
def test_bad_parameter_of_spend_is_named(client: Client, query: str, field: str) -> None:
    assert list(refused(client.get(f"/api/cloud/spend?{query}"), 400, "invalid_parameter")["errors"]) == [field]
