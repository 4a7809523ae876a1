from __future__ import annotations

import asyncio
import time

import pytest
import requests
from starlette.types import Message

from providers.sandbox.options import Options
from providers.sandbox.server import create_app
from tests.sandbox_server import Json, RunningSandbox, running_sandbox


def test_the_running_sandbox_is_up_within_a_third_of_a_second() -> None:
    seconds = []
    for _ in range(3):
        before = time.perf_counter()
        with running_sandbox() as sandbox:
            seconds.append(time.perf_counter() - before)
            assert sandbox.get("/account")["type"] == "organization"
    assert min(seconds) < 0.3


def test_two_sandboxes_share_nothing() -> None:
    with running_sandbox() as one, running_sandbox(token="other") as other:
        one.add_job()
        assert len(one.get("/trainings")["results"]) == 1
        assert other.get("/trainings")["results"] == []
        assert (
            requests.get(f"{one.url}/v1/account", headers={"Authorization": "Bearer other"}, timeout=5).status_code
            == 401
        )


def test_a_job_can_be_given_in_every_detail(sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(
        kind="prediction", id="a" * 26, model="acme/mugs", version="v1", source="web", input={"prompt": "x"},
        created_offset=-1000, durations={"queue": 5, "load": 5, "preprocess": 0, "train": 20, "finish": 0},
        total_steps=10, logs="line one\n", style="image",
    )  # fmt: skip
    assert (job["id"], job["model"], job["version"], job["source"]) == ("a" * 26, "acme/mugs", "v1", "web")
    assert (job["status"], job["input"], job["logs"]) == ("succeeded", {"prompt": "x"}, "line one\n")
    assert job["metrics"]["predict_time"] == pytest.approx(25, abs=1e-5)
    assert sandbox.get(f"/predictions/{'a' * 26}") == job


@pytest.mark.parametrize(
    "plan",
    [
        {"kind": "daydream"},
        {"outcome": "maybe"},
        {"colour": "red"},
        {"durations": {"nap": 1}},
        {"created_offset": "x"},
    ],
)
def test_a_job_with_a_typo_is_refused(sandbox: RunningSandbox, plan: Json) -> None:
    assert sandbox.call("POST", "/_sandbox/jobs", json=plan).status_code == 422
    assert sandbox.get("/trainings")["results"] == []


def test_an_id_cannot_be_given_twice(sandbox: RunningSandbox) -> None:
    sandbox.add_job(id="b" * 26)
    assert sandbox.call("POST", "/_sandbox/jobs", json={"id": "b" * 26}).status_code == 422


def test_a_raw_status_may_be_any_word(sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(status="hibernating")
    assert sandbox.get(f"/trainings/{job['id']}")["status"] == "hibernating"
    assert sandbox.get("/trainings")["results"][0]["status"] == "hibernating"


def test_a_job_can_be_forced_into_any_state(sandbox: RunningSandbox) -> None:
    job = sandbox.add_job()
    sandbox.change_job(job["id"], status="failed", error="E1001", completed_at="2030-01-01T00:00:00.000000Z", logs=None)
    forced = sandbox.get(f"/trainings/{job['id']}")
    assert (forced["status"], forced["error"], forced["logs"]) == ("failed", "E1001", None)
    assert forced["completed_at"] == "2030-01-01T00:00:00.000000Z"
    assert "logs" not in sandbox.get("/trainings")["results"][0]


def test_a_lost_job_is_gone_from_everywhere(sandbox: RunningSandbox) -> None:
    lost, kept = sandbox.add_job(), sandbox.add_job()
    sandbox.change_job(lost["id"], removed=True)
    assert sandbox.call("GET", f"/v1/trainings/{lost['id']}").status_code == 404
    assert sandbox.call("POST", f"/v1/trainings/{lost['id']}/cancel").status_code == 404
    assert [row["id"] for row in sandbox.get("/trainings")["results"]] == [kept["id"]]


def test_time_can_be_jumped(sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(durations={"queue": 100})
    sandbox.advance(99)
    assert sandbox.get(f"/trainings/{job['id']}")["status"] == "starting"
    sandbox.advance(1)
    assert sandbox.get(f"/trainings/{job['id']}")["status"] == "processing"


def test_requests_are_counted_by_method_and_template(sandbox: RunningSandbox) -> None:
    job = sandbox.add_job()
    sandbox.reset_requests()
    sandbox.get("/trainings", cursor="cD0xLjB8YQ==")
    sandbox.get(f"/trainings/{job['id']}")
    sandbox.get(f"/trainings/{job['id']}")
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    sandbox.call("GET", "/v1/nowhere")
    seen = sandbox.requests()
    assert seen["counts"] == {
        "GET /v1/trainings": 1,
        "GET /v1/trainings/{id}": 2,
        "POST /v1/trainings/{id}/cancel": 1,
        "GET unknown": 1,
    }
    assert seen["total"] == 5
    assert [call["status"] for call in seen["last"]] == [200, 200, 200, 200, 404]
    assert seen["last"][0]["query"] == "cursor=cD0xLjB8YQ%3D%3D"
    sandbox.reset_requests()
    assert sandbox.requests()["total"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "requests"), ("POST", "faults"), ("POST", "jobs"), ("PATCH", "jobs/a"), ("POST", "clock")],
)
def test_the_control_api_is_not_for_other_machines(method: str, path: str) -> None:
    statuses = []

    async def ask() -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Message) -> None:
            statuses.append(message.get("status"))

        scope = {"type": "http", "method": method, "path": f"/_sandbox/{path}", "headers": [], "query_string": b""}
        await create_app(Options(population="none"))({**scope, "client": ("203.0.113.9", 50000)}, receive, send)

    asyncio.run(ask())
    assert statuses[0] == 403
