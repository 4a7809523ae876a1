from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from providers.sandbox.signing import PUBLISHED_TEST_SECRET, signature
from tests.sandbox_server import running_sandbox

QUICK = {"queue": 0.3, "load": 0.2, "preprocess": 0.3, "train": 0.7, "validate": 0, "checkpoint": 0, "finish": 0.1}
EVERYTHING = ["start", "output", "logs", "completed"]


class Receiver:
    """An HTTP server that keeps what it is sent; `answers` are its next status codes, 200 once they are used up."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("content-length", "0")
                self.send_header("location", receiver.url)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    @property
    def statuses(self) -> list[str]:
        return [json.loads(body)["status"] for _, body in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def wait_until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def fates(sandbox: Any) -> set[str]:
    return {delivery["fate"] for delivery in sandbox.deliveries()}


def test_signature_agrees_with_the_published_vector():
    signed = signature(PUBLISHED_TEST_SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_all_events_arrive_signed_and_in_order(sandbox, receiver):
    job = sandbox.add_job(webhook=receiver.url, webhook_events_filter=EVERYTHING, durations=QUICK)
    wait_until(
        lambda: any(item["event"] == "completed" and item["fate"] == "delivered" for item in sandbox.deliveries())
    )
    sent = [delivery["event"] for delivery in sandbox.deliveries()]
    assert sent[0] == "start"
    assert sent[-2:] == ["output", "completed"]
    assert sent.count("logs") >= 1
    for headers, body in receiver.received:
        stamp = int(headers["webhook-timestamp"])
        assert abs(time.time() - stamp) < 60
        assert headers["webhook-signature"] == signature(
            sandbox.get("/webhooks/default/secret")["key"], headers["webhook-id"], stamp, body
        )
        assert json.loads(body)["id"] == job["id"]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == len(receiver.received)


def test_the_terminal_body_is_what_a_get_answers(sandbox, receiver):
    job = sandbox.add_job(webhook=receiver.url, webhook_events_filter=["completed"], durations=QUICK)
    wait_until(lambda: len(receiver.received) == 1)
    told = json.loads(receiver.received[0][1])
    asked = sandbox.get(f"/predictions/{job['id']}")
    assert told == asked


def test_without_a_filter_only_outputs_and_the_end_are_told(sandbox, receiver):
    sandbox.add_job(webhook=receiver.url, durations=QUICK)
    wait_until(lambda: len(receiver.received) == 2)
    assert [delivery["event"] for delivery in sandbox.deliveries()] == ["output", "completed"]


def test_a_cancelled_job_is_told_too(sandbox, receiver):
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: len(receiver.received) == 1)
    assert receiver.statuses == ["canceled"]


def test_the_end_is_sent_again_with_the_same_id_until_it_is_heard(sandbox, receiver):
    receiver.answers = [500, 404]
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: fates(sandbox) == {"delivered"})
    assert sandbox.deliveries()[0]["answers"] == [500, 404, 200]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


def test_other_events_are_sent_only_once(sandbox, receiver):
    receiver.answers = [500]
    sandbox.add_job(webhook=receiver.url, webhook_events_filter=["start"], durations=QUICK)
    wait_until(lambda: fates(sandbox) == {"failed"})
    time.sleep(0.7)
    assert len(receiver.received) == 1


def test_redirects_are_not_followed(sandbox, receiver):
    receiver.answers = [301]
    sandbox.add_job(webhook=receiver.url, webhook_events_filter=["start"], durations=QUICK)
    wait_until(lambda: fates(sandbox) == {"failed"})
    assert sandbox.deliveries()[0]["answers"] == [301]


@pytest.mark.parametrize("url", ["http://203.0.113.9/hook", "https://example.com/hook"])
def test_other_machines_are_told_nothing(sandbox, url):
    job = sandbox.add_job(webhook=url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: fates(sandbox) == {"refused"})


def test_deliveries_can_be_dropped(sandbox, receiver):
    sandbox.disturb_webhooks(drop=1)
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: fates(sandbox) == {"dropped"})
    assert receiver.received == []


def test_deliveries_can_be_doubled_with_the_same_id(sandbox, receiver):
    sandbox.disturb_webhooks(duplicate=1)
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: len(receiver.received) == 2)
    assert receiver.received[0][0]["webhook-id"] == receiver.received[1][0]["webhook-id"]


def test_deliveries_can_be_late(sandbox, receiver):
    sandbox.disturb_webhooks(delay_seconds=0.6)
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    before = time.monotonic()
    wait_until(lambda: len(receiver.received) == 1)
    assert time.monotonic() - before > 0.5


def test_deliveries_can_overtake_each_other(sandbox, receiver):
    sandbox.disturb_webhooks(shuffle_seconds=1.5, seed=1)
    for _ in range(4):
        sandbox.add_job(webhook=receiver.url, webhook_events_filter=["start", "completed"], durations=QUICK)
    wait_until(lambda: len(receiver.received) == 8)
    sent = [delivery["webhook_id"] for delivery in sandbox.deliveries()]
    assert [headers["webhook-id"] for headers, _ in receiver.received] != sent


@pytest.mark.parametrize("disorder", [{"chaos": 1}, {"drop": -1}, {"drop": "often"}, {"drop": True}])
def test_a_disorder_with_a_typo_is_refused(sandbox, disorder):
    assert sandbox.call("PUT", "/_sandbox/webhooks", json=disorder).status_code == 422


def test_a_restart_does_not_tell_again_what_has_ended(tmp_path, receiver):
    with running_sandbox(state=tmp_path / "state.json") as sandbox:
        job = sandbox.add_job(webhook=receiver.url)
        sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
        wait_until(lambda: fates(sandbox) == {"delivered"})
    with running_sandbox(state=tmp_path / "state.json") as sandbox:
        time.sleep(0.4)
        assert sandbox.deliveries() == []
    assert len(receiver.received) == 1
