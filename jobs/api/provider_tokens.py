"""``/api/cloud/providers/{provider}/token`` and ``/api/cloud/replicate/token``: setting a token, and forgetting it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import serializers, token_serializers
from jobs.api.base import ApiView, checked
from jobs.services import provider_tokens
from jobs.services.provider_tokens import TokenChange, TokenRefused

PROBLEM = serializers.Problem
CHANGED = token_serializers.TokenChanged
SET = {
    200: CHANGED,
    400: PROBLEM,
    401: PROBLEM,
    403: PROBLEM,
    409: PROBLEM,
    422: token_serializers.TokenNotTaken,
}
REMOVED = {200: CHANGED, 401: PROBLEM, 403: PROBLEM, 409: PROBLEM}
NOT_FOUND = {404: PROBLEM}


class ProviderTokenView(ApiView):
    """``/api/cloud/providers/{provider}/token``."""

    permissions = {"PUT": access.CONFIGURE_PROVIDERS, "DELETE": access.CONFIGURE_PROVIDERS}

    @extend_schema(
        operation_id="providers_token_set",
        request=token_serializers.ProviderTokenChange,
        responses=SET | NOT_FOUND,
    )
    def put(self, request: Request, provider: str) -> Response:
        """Store a token, encrypted; it is never told again but for its last four characters."""
        change = checked(token_serializers.ProviderTokenChange, request.data)
        return _set(self, provider, change["api_token"], check=change["check"])

    @extend_schema(operation_id="providers_token_delete", responses=REMOVED | NOT_FOUND)
    def delete(self, _request: Request, provider: str) -> Response:
        """Forget the stored token."""
        return _answer(provider_tokens.remove_token(self.actor, provider))


class ReplicateTokenView(ApiView):
    """``/api/cloud/replicate/token``: the same, as SimpleTuner's newest command line asks for it."""

    permissions = {"POST": access.CONFIGURE_PROVIDERS, "DELETE": access.CONFIGURE_PROVIDERS}

    @extend_schema(operation_id="replicate_token_set", request=token_serializers.ReplicateTokenChange, responses=SET)
    def post(self, request: Request) -> Response:
        """Store a token, encrypted; it is never told again but for its last four characters."""
        change = checked(token_serializers.ReplicateTokenChange, request.data)
        return _set(self, "replicate", change["token"], check=change["check"])

    @extend_schema(operation_id="replicate_token_delete", responses=REMOVED)
    def delete(self, _request: Request) -> Response:
        """Forget the stored token."""
        return _answer(provider_tokens.remove_token(self.actor, "replicate"))


def _set(view: ApiView, provider: str, token: str, *, check: bool) -> Response:
    try:
        return _answer(provider_tokens.set_token(view.actor, provider, token, check=check))
    except TokenRefused as error:
        # In the words of both: ours for every error, and those of SimpleTuner's command line.
        told: dict[str, Any] = {"success": False, "error": str(error), "message": str(error), "last_four": ""}
        return Response(told | {"detail": str(error), "code": "token_refused"}, status=422)


def _answer(change: TokenChange) -> Response:
    # SimpleTuner's command line shows `error` alone, as a warning beside "saved".
    error = None if change.is_sure else change.message
    return Response({"success": True, "error": error, "message": change.message, "last_four": change.last_four})
