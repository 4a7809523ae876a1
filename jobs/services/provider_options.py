"""What is set for a provider, and what it offers, in one piece; and changing it by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from jobs.access import Actor
from jobs.models import CostAction, CostPeriod, HardwarePrice, ProviderSettings
from jobs.outgoing_urls import Destination
from jobs.services import audit, cost_limits, provider_config
from jobs.services.cost_limits import CostLimit, InvalidLimit
from jobs.services.provider_config import ProviderConfig
from jobs.services.provider_tokens import TokenStanding, token_standing
from providers import profiles
from providers.profiles import HardwareProfile

LIMIT = "cost_limit_"
UNSET_LIMIT: Mapping[str, Any] = {
    "enabled": False,
    "period": CostPeriod.MONTHLY.value,
    "action": CostAction.WARN.value,
}


@dataclass(frozen=True, slots=True)
class PricedHardware:
    """A machine and what it costs today."""

    hardware: str
    label: str
    usd_per_second: Decimal


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """Settings that can be changed, and facts of the provider that cannot."""

    config: ProviderConfig
    token: TokenStanding
    limit: CostLimit
    hardware: Sequence[PricedHardware]
    hardware_profiles: Sequence[HardwareProfile]
    default_hardware_profile: str


def provider_options(provider: str) -> ProviderOptions:
    """Everything about a provider that exists. Raises ``UnknownProvider``."""
    return ProviderOptions(
        config=provider_config.checked_config(provider),
        token=token_standing(provider),
        limit=cost_limits.current_limit(provider),
        hardware=_hardware(provider),
        hardware_profiles=tuple(profiles.PROFILES.get(provider, {}).values()),
        default_hardware_profile=profiles.DEFAULT_PROFILE,
    )


def change_options(actor: Actor, provider: str, changes: Mapping[str, Any]) -> ProviderOptions:
    """Change what is named, all of it or nothing; ``None`` takes a setting back to what it is without being set.

    Raises ``UnknownProvider``, and ``InvalidOption`` for values that cannot be.
    """
    provider_config.require_provider(provider)
    # Before the transaction: a name is looked up.
    destination = _destination(changes["webhook_url"]) if "webhook_url" in changes else None
    with transaction.atomic():
        if limit := {name.removeprefix(LIMIT): value for name, value in changes.items() if name.startswith(LIMIT)}:
            _change_limit(actor, provider, limit)
        if destination is not None:
            provider_config.store_webhook_url(provider, destination)
            # Not the whole: what follows the host may be a key of its own.
            audit.record(actor, "provider.webhook_url.set", provider, host=urlsplit(destination.url).hostname or "")
    return provider_options(provider)


class InvalidOption(ValueError):
    """A value that a setting cannot have. ``name``: the setting's."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


def _change_limit(actor: Actor, provider: str, limit: dict[str, Any]) -> None:
    if "amount" in limit and limit["amount"] is None:
        _forget_amount(actor, provider)
    changes = {name: UNSET_LIMIT.get(name) if value is None else value for name, value in limit.items()}
    try:
        cost_limits.set_limit(actor, provider, **changes)
    except InvalidLimit as error:
        raise InvalidOption(error.field, error.reason) from error


def _forget_amount(actor: Actor, provider: str) -> None:
    """Without an amount there is no limit."""
    rows = ProviderSettings.objects.filter(provider=provider)
    if rows.update(cost_limit_enabled=False, cost_limit_amount=None):
        audit.record(actor, "cost_limit.remove", provider)


def _destination(url: str | None) -> Destination:
    try:
        return provider_config.webhook_destination(url or "")
    except ValueError as error:
        raise InvalidOption("webhook_url", f"The URL {error}.") from error


def _hardware(provider: str) -> list[PricedHardware]:
    """The price table as it is in force today."""
    prices = HardwarePrice.objects.filter(provider=provider, effective_from__lte=timezone.now().date())
    in_force = {price.hardware: price for price in prices.order_by("hardware", "effective_from")}
    return [PricedHardware(name, price.label or name, price.usd_per_second) for name, price in in_force.items()]
