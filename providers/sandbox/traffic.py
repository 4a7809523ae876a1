"""A record of the requests below `/v1`, so that a test can say how many calls something took."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

LAST_CALLS = 500


@dataclass
class Call:
    """One request; `correlation_id` is what it named as `X-Correlation-ID`; `status` is None if no answer was begun."""

    method: str
    path: str
    query: str
    template: str
    at: float
    fault: str | None
    correlation_id: str | None = None
    status: int | None = None


class Traffic:
    def __init__(self) -> None:
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past; requests that are being answered stay in flight."""
        self._counts: Counter[str] = Counter()
        self._last: deque[Call] = deque(maxlen=LAST_CALLS)
        self._peak = self._in_flight

    @contextmanager
    def record(self, scope: Scope, template: str, fault: str | None) -> Iterator[Call]:
        call = Call(
            scope["method"],
            scope["path"],
            scope["query_string"].decode(),
            template,
            time.time(),
            fault,
            Headers(scope=scope).get("x-correlation-id"),
        )
        self._counts[f"{call.method} {template}"] += 1
        self._last.append(call)
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)
        try:
            yield call
        finally:
            self._in_flight -= 1

    def to_json(self) -> dict[str, Any]:
        """`counts` by method and path template, `total`, the most requests at once, and the newest calls last."""
        return {
            "counts": dict(self._counts),
            "total": self._counts.total(),
            "peak_in_flight": self._peak,
            "last": [asdict(call) for call in self._last],
        }
