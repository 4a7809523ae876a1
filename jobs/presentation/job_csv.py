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
    left = MOST_ROWS
    rest = jobs
    while left > 0:
        marked = in_order(rest, state.sort, now).annotate(model_name=KT("metadata__model"))
        # An order that no index has is only asked for of a small result, which is read at once.
        size = min(ROWS_AT_ONCE, left) if state.has_places else left
        rows = list(marked.values(*COLUMNS, "model_name")[:size])
        if rows:
            yield _lines([_cells(row, now) for row in rows])
        if len(rows) < size:
            return
        left -= len(rows)
        beyond = jobs.older_than if state.sort == NEWEST else jobs.newer_than
        rest = beyond(rows[-1]["created_at"], rows[-1]["pk"])


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
