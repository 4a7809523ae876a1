"""Watches over uploads: whoever stops sending, or leaves, frees the thread that reads from him."""

import asyncio
import time

from a2wsgi import WSGIMiddleware
from asgiref.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, HTTPScope

# Between two pieces, and for the whole: 100 MiB at 30 kB a second.
SILENCE_SECONDS = 30.0
UPLOAD_SECONDS = 3600.0


class UploadBodies:
    """In front of the application that takes uploads, which reads the body piece by piece as it arrives."""

    def __init__(self, application: WSGIMiddleware) -> None:
        self._application = application

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        deadline = time.monotonic() + UPLOAD_SECONDS

        async def next_piece() -> ASGIReceiveEvent:
            patience = min(SILENCE_SECONDS, deadline - time.monotonic())
            message = await asyncio.wait_for(receive(), max(patience, 0))
            if message["type"] != "http.request":
                # Under WSGI the end of a broken body looks like the end of a whole one.
                raise ConnectionResetError("the client left before its upload was complete")
            return message

        await self._application(scope, next_piece, send)  # type: ignore[arg-type]
