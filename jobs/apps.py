"""The jobs application."""

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_delete, post_migrate
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Jobs, their history, queue and prices."""

    name = "jobs"
    verbose_name = _("Training jobs")

    def ready(self) -> None:
        # Imported here because models exist only now.
        from jobs.services import actors, call_governor, job_counts, provider_calls, telemetry, token_source
        from providers import registry

        post_migrate.connect(actors.ensure_roles, sender=self)
        post_migrate.connect(job_counts.ensure_counted, sender=self)
        post_delete.connect(actors.forget_owner, sender=settings.AUTH_USER_MODEL)
        registry.govern_calls(call_governor.CallGovernor)
        registry.use_credentials(token_source.stored_token)
        for observer in (telemetry.count_provider_call, provider_calls.note_clock, provider_calls.note_count):
            if observer not in call_governor.observers:
                call_governor.observers.append(observer)
