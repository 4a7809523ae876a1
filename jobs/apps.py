"""The jobs application."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Jobs, their history, queue and prices."""

    name = "jobs"
    verbose_name = _("Training jobs")

    def ready(self) -> None:
        # Imported here because models exist only now.
        from jobs.services import call_governor, provider_calls, telemetry
        from providers import registry

        registry.govern_calls(call_governor.CallGovernor)
        for observer in (telemetry.count_provider_call, provider_calls.note_clock):
            if observer not in call_governor.observers:
                call_governor.observers.append(observer)
