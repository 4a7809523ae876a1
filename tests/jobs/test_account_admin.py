"""Accounts in the administration."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from jobs.models import ApiKey, AuditEntry
from tests.conftest import MakeAccount, MakeJob, MakeKey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_accounts")]


@pytest.fixture
def admin(make_account: MakeAccount) -> Client:
    client = Client()
    client.force_login(make_account("root", "admin"))
    return client


def form_of(user: User, *roles: str) -> dict[str, object]:
    return {
        "username": user.username,
        "is_active": "on",
        "groups": [Group.objects.get(name=role).pk for role in roles],
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        "membership-TOTAL_FORMS": 0,
        "membership-INITIAL_FORMS": 0,
    }


def test_who_becomes_admin_gets_in_here_and_who_ceases_to_be_does_not(admin: Client, make_account: MakeAccount) -> None:
    ada = make_account("ada", "researcher")
    path = f"/admin/auth/user/{ada.pk}/change/"
    assert admin.post(path, form_of(ada, "admin")).status_code == 302
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (True, False)
    assert admin.post(path, form_of(ada, "lead") | {"is_staff": "on", "is_superuser": "on"}).status_code == 302
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (False, False)
    entries = AuditEntry.objects.filter(action="account.change", actor="root", target="ada").order_by("pk")
    assert [entry.details["role"] for entry in entries] == ["admin", "lead"]


@pytest.mark.parametrize("role", ["", "viewer", "researcher", "lead"])
def test_nobody_else_gets_in(make_account: MakeAccount, role: str) -> None:
    client = Client()
    client.force_login(make_account("ada", role))
    assert client.get("/admin/", follow=True).status_code == 403


def test_staff_without_permissions_touch_nothing(make_account: MakeAccount, make_job: MakeJob) -> None:
    client = Client()
    ada = make_account("ada", "researcher")
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    client.force_login(ada)
    job = make_job(status="completed")
    for path in ("/admin/jobs/unifiedjob/", f"/admin/jobs/unifiedjob/{job.pk}/delete/", "/admin/auth/user/"):
        assert client.get(path).status_code == 403


def test_keys_are_shown_without_what_opens_anything_and_revoked(
    admin: Client, make_account: MakeAccount, make_key: MakeKey
) -> None:
    text = make_key(make_account("ada", "researcher"))
    key = ApiKey.objects.get()
    for path in ("/admin/jobs/apikey/", f"/admin/jobs/apikey/{key.pk}/change/"):
        page = admin.get(path).content.decode()
        assert key.prefix in page
        assert key.digest not in page
        assert text not in page
    assert admin.get("/admin/jobs/apikey/add/").status_code == 403
    admin.post("/admin/jobs/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at
    assert AuditEntry.objects.filter(action="key.revoke", actor="root").count() == 1


def test_audit_log_is_read_searched_and_never_touched(admin: Client) -> None:
    entry = AuditEntry.objects.create(actor="ada", via="session", action="job.cancel", target="job-1")
    AuditEntry.objects.create(actor="bob", via="session", action="job.cancel", target="job-2")
    assert b"job-1" in admin.get("/admin/jobs/auditentry/").content
    found = admin.get("/admin/jobs/auditentry/?q=ada").content
    assert b"job-1" in found
    assert b"job-2" not in found
    assert admin.get(f"/admin/jobs/auditentry/{entry.pk}/change/").status_code == 200
    assert admin.post(f"/admin/jobs/auditentry/{entry.pk}/change/", {"actor": "x"}).status_code == 403
    assert admin.post(f"/admin/jobs/auditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.get("/admin/jobs/auditentry/add/").status_code == 403
