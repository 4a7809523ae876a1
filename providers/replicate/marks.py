"""Our mark on a job, at Replicate: in the query of the webhook that it calls, and in its input. Pure.

Replicate removes the input an hour after the end and keeps the webhook, which its API does not promise to show.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

INPUT_KEY = "simpletuner_cloud_job"
QUERY_KEY = "job"
MARK = re.compile(r"stc-[0-9a-f]{32}\Z")


def marked_url(url: str, mark: str) -> str:
    """The URL with the mark in its query; what stands there already stays."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != QUERY_KEY]
    return urlunsplit(parts._replace(query=urlencode([*query, (QUERY_KEY, mark)])))


def read_mark(body: Mapping[str, Any]) -> str | None:
    """The mark of one of our jobs, from wherever it can still be read; ``None`` for everybody else's."""
    inputs = body.get("input")
    candidates = [inputs.get(INPUT_KEY) if isinstance(inputs, dict) else None, *_in_query(body.get("webhook"))]
    return next((mark for mark in candidates if isinstance(mark, str) and MARK.match(mark)), None)


def _in_query(url: object) -> list[str]:
    if not isinstance(url, str):
        return []
    try:
        return parse_qs(urlsplit(url).query, max_num_fields=100).get(QUERY_KEY, [])
    except ValueError:
        return []
