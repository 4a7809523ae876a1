"""What each of the last days brought: how many jobs ended how, and what they cost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from jobs.access import Actor
from jobs.models import JobQuerySet, UnifiedJob

DAYS = 30


@dataclass(frozen=True, slots=True)
class Day:
    """The jobs that were created on one day (UTC), by their status now."""

    day: date
    cost_usd: Decimal
    jobs_by_status: Mapping[str, int]


def has_jobs(actor: Actor, now: datetime | None = None) -> bool:
    """Whether there is anything to tell."""
    return _recent(actor, now or timezone.now()).exists()


def days(actor: Actor, now: datetime | None = None) -> list[Day]:
    """The last ``DAYS`` days, oldest first, today included; those without a job are there too. One query."""
    now = now or timezone.now()
    today = now.astimezone(UTC).date()
    rows = (
        _recent(actor, now)
        .annotate(day=TruncDate("created_at", tzinfo=UTC))
        .order_by()
        .values_list("day", "status")
        .annotate(count=Count("pk"), cost=Sum("cost_usd"))
    )
    counts: dict[date, Counter[str]] = {}
    costs: dict[date, Decimal] = {}
    for day, status, count, cost in rows:
        counts.setdefault(day, Counter())[status] += count
        costs[day] = costs.get(day, Decimal(0)) + (cost or 0)
    every = [today - timedelta(days=number) for number in reversed(range(DAYS))]
    return [Day(day, costs.get(day, Decimal(0)), counts.get(day, Counter())) for day in every]


def _recent(actor: Actor, now: datetime) -> JobQuerySet:
    since = now.astimezone(UTC).date() - timedelta(days=DAYS - 1)
    start = datetime(since.year, since.month, since.day, tzinfo=UTC)
    return UnifiedJob.objects.visible_to(actor).filter(created_at__gte=start)
