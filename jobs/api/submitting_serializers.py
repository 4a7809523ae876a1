"""What submitting takes and gives."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from jobs.api.serializers import JOB_STATUSES
from jobs.models.queue import MAXIMUM_PRIORITY
from jobs.training_config import MAX_NAME_CHARACTERS
from providers import names

CONFIG_HELP = "SimpleTuner's configuration; its datasets may stand in it as dataloader_config."


class SubmitQuery(serializers.Serializer[object]):
    """Where to submit to."""

    provider = serializers.CharField(default=names.REPLICATE, max_length=64)


class SubmitRequest(serializers.Serializer[object]):
    """A job to be run: with a configuration, or with the name of one to load. Null and empty count as not given."""

    config = serializers.JSONField(required=False, allow_null=True, default=None, help_text=CONFIG_HELP)
    dataloader_config = serializers.JSONField(
        required=False, allow_null=True, default=None, help_text="A list of datasets."
    )
    config_name = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, default="", max_length=MAX_NAME_CHARACTERS
    )
    config_name_to_load = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        default="",
        max_length=MAX_NAME_CHARACTERS,
        help_text="A stored configuration, else the newest submission of that name.",
    )
    hardware_profile = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, default="", max_length=64, help_text="h100 if not given."
    )
    webhook_url = serializers.CharField(required=False, allow_null=True, allow_blank=True, default="", max_length=2000)
    tracker_run_name = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, default="", max_length=MAX_NAME_CHARACTERS
    )
    idempotency_key = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        default="",
        max_length=255,
        help_text="The same key gives the same job for 24 hours.",
    )
    upload_id = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, default="", max_length=64, help_text="A dataset archive."
    )
    priority = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=0, max_value=MAXIMUM_PRIORITY
    )
    budget_usd = serializers.DecimalField(
        required=False,
        allow_null=True,
        default=None,
        max_digits=14,
        decimal_places=6,
        min_value=Decimal("0.01"),
    )
    retry_of = serializers.CharField(required=False, allow_null=True, allow_blank=True, default="", max_length=128)

    def to_internal_value(self, data: Any) -> Any:
        """Take null for not given, as the texts are meant."""
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if value is not None}
        return super().to_internal_value(data)


class RetryRequest(serializers.Serializer[object]):
    """How to submit a job again."""

    idempotency_key = serializers.CharField(required=False, allow_blank=True, default="", max_length=255)


class SubmitResult(serializers.Serializer[object]):
    """What became of a submission. ``idempotent_hit``: the key gave a job that was there before."""

    success = serializers.BooleanField()
    job_id = serializers.CharField()
    status = serializers.ChoiceField(choices=JOB_STATUSES)
    idempotent_hit = serializers.BooleanField()
    data_uploaded = serializers.BooleanField(help_text="A dataset archive goes with it.")
    cost_limit_warning = serializers.CharField(allow_null=True)
    quota_warnings = serializers.ListField(child=serializers.CharField())
    error = serializers.CharField(allow_null=True)
    queue_position = serializers.IntegerField(allow_null=True)


class SubmissionArchive(serializers.Serializer[object]):
    """The dataset archive of a submission. ``is_kept``: it can go with another job still."""

    upload_id = serializers.CharField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    is_kept = serializers.BooleanField()


class Submission(serializers.Serializer[object]):
    """What a job was submitted with; secrets are masked."""

    job_id = serializers.CharField()
    provider = serializers.CharField()
    config_name = serializers.CharField(allow_null=True)
    config = serializers.DictField()
    dataloader_config = serializers.ListField(child=serializers.DictField())
    hardware_profile = serializers.CharField()
    webhook_url = serializers.CharField(allow_blank=True)
    tracker_run_name = serializers.CharField(allow_blank=True)
    archive = SubmissionArchive(allow_null=True)
    retry_of = serializers.CharField(allow_null=True)
    submitted_at = serializers.DateTimeField()
