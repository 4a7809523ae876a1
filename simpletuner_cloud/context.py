"""What every page shows: which store this is, whose token it uses, and which version."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from jobs.access import CONFIGURE_PROVIDERS
from jobs.services.provider_tokens import TokenStanding, token_standing


def deployment(request: HttpRequest) -> dict[str, Any]:
    """Template variables that every page has.

    ``token`` is there for those who may change it, and looked up only by a page that shows it.
    """
    actor = getattr(request, "actor", None)
    may_know = actor is not None and actor.can(CONFIGURE_PROVIDERS)
    return {
        "is_sandbox": settings.IS_SANDBOX,
        "token": SimpleLazyObject(_standing) if may_know else None,
        "version": settings.VERSION,
    }


def _standing() -> TokenStanding:
    return token_standing("replicate")
