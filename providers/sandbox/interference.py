"""ASGI: makes the answers below `/v1` and of the status page late or wrong as the fault rules say, and counts them."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import status_page
from .clock import from_iso
from .faults import FaultBook, FaultKind, FaultRule
from .traffic import Traffic

DEFAULT_HANG_SECONDS = 120.0
CHUNK = b"x" * 65536
GATEWAY_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)
UNHEARD_OF_STATUS = "hibernating"


class Interference:
    def __init__(
        self,
        app: ASGIApp,
        *,
        faults: FaultBook,
        traffic: Traffic,
        template: Callable[[Scope], str],
        latency: float,
        now: Callable[[], float],
    ) -> None:
        self._app = app
        self._faults = faults
        self._traffic = traffic
        self._template = template
        self._latency = latency
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(("/v1", status_page.PATH)):
            await self._app(scope, receive, send)
            return
        seconds, rule = self._faults.judge(scope["method"], scope["path"])
        with self._traffic.record(scope, self._template(scope), rule.kind if rule else None) as note:

            async def noted_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    note.status = message["status"]
                await send(message)

            await asyncio.sleep(self._latency + seconds)
            if rule is None:
                await self._app(scope, receive, noted_send)
            elif rule.kind in (FaultKind.TIMEOUT, FaultKind.RESET):
                if rule.kind is FaultKind.TIMEOUT:
                    await _hang(receive, DEFAULT_HANG_SECONDS if rule.seconds is None else rule.seconds)
                await _drop_connection(receive, send)
            else:
                await self._answer_wrongly(rule, scope, receive, send, noted_send)

    async def _answer_wrongly(
        self, rule: FaultRule, scope: Scope, receive: Receive, send: Send, noted_send: Send
    ) -> None:
        match rule.kind:
            case FaultKind.STATUS:
                await _reply(noted_send, rule.status or 500, *_body_of(rule), retry_after=rule.retry_after)
            case FaultKind.TOO_MANY_REQUESTS:
                await _reply(noted_send, 429, *_throttle_body(rule), retry_after=rule.retry_after)
            case FaultKind.HTML:
                page = GATEWAY_PAGE.format(title="502 Bad Gateway").encode()
                await _reply(noted_send, rule.status or 200, page, "text/html")
            case FaultKind.NULL_BODY:
                await _reply(noted_send, rule.status or 200, b"null")
            case FaultKind.LIST_BODY:
                await _reply(noted_send, rule.status or 200, b"[]")
            case _:
                status, body = await _genuine_answer(self._app, scope, receive)
                if rule.kind is FaultKind.LOST_ANSWER:
                    await _hang(receive, rule.seconds or 0.0)
                    await _drop_connection(receive, send)
                elif rule.kind is FaultKind.LATE_LIST:
                    youngest = self._now() - (rule.seconds or 0.0)
                    await _reply(noted_send, status, orjson.dumps(_older_than(orjson.loads(body), youngest)))
                elif rule.kind is FaultKind.BAD_JSON:
                    await _reply(noted_send, status, body[: len(body) // 2])
                elif rule.kind is FaultKind.UNKNOWN_STATUS:
                    word = rule.body if isinstance(rule.body, str) else UNHEARD_OF_STATUS
                    await _reply(noted_send, status, orjson.dumps(_with_status(orjson.loads(body), word)))
                elif rule.kind is FaultKind.HUGE_BODY:
                    await _pad(noted_send, status, body, rule.size_bytes)
                else:
                    await _start(noted_send, status, "application/json", length=len(body))
                    await noted_send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                    await _drop_connection(receive, send, politely=True)


async def _genuine_answer(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, bytes]:
    """What the server would have said."""
    status, parts = 500, list[bytes]()

    async def keep(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, keep)
    return status, b"".join(parts)


async def _hang(receive: Receive, seconds: float) -> None:
    """Keep silent, but no longer than the client stays on the line."""

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(until_gone(), seconds)
    except TimeoutError:
        return


async def _drop_connection(receive: Receive, send: Send, *, politely: bool = False) -> None:
    """Cut the TCP connection: with a reset, or `politely` with what was written still delivered.

    ASGI has no message for this, so it reaches for the transport of uvicorn's request cycle, whose method `send` is.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("connections can be dropped under uvicorn only")
    if politely:
        transport.close()
    else:
        connection = transport.get_extra_info("socket")
        # A linger time of zero makes the kernel send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline and (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, media_type: str, *, length: int, retry_after: str | None = None) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(length).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _reply(
    send: Send, status: int, body: bytes, media_type: str = "application/json", retry_after: str | None = None
) -> None:
    await _start(send, status, media_type, length=len(body), retry_after=retry_after)
    await send({"type": "http.response.body", "body": body})


async def _pad(send: Send, status: int, body: bytes, size: int) -> None:
    """Valid JSON: the genuine object with a `padding` key in front, or an object with nothing else."""
    head = b'{"padding":"'
    tail = b'",' + body[1:] if body.startswith(b'{"') else b'"}'
    await _start(send, status, "application/json", length=len(head) + size + len(tail))
    await send({"type": "http.response.body", "body": head, "more_body": True})
    for sent in range(0, size, len(CHUNK)):
        await send({"type": "http.response.body", "body": CHUNK[: size - sent], "more_body": True})
    await send({"type": "http.response.body", "body": tail})


def _body_of(rule: FaultRule) -> tuple[bytes, str]:
    if isinstance(rule.body, str):
        return rule.body.encode(), "text/plain; charset=utf-8"
    if rule.body is not None:
        return orjson.dumps(rule.body), "application/json"
    status = rule.status or 500
    return orjson.dumps({"detail": "The sandbox was told to fail.", "status": status}), "application/problem+json"


def _throttle_body(rule: FaultRule) -> tuple[bytes, str]:
    """Without a Retry-After the waiting time stands in the text alone, as in Replicate's newer answers."""
    if rule.body is not None:
        return _body_of(rule)
    wait = "Your rate limit resets in ~30s."
    if rule.retry_after is not None and rule.retry_after.isdecimal():
        wait = f"Your rate limit resets in ~{rule.retry_after}s."
    return orjson.dumps({"detail": f"Request was throttled. {wait}", "status": 429}), "application/problem+json"


def _older_than(content: Any, youngest: float) -> Any:
    """A list without its rows that were created after a moment; anything else as it is."""
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        return content
    return {**content, "results": [row for row in content["results"] if from_iso(row["created_at"]) <= youngest]}


def _with_status(content: Any, word: str) -> Any:
    """The answer with every job's status replaced."""
    if isinstance(content, dict) and isinstance(content.get("results"), list):
        return {**content, "results": [_with_status(row, word) for row in content["results"]]}
    return {**content, "status": word} if isinstance(content, dict) and "status" in content else content
