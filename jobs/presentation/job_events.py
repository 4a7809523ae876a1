"""What happened to a job: every change of its status, and what its provider delivered."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from jobs.models import UnifiedJob, WebhookVerdict
from jobs.presentation.formats import Moment, moment
from jobs.presentation.job_rows import provider_label
from jobs.presentation.statuses import StatusBadge, badge

# A provider tells of intermediate states twice a second; the newest say enough.
SHOWN_DELIVERIES = 200
TONES: dict[str, tuple[str, str]] = {
    WebhookVerdict.RECEIVED: ("queued", "info"),
    WebhookVerdict.APPLIED: ("completed", "success"),
    WebhookVerdict.STALE: ("info", "neutral"),
    WebhookVerdict.UNKNOWN: ("warning", "warning"),
    WebhookVerdict.UNREADABLE: ("warning", "warning"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of status: who noticed it, and when by our clock and by the provider's."""

    previous: StatusBadge | None
    status: StatusBadge
    source: str
    recorded: Moment | None
    provider_time: Moment | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook delivery, and what was made of it."""

    webhook_id: str
    event: str
    verdict: StatusBadge
    sent: Moment | None
    received: Moment | None
    settled: Moment | None
    repeats: int
    error: str


@dataclass(frozen=True, slots=True)
class JobEvents:
    """Both lists, newest first. ``more_deliveries``: how many older ones are not listed."""

    provider: str
    changes: list[Change]
    deliveries: list[Delivery]
    more_deliveries: int


def job_events(job: UnifiedJob, now: datetime | None = None) -> JobEvents:
    """What is stored of a job's changes and deliveries."""
    now = now or timezone.now()
    changes = [
        Change(
            previous=badge(change.previous) if change.previous else None,
            status=badge(change.status),
            source=str(change.get_source_display()),
            recorded=moment(change.recorded_at, now),
            provider_time=moment(change.provider_time, now),
        )
        for change in job.history.order_by("-pk")
    ]
    found = job.deliveries.defer("content").order_by("-pk")
    deliveries = [
        Delivery(
            webhook_id=delivery.webhook_id,
            event=delivery.event,
            verdict=_verdict(delivery.verdict, str(delivery.get_verdict_display())),
            sent=moment(delivery.sent_at, now),
            received=moment(delivery.received_at, now),
            settled=moment(delivery.settled_at, now),
            repeats=delivery.repeats,
            error=delivery.error,
        )
        for delivery in found[:SHOWN_DELIVERIES]
    ]
    more = found.count() - len(deliveries) if len(deliveries) == SHOWN_DELIVERIES else 0
    return JobEvents(provider_label(job.provider), changes, deliveries, more)


def _verdict(value: str, label: str) -> StatusBadge:
    icon, tone = TONES[value]
    return StatusBadge(value=value, label=label, icon=icon, tone=tone)
