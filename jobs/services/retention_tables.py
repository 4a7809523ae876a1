"""What may be deleted when it is old, table by table: which rows are due, and how they go.

Never due: jobs that are active or whose log is still to be read, events that a returning reader may still ask for,
webhooks that are not applied yet, deletions, and the audit log.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.lifecycle import TERMINAL, LogsState
from jobs.models import (
    JobLog,
    PollCycle,
    QueueEntry,
    StatusChange,
    UnifiedJob,
    WebhookDelivery,
    WebhookVerdict,
)
from jobs.models.queue import OPEN
from jobs.services.history import REPLAY_AGE
from providers.snapshots import JobSnapshot

UNKNOWN_DELIVERIES_KEPT = timedelta(days=7)
# A week shows how the poller fares.
POLL_CYCLES_KEPT = timedelta(days=7)
# A job takes up to a dozen rows of other tables with it.
JOBS_AT_ONCE, ROWS_AT_ONCE = 100, 500


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind. ``due``: those that may go; ``None``: they are kept for ever.

    ``aged_by``: the field that tells their age. ``remove``: delete those of a batch that are due still and that nobody
    is writing to; returns how many.
    """

    name: str
    aged_by: str
    due: Callable[[datetime], QuerySet[Any] | None]
    remove: Callable[[QuerySet[Any], Sequence[Any]], int]
    at_once: int = ROWS_AT_ONCE


def is_past_keeping(snapshot: JobSnapshot) -> bool:
    """Whether a job ended so long ago that it is not brought in: it would be deleted again."""
    cutoff = _cutoff(settings.RETENTION_DAYS_JOBS, timezone.now())
    ended_at = snapshot.completed_at or snapshot.created_at
    is_over = snapshot.status is not None and snapshot.status.value in TERMINAL
    return bool(is_over and cutoff and ended_at and ended_at < cutoff)


def _cutoff(days: int, now: datetime) -> datetime | None:
    return now - timedelta(days=days) if days else None


def _old_jobs(now: datetime) -> QuerySet[UnifiedJob] | None:
    cutoff = _cutoff(settings.RETENTION_DAYS_JOBS, now)
    if cutoff is None:
        return None
    # An event is told together with its job. This holds too for a job that ended long ago and was brought in just now.
    recent = StatusChange.objects.filter(job=OuterRef("pk"), recorded_at__gte=now - REPLAY_AGE)
    waiting = QueueEntry.objects.filter(job=OuterRef("pk"), status__in=OPEN)
    # No job ends before it was created: by that the index of the newest jobs leads to the old ones.
    old = UnifiedJob.objects.order_by().filter(status__in=TERMINAL, created_at__lt=cutoff)
    return old.annotate(ended_at=Coalesce("completed_at", "created_at")).filter(
        ~Exists(recent), ~Exists(waiting), ended_at__lt=cutoff, next_log_capture_at__isnull=True
    )


def _remove_jobs(due: QuerySet[Any], pks: Sequence[Any]) -> int:
    """Delete jobs with everything that is theirs."""
    with transaction.atomic():
        free = list(due.filter(pk__in=pks).select_for_update(skip_locked=True).values_list("pk", flat=True))
        UnifiedJob.objects.filter(pk__in=free).delete()
    return len(free)


def _old_logs(now: datetime) -> QuerySet[JobLog] | None:
    cutoff = _cutoff(settings.RETENTION_DAYS_LOGS, now)
    if cutoff is None:
        return None
    return JobLog.objects.order_by().filter(
        job__status__in=TERMINAL,
        job__created_at__lt=cutoff,
        job__next_log_capture_at__isnull=True,
        characters__gt=F("left_out_characters"),
        saved_at__lt=cutoff,
    )


def _empty_logs(due: QuerySet[Any], pks: Sequence[Any]) -> int:
    """Leave a notice in place of each log. The row stays: it knows that all was read, so that nobody asks again."""
    with transaction.atomic():
        # Whoever writes a log has locked its job.
        jobs = UnifiedJob.objects.order_by().select_for_update(skip_locked=True).filter(log__in=pks)
        free = list(jobs.values_list("pk", flat=True))
        emptied = list(due.filter(pk__in=pks, job__in=free).values_list("pk", flat=True))
        JobLog.objects.filter(pk__in=emptied).update(
            compressed=b"", head_characters=0, left_out_characters=F("characters"), is_cut=True
        )
        saved = UnifiedJob.objects.filter(log__in=emptied, logs_state=LogsState.SAVED)
        saved.update(logs_state=LogsState.PARTIAL)
    return len(emptied)


def _old_events(now: datetime) -> QuerySet[StatusChange] | None:
    cutoff = _cutoff(settings.RETENTION_DAYS_EVENTS, now)
    if cutoff is None:
        return None
    # How a job ended stays with it.
    old = StatusChange.objects.order_by().filter(job__status__in=TERMINAL).exclude(status__in=TERMINAL)
    # Ids rise with time: all before the first that is kept, without an index of times and without reading what is new.
    first_kept = (
        StatusChange.objects.filter(recorded_at__gte=cutoff).order_by("pk").values_list("pk", flat=True).first()
    )
    return old.filter(recorded_at__lt=cutoff) if first_kept is None else old.filter(pk__lt=first_kept)


def _old_queue_entries(now: datetime) -> QuerySet[QueueEntry] | None:
    cutoff = _cutoff(settings.RETENTION_DAYS_EVENTS, now)
    if cutoff is None:
        return None
    closed = QueueEntry.objects.order_by().exclude(status__in=OPEN)
    return closed.filter(finished_at__lt=cutoff, job__status__in=TERMINAL)


def _old_deliveries(now: datetime) -> QuerySet[WebhookDelivery]:
    of_unknown_jobs = Q(verdict=WebhookVerdict.UNKNOWN, received_at__lt=now - UNKNOWN_DELIVERIES_KEPT)
    cutoff = _cutoff(settings.RETENTION_DAYS_DELIVERIES, now)
    is_old = of_unknown_jobs | Q(received_at__lt=cutoff) if cutoff else of_unknown_jobs
    return WebhookDelivery.objects.order_by().filter(is_old).exclude(verdict=WebhookVerdict.RECEIVED)


def _delete(due: QuerySet[Any], pks: Sequence[Any]) -> int:
    return due.filter(pk__in=pks).delete()[0]


TABLES = (
    Table("jobs", "ended_at", _old_jobs, _remove_jobs, JOBS_AT_ONCE),
    Table("logs", "saved_at", _old_logs, _empty_logs, JOBS_AT_ONCE),
    Table("events", "recorded_at", _old_events, _delete),
    Table("queue entries", "finished_at", _old_queue_entries, _delete),
    Table("webhook deliveries", "received_at", _old_deliveries, _delete),
    Table(
        "poll cycles",
        "started_at",
        lambda now: PollCycle.objects.order_by().filter(started_at__lt=now - POLL_CYCLES_KEPT),
        _delete,
    ),
    Table("sessions", "expire_date", lambda now: Session.objects.order_by().filter(expire_date__lt=now), _delete),
)
