"""What is not well with the service, one line each, for the strip below the page's head."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from jobs.services import health
from providers import names


@dataclass(frozen=True, slots=True)
class Notice:
    """A part that is not well, and what it says of itself. ``label`` is empty if the message begins with the name."""

    key: str
    label: str
    message: str
    is_grave: bool


def notices() -> list[Notice]:
    """Nothing while all is well. No provider is asked: what is remembered of its last calls is told."""
    return [
        Notice(
            key=component.name,
            label="" if component.message.startswith(_label(component.name)) else _label(component.name),
            message=component.message,
            is_grave=component.status is health.Health.UNHEALTHY,
        )
        for component in health.report().components
        if component.status is not health.Health.HEALTHY
    ]


def _label(name: str) -> str:
    labels = {"database": _("Database"), "redis": _("Redis"), "poller": _("Background updates")}
    return labels.get(name) or names.LABELS.get(name, name)
