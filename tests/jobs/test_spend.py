"""What was spent, and by what (jobs.services.spend), and the page that shows it."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from jobs.access import CHANGE_LIMITS, SYSTEM, VIEW_OWN, Actor
from jobs.models import AuditEntry, ProviderSettings
from jobs.presentation.spend_page import period_of, spend_page
from jobs.services import spend
from jobs.services.spend import Group
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)


def rows(group: Group, *, actor: Actor = SYSTEM, days: int = 30) -> dict[str, tuple[str, int, int]]:
    found = spend.collect(actor, days=days, group=group, now=NOW)
    return {row.key: (str(row.cost_usd.normalize()), row.jobs, row.unknown) for row in found.rows}


def test_days_begin_at_midnight_utc_and_days_without_a_job_are_there(make_job: MakeJob) -> None:
    make_job(created_at=datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC), cost_usd=Decimal("1.5"))
    make_job(created_at=datetime(2026, 11, 25, 0, 0, tzinfo=UTC), cost_usd=Decimal("2"))
    make_job(created_at=datetime(2026, 11, 23, 0, 0, tzinfo=UTC), cost_usd=Decimal("3"))
    make_job(created_at=datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC), cost_usd=Decimal("40"))
    assert rows(Group.DAY, days=4) == {
        "2026-11-22": ("0", 0, 0),
        "2026-11-23": ("3", 1, 0),
        "2026-11-24": ("1.5", 1, 0),
        "2026-11-25": ("2", 1, 0),
    }


def test_sums_are_exact_and_unknown_costs_are_counted_beside_them(make_job: MakeJob) -> None:
    for number in range(10):
        make_job(created_at=NOW, cost_usd=Decimal("0.1"), hardware_type="gpu-h100" if number % 2 else None)
    make_job(created_at=NOW, started_at=NOW, hardware_type="gpu-odd")
    make_job(created_at=NOW, hardware_type="gpu-odd", status="queued")
    assert rows(Group.PROVIDER) == {"replicate": ("1", 12, 1)}
    assert rows(Group.HARDWARE) == {"": ("0.5", 5, 0), "gpu-h100": ("0.5", 5, 0), "gpu-odd": ("0", 2, 1)}
    found = spend.collect(SYSTEM, group=Group.HARDWARE, now=NOW)
    assert (found.total_usd, found.jobs, found.unknown) == (Decimal(1), 12, 1)


def test_dearest_comes_first_and_jobs_of_nobody_are_nobodys(make_job: MakeJob) -> None:
    ann = get_user_model().objects.create_user("ann")
    make_job(created_at=NOW, cost_usd=Decimal(1))
    make_job(created_at=NOW, cost_usd=Decimal(5), owner=ann)
    assert list(rows(Group.OWNER).items()) == [("ann", ("5", 1, 0)), ("", ("1", 1, 0))]


def test_nobody_is_told_of_what_others_spent(make_job: MakeJob) -> None:
    ann = get_user_model().objects.create_user("ann")
    make_job(created_at=NOW, cost_usd=Decimal(1))
    make_job(created_at=NOW, cost_usd=Decimal(5), owner=ann)
    actor = Actor(ann.pk, "ann", frozenset({VIEW_OWN}), "session")
    assert rows(Group.OWNER, actor=actor) == {"ann": ("5", 1, 0)}
    assert spend.spent_this_month(actor, NOW) == Decimal(5)
    page = spend_page(actor, 30, NOW)
    assert (page.total, page.month, page.is_own, page.limits) == ("$5.00", "$5.00", True, [])


@pytest.mark.parametrize("group", list(Group))
def test_only_the_days_asked_for_are_read_by_an_index(make_job: MakeJob, group: Group) -> None:
    for day in range(40):
        make_job(created_at=NOW - timedelta(days=day), cost_usd=Decimal(1))
    with CaptureQueriesContext(connection) as queries:
        spend.collect(SYSTEM, days=2, group=group, now=NOW)
    (query,) = [entry["sql"] for entry in queries]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {query}")
        else:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {query}")
        plan = " ".join(str(row) for row in cursor.fetchall())
    # Several indexes begin with the time of creation, and PostgreSQL takes any of them, by what it knows of the table.
    assert re.search(r"Index Cond: \(created_at >=|USING INDEX \w+ \(created_at>", plan), plan


def test_page_costs_the_same_queries_for_any_number_of_jobs(client: Client, make_job: MakeJob) -> None:
    counts = []
    for number in (1, 3, 40):
        for _ in range(number):
            make_job(cost_usd=Decimal(1))
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/spend").status_code == 200
        counts.append(len(queries))
    assert counts[1] == counts[2]


@pytest.mark.parametrize(("text", "days"), [("7", 7), ("365", 365), ("", 30), ("8", 30), ("x", 30), ("٧", 30)])
def test_period_of_an_address_is_one_of_those_on_offer(text: str, days: int) -> None:
    assert period_of(text) == days


def test_page_shows_sums_by_day_provider_and_hardware(client: Client, make_job: MakeJob) -> None:
    make_job(cost_usd=Decimal("4.25"), hardware_type="gpu-h100")
    make_job(cost_usd=Decimal("1"))
    for address in ("/spend", "/spend/", "/spend?days=7"):
        html = client.get(address).content.decode()
        assert "By day" in html
        assert "By provider" in html
        assert "By hardware" in html
        assert "By owner" not in html
        assert "$5.25" in html
        assert "Nvidia H100" in html
    assert 'href="/spend"' in client.get("/").content.decode()


def test_owners_are_told_apart_where_there_are_several(settings: Settings, make_job: MakeJob) -> None:
    settings.SINGLE_USER = False
    assert [table.key for table in spend_page(SYSTEM, 30, NOW).tables] == ["day", "provider", "hardware", "owner"]


def test_limit_is_set_by_a_form_and_shown_with_how_much_of_it_is_used(client: Client, make_job: MakeJob) -> None:
    make_job(cost_usd=Decimal(8))
    assert "There is no limit." in client.get("/spend").content.decode()
    form = {"enabled": "on", "amount": "10", "period": "monthly", "action": "block"}
    html = client.post("/spend/limits/replicate", form, follow=True).content.decode()
    assert "The limit was saved." in html
    assert "$8.00 of $10.00 (80 %) spent this month" in html
    stored = ProviderSettings.objects.get()
    assert (stored.cost_limit_enabled, stored.cost_limit_action) == (True, "block")
    html = client.post("/spend/limits/replicate", form | {"amount": "-1"}, follow=True).content.decode()
    assert "greater than 0" in html
    client.post("/spend/limits/replicate", {"amount": "10"})
    assert not ProviderSettings.objects.get().cost_limit_enabled
    assert "no provider" in client.post("/spend/limits/nowhere", form, follow=True).content.decode()
    assert client.get("/spend/limits/replicate").headers["Location"] == "/spend"
    assert AuditEntry.objects.filter(action="cost_limit.set").count() == 2


def test_only_who_may_change_limits_gets_the_form(make_job: MakeJob) -> None:
    assert spend_page(SYSTEM, 30, NOW).limits[0].can_change
    reader = Actor(None, "eve", SYSTEM.permissions - {CHANGE_LIMITS}, "session")
    assert not spend_page(reader, 30, NOW).limits[0].can_change
