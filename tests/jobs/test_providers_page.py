"""The page on providers: what it tells, and its forms, which work without script."""

import re

import pytest
import responses
from django.conf import settings
from django.test import Client

from jobs.models import AuditEntry, PollCycle, ProviderCredential, ProviderSettings
from jobs.services import provider_calls
from jobs.services.call_governor import CallGovernor
from providers import registry
from providers.calls import CallReport
from providers.errors import ProviderUnavailable
from tests.conftest import MakeAccount
from tests.jobs.conftest import REAL_TOKEN
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

ACCOUNT = "https://replicate.invalid/v1/account"


def said(client: Client) -> str:
    return client.get("/providers").content.decode()


def test_page_tells_how_calls_and_rounds_went(client: Client) -> None:
    provider_calls.note_success("replicate")
    provider_calls.note_failure("replicate", ProviderUnavailable("It stumbled."))
    PollCycle.objects.create(provider="replicate", seconds=1.25, active_jobs=7, changed=2, error="One was missed.")
    page = said(client)
    for words in ("It stumbled.", "Not reached", "One was missed.", "<td>7</td>", "Closed: calls go out"):
        assert words in page
    assert "https://status.invalid/" in page


def test_page_tells_how_many_calls_are_left_and_takes_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PROVIDER_CALLS_PER_MINUTE", 60)
    asked = CallGovernor("replicate", registry.get_token("replicate"))
    asked.admit("GET", "/v1/trainings")
    report = CallReport(method="GET", route="/v1/trainings", seconds=0.1, status=200, remaining=2998, reset_seconds=1)
    asked.report(report)
    provider_calls.note_success("replicate")
    for _ in range(5):
        page = said(client)
    assert re.search(r"Left: 1[12] of 12 at once", page)
    assert "Replicate itself counts 2,998 more after the last one" in page


def test_token_of_the_environment_is_told_by_its_end_and_has_no_form(client: Client, live: RunningSandbox) -> None:
    settings.PROVIDERS["replicate"]["token"] = REAL_TOKEN
    page = said(client)
    assert "<code>••••wxyz</code>" in page
    assert "from the environment" in page
    assert "/providers/replicate/token" not in page


def test_account_is_checked_by_a_form(client: Client, http: responses.RequestsMock) -> None:
    http.get(ACCOUNT, json={"username": "painter", "type": "user"})
    answer = client.post("/providers/replicate/validate", follow=True)
    assert "the account is painter" in answer.content.decode()


def test_token_is_set_replaced_and_forgotten_and_never_shown(client: Client, live: RunningSandbox) -> None:
    page = client.post("/providers/replicate/token", {"token": REAL_TOKEN, "check": "on"}, follow=True).content.decode()
    assert REAL_TOKEN not in page
    assert "<code>••••wxyz</code>" in page
    assert "takes it: the account is" in page
    page = client.post("/providers/replicate/token", {"token": "r8_" + "x" * 33 + "9876"}, follow=True).content.decode()
    assert "<code>••••9876</code>" in page
    client.post("/providers/replicate/token/remove")
    assert not ProviderCredential.objects.exists()
    assert "<code>••••" not in said(client)
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["provider.token.set", "provider.token.set", "provider.token.delete"]


def test_token_that_cannot_be_or_is_refused_changes_nothing(client: Client, live: RunningSandbox) -> None:
    for token in ("r8_" + "x" * 37, "two words", ""):
        page = client.post("/providers/replicate/token", {"token": token, "check": "on"}, follow=True).content.decode()
        assert 'class="message message-error" role="alert"' in page
    assert not ProviderCredential.objects.exists()


def test_webhook_url_is_saved_and_polling_told(client: Client) -> None:
    page = client.post("/providers/replicate/webhook", {"webhook_url": "http://127.0.0.1:1/hook"}, follow=True)
    assert "Polling is off: a webhook URL is configured" in page.content.decode()
    assert ProviderSettings.objects.get().webhook_url == "http://127.0.0.1:1/hook"
    page = client.post("/providers/replicate/webhook", {"webhook_url": ""}, follow=True)
    assert "Active jobs are asked for every 30 s" in page.content.decode()


def test_webhook_url_that_cannot_be_is_shown_again_with_the_reason(client: Client) -> None:
    answer = client.post("/providers/replicate/webhook", {"webhook_url": "ftp://example.org/<b>"})
    assert answer.status_code == 400
    page = answer.content.decode()
    assert 'value="ftp://example.org/&lt;b&gt;"' in page
    assert 'aria-invalid="true"' in page
    assert not ProviderSettings.objects.exists()


@pytest.mark.parametrize("action", ["validate", "token", "token/remove", "webhook"])
def test_unknown_provider_has_no_forms(client: Client, action: str) -> None:
    assert client.post(f"/providers/nobody/{action}", {"token": REAL_TOKEN}).status_code == 404
    # A reload of a form's address alone does nothing.
    assert client.get(f"/providers/replicate/{action}").status_code == 302


@pytest.mark.usefixtures("with_accounts")
@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("researcher", False), ("lead", False), ("admin", True)])
def test_page_and_forms_are_for_who_configures_providers(make_account: MakeAccount, role: str, may: bool) -> None:
    client = Client()
    client.force_login(make_account(role, role))
    assert ('href="/providers"' in client.get("/").content.decode()) == may
    assert client.get("/providers").status_code == (200 if may else 403)
    assert client.get("/fragments/providers/replicate").status_code == (200 if may else 403)
    if not may:
        for action in ("validate", "token", "token/remove", "webhook"):
            assert client.post(f"/providers/replicate/{action}", {"webhook_url": ""}).status_code == 403
        assert not ProviderSettings.objects.exists()


def test_clock_that_is_wrong_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(provider_calls._clocks_ahead, "replicate", 90.0)
    provider_calls.note_success("replicate")
    assert "clock is 1 m 30 s ahead of ours" in said(client)
