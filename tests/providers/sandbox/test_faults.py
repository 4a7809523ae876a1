from __future__ import annotations

import json
import socket
import time

import pytest
import requests

from tests.sandbox_server import Json, RunningSandbox

LIST = "/v1/trainings"


@pytest.fixture
def job(sandbox: RunningSandbox) -> Json:
    return sandbox.add_job(created_offset=-400)


def test_latency_delays_the_usual_answer(sandbox: RunningSandbox, job: Json) -> None:
    sandbox.fault("latency", seconds=0.3)
    before = time.perf_counter()
    assert sandbox.get("/trainings")["results"][0]["id"] == job["id"]
    assert time.perf_counter() - before >= 0.3


def test_latency_adds_to_another_fault(sandbox: RunningSandbox) -> None:
    sandbox.fault("latency", seconds=0.2)
    sandbox.fault("status", status=503)
    before = time.perf_counter()
    assert sandbox.call("GET", LIST).status_code == 503
    assert time.perf_counter() - before >= 0.2


def test_status_answers_with_that_status_and_body(sandbox: RunningSandbox) -> None:
    sandbox.fault(
        "status", status=402, body={"title": "Insufficient credit"}, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"
    )
    answer = sandbox.call("GET", LIST)
    assert (answer.status_code, answer.json()) == (402, {"title": "Insufficient credit"})
    assert answer.headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"


def test_status_body_may_be_plain_text(sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=500, body="oops")
    assert sandbox.call("GET", LIST).text == "oops"


def test_timeout_keeps_silent_until_the_client_gives_up(sandbox: RunningSandbox) -> None:
    sandbox.fault("timeout")
    with pytest.raises(requests.ReadTimeout):
        sandbox.session.get(sandbox.url + LIST, timeout=0.3)


def test_timeout_of_a_given_length_ends_in_a_dropped_connection(sandbox: RunningSandbox) -> None:
    sandbox.fault("timeout", seconds=0.2)
    before = time.perf_counter()
    with pytest.raises(requests.ConnectionError):
        sandbox.call("GET", LIST)
    assert 0.2 <= time.perf_counter() - before < 2.0


def test_reset_drops_the_connection(sandbox: RunningSandbox) -> None:
    sandbox.fault("reset")
    with pytest.raises(requests.ConnectionError, match="reset"):
        requests.get(sandbox.url + LIST, timeout=5)
    assert sandbox.requests()["last"][-1]["status"] is None


