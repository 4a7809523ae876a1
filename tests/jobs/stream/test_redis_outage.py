"""``/api/events`` while Redis is stopped, started again, or hangs without a word."""

import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django_eventstream import send_event
from pytest_django import Settings

from jobs import events
from jobs.models import StatusChange
from tests.conftest import MakeJob
from tests.jobs.stream.conftest import Change, Listen
from tests.servers import RedisServer
from tests.web_server import running_web

WAIT_SECONDS = 15.0


@pytest.fixture
def server(transactional_db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A Redis of this test's own, with the times for noticing its absence shortened."""
    server = RedisServer()
    server.start()
    settings.REDIS_URL = server.url
    publisher = redis.Redis(**(settings.EVENTSTREAM_REDIS | {"port": server.port, "db": 0, "socket_timeout": 0.2}))
    monkeypatch.setitem(send_event.__globals__, "redis_client", publisher)
    monkeypatch.setattr(events, "PAUSE_AFTER_FAILURE_SECONDS", 0.0)
    for name, seconds in (
        ("hub.SILENCE_SECONDS", 0.2),
        ("hub.ANSWER_SECONDS", 0.5),
        ("hub.LOOK_WHILE_DEAF_SECONDS", 0.1),
        # What arrives while Redis is believed to be heard was brought by Redis.
        ("hub.LOOK_SECONDS", 3600.0),
        ("leases.ANSWER_SECONDS", 0.5),
        ("leases.PAUSE_AFTER_FAILURE_SECONDS", 0.2),
        ("leases.RENEW_SECONDS", 0.2),
    ):
        monkeypatch.setattr(f"jobs.stream.{name}", seconds)
    yield server
    server.remove()


def history_ids() -> list[int]:
    return list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until_heard_again(*readers: object) -> None:
    """Announcements come through Redis alone."""
    heard = [reader.events for reader in readers]  # type: ignore[attr-defined]

    def is_heard() -> bool:
        events.announce("history_sync", {})
        return all({"type": "history_sync"} in list(of_reader) for of_reader in heard)

    until(is_heard)


def changes(ids: list[int], heard: list[dict[str, object]]) -> list[int]:
    return [event_id for event_id, event in zip(ids, heard, strict=True) if event["type"] == "job_status_changed"]


def test_restarted_redis_deafens_nobody_and_nothing_is_lost_or_told_twice(
    server: RedisServer, listen: Listen, change: Change
) -> None:
    """django-eventstream's own reader stayed deaf until the web process was restarted."""
    with running_web() as url:
        old = listen(url)
        change()
        old.wait_for(1)
        server.stop()
        for _ in range(3):
            change()
        assert len(old.wait_for(4)) == 4, "what happened meanwhile comes from the history, without Redis"
        during = listen(url)
        assert during.status == 200
        change()
        old.wait_for(5)
        server.start()
        until_heard_again(old, during)
        after = listen(url, headers={"Last-Event-ID": str(history_ids()[1])})
        change()
        for reader, expected in ((old, history_ids()), (during, history_ids()[4:]), (after, history_ids()[2:])):
            until(lambda reader=reader, expected=expected: changes(reader.ids, reader.events) == expected)  # type: ignore[misc]


def test_redis_that_hangs_is_noticed_and_heard_again_when_it_goes_on(
    server: RedisServer, listen: Listen, change: Change, make_job: MakeJob
) -> None:
    """Such a connection stays open: a reader that only waits for it would wait for ever."""
    job = make_job()
    with running_web() as url:
        listener = listen(url)
        change()
        listener.wait_for(1)
        server.freeze()
        try:
            # Nobody is told of this one.
            StatusChange.objects.create(job=job, previous="running", status="completed", source="poller")
            assert len(listener.wait_for(2)) == 2
            second = listen(url)
            assert second.status == 200, "a reader that comes meanwhile is served"
            change()
            assert second.wait_for(1)[0]["type"] == "job_status_changed"
        finally:
            server.thaw()
        until_heard_again(listener, second)
        change()
        until(lambda: changes(listener.ids, listener.events) == history_ids())
        until(lambda: changes(second.ids, second.events) == history_ids()[2:])


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_outage_locks_nobody_out_and_counts_nobody_twice(
    server: RedisServer, listen: Listen, settings: Settings, how: str
) -> None:
    settings.SSE_MAX_PER_IP = 3
    key = f"{settings.REDIS_KEY_PREFIX}streams:127.0.0.1"
    with running_web() as url:
        stays, leaves = listen(url), listen(url)
        if how == "stopped":
            server.stop()
        else:
            server.freeze()
        comes = listen(url)
        assert (stays.status, comes.status) == (200, 200)
        assert listen(url).status == 429, "the limit holds without Redis too"
        leaves.close()
        until(lambda: listen(url).status == 200)
        if how == "stopped":
            server.start()
        else:
            server.thaw()
        with redis.Redis.from_url(server.url) as client:
            # The lease of the one that left would hold its place for half a minute.
            until(lambda: client.zcard(key) == 3)
        assert listen(url).status == 429
        comes.close()
        until(lambda: listen(url).status == 200)
