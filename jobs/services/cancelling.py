"""Asking for a job's end."""

import structlog
from django.utils import timezone

from jobs.lifecycle import TERMINAL, JobType, Source
from jobs.models import UnifiedJob
from jobs.services.failed_checks import record_failure
from jobs.services.lookup import InvalidState, get_job
from jobs.services.provider_calls import asking
from jobs.services.snapshots import apply_snapshot
from providers.errors import ProviderError

logger = structlog.get_logger(__name__)


def cancel_job(job_id: str) -> UnifiedJob:
    """Ask the provider to end a job, and apply what it then says; its word decides what the job is.

    Raises ``JobNotFound``, ``InvalidState`` for a job that has ended or that no provider knows, ``ProviderError``.
    """
    job = get_job(job_id)
    if job.status in TERMINAL:
        raise InvalidState(f"The job has already ended ({job.status}).")
    if job.job_type != JobType.CLOUD or not job.external_id:
        raise InvalidState("No provider knows this job yet, so there is nothing to cancel there.")
    try:
        with asking(job.provider) as provider:
            snapshot = provider.cancel(job.reference)
    except ProviderError as error:
        record_failure([job.pk], error.message)
        raise
    apply_snapshot(snapshot, source=Source.CANCEL)
    job.refresh_from_db()
    logger.info("cancel asked", job_id=job.job_id, status=job.status, at=timezone.now().isoformat())
    return job


def delete_job(job_id: str) -> str:
    """Remove an ended job from the store; nothing happens at the provider. Raises ``JobNotFound``, ``InvalidState``."""
    job = get_job(job_id)
    if job.status not in TERMINAL:
        raise InvalidState(f"Only jobs that have ended can be deleted; this one is {job.status}.")
    job.delete()
    return job.job_id
