"""Who sends a request to the API."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from jobs.services import logins
from jobs.services.actors import owner_account, owner_actor
from jobs.services.authentication import BAD_KEY, REALM, identify_by_key, sent_key


class BadKey(exceptions.AuthenticationFailed):
    """A key was sent that opens nothing."""

    default_detail = BAD_KEY
    default_code = "invalid_api_key"


class TooManyBadKeys(exceptions.Throttled):
    """Too many of them came from one address."""

    default_code = "too_many_attempts"

    def __init__(self, wait: float) -> None:
        super().__init__(wait, "Too many bad API keys came from this address.")


class CsrfFailed(exceptions.PermissionDenied):
    """A request with a session that no page of ours has sent."""

    default_code = "csrf_failed"


class ActorAuthentication(BaseAuthentication):
    """Alone on this machine everybody is the owner; with accounts it takes a key, or the session of our own pages."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        plain: HttpRequest = request._request
        address: str = getattr(plain, "client_address", "")
        if settings.SINGLE_USER:
            return SimpleLazyObject(owner_account), owner_actor(address=address)
        if key := sent_key(request.headers.get("X-API-Key", ""), request.headers.get("Authorization", "")):
            found = identify_by_key(key, address=address)
            if found is None:
                wait = logins.note_bad_key(address)
                raise TooManyBadKeys(wait) if wait else BadKey
            return found.user, found.actor
        if not plain.user.is_authenticated:
            return None
        _require_token(plain)
        # The middleware's, without asking a second time.
        actor = plain.actor  # type: ignore[attr-defined]
        return plain.user, actor

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        return REALM


def _require_token(request: HttpRequest) -> None:
    """Browsers send the cookie whoever makes them: what changes something shows a token of our pages as well."""
    check = CSRFCheck(lambda _request: None)  # type: ignore[arg-type]
    check.process_request(request)
    if reason := check.process_view(request, None, (), {}):  # type: ignore[arg-type]
        raise CsrfFailed(f"The page is from another login: load it again. ({reason})")


class ActorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """In the published schema: a key in either header, or the session of a page."""

    target_class = ActorAuthentication
    name = ["apiKey", "bearerKey", "session"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        return [
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]

    def get_security_requirement(self, auto_schema: Any) -> Sequence[dict[str, list[Any]]]:  # type: ignore[override]  # noqa: ARG002
        return [{name: []} for name in self.name]
