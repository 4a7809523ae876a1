"""What a batch of snapshots says of logs, taken over at a constant number of queries. Part of ``apply_snapshots``."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from jobs.models import JobLog, UnifiedJob
from jobs.models.log import GROWING_FIELDS
from jobs.services import log_standing
from providers.snapshots import JobSnapshot


class LogReport(NamedTuple):
    """A snapshot with its job, which has taken it over, and whether the job ended by it."""

    job: UnifiedJob
    snapshot: JobSnapshot
    has_just_ended: bool


def take_over(
    reports: Sequence[LogReport], now: datetime
) -> tuple[list[JobLog], dict[tuple[str, str], frozenset[str]]]:
    """Take over what the reports say of logs; returns those to be saved, and which fields of their jobs changed by it.

    A report that adds nothing costs no unpacking and no write.
    """
    logs = _known_logs(reports)
    before = {key: _extent(log) for key, log in logs.items()}
    for report in _follow_logs(reports, logs):
        logs[_key(report.job)].join(report.snapshot.logs or "")
    changed: dict[tuple[str, str], frozenset[str]] = {}
    for job, snapshot, has_just_ended in reports:
        key = _key(job)
        if log_standing.ended_without_a_word(job, logs.get(key), snapshot):
            logs.setdefault(key, JobLog(job=job)).is_final = True
        elif snapshot.logs and log_standing.is_last_word(snapshot):
            logs[key].is_final = True
        state, look_at = log_standing.standing(job, logs.get(key), snapshot, now, has_just_ended=has_just_ended)
        changed[key] = changed.get(key, frozenset()) | job.note_log(state, look_at)
    return [log for key, log in logs.items() if _extent(log) != before.get(key)], changed


def save(grown: Sequence[JobLog]) -> None:
    """Write the logs that ``take_over`` changed; their jobs are stored by now."""
    JobLog.objects.bulk_create(
        [log for log in grown if log.is_at_hand],
        update_conflicts=True,
        unique_fields=["job"],
        update_fields=list(GROWING_FIELDS),
    )
    unchanged = [log.pk for log in grown if not log.is_at_hand]
    if unchanged:
        # Nothing is new but that this was all of it.
        JobLog.objects.filter(pk__in=unchanged).update(is_final=True)


def _known_logs(reports: Sequence[LogReport]) -> dict[tuple[str, str], JobLog]:
    jobs = {job.pk: job for job, snapshot, _ in reports if job.pk and (snapshot.logs or job.is_terminal)}
    if not jobs:
        return {}
    found = JobLog.objects.filter(job__in=list(jobs)).defer("compressed")
    return {_key(jobs[log.job_id]): log for log in found}


def _follow_logs(reports: Sequence[LogReport], logs: dict[tuple[str, str], JobLog]) -> list[LogReport]:
    """Take over the copies that plainly continue the last one; returns the others, with what is kept at hand."""
    others: list[LogReport] = []
    waiting: set[tuple[str, str]] = set()
    for report in reports:
        key = _key(report.job)
        if report.snapshot.logs:
            log = logs.setdefault(key, JobLog(job=report.job))
            if not log.follow(report.snapshot.logs):
                waiting.add(key)
                others.append(report)
    unread = {logs[key].pk: logs[key] for key in waiting if not logs[key].is_at_hand}
    if unread:
        for pk, content in JobLog.objects.filter(pk__in=list(unread)).values_list("pk", "compressed"):
            unread[pk].compressed = content
    return others


def _extent(log: JobLog) -> tuple[int, int, bool, bool]:
    return log.characters, log.copy_characters, log.is_cut, log.is_final


def _key(job: UnifiedJob) -> tuple[str, str]:
    return job.provider, job.external_id or ""
