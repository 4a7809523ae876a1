"""Every address of the API and who may use it; and that another's job is not there for who sees their own alone."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from jobs.access import (
    CANCEL_OWN,
    CHANGE_LIMITS,
    CONFIGURE_PROVIDERS,
    MANAGE_ACCOUNTS,
    PERMISSIONS,
    ROLES,
    SUBMIT,
    SYNC,
    VIEW_ALL,
    VIEW_OWN,
    Actor,
)
from jobs.api import throttling
from jobs.api.permissions import HasPermission, SignedIn
from jobs.models import AuditEntry, UnifiedJob
from tests.conftest import MakeAccount, MakeJob, MakeKey
from tests.sandbox_server import RunningSandbox

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Nobody is asked who they are; the last one's senders sign.
OPEN = {"api/cloud/health/live", "api/cloud/health/ready", "api/webhooks/<str:provider>"}
# For whoever has said who they are.
SIGNED_IN = {"api/schema", "api/docs"}


def routes(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback


def api_views() -> dict[str, type[APIView]]:
    return {route: view.cls for route, view in routes() if hasattr(view, "cls")}


def declared() -> list[Any]:
    """Each route and method, and the permission that it names."""
    found = []
    for route, view in sorted(api_views().items()):
        permissions: Mapping[str, str] = getattr(view, "permissions", {})
        found += [
            pytest.param(route, method, permissions.get(method, ""), id=f"{method} {route}")
            for method in METHODS
            if hasattr(view, method.lower()) and route not in OPEN | SIGNED_IN
        ]
    return found


def test_every_view_says_who_may_use_it() -> None:
    views = api_views()
    assert set(views) >= OPEN | SIGNED_IN
    for route, view in views.items():
        kinds = set(view.permission_classes)
        if route in OPEN:
            assert kinds == {AllowAny}, route
        elif route in SIGNED_IN:
            assert kinds == {SignedIn}, route
        else:
            assert kinds == {HasPermission}, route
            methods = {method for method in METHODS if hasattr(view, method.lower())}
            assert methods == set(view.permissions), f"{route}: a method that names no permission is denied"  # type: ignore[attr-defined]
            assert set(view.permissions.values()) <= set(PERMISSIONS), route  # type: ignore[attr-defined]


def test_nothing_below_api_is_answered_by_a_view_that_is_not_walked() -> None:
    others = [route for route, view in routes() if re.match(r"\^?api\b", route) and not hasattr(view, "cls")]
    assert others == [r"^api(?:/[\s\S]*)?$"]


def address_of(route: str) -> str:
    for parameter, value in (
        ("<str:job_id>", "nothere"),
        ("<str:provider>", "nobody"),
        ("<int:key_id>", "0"),
    ):
        route = route.replace(parameter, value)
    # Of routes of others, any value that cannot be there.
    while "<" in route:
        before, _, rest = route.partition("<")
        route = f"{before}0{rest.partition('>')[2]}"
    return f"/{route}"


@pytest.mark.django_db
@pytest.mark.usefixtures("with_accounts")
@pytest.mark.parametrize(("route", "method", "permission"), declared())
def test_each_role_gets_what_it_has_and_nothing_else(
    route: str, method: str, permission: str, make_account: MakeAccount, make_key: MakeKey, sandbox: RunningSandbox
) -> None:
    path = address_of(route)

    def ask(key: str = "") -> int:
        headers = {"x-api-key": key} if key else {}
        return Client().generic(method, path, b"[", content_type="application/json", headers=headers).status_code

    assert ask() == 401
    for role, permissions in {"none": frozenset[str](), **ROLES}.items():
        status = ask(make_key(make_account(role, "" if role == "none" else role)))
        may = Actor(user_id=1, name=role, permissions=permissions, via="test").can(permission)
        assert (status != 403) == may, f"{role} got {status}"
        assert status < 500 or not may or status in (502, 503, 504), f"{role} got {status}"
        assert status != 401


def test_what_each_permission_is_asked_for() -> None:
    """Spelt out, so that a view cannot be opened to more people by a slip."""
    needed = {(entry.values[0], entry.values[1]): entry.values[2] for entry in declared()}
    expected = {
        ("api/cloud/jobs", "GET"): VIEW_OWN,
        ("api/cloud/jobs/sync", "POST"): SYNC,
        ("api/cloud/jobs/sync/history", "GET"): SYNC,
        ("api/cloud/jobs/sync/history", "DELETE"): SYNC,
        ("api/cloud/jobs/<str:job_id>", "GET"): VIEW_OWN,
        ("api/cloud/jobs/<str:job_id>", "DELETE"): CANCEL_OWN,
        ("api/cloud/jobs/<str:job_id>/inline-progress", "GET"): VIEW_OWN,
        ("api/cloud/jobs/<str:job_id>/logs", "GET"): VIEW_OWN,
        ("api/cloud/jobs/<str:job_id>/cancel", "POST"): CANCEL_OWN,
        ("api/cloud/metrics/prometheus", "GET"): VIEW_ALL,
        # What each setting takes is looked at with it.
        ("api/cloud/providers/<str:provider>/config", "PUT"): VIEW_OWN,
        ("api/cloud/providers/<str:provider>/token", "PUT"): CONFIGURE_PROVIDERS,
        ("api/cloud/jobs/submit", "POST"): SUBMIT,
        ("api/queue/concurrency", "POST"): CHANGE_LIMITS,
        ("api/queue/process", "POST"): CHANGE_LIMITS,
        ("api/keys", "POST"): VIEW_OWN,
        ("api/audit", "GET"): MANAGE_ACCOUNTS,
    }
    assert {key: needed[key] for key in expected} == expected


@pytest.mark.django_db
@pytest.mark.usefixtures("with_accounts")
def test_open_addresses_answer_anybody_and_documentation_only_who_is_known(
    make_account: MakeAccount, make_key: MakeKey, sandbox: RunningSandbox
) -> None:
    assert Client().get("/api/cloud/health/live").status_code == 200
    assert Client().get("/api/cloud/health/ready").status_code == 200
    # Not signed.
    assert Client().post("/api/webhooks/replicate", b"{}", content_type="application/json").json()["code"] == (
        "invalid_signature"
    )
    key = make_key(make_account("ada", "viewer"))
    for path in ("/api/schema", "/api/docs"):
        assert Client().get(path).status_code == 401
        assert Client().get(path, headers={"x-api-key": key}).status_code == 200


def pk_of(name: str) -> int:
    return User.objects.get(username=name).pk


@pytest.fixture
def as_reader(with_accounts: None, make_account: MakeAccount, make_key: MakeKey) -> Any:
    """Requests of somebody of a role, whose name is ``ada``."""
    keys: dict[str, str] = {}

    def ask(path: str, method: str = "GET", role: str = "researcher") -> Any:
        if role not in keys:
            keys[role] = make_key(make_account("ada" if role == "researcher" else role, role))
        return Client().generic(method, path, headers={"x-api-key": keys[role]})

    return ask


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/cloud/jobs/{}"),
        ("DELETE", "/api/cloud/jobs/{}"),
        ("GET", "/api/cloud/jobs/{}/inline-progress"),
        ("GET", "/api/cloud/jobs/{}/logs"),
        ("POST", "/api/cloud/jobs/{}/cancel"),
    ],
)
def test_anothers_job_is_not_there(
    as_reader: Any, make_job: MakeJob, make_account: MakeAccount, method: str, path: str
) -> None:
    of_bob = make_job(owner=make_account("bob", "researcher"), status="completed", external_id="theirs")
    of_nobody = make_job(status="completed", external_id="nobodys")
    for job in (of_bob, of_nobody):
        answer = as_reader(path.format(job.job_id), method)
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
        assert as_reader(path.format(job.external_id), method).status_code == 404
    assert UnifiedJob.objects.count() == 2


@pytest.mark.django_db
def test_refused_address_may_hold_anything(as_reader: Any) -> None:
    for odd in ("%00", "%F0%9F%92%A9", "x" * 2000):
        assert as_reader(f"/api/cloud/jobs/{odd}/cancel", "POST", role="viewer").status_code == 403
    assert AuditEntry.objects.filter(action="request").count() == 3


@pytest.mark.django_db
def test_own_job_is_there_and_a_lead_sees_everybodys(
    as_reader: Any, make_job: MakeJob, make_account: MakeAccount
) -> None:
    as_reader("/api/cloud/jobs")
    mine = make_job(owner_id=pk_of("ada"), status="completed")
    theirs = make_job(owner=make_account("bob", "researcher"), status="completed")
    assert as_reader(f"/api/cloud/jobs/{mine.job_id}").json()["job"]["owner"] == "ada"
    listed = as_reader("/api/cloud/jobs").json()
    assert (listed["total"], [job["job_id"] for job in listed["jobs"]]) == (1, [mine.job_id])
    assert as_reader("/api/cloud/jobs", role="lead").json()["total"] == 2
    assert as_reader(f"/api/cloud/jobs/{theirs.job_id}", role="lead").status_code == 200
    assert as_reader(f"/api/cloud/jobs/{mine.job_id}", "DELETE").status_code == 200
    assert as_reader(f"/api/cloud/jobs/{theirs.job_id}", "DELETE", role="lead").status_code == 200


@pytest.mark.django_db
def test_numbers_are_over_what_one_sees(as_reader: Any, make_job: MakeJob) -> None:
    as_reader("/api/cloud/jobs")
    make_job(owner_id=pk_of("ada"), status="completed", cost_usd="1.50")
    make_job(status="running", hardware_type="gpu-h100", cost_usd="9")
    mine = as_reader("/api/cloud/metrics").json()
    assert (mine["job_count"], mine["running_count"], float(mine["total_cost_usd"])) == (1, 0, 1.5)
    assert float(mine["burn_rate_usd_per_hour"]) == mine["burn_rate_unknown_jobs"] == 0
    everybodys = as_reader("/api/cloud/metrics", role="lead").json()
    assert (everybodys["job_count"], everybodys["running_count"]) == (2, 1)
    assert float(everybodys["total_cost_usd"]) == 10.5


@pytest.mark.django_db
def test_refresh_of_all_jobs_tells_each_of_their_own(
    as_reader: Any, make_job: MakeJob, sandbox: RunningSandbox
) -> None:
    as_reader("/api/cloud/jobs")
    # The account of the sandbox is empty: it knows none of them.
    make_job(owner_id=pk_of("ada"), external_id="mine")
    make_job(external_id="secret-of-bob")
    told = as_reader("/api/cloud/jobs?sync_active=true")
    assert told.json()["sync"]["refreshed"] + told.json()["sync"]["failed"] == 1
    assert "secret-of-bob" not in told.content.decode()


@pytest.mark.django_db
def test_who_may_look_at_everything_may_not_therefore_end_it(
    make_job: MakeJob, make_account: MakeAccount, make_key: MakeKey, with_accounts: None
) -> None:
    key = make_key(make_account("lead", "lead"), VIEW_ALL, CANCEL_OWN)
    job = make_job(status="completed")
    for method, path in (("DELETE", ""), ("POST", "/cancel")):
        answer = Client().generic(method, f"/api/cloud/jobs/{job.job_id}{path}", headers={"x-api-key": key})
        assert answer.status_code == 403
    entries = AuditEntry.objects.filter(action="request", outcome="refused")
    assert [entry.details["method"] for entry in entries.order_by("pk")] == ["DELETE", "POST"]
    assert entries[0].via.startswith("key stc_")
    assert entries[0].address == "127.0.0.1"


@pytest.mark.django_db
def test_loop_of_writes_meets_a_wall_and_reads_do_not(
    as_reader: Any, monkeypatch: pytest.MonkeyPatch, make_job: MakeJob
) -> None:
    monkeypatch.setattr(throttling, "WRITES", 3)
    path = "/api/cloud/jobs/none"
    assert [as_reader(path, "DELETE").status_code for _ in range(3)] == [404] * 3
    refusal = as_reader(path, "DELETE")
    assert (refusal.status_code, refusal.json()["code"]) == (429, "throttled")
    assert 1 <= int(refusal.headers["Retry-After"]) <= 60
    assert as_reader("/api/cloud/jobs").status_code == 200
    assert as_reader(path, "DELETE", role="lead").status_code == 404


@pytest.mark.django_db
def test_owner_alone_on_the_machine_meets_no_wall(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "WRITES", 1)
    assert [client.delete("/api/cloud/jobs/none").status_code for _ in range(5)] == [404] * 5


def test_published_schema_says_that_one_may_be_refused(client: Client, db: None) -> None:
    paths = client.get("/api/schema", headers={"accept": "application/json"}).json()["paths"]
    told = {
        (path, method): {status for status in operation["responses"] if status in ("401", "403", "429")}
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert told[("/api/cloud/jobs", "get")] == {"401", "403", "429"}
    assert told[("/api/cloud/jobs/sync", "post")] == {"401", "403", "429"}
    assert told[("/api/cloud/health/live", "get")] == set()


@pytest.mark.django_db
def test_limits_open_while_redis_is_away(as_reader: Any, no_redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "WRITES", 1)
    assert [as_reader("/api/cloud/jobs/none", "DELETE").status_code for _ in range(3)] == [404] * 3
