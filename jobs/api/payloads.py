"""A job as JSON (SPEC B5), straight from columns: a page of jobs builds no model and no serializer instance."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.utils import timezone

from jobs.lifecycle import ACTIVE, TERMINAL, JobStatus
from jobs.models import JobQuerySet
from jobs.models.job import duration_seconds
from jobs.services.actors import usernames
from jobs.services.queue_waiting import Forecast, forecasts

COLUMNS = (
    "pk",
    "job_id",
    "job_type",
    "provider",
    "external_id",
    "status",
    "config_name",
    "created_at",
    "started_at",
    "completed_at",
    "cost_usd",
    "hardware_type",
    "error_message",
    "output_url",
    "stage",
    "progress",
    "last_log",
    "last_synced_at",
    "last_sync_error",
    "lost_at",
    "logs_state",
    "metadata",
    "owner_id",
    "origin",
    "cancel_requested_at",
    "budget_usd",
)


def job_payloads(jobs: JobQuerySet) -> list[dict[str, Any]]:
    """The jobs of a queryset, in its order."""
    return _with_positions(_rows(jobs))


def job_page(found: Sequence[tuple[Any, ...]], limit: int) -> tuple[list[dict[str, Any]], tuple[datetime, int] | None]:
    """The first ``limit`` of rows of ``COLUMNS``, and the place after the last; ``None``: nothing comes after it."""
    rows = _named(found)
    page = rows[:limit]
    last = (cast("datetime", _time(page[-1]["created_at"])), page[-1]["pk"]) if len(rows) > limit else None
    return _with_positions(page), last


def _with_positions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    waiting = [row["pk"] for row in rows if row["status"] in (JobStatus.PENDING, JobStatus.UPLOADING)]
    owners = usernames({row["owner_id"] for row in rows if row["owner_id"]})
    return list(_payloads(rows, forecasts(waiting), owners, timezone.now()))


def _rows(jobs: JobQuerySet) -> list[dict[str, Any]]:
    """The columns as the database gives them.

    Django makes a Python value of every field of every row, which is most of the work of a list and is undone when it
    becomes JSON: measured, it took four times as long as reading the rows.
    """
    query = jobs.values_list(*COLUMNS).query
    try:
        sql, parameters = query.sql_with_params()
    except EmptyResultSet:
        return []
    with connections[jobs.db].cursor() as cursor:
        cursor.execute(sql, parameters)
        return _named(cursor.fetchall())


def _named(rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _time(value: datetime | str | None) -> datetime | None:
    """SQLite keeps times without a zone, which is UTC."""
    if value is None:
        return None
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _number(value: Decimal | float | None) -> float | None:
    return None if value is None else float(value)


def _payloads(
    rows: Iterable[Mapping[str, Any]], waiting: Mapping[int, Forecast], owners: Mapping[int, str], now: datetime
) -> Iterable[dict[str, Any]]:
    for row in rows:
        status = row["status"]
        started_at, completed_at = _time(row["started_at"]), _time(row["completed_at"])
        yield {
            "job_id": row["job_id"],
            "job_type": row["job_type"],
            "provider": row["provider"],
            "external_id": row["external_id"],
            "status": status,
            "config_name": row["config_name"],
            "created_at": _time(row["created_at"]),
            "started_at": started_at,
            "completed_at": completed_at,
            "finished_at": completed_at,
            "cost_usd": _number(row["cost_usd"]),
            "hardware_type": row["hardware_type"],
            "error_message": row["error_message"],
            "output_url": row["output_url"],
            "duration_seconds": duration_seconds(started_at, completed_at, status, now),
            "is_active": status in ACTIVE,
            "is_terminal": status in TERMINAL,
            "stage": None if status == JobStatus.COMPLETED else row["stage"],
            "progress": 100.0 if status == JobStatus.COMPLETED else row["progress"],
            "last_log": row["last_log"],
            "queue_position": waiting[row["pk"]].place if row["pk"] in waiting else None,
            "estimated_wait_seconds": waiting[row["pk"]].estimated_wait_seconds if row["pk"] in waiting else None,
            "last_synced_at": _time(row["last_synced_at"]),
            "last_sync_error": row["last_sync_error"],
            "lost_at": _time(row["lost_at"]),
            "logs_state": row["logs_state"],
            "owner": owners.get(row["owner_id"]),
            "origin": row["origin"],
            "is_cancelling": row["cancel_requested_at"] is not None and status in ACTIVE,
            "cancel_requested_at": _time(row["cancel_requested_at"]),
            "budget_usd": _number(row["budget_usd"]),
            "metadata": orjson.Fragment(row["metadata"]),
        }
