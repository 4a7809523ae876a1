"""What was spent, by day, provider, hardware or owner.

A job's cost belongs to the day (UTC) on which it was created, as in the metrics and in the limits of cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from jobs.access import Actor
from jobs.models import JobQuerySet, UnifiedJob

MAXIMUM_DAYS = 3650


class Group(StrEnum):
    """What the sums are of."""

    DAY = "day"
    PROVIDER = "provider"
    HARDWARE = "hardware"
    OWNER = "owner"


COLUMNS = {Group.PROVIDER: "provider", Group.HARDWARE: "hardware_type", Group.OWNER: "owner__username"}


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One sum. ``key``: a day, a name, or empty for what is not known. ``unknown``: jobs that ran at no known price."""

    key: str
    cost_usd: Decimal
    jobs: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Spend:
    """What the jobs of some days cost, the running ones so far. ``since``: the first of the days, whole as all."""

    group: Group
    days: int
    since: date
    rows: tuple[SpendRow, ...]

    @property
    def total_usd(self) -> Decimal:
        return sum((row.cost_usd for row in self.rows), Decimal(0))

    @property
    def jobs(self) -> int:
        return sum(row.jobs for row in self.rows)

    @property
    def unknown(self) -> int:
        return sum(row.unknown for row in self.rows)


def collect(actor: Actor, *, days: int = 30, group: Group = Group.DAY, now: datetime | None = None) -> Spend:
    """What the jobs that the actor may see cost in the last ``days`` days, today included.

    Days without a job are there too, in their order; of the other groups the dearest comes first.
    """
    today = (now or timezone.now()).astimezone(UTC).date()
    since = today - timedelta(days=days - 1)
    start = datetime(since.year, since.month, since.day, tzinfo=UTC)
    jobs = UnifiedJob.objects.visible_to(actor).filter(created_at__gte=start)
    if group is Group.DAY:
        rows = _every_day(_by_day(jobs), since, today)
    else:
        rows = sorted(_sums(jobs, COLUMNS[group]), key=lambda row: (-row.cost_usd, row.key))
    return Spend(group=group, days=days, since=since, rows=tuple(rows))


def spent_this_month(actor: Actor, now: datetime) -> Decimal:
    """What the jobs of this month that the actor may see have cost so far."""
    start = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    jobs = UnifiedJob.objects.visible_to(actor).filter(created_at__gte=start)
    return jobs.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


def _by_day(jobs: JobQuerySet) -> list[SpendRow]:
    return _sums(jobs.annotate(day=TruncDate("created_at", tzinfo=UTC)), "day")


def _sums(jobs: JobQuerySet, column: str) -> list[SpendRow]:
    sums = (
        jobs.order_by()
        .values_list(column)
        .annotate(
            cost=Sum("cost_usd"),
            count=Count("pk"),
            unknown=Count("pk", filter=Q(cost_usd__isnull=True, started_at__isnull=False)),
        )
    )
    return [SpendRow(str(key or ""), cost or Decimal(0), count, unknown) for key, cost, count, unknown in sums]


def _every_day(rows: Sequence[SpendRow], since: date, today: date) -> list[SpendRow]:
    known = {row.key: row for row in rows}
    days = [(since + timedelta(days=number)).isoformat() for number in range((today - since).days + 1)]
    # A provider's clock may be ahead: what it says of tomorrow is shown.
    return [known.pop(day, SpendRow(day, Decimal(0), 0, 0)) for day in days] + sorted(
        known.values(), key=lambda row: row.key
    )
