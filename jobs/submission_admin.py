"""The operator's view of what is submitted. Secrets are masked here too; configurations are edited on their page."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jobs.models import DatasetArchive, JobSubmission, TrainingConfig
from providers.masking import masked


class MaskedMixin:
    """Shows configuration and datasets as text, with their secrets masked."""

    @admin.display(description=_("configuration"))
    def masked_config(self, row: TrainingConfig | JobSubmission) -> SafeString:
        return _shown(row.config)

    @admin.display(description=_("datasets"))
    def masked_datasets(self, row: TrainingConfig | JobSubmission) -> SafeString:
        return _shown(row.dataloader_config)


@admin.register(TrainingConfig)
class TrainingConfigAdmin(MaskedMixin, admin.ModelAdmin[TrainingConfig]):
    """Stored configurations: whose they are can be changed here, what is in them cannot."""

    list_display = ("name", "description", "owner", "created_at", "updated_at")
    search_fields = ("name", "description")
    list_select_related = ("owner",)
    fields = ("name", "description", "owner", "masked_config", "masked_datasets", "created_at", "updated_at")
    readonly_fields = ("name", "masked_config", "masked_datasets", "created_at", "updated_at")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False


class _RecordMixin:
    """Neither added, changed nor deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(JobSubmission)
class JobSubmissionAdmin(_RecordMixin, MaskedMixin, admin.ModelAdmin[JobSubmission]):
    """What jobs were submitted with."""

    list_display = ("job", "hardware_profile", "archive", "retry_of", "submitted_at")
    list_filter = ("hardware_profile",)
    search_fields = ("=job__job_id", "job__config_name", "=mark")
    list_select_related = ("job", "archive", "retry_of")
    date_hierarchy = "submitted_at"
    fields = (
        "job",
        "mark",
        "masked_config",
        "masked_datasets",
        "hardware_profile",
        "tracker_run_name",
        "archive",
        "retry_of",
        "submitted_at",
    )


@admin.register(DatasetArchive)
class DatasetArchiveAdmin(_RecordMixin, admin.ModelAdmin[DatasetArchive]):
    """Uploads, and how far they are on their way."""

    list_display = ("name", "owner", "size_bytes", "sent_bytes", "created_at", "deleted_at")
    search_fields = ("=archive_id", "name", "sha256__startswith")
    list_select_related = ("owner",)
    date_hierarchy = "created_at"
    # Where it lies at the provider may be an address that opens to whoever has it.
    fields = ("archive_id", "name", "owner", "size_bytes", "sha256", "sent_bytes", "created_at", "deleted_at")


def _shown(value: object) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(masked(value), ensure_ascii=False, indent=2))
