"""The web process: ``python -m simpletuner_cloud.web`` listens on SIMPLETUNER_HOST and SIMPLETUNER_PORT."""

import os
from typing import Any

import uvicorn
from django.conf import settings

from simpletuner_cloud.refusals import plain_refusals

SERVER_OPTIONS: dict[str, Any] = {
    "log_config": None,
    "access_log": False,
    # The client's address decides about limits, so uvicorn must not take it from a header on its own.
    "proxy_headers": False,
    "server_header": False,
    # An event stream never ends by itself.
    "timeout_graceful_shutdown": 3,
    "lifespan": "on",
    "http": "httptools",
    "loop": "auto",
}


def main() -> None:
    """Serve until told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "simpletuner_cloud.settings")
    os.environ.setdefault("SIMPLETUNER_PROCESS", "web")
    with plain_refusals():
        host, port = settings.HOST, settings.PORT
    uvicorn.run("simpletuner_cloud.asgi:application", host=host, port=port, **SERVER_OPTIONS)


if __name__ == "__main__":
    main()
