"""Who sends a request: its address and scheme behind proxies, and the actor that its session or our mode makes it."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.functional import SimpleLazyObject

from jobs.access import NOBODY, Actor
from jobs.client_address import client_address, is_in
from jobs.services.actors import actor_for, owner_account, owner_actor

GetResponse = Callable[[HttpRequest], HttpResponse]

FRAGMENTS_PATH = "/fragments/"


class ForwardedSchemeMiddleware:
    """Only a proxy of ours may say that a request came by TLS; from everybody else the word is taken away."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_in(request.META.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        return self._get_response(request)


class ActorMiddleware:
    """Gives every request its ``client_address``, and its ``actor`` when somebody asks for it.

    In single-user mode (loopback only) whoever is there is the owner, and nobody has to log in. With accounts it is
    whoever the session names; the API looks for a key itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        address = client_address(
            request.META.get("REMOTE_ADDR", ""),
            [request.META.get("HTTP_X_FORWARDED_FOR", "")],
            settings.TRUSTED_PROXIES,
        )
        request.client_address = address  # type: ignore[attr-defined]
        if settings.SINGLE_USER:
            known = request.user
            request.user = SimpleLazyObject(lambda: known if known.is_authenticated else owner_account())  # type: ignore[assignment]
            request.actor = SimpleLazyObject(lambda: owner_actor(address=address))  # type: ignore[attr-defined]
        else:
            request.actor = SimpleLazyObject(lambda: _signed_in(request, address))  # type: ignore[attr-defined]
        return self._get_response(request)


def _signed_in(request: HttpRequest, address: str) -> Actor:
    # The API leaves nobody there where a key stands for somebody.
    user: Any = request.user
    if not getattr(user, "is_authenticated", False):
        return NOBODY
    return actor_for(user, via="session", address=address)


class SignedInMiddleware(LoginRequiredMiddleware):
    """With accounts every page takes a login, but for those that say otherwise. The API's views see to it themselves.

    A fragment is asked for by a script, which would put the page of the login into the middle of another.
    """

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if settings.SINGLE_USER:
            return None
        refusal = super().process_view(request, view_func, view_args, view_kwargs)
        if refusal is not None and request.path_info.startswith(FRAGMENTS_PATH):
            body = {"detail": "Authentication required: log in again.", "code": "not_authenticated"}
            return JsonResponse(body, status=401)
        return refusal
