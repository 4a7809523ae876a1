"""Where a job's log is (``logs_state``), and when its provider is to be asked for it again.

Replicate deletes the log of a prediction that was made by its API one hour after the end, and says so by
``data_removed``; for trainings its documentation is silent, so theirs count as perishable too ("data retention").
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.lifecycle import JobStatus, LogsState
from jobs.models import JobLog, UnifiedJob
from providers.snapshots import JobSnapshot, RemoteStatus

PROVIDER_KEEPS = timedelta(hours=1)
# Our clock and a provider's may differ; by our own clock a log counts as deleted only when it is by every clock.
CLOCK_SKEW = timedelta(minutes=10)
# Output that comes late is there by now: an end by cancelling is told before the last lines are.
LATE_OUTPUT = timedelta(seconds=10)
# An empty log is believed when the job has been over for so long.
EMPTY_BELIEVED = timedelta(minutes=1)

# After the end, while the log has not been read: a few tries soon, the last chances, and whether it is there after all.
LOOKS = (
    LATE_OUTPUT,
    EMPTY_BELIEVED,
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=40),
    timedelta(minutes=50),
    timedelta(minutes=55),
    PROVIDER_KEEPS + CLOCK_SKEW,
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=24),
)
# Of a job that ended longer ago, if it is its provider that cannot be asked.
LATE_PAUSE = timedelta(hours=1)

Standing = tuple[LogsState, datetime | None]


def is_last_word(snapshot: JobSnapshot) -> bool:
    """Whether the log in this snapshot is all that there will ever be of it."""
    if not _tells_the_end(snapshot):
        return False
    if snapshot.completed_at is None or snapshot.status is not RemoteStatus.CANCELLED:
        return True
    return snapshot.as_of - snapshot.completed_at >= LATE_OUTPUT


def ended_without_a_word(job: UnifiedJob, log: JobLog | None, snapshot: JobSnapshot) -> bool:
    """Whether an empty log is the true and whole one: told in time, and not at the very end."""
    if snapshot.logs != "" or not _tells_the_end(snapshot) or _is_removed(job, snapshot) or (log and log.characters):
        return False
    return not job.completed_at or snapshot.as_of - job.completed_at >= EMPTY_BELIEVED or not has_run(job)


def standing(
    job: UnifiedJob, log: JobLog | None, snapshot: JobSnapshot, now: datetime, *, has_just_ended: bool
) -> Standing:
    """Return the log's state, and when to ask for it, after a snapshot was taken over. ``log``: what is kept by now."""
    if not job.is_terminal:
        return LogsState.LIVE, None
    if log is not None and log.is_final:
        return (LogsState.PARTIAL if log.is_cut else LogsState.SAVED), None
    has_copy = log is not None and log.characters > 0
    if job.status == JobStatus.CANCELLED and not has_run(job) and not has_copy:
        return LogsState.SAVED, None
    is_told_empty = snapshot.logs == "" and _tells_the_end(snapshot)
    if _is_removed(job, snapshot) if is_told_empty else _says_removed(job):
        return without_the_rest(job, has_copy=has_copy), None
    if has_just_ended or (job.logs_state == LogsState.LIVE and job.next_log_capture_at is None):
        return LogsState.LIVE, now + LATE_OUTPUT
    if is_told_empty:
        return LogsState.LIVE, next_look(job.completed_at or now, now)
    return LogsState(job.logs_state), job.next_log_capture_at


def without_the_rest(job: UnifiedJob, *, has_copy: bool) -> LogsState:
    """What a log is of which no more can be had, and of which we have not read the end."""
    if has_copy:
        return LogsState.PARTIAL
    return LogsState.LOST if has_run(job) or job.is_active else LogsState.SAVED


def next_look(ended_at: datetime, now: datetime) -> datetime | None:
    """When a log is to be asked for after a try that told nothing; ``None``: never again."""
    return next((ended_at + after for after in LOOKS if ended_at + after > now), None)


def is_surely_deleted(ended_at: datetime, now: datetime) -> bool:
    """Whether the provider's copy is gone by now, whoever's clock is right."""
    return now - ended_at > PROVIDER_KEEPS + CLOCK_SKEW


def has_run(job: UnifiedJob) -> bool:
    """A job that ended before it started never had a log."""
    return job.started_at is not None or job.status == JobStatus.COMPLETED or bool(job.run_seconds)


def settle_lost(jobs: Sequence[UnifiedJob]) -> None:
    """Jobs that their provider does not know any more: what is kept of their logs is all that there will be."""
    kept = set(JobLog.objects.filter(job__in=jobs, characters__gt=0).values_list("job_id", flat=True))
    for state in (LogsState.PARTIAL, LogsState.LOST):
        pks = [job.pk for job in jobs if without_the_rest(job, has_copy=job.pk in kept) == state]
        UnifiedJob.objects.filter(pk__in=pks, lost_at__isnull=False).update(logs_state=state)


def _tells_the_end(snapshot: JobSnapshot) -> bool:
    return snapshot.status in (RemoteStatus.COMPLETED, RemoteStatus.FAILED, RemoteStatus.CANCELLED)


def _says_removed(job: UnifiedJob) -> bool:
    return job.metadata.get("data_removed") is True


def _is_removed(job: UnifiedJob, snapshot: JobSnapshot) -> bool:
    """By the provider's word, or by its clock."""
    is_late = job.completed_at is not None and snapshot.as_of - job.completed_at > PROVIDER_KEEPS
    return is_late or _says_removed(job)
