"""Budgets of single jobs: set by people, watched by a tick (docs/adr/0013-cancelling-and-budgets.md)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from django.db import transaction
from django.utils import timezone

from jobs import events
from jobs.access import Actor
from jobs.budgets import FULL, Standing, running_cost
from jobs.lifecycle import JobType
from jobs.models import HardwarePrice, UnifiedJob
from jobs.pricing import CENT_FRACTION, PriceBook
from jobs.services import audit
from jobs.services.cancel_wishes import BUDGET_WATCH
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.permitted import changeable_job

ANNOUNCEMENT = "job_budget"
LARGEST_BUDGET = Decimal(10) ** 8
WATCHED = (
    *("pk", "job_id", "provider", "hardware_type", "started_at", "cost_usd", "budget_usd", "budget_told_percent"),
    *("external_id", "status", "cancel_requested_at"),
)


class InvalidBudget(ValueError):
    """What was given is no budget for this job."""


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """A job's cost by now, and its budget. ``is_watched``: false too if nobody knows the price of its machine."""

    job: UnifiedJob
    cost_usd: Decimal | None
    is_watched: bool

    @property
    def percent(self) -> Decimal | None:
        return Standing(self.job.budget_usd, self.cost_usd).percent if self.job.budget_usd is not None else None

    @property
    def message(self) -> str:
        """What whoever sets a budget has to be told."""
        if self.job.budget_usd is None:
            return "The job has no budget."
        if not self.is_watched:
            return "The price of the job's hardware is not known, so the budget cannot be watched."
        return f"At ${self.job.budget_usd:.2f} the job's end is asked for."


def parse_budget(value: object) -> Decimal | None:
    """A budget in US dollars, to the millionth; ``None`` and an empty text mean none. Raises ``InvalidBudget``."""
    if value is None or value == "":
        return None
    try:
        # By way of its text: 0.1 means a tenth, not the number next to it that a float can hold.
        amount = Decimal(str(value).strip()).quantize(CENT_FRACTION)
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 < amount < LARGEST_BUDGET:
        raise InvalidBudget("A budget is an amount of US dollars greater than 0.")
    return amount


def set_budget(actor: Actor, job_id: str, budget_usd: Decimal | None) -> UnifiedJob:
    """Set, change or remove the budget of an active job. A changed one is told of anew.

    A wish of the old budget that no provider has taken yet is withdrawn. Raises ``JobNotFound``, ``PermissionDenied``,
    ``InvalidState`` for an ended job, ``InvalidBudget`` for less than it has cost already: that would be to cancel it.
    """
    found = changeable_job(actor, job_id, "job.budget")
    prices, now = HardwarePrice.objects.book(), timezone.now()
    with transaction.atomic():
        job = UnifiedJob.objects.select_for_update().filter(pk=found.pk).first()
        if job is None:
            raise JobNotFound(job_id)
        if job.is_terminal:
            raise InvalidState(f"The job has already ended ({job.status}).")
        if job.job_type != JobType.CLOUD:
            raise InvalidState("The job runs on its own machine, and costs nothing.")
        if job.budget_usd == budget_usd:
            return job
        cost = running_cost(job, prices, now)
        if budget_usd is not None and cost is not None and cost >= budget_usd:
            raise InvalidBudget(f"The job has already cost ${cost:.2f}. To end it, cancel it.")
        audit.record(actor, "job.budget", job.job_id, was=_text(job.budget_usd), budget_usd=_text(budget_usd))
        job.budget_usd, job.budget_told_percent = budget_usd, 0
        fields = ["budget_usd", "budget_told_percent"]
        if job.cancel_requested_by == BUDGET_WATCH.name and job.cancel_accepted_at is None:
            job.cancel_requested_at, job.cancel_requested_by, job.cancel_error = None, "", ""
            fields += ["cancel_requested_at", "cancel_requested_by", "cancel_error"]
        job.save(update_fields=fields)
    return job


def standing(job: UnifiedJob) -> BudgetStanding:
    """How the budget of a job stands by now."""
    prices, now = HardwarePrice.objects.book(), timezone.now()
    if job.is_terminal:
        return BudgetStanding(job, job.cost_usd, is_watched=False)
    cost = running_cost(job, prices, now)
    is_priced = prices.price(job.provider, job.hardware_type, (job.started_at or now).date()) is not None
    return BudgetStanding(job, cost, is_watched=job.budget_usd is not None and (is_priced or bool(job.cost_usd)))


def watch() -> int:
    """Look at the budgets of all active jobs, whoever polls or does not; returns how many reached a mark.

    A mark is told once. At the last one the job's end is wished for, which the next tick puts to its provider. The
    number of queries does not depend on how many budgets there are.
    """
    watched = UnifiedJob.objects.active().filter(budget_usd__isnull=False, budget_told_percent__lt=FULL)
    jobs = list(watched.only(*WATCHED))
    if not jobs:
        return 0
    prices, now = HardwarePrice.objects.book(), timezone.now()
    news = [job.pk for job in jobs if _mark(job, prices, now) > job.budget_told_percent]
    if not news:
        return 0
    with transaction.atomic():
        # Once more, now that nobody else can tell of them or change them.
        locked = UnifiedJob.objects.active().select_for_update().filter(pk__in=news, budget_usd__isnull=False)
        return _tell(list(locked.order_by("pk")), prices, now)


def _tell(jobs: Sequence[UnifiedJob], prices: PriceBook, now: datetime) -> int:
    reached: dict[int, list[UnifiedJob]] = defaultdict(list)
    for job in jobs:
        mark = _mark(job, prices, now)
        if mark > job.budget_told_percent:
            reached[mark].append(job)
    for mark, some in reached.items():
        UnifiedJob.objects.filter(pk__in=[job.pk for job in some]).update(budget_told_percent=mark)
        facts = {job.job_id: _facts(job, mark, prices, now) for job in some}
        audit.record_all(BUDGET_WATCH, "job.budget.reached", facts)
        for job in some:
            events.announce(ANNOUNCEMENT, {"job_id": job.job_id, "percent": mark}, events.owner_of(job))
    _wish_for_the_end(reached[FULL], now)
    return sum(len(some) for some in reached.values())


def _wish_for_the_end(jobs: Sequence[UnifiedJob], now: datetime) -> None:
    """In the transaction that tells of the mark: a crash loses both or neither. What costs is at a provider."""
    wanted = {job.pk: job for job in jobs if job.external_id is not None and job.cancel_requested_at is None}
    if not wanted:
        return
    UnifiedJob.objects.filter(pk__in=wanted).update(
        cancel_requested_at=now, cancel_requested_by=BUDGET_WATCH.name, cancel_error=""
    )
    audit.record_all(BUDGET_WATCH, "job.cancel", {job.job_id: {"was": job.status} for job in wanted.values()})


def _facts(job: UnifiedJob, mark: int, prices: PriceBook, now: datetime) -> dict[str, int | str | None]:
    cost = running_cost(job, prices, now)
    return {"percent": mark, "cost_usd": _text(cost), "budget_usd": _text(job.budget_usd)}


def _mark(job: UnifiedJob, prices: PriceBook, now: datetime) -> int:
    assert job.budget_usd is not None
    return Standing(job.budget_usd, running_cost(job, prices, now)).mark


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"
