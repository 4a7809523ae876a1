"""Asking for a job's end (docs/adr/0013-cancelling-and-budgets.md)."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction

from jobs.access import Actor
from jobs.lifecycle import JobStatus
from jobs.models import UnifiedJob
from jobs.services import audit, shared_errors
from jobs.services.cancel_requests import put_to_providers
from jobs.services.cancel_wishes import note_wish
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.permitted import changeable_job
from providers import registry
from providers.errors import ProviderError

logger = structlog.get_logger(__name__)

MOST_AT_ONCE = 100
# A request for many jobs is answered within this time; those that were not asked for by then follow in the background.
BATCH_SECONDS = 12.0
NOTED = "The cancellation is noted and will be asked for again."


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What came of a wish. ``job`` as its provider then said; ``is_cancelling``: its end is yet to be confirmed."""

    job: UnifiedJob
    message: str

    @property
    def is_cancelling(self) -> bool:
        return self.job.is_cancelling


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What came of one of many wishes. ``error``: why it was refused, or was not heard yet."""

    job_id: str
    cancellation: Cancellation | None
    error: ProviderError | InvalidState | JobNotFound | PermissionDenied | None = None


def cancel_job(actor: Actor, job_id: str) -> Cancellation:
    """Note that a job is to end, ask its provider, and apply what it then says; its word decides what the job is.

    What was never sent to a provider has ended at once. Asking again for the same asks the provider again.
    Raises ``JobNotFound``, ``PermissionDenied``, ``InvalidState`` for a job that has ended, also if its provider tells
    so only now, and ``ProviderError``: then the wish is noted, and is put to the provider again.
    """
    job = _wish(actor, job_id)
    error = put_to_providers([job]).get(job.pk) if _is_to_be_asked_for(job) else None
    if error is not None:
        raise _with_the_wish(error)
    return _outcome(job)


def cancel_jobs(actor: Actor, job_ids: Sequence[str]) -> list[BatchOutcome]:
    """Cancel many jobs; one that is refused or not heard holds up no other. In the order in which they were named."""
    wished: dict[str, UnifiedJob] = {}
    errors: dict[str, ProviderError | InvalidState | JobNotFound | PermissionDenied] = {}
    for job_id in dict.fromkeys(job_ids):
        try:
            wished[job_id] = _wish(actor, job_id)
        except (JobNotFound, PermissionDenied, InvalidState) as error:
            errors[job_id] = error
    asked = put_to_providers(
        [job for job in {job.pk: job for job in wished.values()}.values() if _is_to_be_asked_for(job)],
        seconds=BATCH_SECONDS,
    )
    return [
        _batch_outcome(job_id, wished[job_id], asked.get(wished[job_id].pk))
        if job_id in wished
        else BatchOutcome(job_id, None, errors[job_id])
        for job_id in dict.fromkeys(job_ids)
    ]


def _wish(actor: Actor, job_id: str) -> UnifiedJob:
    job = changeable_job(actor, job_id, "job.cancel")
    with transaction.atomic():
        wished = note_wish(actor, job.pk)
        audit.record(actor, "job.cancel", job.job_id, was=job.status)
    return wished


def _is_to_be_asked_for(job: UnifiedJob) -> bool:
    return job.is_active and job.external_id is not None


def _outcome(job: UnifiedJob) -> Cancellation:
    """What the job has come to. Raises ``JobNotFound``, and ``InvalidState`` if it ended otherwise."""
    known = UnifiedJob.objects.filter(pk=job.pk).first()
    if known is None:
        raise JobNotFound(job.job_id)
    if known.is_terminal and known.status != JobStatus.CANCELLED:
        raise InvalidState(f"The job has already ended ({known.status}).")
    return Cancellation(known, _message(known))


def _message(job: UnifiedJob) -> str:
    if job.external_id is None:
        if job.is_terminal:
            return "Cancelled before it was sent to its provider."
        return "The job is being handed over to its provider; the cancellation is noted and follows."
    label = registry.get_label(job.provider)
    if job.is_terminal:
        return f"Cancelled, confirmed by {label}."
    if job.cancel_accepted_at is None:
        return NOTED
    return f"{label} has taken the request; the job bills until it has ended there."


def _batch_outcome(job_id: str, job: UnifiedJob, error: ProviderError | None) -> BatchOutcome:
    try:
        cancellation = _outcome(job)
    except (InvalidState, JobNotFound) as refusal:
        return BatchOutcome(job_id, None, refusal)
    return BatchOutcome(job_id, cancellation, error)


def _with_the_wish(error: ProviderError) -> ProviderError:
    """The provider's trouble, and that the wish is not lost by it."""
    told = shared_errors.dump(error)
    told["message"] = f"{error.message} {NOTED}"
    return shared_errors.load(told)
