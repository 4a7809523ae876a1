"""Typed events, and the only place that sends them.

An event is one row of the status history. What is sent here merely wakes the readers, which then read the history:
an event that could not be sent is late by a few seconds, not lost.
"""

import time
from typing import TypedDict

import redis
import structlog
from django.db import transaction
from django_eventstream import send_event

from jobs.channels import JOBS
from jobs.models import StatusChange

logger = structlog.get_logger(__name__)

# While Redis is away each attempt costs its connection timeout: a batch of changes must not wait for each of them.
PAUSE_AFTER_FAILURE_SECONDS = 5.0
_paused_until = 0.0


class JobStatusChanged(TypedDict):
    """What ``job_status_changed`` tells (SPEC A6.1): a hint to read the job again, not the job."""

    type: str
    job_id: str
    status: str
    previous: str | None
    provider: str
    source: str
    at: str


def payload(change: StatusChange) -> JobStatusChanged:
    """The event for one row of the history; ``change.job`` must be at hand."""
    return JobStatusChanged(
        type="job_status_changed",
        job_id=change.job.job_id,
        status=change.status,
        previous=change.previous,
        provider=change.job.provider,
        source=change.source,
        at=change.recorded_at.isoformat().replace("+00:00", "Z"),
    )


def job_status_changed(change: StatusChange) -> None:
    """Send the event after the commit; without a transaction, at once."""
    body = payload(change)
    transaction.on_commit(lambda: _send(body), robust=True)


def _send(body: JobStatusChanged) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        send_event(JOBS, "message", body)
    except redis.RedisError as error:
        _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("event not sent; readers will find it in the history", job_id=body["job_id"], error=str(error))
