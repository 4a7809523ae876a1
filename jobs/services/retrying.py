"""Submitting a job again that failed or was cancelled."""

from collections.abc import Collection

from django.db.models import Count

from jobs.access import Actor
from jobs.lifecycle import JobStatus
from jobs.models import JobSubmission, UnifiedJob
from jobs.services import archives, submitting
from jobs.services.lookup import InvalidState, get_job
from jobs.services.submission_plans import Request
from jobs.services.submission_sources import Material, material_of
from providers.masking import has_mask

RETRYABLE = (JobStatus.FAILED, JobStatus.CANCELLED)


def can_retry(job: UnifiedJob) -> bool:
    """Whether its end is one after which people try again."""
    return job.status in RETRYABLE


def counts(jobs: Collection[int]) -> dict[int, int]:
    """How often each of some jobs was submitted again, by their keys."""
    if not jobs:
        return {}
    again = (
        JobSubmission.objects.filter(retry_of__in=jobs)
        .order_by()
        .values_list("retry_of_id")
        .annotate(count=Count("pk"))
    )
    return dict.fromkeys(jobs, 0) | {job: count for job, count in again if job is not None}


def retry_job(actor: Actor, job_id: str, *, idempotency_key: str = "") -> submitting.Submitted:
    """Submit it as it was: configuration, machine, archive.

    A job that needs an archive which is not kept any more is not started without it: that would cost and fail.
    Raises what ``submit`` does, ``JobNotFound`` and ``InvalidState``.
    """
    job = get_job(job_id, UnifiedJob.objects.visible_to(actor))
    if not can_retry(job):
        raise InvalidState(f"Only failed or cancelled jobs can be retried; this one is {job.status}.")
    material = material_of(job)
    _require_complete(material)
    return submitting.submit(
        actor,
        Request(
            provider=job.provider,
            material=material,
            budget_usd=job.budget_usd,
            retry_of=job.job_id,
            idempotency_key=idempotency_key,
        ),
    )


def _require_complete(material: Material) -> None:
    if has_mask(material.config) or has_mask(material.datasets):
        raise InvalidState(
            "Its configuration holds secrets that are not known here. Clone the job, and write them into the new one."
        )
    if material.archive is not None and not archives.is_available(material.archive):
        raise InvalidState(
            "Its dataset archive is not kept any more. Clone the job, and upload the archive for the new one."
        )
