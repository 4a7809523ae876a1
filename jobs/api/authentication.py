"""Who sends a request to the API."""

from typing import Any

from django.conf import settings
from django.utils.functional import SimpleLazyObject
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from jobs.services.actors import owner_account, owner_actor


class OwnerAuthentication(BaseAuthentication):
    """In single-user mode everybody who reaches us is the owner; the origin of requests is checked elsewhere."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:  # noqa: ARG002
        if not settings.SINGLE_USER:
            return None
        return SimpleLazyObject(owner_account), owner_actor()


class OwnerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """In the published schema: nothing has to be sent."""

    target_class = OwnerAuthentication
    name: list[str] = []

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        return []

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[Any]]:  # noqa: ARG002
        return {}
