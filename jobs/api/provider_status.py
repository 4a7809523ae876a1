"""Under the paths that SimpleTuner's command line asks: a provider's status page, and the check of its credentials."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import provider_serializers
from jobs.api.base import ApiView
from jobs.api.serializers import Problem, Validation
from jobs.api.views import ProviderValidateView
from jobs.services import provider_status


class ProviderStatusView(ApiView):
    """``/api/cloud/{provider}/status``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="provider_status",
        responses={200: provider_serializers.ProviderStatus, 403: Problem, 404: Problem},
    )
    def get(self, _request: Request, provider: str) -> Response:
        """The provider's public status page, at most a minute old; 200 also if it cannot be read."""
        report = provider_status.status_report(provider)
        page = report.page
        return Response(
            {
                "operational": report.is_operational,
                "ongoing_incidents": page.incidents if page else [],
                "in_progress_maintenances": page.maintenances if page else [],
                "scheduled_maintenances": page.planned if page else [],
                "status_page_url": page.page_url if page else None,
                "error": report.error,
            }
        )


class ProviderValidateAliasView(ProviderValidateView):
    """``/api/cloud/{provider}/validate``."""

    @extend_schema(operation_id="provider_validate", responses={200: Validation, 404: Problem})
    def get(self, request: Request, provider: str) -> Response:
        """The same as ``/api/cloud/providers/{provider}/validate``."""
        return super().get(request, provider)
