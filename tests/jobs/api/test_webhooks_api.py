"""POST /api/webhooks/{provider} on the running product: what is let in, what is answered, and real deliveries."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.db import InterfaceError, OperationalError
from django.test import Client
from pytest_django import Settings

from jobs.api.webhooks import MAX_BODY_BYTES, under_way
from jobs.models import StatusChange, UnifiedJob, WebhookDelivery
from jobs.services import provider_config, sync, webhooks
from providers.sandbox import webhooks as sandbox_webhooks
from tests.conftest import MakeJob
from tests.deliveries import PATH, body_of, deliver, signed
from tests.sandbox_server import RunningSandbox

JOB = "qy2dts8twsrj20cjjnc87atzd0"
QUICK = {"queue": 0.2, "load": 0.2, "preprocess": 0.2, "train": 0.6, "validate": 0, "checkpoint": 0, "finish": 0.2}
EVERYTHING = ["start", "output", "logs", "completed"]


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("slash", ["", "/"])
def test_delivery_is_taken_with_and_without_the_slash_and_never_redirected(
    web: str, sandbox: RunningSandbox, make_job: MakeJob, slash: str
) -> None:
    make_job(external_id=JOB, status="queued")
    answer = deliver(web, body_of(JOB), path=PATH + slash)
    assert answer.status_code == 200
    assert answer.json() == {"received": True, "verdict": "applied", "duplicate": False, "job_id": JOB}
    again = deliver(web, body_of(JOB), path=PATH + slash)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)


def test_other_methods_are_not_allowed(web: str) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for path in (PATH, f"{PATH}/"):
            answer = requests.request(method, web + path, data=b"x" * 1000, timeout=10, allow_redirects=False)
            assert (method, answer.status_code, answer.headers["Allow"]) == (method, 405, "POST")


def test_unknown_provider_is_not_found(web: str, sandbox: RunningSandbox) -> None:
    for provider in ("nobody", "REPLICATE", "%2e%2e", "%00", "a" * 5000, "replicate/x", "ｒeplicate"):
        answer = deliver(web, body_of(JOB), path=f"/api/webhooks/{provider}")
        assert (provider, answer.status_code) == (provider, 404)
        assert isinstance(answer.json()["detail"], str)
    assert not WebhookDelivery.objects.exists()


def test_every_bad_signature_gets_the_same_answer_and_leaves_nothing(web: str, sandbox: RunningSandbox) -> None:
    body = body_of(JOB)
    good = signed(body)
    bad = [
        {},
        {name: value for name, value in good.items() if name != "webhook-id"},
        good | {"webhook-signature": "v1,%%%"},
        good | {"webhook-signature": "garbage"},
        good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v0,")},
        good | {"webhook-timestamp": "1e400"},
        good | {"webhook-timestamp": "-5"},
        signed(body, stamp=int(time.time()) - 301),
        signed(body, stamp=int(time.time()) + 400),
        signed(body, secret="whsec_b3RoZXI="),
        signed(body + b" "),
    ]
    answers = {
        (answer.status_code, answer.text)
        for headers in bad
        for answer in [requests.post(web + PATH, data=body, headers=headers, timeout=10)]
    }
    assert len(answers) == 1
    status, text = answers.pop()
    assert status == 401
    assert '"code":"invalid_signature"' in text
    assert not WebhookDelivery.objects.exists()
    assert webhooks.verdict_counts("replicate") == {"refused": len(bad)}


def test_sender_is_answered_whatever_it_accepts_and_calls_its_body(web: str, sandbox: RunningSandbox) -> None:
    body = body_of(JOB)
    accepted = ("*/*", "text/html", "application/xml;q=0.9", "nonsense", "application/json; version=9")
    types = ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
    for accept in accepted:
        for content_type in types:
            headers = signed(body, webhook_id=f"{accepted.index(accept)}-{content_type}")
            headers |= {"Accept": accept, "content-type": content_type}
            answer = requests.post(web + PATH, data=body, headers=headers, timeout=10)
            assert (accept, content_type, answer.status_code) == (accept, content_type, 200)


def test_body_of_ten_megabytes_is_taken_and_one_beyond_the_limit_is_not(
    web: str, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    make_job(external_id=JOB)
    log = "x" * 79 + "\n"
    large = body_of(JOB, logs=log * (10 * 1024**2 // 80))
    assert deliver(web, large, webhook_id="large").json()["verdict"] == "applied"
    padding = MAX_BODY_BYTES - len(body_of(JOB, pad=""))
    exact = body_of(JOB, pad="x" * padding)
    assert len(exact) == MAX_BODY_BYTES
    assert deliver(web, exact, webhook_id="exact").status_code == 200
    answer = deliver(web, exact + b" ", webhook_id="beyond")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_large_bodies_are_for_this_path_only(web: str) -> None:
    answer = requests.post(
        f"{web}/api/cloud/jobs/sync",
        data=b"x" * (3 * 1024**2),
        headers={"content-type": "application/json"},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_without_the_guard_in_front_the_same_is_refused(
    client: Client, settings: Settings, transactional_db: None
) -> None:
    def post(**head: str) -> tuple[int, str]:
        answer = client.post(PATH, b"x", content_type="application/json", **head)  # type: ignore[arg-type]
        return answer.status_code, answer.json()["code"]

    assert post(HTTP_CONTENT_ENCODING="gzip") == (415, "content_encoding_not_supported")
    assert post(CONTENT_LENGTH=str(MAX_BODY_BYTES + 1)) == (413, "body_too_large")
    assert post(CONTENT_LENGTH="9" * 400) == (413, "body_too_large")
    settings.WEBHOOK_ALLOWED_ADDRESSES = (ip_network("10.0.0.0/8"),)
    assert post() == (403, "address_not_allowed")


def test_page_elsewhere_is_refused_before_anything_is_looked_at(web: str, sandbox: RunningSandbox) -> None:
    body = body_of(JOB)
    for head in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = requests.post(web + PATH, data=body, headers=signed(body) | head, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")
    assert not WebhookDelivery.objects.exists()


def test_host_that_the_provider_was_told_is_taken_here_and_nowhere_else(web: str, sandbox: RunningSandbox) -> None:
    provider_config.set_webhook_url("replicate", "https://hooks.example:8443/api/webhooks/replicate?key=1")
    body = body_of(JOB)

    def status(host: str, path: str = PATH) -> int:
        headers = signed(body, webhook_id=host.replace(" ", "")) | {"Host": host}
        return requests.post(web + path, data=body, headers=headers, timeout=10).status_code

    assert status("hooks.example") == 200
    assert status("hooks.example:8443") == 200
    assert status("HOOKS.example", PATH + "/") == 200
    assert status("evil.example") == 400
    assert status("hooks.example.evil.example") == 400
    assert status("hooks.example", "/api/cloud/jobs/sync") == 400
    assert status("hooks.example", "/api/elsewhere/replicate") == 400
    assert status("hooks.example", "/api/webhooks/nobody") == 400
    provider_config.set_webhook_url("replicate", "")
    assert status("hooks.example") == 400


def test_senders_outside_the_allow_list_are_refused_and_a_forged_header_helps_nobody(
    web: str, sandbox: RunningSandbox, settings: Settings
) -> None:
    def status(webhook_id: str, **headers: str) -> int:
        body = body_of(JOB)
        return requests.post(
            web + PATH, data=body, headers=signed(body, webhook_id=webhook_id) | headers, timeout=10
        ).status_code

    settings.WEBHOOK_ALLOWED_ADDRESSES = (ip_network("203.0.113.0/24"),)
    assert status("direct") == 403
    assert status("forged", **{"X-Forwarded-For": "203.0.113.7"}) == 403
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.1"),)
    assert status("proxied", **{"X-Forwarded-For": "203.0.113.7"}) == 200
    assert status("invented", **{"X-Forwarded-For": "203.0.113.7, 198.51.100.1"}) == 403
    settings.WEBHOOK_ALLOWED_ADDRESSES = (ip_network("127.0.0.0/8"),)
    assert status("local") == 200


def test_without_the_secret_the_sender_is_asked_to_come_again(web: str, sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=500, path="/v1/webhooks*")
    answer = deliver(web, body_of(JOB))
    assert (answer.status_code, answer.json()["code"]) == (503, "webhook_secret_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert not WebhookDelivery.objects.exists()


def test_provider_without_a_token_takes_no_webhooks(web: str, settings: Settings) -> None:
    settings.PROVIDERS = {}
    answer = deliver(web, body_of(JOB))
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_not_configured")


@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("connection already closed")])
def test_database_that_is_away_has_the_sender_come_again(
    web: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def away(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(WebhookDelivery.objects, "get_or_create", away)
    answer = deliver(web, body_of(JOB))
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    monkeypatch.undo()
    assert deliver(web, body_of(JOB)).json()["duplicate"] is False


def test_fifty_at_once_over_http_are_all_answered_and_change_the_job_once(
    web: str, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    make_job(external_id=JOB, status="queued")
    body = body_of(JOB)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: deliver(web, body, webhook_id="msg_same"), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert WebhookDelivery.objects.get().repeats == 49
    # With so many at once it may be the worker's to apply.
    webhooks.apply_received()
    assert StatusChange.objects.count() == 1


def test_a_flood_is_kept_and_left_to_the_worker(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = make_job(external_id=JOB, status="queued")
    body = body_of(JOB)
    receipt = webhooks.receive("replicate", signed(body), body, beside=webhooks.MOST_APPLIED_AT_ONCE + 1)
    assert (receipt.verdict, receipt.job_id) == ("received", None)
    job.refresh_from_db()
    assert job.status == "queued"
    # At once, without the half minute that a request has for what it applies itself.
    assert webhooks.apply_received() == 1
    job.refresh_from_db()
    assert job.status == "running"
    again = webhooks.receive("replicate", signed(body), body, beside=webhooks.MOST_APPLIED_AT_ONCE)
    assert again.verdict in ("applied", "stale")


def test_those_under_way_are_counted_until_they_are_answered(
    web: str, sandbox: RunningSandbox, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(external_id=JOB, status="queued")
    seen = []
    receive = webhooks.receive

    def note(*arguments: Any, beside: int) -> webhooks.Receipt:
        seen.append(beside)
        return receive(*arguments, beside=beside)

    monkeypatch.setattr(webhooks, "receive", note)
    for _ in range(3):
        deliver(web, body_of(JOB))
    assert seen == [0, 0, 0]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: deliver(web, body_of(JOB)), range(30)))
    assert 1 <= max(seen) <= 9
    assert under_way.deliveries == 0


def test_slow_senders_keep_no_thread_from_others(web: str, sandbox: RunningSandbox) -> None:
    host, port = urlsplit(web).hostname, urlsplit(web).port
    slow = []
    for _ in range(40):
        connection = socket.create_connection((host, port), timeout=10)
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n\r\n{{".encode())
        slow.append(connection)
    assert deliver(web, body_of(JOB)).status_code == 200
    for connection in slow:
        connection.close()


def test_deliveries_of_the_provider_bring_a_job_to_its_end(web: str, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(webhook=web + PATH, webhook_events_filter=EVERYTHING, durations={"queue": 0.1})
    sync.discover_jobs("replicate")
    assert UnifiedJob.objects.get().status == "queued"
    wait_until(lambda: UnifiedJob.objects.get().status == "running")
    sandbox.advance(3000)
    wait_until(lambda: UnifiedJob.objects.get().status == "completed")
    row = UnifiedJob.objects.get()
    assert row.external_id == job["id"]
    assert row.output_url
    sources = StatusChange.objects.order_by("pk").values_list("previous", "status", "source")
    assert list(sources) == [
        (None, "queued", "sync"),
        ("queued", "running", "webhook"),
        ("running", "completed", "webhook"),
    ]
    assert {delivery["fate"] for delivery in settled(sandbox)} == {"delivered"}


def test_repeated_and_shuffled_deliveries_end_in_the_truth(web: str, sandbox: RunningSandbox) -> None:
    sandbox.disturb_webhooks(duplicate=1.0, shuffle_seconds=0.6)
    jobs = [
        sandbox.add_job(webhook=web + PATH, webhook_events_filter=EVERYTHING, durations=QUICK)["id"] for _ in range(4)
    ]
    sync.discover_jobs("replicate")
    wait_until(lambda: all(end_told(sandbox, job) for job in jobs))
    settled(sandbox)
    for job in jobs:
        truth = sandbox.get(f"/predictions/{job}")
        row = UnifiedJob.objects.get(external_id=job)
        assert (truth["status"], row.status) == ("succeeded", "completed")
        statuses = list(row.history.order_by("pk").values_list("status", flat=True))
        assert len(statuses) == len(set(statuses))
        assert statuses[-1] == "completed"
    assert sum(WebhookDelivery.objects.values_list("repeats", flat=True)) == WebhookDelivery.objects.count()
    assert set(WebhookDelivery.objects.values_list("verdict", flat=True)) <= {"applied", "stale"}


def test_job_that_only_a_webhook_told_of_is_added(web: str, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(webhook=web + PATH, webhook_events_filter=["start"], durations={"queue": 0.1})
    wait_until(lambda: WebhookDelivery.objects.filter(next_try_at__isnull=False, external_id=job["id"]).exists())
    assert webhooks.apply_received() == 1
    row = UnifiedJob.objects.get()
    assert (row.external_id, row.status) == (job["id"], "running")


def test_job_of_another_account_is_not_added(web: str, sandbox: RunningSandbox) -> None:
    assert deliver(web, body_of("someoneelses1")).json()["verdict"] == "received"
    for _ in range(3):
        WebhookDelivery.objects.update(next_try_at="2026-01-01T00:00:00Z")
        webhooks.apply_received()
    assert WebhookDelivery.objects.get().verdict == "unknown"
    assert not UnifiedJob.objects.exists()


@pytest.fixture
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_webhooks, "PAUSES_BEFORE_RETRIES", (0.05,) * 20)


def test_end_that_could_not_be_kept_is_taken_when_it_is_sent_again(
    web: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, soon_again: None
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(WebhookDelivery.objects, "get_or_create", away)
    job = sandbox.add_job(webhook=web + PATH, webhook_events_filter=["completed"], durations=QUICK)["id"]
    sync.discover_jobs("replicate")
    wait_until(lambda: any(503 in told["answers"] for told in sandbox.deliveries()))
    assert UnifiedJob.objects.get().status != "completed"
    monkeypatch.undo()
    wait_until(lambda: end_told(sandbox, job))
    assert UnifiedJob.objects.get().status == "completed"


def end_told(sandbox: RunningSandbox, job: str) -> bool:
    return any(
        told["event"] == "completed" and told["fate"] == "delivered"
        for told in sandbox.deliveries()
        if told["job"] == job
    )


def settled(sandbox: RunningSandbox) -> list[dict[str, object]]:
    """All deliveries, once none of them is under way any more."""
    sandbox.disturb_webhooks()
    wait_until(lambda: all(told["fate"] != "pending" for told in sandbox.deliveries()))
    # A repeat has no fate of its own.
    counted: set[int] = set()

    def is_quiet() -> bool:
        now = WebhookDelivery.objects.count() + sum(WebhookDelivery.objects.values_list("repeats", flat=True))
        was_known = now in counted
        counted.add(now)
        threading.Event().wait(0.3)
        return was_known

    wait_until(is_quiet)
    return sandbox.deliveries()
