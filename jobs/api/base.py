"""What every view of the API has: who asks, and whether they may."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.exceptions import PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from jobs.access import Actor
from jobs.api.permissions import HasPermission
from jobs.models import UnifiedJob
from jobs.services.lookup import get_job


class AcceptAlone(DefaultContentNegotiation):
    """A ``?format=`` in the query means nothing; it would be a 404 at every address for all but JSON."""

    def filter_renderers(self, renderers: Any, format: str) -> Any:  # noqa: ARG002
        """Leave all that there are."""
        return renderers


class OpenView(APIView):
    """A view that asks nobody who they are."""

    content_negotiation_class: type[BaseContentNegotiation] = AcceptAlone
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()


class ApiView(APIView):
    """A view that says what each of its methods takes: ``permissions = {"GET": access.VIEW_OWN}``."""

    content_negotiation_class = AcceptAlone
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

    def cancellable_job(self, job_id: str) -> UnifiedJob:
        """A job that the asker may end or remove. Raises ``PermissionDenied``, ``JobNotFound``."""
        job = self.job(job_id)
        if not self.actor.may_cancel(job.owner_id):
            raise PermissionDenied("This job is somebody else's: you may look at it, and no more.")
        return job


def checked(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated values; raises the 400 that names what is wrong."""
    found = serializer(data=data)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)
