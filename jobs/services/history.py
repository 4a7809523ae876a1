"""Reading the status history as a log of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from jobs.access import SYSTEM, VIEW_ALL, Actor
from jobs.events import JobStatusChanged, payload
from jobs.models import StatusChange, UnifiedJob

# A reader that was away for longer, or for more, is better served by reading the list anew.
REPLAY_EVENTS = 1000
REPLAY_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Event:
    """One event and its id: the primary key of its row in the history. ``owner_id``: whose job it tells of."""

    id: int
    body: JobStatusChanged
    owner_id: int | None


def latest_id() -> int:
    """The id of the newest event; 0 if there never was one."""
    return StatusChange.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def events_after(event_id: int, limit: int = REPLAY_EVENTS) -> Sequence[Event]:
    """The next events after ``event_id``, oldest first."""
    changes = StatusChange.objects.filter(pk__gt=event_id).select_related("job").order_by("pk")[:limit]
    return [_event(change) for change in changes]


def missed_between(event_id: int, newest_id: int, actor: Actor = SYSTEM) -> Sequence[Event] | None:
    """All events for ``actor`` after ``event_id`` up to ``newest_id``; ``None`` if too many or too old for a replay.

    What counts is what the actor would be sent: others' events make a reader neither late nor its list too long.
    """
    missed = StatusChange.objects.filter(pk__gt=event_id, pk__lte=newest_id).select_related("job").order_by("pk")
    if not actor.can(VIEW_ALL):
        missed = missed.filter(job__in=UnifiedJob.objects.visible_to(actor))
    changes = list(missed[: REPLAY_EVENTS + 1])
    if len(changes) > REPLAY_EVENTS:
        return None
    if changes and changes[0].recorded_at < timezone.now() - REPLAY_AGE:
        return None
    return [_event(change) for change in changes]


def _event(change: StatusChange) -> Event:
    return Event(change.pk, payload(change), change.job.owner_id)
