"""Transient events: from ``events.announce`` to the readers of ``/api/events``, through a real Redis."""

import json
import subprocess
import sys

import redis
from django.db import transaction
from pytest_django import Settings

from jobs import events
from jobs.models import StatusChange
from tests.conftest import MakeJob
from tests.jobs.stream.conftest import Change, Listen


def publish(settings: Settings, message: object) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.publish("events_channel", message if isinstance(message, bytes) else json.dumps(message))


def test_announcement_reaches_every_reader_with_the_id_of_the_newest_change(
    web: str, listen: Listen, change: Change
) -> None:
    readers = [listen(web) for _ in range(3)]
    change()
    newest = StatusChange.objects.get().pk
    events.announce("history_sync", {"pages": 2, "state": "running"})
    for reader in readers:
        assert reader.wait_for(2)[1] == {"type": "history_sync", "pages": 2, "state": "running"}
        assert reader.ids == [newest, newest]


def test_announcement_never_overtakes_a_change_that_was_committed_before_it(
    web: str, listen: Listen, make_job: MakeJob
) -> None:
    listener = listen(web)
    job = make_job()
    for number in range(30):
        with transaction.atomic():
            # Without a wake-up of its own.
            StatusChange.objects.create(job=job, previous="queued", status="running", source="sync")
            events.announce("history_sync", {"number": number})
    heard = listener.wait_for(60)
    changes = 0
    announced = []
    for event in heard:
        if event["type"] == "job_status_changed":
            changes += 1
        else:
            announced.append(event["number"])
            assert changes > event["number"]
    assert announced == list(range(30))
    assert listener.ids == sorted(listener.ids)
    assert sorted(set(listener.ids)) == list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))


def test_reader_that_returns_after_an_announcement_misses_no_change_and_gets_none_twice(
    web: str, listen: Listen, change: Change
) -> None:
    first = listen(web)
    change()
    events.announce("history_sync", {})
    first.wait_for(2)
    first.close()
    change()
    again = listen(web, headers={"Last-Event-ID": str(first.cursor)})
    again.wait_for(1)
    change()
    again.wait_for(2)
    assert [*first.ids[:1], *again.ids] == list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))


def test_announcement_before_any_change_carries_the_beginning_of_the_history(web: str, listen: Listen) -> None:
    listener = listen(web)
    events.announce("history_sync", {})
    listener.wait_for(1)
    assert listener.ids == [StatusChange.objects.order_by("-pk").values_list("pk", flat=True).first() or 0]


def test_announcement_of_another_process_is_heard(web: str, listen: Listen, settings: Settings) -> None:
    listener = listen(web)
    announce = (
        "import sys, json, redis;"
        "redis.Redis.from_url(sys.argv[1]).publish('events_channel', json.dumps("
        "{'channel': sys.argv[2], 'event_type': 'message', 'data': json.dumps({'type': 'history_sync'})}))"
    )
    channel = f"{settings.REDIS_KEY_PREFIX}jobs"
    subprocess.run([sys.executable, "-c", announce, settings.REDIS_URL, channel], check=True)
    assert listener.wait_for(1) == [{"type": "history_sync"}]


def test_nothing_leaks_from_the_other_store_and_garbage_harms_nobody(
    web: str, listen: Listen, change: Change, settings: Settings
) -> None:
    listener = listen(web)
    publish(settings, {"channel": "simpletuner:live:jobs", "data": json.dumps({"type": "history_sync", "of": "live"})})
    publish(settings, {"channel": "simpletuner:sandbox:jobs", "data": json.dumps({"type": "job_status_changed"})})
    for garbage in (b"", b"\xff", b"{}", b"null", b"x" * 1_000_000):
        publish(settings, garbage)
    change()
    events.announce("history_sync", {"of": "sandbox"})
    heard = listener.wait_for(2)
    assert [event["type"] for event in heard] == ["job_status_changed", "history_sync"]
    assert heard[1] == {"type": "history_sync", "of": "sandbox"}
