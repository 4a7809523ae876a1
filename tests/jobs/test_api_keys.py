"""``/api/keys`` and ``/api/audit``, and what the page of an account does."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs import access
from jobs.models import ApiKey, AuditEntry
from tests.conftest import MakeAccount, MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_accounts")]

KEYS = "/api/keys"


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(client: Client, body: dict[str, Any], **headers: str) -> Any:
    return client.post(KEYS, body, content_type="application/json", headers=headers)


def test_key_is_made_told_once_listed_without_its_text_and_revoked(make_account: MakeAccount) -> None:
    ada = logged_in(make_account("ada", "researcher"))
    made = post(ada, {"name": "nightly", "scopes": [access.VIEW_OWN], "days": 30})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    text = made.json()["key"]
    assert Client().get("/api/cloud/jobs", headers={"x-api-key": text}).status_code == 200
    (listed,) = ada.get(KEYS).json()["keys"]
    assert listed["name"] == "nightly"
    assert text not in ada.get(KEYS).content.decode()
    assert ada.delete(f"{KEYS}/{listed['id']}").json()["revoked_at"]
    assert Client().get("/api/cloud/jobs", headers={"x-api-key": text}).status_code == 401
    assert ada.get(KEYS).json() == {"keys": []}
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", "actor", "target"))
    assert actions == [("key.create", "ada", listed["prefix"]), ("key.revoke", "ada", listed["prefix"])]


def test_nobody_gives_a_key_more_than_they_have(make_account: MakeAccount) -> None:
    answer = post(logged_in(make_account("ada", "researcher")), {"name": "x", "scopes": [access.MANAGE_ACCOUNTS]})
    assert (answer.status_code, answer.json()["code"]) == (403, "key_refused")


def test_key_makes_no_keys_and_revokes_itself_alone(make_account: MakeAccount, make_key: MakeKey) -> None:
    ada = make_account("ada", "researcher")
    key, other = make_key(ada), make_key(ada)
    assert post(Client(), {"name": "x"}, **{"x-api-key": key}).status_code == 403
    pks = {text: ApiKey.objects.get(prefix=text[:12]).pk for text in (key, other)}
    assert Client().delete(f"{KEYS}/{pks[other]}", headers={"x-api-key": key}).status_code == 403
    assert Client().delete(f"{KEYS}/{pks[key]}", headers={"x-api-key": key}).status_code == 200
    assert Client().get(KEYS, headers={"x-api-key": key}).status_code == 401


def test_anothers_key_is_not_there_but_for_who_manages_accounts(make_account: MakeAccount, make_key: MakeKey) -> None:
    make_key(make_account("ada", "researcher"))
    pk = ApiKey.objects.get().pk
    lead, admin = logged_in(make_account("bob", "lead")), logged_in(make_account("root", "admin"))
    assert lead.get(f"{KEYS}?everybody=true").json() == {"keys": []}
    assert lead.delete(f"{KEYS}/{pk}").status_code == 404
    assert admin.get(KEYS).json() == {"keys": []}
    assert [key["account"] for key in admin.get(f"{KEYS}?everybody=true").json()["keys"]] == ["ada"]
    assert admin.delete(f"{KEYS}/{pk}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\u0000b"},
        {"name": ["x"]},
        {"name": "x", "scopes": "all"},
        {"name": "x", "scopes": ["jobs.everything"]},
        {"name": "x", "days": 0},
        {"name": "x", "days": 10**9},
        {"name": "x", "days": "soon"},
    ],
)
def test_wrong_wishes_are_named(make_account: MakeAccount, body: dict[str, Any]) -> None:
    answer = post(logged_in(make_account("ada", "researcher")), body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_parameter"


def test_audit_log_is_read_backwards_by_who_manages_accounts(make_account: MakeAccount) -> None:
    for number in range(5):
        AuditEntry.objects.create(actor="ada", via="session", action="job.cancel", target=str(number))
    admin = logged_in(make_account("root", "admin"))
    first = admin.get("/api/audit?limit=3").json()
    assert [entry["target"] for entry in first["entries"]] == ["4", "3", "2"]
    rest = admin.get(f"/api/audit?limit=3&before={first['next_before']}").json()
    assert [entry["target"] for entry in rest["entries"]] == ["1", "0"]
    assert rest["next_before"] is None
    for bad in ("limit=0", "limit=501", "before=x", "before=99999999999999999999"):
        assert admin.get(f"/api/audit?{bad}").status_code == 400
    assert logged_in(make_account("bob", "lead")).get("/api/audit").status_code == 403


def test_page_makes_a_key_without_a_script_and_shows_it_once(make_account: MakeAccount) -> None:
    ada = logged_in(make_account("ada", "researcher"))
    answer = ada.post("/account", {"name": "nightly", "days": "30", "scopes": [access.VIEW_OWN]})
    key = ApiKey.objects.get()
    page = answer.content.decode()
    text = page.partition("<code>stc_")[2].partition("</code>")[0]
    assert Client().get("/api/cloud/jobs", headers={"x-api-key": f"stc_{text}"}).status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert text not in ada.get("/account").content.decode()
    ada.post(f"/account/keys/{key.pk}/revoke")
    key.refresh_from_db()
    assert key.revoked_at


@pytest.mark.parametrize(
    "form",
    [
        {"name": " ", "days": "30"},
        {"name": "x", "days": "31"},
        {"name": "x", "days": ""},
        {"name": "x", "days": "30", "scopes": ["jobs.manage_accounts"]},
    ],
)
def test_page_says_why_it_makes_no_key(make_account: MakeAccount, form: dict[str, Any]) -> None:
    answer = logged_in(make_account("ada", "researcher")).post("/account", form)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_page_revokes_no_key_of_anothers(make_account: MakeAccount, make_key: MakeKey) -> None:
    make_key(make_account("ada", "researcher"))
    key = ApiKey.objects.get()
    assert logged_in(make_account("bob", "lead")).post(f"/account/keys/{key.pk}/revoke").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None
