"""The operator's view of the store. What providers report is shown, never edited; actions call the services."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jobs import account_admin, admin_tokens  # noqa: F401  Django looks for this module alone
from jobs.access import Actor
from jobs.admin_rows import ReadOnlyMixin
from jobs.lifecycle import Source
from jobs.models import (
    DeletedJob,
    HardwarePrice,
    HistoryWalk,
    ModelHardware,
    PollCycle,
    ProviderCredential,
    ProviderSettings,
    QueueEntry,
    StatusChange,
    UnifiedJob,
    WebhookDelivery,
)
from jobs.services import cancelling, deleting, sync, webhooks
from jobs.services.lookup import InvalidState
from providers.errors import ProviderError

admin.site.site_header = _("SimpleTuner Cloud")
admin.site.site_title = _("SimpleTuner Cloud")
admin.site.index_title = _("Operation")


class StatusChangeInline(ReadOnlyMixin, admin.TabularInline[StatusChange, UnifiedJob]):
    """The history of a job, newest first."""

    model = StatusChange
    fields = ("previous", "status", "source", "provider_time", "recorded_at")
    extra = 0


@admin.register(UnifiedJob)
class UnifiedJobAdmin(admin.ModelAdmin[UnifiedJob]):
    """Jobs: everything a provider reports is read-only; the name is ours to set."""

    list_display = (
        "job_id",
        "config_name",
        "status",
        "provider",
        "progress",
        "cost_usd",
        "created_at",
        "last_synced_at",
    )
    list_filter = ("status", "provider", "job_type", "hardware_type")
    search_fields = ("=job_id", "=external_id", "config_name")
    search_help_text = _("The exact id, or a part of the name")
    date_hierarchy = "created_at"
    show_full_result_count = False
    list_per_page = 50
    inlines = (StatusChangeInline,)
    actions = ("sync_now", "cancel")
    editable = ("config_name",)

    def get_readonly_fields(self, _request: HttpRequest, _obj: UnifiedJob | None = None) -> list[str]:
        return [field.name for field in UnifiedJob._meta.fields if field.name not in self.editable]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: UnifiedJob | None = None) -> bool:
        return obj is not None and obj.is_terminal and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Deleting in bulk would take active jobs along, which go on billing unseen.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.action(description=_("Sync now"), permissions=["change"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[UnifiedJob]) -> None:
        """Ask the providers for the selected jobs."""
        self._each(request, queryset, lambda job: sync.refresh_job(job, source=Source.PERSON), _synced)

    @admin.action(description=_("Cancel"), permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[UnifiedJob]) -> None:
        """Ask the providers to end the selected jobs."""
        actor = _actor_of(request)
        self._each(request, queryset, lambda job: cancelling.cancel_job(actor, job.job_id), _cancelled)

    def delete_model(self, request: HttpRequest, obj: UnifiedJob) -> None:
        """Delete the record, so that no sync brings it back."""
        deleting.delete_job(_actor_of(request), obj.job_id)

    def _each(
        self,
        request: HttpRequest,
        jobs: QuerySet[UnifiedJob],
        act: Callable[[UnifiedJob], object],
        tell: Callable[[int], str],
    ) -> None:
        done = 0
        for job in jobs:
            try:
                act(job)
            except (ProviderError, InvalidState, PermissionDenied) as error:
                self.message_user(request, f"{job}: {error}", messages.ERROR)
            else:
                done += 1
        if done:
            self.message_user(request, tell(done), messages.SUCCESS)


@admin.register(DeletedJob)
class DeletedJobAdmin(admin.ModelAdmin[DeletedJob]):
    """Jobs whose record was deleted. Whoever deletes such a row lets its job come back with the next sync."""

    list_display = ("job_id", "provider", "external_id", "deleted_at", "deleted_by")
    list_filter = ("provider",)
    search_fields = ("=job_id", "=external_id")
    date_hierarchy = "deleted_at"

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: DeletedJob | None = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: DeletedJob) -> None:
        """Take the deletion back."""
        deleting.take_back(_actor_of(request), [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DeletedJob]) -> None:
        """Take many back."""
        deleting.take_back(_actor_of(request), queryset)


@admin.register(QueueEntry)
class QueueEntryAdmin(ReadOnlyMixin, admin.ModelAdmin[QueueEntry]):
    """The queue, in the order in which it is served."""

    list_display = ("job", "status", "priority", "queued_at", "started_at", "finished_at", "attempts", "reason")
    list_filter = ("status", "priority")
    search_fields = ("=job__job_id", "job__config_name")
    list_select_related = ("job",)
    date_hierarchy = "queued_at"


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyMixin, admin.ModelAdmin[StatusChange]):
    """Every change of status: what events were made of."""

    list_display = ("id", "job", "previous", "status", "source", "provider_time", "recorded_at")
    list_filter = ("status", "source")
    search_fields = ("=job__job_id", "=job__external_id")
    list_select_related = ("job",)
    date_hierarchy = "recorded_at"
    show_full_result_count = False


@admin.register(PollCycle)
class PollCycleAdmin(ReadOnlyMixin, admin.ModelAdmin[PollCycle]):
    """What the poller did, cycle by cycle."""

    list_display = ("started_at", "provider", "seconds", "active_jobs", "refreshed", "changed", "failed", "error")
    list_filter = ("provider",)
    date_hierarchy = "started_at"
    show_full_result_count = False


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyMixin, admin.ModelAdmin[WebhookDelivery]):
    """The inbox: every signed delivery, and what was made of it."""

    list_display = (
        "received_at",
        "provider",
        "verdict",
        "job",
        "external_id",
        "event",
        "repeats",
        "body_bytes",
        "short_hash",
        "webhook_id",
        "error",
    )
    list_filter = ("verdict", "provider")
    search_fields = ("=webhook_id", "=external_id", "=job__job_id", "body_sha256__startswith")
    search_help_text = _("The exact id of a delivery or a job, or the beginning of a body's hash")
    list_select_related = ("job",)
    date_hierarchy = "received_at"
    show_full_result_count = False
    actions = ("apply_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        # A page of bodies can be gigabytes.
        return super().get_queryset(request).defer("content")

    @admin.display(description=_("SHA-256"))
    def short_hash(self, delivery: WebhookDelivery) -> str:
        return delivery.body_sha256[:12]

    @admin.action(description=_("Apply again"))
    def apply_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """Have the worker try the selected deliveries again whose body is still kept."""
        count = webhooks.apply_again(queryset.values_list("pk", flat=True))
        self.message_user(request, _tried_again(count), messages.SUCCESS if count else messages.WARNING)


@admin.register(HistoryWalk)
class HistoryWalkAdmin(ReadOnlyMixin, admin.ModelAdmin[HistoryWalk]):
    """Walks through what a provider still lists, to rebuild a store."""

    list_display = (
        "started_at",
        "provider",
        "state",
        "pages",
        "seen",
        "found",
        "updated",
        "unreadable",
        "updated_at",
        "finished_at",
        "error",
    )
    list_filter = ("provider", "state")
    date_hierarchy = "started_at"


@admin.register(HardwarePrice)
class HardwarePriceAdmin(admin.ModelAdmin[HardwarePrice]):
    """The price table: a new price is a new row with its own day."""

    list_display = ("provider", "hardware", "label", "usd_per_second", "effective_from", "source")
    list_filter = ("provider", "hardware")
    search_fields = ("hardware", "label")


@admin.register(ModelHardware)
class ModelHardwareAdmin(admin.ModelAdmin[ModelHardware]):
    """Which machine a model runs on; without it the cost of its jobs is unknown."""

    list_display = ("provider", "model", "hardware")
    search_fields = ("model", "hardware")


@admin.register(ProviderSettings)
class ProviderSettingsAdmin(admin.ModelAdmin[ProviderSettings]):
    """What is set for a provider while we run."""

    list_display = ("provider", "webhook_url")


admin.site.register(ProviderCredential, admin_tokens.ProviderCredentialAdmin)


def _actor_of(request: HttpRequest) -> Actor:
    """Who acts, as the middleware found."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor


def _tried_again(count: int) -> str:
    if not count:
        return str(_("None of these deliveries can be applied again: their bodies are no longer kept."))
    return ngettext(
        "%(count)d delivery is applied again within a few seconds.",
        "%(count)d deliveries are applied again within a few seconds.",
        count,
    ) % {"count": count}


def _synced(count: int) -> str:
    return ngettext("%(count)d job was synced.", "%(count)d jobs were synced.", count) % {"count": count}


def _cancelled(count: int) -> str:
    return ngettext("Cancel was asked for %(count)d job.", "Cancel was asked for %(count)d jobs.", count) % {
        "count": count
    }


from jobs import submission_admin  # noqa: E402, F401
