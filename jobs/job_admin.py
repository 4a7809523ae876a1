"""Jobs in the administration, and what belongs to each. What providers report is shown, never edited."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jobs import access
from jobs.admin_lists import (
    CreatedWithin,
    JobSearchMixin,
    LargeTableMixin,
    NewestChoices,
    OfProvider,
    WantsAttention,
    first_found,
    job_pks,
    newest,
)
from jobs.admin_rows import ReadOnlyMixin, actor_of, as_text, job_link, list_link, row_link
from jobs.lifecycle import Source
from jobs.models import (
    AuditEntry,
    DeletedJob,
    IdempotencyKey,
    JobLog,
    JobQuerySet,
    JobSubmission,
    QueueEntry,
    StatusChange,
    UnifiedJob,
    WebhookDelivery,
)
from jobs.services import cancelling, deleting, renaming, sync
from jobs.services.lookup import InvalidState, JobNotFound
from providers import names
from providers.errors import ProviderError

# Each is a call to a provider, while somebody waits for the page.
MOST_AT_ONCE = 100


class StatusChangeInline(ReadOnlyMixin, admin.TabularInline[StatusChange, UnifiedJob]):
    """The history of a job, newest first."""

    model = StatusChange
    fields = ("previous", "status", "source", "provider_time", "recorded_at")
    extra = 0
    # On a narrow screen the table scrolls: something in it has to take the focus.
    show_change_link = True


@admin.register(UnifiedJob)
class UnifiedJobAdmin(LargeTableMixin, admin.ModelAdmin[UnifiedJob]):
    """Jobs: everything a provider reports is read-only; the name is ours to set."""

    list_display = (
        "job_id",
        "config_name",
        "status",
        "provider",
        "percent",
        "cost_usd",
        "created_at",
        "last_synced_at",
        "page",
    )
    list_filter = ("status", WantsAttention, CreatedWithin, OfProvider)
    # Of these columns there is an index.
    sortable_by = ("job_id", "created_at")
    search_fields = ("job_id",)
    search_help_text = _("An id or its beginning, or a part of the name of one of the newest 100,000 jobs")
    inlines = (StatusChangeInline,)
    actions = ("sync_now", "cancel")
    editable = ("config_name",)
    fieldsets = (
        (None, {"fields": ("config_name", "job_id", "status", "related")}),
        (
            _("At the provider"),
            {"fields": ("provider", "external_id", "external_kind", "provider_status", "job_type", "hardware_type")},
        ),
        (_("Times"), {"fields": ("created_at", "started_at", "completed_at")}),
        (
            _("Progress"),
            {
                "fields": (
                    "stage",
                    "progress",
                    "step",
                    "total_steps",
                    "loss",
                    "eta_seconds",
                    "last_log",
                    "progress_at",
                )
            },
        ),
        (_("Result and money"), {"fields": ("error_message", "output_url", "run_seconds", "cost_usd", "budget_usd")}),
        (
            _("Whose it is"),
            {"fields": ("owner", "team", "origin", "ignored_at")},
        ),
        (
            _("Cancellation"),
            {"fields": ("cancel_requested_at", "cancel_requested_by", "cancel_accepted_at", "cancel_error")},
        ),
        (
            _("How we know"),
            {
                "fields": (
                    "last_synced_at",
                    "last_sync_error",
                    "failed_checks",
                    "next_check_at",
                    "lost_at",
                    "logs_state",
                    "next_log_capture_at",
                    "facts",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[UnifiedJob]:
        return super().get_queryset(request).select_related("owner", "team")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[UnifiedJob],
        search_term: str,
    ) -> tuple[QuerySet[UnifiedJob], bool]:
        term = search_term.strip()
        assert isinstance(queryset, JobQuerySet)
        return (queryset.filter(pk__in=job_pks(term, queryset)) if term else queryset), False

    def get_readonly_fields(self, _request: HttpRequest, _obj: UnifiedJob | None = None) -> list[str]:
        shown = [str(name) for _title, options in self.fieldsets for name in options["fields"]]
        return [name for name in shown if name not in self.editable]

    def view_on_site(self, obj: UnifiedJob) -> str:
        return reverse("job", args=[obj.job_id])

    @admin.display(description=_("progress (%)"))
    def percent(self, job: UnifiedJob) -> str:
        return f"{job.progress:g}" if job.progress is not None else "–"

    @admin.display(description=_("page"))
    def page(self, job: UnifiedJob) -> SafeString:
        words = _("Open the page of %(name)s") % {"name": job}
        return format_html('<a href="{}" aria-label="{}">{}</a>', self.view_on_site(job), words, _("Open"))

    @admin.display(description=_("belongs to it"))
    def related(self, job: UnifiedJob) -> SafeString:
        """Everything else that is known of a job, by one click."""
        log = JobLog.objects.filter(job=job).defer("compressed").first()
        entry = QueueEntry.objects.filter(job=job).first()
        submission = JobSubmission.objects.filter(job=job).only("pk").first()
        links: list[SafeString | str] = [
            list_link(StatusChange, _("History"), job__id__exact=job.pk),
            list_link(WebhookDelivery, _("Webhook deliveries"), job__id__exact=job.pk),
            list_link(AuditEntry, _("Audit log"), target=job.job_id),
        ]
        links += [row_link(log, _("Log"))] if log else []
        links += [row_link(entry, _("Queue entry"))] if entry else []
        links += [row_link(submission, _("Submission"))] if submission else []
        items = format_html_join("", "<li>{}</li>", ((link,) for link in links))
        return format_html('<ul class="related-rows">{}</ul>', items)

    @admin.display(description=_("metadata"))
    def facts(self, job: UnifiedJob) -> SafeString:
        return as_text(job.metadata)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: UnifiedJob | None = None) -> bool:
        return obj is not None and obj.is_terminal and super().has_delete_permission(request, obj)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).can(access.SYNC)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).can(access.CANCEL_OWN)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Deleting in bulk would take active jobs along, which go on billing unseen.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.action(description=_("Sync now"), permissions=["sync"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[UnifiedJob]) -> None:
        """Ask the providers for the selected jobs."""
        self._each(request, queryset, lambda job: sync.refresh_job(job, source=Source.PERSON), _synced)

    @admin.action(description=_("Cancel"), permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[UnifiedJob]) -> None:
        """Ask the providers to end the selected jobs."""
        actor = actor_of(request)
        self._each(request, queryset, lambda job: cancelling.cancel_job(actor, job.job_id), _cancelled)

    def save_model(self, request: HttpRequest, obj: UnifiedJob, form: ModelForm[UnifiedJob], change: bool) -> None:  # noqa: ARG002
        """The name alone: a whole row would undo what was heard of the job while the form was open."""
        if "config_name" in form.changed_data:
            renaming.rename_job(actor_of(request), obj.job_id, obj.config_name)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except (InvalidState, JobNotFound) as error:
            # Somebody else was quicker.
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponse(
                status=HTTPStatus.FOUND, headers={"Location": reverse("admin:jobs_unifiedjob_changelist")}
            )

    def delete_model(self, request: HttpRequest, obj: UnifiedJob) -> None:
        """Delete the record, so that no sync brings it back."""
        deleting.delete_job(actor_of(request), obj.job_id)

    def get_deleted_objects(
        self,
        objs: Any,
        request: HttpRequest,  # noqa: ARG002
    ) -> tuple[list[Any], dict[Any, Any], set[Any], list[Any]]:
        """The job alone is named. What goes with it cannot be deleted by itself, which must not keep the job here."""
        return [str(job) for job in objs], {UnifiedJob._meta.verbose_name_plural: len(objs)}, set(), []

    def _each(
        self,
        request: HttpRequest,
        jobs: QuerySet[UnifiedJob],
        act: Callable[[UnifiedJob], object],
        tell: Callable[[int], str],
    ) -> None:
        chosen = list(jobs[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            words = _("At most %(count)d jobs at once; nothing was done.") % {"count": MOST_AT_ONCE}
            self.message_user(request, words, messages.ERROR)
            return
        done = 0
        for job in chosen:
            try:
                act(job)
            except (ProviderError, InvalidState, JobNotFound, PermissionDenied) as error:
                self.message_user(request, f"{job}: {error}", messages.ERROR)
            else:
                done += 1
        if done:
            self.message_user(request, tell(done), messages.SUCCESS)


@admin.register(DeletedJob)
class DeletedJobAdmin(LargeTableMixin, admin.ModelAdmin[DeletedJob]):
    """Jobs whose record was deleted. Whoever deletes such a row lets its job come back with the next sync."""

    list_display = ("job_id", "provider", "external_id", "deleted_at", "deleted_by")
    list_filter = (OfProvider,)
    search_fields = ("job_id",)
    search_help_text = _("The exact id, ours or the provider's")
    sortable_by = ()

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[DeletedJob],
        search_term: str,
    ) -> tuple[QuerySet[DeletedJob], bool]:
        term = search_term.strip()
        if not term or "\x00" in term:
            return (queryset.none() if term else queryset), False
        # An index leads from provider and id; our own ids are looked for among the newest.
        at_provider = queryset.filter(provider__in=names.PROVIDERS, external_id=term)
        found = first_found(at_provider, newest(queryset).filter(job_id=term))
        return queryset.filter(pk__in=found), False

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: DeletedJob | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: DeletedJob) -> None:
        """Take the deletion back."""
        deleting.take_back(actor_of(request), [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DeletedJob]) -> None:
        """Take many back."""
        deleting.take_back(actor_of(request), queryset)


class NewestStatus(NewestChoices):
    """Of steps in the history."""

    title = _("status, of the newest 100,000")
    parameter_name = "status__exact"
    field = "status"


class NewestSource(NewestChoices):
    """Who noticed a step."""

    title = _("noticed by, of the newest 100,000")
    parameter_name = "source__exact"
    field = "source"


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyMixin, LargeTableMixin, JobSearchMixin, admin.ModelAdmin[StatusChange]):
    """Every change of status: what events were made of."""

    list_display = ("id", "its_job", "previous", "status", "source", "provider_time", "recorded_at")
    list_filter = (NewestStatus, NewestSource)
    list_select_related = ("job",)
    sortable_by = ("id",)

    @admin.display(description=_("job"))
    def its_job(self, change: StatusChange) -> SafeString | str:
        return job_link(change.job)


@admin.register(JobLog)
class JobLogAdmin(ReadOnlyMixin, LargeTableMixin, JobSearchMixin, admin.ModelAdmin[JobLog]):
    """Logs that were saved: how much of each there is. What is in them stands on the job's page."""

    list_display = ("id", "its_job", "characters", "left_out_characters", "is_final", "is_cut", "saved_at")
    fields = (
        "its_job",
        "characters",
        "head_characters",
        "left_out_characters",
        "is_final",
        "is_cut",
        "saved_at",
        "text_page",
    )
    list_select_related = ("job",)
    ordering = ("-pk",)
    sortable_by = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobLog]:
        # A page of logs can be gigabytes.
        return super().get_queryset(request).defer("compressed")

    @admin.display(description=_("job"))
    def its_job(self, log: JobLog) -> SafeString | str:
        return job_link(log.job)

    @admin.display(description=_("text"))
    def text_page(self, log: JobLog) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("job-logs", args=[log.job.job_id]), _("On the job's page"))


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyMixin, LargeTableMixin, JobSearchMixin, admin.ModelAdmin[IdempotencyKey]):
    """Keys of submissions, which give the same job for a day."""

    list_display = ("key", "scope", "its_job", "created_at")
    list_select_related = ("job",)
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("job"))
    def its_job(self, key: IdempotencyKey) -> SafeString | str:
        return job_link(key.job)


def _synced(count: int) -> str:
    return ngettext("%(count)d job was synced.", "%(count)d jobs were synced.", count) % {"count": count}


def _cancelled(count: int) -> str:
    return ngettext("Cancel was asked for %(count)d job.", "Cancel was asked for %(count)d jobs.", count) % {
        "count": count
    }