def test_half_body_breaks_off_in_the_middle(sandbox: RunningSandbox, job: Json) -> None:
    sandbox.fault("half_body", times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(sandbox.url + LIST, headers=dict(sandbox.session.headers), timeout=5)
    assert sandbox.get("/trainings")["results"][0]["id"] == job["id"]


def test_half_body_delivers_the_first_half(sandbox: RunningSandbox) -> None:
    whole = sandbox.call("GET", "/v1/hardware").content
    sandbox.fault("half_body")
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rsplit(":", 1)[1])), timeout=5) as connection:
        head = f"GET /v1/hardware HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sandbox.token}\r\n\r\n"
        connection.sendall(head.encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    headers, _, body = received.partition(b"\r\n\r\n")
    assert f"content-length: {len(whole)}".encode() in headers
    assert body == whole[: len(whole) // 2]


def test_bad_json_is_complete_http_but_cannot_be_parsed(sandbox: RunningSandbox, job: Json) -> None:
    sandbox.fault("bad_json")
    answer = sandbox.call("GET", f"{LIST}/{job['id']}")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_html_is_a_proxys_page_with_status_200(sandbox: RunningSandbox) -> None:
    sandbox.fault("html")
    answer = sandbox.call("GET", LIST)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html"
    assert "502 Bad Gateway" in answer.text


def test_html_may_have_another_status(sandbox: RunningSandbox) -> None:
    sandbox.fault("html", status=502)
    assert sandbox.call("GET", LIST).status_code == 502


@pytest.mark.parametrize(("kind", "content"), [("null_body", None), ("list_body", [])])
def test_bodies_of_the_wrong_type(sandbox: RunningSandbox, kind: str, content: list[object] | None) -> None:
    sandbox.fault(kind)
    answer = sandbox.call("GET", LIST)
    assert (answer.status_code, answer.json()) == (200, content)


def test_unknown_status_replaces_the_word_in_rows_and_jobs(sandbox: RunningSandbox, job: Json) -> None:
    sandbox.fault("unknown_status")
    assert sandbox.get("/trainings")["results"][0]["status"] == "hibernating"
    got = sandbox.get(f"/trainings/{job['id']}")
    assert (got["status"], got["id"]) == ("hibernating", job["id"])
    sandbox.clear_faults()
    sandbox.fault("unknown_status", body="queued")
    assert sandbox.get(f"/trainings/{job['id']}")["status"] == "queued"


def test_huge_body_is_valid_json_of_the_asked_size(sandbox: RunningSandbox, job: Json) -> None:
    sandbox.fault("huge_body", size_bytes=3_000_000)
    answer = sandbox.call("GET", f"{LIST}/{job['id']}")
    assert len(answer.content) > 3_000_000
    content = json.loads(answer.content)
    assert len(content.pop("padding")) == 3_000_000
    assert content["id"] == job["id"]
    assert sandbox.call("GET", "/v1/hardware").json().keys() == {"padding"}


def test_429_with_retry_after(sandbox: RunningSandbox) -> None:
    sandbox.fault("429", retry_after=7)
    answer = sandbox.call("GET", LIST)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "resets in ~7s" in answer.json()["detail"]


def test_429_may_say_when_in_its_text_only(sandbox: RunningSandbox) -> None:
    sandbox.fault("429")
    answer = sandbox.call("GET", LIST)
    assert "retry-after" not in answer.headers
    assert answer.json()["detail"] == "Request was throttled. Your rate limit resets in ~30s."


@pytest.mark.parametrize(
    ("match", "suffers"),
    [
        ({}, [True, True, True]),
        ({"method": "get"}, [True, True, False]),
        ({"path": "/v1/trainings"}, [True, False, False]),
        ({"path": "/v1/trainings*"}, [True, True, True]),
        ({"path": "/v1/trainings/*"}, [False, True, True]),
        ({"path": "^/v1/trainings/[a-z0-9]+$"}, [False, True, False]),
        ({"path": "/v1/predictions*"}, [False, False, False]),
        ({"method": "POST", "path": "*/cancel"}, [False, False, True]),
    ],
)
def test_a_fault_strikes_only_what_it_matches(
    sandbox: RunningSandbox, job: Json, match: Json, suffers: list[bool]
) -> None:
    sandbox.fault("status", match=match, status=599)
    calls = [("GET", LIST), ("GET", f"{LIST}/{job['id']}"), ("POST", f"{LIST}/{job['id']}/cancel")]
    assert [sandbox.call(method, path).status_code == 599 for method, path in calls] == suffers


def test_a_fault_wears_off_after_its_number_of_times(sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=500, times=2)
    assert [sandbox.call("GET", LIST).status_code for _ in range(4)] == [500, 500, 200, 200]


def test_a_fault_may_strike_by_chance_and_always_the_same_way(sandbox: RunningSandbox) -> None:
    def outcomes() -> list[int]:
        sandbox.clear_faults()
        sandbox.fault("status", status=500, probability=0.5, seed=3)
        return [sandbox.call("GET", LIST).status_code for _ in range(40)]

    first = outcomes()
    assert 8 < first.count(500) < 32
    assert outcomes() == first


def test_faults_are_listed_and_cleared(sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=500)
    sandbox.call("GET", LIST)
    listed = sandbox.call("GET", "/_sandbox/faults").json()
    assert [(rule["kind"], rule["hits"]) for rule in listed] == [("status", 1)]
    sandbox.clear_faults()
    assert sandbox.call("GET", "/_sandbox/faults").json() == []
    assert sandbox.call("GET", LIST).status_code == 200


def test_the_control_api_itself_never_suffers(sandbox: RunningSandbox) -> None:
    sandbox.fault("reset")
    assert sandbox.requests()["total"] == 0


@pytest.mark.parametrize(
    "rule", [{}, {"kind": "gremlins"}, {"kind": "status", "stauts": 500}, {"kind": "reset", "path": "^("}]
)
def test_a_rule_with_a_typo_is_refused(sandbox: RunningSandbox, rule: Json) -> None:
    assert sandbox.call("POST", "/_sandbox/faults", json=rule).status_code == 422


def test_faulty_requests_are_counted_with_their_fault(sandbox: RunningSandbox) -> None:
    sandbox.fault("429", times=1)
    sandbox.call("GET", LIST)
    sandbox.call("GET", LIST)
    seen = sandbox.requests()
    assert seen["counts"] == {"GET /v1/trainings": 2}
    assert [(call["fault"], call["status"]) for call in seen["last"]] == [("429", 429), (None, 200)]


def test_lost_answer_does_what_was_asked_and_says_nothing(sandbox: RunningSandbox) -> None:
    sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
    body = {"version": "simpletuner/advanced-trainer-h100", "input": {"mark": "x"}}
    with pytest.raises(requests.ConnectionError):
        sandbox.call("POST", "/v1/predictions", json=body)
    (row,) = sandbox.get("/predictions")["results"]
    assert row["input"] == {"mark": "x"}


def test_late_list_shows_a_job_only_after_a_while(sandbox: RunningSandbox) -> None:
    old, new = sandbox.add_job(created_offset=-100), sandbox.add_job()
    sandbox.fault("late_list", path=LIST, seconds=60)
    assert [row["id"] for row in sandbox.get("/trainings")["results"]] == [old["id"]]
    assert sandbox.get(f"/trainings/{new['id']}")["id"] == new["id"]
    sandbox.advance(61)
    assert [row["id"] for row in sandbox.get("/trainings")["results"]] == [new["id"], old["id"]]
