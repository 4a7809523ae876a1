"""The list of what happened lately."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from jobs.access import Actor
from jobs.lifecycle import Source
from jobs.presentation.formats import Moment, moment
from jobs.presentation.job_rows import display_name
from jobs.presentation.statuses import StatusBadge, badge
from jobs.services import activity

LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """One change of one job. ``previous`` is empty for a job that was new."""

    event_id: int
    job_id: str
    job_name: str
    previous: str
    status: StatusBadge
    source: str
    at: Moment | None
    error: str


@dataclass(frozen=True, slots=True)
class Activity:
    """Newest first. ``newest_id`` is what a reader has seen who has seen this."""

    happenings: list[Happening]
    newest_id: int


def recent_activity(actor: Actor, now: datetime | None = None) -> Activity:
    """One query, whatever happened."""
    now = now or timezone.now()
    changes = activity.latest(actor)
    return Activity(
        happenings=[
            Happening(
                event_id=change.event_id,
                job_id=change.job_id,
                job_name=display_name(change.config_name, change.model_name),
                previous=badge(change.previous).label if change.previous else "",
                status=badge(change.status),
                source=str(Source(change.source).label),
                at=moment(change.at, now),
                error=change.error[:LONGEST_ERROR],
            )
            for change in changes
        ],
        newest_id=changes[0].event_id if changes else 0,
    )
