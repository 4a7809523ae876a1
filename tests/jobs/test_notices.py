"""The lines of the strip that warns: money, logs, incidents of a provider; and putting them away for a while."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from jobs.access import SYSTEM, Actor
from jobs.models import ProviderSettings
from jobs.presentation.notices import Notice, notices
from jobs.services import provider_calls
from jobs.services.call_governor import CallGovernor
from providers import registry
from providers.calls import CallReport
from providers.errors import ProviderAuthError, ProviderError, ProviderUnavailable
from tests.conftest import MakeAccount, MakeJob

pytestmark = pytest.mark.django_db


def told(actor: Actor = SYSTEM) -> dict[str, Notice]:
    return {notice.key: notice for notice in notices(actor)}


def report(error: ProviderError, status: int) -> None:
    governor = CallGovernor("replicate", registry.get_token("replicate"))
    governor.report(CallReport(method="GET", route="/v1/trainings", seconds=0.1, status=status, error=error))


def test_a_cost_limit_is_told_from_four_fifths_on(make_job: MakeJob) -> None:
    ProviderSettings.objects.create(
        provider="replicate", cost_limit_enabled=True, cost_limit_amount=Decimal(100), cost_limit_period="monthly"
    )
    job = make_job(cost_usd=Decimal("79.99"))
    assert "limit-replicate" not in told()
    job.cost_usd = Decimal("82")
    job.save()
    message = told()["limit-replicate"].message
    assert message == "82 % of the cost limit of $100.00 for Replicate are used: $82.00 spent."
    job.cost_usd = Decimal("100")
    job.save()
    assert "is reached: $100.00 spent" in told()["limit-replicate"].message


def test_budgets_that_are_nearly_used_are_told_while_their_jobs_run(make_job: MakeJob) -> None:
    job = make_job(budget_usd=Decimal(10), budget_told_percent=50)
    assert "budget" not in told()
    job.budget_told_percent = 80
    job.save()
    assert told()["budget"].message == "1 running job has used 80 % of its budget or more."
    job.status = "completed"
    job.save()
    assert "budget" not in told()


def test_logs_are_told_of_before_their_provider_deletes_them(make_job: MakeJob) -> None:
    now = timezone.now()
    fields = {"status": "completed", "logs_state": "live", "next_log_capture_at": now + timedelta(minutes=1)}
    make_job(**fields, completed_at=now - timedelta(minutes=30))
    assert "logs" not in told()
    make_job(**fields, completed_at=now - timedelta(minutes=48))
    assert told()["logs"].message == "1 log could not be read yet, and its provider deletes it in 12 min."
    make_job(**(fields | {"logs_state": "saved"}), completed_at=now - timedelta(minutes=50))
    make_job(**fields, completed_at=now - timedelta(minutes=61))
    assert told()["logs"].message.startswith("1 log ")


def test_an_incident_says_since_when_it_is_and_what_is_shown_meanwhile() -> None:
    provider_calls.note_success("replicate")
    read_at = timezone.now()
    for _ in range(20):
        report(ProviderUnavailable("Replicate has trouble of its own (HTTP 503)."), 503)
    message = told()["replicate"].message
    assert message.startswith(f"Replicate has not answered since {timezone.now():%H:%M} UTC.") or (
        f"{timezone.now() - timedelta(minutes=1):%H:%M}" in message
    )
    assert "(HTTP 503)" in message
    assert "It is tried again at" in message
    assert f"What is shown was read at {read_at:%H:%M} UTC." in message


def test_a_refused_token_says_since_when_and_that_nothing_is_asked() -> None:
    provider_calls.note_success("replicate")
    report(ProviderAuthError("Replicate refused the token: no."), 401)
    notice = told()["replicate"]
    assert "the token is refused: nothing is asked until it is changed or checked" in notice.message
    assert "What is shown was read at" in notice.message


def test_a_line_is_put_away_for_an_hour_in_one_browser_and_the_others_stay(client: Client, make_job: MakeJob) -> None:
    make_job(budget_usd=Decimal(10), budget_told_percent=80)
    ProviderSettings.objects.create(provider="replicate", cost_limit_enabled=True, cost_limit_amount=Decimal(1))
    make_job(cost_usd=Decimal(5))
    page = client.get("/queue").content.decode()
    assert 'action="/notices/budget/snooze"' in page
    answer = client.post("/notices/budget/snooze", headers={"Referer": "http://testserver/queue?x=1"})
    assert answer.headers["Location"] == "/queue?x=1"
    assert answer.cookies["snoozed_budget"]["max-age"] == 3600
    assert answer.cookies["snoozed_budget"]["httponly"]
    for address in ("/queue", "/fragments/notices", "/"):
        html = client.get(address).content.decode()
        assert "of its budget or more" not in html
        assert "The cost limit of" in html
    assert "of its budget or more" in Client().get("/fragments/notices").content.decode()


@pytest.mark.parametrize(
    "page", ["", "https://elsewhere.example/x", "http://testserver//elsewhere.example", "nonsense"]
)
def test_who_puts_a_line_away_is_led_nowhere_else(client: Client, page: str) -> None:
    answer = client.post("/notices/logs/snooze", headers={"Referer": page})
    assert answer.headers["Location"] == "/"


def test_what_is_no_key_is_not_found_and_a_grave_line_stays(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/notices/NO;x/snooze").status_code == 404
    assert "snoozed_logs" not in client.get("/notices/logs/snooze").cookies
    monkeypatch.setattr("jobs.services.store.has_pending_migrations", lambda: True)
    client.cookies["snoozed_database"] = "1"
    assert "tables are older" in client.get("/fragments/notices").content.decode()


def test_money_of_others_is_told_to_nobody_who_does_not_see_their_jobs(
    make_account: MakeAccount, make_job: MakeJob, with_accounts: None
) -> None:
    ProviderSettings.objects.create(provider="replicate", cost_limit_enabled=True, cost_limit_amount=Decimal(1))
    make_job(cost_usd=Decimal(5), owner=make_account("bea", "researcher"), budget_usd=1, budget_told_percent=80)
    make_account("ada", "researcher")
    client = Client()
    assert client.login(username="ada", password="ada-password")
    html = client.get("/fragments/notices").content.decode()
    assert "cost limit" not in html
    assert "budget" not in html
