"""What every view of the API has: who asks, and whether they may."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from jobs.access import Actor
from jobs.models import UnifiedJob
from jobs.services.lookup import get_job


class HasPermission(BasePermission):
    """Whether the actor has what the view asks for; a view that names nothing for a method denies it.

    A method that the view does not have is not denied here: it is answered by 405.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        permissions: Mapping[str, str] = getattr(view, "permissions", {})
        if not hasattr(view, (request.method or "").lower()):
            return True
        needed = permissions.get("GET" if request.method == "HEAD" else request.method or "")
        return needed is not None and isinstance(request.auth, Actor) and request.auth.can(needed)


class ApiView(APIView):
    """A view that says what each of its methods takes: ``permissions = {"GET": access.VIEW_OWN}``."""

    permission_classes = (HasPermission,)
    permissions: ClassVar[Mapping[str, str]] = {}

    @property
    def actor(self) -> Actor:
        """Who asks."""
        actor = self.request.auth
        assert isinstance(actor, Actor)
        return actor

    def job(self, job_id: str) -> UnifiedJob:
        """A job that the asker may see. Raises ``JobNotFound`` also for another's."""
        return get_job(job_id, UnifiedJob.objects.visible_to(self.actor))


def checked(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated values; raises the 400 that names what is wrong."""
    found = serializer(data=data)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)
