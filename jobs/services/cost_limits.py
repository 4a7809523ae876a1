"""A limit to what a provider's jobs may cost in a day, a week or a month, checked when a job is submitted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from jobs.models import CostAction, CostPeriod, ProviderSettings, UnifiedJob
from providers import registry

PERIOD_WORDS = {CostPeriod.DAILY: "today", CostPeriod.WEEKLY: "this week", CostPeriod.MONTHLY: "this month"}


class CostLimitReached(Exception):
    """What was spent forbids another job for now."""


@dataclass(frozen=True, slots=True)
class CostCheck:
    """How much of the limit is used. ``warning``: what whoever submits a job has to be told; empty if nothing."""

    limit_usd: Decimal
    spent_usd: Decimal
    is_reached: bool
    blocks: bool
    warning: str


def period_start(period: str, now: datetime) -> datetime:
    """When the running day, week (from Monday) or month began, at midnight UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == CostPeriod.WEEKLY:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if period == CostPeriod.MONTHLY else midnight


def spent_since(provider: str, start: datetime) -> Decimal:
    """What the jobs that were created since then have cost so far; those of unknown cost count nothing."""
    jobs = UnifiedJob.objects.filter(provider=provider, created_at__gte=start)
    return jobs.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


def check(provider: str, now: datetime | None = None) -> CostCheck | None:
    """How the provider's limit stands; ``None`` if there is none."""
    limits = ProviderSettings.objects.filter(
        provider=provider, cost_limit_enabled=True, cost_limit_amount__isnull=False
    ).first()
    if limits is None or limits.cost_limit_amount is None:
        return None
    spent = spent_since(provider, period_start(limits.cost_limit_period, now or timezone.now()))
    is_reached = spent >= limits.cost_limit_amount
    return CostCheck(
        limit_usd=limits.cost_limit_amount,
        spent_usd=spent,
        is_reached=is_reached,
        blocks=is_reached and limits.cost_limit_action == CostAction.BLOCK,
        warning=_warning(provider, limits, spent) if is_reached else "",
    )


def require_room(provider: str) -> str:
    """The warning that goes with a submission, if any. Raises ``CostLimitReached`` if the limit forbids it."""
    found = check(provider)
    if found is None:
        return ""
    if found.blocks:
        raise CostLimitReached(f"{found.warning} No job is submitted until the limit is raised or the period ends.")
    return found.warning


def _warning(provider: str, limits: ProviderSettings, spent: Decimal) -> str:
    when = PERIOD_WORDS[CostPeriod(limits.cost_limit_period)]
    label = registry.get_label(provider)
    return f"The cost limit of ${limits.cost_limit_amount:.2f} for {label} is reached: ${spent:.2f} spent {when}."
