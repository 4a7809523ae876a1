"""Deleting what is old, a little at a time (docs/retention.md)."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from jobs import coordination
from jobs.services.retention_tables import TABLES, Table

logger = structlog.get_logger(__name__)

# Of an hour: nobody notices it, and a backlog of years is worked off within days.
RUN_SECONDS = 20.0
LEASE_SECONDS = 60.0
# More than a run can delete.
CHOSEN_AT_ONCE = 50_000
# After each batch, as long as it took: other writers get at least half of the time.
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 2.0


@dataclass(frozen=True, slots=True)
class Due:
    """What would go of one table. ``count`` is ``None`` if everything of it is kept for ever."""

    table: str
    count: int | None
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the last run did. ``is_done``: nothing was left that was due."""

    ended_at: datetime
    seconds: float
    is_done: bool
    gone: dict[str, int]


def last_run() -> LastRun | None:
    """The last one, as far as Redis remembers it. Raises ``redis.RedisError``."""
    stored = coordination.client().get(_last_run_key())
    if stored is None:
        return None
    facts = json.loads(str(stored))
    return LastRun(datetime.fromisoformat(facts["ended_at"]), facts["seconds"], facts["is_done"], facts["gone"])


def preview() -> list[Due]:
    """What a run would delete now, table by table; deletes nothing."""
    now = timezone.now()
    return [_preview(table, now) for table in TABLES]


def run(*, seconds: float = RUN_SECONDS, on_batch: Callable[[str, int], None] | None = None) -> dict[str, int] | None:
    """Delete what is due, for so many seconds at most; returns how much of each table went.

    ``None`` if another process is at it. Each batch is a transaction of its own, with a pause after it; what is left
    when the time is over, or when the process ends, is still due the next time. ``on_batch`` is told the table and the
    number of rows. Raises ``redis.RedisError`` if Redis is away.
    """
    with coordination.lease("retention", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            return None
        started = time.monotonic()
        deadline = started + seconds
        now = timezone.now()
        gone = dict.fromkeys((table.name for table in TABLES), 0)
        due = {table: rows for table in TABLES if (rows := table.due(now)) is not None}
        rest = {table: _batches(rows, table.at_once) for table, rows in due.items()}
        while rest and time.monotonic() < deadline:
            # In turn, so that the backlog of one table keeps no other waiting.
            for table, batches in list(rest.items()):
                pks = next(batches, None)
                if pks is None:
                    del rest[table]
                    continue
                removed = _remove(table, due[table], pks)
                gone[table.name] += removed
                if on_batch:
                    on_batch(table.name, removed)
                renew()
        _note(LastRun(timezone.now(), round(time.monotonic() - started, 1), not rest, gone))
        if any(gone.values()):
            went = {name.replace(" ", "_"): count for name, count in gone.items() if count}
            logger.info("old rows deleted", is_done=not rest, **went)
        return gone


def _note(run: LastRun) -> None:
    facts = asdict(run) | {"ended_at": run.ended_at.isoformat()}
    coordination.client().set(_last_run_key(), json.dumps(facts))


def _last_run_key() -> str:
    return coordination.key("retention:last")


def _preview(table: Table, now: datetime) -> Due:
    due = table.due(now)
    if due is None:
        return Due(table.name, None)
    oldest = due.order_by(table.aged_by).values_list(table.aged_by, flat=True).first()
    return Due(table.name, due.count(), oldest)


def _batches(due: QuerySet[Any], at_once: int) -> Iterator[list[Any]]:
    """The keys of what is due, in batches; chosen once, since it may mean reading all that stays too."""
    pks = list(due.values_list("pk", flat=True)[:CHOSEN_AT_ONCE])
    for start in range(0, len(pks), at_once):
        yield pks[start : start + at_once]


def _remove(table: Table, due: QuerySet[Any], pks: list[Any]) -> int:
    """Delete a batch, and leave others time to write."""
    started = time.monotonic()
    removed = table.remove(due, pks)
    pause = min(max(time.monotonic() - started, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    threading.Event().wait(pause)
    return removed
