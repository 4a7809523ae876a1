"""Handing out places: which entries are next, within the limits (SPEC B6)."""

from django.db import transaction
from django.utils import timezone

from jobs import queue_order
from jobs.circuit_breaker import BreakerState
from jobs.lifecycle import JobStatus, Source
from jobs.models import QueueEntry, QueueStatus
from jobs.services import queue, queue_limits
from jobs.services.call_governor import breaker_state
from jobs.services.queue import Claim
from jobs.services.snapshots import take_own_step


def claim_next() -> list[Claim]:
    """Take the next entries that fit, and write the intent to hand them over.

    One transaction, which begins by locking the limits: two processors never count the same place as free.
    """
    waited_for = _providers_waited_for()
    if not waited_for:
        return []
    doors = {name: room for name in waited_for if (room := _door(name)) is not None}
    with transaction.atomic():
        limits = queue_limits.lock()
        places = queue.held_places()
        if places.total >= limits.max_concurrent:
            return []
        now = timezone.now()
        places.doors.update(doors)
        due = (entry for entry in queue.waiting_entries() if entry.is_due(now))
        ordered = queue_order.in_order(due, now, limits.ageing_minutes)
        taken = (queue.take(entry, now) for entry in queue_order.choose(ordered, places, limits))
        return [claim for claim in taken if claim is not None]


def end_cancelled() -> int:
    """End the jobs whose end was asked for while they waited; no provider has heard of them. Returns how many."""
    asked = QueueEntry.objects.filter(status=QueueStatus.PENDING, job__cancel_requested_at__isnull=False)
    ended = 0
    for job_pk in list(asked.order_by("pk").values_list("job_id", flat=True)):
        applied = take_own_step(job_pk, JobStatus.CANCELLED, source=Source.CANCEL)
        ended += applied is not None and applied.job.is_terminal
    return ended


def _providers_waited_for() -> list[str]:
    waiting = QueueEntry.objects.filter(status=QueueStatus.PENDING).order_by("job__provider")
    return list(waiting.values_list("job__provider", flat=True).distinct())


def _door(provider: str) -> int | None:
    """How many jobs a provider may be asked to start now: ``None`` without a limit of its own.

    While it rests or is left alone, none: a place would be held for nothing. When it may be tried again, one.
    """
    facts = breaker_state(provider)
    now = timezone.now()
    if facts.resting_until is not None and facts.resting_until > now:
        return 0
    if facts.state is BreakerState.CLOSED:
        return None
    return 0 if facts.until is not None and facts.until > now else 1
