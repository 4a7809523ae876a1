"""The queue of jobs that wait for a provider (SPEC A5.2, B6)."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from jobs.lifecycle import ACTIVE, TERMINAL
from jobs.models import QueueEntry, QueueStatus, UnifiedJob
from jobs.models.queue import OPEN


def close_entries(jobs: Sequence[UnifiedJob], now: datetime) -> int:
    """Close the open entries of jobs that have ended, each with its job's end; returns how many."""
    closed = 0
    for status in sorted({job.status for job in jobs} & {status.value for status in TERMINAL}):
        ended = [job.pk for job in jobs if job.status == status]
        open_entries = QueueEntry.objects.filter(job__in=ended, status__in=OPEN)
        closed += open_entries.update(status=QueueStatus(status), finished_at=now)
    return closed


def note_taken_over(jobs: Sequence[UnifiedJob], now: datetime) -> int:
    """Note that a provider has taken jobs over: their entries run; returns how many changed."""
    if not jobs:
        return 0
    waiting = QueueEntry.objects.filter(
        job__in=[job.pk for job in jobs], status__in=(QueueStatus.PENDING, QueueStatus.DISPATCHING)
    )
    return waiting.update(status=QueueStatus.RUNNING, started_at=now, next_attempt_at=None, reason="")


def settle_entries() -> int:
    """Make the queue agree with its jobs, whatever was interrupted; returns how many entries changed.

    Entries of ended jobs are closed; entries whose job a provider has taken over count as running.
    """
    now = timezone.now()
    ended = UnifiedJob.objects.filter(queue_entry__status__in=OPEN, status__in=TERMINAL).only("pk", "status")
    settled = close_entries(list(ended), now)
    taken_over = QueueEntry.objects.filter(
        status__in=(QueueStatus.PENDING, QueueStatus.DISPATCHING),
        job__external_id__isnull=False,
        job__status__in=ACTIVE,
    )
    return settled + taken_over.update(status=QueueStatus.RUNNING, started_at=now)


def positions(job_pks: Sequence[int]) -> dict[int, int]:
    """Place in the queue, from 1, of those of the jobs that still wait."""
    if not job_pks:
        return {}
    waiting = QueueEntry.objects.filter(status=QueueStatus.PENDING).values_list("job_id", flat=True)
    wanted = set(job_pks)
    return {pk: place for place, pk in enumerate(waiting, start=1) if pk in wanted}
