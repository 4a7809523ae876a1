"""What every page shows: which store this is, whose token it uses, which version, who looks and what they may do."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language

from jobs import access
from jobs.access import CONFIGURE_PROVIDERS, NOBODY, Actor
from jobs.presentation import notices as strip
from jobs.presentation.look import look_of
from jobs.presentation.notices import Notice
from jobs.presentation.unclaimed import SNOOZE_COOKIE, UnclaimedStrip, unclaimed_strip
from jobs.services.provider_tokens import TokenStanding, token_standing
from simpletuner_cloud.language import catalogue_query


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


def notices(request: HttpRequest) -> dict[str, Any]:
    """``notices``: what is not well, without what this browser has put away; looked for only where a template asks."""

    def found() -> list[Notice]:
        actor = getattr(request, "actor", None)
        return strip.notices(actor, snoozed=strip.snoozed_keys(request.COOKIES)) if actor else []

    return {"notices": SimpleLazyObject(found)}


def look(request: HttpRequest) -> dict[str, Any]:
    """``look``: how the reader wants pages to look; ``languages`` to choose from, by code, and the texts of scripts."""
    return {
        "look": look_of(request.COOKIES),
        "languages": settings.LANGUAGES,
        "catalogue_query": SimpleLazyObject(lambda: catalogue_query(get_language() or settings.LANGUAGE_CODE)),
    }


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
