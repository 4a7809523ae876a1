"""What every page shows: which store this is, and which version."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from jobs.presentation.unclaimed import SNOOZE_COOKIE, UnclaimedStrip, unclaimed_strip


def deployment(_request: HttpRequest) -> dict[str, Any]:
    """Template variables that every page has."""
    return {"is_sandbox": settings.IS_SANDBOX, "version": settings.VERSION}


def unclaimed(request: HttpRequest) -> dict[str, Any]:
    """The strip about jobs that nobody has claimed; looked for only where a template asks."""

    def strip() -> UnclaimedStrip | None:
        actor = getattr(request, "actor", None)
        return unclaimed_strip(actor, is_snoozed=SNOOZE_COOKIE in request.COOKIES) if actor else None

    return {"unclaimed_strip": strip}
