"""Any order, any repeat and any two writers at once end in the same row (SPEC B2.1, B2.4)."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from typing import Any

import pytest
from django.db import connections
from django.forms import model_to_dict

from jobs import events
from jobs.lifecycle import TERMINAL, Source
from jobs.models import JobLog, StatusChange, UnifiedJob
from jobs.services import history_walk, logs, sync, webhooks
from jobs.services.snapshots import apply_snapshots
from providers.http import ApiClient
from providers.replicate import mapping
from providers.snapshots import JobSnapshot
from tests.deliveries import body_of, signed
from tests.jobs.properties.truth import TRUTHFUL, Blemish, Life, answer
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OF_OUR_OWN = {"id", "last_synced_at", "next_log_capture_at"}
SHORT_RUN = 0.1


def life(end: str, *, number: int = 0, runs: float = 400.0) -> Life:
    return Life(
        external_id=f"job{number}abcdefghijklmnopqrstuv",
        kind="training",
        model="simpletuner/advanced-trainer-h100",
        created_at=NOON,
        waits=20.0,
        runs=runs,
        end=end,
    )


def said(one: Life, seconds: int, *, blemish: Blemish = TRUTHFUL, with_logs: bool = True) -> JobSnapshot:
    at = NOON + timedelta(seconds=seconds)
    return mapping.snapshot(answer(one, at, blemish=blemish, with_logs=with_logs), as_of=at, kind=one.kind)


def facts_of(one: Life) -> list[JobSnapshot]:
    """What poll, list and webhook may say of a job: early, in the middle, garbled, at the end, long after it."""
    moved = Blemish(created_shift=-0.25, started_shift=0.3, completed_shift=-0.25, ends_early=True)
    unknown = Blemish(garbage=(("status", "hibernating"),), missing=frozenset({"started_at"}))
    return [
        said(one, 5),
        said(one, 300, blemish=moved, with_logs=False),
        said(one, 360, blemish=unknown),
        said(one, 430, blemish=moved),
        said(one, 5000),
    ]


def rows_after(snapshots: Iterable[JobSnapshot]) -> dict[str, dict[str, Any]]:
    """What an empty store holds when it was told these, one by one."""
    UnifiedJob.objects.all().delete()
    for snapshot in snapshots:
        apply_snapshots([snapshot], source=Source.SYNC, create=True)
    assert_history_is_whole()
    return rows()


def rows() -> dict[str, dict[str, Any]]:
    texts = {log.job_id: (log.text, log.is_final) for log in JobLog.objects.all()}
    return {
        job.job_id: {name: value for name, value in model_to_dict(job).items() if name not in OF_OUR_OWN}
        | {"log": texts.get(job.pk)}
        for job in UnifiedJob.objects.all()
    }


def assert_history_is_whole() -> None:
    for job in UnifiedJob.objects.all():
        told = list(StatusChange.objects.filter(job=job).order_by("pk").values_list("previous", "status"))
        assert [previous for previous, _ in told] == [None, *(status for _, status in told[:-1])]
        assert told[-1][1] == job.status
        assert sum(status in TERMINAL for _, status in told) <= 1


@pytest.mark.parametrize("end", ["succeeded", "failed", "canceled"])
def test_every_order_of_the_facts_makes_one_row(end: str) -> None:
    facts = facts_of(life(end))
    found = [rows_after(order) for order in permutations(facts)]
    assert all(one == found[0] for one in found)


def test_repeats_in_between_make_no_difference() -> None:
    facts = facts_of(life("failed"))
    found = [rows_after((first, *facts, again, first)) for first, again in product(facts, repeat=2)]
    assert all(one == found[0] for one in found)


def test_one_batch_and_many_small_ones_make_the_same_rows() -> None:
    facts = [snapshot for number in range(3) for snapshot in facts_of(life("succeeded", number=number))]
    apply_snapshots(facts, source=Source.SYNC, create=True)
    at_once = rows()
    assert rows_after(facts) == at_once


def test_a_run_shorter_than_the_providers_jitter_does_not_end_before_it_starts() -> None:
    one = life("failed", runs=SHORT_RUN)
    early_end = said(one, 21, blemish=Blemish(completed_shift=-0.25, missing=frozenset({"started_at"})))
    late_start = said(one, 22, blemish=Blemish(started_shift=0.3, missing=frozenset({"completed_at"})))
    found = [rows_after(order) for order in permutations((early_end, late_start))]
    assert found[0] == found[1]
    job = UnifiedJob.objects.get()
    assert job.started_at
    assert job.completed_at
    assert job.started_at <= job.completed_at


def test_unknown_word_after_the_end_says_nothing_any_more() -> None:
    one = life("succeeded")
    apply_snapshots([said(one, 430)], source=Source.SYNC, create=True)
    before = rows()
    unknown = said(one, 300, blemish=Blemish(garbage=(("status", "hibernating"),), ends_early=True))
    apply_snapshots([unknown], source=Source.WEBHOOK)
    assert rows() == before


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread and a connection of its own, all begun together."""
    barrier = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:  # noqa: BLE001  (told to the test below)
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.django_db(transaction=True)
def test_two_writers_of_the_same_jobs_end_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll and webhooks meet: each change is made by one of them, with one history row and one event."""
    sent: list[events.JobStatusChanged] = []
    monkeypatch.setattr(events, "send_event", lambda _channel, _name, body: sent.append(body))
    lives = [life(end, number=number) for number, end in enumerate(("succeeded", "failed", "canceled") * 3)]
    facts = [fact for one in lives for fact in facts_of(one)]

    def write(snapshots: Sequence[JobSnapshot], source: Source) -> Callable[[], object]:
        return lambda: [apply_snapshots([fact], source=source, create=True) for fact in snapshots]

    def write_all(source: Source) -> Callable[[], object]:
        return lambda: apply_snapshots(facts, source=source, create=True)

    at_once(write(facts, Source.POLLER), write(facts[::-1], Source.WEBHOOK), write_all(Source.SYNC))
    together = rows()
    assert_history_is_whole()
    told = StatusChange.objects.select_related("job")
    assert sorted(map(json.dumps, sent)) == sorted(json.dumps(events.payload(change)) for change in told)
    assert rows_after(facts) == together


def test_new_jobs_are_brought_in_in_one_order_whatever_the_order_of_the_batch() -> None:
    """Two batches in opposite orders would wait for each other's rows, and PostgreSQL would end one of them."""
    facts = [said(life("failed", number=number), 60) for number in range(9)]
    apply_snapshots([*facts[5:], *facts[4::-1]], source=Source.SYNC, create=True)
    inserted = list(UnifiedJob.objects.order_by("pk").values_list("job_id", flat=True))
    assert inserted == sorted(inserted)


