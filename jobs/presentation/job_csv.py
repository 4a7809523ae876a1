"""Jobs as lines of a CSV file: for spreadsheets, which take some texts for formulas."""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Any

from django.db.models.fields.json import KT

from jobs.models import JobQuerySet
from jobs.models.job import duration_seconds
from jobs.presentation.list_pages import in_order
from jobs.presentation.list_state import NEWEST, ListState
from providers import names

MOST_ROWS = 100_000
ROWS_AT_ONCE = 1000
# What a spreadsheet takes for the beginning of a formula, or drops before one.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

COLUMNS = (
    "pk",
    "job_id",
    "config_name",
    "status",
    "provider",
    "external_id",
    "owner__username",
    "hardware_type",
    "created_at",
    "started_at",
    "completed_at",
    "cost_usd",
    "progress",
    "stage",
    "last_synced_at",
)
HEADER = (
    "job_id",
    "name",
    "status",
    "provider",
    "provider_job_id",
    "owner",
    "hardware",
    "model",
    "created_at",
    "started_at",
    "completed_at",
    "duration_seconds",
    "cost_usd",
    "progress_percent",
    "stage",
    "checked_at",
)


def csv_chunks(jobs: JobQuerySet, state: ListState, now: datetime) -> Iterator[str]:
    """The header, then the jobs in the order of the list, a thousand lines at a time, each read by its own query."""
    yield _lines([HEADER])
    for rows in _by_age(jobs, state, now) if state.has_places else _sorted(jobs, state, now):
        yield _lines([_cells(row, now) for row in rows])


def _by_age(jobs: JobQuerySet, state: ListState, now: datetime) -> Iterator[list[dict[str, Any]]]:
    left = MOST_ROWS
    rest = jobs
    while left > 0:
        size = min(ROWS_AT_ONCE, left)
        rows = list(_read(in_order(rest, state.sort, now))[:size])
        if rows:
            yield rows
        if len(rows) < size:
            return
        left -= len(rows)
        beyond = jobs.older_than if state.sort == NEWEST else jobs.newer_than
        rest = beyond(rows[-1]["created_at"], rows[-1]["pk"])


def _sorted(jobs: JobQuerySet, state: ListState, now: datetime) -> Iterator[list[dict[str, Any]]]:
    """An order that no index has: who stands where is found at once, by keys alone, and holds whatever changes then."""
    keys = list(in_order(jobs, state.sort, now).values_list("pk", flat=True)[:MOST_ROWS])
    for start in range(0, len(keys), ROWS_AT_ONCE):
        some = keys[start : start + ROWS_AT_ONCE]
        rows = {row["pk"]: row for row in _read(jobs.filter(pk__in=some))}
        yield [rows[key] for key in some if key in rows]


def _read(jobs: JobQuerySet) -> Any:
    return jobs.annotate(model_name=KT("metadata__model")).values(*COLUMNS, "model_name")


def cell(value: object) -> str:
    """One value: times in UTC, and no text that a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Decimal | float | int):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    text = str(value)
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _cells(values: Mapping[str, Any], now: datetime) -> list[str]:
    seconds = duration_seconds(values["started_at"], values["completed_at"], values["status"], now)
    return [
        cell(value)
        for value in (
            values["job_id"],
            values["config_name"],
            values["status"],
            names.LABELS.get(values["provider"], values["provider"]),
            values["external_id"],
            values["owner__username"],
            values["hardware_type"],
            values["model_name"] if isinstance(values["model_name"], str) else None,
            values["created_at"],
            values["started_at"],
            values["completed_at"],
            None if seconds is None else round(seconds),
            values["cost_usd"],
            values["progress"],
            values["stage"],
            values["last_synced_at"],
        )
    ]


def _lines(rows: list[Any]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
