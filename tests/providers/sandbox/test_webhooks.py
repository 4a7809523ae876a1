from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from providers.sandbox import webhooks
from providers.sandbox.signing import PUBLISHED_TEST_SECRET, signature
from tests.sandbox_server import Json, RunningSandbox, running_sandbox

QUICK = {"queue": 0.1, "load": 0.1, "preprocess": 0.1, "train": 0.1, "validate": 0, "checkpoint": 0, "finish": 0.1}
RETRY_SECONDS = 0.05
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


@pytest.fixture
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not heard is sent again at once, not after seconds."""
    monkeypatch.setattr(webhooks, "PAUSES_BEFORE_RETRIES", (RETRY_SECONDS,) * len(webhooks.PAUSES_BEFORE_RETRIES))


def fates(sandbox: RunningSandbox) -> set[str]:
    return {delivery["fate"] for delivery in sandbox.deliveries()}


def events(sandbox: RunningSandbox) -> list[str]:
    return [delivery["event"] for delivery in sandbox.deliveries()]


def test_signature_agrees_with_the_published_vector() -> None:
    signed = signature(PUBLISHED_TEST_SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_all_events_arrive_signed_and_in_order(sandbox: RunningSandbox, receiver: Receiver) -> None:
    job = sandbox.add_job(webhook=receiver.url, webhook_events_filter=EVERYTHING, durations={"queue": 0.1})
    wait_until(lambda: "start" in events(sandbox))
    sandbox.advance(600)
    wait_until(lambda: "logs" in events(sandbox))
    sandbox.advance(2000)
    wait_until(lambda: "completed" in events(sandbox) and fates(sandbox) == {"delivered"})
    sent = events(sandbox)
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


def test_the_terminal_body_is_what_a_get_answers(sandbox: RunningSandbox, receiver: Receiver) -> None:
    job = sandbox.add_job(webhook=receiver.url, webhook_events_filter=["completed"], durations=QUICK)
    wait_until(lambda: len(receiver.received) == 1)
    told = json.loads(receiver.received[0][1])
    asked = sandbox.get(f"/predictions/{job['id']}")
    assert told == asked


def test_without_a_filter_only_outputs_and_the_end_are_told(sandbox: RunningSandbox, receiver: Receiver) -> None:
    sandbox.add_job(webhook=receiver.url, durations=QUICK)
    wait_until(lambda: len(receiver.received) == 2)
    assert events(sandbox) == ["output", "completed"]


def test_a_cancelled_job_is_told_too(sandbox: RunningSandbox, receiver: Receiver) -> None:
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: len(receiver.received) == 1)
    assert receiver.statuses == ["canceled"]


@pytest.mark.usefixtures("_soon_again")
def test_the_end_is_sent_again_with_the_same_id_until_it_is_heard(sandbox: RunningSandbox, receiver: Receiver) -> None:
    receiver.answers = [500, 404]
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: fates(sandbox) == {"delivered"})
    assert sandbox.deliveries()[0]["answers"] == [500, 404, 200]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


@pytest.mark.usefixtures("_soon_again")
def test_other_events_are_sent_only_once(sandbox: RunningSandbox, receiver: Receiver) -> None:
    receiver.answers = [500]
    sandbox.add_job(webhook=receiver.url, webhook_events_filter=["start"], durations=QUICK)
    wait_until(lambda: fates(sandbox) == {"failed"})
    time.sleep(6 * RETRY_SECONDS)
    assert len(receiver.received) == 1


def test_redirects_are_not_followed(sandbox: RunningSandbox, receiver: Receiver) -> None:
    receiver.answers = [301]
    sandbox.add_job(webhook=receiver.url, webhook_events_filter=["start"], durations=QUICK)
    wait_until(lambda: fates(sandbox) == {"failed"})
    assert sandbox.deliveries()[0]["answers"] == [301]


@pytest.mark.parametrize("url", ["http://203.0.113.9/hook", "https://example.com/hook"])
def test_other_machines_are_told_nothing(sandbox: RunningSandbox, url: str) -> None:
    job = sandbox.add_job(webhook=url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: fates(sandbox) == {"refused"})


def test_deliveries_can_be_dropped(sandbox: RunningSandbox, receiver: Receiver) -> None:
    sandbox.disturb_webhooks(drop=1)
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: fates(sandbox) == {"dropped"})
    assert receiver.received == []


def test_deliveries_can_be_doubled_with_the_same_id(sandbox: RunningSandbox, receiver: Receiver) -> None:
    sandbox.disturb_webhooks(duplicate=1)
    job = sandbox.add_job(webhook=receiver.url)
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: len(receiver.received) == 2)
    assert receiver.received[0][0]["webhook-id"] == receiver.received[1][0]["webhook-id"]


def test_deliveries_can_be_late(sandbox: RunningSandbox, receiver: Receiver) -> None:
    sandbox.disturb_webhooks(delay_seconds=0.3)
    job = sandbox.add_job(webhook=receiver.url)
    before = time.monotonic()
    sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: len(receiver.received) == 1)
    assert time.monotonic() - before > 0.29


def test_deliveries_can_overtake_each_other(sandbox: RunningSandbox, receiver: Receiver) -> None:
    sandbox.disturb_webhooks(shuffle_seconds=0.6, seed=1)
    for _ in range(4):
        job = sandbox.add_job(webhook=receiver.url, webhook_events_filter=["start", "completed"])
        sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
    wait_until(lambda: len(receiver.received) == 8)
    sent = [delivery["webhook_id"] for delivery in sandbox.deliveries()]
    assert [headers["webhook-id"] for headers, _ in receiver.received] != sent


@pytest.mark.parametrize("disorder", [{"chaos": 1}, {"drop": -1}, {"drop": "often"}, {"drop": True}])
def test_a_disorder_with_a_typo_is_refused(sandbox: RunningSandbox, disorder: Json) -> None:
    assert sandbox.call("PUT", "/_sandbox/webhooks", json=disorder).status_code == 422


def test_a_restart_does_not_tell_again_what_has_ended(tmp_path: Path, receiver: Receiver) -> None:
    with running_sandbox(state=tmp_path / "state.json") as sandbox:
        job = sandbox.add_job(webhook=receiver.url)
        sandbox.call("POST", f"/v1/trainings/{job['id']}/cancel")
        wait_until(lambda: fates(sandbox) == {"delivered"})
    with running_sandbox(state=tmp_path / "state.json") as sandbox:
        time.sleep(3 * webhooks.LOOK_EVERY_SECONDS)
        assert sandbox.deliveries() == []
    assert len(receiver.received) == 1
