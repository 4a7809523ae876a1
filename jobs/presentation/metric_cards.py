"""The numbers above the list."""

from dataclasses import dataclass, replace

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import VIEW_ALL, Actor
from jobs.lifecycle import JobStatus
from jobs.models import CostPeriod
from jobs.presentation.formats import day_and_month, duration, money, number, percent
from jobs.services import cost_limits
from jobs.services.metrics import Metrics, collect
from providers import names

PERIOD_DAYS = 30
# From here on a limit is worth a look.
WARNING_SHARE = 80


@dataclass(frozen=True, slots=True)
class MetricCard:
    """One number, what it is, and a note.

    ``address``: where more is told of it. ``share``: how much of a limit it is, 0 to 100; ``None``: there is none.
    """

    key: str
    label: str
    value: str
    note: str
    address: str
    share: float | None = None
    tone: str = "info"


def metric_cards(actor: Actor) -> list[MetricCard]:
    """The six cards, from one reading of what ``actor`` may see."""
    numbers = collect(PERIOD_DAYS, actor=actor)
    return [
        _running(numbers),
        MetricCard(
            key="queued",
            label=_("Queued"),
            value=number(numbers.queued_count),
            note=_("waiting to start"),
            address=_jobs(JobStatus.QUEUED),
        ),
        _burn_rate(numbers),
        _month(numbers, actor),
        _success_rate(numbers),
        MetricCard(
            key="wait",
            label=_("Median wait"),
            value=duration(numbers.median_wait_seconds) or "–",
            note=_("from created to started, 30 days"),
            address=_jobs(JobStatus.QUEUED),
        ),
    ]


def _jobs(status: JobStatus) -> str:
    return f"{reverse('dashboard')}?status={status}"


def _month(numbers: Metrics, actor: Actor) -> MetricCard:
    now = timezone.now()
    card = MetricCard(
        key="month",
        label=_("Spent this month"),
        value=money(numbers.month_cost_usd),
        note=_("since %(day)s, UTC") % {"day": day_and_month(now.replace(day=1))},
        address=reverse("spend"),
    )
    # The limit is of everybody's jobs: who sees their own alone could not make sense of it.
    used = []
    for provider in names.PROVIDERS if actor.can(VIEW_ALL) else ():
        if check := cost_limits.check(provider, now):
            period = cost_limits.current_limit(provider).period
            used.append((float(check.spent_usd / check.limit_usd * 100), check.limit_usd, period))
    if not used:
        return card
    share, limit, period = max(used)
    words = {
        CostPeriod.DAILY: _("%(percent)s of %(limit)s a day used"),
        CostPeriod.WEEKLY: _("%(percent)s of %(limit)s a week used"),
        CostPeriod.MONTHLY: _("%(percent)s of %(limit)s a month used"),
    }
    note = words[period] % {"percent": percent(share), "limit": money(limit)}
    tone = "danger" if share >= 100 else "warning" if share >= WARNING_SHARE else "info"
    return replace(card, note=note, share=min(share, 100.0), tone=tone)


def _running(numbers: Metrics) -> MetricCard:
    return MetricCard(
        key="running",
        label=_("Running now"),
        value=number(numbers.running_count),
        note=ngettext("%(count)s job active in all", "%(count)s jobs active in all", numbers.active_count)
        % {"count": numbers.active_count},
        address=_jobs(JobStatus.RUNNING),
    )


def _burn_rate(numbers: Metrics) -> MetricCard:
    unknown = numbers.burn_rate_unknown_jobs
    return MetricCard(
        key="burn",
        label=_("Burn rate"),
        value=_("%(amount)s/h") % {"amount": money(numbers.burn_rate_usd_per_hour)},
        note=_("+%(count)s of unknown price") % {"count": unknown} if unknown else _("all running jobs"),
        address=_jobs(JobStatus.RUNNING),
    )


def _success_rate(numbers: Metrics) -> MetricCard:
    completed = numbers.jobs_by_status[JobStatus.COMPLETED]
    failed = numbers.jobs_by_status[JobStatus.FAILED]
    if numbers.success_rate is None:
        value, note = "–", _("nothing ended in 30 days")
    else:
        value = percent(numbers.success_rate * 100)
        note = _("%(completed)s completed, %(failed)s failed, 30 days") % {"completed": completed, "failed": failed}
    return MetricCard(key="success", label=_("Success rate"), value=value, note=note, address=_jobs(JobStatus.FAILED))
