"""What every request passes before Django's own middleware."""

from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from django.core.exceptions import DisallowedHost
from django.core.signals import request_finished
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port

from jobs.services.provider_config import provider_config
from simpletuner_cloud import correlation

logger = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

WEBHOOKS_PATH = "/api/webhooks"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CorrelationMiddleware:
    """Each request has an id, the client's or ours, in every line that is logged on the way and in the answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        correlation_id = correlation.accepted_or_new(request.headers.get(correlation.HEADER))
        correlation.bind(correlation_id)
        response = self._get_response(request)
        response.headers[correlation.HEADER] = correlation_id
        return response


@receiver(request_finished)
def forget_correlation(**_: object) -> None:
    """The thread serves others next. Django logs a refused request after all middleware, so not there."""
    correlation.unbind()


class OptionalTrailingSlashMiddleware:
    """Below /api/ a trailing slash makes no difference, and no redirect: a redirected POST would lose its body."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info.rstrip("/")
        return self._get_response(request)


class KnownHostMiddleware:
    """A request for a host name that is not ours is refused in one line, for programs to read.

    A page elsewhere may have pointed its own name at this machine (DNS rebinding). Webhooks are also taken under the
    name that their provider was told to call.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost:
            host = request.META.get("HTTP_HOST", "")[:100]
            if is_webhook_host(request.path_info, host):
                # Nothing behind this builds a link from the name; the rest of Django knows ours only.
                request.META["HTTP_HOST"] = "localhost"
                return self._get_response(request)
            logger.warning("host refused", host=host)
            detail = f"{host!r} is not a name of this server; SIMPLETUNER_ALLOWED_HOSTS lists its names."
            return JsonResponse({"detail": detail, "code": "host_not_allowed"}, status=400)
        return self._get_response(request)


def is_webhook_host(path: str, host: str) -> bool:
    """Whether a provider was told to call this path under this name."""
    folder, _, provider = path.rstrip("/").rpartition("/")
    if folder != WEBHOOKS_PATH:
        return False
    try:
        url = provider_config(provider).webhook_url
    except DatabaseError as error:
        # Refused in any case, and the sender comes again.
        logger.warning("webhook host not looked up", error=str(error))
        return False
    return urlsplit(url).hostname == split_domain_port(host)[0]


class SameOriginMiddleware:
    """A page elsewhere must not press anything here, with or without a login.

    Browsers name the page that a request comes from; programs such as curl name none and are not meant.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in SAFE_METHODS and not self._is_ours(request):
            detail = "Requests that change something are taken from our own pages only."
            return JsonResponse({"detail": detail, "code": "cross_origin"}, status=403)
        return self._get_response(request)

    def _is_ours(self, request: HttpRequest) -> bool:
        origin = request.headers.get("Origin")
        if origin is not None:
            return urlsplit(origin).netloc == request.get_host()
        return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
