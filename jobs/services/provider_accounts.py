"""Providers as such: which there are, and whether their credentials are good (SPEC A8)."""

from dataclasses import dataclass

from django.conf import settings

from jobs.services.call_governor import checking
from jobs.services.polling import webhook_url
from jobs.services.provider_calls import ProviderState, asking, provider_state
from providers import registry
from providers.errors import ProviderError, UnknownProvider
from providers.snapshots import Account


@dataclass(frozen=True, slots=True)
class Validation:
    """Whose credentials they are, or why they are no good."""

    account: Account | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderOverview:
    """A provider for the list of providers and the dashboard."""

    name: str
    label: str
    is_configured: bool
    is_sandbox: bool
    webhook_url: str
    state: ProviderState


def validate(name: str) -> Validation:
    """Ask the provider who we are, also while nobody else asks it because it refused the token or did not answer.

    Raises ``UnknownProvider`` for a name that does not exist.
    """
    try:
        with checking(), asking(name) as provider:
            return Validation(account=provider.account())
    except UnknownProvider:
        raise
    except ProviderError as error:
        return Validation(error=error.message)


def overviews() -> list[ProviderOverview]:
    """Every provider that exists here."""
    return [
        ProviderOverview(
            name=name,
            label=registry.get_label(name),
            is_configured=registry.is_configured(name),
            is_sandbox=settings.IS_SANDBOX,
            webhook_url=webhook_url(name),
            state=provider_state(name),
        )
        for name in registry.provider_names()
    ]
