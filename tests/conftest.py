"""What every test may use."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from ipaddress import ip_address
from typing import Any

import pytest
import responses
from django.apps import apps
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as property_settings
from pytest_django import Settings

from jobs import coordination, outgoing_urls
from jobs.access import SYSTEM
from jobs.models import HardwarePrice, UnifiedJob
from jobs.services import (
    accounts,
    actors,
    api_keys,
    call_governor,
    provider_calls,
    rate_limits,
    token_source,
    webhook_secrets,
)
from providers import registry
from providers.snapshots import JobSnapshot, RemoteStatus
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.web_server import running_web

# The same examples on every machine; HYPOTHESIS_PROFILE=thorough looks for new ones.
property_settings.register_profile(
    "quick", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
property_settings.register_profile(
    "thorough", property_settings.get_profile("quick"), derandomize=False, max_examples=3000
)
property_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

MakeJob = Callable[..., UnifiedJob]
MakeAccount = Callable[..., User]
MakeKey = Callable[..., str]
MakeSnapshot = Callable[..., JobSnapshot]


# Files that take long, so that no process is left alone with one in the end; the first does not disturb the second.
LONG_FILES = (
    "chaos/test_chaos.py",
    "test_dispatch_crashes.py",
    "properties/test_store_machine.py",
    "test_two_nodes.py",
    "test_benchmarks.py",
    "test_processes.py",
    "schema/test_published_schema.py",
    "test_planted_secrets.py",
    "test_whole_system.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first; the order of all others stays as it is."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((number for number, name in enumerate(LONG_FILES) if path.endswith(name)), len(LONG_FILES))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    """No provider, lease or shared answer outlives its test."""
    registry.forget_providers()
    coordination.client().flushdb()
    coordination.forget_local_answers()
    webhook_secrets.forget_secrets()
    call_governor.forget_own_books()
    provider_calls.forget_clocks()
    actors.forget_owner()
    token_source.forget_tokens()
    rate_limits.forget_outage()
    yield
    registry.forget_providers()


@pytest.fixture(autouse=True)
def _prices(request: pytest.FixtureRequest) -> None:
    """Every test with a database has the price table of a new installation.

    Tests that commit empty all tables afterwards, and with them what migrations brought.
    """
    asks_for_database = {"db", "transactional_db"} & set(request.fixturenames)
    if asks_for_database or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
        if not HardwarePrice.objects.exists():
            import_module("jobs.migrations.0002_prices").add_prices(apps, None)


@pytest.fixture(autouse=True)
def host_names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names lead to, as a test fills it in; no other name is known, and no name server is asked."""
    known = {"localhost": ["127.0.0.1", "::1"]}
    monkeypatch.setattr(outgoing_urls, "resolve", lambda host: tuple(map(ip_address, known.get(host, ()))))
    return known


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    """Providers' HTTP, mocked: an unregistered URL fails, and so does one that was not asked for."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def make_job(db: None) -> MakeJob:
    """Store a job; it runs at Replicate unless told otherwise."""
    made = 0

    def make(**fields: Any) -> UnifiedJob:
        nonlocal made
        made += 1
        external_id = fields.pop("external_id", f"job{made:05d}abcdefghijklmnopqr")
        defaults: dict[str, Any] = {
            "job_id": external_id or f"local{made}",
            "provider": "replicate",
            "external_id": external_id,
            "external_kind": "training",
            "status": "running",
            "created_at": timezone.now(),
        }
        return UnifiedJob.objects.create(**(defaults | fields))

    return make


@pytest.fixture
def with_accounts(settings: Settings) -> None:
    """People log in, and programs send a key."""
    settings.SINGLE_USER = False


@pytest.fixture
def make_account(db: None) -> MakeAccount:
    """Make an account; its password is its name and ``-password``."""

    def make(name: str, role: str = "", **fields: Any) -> User:
        user = User.objects.create_user(name, password=f"{name}-password", **fields)
        if role:
            accounts.set_role(user, role)
        return user

    return make


@pytest.fixture
def make_key(db: None) -> MakeKey:
    """Make an API key of an account, and return its text."""

    def make(user: User, *scopes: str, days: int | None = None) -> str:
        return api_keys.create_key(SYSTEM, user, name="test", scopes=scopes, days=days).text

    return make


@pytest.fixture
def make_snapshot() -> MakeSnapshot:
    """Build what a provider says of one job."""

    def make(**fields: Any) -> JobSnapshot:
        status = fields.pop("status", RemoteStatus.RUNNING)
        defaults: dict[str, Any] = {
            "provider": "replicate",
            "external_id": "snap0001abcdefghijklmnopqr",
            "status": RemoteStatus(status) if status is not None else None,
            "raw_status": "processing",
            "as_of": datetime.now(UTC),
            "kind": "training",
        }
        return JobSnapshot(**(defaults | fields))

    return make


@pytest.fixture
def sandbox(settings: Settings) -> Iterator[RunningSandbox]:
    """A real HTTP server that behaves like Replicate, wired as the provider; its account has no jobs yet."""
    with running_sandbox() as server:
        settings.PROVIDERS = {
            "replicate": {
                "token": server.token,
                "base_url": server.url,
                "status_url": f"{server.url}/api/v1/summary",
            }
        }
        yield server


@pytest.fixture
def web(transactional_db: None) -> Iterator[str]:
    """The base URL of the running product, on a database that every thread sees."""
    with running_web() as url:
        yield url
