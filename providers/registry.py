"""Name -> configured provider. The one file of this package that reads settings."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.conf import settings

from providers import names
from providers.base import Provider
from providers.calls import CallGovernor, Ungoverned
from providers.errors import ProviderNotConfigured, UnknownProvider
from providers.replicate.provider import ReplicateProvider

FACTORIES: dict[str, Callable[..., Provider]] = {ReplicateProvider.name: ReplicateProvider}

GovernorFactory = Callable[[str, str], CallGovernor]
_governor_factory: GovernorFactory | None = None


def govern_calls(factory: GovernorFactory) -> None:
    """From now on, providers are made with the governor that ``factory`` gives for a name and a token."""
    global _governor_factory
    _governor_factory = factory
    get_provider.cache_clear()


@cache
def get_provider(name: str) -> Provider:
    """Return the provider of that name. Raises ``UnknownProvider`` or ``ProviderNotConfigured``."""
    if name not in FACTORIES:
        raise UnknownProvider(f"There is no provider named {name[:40]!r}; known: {', '.join(sorted(FACTORIES))}.")
    options: Mapping[str, Any] | None = settings.PROVIDERS.get(name)
    if options is None:
        raise ProviderNotConfigured(f"{get_label(name)} is not configured: no API token is set.")
    governor = _governor_factory(name, str(options.get("token", ""))) if _governor_factory else Ungoverned()
    return FACTORIES[name](**options, governor=governor)


def provider_names() -> list[str]:
    """All providers that exist here, configured or not."""
    return sorted(FACTORIES)


def get_label(name: str) -> str:
    """Return a provider's name for people; the bare name for one that is gone."""
    return names.LABELS.get(name, name)
