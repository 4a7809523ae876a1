"""``/api/cloud/data-consent/preview``: which datasets would have to be uploaded for a submission."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api.base import ApiView
from jobs.api.serializers import Problem
from jobs.datasets import local_datasets

FIELD = "dataloader_config"
MAX_DATASETS = 1000
# Nothing leaves anybody's machine but what they upload themselves.
CONSENT_MODE = "ask"
DATASETS: dict[str, Any] = {"type": "array", "maxItems": MAX_DATASETS, "items": {"type": "object"}}
# Entries of SimpleTuner's dataloader configuration; its command line sends the bare list.
REQUEST = {"oneOf": [DATASETS, {"type": "object", "required": [FIELD], "properties": {FIELD: DATASETS}}]}


class DatasetUpload(serializers.Serializer[object]):
    """A dataset that has to be uploaded. Its files are not here to be counted: both numbers are 0."""

    id = serializers.CharField()
    file_count = serializers.IntegerField()
    total_size_mb = serializers.FloatField()


class UploadPreview(serializers.Serializer[object]):
    """What has to be uploaded; ``message`` says it in words."""

    consent_mode = serializers.ChoiceField(choices=[CONSENT_MODE])
    requires_upload = serializers.BooleanField()
    datasets = DatasetUpload(many=True)
    total_files = serializers.IntegerField()
    total_size_mb = serializers.FloatField()
    message = serializers.CharField()


class DataConsentPreviewView(ApiView):
    """``/api/cloud/data-consent/preview``."""

    permissions = {"POST": access.VIEW_OWN}

    @extend_schema(
        operation_id="data_consent_preview",
        request={"application/json": REQUEST},
        responses={200: UploadPreview, 400: Problem, 403: Problem},
    )
    def post(self, request: Request) -> Response:
        """Which datasets have to be uploaded as an archive before a job is submitted.

        No folder is looked into: what a configuration names lies on the machine of whoever wrote it, not on ours.
        """
        local = local_datasets(_datasets(request.data))
        return Response(
            {
                "consent_mode": CONSENT_MODE,
                "requires_upload": bool(local),
                "datasets": [{"id": name, "file_count": 0, "total_size_mb": 0.0} for name in local],
                "total_files": 0,
                "total_size_mb": 0.0,
                "message": _message(local),
            }
        )


def _datasets(data: Any) -> list[Mapping[str, Any]]:
    found = data.get(FIELD) if isinstance(data, Mapping) else data
    if not isinstance(found, list):
        raise ValidationError({FIELD: ["This must be a list of datasets."]})
    if len(found) > MAX_DATASETS:
        raise ValidationError({FIELD: [f"No more than {MAX_DATASETS} datasets can be looked at."]})
    for number, dataset in enumerate(found, start=1):
        if not isinstance(dataset, Mapping):
            raise ValidationError({FIELD: [f"Dataset {number} must be an object."]})
    return found


def _message(local: list[str]) -> str:
    if not local:
        return "Nothing has to be uploaded: no dataset lies on your own machine."
    return (
        f"On your own machine: {', '.join(local)}. Upload them as an archive before you submit. Their files are not "
        "counted here, because no folder is read by its name."
    )
