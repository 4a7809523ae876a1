"""What is set for a provider, and where that stands (SPEC A7.1)."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import structlog
from django.conf import settings

from jobs.models import ProviderSettings
from jobs.outgoing_urls import Destination, check_at_save
from providers import registry
from providers.errors import UnknownProvider

logger = structlog.get_logger(__name__)


class ConfigSource(StrEnum):
    """Where a value comes from. ``settings``: set while running, by the API or in the admin; it wins over the file."""

    SETTINGS = "settings"
    FILE = "file"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """The URL a provider shall call; empty: none."""

    provider: str
    webhook_url: str
    webhook_url_source: ConfigSource


def provider_config(provider: str) -> ProviderConfig:
    """What was set while running, also if it is empty, else what the enterprise file says."""
    stored = ProviderSettings.objects.filter(provider=provider).values_list("webhook_url", flat=True).first()
    # Null: other things are set for it, and the URL is left to the file.
    if stored is not None:
        return ProviderConfig(provider, stored, ConfigSource.SETTINGS)
    url = settings.ENTERPRISE.webhook_urls.get(provider, "")
    return ProviderConfig(provider, url, ConfigSource.FILE if url else ConfigSource.NONE)


def checked_config(provider: str) -> ProviderConfig:
    """The same for a provider that exists. Raises ``UnknownProvider``."""
    require_provider(provider)
    return provider_config(provider)


def require_provider(provider: str) -> None:
    """Raises ``UnknownProvider`` for a name that does not exist here."""
    if provider not in registry.provider_names():
        known = ", ".join(registry.provider_names())
        raise UnknownProvider(f"There is no provider named {provider[:40]!r}; known: {known}.")


def set_webhook_url(provider: str, url: str) -> ProviderConfig:
    """Set the URL, or with an empty one have none, whatever the enterprise file says.

    Raises ``UnknownProvider``, and ``ValueError`` for a URL that a provider must not be told.
    """
    require_provider(provider)
    return store_webhook_url(provider, webhook_destination(url))


def webhook_destination(url: str) -> Destination:
    """Where a URL leads; an empty one nowhere. Looks the name up. Raises ``ValueError`` as ``set_webhook_url`` does."""
    return check_at_save(url) if url else Destination(url="", addresses=())


def store_webhook_url(provider: str, destination: Destination) -> ProviderConfig:
    """The write alone, for a destination that was checked."""
    url, is_known = destination.url, bool(destination.addresses) or not destination.url
    ProviderSettings.objects.update_or_create(provider=provider, defaults={"webhook_url": url})
    senders = ", ".join(str(network) for network in settings.WEBHOOK_ALLOWED_ADDRESSES) or "any address"
    logger.info(
        "webhook URL set" if url else "webhook URL removed",
        provider=provider,
        # Not the whole: what follows the host may be a key of its own.
        called_at=urlsplit(url).hostname,
        # Else it is refused when a job is to be started with it.
        name_is_known=is_known,
        deliveries_taken_from=senders,
    )
    return provider_config(provider)
