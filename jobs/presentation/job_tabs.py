"""The parts of a job's page, each of which has an address of its own."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

OVERVIEW, LOGS, CHARTS, CONFIG, EVENTS, COST = "job", "job-logs", "job-charts", "job-config", "job-events", "job-cost"
LABELS: dict[str, Promise | str] = {
    OVERVIEW: _("Overview"),
    LOGS: _("Logs"),
    CHARTS: _("Charts"),
    CONFIG: _("Config"),
    EVENTS: _("Events"),
    COST: _("Cost"),
}


@dataclass(frozen=True, slots=True)
class Tab:
    """A link to one part of the page."""

    label: str
    address: str
    is_current: bool


def job_tabs(job_id: str, current: str) -> list[Tab]:
    """All parts, by the names of their addresses."""
    return [Tab(str(label), reverse(name, args=[job_id]), name == current) for name, label in LABELS.items()]
