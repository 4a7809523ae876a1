"""jobs.services.webhooks: every delivery is kept, applied once, and settled in the end."""

import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import responses
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import JobLog, StatusChange, UnifiedJob, WebhookDelivery, WebhookVerdict
from jobs.services import webhook_applying, webhook_facts, webhooks
from jobs.services.webhooks import Receipt
from providers.errors import InvalidWebhook, UnknownProvider
from providers.sandbox.signing import PUBLISHED_TEST_SECRET
from simpletuner_cloud.embedded_redis import free_port
from tests.conftest import MakeJob
from tests.deliveries import body_of, signed

pytestmark = pytest.mark.django_db

API = "https://replicate.invalid/v1"
JOB = "qy2dts8twsrj20cjjnc87atzd0"
SEQUENCE = Path(__file__).parent.parent / "fixtures" / "webhooks" / "replicate_training_delivery_sequence.json"


@pytest.fixture(autouse=True)
def _secret(http: responses.RequestsMock) -> None:
    http.assert_all_requests_are_fired = False
    http.get(f"{API}/webhooks/default/secret", json={"key": PUBLISHED_TEST_SECRET})


_numbers = iter(range(1, 100_000))


def receive(body: bytes, **arguments: Any) -> Receipt:
    arguments.setdefault("webhook_id", f"msg_{next(_numbers)}")
    return webhooks.receive("replicate", signed(body, **arguments), body)


def delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def known(job: UnifiedJob) -> UnifiedJob:
    job.refresh_from_db()
    return job


def all_due() -> None:
    """Let the pauses of the inbox be over."""
    WebhookDelivery.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())


def test_delivery_is_applied_at_once_and_its_body_let_go(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB, status="queued")
    body = body_of(JOB, "processing", started_at="2026-11-24T00:00:00Z")
    assert receive(body, webhook_id="msg_a") == Receipt("applied", False, job.job_id)
    assert known(job).status == "running"
    assert StatusChange.objects.get().source == Source.WEBHOOK
    kept = delivery()
    assert (kept.webhook_id, kept.verdict, kept.job, kept.external_id) == ("msg_a", "applied", job, JOB)
    assert (kept.event, kept.body_bytes, bytes(kept.content)) == ("processing", len(body), b"")
    assert len(kept.body_sha256) == 64
    assert kept.settled_at is not None
    assert kept.next_try_at is None


def test_terminal_delivery_settles_the_job_with_its_log_and_output(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB)
    receive(
        body_of(
            JOB,
            "succeeded",
            completed_at="2026-11-24T00:10:00Z",
            logs="Training: 100% 10/10\n",
            output={"weights": "https://replicate.delivery/w.tar"},
        )
    )
    known(job)
    assert (job.status, job.output_url) == ("completed", "https://replicate.delivery/w.tar")
    assert JobLog.objects.get().text == "Training: 100% 10/10\n"


@pytest.mark.parametrize("changed", [{"secret": "whsec_b3RoZXI="}, {"stamp": 1}, {"stamp": 10_000_000_000}])
def test_badly_signed_delivery_leaves_nothing_but_a_count(make_job: MakeJob, changed: dict[str, Any]) -> None:
    job = make_job(external_id=JOB, status="queued")
    with pytest.raises(InvalidWebhook):
        receive(body_of(JOB), **changed)
    assert not WebhookDelivery.objects.exists()
    assert known(job).status == "queued"
    assert webhooks.verdict_counts("replicate") == {"refused": 1}


def test_signature_is_checked_before_the_body_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("an unsigned body was read")

    monkeypatch.setattr("providers.replicate.webhooks.read", read)
    with pytest.raises(InvalidWebhook):
        webhooks.receive("replicate", {}, b"{}")


def test_unknown_provider_is_refused() -> None:
    with pytest.raises(UnknownProvider):
        webhooks.receive("nobody", {}, b"")


def test_same_id_again_is_counted_and_does_nothing(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB, status="queued")
    receive(body_of(JOB, "processing"), webhook_id="msg_a")
    # Not even if what is signed under the id is another body.
    again = receive(body_of(JOB, "failed"), webhook_id="msg_a")
    assert again == Receipt("applied", True, job.job_id)
    assert known(job).status == "running"
    assert delivery().repeats == 1
    assert webhooks.verdict_counts("replicate") == {"applied": 1, "duplicate": 1}


