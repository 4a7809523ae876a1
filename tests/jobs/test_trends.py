"""The charts of the last days, and what the dashboard's cards lead to."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.access import SYSTEM
from jobs.presentation.trends import day_charts
from jobs.services import cost_limits, trends
from tests.conftest import MakeAccount, MakeJob

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)


def test_jobs_and_costs_belong_to_the_day_of_their_creation(make_job: MakeJob) -> None:
    make_job(created_at=datetime(2026, 11, 25, tzinfo=UTC), status="completed", cost_usd=Decimal("1.5"))
    make_job(created_at=datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC), status="failed", cost_usd=Decimal("2"))
    make_job(created_at=datetime(2026, 11, 24, tzinfo=UTC), status="running")
    make_job(created_at=datetime(2026, 10, 26, 23, 59, tzinfo=UTC), status="completed", cost_usd=Decimal("40"))
    with CaptureQueriesContext(connection) as queries:
        costs, jobs = day_charts(SYSTEM, NOW)
    assert len(queries) == 1
    assert len(costs.rows) == len(jobs.rows) == trends.DAYS
    assert [row.label for row in (jobs.rows[0], jobs.rows[-1])] == ["27 Oct", "25 Nov"]
    assert [row.cells for row in jobs.rows[-2:]] == [
        [("0", "0"), ("1", "1"), ("0", "0"), ("1", "1")],
        [("1", "1"), ("0", "0"), ("0", "0"), ("0", "0")],
    ]
    assert [row.cells for row in costs.rows[-2:]] == [[("2.0000", "$2.00")], [("1.5000", "$1.50")]]
    assert costs.summary == "$3.50 in 30 days"
    assert jobs.summary == "3 jobs in 30 days"


def test_nothing_is_shown_without_data(client: Client, make_job: MakeJob) -> None:
    assert client.get("/fragments/trends").content.decode().strip() == ""
    assert "There were no jobs in this time." in client.get("/trends").content.decode()
    make_job(created_at=timezone.now() - timedelta(days=40))
    assert "<day-charts" not in client.get("/").content.decode()
    make_job()
    assert "<day-charts" in client.get("/").content.decode()
    assert [chart.key for chart in day_charts(SYSTEM)] == ["jobs"]


@pytest.mark.usefixtures("with_accounts")
def test_charts_are_of_jobs_that_one_may_see(make_account: MakeAccount, make_job: MakeJob) -> None:
    researcher = make_account("ana", "researcher")
    make_job(owner=researcher, cost_usd=Decimal("1.25"))
    make_job(cost_usd=Decimal("1000"))
    client = Client()
    client.force_login(researcher)
    for path in ("/trends", "/fragments/trends"):
        page = client.get(path).content.decode()
        assert "$1.25 in 30 days" in page
        assert "1 job in 30 days" in page
        assert "1,00" not in page


def test_every_card_leads_somewhere(client: Client, make_job: MakeJob) -> None:
    make_job()
    page = client.get("/fragments/metrics").content.decode()
    cards = re.findall(r'<a href="([^"]+)" class="metric [^>]*data-key="metric-(\w+)"', page)
    assert {key: address for address, key in cards} == {
        "running": "/?status=running",
        "queued": "/?status=queued",
        "burn": "/?status=running",
        "month": "/spend",
        "success": "/?status=failed",
        "wait": "/?status=queued",
    }
    for address, _key in cards:
        assert client.get(address).status_code == 200


def test_card_of_the_month_tells_how_much_of_the_limit_is_used(client: Client) -> None:
    assert "metric-share" not in client.get("/fragments/metrics").content.decode()
    cost_limits.set_limit(SYSTEM, "replicate", enabled=True, amount="100", period="monthly")
    page = client.get("/fragments/metrics").content.decode()
    assert "0 % of $100.00 a month used" in page.replace("\xa0", " ")
    assert 'class="metric-share" max="100" value="0.0"' in page


@pytest.mark.usefixtures("with_accounts")
def test_limit_is_told_to_those_who_see_all_jobs(make_account: MakeAccount) -> None:
    cost_limits.set_limit(SYSTEM, "replicate", enabled=True, amount="100", period="weekly")
    client = Client()
    for role, is_told in (("researcher", False), ("lead", True)):
        client.force_login(make_account(role, role))
        assert ("a week used" in client.get("/fragments/metrics").content.decode()) == is_told
