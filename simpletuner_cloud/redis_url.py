"""One ``REDIS_URL`` for everybody: where the embedded server notes it, and as keywords for django-eventstream."""

from pathlib import Path
from typing import Any

from redis.connection import parse_url

# Holds a password: it is readable by its owner alone.
URL_FILE = "url"


def redis_options(url: str) -> dict[str, Any]:
    """Return the keywords of ``redis.Redis`` that a URL stands for."""
    options = dict(parse_url(url))  # type: ignore[no-untyped-call]
    connection_class = options.pop("connection_class", None)
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    elif connection_class is not None:
        options["ssl"] = True
    return options


def embedded_redis_url(directory: Path) -> str:
    """Return the URL that the embedded server in ``directory`` was last started with; empty if there is none."""
    try:
        return (directory / URL_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
