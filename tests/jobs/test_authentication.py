"""Whose key or session it is: jobs.services.authentication, through the API."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs import access
from jobs.models import ApiKey, AuditEntry
from jobs.services import api_keys, logins
from jobs.services.api_keys import digest_of
from jobs.services.authentication import Credentials, identify_by_key
from tests.conftest import MakeAccount, MakeJob, MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_accounts")]

JOBS = "/api/cloud/jobs"


def status_of(client: Client, key: str, path: str = JOBS) -> int:
    return client.get(path, headers={"x-api-key": key}).status_code


def test_without_anything_one_is_told_how_to_get_in(client: Client) -> None:
    answer = client.get(JOBS)
    assert answer.status_code == 401
    assert answer.json() == {
        "detail": "Authentication required: send an API key as X-API-Key.",
        "code": "not_authenticated",
    }
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_key_opens_in_either_header(client: Client, make_account: MakeAccount, make_key: MakeKey) -> None:
    key = make_key(make_account("ada", "researcher"))
    assert status_of(client, key) == 200
    assert client.get(JOBS, headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert client.get(JOBS, headers={"authorization": f"Basic {key}"}).status_code == 401
    assert client.get(f"{JOBS}?api_key={key}").status_code == 401


def test_only_a_digest_is_kept(make_account: MakeAccount, make_key: MakeKey) -> None:
    text = make_key(make_account("ada", "researcher"))
    key = ApiKey.objects.get()
    beginning, prefix, secret = text.split("_", 2)
    assert (beginning, len(prefix)) == ("stc", 8)
    assert len(secret) >= 32
    assert key.prefix == f"stc_{prefix}"
    assert key.digest == digest_of(text)
    assert secret not in str(list(ApiKey.objects.values())) + str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda key: key + "x", id="too long"),
        pytest.param(lambda key: key[:-1], id="too short"),
        pytest.param(lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"), id="last letter"),
        pytest.param(lambda key: key.upper(), id="upper case"),
        pytest.param(lambda key: "stc_00000000" + key[12:], id="another beginning"),
        pytest.param(lambda key: key[:12], id="beginning alone"),
        pytest.param(lambda _: "stc_" + "\u00fc" * 8 + "_x", id="not ASCII"),
        pytest.param(lambda _: "x" * 5000, id="long"),
    ],
)
def test_key_that_is_not_quite_right_opens_nothing(
    client: Client, make_account: MakeAccount, make_key: MakeKey, spoilt: object
) -> None:
    key = make_key(make_account("ada", "researcher"))
    bad = spoilt(key)  # type: ignore[operator]
    answer = client.get(JOBS, HTTP_X_API_KEY=bad)
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_api_key"
    assert "authentication required" in answer.json()["detail"].lower()


def test_key_ends_with_its_time_its_revocation_and_its_account(
    client: Client, make_account: MakeAccount, make_key: MakeKey
) -> None:
    ada = make_account("ada", "researcher")
    lasting, short, revoked = make_key(ada), make_key(ada, days=1), make_key(ada)
    assert [status_of(client, key) for key in (lasting, short, revoked)] == [200] * 3
    api_keys.revoke_key(access.SYSTEM, ApiKey.objects.get(digest=digest_of(revoked)).pk)
    with time_machine.travel(timezone.now() + timedelta(days=1, seconds=1)):
        assert [status_of(client, key) for key in (lasting, short, revoked)] == [200, 401, 401]
    ada.is_active = False
    ada.save()
    assert status_of(client, lasting) == 401


def test_scopes_narrow_and_never_widen(client: Client, make_account: MakeAccount, make_key: MakeKey) -> None:
    ada = make_account("ada", "researcher")
    make_key(ada, access.VIEW_OWN)
    found = identify_by_key(make_key(ada, access.VIEW_OWN, access.MANAGE_ACCOUNTS))
    assert found is not None
    assert found.actor.permissions == {access.VIEW_OWN}
    assert found.actor.via.startswith("key stc_")
    narrow = make_key(ada, access.SUBMIT)
    assert status_of(client, narrow) == 403


def test_bad_key_is_not_saved_by_a_good_session(client: Client, make_account: MakeAccount) -> None:
    client.force_login(make_account("ada", "researcher"))
    assert client.get(JOBS).status_code == 200
    assert status_of(client, "stc_nonsense") == 401


def test_last_use_is_written_once_a_minute(client: Client, make_account: MakeAccount, make_key: MakeKey) -> None:
    key = make_key(make_account("ada", "researcher"))

    def updates() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert status_of(client, key) == 200
        return sum("UPDATE" in query["sql"] for query in queries)

    assert [updates(), updates()] == [1, 0]
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert updates() == 1


def test_many_bad_keys_from_one_address_have_to_wait_and_good_ones_do_not(
    client: Client, make_account: MakeAccount, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "BAD_KEYS_PER_ADDRESS", 3)
    key = make_key(make_account("ada", "researcher"))
    assert [status_of(client, "stc_bad") for _ in range(3)] == [401, 401, 401]
    refusal = client.get(JOBS, headers={"x-api-key": "stc_bad"})
    assert (refusal.status_code, refusal.json()["code"]) == (429, "too_many_attempts")
    assert int(refusal.headers["Retry-After"]) >= 1
    assert status_of(client, key) == 200
    assert client.get(JOBS, headers={"x-api-key": "stc_bad"}, REMOTE_ADDR="203.0.113.8").status_code == 401


def test_alone_on_the_machine_no_key_is_needed_and_a_bad_one_is_ignored(
    client: Client, settings: Settings, make_job: MakeJob
) -> None:
    settings.SINGLE_USER = True
    make_job()
    assert client.get(JOBS).json()["total"] == 1
    assert status_of(client, "stc_nonsense") == 200


def test_session_writes_only_with_the_token_of_our_pages(make_account: MakeAccount) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_account("ada", "lead"))
    path = "/api/keys"
    refused = browser.post(path, {"name": "x"}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert not ApiKey.objects.exists()
    page = browser.get("/account")
    token = page.content.decode().partition('name="csrf-token" content="')[2].partition('"')[0]
    assert token
    made = browser.post(path, {"name": "x"}, content_type="application/json", headers={"x-csrftoken": token})
    assert made.status_code == 201


def test_key_needs_no_token(make_account: MakeAccount, make_key: MakeKey) -> None:
    program = Client(enforce_csrf_checks=True)
    lead = make_key(make_account("ada", "lead"))
    answer = program.delete("/api/cloud/jobs/none", headers={"x-api-key": lead})
    assert answer.status_code == 404


def test_credentials_are_never_shown() -> None:
    assert "secret" not in repr(Credentials(api_key="stc_secret", session_key="secret", address="::1"))
