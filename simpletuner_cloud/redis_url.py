"""One ``REDIS_URL`` for everybody: django-eventstream wants keywords instead."""

from typing import Any

from redis.connection import parse_url


def redis_options(url: str) -> dict[str, Any]:
    """Return the keywords of ``redis.Redis`` that a URL stands for."""
    options = dict(parse_url(url))  # type: ignore[no-untyped-call]
    connection_class = options.pop("connection_class", None)
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    elif connection_class is not None:
        options["ssl"] = True
    return options
