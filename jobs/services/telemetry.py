"""Counts and durations of all processes together, for ``/api/cloud/metrics/prometheus``.

Web servers and workers each see a part of what happens, and a scrape reaches one of them. What is counted is therefore
added up in Redis. It is collected in memory and written by a thread, so that counting costs nobody a round trip and
stops nobody while Redis is away. A killed process loses what it counted in its last two seconds; a Redis that lost its
memory makes counters begin anew, which Prometheus understands.
"""

import atexit
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
import structlog

from jobs import coordination
from providers.calls import CallReport

logger = structlog.get_logger(__name__)

FLUSH_SECONDS = 2.0
# Labels come from code and from the provider's routes, with ids replaced; this is for the case that a provider invents.
MOST_SERIES = 2000
BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SUM, OVER = "sum", "inf"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One number: the metric, its labels, and for a duration which part of its histogram (a bucket's bound or sum)."""

    metric: str
    labels: Labels
    part: str = ""

    def to_field(self) -> str:
        return json.dumps([self.metric, self.part, *map(list, self.labels)], separators=(",", ":"))

    def values(self, names: Sequence[str]) -> tuple[str, ...]:
        """The labels' values in the order of ``names``; an unknown one is empty."""
        labels = dict(self.labels)
        return tuple(labels.get(name, "") for name in names)

    @classmethod
    def from_field(cls, field: str) -> "Series":
        metric, part, *labels = json.loads(field)
        return cls(metric, tuple((str(name), str(value)) for name, value in labels), part)


_pending: Counter[Series] = Counter()
_guard = threading.Lock()
_thread: threading.Thread | None = None


def count(metric: str, amount: float = 1, **labels: str) -> None:
    """Add to a counter. Never waits and never raises."""
    _add({Series(metric, _sorted(labels)): amount})


def observe(metric: str, seconds: float, **labels: str) -> None:
    """Add a duration to a histogram. Never waits and never raises; clocks that disagree count as no time at all."""
    seconds = max(seconds, 0.0)
    bucket = next((str(bound) for bound in BUCKETS_SECONDS if seconds <= bound), OVER)
    known = _sorted(labels)
    _add({Series(metric, known, bucket): 1, Series(metric, known, SUM): seconds})


def count_provider_call(provider: str, report: CallReport) -> None:
    """Count one call to a provider, and how long it took."""
    status = str(report.status) if report.status is not None else "none"
    count("provider_calls", provider=provider, method=report.method, route=report.route, status=status)
    observe("provider_call_duration_seconds", report.seconds, provider=provider, method=report.method)
    if report.error is not None:
        count("provider_call_errors", provider=provider, kind=type(report.error).__name__)


def flush() -> None:
    """Write what was counted. If Redis is away it is kept for the next time."""
    with _guard:
        taken = dict(_pending)
        _pending.clear()
    if not taken:
        return
    client = coordination.client()
    pipeline = client.pipeline(transaction=True)
    for series, amount in taken.items():
        pipeline.hincrbyfloat(_key(), series.to_field(), amount)
    try:
        pipeline.execute()
    except redis.RedisError as error:
        logger.debug("metrics kept for later: Redis is away", error=str(error))
        _add(taken)
    # The thread that writes must outlive it, and what it had in hand is not to be lost.
    except Exception:
        logger.exception("metrics kept for later")
        _add(taken)


def totals() -> dict[Series, float]:
    """Everything counted so far by all processes. Raises ``redis.RedisError``."""
    stored = cast("dict[str, str]", coordination.client().hgetall(_key()))
    return {Series.from_field(field): float(value) for field, value in stored.items()}


def _sorted(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))


def _add(amounts: Mapping[Series, Any]) -> None:
    with _guard:
        for series, amount in amounts.items():
            if series in _pending or len(_pending) < MOST_SERIES:
                _pending[series] += amount
    _start_writer()


def _start_writer() -> None:
    global _thread
    if _thread is not None and _thread.is_alive():
        return
    with _guard:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_write_for_ever, name="telemetry", daemon=True)
            _thread.start()


def _write_for_ever() -> None:
    while True:
        time.sleep(FLUSH_SECONDS)
        flush()


def _key() -> str:
    return coordination.key("telemetry")


atexit.register(flush)
