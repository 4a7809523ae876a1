"""Every page that a person can reach, in Hindi: no word of English is left in what they see or hear."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as product
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.access import SYSTEM
from jobs.lifecycle import LogsState
from jobs.models import (
    AuditEntry,
    DeletedJob,
    HistoryWalk,
    JobLog,
    PollCycle,
    StatusChange,
    TrainingConfig,
    UnifiedJob,
    WebhookDelivery,
)
from jobs.services import api_keys, cost_limits, queue_limits
from tests.conftest import MakeAccount, MakeJob
from tests.jobs.dispatch_helpers import submit
from tests.jobs.submitting import CONFIG, DATASETS
from tests.latin_words import latin_texts

pytestmark = pytest.mark.django_db

UNREACHED = "Replicate did not answer in time."
TABS = ("", "/logs", "/charts", "/config", "/events", "/cost", "/cancel", "/delete")
LISTS = (
    "/",
    "/?status=failed",
    "/?status=running&sort=cost",
    "/?q=nothing-of-this-name",
    "/?attention=any",
    "/?attention=unclaimed",
    "/?status=whatever&sort=odd&page=900&from=then",
    "/?provider=replicate&hardware=gpu-h100&owner=nobody",
)
PAGES = (
    "/queue",
    "/providers",
    "/spend",
    "/spend?days=7",
    "/trends",
    "/activity",
    "/jobs/new",
    "/configs",
    "/configs/new",
    "/jobs/nobody",
    "/nowhere/at/all",
)
FRAGMENTS = (
    "/fragments/jobs",
    "/fragments/metrics",
    "/fragments/notices",
    "/fragments/queue",
    "/fragments/trends",
    "/fragments/activity",
    "/fragments/history-import",
    "/fragments/providers/replicate",
)

# What operators read there as it is stored: words of the API, names of groups and machines. The last are what Django
# writes into the alternative texts of its icons, in no language but English.
ADMINISTRATION = frozenset(
    """
    owner system session sync viewer researcher lead admin replicate completed gone msg_ cost_limit set cpu ID
    True False Search
    """.split()  # noqa: SIM905 (it is a text to be read)
)


@pytest.fixture
def hindi(client: Client) -> Client:
    client.cookies[product.LANGUAGE_COOKIE_NAME] = "hi"
    return client


def english_on(client: Client, path: str, also: frozenset[str] = frozenset(), **form: Any) -> list[str]:
    answer = client.post(path, form, follow=True) if form else client.get(path, follow=True)
    assert answer.status_code < 500
    return [f"{path} {each}" for each in latin_texts(answer.content.decode(), also)]


@pytest.fixture
def stock(make_job: MakeJob) -> list[UnifiedJob]:
    """Jobs in every state, with everything that a page may say of them."""
    now = timezone.now()
    owner = User.objects.create_user("आशा")
    hour = timedelta(hours=1)
    common: dict[str, Any] = {"hardware_type": "gpu-h100", "last_synced_at": now, "config_name": "जॉब"}
    jobs = [
        make_job(
            status="running", started_at=now - hour, progress=45.5, stage="Training", last_log="step 10", step=10,
            total_steps=100, eta_seconds=8100, budget_usd=Decimal("10"), budget_told_percent=80,
            cost_usd=Decimal("8.5"), owner=owner, **common,
        ),
        make_job(status="running", started_at=now - hour, progress=None, **common),
        make_job(
            status="running", started_at=now - 2 * hour, cancel_requested_at=now - hour, cancel_requested_by="आशा",
            cancel_accepted_at=now - hour, cancel_error=UNREACHED, **common,
        ),
        make_job(
            status="completed", started_at=now - 3 * hour, completed_at=now - hour, cost_usd=Decimal("1234.5"),
            logs_state=LogsState.PARTIAL, output_url="https://replicate.delivery/out.zip", **common,
        ),
        make_job(
            status="failed", started_at=now - 3 * hour, completed_at=now - 40 * 24 * hour, logs_state=LogsState.LOST,
            error_message="CUDA out of memory", **common,
        ),
        make_job(status="cancelled", completed_at=now - 3 * 24 * hour, logs_state=LogsState.SAVED, **common),
        make_job(
            status="queued", lost_at=now - hour, failed_checks=3,
            last_sync_error="Replicate cannot be reached (ConnectionError).", **common,
        ),
        make_job(status="running", started_at=now - hour, origin="discovered", hardware_type=None, config_name=None),
        make_job(status="uploading", **common),
    ]  # fmt: skip
    for job in jobs:
        for previous, status, source in (("", "queued", "sync"), ("queued", job.status, "webhook")):
            StatusChange.objects.create(job=job, previous=previous or None, status=status, source=source)
    JobLog.objects.filter(job=jobs[3]).delete()
    WebhookDelivery.objects.create(
        provider="replicate", webhook_id="msg_1", sent_at=now, job=jobs[0], verdict="unreadable", event="completed"
    )
    submit("कप", owner=owner)
    submit("कप", owner=owner, status="dispatching", claimed_at=now - hour, sent_at=now - hour, attempts=1)
    PollCycle.objects.create(
        provider="replicate",
        seconds=1.25,
        active_jobs=3,
        changed=1,
        failed=1,
        error=UNREACHED,
    )
    TrainingConfig.objects.create(name="7", config=CONFIG, dataloader_config=DATASETS, owner=owner)
    HistoryWalk.objects.create(provider="replicate", pages=1200, seen=120_000, found=1)
    DeletedJob.objects.create(provider="replicate", external_id="gone", job_id="gone", deleted_by="आशा")
    cost_limits.set_limit(SYSTEM, "replicate", enabled=True, amount="5", period="weekly", action="warn")
    return jobs


def test_lists_and_their_parts(hindi: Client, stock: list[UnifiedJob]) -> None:
    assert [each for path in (*LISTS, *FRAGMENTS) for each in english_on(hindi, path)] == []


def test_pages(hindi: Client, stock: list[UnifiedJob]) -> None:
    pages = (*PAGES, "/configs/7/edit", "/configs/7/delete", f"/jobs/new?from={stock[0].job_id}")
    assert [each for path in pages for each in english_on(hindi, path)] == []


def test_pages_of_jobs(hindi: Client, stock: list[UnifiedJob]) -> None:
    paths = [f"/jobs/{job.job_id}{tab}" for job in stock for tab in TABS]
    paths += [f"/jobs/{stock[0].job_id}/config?with={stock[1].job_id}", f"/jobs/{stock[0].job_id}/config?with=कोई"]
    assert [each for path in paths for each in english_on(hindi, path)] == []


def test_empty_store(hindi: Client, db: None) -> None:
    assert [each for path in (*LISTS, *PAGES, *FRAGMENTS) for each in english_on(hindi, path)] == []


def test_store_without_a_provider(hindi: Client, settings: Settings) -> None:
    settings.PROVIDERS = {"replicate": {"token": "", "base_url": "https://replicate.invalid"}}
    assert [each for path in ("/", "/providers", "/jobs/new") for each in english_on(hindi, path)] == []


def test_sandbox(hindi: Client, settings: Settings) -> None:
    settings.IS_SANDBOX = True
    assert english_on(hindi, "/") == []


FORMS: list[tuple[str, dict[str, Any]]] = [
    ("/sync", {"next": "/"}),
    ("/jobs/new", {"config": "", "budget_usd": "many", "priority": "99"}),
    ("/jobs/new", {"config": "{", "hardware_profile": "gpu-h100"}),
    ("/jobs/new", {"config": "[]"}),
    ("/configs/new", {"name": "", "config": "{}"}),
    ("/configs/new", {"name": "!", "config": "{}"}),
    ("/configs/new", {"name": "one", "config": '{"a": 1, "a": 2}'}),
    ("/configs/new", {"name": "7", "config": "{}", "datasets": "{}"}),
    ("/queue/limits", {"max_concurrent": "many"}),
    ("/queue/limits", {"max_concurrent": "2", "user_max_concurrent": "1", "team_max_concurrent": "1"}),
    ("/queue/process", {"now": "1"}),
    ("/spend/limits/replicate", {"amount": "-1", "enabled": "on"}),
    ("/spend/limits/replicate", {"amount": "50", "enabled": "on"}),
    ("/providers/replicate/webhook", {"webhook_url": "ftp://example.org"}),
    ("/providers/replicate/webhook", {"webhook_url": ""}),
    ("/providers/replicate/token", {"token": "a b"}),
    ("/providers/replicate/token/remove", {"sure": "1"}),
    ("/jobs/cancel", {"job_id": "none", "count": "5"}),
    ("/sync/history/stop", {"next": "/"}),
]


@pytest.mark.parametrize(("path", "form"), FORMS)
def test_answers_to_forms(hindi: Client, stock: list[UnifiedJob], path: str, form: dict[str, Any]) -> None:
    assert english_on(hindi, path, **form) == []


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("cancel", {"next": "/"}),
        ("delete", {"sure": "1"}),
        ("retry", {"key": "1"}),
        ("budget", {"budget_usd": "-4"}),
        ("budget", {"budget_usd": "12.50"}),
        ("budget", {"remove": "1"}),
        ("claim", {"next": "/"}),
        ("ignore", {"next": "/"}),
    ],
)
def test_answers_to_what_is_done_with_jobs(
    hindi: Client, stock: list[UnifiedJob], action: str, form: dict[str, Any]
) -> None:
    found = [each for job in stock for each in english_on(hindi, f"/jobs/{job.job_id}/{action}", **form)]
    assert found == []


@pytest.mark.usefixtures("with_accounts")
def test_login_and_account(client: Client, make_account: MakeAccount) -> None:
    client.cookies[product.LANGUAGE_COOKIE_NAME] = "hi"
    user = make_account("प्रमुख", "admin")
    found = english_on(client, "/login")
    found += english_on(client, "/login", username="कोई", password="wrong")
    found += english_on(client, "/login", username="", password="")
    client.force_login(user)
    api_keys.create_key(SYSTEM, user, name="कुंजी", scopes=(), days=30)
    for path in ("/account", "/account/password", "/", "/admin/"):
        found += english_on(client, path)
    found += english_on(client, "/account", name="", days="30")
    found += english_on(client, "/account", name="नई", days="30")
    found += english_on(
        client, "/account/password", old_password="wrong", new_password1="123", new_password2="12345678"
    )
    assert found == []


@pytest.mark.usefixtures("with_accounts")
def test_what_one_may_not(client: Client, make_account: MakeAccount) -> None:
    client.cookies[product.LANGUAGE_COOKIE_NAME] = "hi"
    client.force_login(make_account("दर्शक", "viewer"))
    paths = ("/", "/providers", "/jobs/new", "/queue", "/spend", "/account")
    assert [each for path in paths for each in english_on(client, path)] == []


def test_administration(hindi: Client, stock: list[UnifiedJob]) -> None:
    AuditEntry.objects.create(actor="आशा", via="session", action="sync", target="")
    index = hindi.get("/admin/").content.decode()
    paths = sorted(
        {path for path in index.split('"') if path.startswith("/admin/jobs/") or path == "/admin/auth/user/"}
    )
    assert len(paths) > 10
    found = [each for path in ("/admin/", *paths) for each in english_on(hindi, path, ADMINISTRATION)]
    # A row's text is shown there as it is stored.
    assert [each for each in found if UNREACHED not in each] == []


def test_limits_of_the_queue_are_told(hindi: Client, stock: list[UnifiedJob]) -> None:
    queue_limits.change(max_concurrent=1, user_max_concurrent=1)
    submit("कप", owner=User.objects.get(username="आशा"))
    assert english_on(hindi, "/queue") == []
