"""What happened lately: changes of the status of jobs that somebody may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform

from jobs.access import VIEW_ALL, Actor
from jobs.models import StatusChange, UnifiedJob

SHOWN_CHANGES = 50
# Nobody counts on; more are "99+".
MOST_COUNTED = 100
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class News:
    """How much there is after an id, up to ``MOST_COUNTED``, and the id of the newest of all; 0 if there is none."""

    count: int
    newest_id: int


@dataclass(frozen=True, slots=True)
class Change:
    """One change, and what its job is called. ``error`` is empty if the job has moved on since."""

    event_id: int
    job_id: str
    config_name: str | None
    model_name: str | None
    previous: str | None
    status: str
    source: str
    at: datetime
    error: str


def latest(actor: Actor, limit: int = SHOWN_CHANGES) -> Sequence[Change]:
    """The newest changes, newest first."""
    rows = (
        _visible(actor)
        .annotate(model_name=KeyTextTransform("model", "job__metadata"))
        .values(
            "pk",
            "job__job_id",
            "job__config_name",
            "model_name",
            "previous",
            "status",
            "source",
            "recorded_at",
            "job__status",
            "job__error_message",
        )[:limit]
    )
    return [
        Change(
            event_id=row["pk"],
            job_id=row["job__job_id"],
            config_name=row["job__config_name"],
            model_name=row["model_name"],
            previous=row["previous"],
            status=row["status"],
            source=row["source"],
            at=row["recorded_at"],
            error=(row["job__error_message"] or "") if row["status"] == row["job__status"] else "",
        )
        for row in rows
    ]


def news_after(actor: Actor, event_id: int) -> News:
    """What ``actor`` has not seen who saw everything up to ``event_id``."""
    changes = _visible(actor)
    newest = changes.values_list("pk", flat=True).first() or 0
    return News(count=changes.filter(pk__gt=event_id)[:MOST_COUNTED].count(), newest_id=newest)


def _visible(actor: Actor) -> QuerySet[StatusChange]:
    changes = StatusChange.objects.order_by("-pk")
    return changes if actor.can(VIEW_ALL) else changes.filter(job__in=UnifiedJob.objects.visible_to(actor))
