"""Limits of cost: what counts, when a period begins, and what reaching one does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from jobs.access import RESEARCHER, SYSTEM, Actor
from jobs.models import AuditEntry, ProviderSettings
from jobs.services import cost_limits
from providers.errors import UnknownProvider
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

WEDNESDAY = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)


def limit(amount: str = "10", action: str = "block", **fields: object) -> None:
    ProviderSettings.objects.create(
        provider="replicate",
        cost_limit_enabled=True,
        cost_limit_amount=Decimal(amount),
        cost_limit_action=action,
        **fields,
    )


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("daily", datetime(2026, 11, 25, tzinfo=UTC)),
        ("weekly", datetime(2026, 11, 23, tzinfo=UTC)),
        ("monthly", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_periods_begin_at_midnight_utc(period: str, start: datetime) -> None:
    assert cost_limits.period_start(period, WEDNESDAY) == start


def test_without_a_limit_nothing_is_said(make_job: MakeJob) -> None:
    make_job(cost_usd=Decimal(1000))
    assert cost_limits.check("replicate") is None
    assert cost_limits.require_room("replicate") == ""


def test_a_limit_that_is_switched_off_is_none(make_job: MakeJob) -> None:
    limit()
    ProviderSettings.objects.update(cost_limit_enabled=False)
    make_job(cost_usd=Decimal(1000))
    assert cost_limits.require_room("replicate") == ""


def test_reached_limit_forbids_another_job_and_says_how_much_was_spent(make_job: MakeJob) -> None:
    limit(cost_limit_period="daily")
    make_job(cost_usd=Decimal("6.00"))
    assert cost_limits.require_room("replicate") == ""
    make_job(cost_usd=Decimal("4.00"))
    with pytest.raises(cost_limits.CostLimitReached, match=r"\$10.00 for Replicate is reached: \$10.00 spent today"):
        cost_limits.require_room("replicate")


def test_reached_limit_that_only_warns_lets_the_job_pass(make_job: MakeJob) -> None:
    limit(action="warn")
    make_job(cost_usd=Decimal("10.01"))
    assert "is reached: $10.01 spent this month" in cost_limits.require_room("replicate")


def test_what_was_spent_before_the_period_does_not_count(make_job: MakeJob) -> None:
    limit(cost_limit_period="daily")
    make_job(cost_usd=Decimal(50), created_at=timezone.now() - timedelta(days=1, minutes=1))
    make_job(cost_usd=None)
    assert cost_limits.require_room("replicate") == ""


def test_what_is_given_is_changed_and_the_rest_stays() -> None:
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://hooks.example/")
    cost_limits.set_limit(SYSTEM, "replicate", enabled=True, amount=25.5, period="weekly", action="block")
    found = cost_limits.set_limit(SYSTEM, "replicate", amount="30")
    assert (found.enabled, found.amount, found.period, found.action) == (True, Decimal("30.00"), "weekly", "block")
    assert cost_limits.current_limit("replicate") == found
    assert ProviderSettings.objects.get().webhook_url == "https://hooks.example/"
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.target, entry.details) == (
        "cost_limit.set",
        "replicate",
        {"set": {"cost_limit_amount": "30.00"}},
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount": 0}, "cost_limit_amount"),
        ({"amount": "-1"}, "cost_limit_amount"),
        ({"amount": "NaN"}, "cost_limit_amount"),
        ({"amount": "1e400"}, "cost_limit_amount"),
        ({"amount": "1.005"}, "cost_limit_amount"),
        ({"amount": True}, "cost_limit_amount"),
        ({"amount": []}, "cost_limit_amount"),
        ({"period": "yearly"}, "cost_limit_period"),
        ({"action": "explode"}, "cost_limit_action"),
        ({"enabled": True}, "cost_limit_amount"),
    ],
)
def test_value_that_no_limit_can_have_is_refused_by_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: ") as refused:
        cost_limits.set_limit(SYSTEM, "replicate", **values)
    assert isinstance(refused.value, cost_limits.InvalidLimit)
    assert refused.value.field == field
    assert not ProviderSettings.objects.exists()
    assert not AuditEntry.objects.exists()


def test_limits_are_changed_by_those_who_may_and_for_providers_that_exist() -> None:
    researcher = Actor(None, "eve", RESEARCHER, "session")
    with pytest.raises(PermissionDenied):
        cost_limits.set_limit(researcher, "replicate", enabled=False)
    assert AuditEntry.objects.get().outcome == "refused"
    with pytest.raises(UnknownProvider):
        cost_limits.set_limit(SYSTEM, "nowhere", enabled=False)
