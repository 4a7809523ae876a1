"""Requests in a lane of threads: whole answers at once, long ones piece by piece, nothing left behind."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from simpletuner_cloud.wsgi_lane import COLLECTED_BYTES, WsgiLane

Begin = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], Begin], Iterable[bytes]]


class Pieces:
    """An answer in pieces that notes whether it was closed, and by which thread it was made."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = iter(pieces)
        self.is_closed = False
        self.threads: set[str] = set()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.threads.add(threading.current_thread().name)
        return next(self.pieces)

    def close(self) -> None:
        self.is_closed = True


def ask(application: Application, body: tuple[bytes, ...] = (b"",), **scope: Any) -> list[dict[str, Any]]:
    """What the server is sent for one request."""
    sent: list[dict[str, Any]] = []
    parts = list(body)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    lane = WsgiLane(application, threads=1, name="test-lane")
    request = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "http_version": "1.1", "headers": []}
    asyncio.run(lane({**request, **scope}, receive, send))  # type: ignore[arg-type, typeddict-item]
    return sent


def answering(pieces: Iterable[bytes]) -> Application:
    def application(_environ: dict[str, Any], begin: Begin) -> Iterable[bytes]:
        begin("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return pieces

    return application


def test_a_short_answer_is_handed_over_once_however_many_pieces_it_has() -> None:
    pieces = Pieces([b"one ", b"two ", b"three"])
    start, body = ask(answering(pieces))
    assert (start["status"], start["type"]) == (200, "http.response.start")
    assert start["headers"] == [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert (body["body"], body["more_body"]) == (b"one two three", False)
    assert pieces.is_closed
    assert pieces.threads == {"test-lane_0"}


def test_a_long_answer_is_handed_on_as_it_comes_and_never_held_as_a_whole() -> None:
    pieces = Pieces(bytes([number]) * (COLLECTED_BYTES // 2) for number in range(7))
    _, *bodies = ask(answering(pieces))
    assert b"".join(message["body"] for message in bodies) == b"".join(
        bytes([number]) * (COLLECTED_BYTES // 2) for number in range(7)
    )
    assert max(len(message["body"]) for message in bodies) == COLLECTED_BYTES
    assert [message["more_body"] for message in bodies] == [True] * (len(bodies) - 1) + [False]
    assert pieces.is_closed


def test_the_body_of_a_request_is_read_piece_by_piece_as_the_application_asks() -> None:
    def echo(environ: dict[str, Any], begin: Begin) -> Iterable[bytes]:
        begin("200 OK", [])
        return [environ["wsgi.input"].read(3), b"|", environ["wsgi.input"].read()]

    _, body = ask(echo, body=(b"ab", b"cd", b"ef"), method="POST")
    assert body["body"] == b"abc|def"


def test_an_answer_whose_making_fails_is_closed_and_the_error_is_told() -> None:
    def broken() -> Iterator[bytes]:
        yield b"some"
        raise OSError("gone")

    pieces = Pieces(broken())
    with pytest.raises(OSError, match="gone"):
        ask(answering(pieces))
    assert pieces.is_closed


def test_a_long_answer_is_closed_when_its_reader_has_left() -> None:
    pieces = Pieces(b"x" * COLLECTED_BYTES for _ in range(1000))
    lane = WsgiLane(answering(pieces), threads=1, name="test-lane")
    request = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "http_version": "1.1", "headers": []}

    async def leave(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(ConnectionResetError):
        asyncio.run(lane(request, nothing, leave))  # type: ignore[arg-type]
    assert pieces.is_closed
