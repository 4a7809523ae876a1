"""``/api/cloud/providers/{provider}/config``: what is set for a provider (SPEC A7.1, B5)."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import provider_serializers
from jobs.api.base import ApiView, checked
from jobs.api.serializers import Problem
from jobs.services import provider_config, provider_options
from jobs.services.provider_options import InvalidOption, ProviderOptions


class ProviderConfigView(ApiView):
    """``/api/cloud/providers/{provider}/config``."""

    # What a change takes depends on what is changed: see put.
    permissions = {"GET": access.VIEW_OWN, "PUT": access.VIEW_OWN}

    @extend_schema(
        operation_id="providers_config",
        responses={200: provider_serializers.ProviderConfig, 403: Problem, 404: Problem},
    )
    def get(self, _request: Request, provider: str) -> Response:
        """What is set, and what the provider offers."""
        return Response(_payload(provider_options.provider_options(provider)))

    @extend_schema(
        operation_id="providers_config_set",
        request=provider_serializers.ProviderConfigChange,
        responses={200: provider_serializers.ProviderConfig, 400: Problem, 403: Problem, 404: Problem},
    )
    def put(self, request: Request, provider: str) -> Response:
        """Change the settings that are named, all or none; an empty or null webhook URL removes it."""
        provider_config.require_provider(provider)
        changes = checked(provider_serializers.ProviderConfigChange, request.data)
        self._require_rights_to(changes)
        try:
            options = provider_options.change_options(self.actor, provider, changes)
        except InvalidOption as error:
            raise ValidationError({error.name: [str(error)]}) from error
        return Response(_payload(options))

    def _require_rights_to(self, names: Iterable[str]) -> None:
        for name in names:
            needed = access.CHANGE_LIMITS if name.startswith(provider_options.LIMIT) else access.CONFIGURE_PROVIDERS
            if not self.actor.can(needed):
                raise PermissionDenied(f"You may not change {name}.")


def _payload(options: ProviderOptions) -> dict[str, Any]:
    limit = options.limit
    values = {
        "webhook_url": options.config.webhook_url,
        "webhook_url_source": options.config.webhook_url_source.value,
        "token_source": options.token.origin.value,
        "token_last_four": options.token.last_four,
        "cost_limit_enabled": limit.enabled,
        # Not null, which SimpleTuner's command line cannot print.
        "cost_limit_amount": float(limit.amount or 0),
        "cost_limit_period": limit.period,
        "cost_limit_action": limit.action,
        "hardware_info": {
            machine.hardware: {"name": machine.label, "cost_per_second": float(machine.usd_per_second)}
            for machine in options.hardware
        },
        "hardware_profiles": [
            {
                "id": profile.profile_id,
                "label": profile.label,
                "model": profile.model,
                "hardware": profile.hardware,
            }
            for profile in options.hardware_profiles
        ],
        "default_hardware_profile": options.default_hardware_profile,
    }
    # Twice: SimpleTuner's command line looks for an object named config.
    return {"provider": options.config.provider, **values, "config": values}
