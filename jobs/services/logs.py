"""Reading a job's log: from its provider while there is one, from our own copy when there is none any more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import structlog
from django.db.models import Q
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import TERMINAL, JobType, Source
from jobs.models import JobLog, UnifiedJob
from jobs.services import shared_errors
from jobs.services.lookup import get_job
from jobs.services.sync import refresh_job
from providers.errors import ProviderAuthError, ProviderError, ProviderRateLimited, ProviderUnavailable

logger = structlog.get_logger(__name__)

# Followers ask every 2 s (SPEC CLI.md): within that they share one call.
FRESH_SECONDS = 2.0
# Replicate keeps the logs of a finished job for one hour (its documentation, "data retention").
PROVIDER_KEEPS = timedelta(hours=1)
CAPTURES_PER_CYCLE = 50


class LogSource(StrEnum):
    """Where a log was read from."""

    PROVIDER = "provider"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class LogText:
    """A job's whole log, and why it may be behind: ``problem`` is the provider's trouble in words."""

    job_id: str
    text: str
    source: LogSource
    is_final: bool
    problem: str | None = None


def read_log(job_id: str) -> LogText:
    """Return the log of a job. What the provider has just been asked for is stored first, then read.

    Raises ``JobNotFound``; ``ProviderError`` only if there is no copy of ours to serve instead.
    """
    job = get_job(job_id)
    source, problem = LogSource.STORE, None
    if _may_have_more(job):
        answer = coordination.single_flight(
            f"log:{job.pk}",
            lambda: shared_errors.outcome_of(lambda: _hear(job, Source.PROGRESS)),
            fresh_seconds=FRESH_SECONDS,
        )
        try:
            shared_errors.result_of(answer.value)
            source = LogSource.PROVIDER
        except ProviderError as error:
            problem = error.message
            if not JobLog.objects.filter(job=job).exists():
                raise
    log = JobLog.objects.filter(job=job).first()
    return LogText(
        job_id=job.job_id,
        text=log.text if log else "",
        source=source,
        is_final=bool(log and log.is_final),
        problem=problem,
    )


def capture_final_logs(*, on_progress: Callable[[], None] | None = None) -> int:
    """Fetch the last word of jobs that ended a short while ago, before their provider deletes it; returns how many."""
    recently = timezone.now() - PROVIDER_KEEPS
    unread = (
        UnifiedJob.objects.at_providers()
        .filter(status__in=TERMINAL, completed_at__gte=recently)
        .filter(Q(log__isnull=True) | Q(log__is_final=False))
        .order_by("completed_at")[:CAPTURES_PER_CYCLE]
    )
    captured = 0
    for job in unread:
        try:
            _hear(job, Source.POLLER)
        except (ProviderUnavailable, ProviderRateLimited, ProviderAuthError) as error:
            # The provider, not the job: the others would only wait for the same answer. The next cycle tries again.
            logger.warning("final logs not read yet", job_id=job.job_id, error=error.message)
            break
        except ProviderError as error:
            logger.warning("final log not read yet", job_id=job.job_id, error=error.message)
            continue
        captured += 1
        if on_progress:
            on_progress()
    return captured


def capture_due_logs() -> int:
    """Read the logs that are due, and return how many were read."""
    return capture_final_logs()


def _may_have_more(job: UnifiedJob) -> bool:
    if job.job_type != JobType.CLOUD or not job.external_id:
        return False
    return not JobLog.objects.filter(job=job, is_final=True).exists()


def _hear(job: UnifiedJob, source: Source) -> None:
    snapshot = refresh_job(job, source=source)
    job.refresh_from_db(fields=["status"])
    if job.status in TERMINAL and not snapshot.logs:
        # It ended without a word, or the word is gone: asking again would tell no more.
        JobLog.objects.update_or_create(job=job, defaults={"is_final": True})
