"""Reading the status history as a log of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from jobs.events import JobStatusChanged, payload
from jobs.models import StatusChange

# A reader that was away for longer, or for more, is better served by reading the list anew.
REPLAY_EVENTS = 1000
REPLAY_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Event:
    """One event and its id: the primary key of its row in the history."""

    id: int
    body: JobStatusChanged


def latest_id() -> int:
    """The id of the newest event; 0 if there never was one."""
    return StatusChange.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def events_after(event_id: int, limit: int = REPLAY_EVENTS) -> Sequence[Event]:
    """The next events after ``event_id``, oldest first."""
    changes = StatusChange.objects.filter(pk__gt=event_id).select_related("job").order_by("pk")[:limit]
    return [Event(change.pk, payload(change)) for change in changes]


def missed_between(event_id: int, newest_id: int) -> Sequence[Event] | None:
    """All events after ``event_id`` up to ``newest_id``; ``None`` if they are too many or too old to be replayed."""
    missed = StatusChange.objects.filter(pk__gt=event_id, pk__lte=newest_id).select_related("job").order_by("pk")
    changes = list(missed[: REPLAY_EVENTS + 1])
    if len(changes) > REPLAY_EVENTS:
        return None
    if changes and changes[0].recorded_at < timezone.now() - REPLAY_AGE:
        return None
    return [Event(change.pk, payload(change)) for change in changes]
