"""The one place where errors become answers (SPEC B4): ``{"detail", "code"}``, ``detail`` always a string."""

import math
import sys
from typing import Any

import structlog
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.template.loader import get_template
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response

from jobs.access import Actor
from jobs.services import refusals
from jobs.services.api_keys import KeyNotFound, KeyRefused
from jobs.services.archives import ArchiveNotFound, ArchiveTooLarge, NoRoomForArchive, NotAnArchive
from jobs.services.authentication import NOTHING_SENT
from jobs.services.cost_limits import CostLimitReached
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.submission_sources import SubmissionNotFound
from jobs.services.training_configs import ConfigNotFound
from jobs.training_config import InvalidField
from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderNotConfigured,
    ProviderRateLimited,
    ProviderTimeout,
    UnknownProvider,
)

logger = structlog.get_logger(__name__)

DEFAULT_RETRY_SECONDS = 30
DATABASE_RETRY_SECONDS = 2
# Locked, full, read-only, or its connection lost.
DATABASE_TROUBLE = (OperationalError, InterfaceError)
DATABASE_DETAIL = "The database does not answer just now. Nothing was changed; try again."
DATABASE_CODE = "database_unavailable"
INTERNAL_DETAIL = "Something went wrong here; it was written to the log."
INTERNAL_CODE = "internal_error"

