"""The charts of the last days: each is a table, which the browser draws."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.access import Actor
from jobs.lifecycle import ACTIVE, JobStatus
from jobs.presentation.formats import day_and_month, money, number
from jobs.services import trends
from jobs.services.trends import Day


@dataclass(frozen=True, slots=True)
class Column:
    """One kind of number; ``tone`` is its colour."""

    label: str
    tone: str


@dataclass(frozen=True, slots=True)
class Row:
    """One day: a number for each column, and how it is written."""

    label: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DayChart:
    """Oldest day first. ``summary`` says in words what the drawing shows; ``unit`` stands before its numbers."""

    key: str
    title: str
    summary: str
    unit: str
    columns: list[Column]
    rows: list[Row]


def day_charts(actor: Actor, now: datetime | None = None) -> list[DayChart]:
    """Nothing if there were no jobs; without costs, no chart of them."""
    found = trends.days(actor, now)
    if not any(day.jobs_by_status for day in found):
        return []
    charts = [_jobs(found)]
    if any(day.cost_usd for day in found):
        charts.insert(0, _costs(found))
    return charts


def _costs(found: list[Day]) -> DayChart:
    total = sum((day.cost_usd for day in found), Decimal(0))
    return DayChart(
        key="cost",
        title=_("Cost by day"),
        summary=_("%(total)s in %(days)s days") % {"total": money(total), "days": len(found)},
        unit="$",
        columns=[Column(_("Cost"), "info")],
        rows=[Row(_day(day), [(f"{day.cost_usd:.4f}", money(day.cost_usd))]) for day in found],
    )


def _jobs(found: list[Day]) -> DayChart:
    kinds: list[tuple[Column, Callable[[Day], int]]] = [
        (Column(_("Completed"), "success"), lambda day: day.jobs_by_status.get(JobStatus.COMPLETED, 0)),
        (Column(_("Failed"), "danger"), lambda day: day.jobs_by_status.get(JobStatus.FAILED, 0)),
        (Column(_("Cancelled"), "neutral"), lambda day: day.jobs_by_status.get(JobStatus.CANCELLED, 0)),
        (Column(_("Active"), "info"), lambda day: sum(day.jobs_by_status.get(status, 0) for status in ACTIVE)),
    ]
    total = sum(sum(day.jobs_by_status.values()) for day in found)
    words = ngettext("%(count)s job in %(days)s days", "%(count)s jobs in %(days)s days", total)
    return DayChart(
        key="jobs",
        title=_("Jobs by status"),
        summary=words % {"count": total, "days": len(found)},
        unit="",
        columns=[column for column, _count in kinds],
        rows=[Row(_day(day), [(str(count(day)), number(count(day))) for _column, count in kinds]) for day in found],
    )


def _day(day: Day) -> str:
    return day_and_month(day.day)
