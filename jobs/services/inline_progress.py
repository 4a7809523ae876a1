"""Compact progress for a card in a list (SPEC A1). Provider calls depend on running jobs, never on browsers."""

from dataclasses import dataclass
from typing import Any

import structlog
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import JobStatus, JobType, Source
from jobs.models import JobQuerySet, UnifiedJob
from jobs.services.lookup import get_job
from jobs.services.sync import refresh_job
from providers.errors import ProviderError

logger = structlog.get_logger(__name__)

# Pages ask every 5 s (SPEC A1.7): within that, everybody gets the same answer.
FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class InlineProgress:
    """The answer of A1, and how many seconds old it is (``None``: nothing was ever heard)."""

    job_id: str
    stage: str | None = None
    last_log: str | None = None
    progress: float | None = None
    age_seconds: float | None = None


def inline_progress(job_id: str, jobs: JobQuerySet | None = None) -> InlineProgress:
    """Progress of a running job, asked of its provider at most once in five seconds by all who want it.

    ``jobs``: those that it may be one of. If the provider cannot be asked, the last known progress with its age.
    Raises ``JobNotFound``.
    """
    job = get_job(job_id, jobs)
    if job.status != JobStatus.RUNNING:
        return _of_idle(job)
    if job.job_type == JobType.CLOUD and job.external_id and not job.is_put_off(timezone.now()):
        answer = coordination.single_flight(f"progress:{job.pk}", lambda: _ask(job), fresh_seconds=FRESH_SECONDS)
        if answer.value["heard"]:
            values = {key: answer.value[key] for key in ("stage", "last_log", "progress")}
            if answer.value["status"] != JobStatus.RUNNING:
                job.refresh_from_db()
                return _of_idle(job)
            return InlineProgress(job.job_id, **values, age_seconds=answer.age_seconds)
    return _last_known(job)


def _ask(job: UnifiedJob) -> dict[str, Any]:
    try:
        refresh_job(job, source=Source.PROGRESS)
    except ProviderError as error:
        # While the provider is left alone pages go on asking: that was told once, when it began.
        log = logger.debug if error.without_call else logger.info
        log("progress served from what is known", job_id=job.job_id, error=error.message)
        return {"heard": False}
    job.refresh_from_db()
    return {
        "heard": True,
        "status": job.status,
        "stage": job.stage,
        "last_log": job.last_log,
        "progress": job.progress,
    }


def _of_idle(job: UnifiedJob) -> InlineProgress:
    return InlineProgress(job.job_id, progress=100.0 if job.status == JobStatus.COMPLETED else None, age_seconds=0.0)


def _last_known(job: UnifiedJob) -> InlineProgress:
    age = (timezone.now() - job.progress_at).total_seconds() if job.progress_at else None
    return InlineProgress(job.job_id, job.stage, job.last_log, job.progress, age_seconds=age)
