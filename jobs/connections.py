"""Ending a connection at once, whatever still waits to be written to it.

ASGI has no word for it: a server that can do it says so by an extension of its own.
"""

from asgiref.typing import HTTPScope

ABORT = "simpletuner.abort"


def abort(scope: HTTPScope) -> None:
    """Drop the connection of a request, if the server lets us: its reader may never take what is left."""
    end = (scope.get("extensions") or {}).get(ABORT, {}).get("abort")
    if callable(end):
        end()