@pytest.mark.django_db(transaction=True)
def test_fifty_deliveries_of_one_id_at_once_are_one_row_one_transition_and_one_event(
    make_job: MakeJob, sent_events: list[dict[str, Any]]
) -> None:
    make_job(external_id=JOB, status="queued")
    body = body_of(JOB, "processing")

    def arrive(_: int) -> Receipt:
        try:
            return receive(body, webhook_id="msg_same")
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        receipts = list(pool.map(arrive, range(50)))
    assert sum(not receipt.is_duplicate for receipt in receipts) == 1
    assert delivery().repeats == 49
    assert StatusChange.objects.count() == 1
    assert len(sent_events) == 1


@pytest.fixture
def sent_events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("jobs.events.send_event", lambda _channel, _kind, body: sent.append(body))
    return sent


def test_every_order_of_deliveries_ends_in_the_same_row(make_job: MakeJob) -> None:
    bodies = [
        body_of(JOB, "starting"),
        body_of(JOB, "processing", started_at="2026-11-24T00:00:00Z", logs="step 1/4\n"),
        body_of(JOB, "processing", started_at="2026-11-24T00:00:00Z", logs="step 1/4\nstep 2/4\n"),
        body_of(
            JOB,
            "succeeded",
            started_at="2026-11-24T00:00:00Z",
            completed_at="2026-11-24T01:00:00Z",
            logs="step 1/4\nstep 2/4\nstep 4/4\n",
        ),
    ]
    ends = set()
    for order in permutations(bodies):
        job = make_job(external_id=JOB, status="queued")
        for body in order:
            receive(body)
        known(job)
        ends.add((job.status, job.started_at, job.completed_at, JobLog.objects.get(job=job).text))
        job.delete()
    assert len(ends) == 1
    assert ends.pop()[0] == "completed"


def test_late_delivery_is_stale_and_kept_so(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB)
    receive(body_of(JOB, "succeeded", completed_at="2026-11-24T01:00:00Z"))
    late = receive(body_of(JOB, "processing", started_at="2026-11-24T00:00:00Z"))
    assert late.verdict == "stale"
    assert known(job).status == "completed"


def test_delivery_that_tells_nothing_new_is_stale_and_one_that_brings_log_is_not(make_job: MakeJob) -> None:
    make_job(external_id=JOB, status="queued")
    first = body_of(JOB, "processing", started_at="2026-11-24T00:00:00Z", logs="a\nb\n")
    longer = body_of(JOB, "processing", started_at="2026-11-24T00:00:00Z", logs="a\nb\nc\nb\n")
    assert [receive(body).verdict for body in (first, first, longer)] == ["applied", "stale", "applied"]


def test_recorded_sequence_with_regression_and_repeat_ends_as_the_run_did(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB, status="queued")
    bodies = json.loads(SEQUENCE.read_text())["deliveries"]
    verdicts = [receive(json.dumps(body).encode()).verdict for body in bodies]
    assert known(job).status == "completed"
    statuses = [body["status"] for body in bodies]
    behind = [
        verdict
        for at, (status, verdict) in enumerate(zip(statuses, verdicts, strict=True))
        if status != "succeeded" and "succeeded" in statuses[:at]
    ]
    assert behind
    assert set(behind) == {"stale"}


def test_webhook_does_not_say_which_kind_a_job_is(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB, external_kind="training")
    receive(body_of(JOB, "processing", urls={"get": f"{API}/predictions/{JOB}"}))
    assert known(job).external_kind == "training"


def test_sender_whose_clock_is_ahead_does_not_outdate_what_is_learnt_next(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB)
    receive(body_of(JOB, "processing", logs="Training: step 1/10\n"), stamp=int(time.time()) + 200)
    progress_at = known(job).progress_at
    assert progress_at is not None
    assert progress_at <= timezone.now()


def test_unknown_status_word_keeps_the_status(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB)
    assert receive(body_of(JOB, "hibernating")).verdict == "applied"
    assert known(job).status == "running"
    assert "hibernating" in (job.last_sync_error or "")


