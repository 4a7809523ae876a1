"""What is not well with the service, one line each, for the strip below the page's head."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from jobs.access import VIEW_ALL, Actor
from jobs.services import health
from providers import names


@dataclass(frozen=True, slots=True)
class Notice:
    """A part that is not well, and what it says of itself. ``label`` is empty if the message begins with the name."""

    key: str
    label: str
    message: str
    is_grave: bool


# Who does not need to be told of, as the trouble of these explains it.
CAUSES = {
    "workers": ("redis",),
    "beat": ("redis",),
    "queue": ("redis", "workers"),
    "poller": ("redis", "workers", "beat"),
    "replicate": ("redis",),
}


# These tell of everybody's jobs, or of the machine.
FOR_THOSE_WHO_SEE_ALL = frozenset({"queue", "webhooks", "disk"})


def notices(actor: Actor) -> list[Notice]:
    """Nothing while all is well. No provider is asked: what is remembered of its last calls is told."""
    troubled = {part.name: part for part in health.report().components if part.status is not health.Health.HEALTHY}
    return [
        Notice(
            key=component.name,
            label="" if component.message.startswith(_label(component.name)) else _label(component.name),
            message=component.message,
            is_grave=component.status is health.Health.UNHEALTHY,
        )
        for component in troubled.values()
        if (actor.can(VIEW_ALL) or component.name not in FOR_THOSE_WHO_SEE_ALL)
        and not any(cause in troubled for cause in CAUSES.get(component.name, ()))
    ]


def _label(name: str) -> str:
    labels = {
        "database": _("Database"),
        "redis": _("Redis"),
        "workers": _("Background updates"),
        "beat": _("Background updates"),
        "poller": _("Background updates"),
        "queue": _("Queue"),
        "webhooks": _("Webhooks"),
        "disk": _("Disk"),
    }
    return labels.get(name) or names.LABELS.get(name, name)
