"""Name -> configured provider. The one file of this package that reads settings."""

import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings

from providers import names
from providers.base import Provider
from providers.calls import CallGovernor, Ungoverned
from providers.errors import ProviderNotConfigured, UnknownProvider
from providers.replicate.provider import ReplicateProvider

ProviderFactory = Callable[..., Provider]
GovernorFactory = Callable[[str, str], CallGovernor]
CredentialSource = Callable[[str], str | None]

FACTORIES: dict[str, ProviderFactory] = {ReplicateProvider.name: ReplicateProvider}

_governor_factory: GovernorFactory | None = None
_credentials: CredentialSource | None = None
_made: dict[str, tuple[tuple[ProviderFactory, dict[str, Any]], Provider]] = {}
_guard = threading.Lock()


def govern_calls(factory: GovernorFactory) -> None:
    """From now on, providers are made with the governor that ``factory`` gives for a name and a token."""
    global _governor_factory
    _governor_factory = factory
    forget_providers()


def use_credentials(source: CredentialSource) -> None:
    """From now on, ``source`` is asked for the token of a provider for which the settings hold none.

    It is asked at every use of a provider, and should be quick. It may raise ``ProviderNotConfigured``.
    """
    global _credentials
    _credentials = source


def get_provider(name: str) -> Provider:
    """Return the provider of that name, always with the token of this moment; calls under way keep theirs.

    Raises ``UnknownProvider`` or ``ProviderNotConfigured``.
    """
    token = get_token(name)
    factory, options = FACTORIES[name], {**settings.PROVIDERS[name], "token": token}
    made = _made.get(name)
    if made is None or made[0] != (factory, options):
        with _guard:
            made = _made.get(name)
            if made is None or made[0] != (factory, options):
                governor = _governor_factory(name, token) if _governor_factory else Ungoverned()
                made = (factory, options), factory(**options, governor=governor)
                _made[name] = made
    return made[1]


def get_token(name: str) -> str:
    """The token that the provider of that name is asked with. Raises as ``get_provider`` does."""
    if name not in FACTORIES:
        raise UnknownProvider(f"There is no provider named {name[:40]!r}; known: {', '.join(sorted(FACTORIES))}.")
    options = settings.PROVIDERS.get(name)
    token = options.get("token") if options is not None else None
    if options is not None and not token and _credentials is not None:
        token = _credentials(name)
    if not token:
        raise ProviderNotConfigured(f"{get_label(name)} is not configured: no API token is set.")
    return str(token)


def is_configured(name: str) -> bool:
    """Whether there is such a provider, and a token for it."""
    try:
        return bool(get_token(name))
    except (UnknownProvider, ProviderNotConfigured):
        return False


def trial_provider(name: str, token: str) -> Provider:
    """The real provider with a token that is not in use, to try it. Nothing is learnt from its calls for others."""
    return FACTORIES[name](**settings.LIVE_PROVIDERS[name], token=token)


def forget_providers() -> None:
    """Make every provider anew at its next use."""
    with _guard:
        _made.clear()


def provider_names() -> list[str]:
    """All providers that exist here, configured or not."""
    return sorted(FACTORIES)


def get_label(name: str) -> str:
    """Return a provider's name for people; the bare name for one that is gone."""
    return names.LABELS.get(name, name)
