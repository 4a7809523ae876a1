"""The entries of the queue and their steps (SPEC A5.2, B6). Nothing else writes an entry's status.

Whoever hands a job over holds a claim on its entry: the time at which it was taken or last renewed. Every step but the
taking is made on the condition that the claim still stands, so that a worker that was away for too long, and whose
entry somebody else has taken over, does nothing more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet
from django.utils import timezone

from jobs import queue_order
from jobs.lifecycle import ACTIVE, TERMINAL, JobStatus
from jobs.models import QueueEntry, QueueStatus, UnifiedJob
from jobs.models.queue import OPEN, SLOT_HOLDERS
from jobs.queue_order import Places, Waiting
from jobs.services import queue_limits

UNREACHED = (QueueStatus.PENDING, QueueStatus.DISPATCHING)


@dataclass(slots=True)
class Claim:
    """An entry that is being handed over by us, as long as nobody else takes it."""

    entry_pk: int
    job_pk: int
    claimed_at: datetime

    @property
    def _held(self) -> QuerySet[QueueEntry]:
        return QueueEntry.objects.filter(pk=self.entry_pk, status=QueueStatus.DISPATCHING, claimed_at=self.claimed_at)

    def renew(self, **values: object) -> bool:
        """We are still at it. ``False`` if the entry is not ours any more, and then nothing is written."""
        now = timezone.now()
        if not self._held.update(**{"claimed_at": now, **values}):
            return False
        self.claimed_at = now
        return True

    def give_back(self, reason: str, *, at: datetime | None, counts: bool) -> bool:
        """Let it wait again, until ``at`` at least. ``counts``: whether this was one of its attempts."""
        return bool(
            self._held.update(
                status=QueueStatus.PENDING,
                reason=reason,
                next_attempt_at=at,
                attempts=F("attempts") if counts else F("attempts") - 1,
                claimed_at=None,
                sent_at=None,
                looks=0,
            )
        )


def take(entry: Waiting, now: datetime) -> Claim | None:
    """Write down that a waiting entry is being handed over; ``None`` if it does not wait any more."""
    taken = QueueEntry.objects.filter(pk=entry.pk, status=QueueStatus.PENDING).update(
        status=QueueStatus.DISPATCHING,
        claimed_at=now,
        attempts=F("attempts") + 1,
        sent_at=None,
        looks=0,
        reason="",
        next_attempt_at=None,
    )
    return Claim(entry.pk, entry.job_pk, now) if taken else None


def take_over(entry: QueueEntry) -> Claim | None:
    """Take an entry from a worker that has left it; ``None`` if somebody was quicker."""
    if entry.claimed_at is None:
        return None
    claim = Claim(entry.pk, entry.job_id, entry.claimed_at)
    return claim if claim.renew() else None


def close_entries(jobs: Sequence[UnifiedJob], now: datetime) -> int:
    """Close the open entries of jobs that have ended, each with its job's end; returns how many."""
    closed = 0
    for status in sorted({job.status for job in jobs} & {status.value for status in TERMINAL}):
        ended = [job.pk for job in jobs if job.status == status]
        open_entries = QueueEntry.objects.filter(job__in=ended, status__in=OPEN)
        closed += open_entries.update(status=QueueStatus(status), finished_at=now, next_attempt_at=None)
    return closed


def note_taken_over(jobs: Sequence[UnifiedJob], now: datetime) -> int:
    """Note that a provider has taken jobs over: their entries run; returns how many changed."""
    if not jobs:
        return 0
    waiting = QueueEntry.objects.filter(job__in=[job.pk for job in jobs], status__in=UNREACHED)
    return _run(waiting, now)


def settle_entries() -> int:
    """Make the queue agree with its jobs, whatever was interrupted; returns how many entries changed.

    Entries of ended jobs are closed; entries whose job a provider has taken over count as running.
    """
    now = timezone.now()
    ended = UnifiedJob.objects.filter(queue_entry__status__in=OPEN, status__in=TERMINAL).only("pk", "status")
    settled = close_entries(list(ended), now)
    taken_over = QueueEntry.objects.filter(status__in=UNREACHED, job__external_id__isnull=False, job__status__in=ACTIVE)
    return settled + _run(taken_over, now)


def waiting_entries(job_statuses: Iterable[JobStatus] = (JobStatus.PENDING, JobStatus.UPLOADING)) -> list[Waiting]:
    """Everything that waits, in no order; one query, and a few plain values for each of them."""
    columns = ("pk", "job_id", "priority", "priority_override", "queued_at", "next_attempt_at")
    of_job = ("job__owner_id", "job__team_id", "job__provider")
    rows = QueueEntry.objects.filter(status=QueueStatus.PENDING, job__status__in=tuple(job_statuses))
    return [
        Waiting(
            pk=pk,
            job_pk=job_pk,
            base=priority if override is None else override,
            queued_at=queued_at,
            next_attempt_at=next_attempt_at,
            owner_id=owner_id,
            team_id=team_id,
            provider=provider,
        )
        for pk, job_pk, priority, override, queued_at, next_attempt_at, owner_id, team_id, provider in (
            rows.order_by().values_list(*columns, *of_job)
        )
    ]


def held_places() -> Places:
    """Who holds how many of the places: what runs, and what is being handed over."""
    places = Places()
    holders = QueueEntry.objects.filter(status__in=SLOT_HOLDERS).order_by()
    for owner_id, team_id in holders.values_list("job__owner_id", "job__team_id"):
        places.give(owner_id, team_id)
    return places


def positions(job_pks: Sequence[int]) -> dict[int, int]:
    """Place in the queue, from 1, of those of the jobs that still wait."""
    if not job_pks:
        return {}
    limits = queue_limits.current()
    ordered = queue_order.in_order(waiting_entries(), timezone.now(), limits.ageing_minutes)
    wanted = set(job_pks)
    return {entry.job_pk: place for place, entry in enumerate(ordered, start=1) if entry.job_pk in wanted}


def _run(entries: QuerySet[QueueEntry], now: datetime) -> int:
    return entries.update(status=QueueStatus.RUNNING, started_at=now, next_attempt_at=None, reason="")
