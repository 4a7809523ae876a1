"""What the API takes and gives about providers: their settings and their status pages."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from jobs.models import CostAction, CostPeriod
from jobs.services.provider_config import ConfigSource
from jobs.services.provider_tokens import TokenSource


class HardwareInfo(serializers.Serializer[object]):
    """A machine and its price today, in US dollars."""

    name = serializers.CharField()
    cost_per_second = serializers.FloatField()


class HardwareProfile(serializers.Serializer[object]):
    """What a job can be submitted to, by ``id``."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    model = serializers.CharField()
    hardware = serializers.CharField()


class ProviderConfigValues(serializers.Serializer[object]):
    """What is set for a provider. ``settings``: set while running, which wins over the enterprise ``file``."""

    webhook_url = serializers.CharField(allow_blank=True)
    webhook_url_source = serializers.ChoiceField(choices=[source.value for source in ConfigSource])
    token_source = serializers.ChoiceField(
        choices=[source.value for source in TokenSource], help_text="Of the real account, also while the sandbox runs."
    )
    token_last_four = serializers.CharField(allow_blank=True)
    cost_limit_enabled = serializers.BooleanField()
    cost_limit_amount = serializers.FloatField(help_text="US dollars; 0: none is set.")
    cost_limit_period = serializers.ChoiceField(choices=CostPeriod.choices)
    cost_limit_action = serializers.ChoiceField(choices=CostAction.choices)
    hardware_info = serializers.DictField(child=HardwareInfo(), help_text="By the provider's name of the machine.")
    hardware_profiles = HardwareProfile(many=True)
    default_hardware_profile = serializers.CharField()


class ProviderConfig(ProviderConfigValues):
    """The same, with the provider's name; ``config`` repeats the values for SimpleTuner's command line."""

    provider = serializers.CharField()
    config = ProviderConfigValues()


class ProviderConfigChange(serializers.Serializer[object]):
    """Settings to change; others stay. Null takes one back to what it is without being set."""

    webhook_url = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, trim_whitespace=True, max_length=2000
    )
    cost_limit_enabled = serializers.BooleanField(required=False, allow_null=True)
    cost_limit_amount = serializers.DecimalField(
        required=False, allow_null=True, max_digits=14, decimal_places=2, help_text="US dollars, more than 0."
    )
    cost_limit_period = serializers.ChoiceField(choices=CostPeriod.choices, required=False, allow_null=True)
    cost_limit_action = serializers.ChoiceField(choices=CostAction.choices, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """Refuse settings that do not exist, by their names."""
        names = set(data) - set(self.fields) if isinstance(data, Mapping) else set()
        if names:
            raise serializers.ValidationError({str(name)[:64]: [_refusal(name)] for name in sorted(names, key=str)})
        return super().to_internal_value(data)


def _refusal(name: object) -> str:
    if name in ProviderConfigValues().fields:
        return "This can be read only."
    return "This is not a setting."


class StatusComponent(serializers.Serializer[object]):
    """A part of the provider that a note is about."""

    id = serializers.CharField(required=False)
    name = serializers.CharField(required=False)
    group_name = serializers.CharField(required=False)
    current_status = serializers.CharField(required=False)


class StatusNote(serializers.Serializer[object]):
    """An incident or a maintenance in the provider's own words; what it does not say is left out."""

    name = serializers.CharField()
    affected_components = StatusComponent(many=True)
    id = serializers.CharField(required=False)
    status = serializers.CharField(required=False)
    url = serializers.CharField(required=False)
    current_worst_impact = serializers.CharField(required=False, help_text="Of an incident.")
    last_update_at = serializers.CharField(required=False)
    last_update_message = serializers.CharField(required=False)
    started_at = serializers.CharField(required=False, help_text="Of a maintenance that is in progress.")
    scheduled_end_at = serializers.CharField(required=False)
    starts_at = serializers.CharField(required=False, help_text="Of a maintenance that is planned.")
    ends_at = serializers.CharField(required=False)


class ProviderStatus(serializers.Serializer[object]):
    """The provider's public status page, or with ``error`` why it could not be read."""

    operational = serializers.BooleanField(allow_null=True, help_text="Null: not known.")
    ongoing_incidents = StatusNote(many=True)
    in_progress_maintenances = StatusNote(many=True)
    scheduled_maintenances = StatusNote(many=True)
    status_page_url = serializers.CharField(allow_null=True)
    error = serializers.CharField(allow_null=True)
