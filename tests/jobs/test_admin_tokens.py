"""Providers' tokens in the admin."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from jobs import waiting_token
from jobs.models import AuditEntry, ProviderCredential
from providers import registry
from tests.jobs.conftest import REAL_TOKEN
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

TOKENS = "/admin/jobs/providercredential/"
ADD = f"{TOKENS}add/"
WRONG = "r8_wrong_but_well_formed_token"


def save(client: Client, path: str = ADD, **values: str) -> str:
    body = {"provider": "replicate", "token": REAL_TOKEN, "check": "on", **values}
    return client.post(path, body, follow=True).content.decode()


def test_token_is_set_changed_and_forgotten_and_only_its_end_is_shown(client: Client, live: RunningSandbox) -> None:
    assert "no token is stored" in client.get(ADD).content.decode()
    said = save(client)
    assert "stored and in use" in said
    assert "••••wxyz" in said
    assert registry.get_token("replicate") == REAL_TOKEN
    row = ProviderCredential.objects.get()
    change, delete = f"{TOKENS}{row.pk}/change/", f"{TOKENS}{row.pk}/delete/"
    shown = [client.get(path).content.decode() for path in (TOKENS, change, delete, "/")]
    assert all("••••wxyz" in page for page in shown)
    assert not any(REAL_TOKEN in page for page in (said, *shown))
    assert "is not asked any more" in client.post(delete, {"post": "yes"}, follow=True).content.decode()
    assert not registry.is_configured("replicate")
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "provider.token.set",
        "provider.token.delete",
    ]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"token": WRONG}, "refused the token"),
        ({"token": "r8_geheim geheim"}, "characters that no token has"),
        ({"token": "  "}, "This field is required"),
        ({"token": "g" * 600}, "at most 512"),
        ({"provider": "nobody"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_stored_is_said_beside_the_field_which_is_empty_again(
    client: Client, live: RunningSandbox, values: dict[str, str], words: str
) -> None:
    said = save(client, **values)
    assert words in said
    assert not any(value in said for name, value in values.items() if name == "token" and value.strip())
    assert not ProviderCredential.objects.exists()


def test_refused_token_is_stored_when_no_check_is_wanted(client: Client, live: RunningSandbox) -> None:
    save(client, token=WRONG, check="")
    assert registry.get_token("replicate") == WRONG


def test_token_of_the_environment_is_named_and_not_changed_here(
    client: Client, live: RunningSandbox, settings: Settings
) -> None:
    settings.PROVIDERS = {"replicate": {"token": REAL_TOKEN, "base_url": live.url}}
    assert "••••wxyz comes from the environment" in client.get(ADD).content.decode()
    assert "Change it there" in save(client, token=WRONG)
    assert "token ••••wxyz of the environment" in client.get("/").content.decode()


def test_token_that_waits_is_told_and_can_be_forgotten(client: Client, account: RunningSandbox, home: Path) -> None:
    assert "until the next start" in save(client)
    assert "from the next start on" in client.get(ADD).content.decode()
    assert "the sandbox goes on" in client.post(ADD, {"forget-replicate": "Forget"}, follow=True).content.decode()
    assert not waiting_token.exists_any(home / "live")


@pytest.mark.parametrize("number", ["0", "99", "x", "-1", "9" * 30, "٣"])
def test_row_that_is_not_there_is_a_first_time(client: Client, live: RunningSandbox, number: str) -> None:
    assert client.get(f"{TOKENS}{number}/change/").status_code == 200


def test_bound_elsewhere_the_form_asks_for_a_login(client: Client, live: RunningSandbox, settings: Settings) -> None:
    settings.SINGLE_USER = False
    assert client.get(ADD).status_code == 302
    assert client.post(ADD, {"provider": "replicate", "token": REAL_TOKEN}).status_code == 302
    assert not ProviderCredential.objects.exists()


def test_nobody_else_may_even_look(client: Client, live: RunningSandbox, settings: Settings, django_user_model) -> None:  # type: ignore[no-untyped-def]
    settings.SINGLE_USER = False
    client.force_login(django_user_model.objects.create_user("viewer", is_staff=True))
    assert client.get(ADD).status_code == 403
    assert client.get(TOKENS).status_code == 403
    assert client.post(ADD, {"provider": "replicate", "token": REAL_TOKEN}).status_code == 403
