"""What every page shows: which store this is, whose token it uses, and which version."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from jobs.access import CONFIGURE_PROVIDERS
from jobs.presentation.unclaimed import SNOOZE_COOKIE, UnclaimedStrip, unclaimed_strip
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


def unclaimed(request: HttpRequest) -> dict[str, Any]:
    """The strip about jobs that nobody has claimed; looked for only where a template asks."""

    def strip() -> UnclaimedStrip | None:
        actor = getattr(request, "actor", None)
        return unclaimed_strip(actor, is_snoozed=SNOOZE_COOKIE in request.COOKIES) if actor else None

    return {"unclaimed_strip": strip}
