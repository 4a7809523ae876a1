"""``/api/cloud/providers/{provider}/config``: what is set for a provider (SPEC A7.1, B5)."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import serializers
from jobs.api.base import ApiView
from jobs.services import audit, provider_config
from jobs.services.provider_config import ProviderConfig

PROBLEM = serializers.Problem


class ProviderConfigView(ApiView):
    """``/api/cloud/providers/{provider}/config``."""

    # To look is for everybody: whoever submits has to know the limits and the prices.
    permissions = {"GET": access.VIEW_OWN, "PUT": access.CONFIGURE_PROVIDERS}

    @extend_schema(
        operation_id="providers_config",
        responses={200: serializers.ProviderConfig, 404: PROBLEM},
    )
    def get(self, _request: Request, provider: str) -> Response:
        """What is set, and where that stands."""
        return Response(_payload(provider_config.checked_config(provider)))

    @extend_schema(
        operation_id="providers_config_set",
        request=serializers.ProviderConfigChange,
        responses={200: serializers.ProviderConfig, 400: PROBLEM, 404: PROBLEM},
    )
    def put(self, request: Request, provider: str) -> Response:
        """Change the settings that are named; an empty or null webhook URL removes it."""
        config = provider_config.checked_config(provider)
        change = serializers.ProviderConfigChange(data=request.data)
        change.is_valid(raise_exception=True)
        if "webhook_url" in change.validated_data:
            try:
                config = provider_config.set_webhook_url(provider, change.validated_data["webhook_url"] or "")
                audit.record(self.actor, "provider.configure", provider, webhook_url=config.webhook_url)
            except ValueError as error:
                raise ValidationError({"webhook_url": [f"The URL {error}."]}) from error
        return Response(_payload(config))


def _payload(config: ProviderConfig) -> dict[str, Any]:
    values = {"webhook_url": config.webhook_url, "webhook_url_source": config.webhook_url_source.value}
    # Twice: SimpleTuner's command line looks for an object named config.
    return {"provider": config.provider, **values, "config": values}
