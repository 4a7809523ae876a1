"""Answers that may be given twice, given again without asking for them.

Every open page asks for the progress of every running job it shows (SPEC A1.7): with hundreds of pages that is a
thousand requests a second for a handful of answers, which change every five seconds at most.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from simpletuner_cloud import correlation
from simpletuner_cloud.shared_answers import is_for_all

PATH = re.compile(r"/api/cloud/jobs/[^/]{1,128}/inline-progress/?\Z")
# Added to the five seconds within which all pages get the same progress.
FRESH_SECONDS = 1.0
MOST_ANSWERS = 2000
CORRELATION_HEADER = correlation.HEADER.lower().encode()

Application = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


@dataclass(slots=True)
class _Recent:
    """An answer and when it was given; ``is_there`` is set once it is whole, or once there will be none."""

    given_at: float = 0.0
    messages: list[dict[str, Any]] = field(default_factory=list)
    is_there: asyncio.Event = field(default_factory=asyncio.Event)
    is_good: bool = False


class RecentAnswers:
    """In front of an application: who asks for what was just told is told the same, with its age.

    In single-user mode only: where readers differ in what they may see, each is answered by the application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._recent: dict[str, _Recent] = {}

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if not _may_be_shared(scope):
            await self._application(scope, receive, send)
            return
        path = scope["path"]
        known = self._recent.get(path)
        if known is None or (known.is_there.is_set() and not _is_fresh(known)):
            await self._ask(path, scope, receive, send)
            return
        await known.is_there.wait()
        if known.is_good:
            await _repeat(known, scope, send)
        else:
            await self._application(scope, receive, send)

    async def _ask(self, path: str, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        answer = _Recent()
        if len(self._recent) >= MOST_ANSWERS:
            self._recent = {path: kept for path, kept in self._recent.items() if _is_fresh(kept)}
        self._recent[path] = answer

        async def note(message: Any) -> None:
            answer.messages.append(dict(message))
            await send(message)

        try:
            await self._application(scope, receive, note)
            answer.is_good = is_for_all(answer.messages) and answer.messages[0]["status"] == 200
        finally:
            answer.given_at = time.monotonic()
            answer.is_there.set()
            if not answer.is_good and self._recent.get(path) is answer:
                del self._recent[path]


def _may_be_shared(scope: HTTPScope) -> bool:
    if scope["method"] != "GET" or not settings.SINGLE_USER or not PATH.match(scope["path"]):
        return False
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def _is_fresh(answer: _Recent) -> bool:
    return time.monotonic() - answer.given_at < FRESH_SECONDS


async def _repeat(answer: _Recent, scope: HTTPScope, send: ASGISendCallable) -> None:
    start, body = answer.messages
    older = int(time.monotonic() - answer.given_at)
    proposed = next((value.decode("latin-1") for name, value in scope["headers"] if name == CORRELATION_HEADER), None)
    headers = []
    for name, value in start["headers"]:
        if name == b"age":
            value = str(int(value) + older).encode()
        elif name == CORRELATION_HEADER:
            value = correlation.accepted_or_new(proposed).encode()
        headers.append((name, value))
    await send(cast("Any", {**start, "headers": headers}))
    await send(cast("Any", body))
