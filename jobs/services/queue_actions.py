"""What people may do to the queue: cancel what waits, change a priority, decide, clear away."""

from datetime import timedelta

import structlog
from django.utils import timezone

from jobs.models import QueueEntry, QueueStatus
from jobs.models.queue import MAXIMUM_PRIORITY, OPEN
from jobs.services.lookup import InvalidState
from jobs.services.queue import take_over

logger = structlog.get_logger(__name__)

CLEANUP_BATCH = 1000
# What can be decided without a person has been by then.
DECIDED_BY_PEOPLE_AFTER = timedelta(minutes=5)


def set_priority(job_pk: int, priority: int | None) -> QueueEntry:
    """Put a waiting job forward or back; ``None``: its own priority again.

    Raises ``InvalidState`` for a job that does not wait, ``ValueError`` for a priority that is none.
    """
    if priority is not None and (isinstance(priority, bool) or not 0 <= priority <= MAXIMUM_PRIORITY):
        raise ValueError(f"A priority is a whole number from 0 to {MAXIMUM_PRIORITY}.")
    waiting = QueueEntry.objects.filter(job=job_pk, status=QueueStatus.PENDING)
    if not waiting.update(priority_override=priority):
        raise InvalidState("The job does not wait in the queue any more.")
    return QueueEntry.objects.get(job=job_pk)


def send_again(job_pk: int) -> QueueEntry:
    """Let a job be sent once more of which it cannot be told whether it was started: somebody has looked.

    Raises ``InvalidState`` for a job of which that is not the question.
    """
    entry = QueueEntry.objects.filter(
        job=job_pk, status=QueueStatus.DISPATCHING, sent_at__lt=timezone.now() - DECIDED_BY_PEOPLE_AFTER
    ).first()
    claim = take_over(entry) if entry is not None else None
    if claim is None or not claim.give_back("Sent again by hand.", at=None, counts=False):
        raise InvalidState("It is not in question whether this job was started.")
    logger.warning("job is sent again by hand", entry=claim.entry_pk)
    return QueueEntry.objects.get(job=job_pk)


def cleanup(days: int) -> int:
    """Delete the entries of jobs that ended so many days ago; the jobs stay. Returns how many."""
    before = timezone.now() - timedelta(days=days)
    old = QueueEntry.objects.exclude(status__in=OPEN).filter(finished_at__lt=before)
    deleted = 0
    while pks := list(old.order_by("pk").values_list("pk", flat=True)[:CLEANUP_BATCH]):
        deleted += QueueEntry.objects.filter(pk__in=pks).delete()[0]
    return deleted
