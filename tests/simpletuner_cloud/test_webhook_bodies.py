"""simpletuner_cloud.webhook_bodies: what is held of a body, how long, and what reaches the application."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django import Settings

from jobs.api.webhooks import MAX_BODY_BYTES
from simpletuner_cloud import webhook_bodies
from simpletuner_cloud.webhook_bodies import WebhookBodies

MIB = 1024 * 1024
Chunks = Callable[[], AsyncIterator[bytes]]


@dataclass
class Exchange:
    """One request and what came of it. ``taken``: bytes that were read of it."""

    bodies: WebhookBodies | None = None
    method: str = "POST"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    peer: str = "127.0.0.1"
    reached: list[tuple[bytes, dict[bytes, bytes]]] = field(default_factory=list)
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    answer_headers: dict[bytes, bytes] = field(default_factory=dict)
    taken: int = 0

    async def send(self, *chunks: bytes, endless: bool = False, pause: float = 0.0, gone: bool = False) -> "Exchange":
        queue = list(chunks)

        async def receive() -> dict[str, Any]:
            if pause:
                await asyncio.sleep(pause)
            if gone and not queue:
                return {"type": "http.disconnect"}
            chunk = queue[0] if endless else queue.pop(0)
            self.taken += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": endless or gone or bool(queue)}

        async def answer(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status, self.answer_headers = message["status"], dict(message["headers"])
            elif message["body"]:
                self.answer = json.loads(message["body"])

        scope = {"type": "http", "method": self.method, "headers": self.headers, "client": (self.peer, 5)}
        bodies = self.bodies or self.guard()
        await asyncio.wait_for(bodies(scope, receive, answer), 10)  # type: ignore[arg-type]
        return self

    def guard(self) -> WebhookBodies:
        async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
            message = await receive()
            assert message["more_body"] is False
            self.reached.append((message["body"], dict(scope["headers"])))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return WebhookBodies(application)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_bodies, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(webhook_bodies, "DRAIN_SECONDS", 0.2)


def run(exchange: Exchange, *chunks: bytes, **how: Any) -> Exchange:
    return asyncio.run(exchange.send(*chunks, **how))


def test_whole_body_arrives_in_one_piece_with_its_length() -> None:
    chunked = Exchange(headers=[(b"transfer-encoding", b"chunked"), (b"webhook-id", b"a")])
    run(chunked, b"one ", b"", b"two")
    assert chunked.status == 200
    assert chunked.reached == [(b"one two", {b"webhook-id": b"a", b"content-length": b"7"})]


def test_body_without_end_is_cut_off_at_the_limit_and_never_reaches_the_application() -> None:
    endless = run(Exchange(), b"x" * MIB, endless=True)
    assert (endless.status, endless.answer["code"]) == (413, "body_too_large")
    assert endless.answer_headers[b"connection"] == b"close"
    assert not endless.reached
    assert endless.taken <= MAX_BODY_BYTES + webhook_bodies.DRAIN_BYTES + 2 * MIB


def test_body_of_exactly_the_limit_passes() -> None:
    exact = run(Exchange(), *[b"x" * MIB] * (MAX_BODY_BYTES // MIB))
    assert (exact.status, len(exact.reached[0][0])) == (200, MAX_BODY_BYTES)


@pytest.mark.parametrize("length", [MAX_BODY_BYTES + 1, 10**30])
def test_declared_length_beyond_the_limit_is_refused_unread_if_the_sender_waits_for_leave(length: int) -> None:
    head = [(b"content-length", str(length).encode()), (b"expect", b"100-continue")]
    declared = run(Exchange(headers=head), b"x" * MIB, endless=True)
    assert (declared.status, declared.taken) == (413, 0)


def test_what_is_refused_by_its_head_is_read_away_so_that_the_answer_arrives() -> None:
    encoded = run(Exchange(headers=[(b"content-encoding", b"gzip")]), b"x" * MIB, b"x")
    assert (encoded.status, encoded.answer["code"]) == (415, "content_encoding_not_supported")
    assert encoded.taken == MIB + 1
    assert not encoded.reached


@pytest.mark.parametrize("encoding", [b"", b"identity", b" Identity "])
def test_body_that_is_not_encoded_may_say_so(encoding: bytes) -> None:
    assert run(Exchange(headers=[(b"content-encoding", encoding)]), b"x").status == 200


def test_sender_outside_the_allow_list_is_refused_before_its_body_counts(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_ADDRESSES = (ip_network("203.0.113.0/24"),)
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.1"),)

    def status(peer: str, *forwarded: bytes) -> int:
        return run(Exchange(peer=peer, headers=[(b"x-forwarded-for", hop) for hop in forwarded]), b"x").status

    assert status("203.0.113.9") == 200
    assert status("198.51.100.1") == 403
    assert status("198.51.100.1", b"203.0.113.9") == 403
    assert status("10.0.0.1", b"203.0.113.9") == 200
    assert status("10.0.0.1", b"203.0.113.9", b"198.51.100.1") == 403


def test_slow_body_is_given_up_after_its_time() -> None:
    slow = run(Exchange(), b"x", endless=True, pause=0.01)
    assert (slow.status, slow.answer["code"]) == (408, "body_too_slow")
    assert not slow.reached


def test_sender_that_goes_away_gets_no_answer_and_holds_nothing() -> None:
    gone = Exchange()
    gone.bodies = gone.guard()
    run(gone, b"x" * MIB, gone=True)
    assert (gone.status, gone.reached, gone.bodies._held) == (0, [], 0)


def test_all_bodies_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_bodies, "HELD_BYTES", 3 * MIB)
    monkeypatch.setattr(webhook_bodies, "BODY_SECONDS", 5.0)

    async def many() -> list[Exchange]:
        shared = Exchange()
        guard = shared.guard()
        exchanges = [Exchange(bodies=guard) for _ in range(8)]
        await asyncio.gather(*(exchange.send(b"x" * MIB, b"y", pause=0.05) for exchange in exchanges))
        assert guard._held == 0
        again = await Exchange(bodies=guard).send(b"x" * MIB)
        assert again.status == 200
        return exchanges

    statuses = sorted(exchange.status for exchange in asyncio.run(many()))
    assert statuses[0] == 200
    assert statuses[-1] == 503
    assert statuses.count(503) >= 5


def test_other_methods_are_passed_on_with_no_body_at_all() -> None:
    asked = run(Exchange(method="GET", headers=[(b"content-length", b"99")]), b"x", endless=True)
    assert asked.reached[0][0] == b""
    assert asked.taken == 0