@pytest.mark.django_db(transaction=True)
def test_no_provider_is_asked_inside_a_transaction(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow answer would hold locks for as long as it takes. Each door is opened once, with work behind it."""
    ids = [sandbox.add_job(kind="training", created_offset=-120)["id"] for _ in range(4)]
    database = connections["default"]
    asked: list[tuple[str, bool]] = []
    send = ApiClient._send

    def watched(client: ApiClient, method: str, path: str, **rest: Any) -> Any:
        asked.append((path, database.in_atomic_block))
        return send(client, method, path, **rest)

    monkeypatch.setattr(ApiClient, "_send", watched)

    def a_webhook_of_an_unknown_job() -> None:
        stranger = sandbox.add_job(kind="training", created_offset=-60)["id"]
        body = body_of(stranger)
        webhooks.receive("replicate", signed(body, secret=sandbox.get("/webhooks/default/secret")["key"]), body)
        webhooks.apply_received()
        assert UnifiedJob.objects.filter(external_id=stranger).exists()

    def a_walk() -> None:
        history_walk.start("replicate")
        history_walk.advance()

    doors: list[Callable[[], object]] = [
        lambda: sync.discover_jobs("replicate"),
        lambda: sync.refresh_active_jobs(source=Source.POLLER),
        lambda: sync.refresh_for_list(None),
        lambda: logs.read_log(ids[0]),
        a_webhook_of_an_unknown_job,
        a_walk,
    ]
    for door in doors:
        asked.clear()
        door()
        assert asked, "this door was to ask the provider"
        assert not [path for path, in_transaction in asked if in_transaction]


@pytest.mark.django_db(transaction=True)
def test_sync_twice_is_sync_once(sandbox: RunningSandbox) -> None:
    sandbox.add_job(kind="training", created_offset=-9000, durations={"queue": 5, "train": 100})
    sandbox.add_job(kind="prediction", created_offset=-9000, durations={"queue": 5, "train": 100})
    first = sync.discover_jobs("replicate")
    before, changes = rows(), StatusChange.objects.count()
    again = sync.discover_jobs("replicate")
    assert (first.found, again.found, again.updated) == (2, 0, 0)
    assert rows() == before
    assert StatusChange.objects.count() == changes
