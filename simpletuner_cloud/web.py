"""The web process: ``python -m simpletuner_cloud.web`` listens on SIMPLETUNER_HOST and SIMPLETUNER_PORT."""

import os
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from django.conf import settings

from simpletuner_cloud.refusals import plain_refusals

if TYPE_CHECKING:
    from simpletuner_cloud.asgi import WebApplication

SERVER_OPTIONS: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    # The client's address decides about limits, so uvicorn must not take it from a header on its own.
    "proxy_headers": False,
    "server_header": False,
    "timeout_graceful_shutdown": 3,
    "lifespan": "on",
    "http": "httptools",
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
    StreamingServer(application, host=host, port=port).run()


if __name__ == "__main__":
    main()
