"""jobs.services.webhooks: how a worker goes through what requests have only kept."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import responses
from django.utils import timezone

from jobs.models import StatusChange, UnifiedJob, WebhookDelivery
from jobs.services import webhook_applying, webhooks
from jobs.services.snapshots import apply_snapshot, apply_snapshots
from providers.sandbox.signing import PUBLISHED_TEST_SECRET
from providers.snapshots import JobSnapshot
from tests.conftest import MakeJob
from tests.deliveries import body_of, signed

pytestmark = pytest.mark.django_db

API = "https://replicate.invalid/v1"
MANY = webhooks.MOST_APPLIED_AT_ONCE + 1


@pytest.fixture(autouse=True)
def _secret(http: responses.RequestsMock) -> None:
    http.assert_all_requests_are_fired = False
    http.get(f"{API}/webhooks/default/secret", json={"key": PUBLISHED_TEST_SECRET})


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The jobs of each write, in order; one that is called poison breaks the write that it is in."""
    seen: list[list[str]] = []

    def note(reports: Sequence[JobSnapshot]) -> None:
        seen.append([report.external_id for report in reports])
        if "poison" in seen[-1]:
            raise ZeroDivisionError("poison")

    def together(reports: Sequence[JobSnapshot], **arguments: Any) -> Any:
        note(reports)
        return apply_snapshots(reports, **arguments)

    def alone(report: JobSnapshot, **arguments: Any) -> Any:
        note([report])
        return apply_snapshot(report, **arguments)

    monkeypatch.setattr(webhook_applying, "apply_snapshots", together)
    monkeypatch.setattr(webhook_applying, "apply_snapshot", alone)
    return seen


def keep(body: bytes, webhook_id: str) -> None:
    """Take a delivery in as beside many others, where it is only kept."""
    assert webhooks.receive("replicate", signed(body, webhook_id=webhook_id), body, beside=MANY).verdict == "received"


def flood(make_job: MakeJob, count: int) -> list[str]:
    """Deliveries that say of so many queued jobs that they run."""
    names = [f"flood{number:03}" for number in range(count)]
    for name in names:
        make_job(external_id=name, status="queued")
        keep(body_of(name, "processing", started_at="2026-11-24T00:00:00Z"), f"msg_{name}")
    return names


def all_due() -> None:
    WebhookDelivery.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())


def statuses(names: Sequence[str]) -> set[str]:
    return set(UnifiedJob.objects.filter(external_id__in=names).values_list("status", flat=True))


def test_reports_of_different_jobs_are_applied_by_one_write(make_job: MakeJob, writes: list[list[str]]) -> None:
    names = flood(make_job, 20)
    assert webhooks.apply_received() == 20
    assert writes == [names]
    assert statuses(names) == {"running"}
    assert StatusChange.objects.filter(source="webhook", status="running").count() == 20
    kept = WebhookDelivery.objects.all()
    assert {(row.verdict, row.job is not None, bytes(row.content), row.attempts) for row in kept} == {
        ("applied", True, b"", 1)
    }


def test_reports_of_one_job_are_applied_one_after_another(make_job: MakeJob, writes: list[list[str]]) -> None:
    job = make_job(external_id="one", status="queued")
    other = make_job(external_id="other", status="queued")
    keep(body_of("one", "processing", started_at="2026-11-24T00:00:00Z"), "msg_1")
    keep(body_of("other", "processing", started_at="2026-11-24T00:00:00Z"), "msg_2")
    keep(body_of("one", "succeeded", completed_at="2026-11-24T01:00:00Z"), "msg_3")
    assert webhooks.apply_received() == 3
    assert writes == [["one", "other"], ["one"]]
    assert list(job.history.order_by("pk").values_list("previous", "status")) == [
        ("queued", "running"),
        ("running", "completed"),
    ]
    other.refresh_from_db()
    assert other.status == "running"
    assert set(WebhookDelivery.objects.values_list("verdict", flat=True)) == {"applied"}


