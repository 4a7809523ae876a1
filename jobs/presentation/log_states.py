"""Where a job's log is, in the reader's words."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from jobs.lifecycle import JobType, LogsState
from jobs.models import JobLog, UnifiedJob
from jobs.presentation.formats import Moment, moment
from jobs.presentation.job_rows import provider_label
from jobs.services.log_standing import PROVIDER_KEEPS, has_run

LOOKS: dict[str, tuple[str, str]] = {
    LogsState.LIVE: ("live", "info"),
    LogsState.SAVED: ("completed", "success"),
    LogsState.PARTIAL: ("warning", "warning"),
    LogsState.LOST: ("warning", "warning"),
}


@dataclass(frozen=True, slots=True)
class LogBadge:
    """A log's state as a pill, and what it means for this job.

    ``deleted``: when the provider deleted it, by its rule, before it was read. It then says more than ``note``.
    """

    value: str
    label: str
    icon: str
    tone: str
    provider: str
    note: str
    deleted: Moment | None = None


def log_badge(job: UnifiedJob, now: datetime) -> LogBadge | None:
    """The state of a job's log; nothing for a job that runs where no log is kept."""
    if job.job_type != JobType.CLOUD or not job.external_id:
        return None
    log = JobLog.objects.filter(job=job).defer("compressed").first()
    state = LogsState(job.logs_state)
    icon, tone = LOOKS[state]
    is_deleted = state == LogsState.LOST or (state == LogsState.PARTIAL and not (log and log.is_final))
    has_time = is_deleted and job.completed_at is not None and job.lost_at is None
    return LogBadge(
        value=state.value,
        label=_label(job, state),
        icon=icon if job.is_active or state != LogsState.LIVE else "sync",
        tone=tone,
        provider=provider_label(job.provider),
        note=_note(job, state, log),
        deleted=moment(job.completed_at + PROVIDER_KEEPS, now) if has_time and job.completed_at else None,
    )


def _label(job: UnifiedJob, state: LogsState) -> str:
    if state == LogsState.LIVE:
        return _("Live") if job.is_active else _("Not saved yet")
    return {LogsState.SAVED: _("Saved"), LogsState.PARTIAL: _("Saved in part")}.get(state, _("Lost"))


def _note(job: UnifiedJob, state: LogsState, log: JobLog | None) -> str:
    provider = {"provider": provider_label(job.provider)}
    if state == LogsState.LIVE:
        return "" if job.is_active else _("The end of the log is still to be read from %(provider)s.") % provider
    if state == LogsState.SAVED:
        if log is not None and log.characters:
            return ""
        return _("The job wrote no log.") if has_run(job) else _("The job ended before it started: it has no log.")
    if log is not None and log.is_final:
        if log.left_out_characters:
            return _("It is longer than what is kept of one log: a line in the text says where some was left out.")
        return _("It changed at %(provider)s while nobody looked: a line in the text says where.") % provider
    if job.lost_at is not None:
        return _("%(provider)s does not know this job any more.") % provider
    if state == LogsState.PARTIAL:
        return _("%(provider)s deleted it before its end could be read.") % provider
    return _("%(provider)s deleted it before it could be read.") % provider
