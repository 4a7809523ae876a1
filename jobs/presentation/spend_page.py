"""What was spent, as tables with bars, and the limit of cost."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import CHANGE_LIMITS, VIEW_ALL, Actor
from jobs.models import CostAction, CostPeriod
from jobs.presentation.formats import day_and_month, money, percent, weekday_and_year
from jobs.presentation.job_rows import hardware_labels, provider_label
from jobs.services import cost_limits, spend
from jobs.services.spend import Group, Spend, SpendRow
from providers import names

PERIODS = (7, 30, 90, 365)
DEFAULT_PERIOD = 30


@dataclass(frozen=True, slots=True)
class SpendLine:
    """One row: ``share`` of the dearest row, 0 to 100, is the length of its bar."""

    label: str
    cost: str
    share: float
    jobs: int
    note: str


@dataclass(frozen=True, slots=True)
class SpendTable:
    """One grouping."""

    key: str
    title: str
    head: str
    lines: list[SpendLine]


@dataclass(frozen=True, slots=True)
class LimitView:
    """The limit of one provider: ``value`` is the used share, 0 to 100, ``None`` while the limit is off."""

    provider: str
    label: str
    value: float | None
    text: str
    tone: str
    can_change: bool
    enabled: bool
    amount: str
    period: str
    action: str
    periods: list[tuple[str, str]]
    actions: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SpendPage:
    """Everything that the page shows. ``is_own``: only of the reader's own jobs."""

    days: int
    periods: list[tuple[int, str]]
    total: str
    month: str
    month_since: str
    jobs: int
    unknown: str
    is_own: bool
    tables: list[SpendTable]
    limits: list[LimitView]


def spend_page(actor: Actor, days: int, now: datetime) -> SpendPage:
    """A few queries for each grouping, whatever the number of jobs."""
    groups = [Group.DAY, Group.PROVIDER, Group.HARDWARE]
    if actor.can(VIEW_ALL) and not settings.SINGLE_USER:
        groups.append(Group.OWNER)
    found = {group: spend.collect(actor, days=days, group=group, now=now) for group in groups}
    by_day = found[Group.DAY]
    return SpendPage(
        days=days,
        periods=[(count, ngettext("%(n)s day", "%(n)s days", count) % {"n": count}) for count in PERIODS],
        total=money(by_day.total_usd),
        month=money(spend.spent_this_month(actor, now)),
        month_since=day_and_month(now.replace(day=1)),
        jobs=by_day.jobs,
        unknown=_unknown(by_day.unknown),
        is_own=not actor.can(VIEW_ALL),
        tables=[_table(sums) for sums in found.values()],
        limits=[_limit(actor, name, now) for name in names.PROVIDERS] if actor.can(VIEW_ALL) else [],
    )


def period_of(text: str) -> int:
    """The period that an address names; anything else is the usual one."""
    return int(text) if text in {str(count) for count in PERIODS} else DEFAULT_PERIOD


def _table(sums: Spend) -> SpendTable:
    titles = {
        Group.DAY: (_("By day"), _("Day (UTC)")),
        Group.PROVIDER: (_("By provider"), _("Provider")),
        Group.HARDWARE: (_("By hardware"), _("Hardware")),
        Group.OWNER: (_("By owner"), _("Owner")),
    }
    title, head = titles[sums.group]
    labels = hardware_labels() if sums.group is Group.HARDWARE else {}
    # The newest day stands first; days without a job only make the table long.
    rows = [row for row in reversed(sums.rows) if row.jobs] if sums.group is Group.DAY else list(sums.rows)
    dearest = max((row.cost_usd for row in rows), default=Decimal(0))
    return SpendTable(
        key=sums.group.value,
        title=title,
        head=head,
        lines=[
            SpendLine(
                label=_label(sums.group, row, labels),
                cost=money(row.cost_usd),
                share=float(row.cost_usd / dearest * 100) if dearest else 0.0,
                jobs=row.jobs,
                note=_unknown(row.unknown),
            )
            for row in rows
        ],
    )


def _label(group: Group, row: SpendRow, hardware: dict[str, str]) -> str:
    match group:
        case Group.DAY:
            return weekday_and_year(date.fromisoformat(row.key))
        case Group.PROVIDER:
            return provider_label(row.key)
        case Group.HARDWARE:
            return hardware.get(row.key, row.key) or _("Unknown hardware")
        case Group.OWNER:
            return row.key or _("Nobody here")


def _unknown(count: int) -> str:
    if not count:
        return ""
    return ngettext("+ %(count)s of unknown cost", "+ %(count)s of unknown cost", count) % {"count": count}


def _limit(actor: Actor, provider: str, now: datetime) -> LimitView:
    limit, check = cost_limits.current_limit(provider), cost_limits.check(provider, now)
    used = float(check.spent_usd / check.limit_usd * 100) if check else None
    words = {
        CostPeriod.DAILY: _("spent today"),
        CostPeriod.WEEKLY: _("spent this week"),
        CostPeriod.MONTHLY: _("spent this month"),
    }
    text = _("There is no limit.")
    if check and used is not None:
        text = _("%(spent)s of %(limit)s (%(percent)s) %(when)s") % {
            "spent": money(check.spent_usd),
            "limit": money(check.limit_usd),
            "percent": percent(used),
            "when": words[limit.period],
        }
    return LimitView(
        provider=provider,
        label=names.LABELS.get(provider, provider),
        value=None if used is None else min(used, 100.0),
        text=text,
        tone="danger" if used is not None and used >= 100 else "warning" if used is not None and used >= 80 else "info",
        can_change=actor.can(CHANGE_LIMITS),
        enabled=limit.enabled,
        amount=f"{limit.amount:.2f}" if limit.amount is not None else "",
        period=limit.period.value,
        action=limit.action.value,
        periods=[(value, str(label)) for value, label in CostPeriod.choices],
        actions=[
            (CostAction.WARN.value, _("Warn whoever submits a job")),
            (CostAction.BLOCK.value, _("Refuse further jobs")),
        ],
    )
