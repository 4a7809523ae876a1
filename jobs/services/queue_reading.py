"""The queue as somebody may see it: the same for the API and for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.access import VIEW_ALL, VIEW_OWN, Actor
from jobs.models import QueueEntry, QueueStatus
from jobs.models.queue import OPEN, SLOT_HOLDERS
from jobs.queue_order import Limits, Obstacle, Waiting, obstacle
from jobs.services import queue_actions
from jobs.services.queue_waiting import Standing, WaitingLine

AVERAGE_OVER = timedelta(days=7)
# From then on a person may decide that a job which may have been started was not.
IN_QUESTION_AFTER = queue_actions.DECIDED_BY_PEOPLE_AFTER


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry with what is computed about it. ``standing``: of one that waits."""

    entry: QueueEntry
    standing: Standing | None
    reason: str
    estimated_wait_seconds: float | None

    @property
    def base(self) -> int:
        override = self.entry.priority_override
        return self.entry.priority if override is None else override


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of the whole queue. ``by_user``: only for who may see everybody's jobs."""

    queue_depth: int
    running: int
    dispatching: int
    avg_wait_seconds: float | None
    by_status: dict[str, int]
    by_user: dict[str, int] | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class Own:
    """Somebody's own jobs in the queue. ``blocked``: those that would not start even if they were next."""

    waiting: Sequence[EntryView]
    running: Sequence[EntryView]
    blocked: int

    @property
    def best_position(self) -> int | None:
        return min((view.standing.place for view in self.waiting if view.standing), default=None)


def visible_entries(actor: Actor) -> QuerySet[QueueEntry]:
    if actor.can(VIEW_ALL):
        return QueueEntry.objects.all()
    if actor.user_id is None or not actor.can(VIEW_OWN):
        return QueueEntry.objects.none()
    return QueueEntry.objects.filter(job__owner=actor.user_id)


def listing(
    actor: Actor, *, status: str = "", limit: int, offset: int = 0, include_completed: bool = False
) -> tuple[list[EntryView], int]:
    """A page of entries, and how many there are: what is under way, what waits in its order, then what has ended.

    A constant number of queries, however long the queue is.
    """
    line = WaitingLine()
    visible = visible_entries(actor)
    shown: list[int] = []
    if status in ("", *SLOT_HOLDERS):
        holders = visible.filter(status__in=[status] if status else list(SLOT_HOLDERS))
        shown += holders.order_by("started_at", "claimed_at", "pk").values_list("pk", flat=True)
    if status in ("", QueueStatus.PENDING):
        shown += [entry.pk for entry in line.waiting if _may_see(actor, entry)]
    ended = visible.exclude(status__in=OPEN).order_by("-finished_at", "-pk")
    if status and status not in OPEN:
        ended = ended.filter(status=status)
    elif status or not include_completed:
        ended = ended.none()
    total = len(shown) + ended.count()
    page = shown[offset : offset + limit]
    if len(page) < limit:
        first = max(offset - len(shown), 0)
        page += ended.values_list("pk", flat=True)[first : first + limit - len(page)]
    return views(page, line, actor), total


def views(pks: Sequence[int], line: WaitingLine, actor: Actor) -> list[EntryView]:
    """The entries of these keys, in that order."""
    rows = QueueEntry.objects.select_related("job__owner", "job__team", "job__submission__archive").in_bulk(list(pks))
    return [_view(rows[pk], line, actor) for pk in pks if pk in rows]


def view_of(job_pk: int, actor: Actor) -> EntryView | None:
    """The entry of a job; ``None`` if it never was in the queue, or its entry was cleared away."""
    pk = QueueEntry.objects.filter(job=job_pk).values_list("pk", flat=True).first()
    return views([pk], WaitingLine(), actor)[0] if pk is not None else None


def own(actor: Actor, *, limit: int) -> tuple[Own, int, int]:
    """Somebody's own jobs, at most ``limit`` of each kind, and how many wait and run in all."""
    line = WaitingLine()
    waiting = [entry for entry in line.waiting if entry.owner_id is not None and entry.owner_id == actor.user_id]
    holders = QueueEntry.objects.filter(status__in=SLOT_HOLDERS, job__owner=actor.user_id)
    running = list(holders.order_by("started_at", "pk").values_list("pk", flat=True)) if actor.user_id else []
    blocked = sum(_is_blocked(entry, line) for entry in waiting)
    found = Own(
        views([entry.pk for entry in waiting[:limit]], line, actor), views(running[:limit], line, actor), blocked
    )
    return found, len(waiting), len(running)


def stats(actor: Actor) -> Stats:
    """Numbers of all; a few queries."""
    line = WaitingLine()
    counts = dict(QueueEntry.objects.order_by().values_list("status").annotate(Count("pk")))
    recent = QueueEntry.objects.filter(started_at__gte=timezone.now() - AVERAGE_OVER)
    waited = ExpressionWrapper(F("started_at") - F("queued_at"), output_field=DurationField())
    average: timedelta | None = recent.aggregate(average=Avg(waited))["average"]
    by_user = None
    if actor.can(VIEW_ALL):
        users = QueueEntry.objects.filter(status__in=OPEN).order_by().values_list("job__owner__username")
        by_user = {name or "": count for name, count in users.annotate(Count("pk"))}
    return Stats(
        queue_depth=counts.get(QueueStatus.PENDING, 0),
        running=counts.get(QueueStatus.RUNNING, 0),
        dispatching=counts.get(QueueStatus.DISPATCHING, 0),
        avg_wait_seconds=max(round(average.total_seconds(), 1), 0.0) if average is not None else None,
        by_status={status: counts.get(status, 0) for status in QueueStatus.values},
        by_user=by_user,
        limits=line.limits,
    )


def _view(entry: QueueEntry, line: WaitingLine, actor: Actor) -> EntryView:
    job = entry.job
    standing = line.standing(job.pk)
    if standing is not None:
        owner = job.owner.get_username() if job.owner else ""
        team = job.team.name if job.team else ""
        reason = line.reason(job.pk, actor.user_id, owner=owner, team=team, trouble=entry.reason)
    else:
        reason = _under_way(entry) if entry.status == QueueStatus.DISPATCHING else ""
    return EntryView(entry, standing, reason, line.estimated_wait_seconds(job.pk))


def _under_way(entry: QueueEntry) -> str:
    if entry.sent_at is not None:
        return entry.reason or _("is being handed over")
    archive = entry.job.submission.archive if hasattr(entry.job, "submission") else None
    if archive is None or archive.sent_bytes >= archive.size_bytes or not archive.size_bytes:
        return _("is being handed over")
    percent = int(100 * archive.sent_bytes / archive.size_bytes)
    return _("its dataset is being uploaded: %(percent)s %%") % {"percent": percent}


def _may_see(actor: Actor, entry: Waiting) -> bool:
    return actor.may_see(entry.owner_id)


def _is_blocked(entry: Waiting, line: WaitingLine) -> bool:
    kind = obstacle(entry, line.places, line.limits)
    return not entry.is_due(line.now) or kind in (Obstacle.OWNER, Obstacle.TEAM)
