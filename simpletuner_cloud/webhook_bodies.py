"""Collects the body of a webhook before a thread is given to it.

Whoever sends slowly, or without end, holds a coroutine and what he has sent, for half a minute at most; never one of
the few threads that answer requests.
"""

import asyncio
import json
import time
from collections.abc import Iterable

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPRequestEvent, HTTPScope

from jobs.api.webhooks import MAX_BODY_BYTES, TOO_LARGE, Refusal, refusal, under_way
from simpletuner_cloud.wsgi_lane import WsgiLane

# For the whole body: Replicate's own sender gives up after 30 s.
BODY_SECONDS = 30.0
# All bodies together: what strangers can make us hold in memory.
HELD_BYTES = 8 * MAX_BODY_BYTES
# A connection that is closed with something unread is reset, and the answer may be lost with it.
DRAIN_SECONDS, DRAIN_BYTES = 2.0, 2 * MAX_BODY_BYTES

TOO_SLOW = Refusal(408, "body_too_slow", "The body did not arrive in time.")
TOO_MANY = Refusal(503, "too_many_webhooks", "Too many webhooks are under way.", retry_after=5)


class _Unusable(Exception):
    def __init__(self, reason: Refusal, *, has_more: bool) -> None:
        super().__init__(reason.code)
        self.reason = reason
        self.has_more = has_more


class _ClientGone(Exception):
    pass


class WebhookBodies:
    """In front of the application that answers webhooks: gives it whole bodies of a bounded size only."""

    def __init__(self, application: WsgiLane) -> None:
        self._application = application
        self._held = 0

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["method"] != "POST":
            await self._application(scope, _replay(b""), send)
            return
        reason = _refusal(scope)
        # Whoever waits for leave sends nothing before he has it.
        has_more = b"expect" not in dict(scope["headers"])
        chunks: list[bytes] = []
        try:
            if reason is None:
                try:
                    async with asyncio.timeout(BODY_SECONDS):
                        await self._collect(receive, chunks)
                except TimeoutError:
                    reason, has_more = TOO_SLOW, False
                except _Unusable as error:
                    reason, has_more = error.reason, error.has_more
                except _ClientGone:
                    return
            if reason is None:
                body = b"".join(chunks)
                await self._answer(_with_length(scope, len(body)), body, send)
        finally:
            self._held -= sum(map(len, chunks))
            chunks.clear()
        if reason is not None:
            if has_more:
                await _drain(receive)
            await _refuse(send, reason)

    async def _answer(self, scope: HTTPScope, body: bytes, send: ASGISendCallable) -> None:
        under_way.deliveries += 1
        try:
            await self._application(scope, _replay(body), send)
        finally:
            under_way.deliveries -= 1

    async def _collect(self, receive: ASGIReceiveCallable, chunks: list[bytes]) -> None:
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _ClientGone
            chunk = message["body"]
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _Unusable(TOO_LARGE, has_more=message["more_body"])
            if self._held + len(chunk) > HELD_BYTES:
                raise _Unusable(TOO_MANY, has_more=message["more_body"])
            self._held += len(chunk)
            chunks.append(chunk)
            if not message["more_body"]:
                return


def _refusal(scope: HTTPScope) -> Refusal | None:
    client = scope["client"]
    return refusal(
        peer=client[0] if client else "",
        forwarded_for=_header(scope, b"x-forwarded-for"),
        content_encoding=",".join(_header(scope, b"content-encoding")),
        content_length=next(iter(_header(scope, b"content-length")), ""),
    )


def _header(scope: HTTPScope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _with_length(scope: HTTPScope, length: int) -> HTTPScope:
    """A chunked body has no length of its own, and under WSGI a body without one counts as empty."""
    framing = (b"content-length", b"transfer-encoding")
    headers: Iterable[tuple[bytes, bytes]] = [pair for pair in scope["headers"] if pair[0] not in framing]
    changed = scope.copy()
    changed["headers"] = [*headers, (b"content-length", str(length).encode())]
    return changed


def _replay(body: bytes) -> ASGIReceiveCallable:
    async def receive() -> HTTPRequestEvent:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _drain(receive: ASGIReceiveCallable) -> None:
    """Read what is on its way, keeping nothing, within limits."""
    left, deadline = DRAIN_BYTES, time.monotonic() + DRAIN_SECONDS
    while left > 0:
        try:
            message = await asyncio.wait_for(receive(), deadline - time.monotonic())
        except TimeoutError:
            return
        if message["type"] != "http.request" or not message["more_body"]:
            return
        left -= len(message["body"])


async def _refuse(send: ASGISendCallable, reason: Refusal) -> None:
    body = json.dumps({"detail": reason.detail, "code": reason.code}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if reason.retry_after is not None:
        headers.append((b"retry-after", str(reason.retry_after).encode()))
    await send({"type": "http.response.start", "status": reason.status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})
