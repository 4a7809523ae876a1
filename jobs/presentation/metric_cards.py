"""The numbers above the list."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import Actor
from jobs.lifecycle import JobStatus
from jobs.presentation.formats import duration, money, percent
from jobs.services.metrics import Metrics, collect

PERIOD_DAYS = 30


@dataclass(frozen=True, slots=True)
class MetricCard:
    """One number, what it is, and a note. ``parameters`` is the query string of the jobs it counts, if it has one."""

    key: str
    label: str
    value: str
    note: str
    parameters: str = ""


def metric_cards(actor: Actor) -> list[MetricCard]:
    """The six cards, from one reading of what ``actor`` may see."""
    numbers = collect(PERIOD_DAYS, actor=actor)
    return [
        _running(numbers),
        MetricCard(
            key="queued",
            label=_("Queued"),
            value=str(numbers.queued_count),
            note=_("waiting to start"),
            parameters=f"status={JobStatus.QUEUED}",
        ),
        _burn_rate(numbers),
        MetricCard(
            key="month",
            label=_("Spent this month"),
            value=money(numbers.month_cost_usd),
            note=_("since %(day)s, UTC") % {"day": date_format(timezone.now().replace(day=1), "j M")},
        ),
        _success_rate(numbers),
        MetricCard(
            key="wait",
            label=_("Median wait"),
            value=duration(numbers.median_wait_seconds) or "–",
            note=_("from created to started, 30 days"),
        ),
    ]


def _running(numbers: Metrics) -> MetricCard:
    return MetricCard(
        key="running",
        label=_("Running now"),
        value=str(numbers.running_count),
        note=ngettext("%(count)s job active in all", "%(count)s jobs active in all", numbers.active_count)
        % {"count": numbers.active_count},
        parameters=f"status={JobStatus.RUNNING}",
    )


def _burn_rate(numbers: Metrics) -> MetricCard:
    unknown = numbers.burn_rate_unknown_jobs
    return MetricCard(
        key="burn",
        label=_("Burn rate"),
        value=_("%(amount)s/h") % {"amount": money(numbers.burn_rate_usd_per_hour)},
        note=_("+%(count)s of unknown price") % {"count": unknown} if unknown else _("all running jobs"),
        parameters=f"status={JobStatus.RUNNING}",
    )


def _success_rate(numbers: Metrics) -> MetricCard:
    completed = numbers.jobs_by_status[JobStatus.COMPLETED]
    failed = numbers.jobs_by_status[JobStatus.FAILED]
    if numbers.success_rate is None:
        value, note = "–", _("nothing ended in 30 days")
    else:
        value = percent(numbers.success_rate * 100)
        note = _("%(completed)s completed, %(failed)s failed, 30 days") % {"completed": completed, "failed": failed}
    return MetricCard(
        key="success", label=_("Success rate"), value=value, note=note, parameters=f"status={JobStatus.FAILED}"
    )
