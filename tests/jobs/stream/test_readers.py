"""Who reads what of ``/api/events`` when people log in: live, replayed and announced, until they no longer may."""

import time
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from jobs import access, events
from jobs.access import SYSTEM
from jobs.lifecycle import Source
from jobs.models import ApiKey, StatusChange
from jobs.services import api_keys, history, logins
from jobs.services.snapshots import apply_snapshot
from jobs.stream import hub
from tests.conftest import MakeAccount, MakeJob, MakeKey, MakeSnapshot
from tests.jobs.stream.conftest import Listen
from tests.jobs.stream.listener import WAIT_SECONDS, StreamListener

pytestmark = pytest.mark.usefixtures("with_accounts")

ChangeOf = Callable[[User | None], str]


@pytest.fixture
def change_of(make_job: MakeJob, make_snapshot: MakeSnapshot) -> ChangeOf:
    """Make one event of a job of somebody's; returns its id."""

    def see_running(owner: User | None) -> str:
        job = make_job(status="queued", owner=owner)
        apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
        return job.job_id

    return see_running


def by_key(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


def ids_of(reader: StreamListener) -> list[str]:
    return [event["job_id"] for event in reader.events if event["type"] == "job_status_changed"]


def newest() -> int:
    return StatusChange.objects.order_by("-pk").values_list("pk", flat=True)[0]


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stream_takes_a_key_or_a_session(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey
) -> None:
    ada = make_account("ada", "researcher")
    key = make_key(ada)
    browser = Client()
    browser.force_login(ada)
    cookie = f"other=1; sessionid={browser.cookies['sessionid'].value}"
    for headers in (by_key(key), {"Authorization": f"Bearer {key}"}, {"Cookie": cookie}):
        assert listen(web, headers=headers).status == 200


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        ({}, "", "not_authenticated"),
        ({}, "?api_key={key}&X-API-Key={key}", "not_authenticated"),
        ({"Cookie": "sessionid=nonsense"}, "", "not_authenticated"),
        ({"Cookie": "=; sessionid; ses[sion]id=x"}, "", "not_authenticated"),
        ({"X-API-Key": "stc_00000000_nonsense"}, "", "invalid_api_key"),
        ({"Authorization": "Bearer stc_00000000_nonsense"}, "", "invalid_api_key"),
    ],
)
def test_everybody_else_is_told_to_log_in(
    web: str, make_account: MakeAccount, make_key: MakeKey, headers: dict[str, str], query: str, code: str
) -> None:
    key = make_key(make_account("ada", "researcher"))
    answer = httpx.get(f"{web}/api/events{query.format(key=key)}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert "authentication required" in answer.json()["detail"].lower()
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_account_that_may_see_nothing_reads_nothing(web: str, make_account: MakeAccount, make_key: MakeKey) -> None:
    assert httpx.get(f"{web}/api/events", headers=by_key(make_key(make_account("new")))).status_code == 403


def test_bad_keys_have_to_wait(web: str, make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "BAD_KEYS_PER_ADDRESS", 2)
    answers = [httpx.get(f"{web}/api/events", headers=by_key("stc_bad")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_each_hears_of_their_own_jobs_and_a_lead_of_all(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey, change_of: ChangeOf
) -> None:
    ada, bob, lead = make_account("ada", "researcher"), make_account("bob", "viewer"), make_account("l", "lead")
    readers = {user.username: listen(web, headers=by_key(make_key(user))) for user in (ada, bob, lead)}
    of_ada, of_bob, of_nobody, last = (change_of(owner) for owner in (ada, bob, None, ada))
    readers["l"].wait_for(4)
    readers["ada"].wait_for(2)
    wait_until(lambda: readers["bob"].cursor == newest())
    assert ids_of(readers["l"]) == [of_ada, of_bob, of_nobody, last]
    assert ids_of(readers["ada"]) == [of_ada, last]
    assert ids_of(readers["bob"]) == [of_bob]


def test_place_of_a_reader_moves_on_over_what_is_for_others(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey, change_of: ChangeOf
) -> None:
    ada = make_account("ada", "researcher")
    reader = listen(web, headers=by_key(make_key(ada)))
    mine = change_of(ada)
    for _ in range(5):
        change_of(None)
    wait_until(lambda: reader.cursor == newest())
    assert ids_of(reader) == [mine]


def test_replay_is_of_ones_own_and_told_once(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey, change_of: ChangeOf
) -> None:
    ada = make_account("ada", "researcher")
    headers = by_key(make_key(ada))
    change_of(None)
    start = newest()
    mine = [change_of(ada), change_of(None) and change_of(ada)]
    change_of(None)
    again = listen(web, headers=headers | {"Last-Event-ID": str(start)})
    again.wait_for(2)
    wait_until(lambda: again.cursor == newest())
    assert ids_of(again) == mine
    again.close()
    third = listen(web, headers=headers | {"Last-Event-ID": str(again.cursor)})
    after = change_of(ada)
    third.wait_for(1)
    assert ids_of(third) == [after]


def test_others_events_make_a_replay_neither_too_long_nor_too_old(
    web: str,
    listen: Listen,
    make_account: MakeAccount,
    make_key: MakeKey,
    change_of: ChangeOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "REPLAY_EVENTS", 3)
    ada = make_account("ada", "researcher")
    change_of(None)
    start = newest()
    for _ in range(5):
        change_of(None)
    StatusChange.objects.update(recorded_at="2020-01-01T00:00:00Z")
    mine = change_of(ada)
    reader = listen(web, headers=by_key(make_key(ada)) | {"Last-Event-ID": str(start)})
    reader.wait_for(1)
    assert ids_of(reader) == [mine]
    # Who sees all of it has to read anew.
    lead = listen(web, headers=by_key(make_key(make_account("l", "lead"))) | {"Last-Event-ID": str(start)})
    assert lead.wait_for(1)[0]["type"] == "resync"


def test_announcement_is_heard_by_those_it_is_for(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey, make_job: MakeJob
) -> None:
    ada, lead = make_account("ada", "researcher"), make_account("l", "lead")
    hears = {user.username: listen(web, headers=by_key(make_key(user))) for user in (ada, lead)}
    events.announce("unsaid", {"n": 1})
    events.announce("history_sync", {"n": 2}, events.Audience(permission=access.SYNC))
    events.announce("of_ada", {"n": 3}, events.owner_of(make_job(owner=ada)))
    events.announce("of_nobody", {"n": 4}, events.owner_of(make_job()))
    events.announce("for_managers", {"n": 5}, events.Audience(permission=access.MANAGE_ACCOUNTS))
    events.announce("for_all", {"n": 6}, events.EVERYONE)
    for reader, heard in (("l", [1, 2, 3, 4, 6]), ("ada", [3, 6])):
        wait_until(lambda reader=reader: any(event["n"] == 6 for event in hears[reader].events))  # type: ignore[misc]
        assert [event["n"] for event in hears[reader].events] == heard
        assert all("audience" not in event for event in hears[reader].events)


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "CHECK_SECONDS", 0.1)


def revoke_key(user: User) -> None:
    api_keys.revoke_key(SYSTEM, ApiKey.objects.get(user=user).pk)


def switch_off(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def take_role(user: User) -> None:
    user.groups.clear()


def give_role(user: User) -> None:
    user.groups.add(Group.objects.get(name="lead"))


def expire(user: User) -> None:
    ApiKey.objects.filter(user=user).update(expires_at="2020-01-01T00:00:00Z")


@pytest.mark.usefixtures("quick_checks")
@pytest.mark.parametrize("change", [revoke_key, switch_off, take_role, give_role, expire])
def test_stream_ends_when_its_reader_may_read_something_else(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey, change: Callable[[User], None]
) -> None:
    ada, bob = make_account("ada", "researcher"), make_account("bob", "researcher")
    reader, other = (listen(web, headers=by_key(make_key(user))) for user in (ada, bob))
    change(ada)
    assert reader.is_over.wait(WAIT_SECONDS)
    assert not other.is_over.is_set()


@pytest.mark.usefixtures("quick_checks")
def test_stream_ends_with_its_session(web: str, listen: Listen, make_account: MakeAccount) -> None:
    browser = Client()
    browser.force_login(make_account("ada", "researcher"))
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    reader = listen(web, headers=cookie)
    browser.post("/logout")
    assert reader.is_over.wait(WAIT_SECONDS)
    assert httpx.get(f"{web}/api/events", headers=cookie).status_code == 401


@pytest.fixture
def two_streams(settings: Settings) -> None:
    settings.SSE_MAX_PER_IP = 2
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)


@pytest.mark.usefixtures("two_streams")
def test_streams_are_counted_for_each_account_too(
    web: str, listen: Listen, make_account: MakeAccount, make_key: MakeKey
) -> None:
    key = make_key(make_account("ada", "researcher"))

    def opened(address: str, text: str = key) -> Any:
        return listen(web, headers=by_key(text) | {"X-Forwarded-For": address})

    first, second = opened("203.0.113.1"), opened("203.0.113.2")
    assert [first.status, second.status] == [200, 200]
    refusal = httpx.get(f"{web}/api/events", headers=by_key(key) | {"X-Forwarded-For": "203.0.113.3"})
    assert (refusal.status_code, refusal.json()["code"]) == (429, "too_many_streams")
    assert "of this account" in refusal.json()["detail"]
    # The refused one keeps no place of its address.
    bob = make_key(make_account("bob", "researcher"))
    assert [opened("203.0.113.3", bob).status for _ in range(2)] == [200, 200]
    first.close()
    wait_until(lambda: opened("203.0.113.4").status == 200)
