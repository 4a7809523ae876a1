"""The web process: ``python -m simpletuner_cloud.web`` listens on SIMPLETUNER_HOST and SIMPLETUNER_PORT."""

import asyncio
import gc
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

import uvicorn
from django.conf import settings
from django.urls import get_resolver
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jobs.connections import ABORT
from simpletuner_cloud.refusals import plain_refusals

if TYPE_CHECKING:
    from simpletuner_cloud.asgi import WebApplication

CONNECTION_OPTIONS = {
    getattr(socket, name): value
    for name, value in (
        # Milliseconds after which a peer is given up that does not acknowledge what was written to it. A stream writes
        # every 15 seconds, so that the place of a peer that vanished without a word is free again within a minute.
        ("TCP_USER_TIMEOUT", 40_000),
        # Bytes that the system takes for a peer that does not read: by default it would be megabytes for each.
        ("TCP_NOTSENT_LOWAT", 128 * 1024),
    )
    # The first is Linux's; elsewhere a vanished peer is noticed when the system itself gives up.
    if hasattr(socket, name)
}


class WebProtocol(HttpToolsProtocol):
    """HTTP whose connections end when nobody is there any more, and that the application may end at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            for option, value in CONNECTION_OPTIONS.items():
                connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header.

        WSGI cannot tell ``X_Forwarded_For`` from ``X-Forwarded-For``: a client could write what only a proxy may.
        """
        if b"_" not in name:
            super().on_header(name, value)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"abort": self._abort}}

    def _abort(self) -> None:
        # Else the system would keep what the peer does not take, and go on trying.
        no_lingering = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
        self.transport.abort()


SERVER_OPTIONS: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    # The client's address decides about limits, so uvicorn must not take it from a header on its own.
    "proxy_headers": False,
    "server_header": False,
    "timeout_graceful_shutdown": 5,
    "lifespan": "on",
    "http": WebProtocol,
    "loop": "auto",
}


class StreamingServer(uvicorn.Server):
    """Ends the event streams first when it stops: uvicorn would wait for them until its patience is over."""

    def __init__(self, application: "WebApplication", **options: Any) -> None:
        super().__init__(uvicorn.Config(application, **(SERVER_OPTIONS | options)))
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._application.end_streams()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "simpletuner_cloud.settings")
    os.environ.setdefault("SIMPLETUNER_PROCESS", "web")
    with plain_refusals():
        host, port = settings.HOST, settings.PORT
        from simpletuner_cloud.asgi import application
    _leave_alone_what_stays()
    StreamingServer(application, host=host, port=port).run()


def _leave_alone_what_stays() -> None:
    """Take all that was loaded out of the garbage collector's sight.

    It looks through everything now and then, and every request waits for it: 60 to 80 ms with what is loaded, which
    made the slowest list in a hundred three times as slow as the median.
    """
    # The views are loaded with the first request otherwise.
    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
