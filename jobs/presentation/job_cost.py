"""What a job costs, and how that comes about: run time, times the price in force on the day of its start."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.models import HardwarePrice, UnifiedJob
from jobs.presentation.costs import CostView, cost_view
from jobs.presentation.formats import day_and_year, duration, moment, money, number
from jobs.presentation.job_rows import provider_label

SECONDS_PER_HOUR = 3600
# What a provider and we make of the same seconds may differ by rounding.
TOLERANCE_USD = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class JobCost:
    """The cost, and what it is made of; an empty text: not known. ``ticks_since``: the run time still grows."""

    cost: CostView
    is_active: bool
    seconds: str
    run_time: str
    ticks_since: str
    run_time_source: str
    hardware: str
    price_per_second: str
    price_per_hour: str
    price_since: str
    price_source: str
    product: str
    differs: bool


def job_cost(job: UnifiedJob, now: datetime | None = None) -> JobCost:
    """How a job's cost comes about: one query more than the job itself."""
    now = now or timezone.now()
    seconds, source = _run_seconds(job, now)
    price = _price(job)
    product = price.usd_per_second * Decimal(str(seconds)) if price and seconds is not None else None
    started = moment(job.started_at, now)
    is_final = job.is_terminal and job.cost_usd is not None
    return JobCost(
        cost=cost_view(job.cost_usd, status=job.status, started_at=job.started_at, hardware=job.hardware_type),
        is_active=job.is_active,
        seconds="" if seconds is None else number(seconds, 1),
        run_time=duration(seconds),
        ticks_since=started.iso if started and job.is_active else "",
        run_time_source=source,
        hardware=(price.label if price else "") or job.hardware_type or "",
        price_per_second=f"${price.usd_per_second.normalize():f}" if price else "",
        price_per_hour=money(price.usd_per_second * SECONDS_PER_HOUR) if price else "",
        price_since=day_and_year(price.effective_from) if price else "",
        price_source=price.source if price else "",
        product=money(product) if product is not None else "",
        differs=bool(is_final and product is not None and abs(product - (job.cost_usd or 0)) > TOLERANCE_USD),
    )


def _run_seconds(job: UnifiedJob, now: datetime) -> tuple[float | None, str]:
    """The run time that is paid for, and who says so."""
    if job.is_terminal and job.run_seconds is not None:
        return job.run_seconds, _("as billed by %(provider)s") % {"provider": provider_label(job.provider)}
    seconds = job.duration_seconds(now)
    if seconds is None:
        return None, ""
    return seconds, _("from its start until now") if job.is_active else _("from its start to its end")


def _price(job: UnifiedJob) -> HardwarePrice | None:
    """The price in force on the day of the start."""
    if job.hardware_type is None or job.started_at is None:
        return None
    prices = HardwarePrice.objects.filter(provider=job.provider, hardware=job.hardware_type)
    return prices.filter(effective_from__lte=job.started_at.date()).order_by("-effective_from").first()
