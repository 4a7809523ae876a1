"""Reading a job's log: from its provider while there is one, from our own copy when there is none any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from django.db.models import Q
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import TERMINAL, JobType, LogsState, Source
from jobs.log_archive import Archive
from jobs.models import JobLog, JobQuerySet, UnifiedJob
from jobs.services import log_standing, shared_errors
from jobs.services.failed_checks import apply_fit, record_refusal
from jobs.services.lookup import get_job
from jobs.services.provider_calls import asking
from jobs.services.sync import refresh_job
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    UnknownProvider,
)
from providers.pool import ContextThreadPool
from providers.snapshots import JobSnapshot

logger = structlog.get_logger(__name__)

# Followers ask every 2 s (SPEC CLI.md): within that they share one call.
FRESH_SECONDS = 2.0
# A tick is 30 s: 6,000 logs an hour, which is as long as Replicate keeps them, for a thirtieth of its call limit.
CAPTURES_PER_TICK = 50
LATE_CAPTURES_PER_TICK = 10
CONCURRENT_CAPTURES = 4
# Renewed after every few calls, each of which has a deadline of its own well below.
LEASE_SECONDS = 60.0
LOST_WITH_LOG = {"lost_at__isnull": False, "logs_state": LogsState.LIVE}
# The provider's, not the job's.
TROUBLE = (ProviderUnavailable, ProviderRateLimited, ProviderAuthError, ProviderNotConfigured, UnknownProvider)


class LogSource(StrEnum):
    """Where a log was read from."""

    PROVIDER = "provider"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class LogText:
    """What there is of a job's log, and why it may be behind: ``problem`` is the provider's trouble in words.

    ``is_final``: its provider is not asked again. ``is_cut``: a line in the text says where something is missing.
    ``characters``: of all that was read. ``saved_at``: when our copy last grew. ``continues``: the text is only what
    came after the bookmark that was given. ``bookmark``: to be given next time.
    """

    job_id: str
    text: str
    source: LogSource
    state: LogsState
    is_final: bool
    is_cut: bool
    characters: int
    saved_at: datetime | None
    problem: str | None = None
    continues: bool = False
    bookmark: str = ""


def read_log(job_id: str, jobs: JobQuerySet | None = None, *, after: str | None = None) -> LogText:
    """Return the log of a job. What the provider has just been asked for is stored first, then read.

    ``jobs``: those that it may be one of. ``after``: the bookmark of an earlier answer, or ``"0"`` for a first one; the
    text then is only what has come since, or everything again if that cannot be told.
    Raises ``JobNotFound``; ``ProviderError`` only if there is no copy of ours to serve instead.
    """
    job = get_job(job_id, jobs)
    source, problem = LogSource.STORE, None
    if _may_have_more(job):
        answer = coordination.single_flight(
            f"log:{job.pk}",
            lambda: shared_errors.outcome_of(lambda: _tells_log(job)),
            fresh_seconds=FRESH_SECONDS,
        )
        try:
            if shared_errors.result_of(answer.value):
                source = LogSource.PROVIDER
        except ProviderError as error:
            problem = error.message
            if not JobLog.objects.filter(job=job).exists():
                raise
        job.refresh_from_db(fields=["logs_state", "next_log_capture_at"])
    log = JobLog.objects.filter(job=job).first()
    archive = log.archive if log else Archive()
    since = archive.since(after) if after is not None else None
    return LogText(
        job_id=job.job_id,
        text=archive.text if since is None else since,
        source=source,
        state=LogsState(job.logs_state),
        is_final=bool(log and log.is_final) or not _is_open(job),
        is_cut=bool(log and log.is_cut),
        characters=log.characters if log else 0,
        saved_at=log.saved_at if log and log.characters else None,
        problem=problem,
        continues=since is not None,
        bookmark=archive.bookmark if after is not None else "",
    )


def capture_due_logs(provider: str | None = None) -> int:
    """Read the logs that are due at a provider, or at all, before they are deleted there; returns how many were read.

    One process at a time does so for a provider, whatever decides about polling. Raises ``redis.RedisError`` if Redis
    is away.
    """
    return sum(_capture_at(name) for name in ([provider] if provider else _providers_with_due_logs()))


def _capture_at(provider: str) -> int:
    with coordination.lease(f"log-capture:{provider}", seconds=LEASE_SECONDS) as renew:
        if renew is None:
            logger.debug("logs are being captured by another process", provider=provider)
            return 0
        _settle_lost_jobs(provider)
        return _capture(_due(provider, timezone.now()), renew)


def _providers_with_due_logs() -> list[str]:
    due = UnifiedJob.objects.at_providers().filter(next_log_capture_at__lte=timezone.now())
    lost = UnifiedJob.objects.at_providers().filter(**LOST_WITH_LOG)
    return sorted(set(due.values_list("provider", flat=True)) | set(lost.values_list("provider", flat=True)))


def _due(provider: str, now: datetime) -> list[UnifiedJob]:
    """Those whose log is deleted next come first; of jobs that ended long ago a few at a time."""
    at_provider = UnifiedJob.objects.at_providers().filter(provider=provider)
    due = at_provider.filter(next_log_capture_at__lte=now).order_by("completed_at", "pk")
    recently = Q(completed_at__gte=now - log_standing.PROVIDER_KEEPS - log_standing.CLOCK_SKEW)
    urgent = list(due.filter(recently)[:CAPTURES_PER_TICK])
    late = due.filter(~recently | Q(completed_at__isnull=True)).order_by("next_log_capture_at", "pk")
    return urgent + list(late[: min(LATE_CAPTURES_PER_TICK, CAPTURES_PER_TICK - len(urgent))])


def _capture(jobs: Sequence[UnifiedJob], renew: coordination.Renew) -> int:
    """Ask one provider for logs, a few at a time; one that is in trouble is left alone until the next tick."""
    captured = 0
    with ContextThreadPool(CONCURRENT_CAPTURES, thread_name_prefix="logs") as pool:
        for first in range(0, len(jobs), CONCURRENT_CAPTURES):
            some = jobs[first : first + CONCURRENT_CAPTURES]
            # The first alone: if its provider is down, the others would only wait for the same answer.
            answers = list(pool.map(_ask, some)) if first else [_ask(some[0])]
            if not first and not isinstance(answers[0], TROUBLE):
                answers += pool.map(_ask, some[1:])
            for job, answer in zip(some, answers, strict=False):
                captured += _take(job, answer)
            renew()
            if any(isinstance(answer, TROUBLE) for answer in answers):
                break
    return captured


def _ask(job: UnifiedJob) -> JobSnapshot | ProviderError:
    try:
        with asking(job.provider) as provider:
            return provider.fetch(job.reference)
    except ProviderError as error:
        return error


def _take(job: UnifiedJob, answer: JobSnapshot | ProviderError) -> int:
    if not isinstance(answer, ProviderError):
        _applied, unfit = apply_fit([answer], source=Source.POLLER)
        if not unfit:
            # Nothing to do if the answer settled it; but whatever was answered, it is not asked for again at once.
            _put_off(job, is_providers_trouble=False)
            return 1
        answer = unfit[0].error
    # That the provider is left alone was told once, when it began.
    log = logger.debug if answer.without_call else logger.warning
    log("final log not read yet", job_id=job.job_id, error=answer.message)
    record_refusal(job, answer)
    _put_off(job, is_providers_trouble=isinstance(answer, TROUBLE))
    return 0


def _put_off(job: UnifiedJob, *, is_providers_trouble: bool) -> None:
    """Set the next try after one that told nothing; the state by the clock, if by every clock the log is gone."""
    now = timezone.now()
    ended_at = job.completed_at or _noticed_end(job) or now
    look_at = log_standing.next_look(ended_at, now)
    if look_at is None and is_providers_trouble:
        look_at = now + log_standing.LATE_PAUSE
    facts: dict[str, Any] = {"next_log_capture_at": look_at}
    if look_at is None or log_standing.is_surely_deleted(ended_at, now):
        has_copy = JobLog.objects.filter(job=job, characters__gt=0).exists()
        facts["logs_state"] = log_standing.without_the_rest(job, has_copy=has_copy)
    UnifiedJob.objects.filter(pk=job.pk, next_log_capture_at=job.next_log_capture_at).update(**facts)


def _noticed_end(job: UnifiedJob) -> datetime | None:
    return job.history.filter(status__in=TERMINAL).values_list("recorded_at", flat=True).first()


def _settle_lost_jobs(provider: str) -> None:
    lost = UnifiedJob.objects.active().filter(provider=provider, **LOST_WITH_LOG)
    log_standing.settle_lost(list(lost))


def _may_have_more(job: UnifiedJob) -> bool:
    if job.job_type != JobType.CLOUD or not job.external_id:
        return False
    return _is_open(job) and not JobLog.objects.filter(job=job, is_final=True).exists()


def _is_open(job: UnifiedJob) -> bool:
    return job.logs_state == LogsState.LIVE or job.next_log_capture_at is not None


def _tells_log(job: UnifiedJob) -> bool:
    """Ask for the job's log; whether the provider had any."""
    return bool(refresh_job(job, source=Source.PROGRESS).logs)