def test_unknown_job_is_left_to_the_worker_who_finds_it_at_the_provider(http: responses.RequestsMock) -> None:
    told = receive(body_of(JOB, "succeeded", completed_at="2026-11-24T01:00:00Z"))
    assert told == Receipt("received", False, None)
    assert not UnifiedJob.objects.exists()
    http.get(f"{API}/predictions/{JOB}", json={"id": JOB, "status": "processing", "created_at": "2026-11-24T00:00:00Z"})
    assert webhooks.apply_received() == 1
    # The provider's list was behind its own webhook; the newer of the two counts.
    job = UnifiedJob.objects.get()
    assert (job.status, job.created_at.hour) == ("completed", 0)
    assert (delivery().verdict, delivery().job) == ("applied", job)
    assert StatusChange.objects.get().source == Source.WEBHOOK


def test_job_that_the_provider_does_not_know_either_is_unknown_after_three_answers(
    http: responses.RequestsMock,
) -> None:
    receive(body_of(JOB))
    for kind in ("predictions", "trainings"):
        http.get(f"{API}/{kind}/{JOB}", status=404)
    settled = []
    for _ in range(4):
        settled.append(webhooks.apply_received())
        all_due()
    assert settled == [0, 0, 1, 0]
    kept = delivery()
    assert (kept.verdict, kept.attempts) == ("unknown", 3)
    assert zlib.decompress(kept.content) == body_of(JOB)
    assert not UnifiedJob.objects.exists()


def test_pauses_grow_while_the_provider_is_down_and_nothing_is_lost(http: responses.RequestsMock) -> None:
    receive(body_of(JOB))
    http.get(f"{API}/predictions/{JOB}", status=500)
    pauses = []
    for _ in range(12):
        began = timezone.now()
        assert webhooks.apply_received() == 0
        pauses.append(round((_next_try() - began).total_seconds()))
        all_due()
    assert pauses[:5] == [5, 10, 20, 40, 80]
    assert pauses[-1] == 600
    assert "HTTP 500" in delivery().error
    http.upsert(responses.GET, f"{API}/predictions/{JOB}", json={"id": JOB, "status": "processing"})
    assert webhooks.apply_received() == 1
    assert UnifiedJob.objects.get().status == "running"
    assert delivery().error == ""


def _next_try() -> Any:
    return delivery().next_try_at


def test_provider_in_trouble_is_asked_once_in_a_pass(http: responses.RequestsMock) -> None:
    for number in range(20):
        receive(body_of(f"unknown{number}"))
    before = len(http.calls)
    http.get(f"{API}/predictions/unknown0", status=500)
    assert webhooks.apply_received() == 0
    assert len(http.calls) == before + 1


def test_many_deliveries_of_one_job_ask_once(http: responses.RequestsMock) -> None:
    for step in range(20):
        receive(json.dumps({"event_type": "training.status", "job_id": JOB, "current_step": step}).encode())
    before = len(http.calls)
    http.get(f"{API}/predictions/{JOB}", json={"id": JOB, "status": "processing"})
    assert webhooks.apply_received() == 20
    assert len(http.calls) == before + 1
    assert webhooks.verdict_counts("replicate") == {"applied": 1, "stale": 19}


@pytest.mark.parametrize("event", ["completed", "failed", "training.status"])
def test_a_trainers_word_changes_nothing_but_has_the_provider_asked(
    http: responses.RequestsMock, make_job: MakeJob, event: str
) -> None:
    job = make_job(job_id="ours-1", external_id=JOB)
    body = json.dumps({"event_type": event, "job_id": "ours-1", "status": "completed"}).encode()
    assert receive(body) == Receipt("received", False, None)
    assert known(job).status == "running"
    http.get(f"{API}/trainings/{JOB}", json={"id": JOB, "status": "failed", "completed_at": "2026-11-24T01:00:00Z"})
    assert webhooks.apply_received() == 1
    assert known(job).status == "failed"
    assert (delivery().event, delivery().job) == (event, job)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"id": "a", "status": "failed", "x": NaN}',
        b'{"id": "a", "id": "b", "status": "failed"}',
        b'{"id": "../x", "status": "failed"}',
        b'{"id": "a\\u0000", "status": "failed"}',
        b"[" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
)
def test_unreadable_delivery_is_kept_and_settled(body: bytes) -> None:
    assert receive(body) == Receipt("unreadable", False, None)
    kept = delivery()
    assert kept.error
    assert zlib.decompress(kept.content) == body


