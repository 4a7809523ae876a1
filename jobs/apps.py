"""The jobs application."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Jobs, their history, queue and prices."""

    name = "jobs"
    verbose_name = _("Training jobs")
