"""What the page of the queue says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import CHANGE_LIMITS, Actor
from jobs.models import QueueStatus
from jobs.presentation.formats import Moment, duration, moment, rough_duration
from jobs.presentation.job_rows import short_id
from jobs.presentation.statuses import StatusBadge
from jobs.queue_order import Limits
from jobs.services import queue_limits, queue_reading
from jobs.services.queue_reading import EntryView, Stats

ENTRIES_SHOWN = 200

LOOKS: Mapping[str, tuple[str, str]] = {
    QueueStatus.PENDING: ("pending", "neutral"),
    QueueStatus.DISPATCHING: ("uploading", "info"),
    QueueStatus.RUNNING: ("running", "info"),
    QueueStatus.COMPLETED: ("completed", "success"),
    QueueStatus.FAILED: ("failed", "danger"),
    QueueStatus.CANCELLED: ("cancelled", "neutral"),
}


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One entry. ``risen``: how much of its priority is age; ``priority_field``: what was set by hand."""

    job_id: str
    name: str
    short_id: str
    place: int | None
    status: StatusBadge
    owner: str
    team: str
    priority: int
    risen: str
    priority_field: str
    since: Moment | None
    reason: str
    trouble: str
    wait: str
    attempts: str
    can_cancel: bool
    can_prioritise: bool
    can_send_again: bool


@dataclass(frozen=True, slots=True)
class Number:
    """One of the numbers above the list."""

    key: str
    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class QueuePage:
    """The whole list. ``more``: that there are entries which are not shown, for their number."""

    rows: Sequence[QueueRow]
    numbers: Sequence[Number]
    more: str
    may_change: bool


def queue_page(actor: Actor) -> QueuePage:
    """What the actor may see of the queue."""
    now = timezone.now()
    views, total = queue_reading.listing(actor, limit=ENTRIES_SHOWN)
    hidden = total - len(views)
    more = ngettext("%(count)s more waits behind these.", "%(count)s more wait behind these.", hidden)
    return QueuePage(
        rows=[_row(view, actor, now) for view in views],
        numbers=_numbers(queue_reading.stats(actor)),
        more=more % {"count": hidden} if hidden else "",
        may_change=actor.can(CHANGE_LIMITS),
    )


def limits() -> Limits:
    """What the form of the limits shows."""
    return queue_limits.current()


def _row(view: EntryView, actor: Actor, now: datetime) -> QueueRow:
    entry, job, standing = view.entry, view.entry.job, view.standing
    is_waiting = entry.status == QueueStatus.PENDING
    may_change = actor.can(CHANGE_LIMITS)
    risen = standing.risen_by if standing else 0
    override = entry.priority_override
    icon, tone = LOOKS[entry.status]
    return QueueRow(
        job_id=job.job_id,
        name=job.config_name or short_id(job.job_id),
        short_id=short_id(job.job_id),
        place=standing.place if standing else None,
        status=StatusBadge(entry.status, str(QueueStatus(entry.status).label), icon, tone),
        owner=job.owner.get_username() if job.owner else "",
        team=job.team.name if job.team else "",
        priority=standing.priority if standing else view.base,
        risen=_("%(base)s + %(age)s by waiting") % {"base": view.base, "age": risen} if risen else "",
        priority_field="" if override is None else str(override),
        since=moment(entry.started_at if entry.status == QueueStatus.RUNNING else entry.queued_at, now),
        reason=view.reason,
        trouble=entry.reason if is_waiting and entry.reason not in view.reason else "",
        wait=_("about %(time)s") % {"time": rough_duration(view.estimated_wait_seconds)}
        if view.estimated_wait_seconds is not None
        else "",
        attempts=_("%(made)s of %(allowed)s") % {"made": entry.attempts, "allowed": entry.max_attempts},
        can_cancel=entry.sent_at is None and job.external_id is None and actor.may_cancel(job.owner_id),
        can_prioritise=is_waiting and may_change,
        can_send_again=may_change
        and entry.status == QueueStatus.DISPATCHING
        and entry.sent_at is not None
        and now - entry.sent_at > queue_reading.IN_QUESTION_AFTER,
    )


def _numbers(stats: Stats) -> list[Number]:
    used, most = stats.running + stats.dispatching, stats.limits.max_concurrent
    handed = _("%(count)s being handed over") % {"count": stats.dispatching} if stats.dispatching else ""
    average = duration(stats.avg_wait_seconds) or "–"
    teams = _("%(count)s of one team") % {"count": stats.limits.team_max_concurrent} if stats.limits.has_teams else ""
    return [
        Number("waiting", _("Waiting"), str(stats.queue_depth), _("everybody's jobs")),
        Number("slots", _("Slots in use"), _("%(used)s of %(most)s") % {"used": used, "most": most}, handed),
        Number("own", _("Slots per person"), str(stats.limits.user_max_concurrent), teams),
        Number("wait", _("Average wait"), average, _("jobs of the last 7 days")),
    ]
