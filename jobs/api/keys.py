"""``/api/keys``: programs' keys (docs/accounts.md)."""

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import key_serializers
from jobs.api.base import ApiView, checked
from jobs.api.serializers import Problem
from jobs.models import ApiKey
from jobs.services import api_keys

REFUSALS = {401: Problem, 403: Problem}


class KeyListView(ApiView):
    """``/api/keys``."""

    permissions = {"GET": access.VIEW_OWN, "POST": access.VIEW_OWN}

    @extend_schema(
        operation_id="keys_list",
        parameters=[key_serializers.KeyListQuery],
        responses={200: key_serializers.KeyList, 400: Problem, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Your keys, or everybody's if you manage accounts and ask for them."""
        query = checked(key_serializers.KeyListQuery, request.query_params)
        keys = api_keys.keys_of(self.actor, everybody=query["everybody"])
        return Response({"keys": [_payload(key) for key in keys]})

    @extend_schema(
        operation_id="keys_create",
        request=key_serializers.NewKeyRequest,
        responses={201: key_serializers.NewKey, 400: Problem, **REFUSALS, 429: Problem},
    )
    def post(self, request: Request) -> Response:
        """Make a key. Its text is in this answer alone: only its SHA-256 is kept. Takes a login, not another key."""
        body = checked(key_serializers.NewKeyRequest, request.data)
        user = request.user
        assert isinstance(user, User)
        made = api_keys.create_key(self.actor, user, name=body["name"], scopes=body["scopes"], days=body["days"])
        answer = {**_payload(made.key), "key": made.text}
        return Response(answer, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class KeyView(ApiView):
    """``/api/keys/{key_id}``."""

    permissions = {"DELETE": access.VIEW_OWN}

    @extend_schema(
        operation_id="keys_revoke",
        responses={200: key_serializers.Key, **REFUSALS, 404: Problem, 429: Problem},
    )
    def delete(self, _request: Request, key_id: int) -> Response:
        """Revoke a key of yours, or anybody's if you manage accounts. It ends at once and for good."""
        return Response(_payload(api_keys.revoke_key(self.actor, key_id)))


def _payload(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": key.prefix,
        "account": key.user.get_username(),
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
