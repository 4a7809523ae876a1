"""A lane of threads that answer requests by WSGI, for a loop that speaks ASGI.

a2wsgi hands each piece of an answer from its thread to the loop and waits for it there: three times for the smallest
answer, and each time the thread has to win the interpreter back from all others. Here a thread hands over a whole
answer, once. What is too long to be held is handed on piece by piece.
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

from a2wsgi.wsgi import Body, build_environ
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

# Of an answer that comes in pieces, so much is collected before the rest is handed on as it comes.
COLLECTED_BYTES = 1024**2

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """``rest``: what was not collected, to be asked for in a thread."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes
    rest: Iterator[bytes] | None
    close: Callable[[], object]


class WsgiLane:
    """So many requests at once are answered here; the others wait for a thread."""

    def __init__(self, application: WsgiApplication, *, threads: int, name: str) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        loop = asyncio.get_running_loop()
        # The body is read as the application asks for it, if it does.
        environ = cast("dict[str, Any]", build_environ(cast("Any", scope), Body(loop, cast("Any", receive))))
        answer = await self._in_thread(self._answer, environ)
        try:
            await send(
                {"type": "http.response.start", "status": answer.status, "headers": answer.headers, "trailers": False}
            )
            await send({"type": "http.response.body", "body": answer.content, "more_body": answer.rest is not None})
            if answer.rest is not None:
                while (chunk := await self._in_thread(next, answer.rest, None)) is not None:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if answer.rest is not None:
                await self._in_thread(answer.close)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work, *arguments)

    def _answer(self, environ: dict[str, Any]) -> _Answer:
        begun: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            begun[:] = (int(status.partition(" ")[0]), pairs)

        pieces = self._application(environ, start_response)
        close = getattr(pieces, "close", lambda: None)
        is_whole = False
        try:
            iterator, collected, size = iter(pieces), [], 0
            for piece in iterator:
                collected.append(piece)
                size += len(piece)
                if size >= COLLECTED_BYTES:
                    break
            else:
                is_whole = True
            status, headers = begun
            return _Answer(status, headers, b"".join(collected), None if is_whole else iterator, close)
        except BaseException:
            is_whole = True
            raise
        finally:
            if is_whole:
                close()
