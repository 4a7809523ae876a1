"""Coming in and going out: jobs.views.login, and what guessing costs."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.models import AuditEntry
from jobs.services import logins, rate_limits
from tests.conftest import MakeAccount, MakeJob

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_accounts")]


@pytest.fixture
def ada(make_account: MakeAccount) -> User:
    return make_account("ada", "researcher")


def log_in(client: Client, name: str = "ada", password: str = "ada-password", **fields: Any) -> Any:
    extra = {key: fields.pop(key) for key in list(fields) if key.isupper()}
    return client.post("/login", {"username": name, "password": password, **fields}, **extra)


@pytest.mark.parametrize("path", ["/", "/jobs/x", "/jobs/x/saved.log", "/account", "/sync", "/admin/"])
def test_pages_lead_to_the_login_and_back(client: Client, ada: User, path: str) -> None:
    answer = client.get(path, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/login?next=")
    assert f'value="{path}"' in answer.content.decode()
    assert log_in(client, next=path).headers["Location"] == path


@pytest.mark.parametrize("path", ["/login", "/i18n.js", "/favicon.ico", "/static/css/base.css"])
def test_what_the_login_page_needs_takes_no_login(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (200, 302, 405)
    assert "/login" not in answer.headers.get("Location", "")


@pytest.mark.parametrize("path", ["/fragments/jobs", "/fragments/metrics", "/fragments/notices", "/fragments/jobs/x"])
def test_fragment_is_refused_and_not_replaced_by_the_page_of_the_login(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_login_page_tells_nothing_of_what_is_behind_it(client: Client, make_job: MakeJob) -> None:
    make_job(config_name="secret-project")
    page = client.get("/login").content.decode()
    assert "connection-chip" not in page
    assert "notices" not in page
    assert "Administration" not in page


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_login_leads_nowhere_else(client: Client, ada: User, target: str) -> None:
    assert log_in(client, next=target).headers["Location"] == "/"


def test_planted_session_is_worth_nothing(client: Client, ada: User) -> None:
    client.get("/login")
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    log_in(client)
    assert client.session.session_key != planted
    thief = Client()
    thief.cookies["sessionid"] = str(planted)
    assert thief.get("/").status_code == 302


def test_cookie_of_a_session_is_kept_from_scripts_and_other_sites(client: Client, ada: User) -> None:
    cookie = log_in(client).cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_logout_takes_a_form_and_ends_the_session(client: Client, ada: User) -> None:
    log_in(client)
    stolen = client.cookies["sessionid"].value
    assert client.get("/logout").status_code == 302
    assert client.get("/").status_code == 200
    assert client.post("/logout").headers["Location"] == "/login"
    thief = Client()
    thief.cookies["sessionid"] = stolen
    assert thief.get("/").status_code == 302


def test_forms_take_a_token(ada: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    answer = log_in(browser)
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()
    browser.force_login(ada)
    assert browser.post("/logout").status_code == 403
    assert browser.get("/account").status_code == 200


def test_switched_off_account_is_out_at_once(client: Client, ada: User) -> None:
    log_in(client)
    assert client.get("/").status_code == 200
    ada.is_active = False
    ada.save()
    assert client.get("/").status_code == 302
    assert log_in(Client()).status_code == 400


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", ""),
        ("", ""),
        ("nobody", "ada-password"),
        ("ada\x00", "ada-password"),
        ("a" * 5000, "x"),
        ("ada", "x" * 100_000),
    ],
)
def test_wrong_name_or_password_is_one_answer(client: Client, ada: User, name: str, password: str) -> None:
    answer = log_in(client, name, password)
    assert answer.status_code == 400
    assert "do not belong together" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_guesses_at_an_account_are_slowed_down_wherever_they_come_from(ada: User) -> None:
    def guess(number: int, password: str = "wrong") -> Any:
        return log_in(Client(), password=password, REMOTE_ADDR=f"203.0.113.{number}")

    assert [guess(number).status_code for number in range(5)] == [400] * 5
    refusal = guess(6, "ada-password")
    assert refusal.status_code == 429
    assert 1 <= int(refusal.headers["Retry-After"]) <= 5
    assert "Try again in" in refusal.content.decode()
    # Others come in all the while.
    User.objects.create_user("bob", password="bob-password")
    assert log_in(Client(), "bob", "bob-password").status_code == 302


def test_pause_grows_and_ends_and_the_right_password_forgets_it(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "PASSWORDS", rate_limits.Growing(0.05, 10.0, 60.0))
    attempt = logins.LoginAttempt("ada", "203.0.113.1")
    pauses = []
    for _ in range(8):
        while (wait := attempt.begin()) is not None:
            pauses.append(wait)
            time.sleep(wait)
    longest = [max(pauses[: index + 1]) for index in range(len(pauses))]
    assert longest[-1] > 0.1
    attempt.forgive()
    assert [attempt.begin() for _ in range(4)] == [None] * 4


def test_guesses_from_one_address_at_many_names_are_slowed_down(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "TRIES_PER_ADDRESS", 4)
    statuses = [log_in(Client(), f"name{number}", "guess").status_code for number in range(5)]
    assert statuses == [400, 400, 400, 400, 429]
    assert log_in(Client(), REMOTE_ADDR="203.0.113.9").status_code == 302


def test_many_guesses_at_once_are_no_way_around_the_pause() -> None:
    """Each is counted before its password is looked at."""
    attempts = [logins.LoginAttempt("ada", f"203.0.113.{number}") for number in range(50)]
    assert sum(attempt.begin() is None for attempt in attempts) == logins.TRIES_PER_ACCOUNT


def test_without_redis_people_come_in(client: Client, ada: User, no_redis: None) -> None:
    assert [log_in(Client(), password="wrong").status_code for _ in range(7)] == [400] * 7
    assert log_in(client).status_code == 302


def test_who_came_and_who_did_not_is_written_down(client: Client, ada: User) -> None:
    log_in(client, password="wrong")
    log_in(client, "hunter2", "typed it into the wrong field")
    log_in(client)
    client.post("/logout")
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.actor, entry.action, entry.outcome, entry.address) for entry in entries] == [
        ("ada", "login", "refused", "127.0.0.1"),
        ("", "login", "refused", "127.0.0.1"),
        ("ada", "login", "done", "127.0.0.1"),
        ("ada", "logout", "done", "127.0.0.1"),
    ]
    assert "hunter2" not in str(list(entries.values()))


def test_new_password_ends_other_sessions(client: Client, ada: User) -> None:
    log_in(client)
    elsewhere = Client()
    log_in(elsewhere)
    new = "a longer and better one"
    form = {"old_password": "ada-password", "new_password1": new, "new_password2": new}
    assert client.post("/account/password", form | {"old_password": "wrong"}).status_code == 400
    assert client.post("/account/password", form | {"new_password1": "12345678"}).status_code == 400
    assert client.post("/account/password", form).status_code == 302
    assert client.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    assert log_in(Client()).status_code == 400
    assert log_in(Client(), password=new).status_code == 302
    assert AuditEntry.objects.filter(action="password.change", actor="ada").count() == 1


def test_administration_has_no_door_of_its_own(client: Client, ada: User) -> None:
    assert client.get("/admin/login/?next=/admin/").headers["Location"] == "/login?next=%2Fadmin%2F"
    log_in(client)
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "Your role does not allow this" in answer.content.decode()


def test_session_ends_by_itself(client: Client, ada: User) -> None:
    log_in(client)
    with time_machine.travel(timezone.now() + timedelta(days=15)):
        assert client.get("/").status_code == 302


def test_alone_on_the_machine_there_is_nothing_to_log_into(client: Client, settings: Settings) -> None:
    settings.SINGLE_USER = True
    for path in ("/login", "/account", "/account/password"):
        assert client.get(path).headers["Location"] == "/"
    page = client.get("/").content.decode()
    assert "account-menu" not in page
    assert "Administration" in page
