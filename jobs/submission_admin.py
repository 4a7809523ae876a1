"""The operator's view of what is submitted. Secrets are masked here too; configurations are edited on their page."""

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from jobs.admin_lists import JobSearchMixin, LargeTableMixin, NewestValues
from jobs.admin_rows import ReadOnlyMixin, actor_of, as_text, job_link
from jobs.models import DatasetArchive, JobSubmission, TrainingConfig
from jobs.services import audit, training_configs


class MaskedMixin:
    """Shows configuration and datasets as text, with their secrets masked."""

    @admin.display(description=_("configuration"))
    def masked_config(self, row: TrainingConfig | JobSubmission) -> SafeString:
        return as_text(row.config)

    @admin.display(description=_("datasets"))
    def masked_datasets(self, row: TrainingConfig | JobSubmission) -> SafeString:
        return as_text(row.dataloader_config)


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

    def save_model(
        self,
        request: HttpRequest,
        obj: TrainingConfig,
        form: ModelForm[TrainingConfig],
        change: bool,  # noqa: ARG002
    ) -> None:
        """What was edited alone: a whole row would undo what its owner saved while the form was open."""
        obj.save(update_fields=[*form.changed_data, "updated_at"])
        audit.record(actor_of(request), "config.change", obj.name, fields=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: TrainingConfig) -> None:
        training_configs.delete_config(actor_of(request), obj.name)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TrainingConfig]) -> None:
        for config in queryset:
            self.delete_model(request, config)


class SubmittedProfile(NewestValues):
    """What machine a job was submitted for."""

    title = _("hardware profile, of the newest 100,000")
    parameter_name = "hardware_profile"
    field = "hardware_profile"


@admin.register(JobSubmission)
class JobSubmissionAdmin(ReadOnlyMixin, LargeTableMixin, JobSearchMixin, MaskedMixin, admin.ModelAdmin[JobSubmission]):
    """What jobs were submitted with."""

    list_display = ("id", "its_job", "hardware_profile", "archive", "again", "submitted_at")
    list_filter = (SubmittedProfile,)
    list_select_related = ("job", "archive", "retry_of")
    ordering = ("-pk",)
    sortable_by = ("id",)
    fields = (
        "its_job",
        "mark",
        "masked_config",
        "masked_datasets",
        "hardware_profile",
        "tracker_run_name",
        "archive",
        "again",
        "submitted_at",
    )

    @admin.display(description=_("job"))
    def its_job(self, submission: JobSubmission) -> SafeString | str:
        return job_link(submission.job)

    @admin.display(description=_("again"))
    def again(self, submission: JobSubmission) -> SafeString | str:
        return job_link(submission.retry_of)


@admin.register(DatasetArchive)
class DatasetArchiveAdmin(ReadOnlyMixin, LargeTableMixin, admin.ModelAdmin[DatasetArchive]):
    """Uploads, and how far they are on their way."""

    list_display = ("name", "owner", "size_bytes", "sent_bytes", "created_at", "deleted_at")
    search_fields = ("=archive_id", "name", "sha256__startswith")
    search_help_text = _("The exact id, a part of the name, or the beginning of the SHA-256")
    list_select_related = ("owner",)
    sortable_by = ("created_at",)
    # Where it lies at the provider may be an address that opens to whoever has it.
    fields = ("archive_id", "name", "owner", "size_bytes", "sha256", "sent_bytes", "created_at", "deleted_at")
