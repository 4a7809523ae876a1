"""Accounts in the administration: people, their roles and teams, their keys, and the record of who did what."""

from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jobs.admin_lists import LargeTableMixin, NewestChoices, NewestValues, first_found, newest
from jobs.admin_rows import ReadOnlyMixin, actor_of, as_text
from jobs.models import ApiKey, AuditEntry, Membership, Team
from jobs.services import accounts, api_keys, audit

admin.site.unregister(User)


class MembershipInline(admin.TabularInline[Membership, User]):
    """The team of an account."""

    model = Membership
    extra = 0


@admin.register(User)
class AccountAdmin(UserAdmin[User]):
    """People. Their groups are their roles; who is an admin may come in here, and nobody else."""

    list_display = ("username", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "groups")
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        # It follows the role; and nobody makes more of an account than they are.
        fixed = [] if request.user.is_superuser else ["is_superuser"]
        return [*super().get_readonly_fields(request, obj), "is_staff", "last_login", "date_joined", *fixed]

    def save_related(self, request: HttpRequest, form: ModelForm[User], formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        user = form.instance
        accounts.follow_role(user)
        action = "account.change" if change else "account.create"
        audit.record(
            actor_of(request), action, user.get_username(), role=accounts.role_of(user), changed=form.changed_data
        )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            audit.record(actor_of(request), "account.password", User.objects.get(pk=id).get_username())
        return response

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        audit.record(actor_of(request), "account.delete", obj.get_username())
        super().delete_model(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # One at a time, each with a row of its own in the audit log.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin[Team]):
    """Teams."""

    list_display = ("name", "members")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        return super().get_queryset(request).annotate(people=Count("memberships"))

    @admin.display(description=_("people"))
    def members(self, team: Team) -> int:
        found: int = team.people  # type: ignore[attr-defined]
        return found


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin[Membership]):
    """Who belongs to which team."""

    list_display = ("user", "team")
    list_filter = ("team",)
    list_select_related = ("user", "team")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyMixin, admin.ModelAdmin[ApiKey]):
    """Everybody's keys, without what would open anything. Keys are made by their owners, who alone see them once."""

    list_display = ("prefix", "name", "user", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    fields = list_display
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("prefix", "name", "user__username")
    list_select_related = ("user",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End the selected keys for good."""
        revoked = 0
        for pk in queryset.filter(revoked_at__isnull=True).values_list("pk", flat=True):
            try:
                api_keys.revoke_key(actor_of(request), pk)
            except (api_keys.KeyNotFound, api_keys.KeyRefused) as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                revoked += 1
        told = ngettext("%(count)d key was revoked.", "%(count)d keys were revoked.", revoked) % {"count": revoked}
        self.message_user(request, told, messages.SUCCESS if revoked else messages.WARNING)


class AuditOutcomes(NewestChoices):
    """What came of it."""

    title = _("outcome, of the newest 100,000")
    parameter_name = "outcome__exact"
    field = "outcome"


class AuditActions(NewestValues):
    """What was done, as far as it was done lately."""

    title = _("what, of the newest 100,000")
    parameter_name = "action"
    field = "action"


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyMixin, LargeTableMixin, admin.ModelAdmin[AuditEntry]):
    """Who did what."""

    list_display = ("at", "actor", "via", "address", "action", "of_what", "outcome")
    fields = ("at", "actor", "user", "via", "address", "action", "of_what", "outcome", "shown_details")
    list_filter = (AuditOutcomes, AuditActions)
    search_fields = ("target",)
    search_help_text = _(
        "The exact id of what it was done to, the exact name of an account, or, of the newest 100,000 entries, "
        "a part of a name, an address or an action"
    )
    sortable_by = ("at",)

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[AuditEntry],
        search_term: str,
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        if not term or "\x00" in term:
            return (queryset.none() if term else queryset), False
        told = ("actor", "target", "address", "action")
        anywhere = Q()
        for name in told:
            anywhere |= Q(**{f"{name}__icontains": term})
        found = first_found(
            queryset.filter(target=term),
            queryset.filter(user__in=User.objects.filter(username=term)),
            newest(queryset).filter(anywhere),
        )
        return queryset.filter(pk__in=found), False

    @admin.display(description=_("of what"))
    def of_what(self, entry: AuditEntry) -> SafeString | str:
        """A link where it was done to a job; whether that is still here is seen behind it."""
        if not entry.target or not entry.action.startswith("job."):
            return entry.target or "–"
        return format_html('<a href="{}">{}</a>', reverse("job", args=[entry.target]), entry.target)

    @admin.display(description=_("details"))
    def shown_details(self, entry: AuditEntry) -> SafeString:
        return as_text(entry.details)
