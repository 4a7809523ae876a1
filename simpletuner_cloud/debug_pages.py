"""Django's own error pages (SIMPLETUNER_DEBUG): all that a developer wants to see, but no secret."""

from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter

from jobs.known_secrets import without_secrets


class MaskingReporter(ExceptionReporter):
    """Reports an error with every known secret masked, wherever it stands: settings, variables, messages."""

    def get_traceback_html(self) -> SafeString:
        return SafeString(without_secrets(super().get_traceback_html()))

    def get_traceback_text(self) -> SafeString:
        return SafeString(without_secrets(super().get_traceback_text()))
