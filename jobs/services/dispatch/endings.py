"""What becomes of an entry whose job did not reach its provider: it waits again, or its job ends."""

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs.lifecycle import JobStatus, Source
from jobs.models import QueueEntry, UnifiedJob
from jobs.services.dispatch import outcomes
from jobs.services.dispatch.outcomes import Outcome
from jobs.services.queue import Claim
from jobs.services.snapshots import take_own_step
from providers.errors import ProviderError

logger = structlog.get_logger(__name__)


@transaction.atomic
def begin_sending(claim: Claim) -> bool:
    """Write down that the provider is asked from now on; ``False`` if the job is not to be sent, or not by us.

    The job's row is locked, as by whoever asks for its end: such a wish comes in time, and no call is made, or finds
    the job sent.
    """
    if not _is_wanted(claim):
        return False
    return claim.renew(sent_at=timezone.now(), looks=0)


@transaction.atomic
def begin_uploading(claim: Claim) -> bool:
    """The same before its archive is sent: the job shows that from now on."""
    if not _is_wanted(claim) or not claim.renew():
        return False
    return take_own_step(claim.job_pk, JobStatus.UPLOADING, source=Source.QUEUE) is not None


@transaction.atomic
def not_started(claim: Claim, error: ProviderError, outcome: Outcome) -> None:
    """Nothing was started: try again later, or give up after as many attempts as are allowed."""
    entry = QueueEntry.objects.filter(pk=claim.entry_pk).first()
    if entry is None:
        return
    if outcome is Outcome.REFUSED and entry.attempts >= entry.max_attempts:
        give_up(claim, error.message)
        return
    pause = outcomes.pause_after(error, entry.attempts)
    claim.give_back(error.message, at=timezone.now() + pause, counts=outcome is Outcome.REFUSED)
    logger.info(
        "job not started",
        entry=claim.entry_pk,
        attempt=entry.attempts,
        outcome=outcome.value,
        reason=error.message,
        next_in_seconds=round(pause.total_seconds()),
    )


@transaction.atomic
def give_up(claim: Claim, reason: str) -> None:
    """End a job that cannot be started, with the reason."""
    job = UnifiedJob.objects.select_for_update().filter(pk=claim.job_pk).first()
    if job is None or not claim.renew(reason=reason):
        return
    take_own_step(claim.job_pk, JobStatus.FAILED, source=Source.QUEUE, error=reason)
    logger.warning("job given up", job_id=job.job_id, reason=reason)


@transaction.atomic
def never_arrived(claim: Claim, reason: str) -> None:
    """A job that was sent is not at its provider, as far as can be told: send it again, unless nobody wants it."""
    if not _is_wanted(claim):
        return
    entry = QueueEntry.objects.filter(pk=claim.entry_pk, attempts__gte=F("max_attempts")).first()
    if entry is not None:
        give_up(claim, reason)
    else:
        claim.give_back(reason, at=None, counts=True)


def _is_wanted(claim: Claim) -> bool:
    """Lock the job, and end it here if its end was asked for. It must not be at a provider that we know of."""
    job = UnifiedJob.objects.select_for_update().filter(pk=claim.job_pk).first()
    if job is None or job.is_terminal or job.external_id is not None:
        return False
    if job.cancel_requested_at is None:
        return True
    if claim.renew():
        take_own_step(job.pk, JobStatus.CANCELLED, source=Source.CANCEL)
    return False
