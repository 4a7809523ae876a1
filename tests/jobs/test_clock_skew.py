"""Clocks that disagree: the provider's, the web server's and the worker's need not be the same."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine
from django.test import Client
from responses import RequestsMock

from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services import health
from jobs.services.provider_accounts import validate
from jobs.services.snapshots import apply_snapshots
from providers.snapshots import JobSnapshot
from tests.jobs.properties.test_confluence import NOON, facts_of, life, rows, said

pytestmark = pytest.mark.django_db

SKEWS = [timedelta(minutes=-10), timedelta(minutes=10), timedelta(days=-366)]


def told(snapshots: list[JobSnapshot], ours: timedelta) -> None:
    """Hear of a job while our clock differs from its provider's by that much."""
    for snapshot in snapshots:
        with time_machine.travel(snapshot.as_of + ours, tick=False):
            apply_snapshots([snapshot], source=Source.POLLER, create=True)


@pytest.mark.parametrize("ours", SKEWS)
def test_row_is_the_same_whatever_our_clock_says(ours: timedelta) -> None:
    facts = facts_of(life("failed"))
    told(facts, timedelta(0))
    right = rows()
    UnifiedJob.objects.all().delete()
    told(facts, ours)
    assert rows() == right


@pytest.mark.parametrize(
    ("ours", "told_of_it"),
    [
        (timedelta(minutes=-10), "Our clock is 600 s behind the provider's"),
        (timedelta(minutes=10), "Our clock is 599 s ahead of the provider's"),
        (timedelta(seconds=2), "last answer at"),
    ],
)
def test_health_tells_by_how_much_our_clock_is_off(ours: timedelta, told_of_it: str, http: RequestsMock) -> None:
    answered_at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    http.get(
        "https://replicate.invalid/v1/account",
        json={"username": "us"},
        headers={"Date": format_datetime(answered_at, usegmt=True)},
    )
    with time_machine.travel(answered_at + ours, tick=False):
        assert validate("replicate").account
        (told,) = [part for part in health.report().components if part.name == "replicate"]
    assert told.message.startswith(told_of_it)


@pytest.mark.parametrize("ours", SKEWS)
def test_no_time_and_no_sum_is_negative_while_our_clock_is_off(client: Client, ours: timedelta) -> None:
    told([said(life("succeeded"), 60)], ours)
    with time_machine.travel(NOON + timedelta(seconds=60) + ours, tick=False):
        (shown,) = client.get("/api/cloud/jobs").json()["jobs"]
    assert shown["status"] == "running"
    assert shown["duration_seconds"] >= 0
    assert shown["cost_usd"] is not None
    assert float(shown["cost_usd"]) >= 0
