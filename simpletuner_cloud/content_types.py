"""What a request says of its own text, before Django believes it."""

import re
from collections.abc import Callable, Iterable
from typing import Any

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

BOUNDARY = re.compile(r""";\s*boundary=("[^"]*"|[^\s;"]+)""", re.IGNORECASE)


class Utf8Requests:
    """In front of the application: every request is read as UTF-8, whatever charset it names.

    Django decodes even the query with the charset of ``Content-Type``: one that is a codec but not of texts, such as
    hex, is a 500 at every address, and ``unicode_escape`` brings in what no answer can repeat. A parameter in an
    unknown encoding stops it before there is a request to be answered. So only a form's boundary is left there.
    """

    def __init__(self, application: WsgiApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if ";" in (said := environ.get("CONTENT_TYPE", "")):
            boundary = BOUNDARY.search(said)
            environ["CONTENT_TYPE"] = said.partition(";")[0].strip() + (boundary[0] if boundary else "")
        return self._application(environ, start_response)
