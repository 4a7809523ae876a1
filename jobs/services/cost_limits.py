"""A limit to what a provider's jobs may cost in a day, a week or a month, checked when a job is submitted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from jobs.access import Actor
from jobs.models import CostAction, CostPeriod, ProviderSettings, UnifiedJob
from jobs.services import audit
from providers import registry

PERIOD_WORDS = {CostPeriod.DAILY: "today", CostPeriod.WEEKLY: "this week", CostPeriod.MONTHLY: "this month"}


class CostLimitReached(Exception):
    """What was spent forbids another job for now."""


@dataclass(frozen=True, slots=True)
class CostLimit:
    """What is set. ``amount``: in US dollars, ``None`` if none was ever given."""

    enabled: bool = False
    amount: Decimal | None = None
    period: str = CostPeriod.MONTHLY.value
    action: str = CostAction.WARN.value


NO_LIMIT = CostLimit()


@dataclass(frozen=True, slots=True)
class CostCheck:
    """How much of the limit is used. ``warning``: what whoever submits a job has to be told; empty if nothing."""

    limit_usd: Decimal
    spent_usd: Decimal
    is_reached: bool
    blocks: bool
    warning: str


def current_limit(provider: str) -> CostLimit:
    """What is set for a provider, whether or not it is in force."""
    stored = ProviderSettings.objects.filter(provider=provider).first()
    if stored is None:
        return NO_LIMIT
    return CostLimit(
        enabled=stored.cost_limit_enabled,
        amount=stored.cost_limit_amount,
        period=stored.cost_limit_period,
        action=stored.cost_limit_action,
    )


@transaction.atomic
def set_limit(
    actor: Actor,
    provider: str,
    *,
    enabled: bool | None = None,
    amount: Decimal | None = None,
    period: str | None = None,
    action: str | None = None,
) -> CostLimit:
    """Change what is given. Raises ``ValueError`` that names the field, in front of a colon."""
    if amount is not None and amount <= 0:
        raise ValueError("cost_limit_amount: The limit must be more than nothing.")
    if period is not None and period not in CostPeriod.values:
        raise ValueError(f"cost_limit_period: The period must be one of {', '.join(CostPeriod.values)}.")
    if action is not None and action not in CostAction.values:
        raise ValueError(f"cost_limit_action: The action must be one of {', '.join(CostAction.values)}.")
    given = {"enabled": enabled, "amount": amount, "period": period, "action": action}
    changes: dict[str, Any] = {f"cost_limit_{name}": value for name, value in given.items() if value is not None}
    if not changes:
        return current_limit(provider)
    row, _ = ProviderSettings.objects.select_for_update().get_or_create(provider=provider)
    if (enabled or (enabled is None and row.cost_limit_enabled)) and amount is None and row.cost_limit_amount is None:
        raise ValueError("cost_limit_amount: A limit needs an amount.")
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=list(changes))
    told: dict[str, Any] = {name: str(value) for name, value in changes.items()}
    audit.record(actor, "cost_limit.set", provider, **told)
    return current_limit(provider)


@transaction.atomic
def remove_limit(actor: Actor, provider: str) -> None:
    """Have no limit, and remember no amount."""
    removed = ProviderSettings.objects.filter(provider=provider).update(
        cost_limit_enabled=False, cost_limit_amount=None
    )
    if removed:
        audit.record(actor, "cost_limit.remove", provider)


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
