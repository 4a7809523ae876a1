"""``/api/configs``: configurations that are kept here, also for SimpleTuner's command line."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api.base import ApiView, checked
from jobs.api.parsers import BoundedJsonParser
from jobs.api.serializers import Problem
from jobs.api.submitting_serializers import CONFIG_HELP
from jobs.models import TrainingConfig
from jobs.services import training_configs
from jobs.services.training_configs import MAX_DESCRIPTION_CHARACTERS
from jobs.training_config import setting, whole
from providers.masking import masked


class ConfigSummary(serializers.Serializer[object]):
    """A stored configuration in a list."""

    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    model_family = serializers.CharField(allow_null=True)
    model_type = serializers.CharField(allow_null=True)
    owner = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ConfigList(serializers.Serializer[object]):
    """All of them, by name."""

    configs = ConfigSummary(many=True)
    total = serializers.IntegerField()


class StoredConfig(serializers.Serializer[object]):
    """A stored configuration; secrets are masked. ``config`` has the datasets in it as ``dataloader_config`` too."""

    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    config = serializers.DictField()
    dataloader_config = serializers.ListField(child=serializers.DictField())
    owner = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ConfigChange(serializers.Serializer[object]):
    """A configuration to be kept. Secrets that are masked as they were shown stay what they are."""

    config = serializers.JSONField(help_text=CONFIG_HELP)
    dataloader_config = serializers.JSONField(required=False, allow_null=True, default=None)
    description = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, default=None, max_length=MAX_DESCRIPTION_CHARACTERS
    )

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what it does not have, by name."""
        unknown = sorted(str(name)[:64] for name in set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class ConfigDeleted(serializers.Serializer[object]):
    """A configuration is kept no longer."""

    success = serializers.BooleanField()
    name = serializers.CharField()


class ConfigListView(ApiView):
    """``/api/configs``."""

    permissions: ClassVar = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="configs_list", responses={200: ConfigList, 403: Problem})
    def get(self, _request: Request) -> Response:
        """List what is kept. A team shares its configurations."""
        found = [_summary(config) for config in training_configs.stored_configs()]
        return Response(ConfigList({"configs": found, "total": len(found)}).data)


class ConfigView(ApiView):
    """``/api/configs/{name}``."""

    permissions: ClassVar = {"GET": access.VIEW_OWN, "PUT": access.SUBMIT, "DELETE": access.SUBMIT}
    parser_classes = (BoundedJsonParser,)

    @extend_schema(operation_id="configs_get", responses={200: StoredConfig, 403: Problem, 404: Problem})
    def get(self, _request: Request, name: str) -> Response:
        """Show one."""
        return Response(StoredConfig(_whole(training_configs.get_config(name))).data)

    @extend_schema(
        operation_id="configs_put",
        request=ConfigChange,
        responses={200: StoredConfig, 201: StoredConfig, 400: Problem, 403: Problem, 413: Problem},
    )
    def put(self, request: Request, name: str) -> Response:
        """Keep a configuration under this name, or change your own."""
        body = checked(ConfigChange, request.data)
        kept, is_new = training_configs.save_config(self.actor, name, **body)
        return Response(StoredConfig(_whole(kept)).data, status=201 if is_new else 200)

    @extend_schema(operation_id="configs_delete", responses={200: ConfigDeleted, 403: Problem, 404: Problem})
    def delete(self, _request: Request, name: str) -> Response:
        """Delete your own. Jobs that were submitted with it keep their copy."""
        training_configs.delete_config(self.actor, name)
        return Response(ConfigDeleted({"success": True, "name": name}).data)


def _summary(config: TrainingConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "description": config.description,
        "model_family": setting(config.config, "model_family") or None,
        "model_type": setting(config.config, "model_type") or None,
        "owner": config.owner.get_username() if config.owner else None,
        "created_at": config.created_at,
        "updated_at": config.updated_at,
    }


def _whole(config: TrainingConfig) -> dict[str, Any]:
    values, datasets = masked(config.config), masked(config.dataloader_config)
    return {
        "name": config.name,
        "description": config.description,
        "config": whole(values, datasets),
        "dataloader_config": datasets,
        "owner": config.owner.get_username() if config.owner else None,
        "created_at": config.created_at,
        "updated_at": config.updated_at,
    }
