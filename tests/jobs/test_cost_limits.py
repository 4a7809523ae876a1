"""Limits of cost: what counts, when a period begins, and what reaching one does."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs.models import ProviderSettings
from jobs.services import cost_limits
from tests.conftest import MakeJob

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
