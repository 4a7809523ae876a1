"""The wish that a job ends, written down before anybody is asked (docs/adr/0013-cancelling-and-budgets.md).

What a provider knows ends by the provider's word alone. What was never sent to one ends here, at once.
"""

from dataclasses import replace
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from jobs import events
from jobs.access import SYSTEM, Actor
from jobs.lifecycle import JobStatus, JobType, Source
from jobs.models import QueueEntry, QueueLimits, QueueStatus, UnifiedJob
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.snapshots import take_own_step

ANNOUNCEMENT = "job_cancelling"
# Who asks for the end of a job whose budget is used up. No account can have a name with a space.
BUDGET_WATCH: Actor = replace(SYSTEM, name="budget watch")
# A wish that nobody has confirmed for so long is told as one that may not have been heard.
CONFIRMATION_TIME = timedelta(seconds=60)


def source_of(wished_by: str) -> Source:
    """What the history says of an end that came of a wish."""
    return Source.BUDGET if wished_by == BUDGET_WATCH.name else Source.CANCEL


@transaction.atomic
def note_wish(actor: Actor | None, job_pk: int) -> UnifiedJob:
    """Write down that a job is to end; one that was never sent to its provider has then ended.

    The first wish stays the one that counts, but a person's takes the place of the budget's. Without an actor the wish
    that is noted already is looked at again.
    Raises ``JobNotFound``, and ``InvalidState`` for a job that has ended or that is not ours to end.
    """
    if not UnifiedJob.objects.filter(pk=job_pk, external_id__isnull=False).exists():
        # The lock that the queue's dispatcher takes before it claims: a job is either still here, or claimed.
        QueueLimits.objects.select_for_update().filter(pk=QueueLimits.KEY).first()
    job = UnifiedJob.objects.select_for_update().filter(pk=job_pk).first()
    if job is None:
        raise JobNotFound(str(job_pk))
    if job.is_terminal:
        raise InvalidState(f"The job has already ended ({job.status}).")
    if job.job_type != JobType.CLOUD:
        raise InvalidState("The job runs on its own machine, and can be ended only there.")
    is_here = job.external_id is None and _is_still_here(job)
    if job.external_id is None and not is_here and not _is_on_its_way(job):
        raise InvalidState("No provider knows this job, so there is nothing to cancel there.")
    if actor is not None and _is_new(actor, job):
        job.cancel_requested_at = job.cancel_requested_at or timezone.now()
        job.cancel_requested_by = actor.name[:150]
        job.save(update_fields=["cancel_requested_at", "cancel_requested_by"])
        events.announce(ANNOUNCEMENT, {"job_id": job.job_id}, events.owner_of(job))
    if is_here:
        take_own_step(job.pk, JobStatus.CANCELLED, source=source_of(job.cancel_requested_by))
        job.refresh_from_db()
    return job


def _is_new(actor: Actor, job: UnifiedJob) -> bool:
    is_persons = actor != BUDGET_WATCH
    return job.cancel_requested_at is None or (is_persons and job.cancel_requested_by == BUDGET_WATCH.name)


def _is_still_here(job: UnifiedJob) -> bool:
    """Whether nobody has begun to hand the job over. Its entry is locked: nobody will, before we are done."""
    entry = QueueEntry.objects.select_for_update().filter(job=job).first()
    if entry is None:
        return job.status == JobStatus.PENDING
    return entry.sent_at is None and entry.status not in (QueueStatus.DISPATCHING, QueueStatus.RUNNING)


def _is_on_its_way(job: UnifiedJob) -> bool:
    return QueueEntry.objects.filter(job=job).exists()
