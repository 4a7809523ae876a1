"""``POST /api/webhooks/{provider}``: what a provider calls (SPEC A7)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import serializers
from jobs.api.base import OpenView
from jobs.services import webhooks
from providers.errors import InvalidWebhook

PROBLEM = serializers.Problem
PATH = "/api/webhooks/"
# A delivery carries the job's whole log. Everywhere else Django's own limit of 2.5 MB holds.
MAX_BODY_BYTES = 25 * 1024 * 1024
LARGEST_LENGTH_DIGITS = 15


@dataclass(slots=True)
class UnderWay:
    """How many deliveries this process has and has not answered, as whoever hands them on has counted."""

    deliveries: int = 0


under_way = UnderWay()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that needs no look at the body. ``retry_after``: seconds, ``None`` if coming again is no use."""

    status: int
    code: str
    detail: str
    retry_after: int | None = None


NOT_ALLOWED = Refusal(403, "address_not_allowed", "Webhooks are not taken from this address.")
TOO_LARGE = Refusal(413, "body_too_large", f"The body is larger than {MAX_BODY_BYTES // 1024**2} MiB.")
ENCODED = Refusal(415, "content_encoding_not_supported", "The body must be sent as it was signed, not compressed.")


def refusal(*, peer: str, forwarded_for: Iterable[str], content_encoding: str, content_length: str) -> Refusal | None:
    """Why a delivery is not even read, by what its head says; ``None``: it may be."""
    if not webhooks.is_allowed_sender(peer, forwarded_for):
        return NOT_ALLOWED
    if content_encoding.strip().lower() not in ("", "identity"):
        return ENCODED
    if content_length.isascii() and content_length.isdigit():
        is_too_large = len(content_length) > LARGEST_LENGTH_DIGITS or int(content_length) > MAX_BODY_BYTES
        return TOO_LARGE if is_too_large else None
    return None


class Refused(APIException):
    """A refusal as an exception of the framework."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.detail, reason.code)
        self.status_code = reason.status
        self.wait = reason.retry_after


class _AnyAnswer(BaseContentNegotiation):
    """A sender is answered in JSON, whatever it says it accepts: a 406 would be a lost delivery."""

    def select_parser(self, _request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, _request: Request, renderers: Any, _format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class WebhookView(OpenView):
    """``/api/webhooks/{provider}``: its sender is known by a signature."""

    http_method_names = ["post"]
    content_negotiation_class = _AnyAnswer

    @extend_schema(
        operation_id="webhooks_receive",
        parameters=[
            OpenApiParameter("webhook-id", str, OpenApiParameter.HEADER, required=True),
            OpenApiParameter("webhook-timestamp", int, OpenApiParameter.HEADER, required=True),
            OpenApiParameter("webhook-signature", str, OpenApiParameter.HEADER, required=True),
        ],
        request=OpenApiTypes.OBJECT,
        responses={
            200: serializers.WebhookReceipt,
            401: PROBLEM,
            403: PROBLEM,
            404: PROBLEM,
            408: PROBLEM,
            413: PROBLEM,
            415: PROBLEM,
            503: PROBLEM,
        },
    )
    def post(self, request: Request, provider: str) -> Response:
        """Take a signed delivery: it is kept before this is answered, and applied at once where that is possible."""
        try:
            receipt = webhooks.receive(provider, request.headers, _body(request), beside=under_way.deliveries - 1)
        except InvalidWebhook as error:
            # One answer for every reason: which of them it was is nobody's business but the log's.
            raise Refused(Refusal(401, "invalid_signature", "The delivery is not signed as it must be.")) from error
        except webhooks.SecretUnavailable as error:
            seconds = math.ceil(error.retry_after)
            raise Refused(Refusal(503, "webhook_secret_unavailable", str(error), seconds)) from error
        return Response(
            {
                "received": True,
                "verdict": receipt.verdict,
                "duplicate": receipt.is_duplicate,
                "job_id": receipt.job_id,
            }
        )


def _body(request: Request) -> bytes:
    """The raw body; read as a stream, which Django's limit for bodies in memory does not concern."""
    reason = refusal(
        peer=request.META.get("REMOTE_ADDR", ""),
        forwarded_for=[request.META.get("HTTP_X_FORWARDED_FOR", "")],
        content_encoding=request.META.get("HTTP_CONTENT_ENCODING", ""),
        content_length=request.META.get("CONTENT_LENGTH", ""),
    )
    if reason is not None:
        raise Refused(reason)
    stream = request.stream
    return stream.read(MAX_BODY_BYTES) if stream is not None else b""
