"""A job as JSON (SPEC B5), straight from columns: a page of jobs builds no model and no serializer instance."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from jobs.lifecycle import ACTIVE, TERMINAL, JobStatus
from jobs.models import JobQuerySet
from jobs.models.job import duration_seconds
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
    "owner__username",
    "origin",
    "cancel_requested_at",
    "budget_usd",
)


def job_payloads(jobs: JobQuerySet) -> list[dict[str, Any]]:
    """The jobs of a queryset, in its order."""
    rows = list(jobs.values(*COLUMNS))
    waiting = [row["pk"] for row in rows if row["status"] in (JobStatus.PENDING, JobStatus.UPLOADING)]
    return list(_payloads(rows, forecasts(waiting), timezone.now()))


def _payloads(
    rows: Iterable[Mapping[str, Any]], waiting: Mapping[int, Forecast], now: datetime
) -> Iterable[dict[str, Any]]:
    for row in rows:
        status = row["status"]
        yield {
            "job_id": row["job_id"],
            "job_type": row["job_type"],
            "provider": row["provider"],
            "external_id": row["external_id"],
            "status": status,
            "config_name": row["config_name"],
            "created_at": row["created_at"],
            "started_at": row["started_at"],
            "completed_at": row["completed_at"],
            "finished_at": row["completed_at"],
            "cost_usd": row["cost_usd"],
            "hardware_type": row["hardware_type"],
            "error_message": row["error_message"],
            "output_url": row["output_url"],
            "duration_seconds": duration_seconds(row["started_at"], row["completed_at"], status, now),
            "is_active": status in ACTIVE,
            "is_terminal": status in TERMINAL,
            "stage": None if status == JobStatus.COMPLETED else row["stage"],
            "progress": 100.0 if status == JobStatus.COMPLETED else row["progress"],
            "last_log": row["last_log"],
            "queue_position": waiting[row["pk"]].place if row["pk"] in waiting else None,
            "estimated_wait_seconds": waiting[row["pk"]].estimated_wait_seconds if row["pk"] in waiting else None,
            "last_synced_at": row["last_synced_at"],
            "last_sync_error": row["last_sync_error"],
            "lost_at": row["lost_at"],
            "logs_state": row["logs_state"],
            "owner": row["owner__username"],
            "origin": row["origin"],
            "is_cancelling": row["cancel_requested_at"] is not None and status in ACTIVE,
            "cancel_requested_at": row["cancel_requested_at"],
            "budget_usd": row["budget_usd"],
            "metadata": row["metadata"],
        }
