"""Budgets of single jobs: what they mean, who is told, and what happens at the end (jobs.services.budgets)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import events
from jobs.access import SYSTEM, VIEW_ALL, VIEW_OWN, Actor
from jobs.budgets import Standing, running_cost
from jobs.lifecycle import Source
from jobs.models import AuditEntry, HardwarePrice, StatusChange, UnifiedJob
from jobs.pricing import Price, PriceBook
from jobs.services import budgets, sync
from jobs.services.cancel_requests import pursue_cancellations
from jobs.services.cancel_wishes import note_wish
from jobs.services.lookup import InvalidState
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# An hour of an H100 costs $5.49.
HOUR_OF_H100 = Decimal("5.49")
PRICES = PriceBook([Price("replicate", "gpu-h100", NOON.date(), Decimal("0.001525"))])


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    monkeypatch.setattr(events, "announce", lambda kind, facts, _audience: found.append((kind, facts)))
    return found


def hour_old(make_job: MakeJob, **fields: Any) -> UnifiedJob:
    """A job that has cost $5.49, whatever its row says."""
    defaults = {"hardware_type": "gpu-h100", "started_at": timezone.now() - timedelta(hours=1)}
    return make_job(**(defaults | fields))


def known(job: UnifiedJob) -> UnifiedJob:
    job.refresh_from_db()
    return job


@pytest.mark.parametrize(
    ("cost", "mark"), [("4.99", 0), ("5", 50), ("7.99", 50), ("8", 80), ("9.999999", 80), ("10", 100), ("99", 100)]
)
def test_marks_are_reached_at_their_per_cent(cost: str, mark: int) -> None:
    assert Standing(Decimal(10), Decimal(cost)).mark == mark


def test_unknown_cost_reaches_no_mark() -> None:
    assert (Standing(Decimal(10), None).mark, Standing(Decimal(10), None).percent) == (0, None)


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        pytest.param({"started_at": None}, Decimal(0), id="not started"),
        pytest.param({"cost_usd": Decimal(1)}, HOUR_OF_H100, id="the row is behind"),
        pytest.param({"cost_usd": Decimal(9)}, Decimal(9), id="the provider knows of more"),
        pytest.param({"hardware_type": None}, None, id="unknown machine"),
        pytest.param({"hardware_type": None, "cost_usd": Decimal(2)}, Decimal(2), id="only the provider knows"),
        pytest.param({"started_at": NOON + timedelta(hours=5)}, Decimal(0), id="a start that lies ahead"),
    ],
)
def test_running_cost_is_start_to_now_at_the_price_of_the_machine(
    make_job: MakeJob, fields: dict[str, Any], cost: Decimal | None
) -> None:
    job = make_job(**({"hardware_type": "gpu-h100", "started_at": NOON} | fields))
    assert running_cost(job, PRICES, NOON + timedelta(hours=1)) == cost


@pytest.mark.parametrize(
    ("given", "amount"),
    [(None, None), ("", None), ("12.5", Decimal("12.5")), (0.1, Decimal("0.1")), (3, Decimal(3)), (" 1 ", Decimal(1))],
)
def test_budget_is_read_exactly(given: object, amount: Decimal | None) -> None:
    assert budgets.parse_budget(given) == amount


@pytest.mark.parametrize("given", [0, -1, "0.0000001", "NaN", "Infinity", "1e9", "abc", True, [], "1,5", "9" * 40])
def test_what_is_no_budget_is_refused(given: object) -> None:
    with pytest.raises(budgets.InvalidBudget, match="greater than 0"):
        budgets.parse_budget(given)


def test_each_mark_is_told_once(make_job: MakeJob, announced: list[tuple[str, Any]]) -> None:
    job = hour_old(make_job, budget_usd=Decimal(10))
    assert (budgets.watch(), budgets.watch()) == (1, 0)
    assert known(job).budget_told_percent == 50
    UnifiedJob.objects.update(started_at=timezone.now() - timedelta(minutes=100))
    assert (budgets.watch(), budgets.watch()) == (1, 0)
    assert known(job).budget_told_percent == 80
    assert job.cancel_requested_at is None
    assert announced == [
        ("job_budget", {"job_id": job.job_id, "percent": 50}),
        ("job_budget", {"job_id": job.job_id, "percent": 80}),
    ]
    entries = AuditEntry.objects.filter(action="job.budget.reached").order_by("pk")
    assert [(entry.target, entry.details["percent"]) for entry in entries] == [(job.job_id, 50), (job.job_id, 80)]
    assert entries[0].details["budget_usd"] == "10"


def test_used_up_budget_asks_for_the_end_which_is_the_providers_to_confirm(sandbox: RunningSandbox) -> None:
    plan = {"kind": "prediction", "model": "simpletuner/advanced-trainer-h100", "created_offset": -3600}
    external = sandbox.add_job(**plan, durations={"queue": 1, "train": 900_000})
    sync.discover_jobs("replicate")
    job = UnifiedJob.objects.get(external_id=external["id"])
    UnifiedJob.objects.filter(pk=job.pk).update(budget_usd=Decimal(5))
    assert budgets.watch() == 1
    assert (known(job).status, job.is_cancelling, job.budget_told_percent) == ("running", True, 100)
    assert job.cancel_requested_by == "budget watch"
    assert pursue_cancellations() == 1
    assert known(job).status == "cancelled"
    assert StatusChange.objects.filter(job=job, status="cancelled").get().source == Source.BUDGET
    assert AuditEntry.objects.filter(action="job.cancel", actor="budget watch").count() == 1
    assert budgets.watch() == 0


def test_a_persons_wish_is_not_taken_over_by_the_budget(make_job: MakeJob) -> None:
    at = timezone.now() - timedelta(minutes=1)
    job = hour_old(make_job, budget_usd=Decimal(5), cancel_requested_at=at, cancel_requested_by="ann")
    budgets.watch()
    assert (known(job).cancel_requested_at, job.cancel_requested_by) == (at, "ann")


def test_raised_budget_is_told_of_anew_and_withdraws_a_wish_that_nobody_took(make_job: MakeJob) -> None:
    job = hour_old(make_job, budget_usd=Decimal(5))
    budgets.watch()
    assert known(job).is_cancelling
    budgets.set_budget(SYSTEM, job.job_id, Decimal(10))
    assert not known(job).is_cancelling
    assert job.budget_told_percent == 0
    assert budgets.watch() == 1
    assert known(job).budget_told_percent == 50


def test_person_who_wants_the_same_as_the_budget_is_not_overruled_by_a_greater_one(make_job: MakeJob) -> None:
    job = hour_old(make_job, budget_usd=Decimal(5))
    budgets.watch()
    first = known(job).cancel_requested_at
    note_wish(replace(SYSTEM, name="ann"), job.pk)
    assert (known(job).cancel_requested_at, job.cancel_requested_by) == (first, "ann")
    budgets.set_budget(SYSTEM, job.job_id, Decimal(10))
    assert known(job).is_cancelling


def test_wish_that_the_provider_has_taken_cannot_be_withdrawn(make_job: MakeJob) -> None:
    job = hour_old(make_job, budget_usd=Decimal(5))
    budgets.watch()
    UnifiedJob.objects.update(cancel_accepted_at=timezone.now())
    budgets.set_budget(SYSTEM, job.job_id, None)
    assert known(job).is_cancelling


def test_budget_below_the_cost_so_far_is_refused(make_job: MakeJob) -> None:
    job = hour_old(make_job)
    with pytest.raises(budgets.InvalidBudget, match=r"already cost \$5\.\d\d\. To end it, cancel it"):
        budgets.set_budget(SYSTEM, job.job_id, Decimal(5))
    assert known(job).budget_usd is None


def test_same_budget_again_changes_nothing(make_job: MakeJob) -> None:
    job = hour_old(make_job, budget_usd=Decimal(10), budget_told_percent=50)
    budgets.set_budget(SYSTEM, job.job_id, Decimal("10.00"))
    assert known(job).budget_told_percent == 50
    assert AuditEntry.objects.count() == 0


def test_ended_and_local_jobs_take_no_budget_and_others_jobs_take_it_from_nobody(make_job: MakeJob) -> None:
    for fields in ({"status": "failed"}, {"job_type": "local", "external_id": None}):
        with pytest.raises(InvalidState):
            budgets.set_budget(SYSTEM, make_job(**fields).job_id, Decimal(5))
    onlooker = Actor(None, "eve", frozenset({VIEW_OWN, VIEW_ALL}), "session")
    with pytest.raises(PermissionDenied):
        budgets.set_budget(onlooker, make_job().job_id, Decimal(5))


def test_budget_that_cannot_be_watched_says_so(make_job: MakeJob) -> None:
    job = hour_old(make_job, hardware_type=None, budget_usd=Decimal("0.01"))
    assert budgets.watch() == 0
    found = budgets.standing(job)
    assert (found.is_watched, found.percent) == (False, None)
    assert "cannot be watched" in found.message


def test_mark_that_another_process_tells_meanwhile_is_told_once(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = hour_old(make_job, budget_usd=Decimal(5))
    read_prices = HardwarePrice.objects.book
    others: list[int] = []

    def prices_after_another_tick() -> PriceBook:
        monkeypatch.setattr(HardwarePrice.objects, "book", read_prices)
        others.append(budgets.watch())
        return read_prices()

    monkeypatch.setattr(HardwarePrice.objects, "book", prices_after_another_tick)
    assert (budgets.watch(), others) == (0, [1])
    assert AuditEntry.objects.filter(target=job.job_id, action="job.budget.reached").count() == 1


def test_tick_costs_the_same_queries_for_any_number_of_budgets(make_job: MakeJob) -> None:
    counts = []
    for number in (2, 30):
        UnifiedJob.objects.all().delete()
        for budget in (5, 6, 10, 100):
            for _ in range(number):
                hour_old(make_job, budget_usd=Decimal(budget))
        with CaptureQueriesContext(connection) as queries:
            assert budgets.watch() == 3 * number
        counts.append(len(queries))
    assert counts[0] == counts[1]
    with CaptureQueriesContext(connection) as queries:
        budgets.watch()
    assert len(queries) == 3
    UnifiedJob.objects.all().delete()
    with CaptureQueriesContext(connection) as queries:
        budgets.watch()
    assert len(queries) == 1


def test_job_page_shows_the_reckoning_and_the_budget(client: Client, make_job: MakeJob) -> None:
    job = hour_old(make_job, budget_usd=Decimal("6.50"), budget_told_percent=80, cost_usd=Decimal(1))
    html = client.get(f"/jobs/{job.job_id}").content.decode()
    assert "≈ $5.49<" in html
    assert "s × $0.001525/s ($5.49/h)" in html
    assert "price in force from" in html
    assert "$5.49 of $6.50 (84 %)" in html
    assert "80 % of the budget used" in html
    assert "80 % of $6.50" in client.get("/").content.decode()
    answer = client.post(f"/jobs/{job.job_id}/budget", {"budget_usd": "2"}, follow=True)
    assert "already cost $5.49" in answer.content.decode()
    client.post(f"/jobs/{job.job_id}/budget", {"budget_usd": "20.5"})
    assert known(job).budget_usd == Decimal("20.5")
    client.post(f"/jobs/{job.job_id}/budget", {"budget_usd": "20.5", "remove": "1"})
    assert known(job).budget_usd is None
