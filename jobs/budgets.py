"""What a job's budget means. Pure: the cost is given, the prices are given, the clock is given."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from jobs.pricing import PriceBook

# Told once each, in per cent of the budget; at the last one the job's end is asked for.
MARKS = (50, 80, 100)
FULL = 100


class Billed(Protocol):
    """A job, as far as its cost is concerned."""

    @property
    def provider(self) -> str: ...
    @property
    def hardware_type(self) -> str | None: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def cost_usd(self) -> Decimal | None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands. ``cost_usd``: so far; ``None`` if the price of the job is not known."""

    budget_usd: Decimal
    cost_usd: Decimal | None

    @property
    def percent(self) -> Decimal | None:
        return None if self.cost_usd is None else self.cost_usd / self.budget_usd * 100

    @property
    def mark(self) -> int:
        """The highest mark that is reached; 0 if none."""
        percent = self.percent
        return 0 if percent is None else max((mark for mark in MARKS if percent >= mark), default=0)


def running_cost(job: Billed, prices: PriceBook, now: datetime) -> Decimal | None:
    """What an active job has cost by now: what is known of it, or its run time at the price of its machine.

    Nothing for one that has not started; ``None`` if it runs at a price that nobody knows.
    """
    if job.started_at is None:
        return job.cost_usd or Decimal(0)
    computed = prices.cost(
        provider=job.provider,
        hardware=job.hardware_type,
        started_at=job.started_at,
        run_seconds=max((now - job.started_at).total_seconds(), 0.0),
    )
    known = [cost for cost in (job.cost_usd, computed) if cost is not None]
    return max(known, default=None)
