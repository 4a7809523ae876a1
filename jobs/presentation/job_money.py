"""What a job costs and why, and how its budget stands."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from jobs.budgets import FULL, Standing, running_cost
from jobs.models import HardwarePrice, UnifiedJob
from jobs.presentation.costs import CostView, cost_view
from jobs.presentation.formats import CENT, day_and_year, money, number, percent
from jobs.pricing import Price

SECONDS_PER_HOUR = 3600
WARNING_PERCENT = 80


@dataclass(frozen=True, slots=True)
class BudgetView:
    """A budget as a bar and in words. ``value``: 0 to 100; ``None`` if the cost is not known."""

    amount: str
    value: float | None
    text: str
    tone: str
    note: str


@dataclass(frozen=True, slots=True)
class JobMoney:
    """The cost by now, the multiplication behind it, and the budget, if there is one."""

    cost: CostView
    reckoning: str
    price_since: str
    budget: BudgetView | None
    budget_input: str


def job_money(job: UnifiedJob, now: datetime) -> JobMoney:
    """Two queries, for all the prices."""
    prices = HardwarePrice.objects.book()
    cost = running_cost(job, prices, now) if job.is_active and job.started_at else job.cost_usd
    price = prices.price(job.provider, job.hardware_type, job.started_at.date()) if job.started_at else None
    return JobMoney(
        cost=cost_view(cost, status=job.status, started_at=job.started_at, hardware=job.hardware_type),
        reckoning=_reckoning(job, price, now),
        price_since=day_and_year(price.effective_from) if price else "",
        budget=_budget(job, cost, is_priced=cost is not None),
        budget_input=_input(job.budget_usd),
    )


def _input(amount: Decimal | None) -> str:
    """An amount as a field holds it: in cents, unless that would change it."""
    if amount is None:
        return ""
    return f"{amount:.2f}" if amount == amount.quantize(CENT) else f"{amount.normalize():f}"


def budget_note(told_percent: int, budget_usd: Decimal | None) -> str:
    """The last mark that was told of, in a few words for a row; nothing below the first."""
    if budget_usd is None or not told_percent:
        return ""
    return _("%(percent)s of %(budget)s") % {"percent": percent(told_percent), "budget": money(budget_usd)}


def _reckoning(job: UnifiedJob, price: Price | None, now: datetime) -> str:
    seconds = job.run_seconds if job.is_terminal and job.run_seconds is not None else job.duration_seconds(now)
    if price is None or seconds is None:
        return ""
    sign = "≈ " if job.is_active else ""
    return _("%(sign)s%(seconds)s s × $%(price)s/s (%(hourly)s/h)") % {
        "sign": sign,
        "seconds": number(seconds, 0),
        "price": f"{price.usd_per_second.normalize():f}",
        "hourly": money(price.usd_per_second * SECONDS_PER_HOUR),
    }


def _budget(job: UnifiedJob, cost: Decimal | None, *, is_priced: bool) -> BudgetView | None:
    if job.budget_usd is None:
        return None
    amount = money(job.budget_usd)
    used = Standing(job.budget_usd, cost).percent if is_priced else None
    if used is None:
        note = _("The price of its hardware is not known, so the budget cannot be watched.")
        return BudgetView(amount, None, amount, "warning", note)
    words = {"cost": money(cost or Decimal(0)), "budget": amount, "percent": percent(float(used))}
    return BudgetView(
        amount=amount,
        value=min(float(used), 100.0),
        text=_("%(cost)s of %(budget)s (%(percent)s)") % words,
        tone="danger" if used >= FULL else "warning" if used >= WARNING_PERCENT else "info",
        note=_budget_words(job, used),
    )


def _budget_words(job: UnifiedJob, used: Decimal) -> str:
    if job.is_terminal:
        return ""
    if used >= FULL:
        return _("Budget reached: cancel sent") if job.is_cancelling else _("Budget reached")
    if job.budget_told_percent:
        return _("%(percent)s of the budget used") % {"percent": percent(job.budget_told_percent)}
    return _("When it is used up, the job's end is asked for.")
