"""The jobs application."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Jobs, their history, queue and prices."""

    name = "jobs"
    verbose_name = _("Training jobs")

    def ready(self) -> None:
        # Imported here because models exist only now.
        from jobs.services import call_governor, telemetry
        from providers import registry

        registry.govern_calls(call_governor.CallGovernor)
        if telemetry.count_provider_call not in call_governor.observers:
            call_governor.observers.append(telemetry.count_provider_call)
