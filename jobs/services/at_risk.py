"""What somebody should know in time: money that is nearly spent, logs that are about to be deleted."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.access import VIEW_ALL, Actor
from jobs.lifecycle import ACTIVE, LogsState
from jobs.models import UnifiedJob
from jobs.services import cost_limits
from jobs.services.cost_limits import CostCheck
from jobs.services.log_standing import PROVIDER_KEEPS
from providers import registry

NEARLY_USED_PERCENT = 80
# Before that, a log that could not be read is asked for again as a matter of course.
LAST_CHANCES = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class UsedLimit:
    """A provider's cost limit of which most is used."""

    provider: str
    check: CostCheck

    @property
    def percent(self) -> int:
        return int(self.check.spent_usd / self.check.limit_usd * 100)


@dataclass(frozen=True, slots=True)
class VanishingLogs:
    """Logs of ended jobs that could not be read yet. ``soonest_at``: when the provider deletes the first of them."""

    count: int
    soonest_at: datetime


def used_limits(actor: Actor, now: datetime) -> list[UsedLimit]:
    """The cost limits that are nearly reached, for those who see what everybody spends."""
    if not actor.can(VIEW_ALL):
        return []
    found = [(name, cost_limits.check(name, now)) for name in registry.provider_names()]
    used = [UsedLimit(name, check) for name, check in found if check is not None]
    return [limit for limit in used if limit.percent >= NEARLY_USED_PERCENT]


def used_budgets(actor: Actor) -> list[str]:
    """The ids of running jobs that were told to have used most of their budgets."""
    jobs = (
        UnifiedJob.objects.visible_to(actor)
        .active()
        .filter(budget_usd__isnull=False, budget_told_percent__gte=NEARLY_USED_PERCENT)
    )
    return list(jobs.order_by("pk").values_list("job_id", flat=True))


def vanishing_logs(actor: Actor, now: datetime) -> VanishingLogs | None:
    """Those that their provider deletes within minutes; nothing while there are none."""
    ended = now - PROVIDER_KEEPS
    jobs = UnifiedJob.objects.visible_to(actor).filter(
        # The index of logs that are still to be read.
        next_log_capture_at__isnull=False,
        logs_state=LogsState.LIVE,
        completed_at__gt=ended,
        completed_at__lte=ended + LAST_CHANCES,
    )
    times = [at for at in jobs.exclude(status__in=ACTIVE).order_by().values_list("completed_at", flat=True) if at]
    return VanishingLogs(len(times), min(times) + PROVIDER_KEEPS) if times else None
