"""Answers that begin too late, and connections that are lost, against real sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from providers import connections
from providers.errors import ProviderTimeout, ProviderUnavailable
from providers.http import ApiClient

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


@contextmanager
def serving(*visits: Callable[[socket.socket], None]) -> Iterator[tuple[ApiClient, list[int]]]:
    """A server whose connections are dealt with by one visit each; the list counts them."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[int] = []

    def run() -> None:
        for number, visit in enumerate(visits):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            seen.append(number)
            with connection:
                visit(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield ApiClient(label="Replicate", base_url=address, token="test-token"), seen
    finally:
        with suppress(OSError):
            # Closing alone does not wake whoever waits for a visitor.
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def request_of(connection: socket.socket) -> bytes:
    text = b""
    while b"\r\n\r\n" not in text:
        chunk = connection.recv(65_536)
        if not chunk:
            break
        text += chunk
    return text


def answer(connection: socket.socket) -> None:
    request_of(connection)
    connection.sendall(GOOD)


def drop(connection: socket.socket) -> None:
    request_of(connection)


def half(connection: socket.socket) -> None:
    request_of(connection)
    connection.sendall(GOOD[:-1])


def answer_then_drop(connection: socket.socket) -> None:
    """Keep the connection open, and close it just when it is used again."""
    answer(connection)
    request_of(connection)


def drip(connection: socket.socket) -> None:
    """A header that never ends, a byte now and then."""
    request_of(connection)
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(2000):
            connection.sendall(b"x")
            time.sleep(0.01)
    except OSError:
        return


def test_headers_that_drip_are_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_DEADLINE_SECONDS", 0.3)
    with serving(drip) as (client, _):
        started = time.monotonic()
        with pytest.raises(ProviderTimeout):
            client.get("/v1/account")
        assert time.monotonic() - started < 10


def test_headers_that_come_in_time_leave_no_watchdog_behind() -> None:
    with serving(answer) as (client, _):
        assert client.get("/v1/account").payload == {}
    for watchdog in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        watchdog.join(timeout=5)
        assert not watchdog.is_alive()


@pytest.mark.parametrize("lost", [drop, half], ids=["before the answer", "within the answer"])
def test_reading_is_tried_once_more_when_the_connection_is_lost(lost: Callable[[socket.socket], None]) -> None:
    with serving(lost, answer) as (client, seen):
        assert client.get("/v1/account").payload == {}
        assert seen == [0, 1]


def test_connection_that_was_closed_while_idle_is_replaced() -> None:
    with serving(answer_then_drop, answer) as (client, seen):
        assert client.get("/v1/account").payload == {}
        assert client.get("/v1/account").payload == {}
        assert seen == [0, 1]


def test_reading_is_not_tried_a_third_time() -> None:
    with serving(drop, drop, answer) as (client, seen):
        with pytest.raises(ProviderUnavailable):
            client.get("/v1/account")
        assert seen == [0, 1]


def test_writing_is_never_tried_again() -> None:
    with serving(drop, answer) as (client, seen):
        with pytest.raises(ProviderUnavailable):
            client.post("/v1/predictions", {})
        assert seen == [0]
