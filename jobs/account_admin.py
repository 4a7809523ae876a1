"""Accounts in the administration: people, their roles and teams, their keys, and the record of who did what."""

from http import HTTPStatus
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jobs.access import Actor
from jobs.admin_rows import ReadOnlyMixin
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
        return [*super().get_readonly_fields(request, obj), "is_staff", *fixed]

    def save_related(self, request: HttpRequest, form: ModelForm[User], formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        user = form.instance
        accounts.follow_role(user)
        action = "account.change" if change else "account.create"
        audit.record(
            _actor(request), action, user.get_username(), role=accounts.role_of(user), changed=form.changed_data
        )

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            audit.record(_actor(request), "account.password", User.objects.get(pk=id).get_username())
        return response

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        audit.record(_actor(request), "account.delete", obj.get_username())
        super().delete_model(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # One at a time, each with a row of its own in the audit log.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin[Team]):
    """Teams."""

    list_display = ("name",)
    search_fields = ("name",)


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
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "user")
    search_fields = ("prefix", "name", "user__username")
    list_select_related = ("user",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """End the selected keys for good."""
        revoked = 0
        for pk in queryset.filter(revoked_at__isnull=True).values_list("pk", flat=True):
            try:
                api_keys.revoke_key(_actor(request), pk)
            except (api_keys.KeyNotFound, api_keys.KeyRefused) as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                revoked += 1
        told = ngettext("%(count)d key was revoked.", "%(count)d keys were revoked.", revoked) % {"count": revoked}
        self.message_user(request, told, messages.SUCCESS if revoked else messages.WARNING)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyMixin, admin.ModelAdmin[AuditEntry]):
    """Who did what."""

    list_display = ("at", "actor", "via", "address", "action", "target", "outcome")
    list_filter = ("outcome", "action")
    search_fields = ("actor", "target", "address")
    search_help_text = _("A part of a name, of what it was done to, or of an address")
    date_hierarchy = "at"
    show_full_result_count = False


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor
