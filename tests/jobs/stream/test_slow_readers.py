"""A reader that does not read: cut off, and nobody else held up."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
import redis
from pytest_django import Settings

from jobs.models import StatusChange, UnifiedJob
from tests.conftest import MakeJob
from tests.jobs.stream.conftest import Listen
from tests.web_server import running_web

MANY_EVENTS = 6000
WAIT_SECONDS = 20.0


@contextmanager
def silent_reader(url: str) -> Iterator[socket.socket]:
    """Asks for a stream, and takes no more than what finds room in a small buffer."""
    address = urlsplit(url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.hostname, address.port))
        connection.sendall(f"GET /api/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        head = b""
        while b": connected\n\n" not in head:
            head += connection.recv(1024)
        yield connection


def is_dropped(connection: socket.socket) -> bool:
    """Whether the server has ended the connection at once; looks without reading."""
    poll = select.poll()
    poll.register(connection, 0)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if poll.poll(100):
            return True
    return False


def read_rest(connection: socket.socket) -> bytes:
    taken = b""
    try:
        while data := connection.recv(65536):
            taken += data
    except ConnectionResetError:
        # As intended: what had arrived before could still be read.
        return taken
    return taken


def make_events(job: UnifiedJob, count: int, settings: Settings) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for _ in range(count // 500):
            StatusChange.objects.bulk_create(
                StatusChange(job=job, previous="queued", status="running", source="sync") for _ in range(500)
            )
            client.publish("events_channel", "{}")


def history_ids() -> list[int]:
    return list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))


def test_silent_reader_is_dropped_while_the_others_get_everything_in_order(
    transactional_db: None, listen: Listen, make_job: MakeJob, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.stream.listener.QUEUE_BYTES", 256 * 1024)
    monkeypatch.setattr("jobs.services.history.REPLAY_EVENTS", MANY_EVENTS)
    settings.SSE_MAX_PER_IP = 4
    job = make_job()
    with running_web() as url, silent_reader(url) as silent:
        others = [listen(url) for _ in range(3)]
        assert listen(url).status == 429
        make_events(job, MANY_EVENTS, settings)
        for other in others:
            other.wait_for(MANY_EVENTS)
            assert other.ids == history_ids()
        assert is_dropped(silent), "nothing is kept for a reader that does not read, not even its connection"
        # What reached it, up to the last whole event.
        whole, _, _ = read_rest(silent).rpartition(b"\n\n")
        cursor = max(int(line[4:]) for line in whole.splitlines() if line.startswith(b"id: "))
        assert cursor < history_ids()[-1]
        again = listen(url, headers={"Last-Event-ID": str(cursor)})
        assert again.status == 200, "its place is free again"
        expected = [event_id for event_id in history_ids() if event_id > cursor]
        again.wait_for(len(expected))
        assert again.ids == expected


def test_silent_reader_that_comes_back_after_too_much_is_told_to_read_anew(
    transactional_db: None, listen: Listen, make_job: MakeJob, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.stream.listener.QUEUE_BYTES", 64 * 1024)
    job = make_job()
    with running_web() as url, silent_reader(url) as silent:
        make_events(job, MANY_EVENTS, settings)
        assert is_dropped(silent)
        again = listen(url, headers={"Last-Event-ID": str(history_ids()[0])})
        assert again.wait_for(1) == [{"type": "resync"}]
        assert again.ids == history_ids()[-1:]


def test_reader_that_takes_nothing_is_dropped_although_little_waits_for_it(
    transactional_db: None, make_job: MakeJob, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.stream.endpoint.WRITE_SECONDS", 0.3)
    job = make_job()
    with running_web() as url, silent_reader(url) as silent:
        # Less than may wait in a listener's queue.
        make_events(job, 2000, settings)
        assert is_dropped(silent)


def test_server_stops_in_time_with_a_silent_reader(
    transactional_db: None, listen: Listen, make_job: MakeJob, settings: Settings
) -> None:
    job = make_job()
    with ExitStack() as readers:
        with running_web() as url:
            silent = readers.enter_context(silent_reader(url))
            other = listen(url)
            make_events(job, 2000, settings)
            other.wait_for(2000)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        assert is_dropped(silent)
