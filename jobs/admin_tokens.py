"""Providers' tokens in the admin: set and forgotten by the services, and never shown."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from jobs.access import CONFIGURE_PROVIDERS
from jobs.admin_rows import actor_of
from jobs.models import ProviderCredential
from jobs.services import provider_tokens
from jobs.services.lookup import InvalidState
from jobs.services.provider_tokens import TokenRefused
from jobs.token_text import LONGEST_TOKEN, checked_token, masked
from providers import names
from providers.errors import UnknownProvider


class TokenForm(forms.Form):
    """A new token. The field is empty at first, and again after a mistake."""

    provider = forms.ChoiceField(label=_("Provider"), choices=[(name, names.LABELS[name]) for name in names.PROVIDERS])
    token = forms.CharField(
        label=_("Token"),
        max_length=LONGEST_TOKEN,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false", "size": 50}),
        help_text=_("Kept encrypted, and never shown again but for its last four characters."),
    )
    check = forms.BooleanField(
        label=_("Ask the provider first whether it takes the token"), required=False, initial=True
    )

    def clean_token(self) -> str:
        try:
            return checked_token(self.cleaned_data["token"])
        except ValueError as error:
            raise forms.ValidationError(_("The token %(reason)s."), params={"reason": error}) from None


class ProviderCredentialAdmin(admin.ModelAdmin[ProviderCredential]):
    """Tokens that were stored. One that the environment gives stands nowhere here."""

    list_display = ("provider", "shown", "set_at", "set_by")
    form_template = "admin/jobs/providercredential/token_form.html"

    @admin.display(description=_("token"))
    def shown(self, credential: ProviderCredential) -> str:
        return masked(credential.last_four)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).can(CONFIGURE_PROVIDERS)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return actor_of(request).can(CONFIGURE_PROVIDERS)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @method_decorator(sensitive_post_parameters("token"))
    def changeform_view(  # type: ignore[override]
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        """Ask for a new token, for a first time or in place of the one that is stored."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        stored = ProviderCredential.objects.filter(pk=_id(object_id)).first()
        tokens = reverse("admin:jobs_providercredential_changelist")
        for name in names.PROVIDERS:
            if request.method == "POST" and f"forget-{name}" in request.POST:
                self._forget(request, name)
                return redirect(tokens)
        form = TokenForm(request.POST or None, initial={"provider": stored.provider} if stored else None)
        if request.method == "POST" and form.is_valid() and self._set(request, form):
            return redirect(tokens)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Set a provider's token"),
            "form": form,
            "original": stored,
            "standings": [(name, names.LABELS[name], provider_tokens.token_standing(name)) for name in names.PROVIDERS],
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.form_template, context)

    def delete_model(self, request: HttpRequest, obj: ProviderCredential) -> None:
        """Forget it, by the service: the provider is not asked any more."""
        self._forget(request, obj.provider)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:  # noqa: ARG002
        """Say no more than the service did."""
        return redirect(reverse("admin:jobs_providercredential_changelist"))

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[Any]:  # noqa: ARG002
        """The audit log tells of it."""
        return []

    def _forget(self, request: HttpRequest, provider: str) -> None:
        try:
            change = provider_tokens.remove_token(actor_of(request), provider)
        except (InvalidState, UnknownProvider) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, change.message, messages.SUCCESS)

    def _set(self, request: HttpRequest, form: TokenForm) -> bool:
        values = form.cleaned_data
        try:
            change = provider_tokens.set_token(
                actor_of(request), values["provider"], values["token"], check=values["check"]
            )
        except TokenRefused as error:
            form.add_error("token", str(error))
        except InvalidState as error:
            form.add_error(None, str(error))
        else:
            self.message_user(request, change.message, messages.SUCCESS)
            return True
        return False


def _id(text: str | None) -> int:
    """The key that an address names; 0, which no row has, for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
