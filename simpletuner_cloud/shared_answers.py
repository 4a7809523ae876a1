"""One answer for all who ask the same while they wait.

Programs that watch jobs ask for the same list over and over, with the same credentials: a dozen of them wait for a
dozen equal answers. Here those whose requests are equal in every byte that the application could see, and that wait at
the same time, get one answer, which is worked out after the last of them came: nobody is told anything older than
without it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from simpletuner_cloud import correlation

CORRELATION_HEADER = correlation.HEADER.lower().encode()
BODY_HEADERS = (b"content-length", b"transfer-encoding")

Application = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]
Messages = list[dict[str, Any]]


class SharedAnswers:
    """In front of an application that works on so many requests ``at_once``."""

    def __init__(self, application: Application, *, at_once: int) -> None:
        self._application = application
        self._turns = asyncio.Semaphore(at_once)
        # Those that nobody works on yet, by what was asked. `None`: there is none to share.
        self._waiting: dict[tuple[object, ...], asyncio.Future[Messages | None]] = {}

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        question = _question(scope)
        if question is None:
            async with self._turns:
                await self._application(scope, receive, send)
            return
        waiting = self._waiting.get(question)
        if waiting is None:
            await self._ask(question, scope, receive, send)
        elif (answer := await waiting) is not None:
            await _repeat(answer, scope, send)
        else:
            async with self._turns:
                await self._application(scope, receive, send)

    async def _ask(
        self,
        question: tuple[object, ...],
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        answer: Messages = []
        shared: asyncio.Future[Messages | None] = asyncio.get_running_loop().create_future()
        self._waiting[question] = shared

        async def note(message: Any) -> None:
            answer.append(dict(message))

        try:
            async with self._turns:
                # Whoever comes from now on may know of something that this answer does not.
                del self._waiting[question]
                await self._application(scope, receive, note)
        finally:
            if self._waiting.get(question) is shared:
                del self._waiting[question]
            shared.set_result(answer if is_for_all(answer) else None)
        for message in answer:
            await send(cast("Any", message))


def _question(scope: HTTPScope) -> tuple[object, ...] | None:
    """All that an answer can depend on; ``None``: it may depend on more."""
    if scope["method"] != "GET" or any(name in BODY_HEADERS for name, _ in scope["headers"]):
        return None
    address = scope["client"][0] if scope["client"] else None
    headers = tuple((name, value) for name, value in scope["headers"])
    return scope["scheme"], scope["path"], scope["query_string"], address, headers


def is_for_all(messages: Messages) -> bool:
    """Whether it is one whole answer, and nobody's in particular."""
    if len(messages) != 2 or messages[1].get("more_body"):
        return False
    return not any(name == b"set-cookie" for name, _ in messages[0]["headers"])


async def _repeat(answer: Messages, scope: HTTPScope, send: ASGISendCallable) -> None:
    """Each who named no id is given one of its own, under which it can be asked about."""
    start, body = answer
    headers = start["headers"]
    if not any(name == CORRELATION_HEADER for name, _ in scope["headers"]):
        own = correlation.accepted_or_new(None).encode()
        headers = [(name, own if name == CORRELATION_HEADER else value) for name, value in headers]
    await send(cast("Any", {**start, "headers": headers}))
    await send(cast("Any", body))
