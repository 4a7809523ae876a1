"""What runs in the background, in the administration: queue, poller, webhooks, imports of a history."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jobs import access
from jobs.admin_lists import (
    JobSearchMixin,
    LargeTableMixin,
    NewestChoices,
    OfProvider,
    WithError,
    first_found,
    job_pks,
    newest,
)
from jobs.admin_rows import ReadOnlyMixin, actor_of, as_text, job_link
from jobs.models import HistoryWalk, PollCycle, QueueEntry, QueueLimits, WebhookDelivery, WebhookVerdict
from jobs.models.queue import OPEN
from jobs.services import audit, webhooks
from providers import names


class EntryStatus(NewestChoices):
    """Of entries in the queue; open ones are few."""

    title = _("status")
    parameter_name = "status__exact"
    field = "status"
    indexed = frozenset(OPEN)


@admin.register(QueueEntry)
class QueueEntryAdmin(ReadOnlyMixin, LargeTableMixin, JobSearchMixin, admin.ModelAdmin[QueueEntry]):
    """The queue, newest entry first. The page of the queue has the order in which it is served, and changes it."""

    list_display = (
        "id",
        "its_job",
        "status",
        "priority",
        "priority_override",
        "queued_at",
        "started_at",
        "finished_at",
        "attempts",
        "reason",
    )
    list_filter = (EntryStatus,)
    list_select_related = ("job",)
    ordering = ("-pk",)
    sortable_by = ("id",)

    @admin.display(description=_("job"))
    def its_job(self, entry: QueueEntry) -> SafeString | str:
        return job_link(entry.job)


@admin.register(QueueLimits)
class QueueLimitsAdmin(ReadOnlyMixin, admin.ModelAdmin[QueueLimits]):
    """How much may run at once. It is changed on the page of the queue, which says what changed in the audit log."""

    list_display = (
        "max_concurrent",
        "user_max_concurrent",
        "team_max_concurrent",
        "enable_fair_share",
        "ageing_minutes",
        "updated_at",
        "where",
    )
    fields = list_display
    sortable_by = ()

    @admin.display(description=_("changed where"))
    def where(self, limits: QueueLimits) -> SafeString:  # noqa: ARG002
        return format_html('<a href="{}">{}</a>', reverse("queue"), _("Page of the queue"))


@admin.register(PollCycle)
class PollCycleAdmin(ReadOnlyMixin, LargeTableMixin, admin.ModelAdmin[PollCycle]):
    """What the poller did, cycle by cycle."""

    list_display = ("started_at", "provider", "seconds", "active_jobs", "refreshed", "changed", "failed", "error")
    list_filter = (WithError, OfProvider)
    sortable_by = ("started_at",)


class DeliveryVerdict(NewestChoices):
    """Of deliveries; what is not applied yet is found however old it is."""

    title = _("verdict, of the newest 100,000")
    parameter_name = "verdict__exact"
    field = "verdict"
    indexed = frozenset({WebhookVerdict.RECEIVED})


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyMixin, LargeTableMixin, admin.ModelAdmin[WebhookDelivery]):
    """The inbox: every signed delivery, and what was made of it."""

    list_display = (
        "received_at",
        "provider",
        "verdict",
        "its_job",
        "external_id",
        "event",
        "repeats",
        "body_bytes",
        "short_hash",
        "webhook_id",
        "error",
    )
    list_filter = (DeliveryVerdict, WithError, OfProvider)
    search_fields = ("webhook_id",)
    search_help_text = _(
        "The exact id of a delivery, an id or the name of a job, or, of the newest 100,000, "
        "the beginning of a body's hash"
    )
    list_select_related = ("job",)
    sortable_by = ("received_at",)
    actions = ("apply_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        # A page of bodies can be gigabytes.
        return super().get_queryset(request).defer("content")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[WebhookDelivery],
        search_term: str,
    ) -> tuple[QuerySet[WebhookDelivery], bool]:
        term = search_term.strip()
        if not term or "\x00" in term:
            return (queryset.none() if term else queryset), False
        recent = newest(queryset)
        found = first_found(
            queryset.filter(provider__in=names.PROVIDERS, webhook_id=term),
            queryset.filter(job__in=job_pks(term)),
            # Of jobs that are not here.
            recent.filter(external_id=term),
            recent.filter(body_sha256__startswith=term.lower()),
        )
        return queryset.filter(pk__in=found), False

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).can(access.SYNC)

    @admin.display(description=_("job"))
    def its_job(self, delivery: WebhookDelivery) -> SafeString | str:
        return job_link(delivery.job)

    @admin.display(description=_("SHA-256"))
    def short_hash(self, delivery: WebhookDelivery) -> str:
        return delivery.body_sha256[:12]

    @admin.action(description=_("Apply again"), permissions=["replay"])
    def apply_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """Have the worker try the selected deliveries again whose body is still kept."""
        count = webhooks.apply_again(queryset.values_list("pk", flat=True))
        if count:
            audit.record(actor_of(request), "webhook.apply_again", deliveries=count)
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
    fields = (*list_display[:-1], "failures", "next_try_at", "error", "positions")
    list_filter = ("state", OfProvider)

    @admin.display(description=_("next pages"))
    def positions(self, walk: HistoryWalk) -> SafeString:
        return as_text(walk.cursors)


def _tried_again(count: int) -> str:
    if not count:
        return str(_("None of these deliveries can be applied again: their bodies are no longer kept."))
    return ngettext(
        "%(count)d delivery is applied again within a few seconds.",
        "%(count)d deliveries are applied again within a few seconds.",
        count,
    ) % {"count": count}