OWN_ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (JobNotFound, status.HTTP_404_NOT_FOUND, "job_not_found"),
    (KeyNotFound, status.HTTP_404_NOT_FOUND, "key_not_found"),
    (KeyRefused, status.HTTP_403_FORBIDDEN, "key_refused"),
    (InvalidState, status.HTTP_409_CONFLICT, "invalid_state"),
    (ConfigNotFound, status.HTTP_404_NOT_FOUND, "config_not_found"),
    (SubmissionNotFound, status.HTTP_404_NOT_FOUND, "submission_not_found"),
    (ArchiveNotFound, status.HTTP_404_NOT_FOUND, "upload_not_found"),
    (CostLimitReached, status.HTTP_409_CONFLICT, "cost_limit_reached"),
    (ArchiveTooLarge, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "upload_too_large"),
    (NotAnArchive, status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "not_an_archive"),
    (NoRoomForArchive, status.HTTP_507_INSUFFICIENT_STORAGE, "no_room"),
    (UnreadablePostError, status.HTTP_400_BAD_REQUEST, "body_incomplete"),
    (UnknownProvider, status.HTTP_404_NOT_FOUND, "provider_not_found"),
    (ProviderNotConfigured, status.HTTP_503_SERVICE_UNAVAILABLE, "provider_not_configured"),
    (ProviderTimeout, status.HTTP_504_GATEWAY_TIMEOUT, "provider_timeout"),
    (ProviderRateLimited, status.HTTP_429_TOO_MANY_REQUESTS, "provider_rate_limited"),
    (ProviderError, status.HTTP_502_BAD_GATEWAY, "provider_error"),
    (RequestDataTooBig, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, "body_too_large"),
    (Http404, status.HTTP_404_NOT_FOUND, "not_found"),
    (PermissionDenied, status.HTTP_403_FORBIDDEN, "permission_denied"),
)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer for every exception a view can raise; an unforeseen one is logged with its trace and told as a 500."""
    if isinstance(error, InvalidField):
        error = exceptions.ValidationError({error.field: [error.message]})
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error)
    if isinstance(error, exceptions.NotAuthenticated):
        return _answer(NOTHING_SENT, "not_authenticated", error.status_code, _headers(error))
    if isinstance(error, (exceptions.PermissionDenied, PermissionDenied)):
        _note_refusal(context.get("request"))
    if isinstance(error, exceptions.APIException):
        headers = _headers(error)
        codes = error.get_codes()
        return _answer(str(error.detail), codes if isinstance(codes, str) else "error", error.status_code, headers)
    for kind, status_code, code in OWN_ERRORS:
        if isinstance(error, kind):
            return _answer(_words(error, kind), code, status_code, _retry_after(error))
    if isinstance(error, DATABASE_TROUBLE):
        logger.error("database not available", exc_info=error)
        return _answer(
            DATABASE_DETAIL,
            DATABASE_CODE,
            status.HTTP_503_SERVICE_UNAVAILABLE,
            {"Retry-After": str(DATABASE_RETRY_SECONDS)},
        )
    logger.error("unforeseen error", view=type(context.get("view")).__name__, exc_info=error)
    return _answer(INTERNAL_DETAIL, INTERNAL_CODE, status.HTTP_500_INTERNAL_SERVER_ERROR)


def error_code(error: Exception) -> str:
    """The code that an error of ours has in the API, for answers that hold several outcomes."""
    return next((code for kind, _, code in OWN_ERRORS if isinstance(error, kind)), INTERNAL_CODE)


def server_error(request: HttpRequest) -> HttpResponse:
    """For what no view caught: a page for people, JSON below /api/; 503 if it is the database that does not answer."""
    is_database = isinstance(sys.exception(), DATABASE_TROUBLE)
    if request.path_info.startswith("/api/"):
        body = (
            {"detail": DATABASE_DETAIL, "code": DATABASE_CODE}
            if is_database
            else {"detail": INTERNAL_DETAIL, "code": INTERNAL_CODE}
        )
        response: HttpResponse = JsonResponse(body)
    else:
        # Without the request: what the pages' context asks for may be what failed.
        response = HttpResponse(get_template("503.html" if is_database else "500.html").render())
    response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE if is_database else status.HTTP_500_INTERNAL_SERVER_ERROR
    if is_database:
        response.headers["Retry-After"] = str(DATABASE_RETRY_SECONDS)
    return response


@login_not_required
@csrf_exempt  # it does nothing, and a program's POST to a wrong address is to be told so
def not_found(_request: HttpRequest) -> JsonResponse:
    """For paths below /api/ that lead nowhere."""
    return JsonResponse({"detail": "There is nothing at this address.", "code": "not_found"}, status=404)


def _headers(error: exceptions.APIException) -> dict[str, str] | None:
    headers = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    return headers or None


def _note_refusal(request: Any) -> None:
    actor = getattr(request, "auth", None)
    if isinstance(actor, Actor):
        refusals.note(actor, request.method or "", request.path)


def _answer(detail: str, code: str, status_code: int, headers: dict[str, str] | None = None) -> Response:
    return Response({"detail": detail, "code": code}, status=status_code, headers=headers)


def _invalid(error: exceptions.ValidationError) -> Response:
    """Name each parameter that is wrong; the first stands in ``detail``."""
    found = error.detail if isinstance(error.detail, dict) else {"request": error.detail}
    errors = {field: [str(message) for message in _flat(messages)] for field, messages in found.items()}
    detail = "; ".join(f"{field}: {messages[0]}" for field, messages in errors.items() if messages)
    body = {"detail": detail, "code": "invalid_parameter", "errors": errors}
    return Response(body, status=status.HTTP_400_BAD_REQUEST)


def _flat(messages: Any) -> list[Any]:
    if isinstance(messages, dict):
        return [message for inner in messages.values() for message in _flat(inner)]
    if isinstance(messages, list):
        return [message for inner in messages for message in _flat(inner)]
    return [messages]


def _words(error: Exception, kind: type[Exception]) -> str:
    if isinstance(error, ProviderAuthError):
        return f"{error.message} Nothing was changed. Check the token."
    if kind is UnreadablePostError:
        return "The request ended before all of it had arrived, or took too long. Nothing was kept."
    if kind is Http404:
        return "There is nothing at this address."
    return str(error) or kind.__name__


def _retry_after(error: Exception) -> dict[str, str] | None:
    if not isinstance(error, ProviderRateLimited):
        return None
    seconds = DEFAULT_RETRY_SECONDS if error.retry_after is None else error.retry_after
    return {"Retry-After": str(max(math.ceil(seconds), 1))}
