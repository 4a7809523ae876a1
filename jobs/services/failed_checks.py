"""Jobs that could not be checked: what is written down, when each is asked for again, and which count as lost.

A provider's trouble is no job's fault: its jobs are asked for again with the next cycle. A job's own trouble (not
found, unreadable, not to be stored) puts that job off, ever longer, and holds up no other. Status stays in any case
(SPEC B2.2); the first good word from anywhere makes all of this undone (``UnifiedJob.merge``).
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services.snapshots import BATCH_ROWS, Applied, apply_snapshots
from providers import registry
from providers.errors import ProviderError, ProviderRejected, RemoteJobNotFound, UnexpectedPayload
from providers.snapshots import FetchFailure, JobSnapshot

logger = structlog.get_logger(__name__)

# They speak of the job that was asked for. All others speak of the provider, the token or the way to it.
JOB_TROUBLE = (RemoteJobNotFound, ProviderRejected, UnexpectedPayload)
# What the database or the merging of a snapshot may say of values that no column can take.
UNFIT = (DataError, IntegrityError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)

# After the first failure, the second, and so on; the last one repeats.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (0, 0.5, 1, 2, 5, 10, 30, 60))
LOST_PAUSES = (*PAUSES, *(timedelta(hours=hours) for hours in (2, 6, 6, 6, 6, 24)))
# For jobs that nobody knows while it is in doubt whether the right account was asked.
DOUBTFUL_PAUSE = timedelta(minutes=5)
JITTER = 0.2
# Replicate has been seen to answer 404 for a job that it had just taken on.
YOUNG = timedelta(minutes=2)
# So many unknown jobs at once, and none that is known, may mean that it is not the right account.
UNUSUALLY_MANY = 3


def record_failure(pks: Sequence[int], message: str) -> None:
    """Write down why jobs could not be refreshed. What is said of a lost job stays: it explains more."""
    for start in range(0, len(pks), BATCH_ROWS):
        jobs = UnifiedJob.objects.filter(pk__in=pks[start : start + BATCH_ROWS], lost_at__isnull=True)
        jobs.exclude(last_sync_error=message).update(last_sync_error=message)


def record_refusal(job: UnifiedJob, error: ProviderError) -> None:
    """Write down why one job that somebody asked for could not be refreshed."""
    if isinstance(error, JOB_TROUBLE):
        _put_off([FetchFailure(external_id=job.external_id or "", error=error)], job.provider, timezone.now())
    else:
        record_failure([job.pk], error.message)


def record_failures(
    provider: str,
    failures: Sequence[FetchFailure],
    *,
    anything_read: bool,
    asked_at: datetime,
    knows_us: Callable[[], bool],
) -> ProviderError | None:
    """Write down why jobs of one round failed; returns the provider's trouble, if it was that.

    ``knows_us`` is asked if there is a doubt: whether the provider knows any job at all that is known here.
    """
    own = [failure for failure in failures if _is_own(failure)]
    unknown = [failure for failure in own if isinstance(failure.error, RemoteJobNotFound)]
    _record_by_message(provider, [failure for failure in failures if not _is_own(failure)])
    if not anything_read and len(own) - len(unknown) >= UNUSUALLY_MANY:
        # Nothing could be read at all: that is no job's own trouble.
        _record_by_message(provider, own)
        return next(failure.error for failure in own if failure not in unknown)
    newly_lost = 0 if anything_read else len(_might_be_lost(provider, unknown))
    if newly_lost < UNUSUALLY_MANY or knows_us():
        _put_off(own, provider, asked_at)
        return None
    label = registry.get_label(provider)
    doubt = UnexpectedPayload(
        f"{label} knows none of the {newly_lost} jobs that it was asked for, nor any other that is known here: is it "
        "the right account, and the right address? Everything was kept as it was."
    )
    _put_off(own, provider, asked_at, doubt=doubt)
    return doubt


def apply_fit(
    snapshots: Sequence[JobSnapshot], *, source: Source, create: bool = False
) -> tuple[list[Applied], list[FetchFailure]]:
    """Apply what can be applied; a snapshot that no row can take is left out and told, and spoils no other."""
    try:
        return apply_snapshots(snapshots, source=source, create=create), []
    except UNFIT as error:
        if len(snapshots) > 1:
            middle = len(snapshots) // 2
            first = apply_fit(snapshots[:middle], source=source, create=create)
            second = apply_fit(snapshots[middle:], source=source, create=create)
            return first[0] + second[0], first[1] + second[1]
        snapshot = snapshots[0]
        kind = type(error).__name__
        logger.exception("a job's report could not be stored", provider=snapshot.provider, job=snapshot.external_id)
        label = registry.get_label(snapshot.provider)
        trouble = UnexpectedPayload(f"What {label} says of the job {snapshot.external_id} cannot be stored ({kind}).")
        return [], [FetchFailure(external_id=snapshot.external_id, error=trouble)]


@transaction.atomic
def _put_off(
    failures: Sequence[FetchFailure], provider: str, asked_at: datetime, *, doubt: ProviderError | None = None
) -> None:
    """Count a failed check against each job that is due, and set its next one. In ``doubt`` none becomes lost by it."""
    if not failures:
        return
    now = timezone.now()
    errors = {failure.external_id: failure.error for failure in failures}
    jobs = _unheard_since(asked_at, provider, errors)
    for job in jobs:
        error = errors[job.external_id or ""]
        if isinstance(error, RemoteJobNotFound) and job.lost_at is None and job.is_active:
            if now - job.created_at < YOUNG:
                job.last_sync_error = f"{registry.get_label(provider)} does not know this job yet."
                continue
            if doubt is not None:
                job.last_sync_error = doubt.message
                job.next_check_at = now + _jittered(DOUBTFUL_PAUSE)
                continue
            job.lost_at = now
            logger.warning("job is lost at its provider", job_id=job.job_id, provider=provider, kept=job.status)
        is_lost = job.lost_at is not None
        job.last_sync_error = _lost_message(job) if is_lost else error.message
        if not job.is_put_off(now):
            pauses = LOST_PAUSES if is_lost else PAUSES
            pause = pauses[min(job.failed_checks, len(pauses) - 1)]
            job.failed_checks += 1
            job.next_check_at = now + _jittered(pause) if pause else None
    UnifiedJob.objects.all().write(jobs, ("last_sync_error", "lost_at", "failed_checks", "next_check_at"))


def _might_be_lost(provider: str, failures: Sequence[FetchFailure]) -> list[UnifiedJob]:
    """Those that would be marked as lost now."""
    asked = {failure.external_id for failure in failures}
    jobs = UnifiedJob.objects.active().filter(
        provider=provider, lost_at__isnull=True, created_at__lte=timezone.now() - YOUNG
    )
    return [job for job in jobs.only("pk", "external_id") if job.external_id in asked]


def _unheard_since(asked_at: datetime, provider: str, external_ids: Iterable[str]) -> list[UnifiedJob]:
    """The jobs, locked, without those that somebody has heard of while they were asked for."""
    found: list[UnifiedJob] = []
    ids = sorted(external_ids)
    for start in range(0, len(ids), BATCH_ROWS):
        jobs = UnifiedJob.objects.select_for_update().filter(
            provider=provider, external_id__in=ids[start : start + BATCH_ROWS]
        )
        found += jobs.order_by("pk")
    return [job for job in found if job.last_synced_at is None or job.last_synced_at < asked_at]


def _lost_message(job: UnifiedJob) -> str:
    return (
        f"{registry.get_label(job.provider)} has not known this job since {job.lost_at:%Y-%m-%d %H:%M} UTC: it was "
        "deleted there, or belongs to another account. Its last known status, log and cost were kept, and it is asked "
        "for again ever more rarely."
    )


def _is_own(failure: FetchFailure) -> bool:
    return isinstance(failure.error, JOB_TROUBLE) and not failure.error.without_call


def _record_by_message(provider: str, failures: Iterable[FetchFailure]) -> None:
    grouped: dict[str, list[str]] = defaultdict(list)
    for failure in failures:
        grouped[failure.error.message].append(failure.external_id)
    for message, ids in grouped.items():
        for start in range(0, len(ids), BATCH_ROWS):
            # One that somebody else saw the end of meanwhile needs no check any more.
            jobs = UnifiedJob.objects.active().filter(
                provider=provider, external_id__in=ids[start : start + BATCH_ROWS]
            )
            record_failure(list(jobs.values_list("pk", flat=True)), message)


def _jittered(pause: timedelta) -> timedelta:
    """Jobs that failed together need not come back together."""
    return pause * random.uniform(1.0 - JITTER, 1.0 + JITTER)