def test_one_that_breaks_the_write_holds_up_no_other_and_goes_alone_from_then_on(
    make_job: MakeJob, writes: list[list[str]]
) -> None:
    names = flood(make_job, 3)
    make_job(external_id="poison", status="queued")
    keep(body_of("poison", "processing"), "msg_poison")
    more = [name.replace("flood", "more") for name in names]
    for name in more:
        make_job(external_id=name, status="queued")
        keep(body_of(name, "processing"), f"msg_{name}")
    assert webhooks.apply_received() == 6
    assert writes == [[*names, "poison", *more], *[[name] for name in (*names, "poison", *more)]]
    assert statuses(names + more) == {"running"}
    bad = WebhookDelivery.objects.get(external_id="poison")
    assert (bad.verdict, bad.attempts) == ("received", 1)
    assert "ZeroDivisionError" in bad.error
    writes.clear()
    all_due()
    for name in names:
        keep(body_of(name, "succeeded", completed_at="2026-11-24T01:00:00Z"), f"end_{name}")
    assert webhooks.apply_received() == 3
    assert writes == [["poison"], names]
    assert statuses(names) == {"completed"}


def test_what_brings_a_worker_down_takes_the_others_with_it_only_once(
    make_job: MakeJob, writes: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = flood(make_job, 4)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(webhooks, "attempt_together", die)
        with pytest.raises(SystemExit):
            webhooks.apply_received()
    assert webhooks.apply_received() == 0
    all_due()
    assert webhooks.apply_received() == 4
    assert writes == [[name] for name in names]


def test_unknown_hinted_and_unreadable_ones_are_settled_beside_the_others(
    http: responses.RequestsMock, make_job: MakeJob, writes: list[list[str]]
) -> None:
    names = flood(make_job, 2)
    keep(body_of("stranger", "processing"), "msg_stranger")
    keep(json.dumps({"event_type": "training.status", "job_id": "hinted", "current_step": 1}).encode(), "msg_hint")
    keep(b"[1]", "msg_bad")
    for name in ("stranger", "hinted"):
        http.get(f"{API}/predictions/{name}", json={"id": name, "status": "processing"})
    assert webhooks.apply_received() == 5
    assert writes[-3:] == [[*names, "stranger"], ["stranger"], ["stranger", "stranger"]]
    assert statuses([*names, "stranger", "hinted"]) == {"running"}
    verdicts = dict(WebhookDelivery.objects.values_list("webhook_id", "verdict"))
    assert verdicts.pop("msg_bad") == "unreadable"
    assert set(verdicts.values()) == {"applied"}


def test_a_reader_that_breaks_on_one_body_reads_the_others(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, writes: list[list[str]]
) -> None:
    names = flood(make_job, 3)
    read: Callable[..., Any] = webhook_applying._read

    def broken(delivery: WebhookDelivery, body: bytes) -> Any:
        if delivery.webhook_id == f"msg_{names[1]}":
            raise KeyError("id")
        return read(delivery, body)

    monkeypatch.setattr(webhook_applying, "_read", broken)
    assert webhooks.apply_received() == 2
    left = WebhookDelivery.objects.get(verdict="received")
    assert (left.webhook_id, left.error) == (f"msg_{names[1]}", "KeyError: 'id'")
    assert statuses([names[0], names[2]]) == {"running"}


@pytest.mark.parametrize(("deliveries", "size"), [(2, 8 * 1024**2), (100, 2 * len(body_of("flood000", "processing")))])
def test_a_batch_is_of_limited_number_and_size(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, writes: list[list[str]], deliveries: int, size: int
) -> None:
    monkeypatch.setattr(webhooks, "BATCH_DELIVERIES", deliveries)
    monkeypatch.setattr(webhooks, "BATCH_BYTES", size)
    names = [f"flood{number:03}" for number in range(5)]
    for name in names:
        make_job(external_id=name, status="queued")
        keep(body_of(name, "processing"), f"msg_{name}")
    assert webhooks.apply_received() == 5
    assert writes == [names[:2], names[2:4], names[4:]]