def test_nul_and_broken_characters_reach_no_database(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB)
    body = b'{"id": "%s", "status": "fai\\u0000led", "error": "a\\u0000b\\ud800", "logs": "l\\u0000og \\udfff"}'
    assert receive(body % JOB.encode()).verdict == "applied"
    assert known(job).status == "running"
    assert "\x00" not in JobLog.objects.get().text + delivery().event


def test_large_body_is_applied_and_its_log_kept(make_job: MakeJob) -> None:
    make_job(external_id=JOB)
    log = "Training: step 1/10, loss=0.5\n" * 400_000
    assert len(log) > 10 * 1024**2
    assert receive(body_of(JOB, "processing", logs=log)).verdict == "applied"


def test_database_that_fails_while_applying_costs_neither_the_delivery_nor_the_answer(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(external_id=JOB, status="queued")

    def locked(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(webhook_applying, "apply_snapshot", locked)
        assert receive(body_of(JOB, "processing")) == Receipt("received", False, None)
        assert delivery().verdict == "received"
        assert "database is locked" in delivery().error
        assert webhooks.apply_received() == 0
        all_due()
        assert webhooks.apply_received() == 0
        assert delivery().attempts == 1
    all_due()
    assert webhooks.apply_received() == 1
    assert known(job).status == "running"


def test_database_that_fails_even_to_note_the_failure_leaves_the_delivery_for_later(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(external_id=JOB, status="queued")

    def locked(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(webhook_applying, "apply_snapshot", locked)
        broken.setattr(webhook_applying, "_update", locked)
        assert receive(body_of(JOB, "processing")).verdict == "received"
    assert webhooks.apply_received() == 0
    all_due()
    assert webhooks.apply_received() == 1


def test_delivery_that_cannot_be_kept_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(WebhookDelivery.objects, "get_or_create", locked)
    with pytest.raises(OperationalError):
        receive(body_of(JOB))
    assert webhooks.verdict_counts("replicate") == {}


def test_request_that_died_after_keeping_is_made_up_for(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(external_id=JOB, status="queued")
    with monkeypatch.context() as killed:
        killed.setattr(webhooks, "attempt", lambda *_, **__: None)
        receive(body_of(JOB, "processing"))
    # Still the request's, as far as anybody knows.
    assert webhooks.apply_received() == 0
    all_due()
    assert webhooks.apply_received() == 1
    assert known(job).status == "running"


def test_delivery_is_claimed_by_one_worker_only(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    make_job(external_id=JOB)
    with monkeypatch.context() as killed:
        killed.setattr(webhooks, "attempt", lambda *_, **__: None)
        receive(body_of(JOB))
    all_due()
    both_read = [delivery(), delivery()]
    assert [webhooks._claim(read) for read in both_read] == [True, False]
    assert delivery().attempts == 1


def test_settled_delivery_is_not_settled_twice(make_job: MakeJob) -> None:
    job = make_job(external_id=JOB)
    receive(body_of(JOB, "succeeded", completed_at="2026-11-24T01:00:00Z"))
    kept = delivery()
    webhook_applying.settle(kept, WebhookVerdict.STALE, job=job)
    assert delivery().verdict == "applied"
    assert webhooks.verdict_counts("replicate") == {"applied": 1}


def test_unknown_and_unreadable_ones_can_be_applied_again(
    http: responses.RequestsMock, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(external_id=JOB, status="queued")
    receive(body_of(JOB, "processing"))
    settled = delivery()
    receive(body_of("newjob1", "processing"))
    waiting = WebhookDelivery.objects.first()
    assert waiting is not None
    WebhookDelivery.objects.filter(pk=waiting.pk).update(verdict="unknown", next_try_at=None, attempts=3)
    assert webhooks.apply_again([settled.pk, waiting.pk]) == 1
    http.get(f"{API}/predictions/newjob1", json={"id": "newjob1", "status": "processing"})
    assert webhooks.apply_received() == 1
    assert UnifiedJob.objects.filter(external_id="newjob1").exists()
    assert known(job).status == "running"


def test_without_redis_deliveries_are_kept_and_applied(make_job: MakeJob, dead_redis: None) -> None:
    job = make_job(external_id=JOB, status="queued")
    assert receive(body_of(JOB, "processing")).verdict == "applied"
    assert known(job).status == "running"
    assert webhooks.verdict_counts("replicate") == {}


@pytest.fixture
def dead_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(webhook_facts, "_paused_until", 0.0)
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    coordination.client.cache_clear()
    yield
    coordination.client.cache_clear()
