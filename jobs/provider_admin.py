"""What is set for providers, in the administration: prices, machines, settings. All of it goes into the audit log."""

from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.access import CONFIGURE_PROVIDERS
from jobs.admin_rows import actor_of
from jobs.admin_tokens import ProviderCredentialAdmin
from jobs.models import HardwarePrice, ModelHardware, ProviderCredential, ProviderSettings
from jobs.services import audit, provider_config, provider_options
from providers import names

Row = TypeVar("Row", bound=Model)


class AuditedMixin:
    """A table that is edited by hand: who changed what is written down. ``subject``: what the log calls it."""

    subject: str

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)  # type: ignore[misc]
        action = "change" if change else "create"
        values: dict[str, Any] = {name: str(getattr(obj, name)) for name in form.changed_data}
        audit.record(actor_of(request), f"{self.subject}.{action}", str(obj), **values)

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        audit.record(actor_of(request), f"{self.subject}.delete", str(obj))
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(HardwarePrice)
class HardwarePriceAdmin(AuditedMixin, admin.ModelAdmin[HardwarePrice]):
    """The price table: a new price is a new row with its own day."""

    subject = "price"
    list_display = ("provider", "hardware", "label", "usd_per_second", "effective_from", "source")
    list_filter = ("provider", "hardware")
    search_fields = ("hardware", "label")


@admin.register(ModelHardware)
class ModelHardwareAdmin(AuditedMixin, admin.ModelAdmin[ModelHardware]):
    """Which machine a model runs on; without it the cost of its jobs is unknown."""

    subject = "model_hardware"
    list_display = ("provider", "model", "hardware")
    list_filter = ("hardware",)
    search_fields = ("model", "hardware")


class ProviderSettingsForm(forms.ModelForm[ProviderSettings]):
    """Looks at values as the services will, so that whoever types them is told beside the field."""

    class Meta:
        model = ProviderSettings
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "webhook_url" in self.changed_data and "webhook_url" in values:
            try:
                provider_config.webhook_destination(values["webhook_url"] or "")
            except ValueError as error:
                self.add_error("webhook_url", ValidationError(_("The webhook URL %(reason)s.") % {"reason": error}))
        if values.get("cost_limit_enabled") and values.get("cost_limit_amount") is None:
            self.add_error("cost_limit_amount", ValidationError(_("A limit that is on needs an amount.")))
        return values


@admin.register(ProviderSettings)
class ProviderSettingsAdmin(admin.ModelAdmin[ProviderSettings]):
    """What is set for a provider while we run. Without a row, the enterprise file decides, and there is no limit."""

    form = ProviderSettingsForm
    list_display = ("provider", "webhook_url", "cost_limit_enabled", "cost_limit_amount", "cost_limit_period")

    def get_readonly_fields(self, _request: HttpRequest, obj: ProviderSettings | None = None) -> tuple[str, ...]:
        return ("provider",) if obj else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "provider":
            return forms.ChoiceField(
                label=db_field.verbose_name, choices=[(name, names.LABELS[name]) for name in names.PROVIDERS]
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).can(CONFIGURE_PROVIDERS)

    def has_change_permission(self, request: HttpRequest, obj: ProviderSettings | None = None) -> bool:  # noqa: ARG002
        return actor_of(request).can(CONFIGURE_PROVIDERS)

    def has_delete_permission(self, request: HttpRequest, obj: ProviderSettings | None = None) -> bool:  # noqa: ARG002
        return actor_of(request).can(CONFIGURE_PROVIDERS)

    def save_model(self, request: HttpRequest, obj: ProviderSettings, form: Any, change: bool) -> None:  # noqa: ARG002
        """By the service that the API and the pages call: it writes what was changed, and the audit log."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name != "provider"}
        provider_options.change_options(actor_of(request), obj.provider, changes)
        obj.pk = ProviderSettings.objects.get_or_create(provider=obj.provider)[0].pk

    def delete_model(self, request: HttpRequest, obj: ProviderSettings) -> None:
        """Let the enterprise file decide again."""
        audit.record(actor_of(request), "provider.settings.delete", obj.provider)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ProviderSettings]) -> None:
        for row in queryset:
            self.delete_model(request, row)


admin.site.register(ProviderCredential, ProviderCredentialAdmin)
