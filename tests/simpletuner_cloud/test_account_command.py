"""``manage.py account``."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from jobs.models import AuditEntry, Membership
from tests.conftest import MakeAccount

pytestmark = pytest.mark.django_db


def account(*arguments: str, monkeypatch: pytest.MonkeyPatch | None = None, typed: str = "", **options: Any) -> str:
    out = io.StringIO()
    if monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    call_command("account", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def test_first_account_is_made_and_logs_in(monkeypatch: pytest.MonkeyPatch, with_accounts: None) -> None:
    typed = "correct horse battery\n"
    account(
        "create", "ada", "--role", "admin", "--team", "vision", "--password-stdin", monkeypatch=monkeypatch, typed=typed
    )
    user = User.objects.get(username="ada")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert Membership.objects.get(user=user).team.name == "vision"
    client = Client()
    form = {"username": "ada", "password": "correct horse battery"}
    assert client.post("/login", form).status_code == 302
    for path in ("/admin/", "/admin/auth/user/", "/admin/jobs/unifiedjob/", "/admin/jobs/auditentry/"):
        assert client.get(path).status_code == 200
    assert AuditEntry.objects.filter(action="account.create", actor="operator", target="ada").exists()


@pytest.mark.parametrize(
    ("name", "password", "complaint"),
    [
        ("ada", "short", "too short"),
        ("ada", "password", "too common"),
        ("a b", "correct horse battery", "valid username"),
        ("BOB", "correct horse battery", "already"),
    ],
)
def test_account_that_is_no_good_is_not_made(
    monkeypatch: pytest.MonkeyPatch, make_account: MakeAccount, name: str, password: str, complaint: str
) -> None:
    make_account("bob")
    with pytest.raises(CommandError, match=complaint):
        account("create", name, "--password-stdin", monkeypatch=monkeypatch, typed=f"{password}\n")
    assert User.objects.count() == 1


def test_key_is_printed_and_opens_what_it_should(make_account: MakeAccount, with_accounts: None) -> None:
    make_account("ada", "lead")
    key = account("key", "ada", "--scopes", "view_all_jobs, sync_jobs", "--days", "7").strip()
    assert Client().get("/api/cloud/jobs", headers={"x-api-key": key}).status_code == 200
    assert Client().post("/api/queue/process", headers={"x-api-key": key}).status_code == 403
    for arguments in (("key", "nobody"), ("key", "ada", "--scopes", "fly"), ("key", "ada", "--days", "0")):
        with pytest.raises(CommandError):
            account(*arguments)


def test_disabled_account_is_out_and_listed_so(make_account: MakeAccount, with_accounts: None) -> None:
    ada = make_account("ada", "researcher")
    key = account("key", "ada").strip()
    client = Client()
    client.force_login(ada)
    account("disable", "ada")
    assert client.get("/").status_code == 302
    assert Client().get("/api/cloud/jobs", headers={"x-api-key": key}).status_code == 401
    assert "researcher  disabled" in account("list")
    with pytest.raises(CommandError, match="switched off"):
        account("key", "ada")


def test_list_tells_roles(make_account: MakeAccount) -> None:
    make_account("ada", "lead")
    make_account("new")
    lines = account("list").splitlines()
    assert [line.split()[:2] for line in lines] == [["ada", "lead"], ["new", "no"]]
