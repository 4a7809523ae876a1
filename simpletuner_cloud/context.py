"""What every page shows: which store this is, which version, who looks at it and what they may do."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from jobs import access
from jobs.access import NOBODY, Actor


@dataclass(frozen=True, slots=True)
class May:
    """What the reader of a page may do: what they may not is not offered."""

    view_all: bool
    submit: bool
    sync: bool
    cancel_all: bool
    change_limits: bool
    configure_providers: bool
    manage_accounts: bool

    @classmethod
    def of(cls, actor: Actor) -> "May":
        return cls(
            view_all=actor.can(access.VIEW_ALL),
            submit=actor.can(access.SUBMIT),
            sync=actor.can(access.SYNC),
            cancel_all=actor.can(access.CANCEL_ALL),
            change_limits=actor.can(access.CHANGE_LIMITS),
            configure_providers=actor.can(access.CONFIGURE_PROVIDERS),
            manage_accounts=actor.can(access.MANAGE_ACCOUNTS),
        )


def deployment(_request: HttpRequest) -> dict[str, Any]:
    """Template variables that every page has."""
    return {"is_sandbox": settings.IS_SANDBOX, "version": settings.VERSION}


def access_of(request: HttpRequest) -> dict[str, Any]:
    """``actor`` and ``may``; ``has_accounts``: whether people log in, ``is_in``: whether this one has."""
    # A request that was refused before the middleware got to it has none.
    actor: Actor = getattr(request, "actor", NOBODY)
    return {
        "actor": actor,
        "may": SimpleLazyObject(lambda: May.of(actor)),
        "has_accounts": not settings.SINGLE_USER,
        "is_in": settings.SINGLE_USER or SimpleLazyObject(lambda: actor.user_id is not None),
    }
