"""Whether somebody may have what they ask for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from jobs.access import Actor

if TYPE_CHECKING:
    # Which asks for these classes while it is imported.
    from rest_framework.views import APIView


class HasPermission(BasePermission):
    """Whether the actor has what the view asks for; a view that names nothing for a method denies it."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.method not in view.allowed_methods:
            # Then it is told as a method that is not there.
            return True
        if request.method == "OPTIONS":
            return isinstance(request.auth, Actor)
        permissions: Mapping[str, str] = getattr(view, "permissions", {})
        needed = permissions.get("GET" if request.method == "HEAD" else request.method or "")
        return needed is not None and isinstance(request.auth, Actor) and request.auth.can(needed)


class SignedIn(BasePermission):
    """Anybody who has said who they are: for what tells nothing of jobs or of the installation."""

    def has_permission(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002
        return isinstance(request.auth, Actor)
