"""A limit to what a provider's jobs may cost in a day, a week or a month, checked when a job is submitted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from jobs.access import CHANGE_LIMITS, Actor
from jobs.models import AuditOutcome, CostAction, CostPeriod, ProviderSettings, UnifiedJob
from jobs.services import audit
from providers import registry
from providers.errors import UnknownProvider

CENT = Decimal("0.01")
LARGEST_LIMIT = Decimal(10) ** 10
PERIOD_WORDS = {CostPeriod.DAILY: "today", CostPeriod.WEEKLY: "this week", CostPeriod.MONTHLY: "this month"}


class CostLimitReached(Exception):
    """What was spent forbids another job for now."""


class InvalidLimit(ValueError):
    """A value that no limit can have. ``field``: the name it has in the API; it stands in the text too."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CostLimit:
    """What is set for a provider; the amount stays known while the limit is off."""

    enabled: bool
    amount: Decimal | None
    period: CostPeriod
    action: CostAction


@dataclass(frozen=True, slots=True)
class CostCheck:
    """How much of the limit is used. ``warning``: what whoever submits a job has to be told; empty if nothing."""

    limit_usd: Decimal
    spent_usd: Decimal
    is_reached: bool
    blocks: bool
    warning: str


def current_limit(provider: str) -> CostLimit:
    """What is set for a provider, whether it is on or off."""
    found = ProviderSettings.objects.filter(provider=provider).first()
    return _limit(found or ProviderSettings(provider=provider))


def set_limit(
    actor: Actor,
    provider: str,
    *,
    enabled: bool | None = None,
    amount: object = None,
    period: str | None = None,
    action: str | None = None,
) -> CostLimit:
    """Change what is given of a provider's limit; ``None`` leaves a value as it is.

    Raises ``PermissionDenied``, ``UnknownProvider``, and ``InvalidLimit``, a ``ValueError`` that names the field.
    """
    if provider not in registry.provider_names():
        raise UnknownProvider(f"There is no provider {provider[:64]!r} here.")
    if not actor.can(CHANGE_LIMITS):
        audit.record(actor, "cost_limit.set", provider, outcome=AuditOutcome.REFUSED)
        raise PermissionDenied("You may see the limits, not change them.")
    values: dict[str, bool | Decimal | str] = {}
    if enabled is not None:
        values["cost_limit_enabled"] = enabled
    if amount is not None:
        values["cost_limit_amount"] = _checked_amount(amount)
    if period is not None:
        values["cost_limit_period"] = _checked_word("cost_limit_period", period, CostPeriod.values)
    if action is not None:
        values["cost_limit_action"] = _checked_word("cost_limit_action", action, CostAction.values)
    with transaction.atomic():
        ProviderSettings.objects.get_or_create(provider=provider)
        found = ProviderSettings.objects.select_for_update().get(provider=provider)
        for name, value in values.items():
            setattr(found, name, value)
        if found.cost_limit_enabled and found.cost_limit_amount is None:
            raise InvalidLimit("cost_limit_amount", "A limit that is on needs an amount.")
        if values:
            found.save(update_fields=list(values))
            audit.record(actor, "cost_limit.set", provider, set={name: str(value) for name, value in values.items()})
    return _limit(found)


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


def _limit(found: ProviderSettings) -> CostLimit:
    return CostLimit(
        enabled=found.cost_limit_enabled,
        amount=found.cost_limit_amount,
        period=CostPeriod(found.cost_limit_period),
        action=CostAction(found.cost_limit_action),
    )


def _checked_amount(value: object) -> Decimal:
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 < amount < LARGEST_LIMIT:
        raise InvalidLimit("cost_limit_amount", "An amount of US dollars greater than 0 is needed.")
    cents = amount.quantize(CENT)
    if cents != amount:
        raise InvalidLimit("cost_limit_amount", "An amount has whole cents.")
    return cents


def _checked_word(field: str, value: str, known: list[str]) -> str:
    if value not in known:
        raise InvalidLimit(field, f"One of {', '.join(known)} is needed.")
    return value
