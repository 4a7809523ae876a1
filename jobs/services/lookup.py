"""Finding the job that somebody asks for."""

from jobs.models import UnifiedJob
from jobs.models.job import JobQuerySet


class JobNotFound(Exception):
    """No job of that id is known here."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id[:128]!r} here.")


class InvalidState(Exception):
    """The job is in a state that does not allow what was asked."""


def get_job(job_id: str, queryset: JobQuerySet | None = None) -> UnifiedJob:
    """Return the job of that id, ours or its provider's. Raises ``JobNotFound``."""
    jobs = UnifiedJob.objects.all() if queryset is None else queryset
    # A NUL cannot be in an id, and PostgreSQL refuses to look for one.
    job = None if "\x00" in job_id else jobs.with_id(job_id).first()
    if job is None:
        raise JobNotFound(job_id)
    return job
