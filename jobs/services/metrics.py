"""Numbers over many jobs, for the dashboard's cards and ``GET /api/cloud/metrics``."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from jobs.access import SYSTEM, Actor
from jobs.lifecycle import ACTIVE, JobStatus
from jobs.models import HardwarePrice, JobQuerySet, UnifiedJob
from jobs.services import job_counts

# A median needs no more than this many newest jobs to be told to the minute.
SAMPLE_ROWS = 2000
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class DayCost:
    """What was spent on jobs that were created on one day (UTC)."""

    day: date
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Metrics:
    """Jobs created within the period, and the state of affairs now. Rates are 0 to 1; ``None``: nothing to tell.

    ``burn_rate_usd_per_hour`` covers running jobs of known price; ``burn_rate_unknown_jobs`` counts the others.
    """

    period_days: int
    job_count: int
    jobs_by_status: dict[str, int]
    active_count: int
    running_count: int
    queued_count: int
    total_cost_usd: Decimal
    unknown_cost_count: int
    month_cost_usd: Decimal
    burn_rate_usd_per_hour: Decimal
    burn_rate_unknown_jobs: int
    success_rate: float | None
    avg_job_duration_seconds: float | None
    median_wait_seconds: float | None
    cost_by_day: tuple[DayCost, ...]


def collect(days: int = 30, *, provider: str | None = None, actor: Actor = SYSTEM) -> Metrics:
    """Count what happened in the last ``days`` days to jobs that ``actor`` may see."""
    now = timezone.now()
    jobs = _jobs(provider, actor)
    period = jobs.filter(created_at__gte=now - timedelta(days=days))
    by_status = dict.fromkeys(JobStatus.values, 0) | dict(
        period.order_by().values_list("status").annotate(count=Count("pk"))
    )
    active = Counter(dict(jobs.active().order_by().values_list("status").annotate(count=Count("pk"))))
    costs = period.aggregate(
        total=Sum("cost_usd"),
        unknown=Count("pk", filter=Q(cost_usd__isnull=True, started_at__isnull=False)),
    )
    month_start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = jobs.filter(created_at__gte=month_start).aggregate(total=Sum("cost_usd"))
    burn_rate, unpriced = _burn_rate(now, jobs)
    ended = by_status[JobStatus.COMPLETED] + by_status[JobStatus.FAILED]
    durations, waits = _durations_and_waits(period.filter(started_at__isnull=False))
    return Metrics(
        period_days=days,
        job_count=sum(by_status.values()),
        jobs_by_status=by_status,
        active_count=sum(active.values()),
        running_count=active[JobStatus.RUNNING],
        queued_count=sum(active[status] for status in ACTIVE if status != JobStatus.RUNNING),
        total_cost_usd=costs["total"] or Decimal(0),
        unknown_cost_count=costs["unknown"],
        month_cost_usd=month["total"] or Decimal(0),
        burn_rate_usd_per_hour=burn_rate,
        burn_rate_unknown_jobs=unpriced,
        success_rate=by_status[JobStatus.COMPLETED] / ended if ended else None,
        avg_job_duration_seconds=sum(durations) / len(durations) if durations else None,
        median_wait_seconds=median(waits) if waits else None,
        cost_by_day=_cost_by_day(period),
    )


def status_counts(*, provider: str | None = None, actor: Actor = SYSTEM) -> dict[str, int]:
    """How many jobs there are in each status, of all time, among those that ``actor`` may see."""
    return job_counts.by_status(actor, provider=provider or "")


def _jobs(provider: str | None, actor: Actor) -> JobQuerySet:
    jobs = UnifiedJob.objects.visible_to(actor)
    return jobs.filter(provider=provider) if provider else jobs


def _burn_rate(now: datetime, jobs: JobQuerySet) -> tuple[Decimal, int]:
    """Dollars an hour of all running jobs of known price, and how many have none."""
    prices = HardwarePrice.objects.book()
    running = jobs.filter(status=JobStatus.RUNNING)
    rate, unpriced = Decimal(0), 0
    groups = running.order_by().values_list("provider", "hardware_type").annotate(count=Count("pk"))
    for name, hardware, count in groups:
        price = prices.price(name, hardware, now.date())
        if price is None:
            unpriced += count
        else:
            rate += price.usd_per_second * SECONDS_PER_HOUR * count
    return rate, unpriced


def _durations_and_waits(started: JobQuerySet) -> tuple[list[float], list[float]]:
    """Run times of ended jobs, and how long jobs waited for their start, in seconds, of the newest jobs."""
    rows = started.order_by("-created_at").values_list("created_at", "started_at", "completed_at")[:SAMPLE_ROWS]
    durations, waits = [], []
    for created_at, started_at, completed_at in rows:
        if started_at is None:
            continue
        waits.append(max((started_at - created_at).total_seconds(), 0.0))
        if completed_at is not None:
            durations.append(max((completed_at - started_at).total_seconds(), 0.0))
    return durations, waits


def _cost_by_day(period: JobQuerySet) -> tuple[DayCost, ...]:
    days = (
        period.filter(cost_usd__isnull=False)
        .order_by()
        .annotate(day=TruncDate(F("created_at")))
        .values_list("day")
        .annotate(cost=Sum("cost_usd"))
        .order_by("day")
    )
    return tuple(DayCost(day, cost) for day, cost in days)
