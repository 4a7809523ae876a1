"""Every page of the administration with rows in every table: it opens, more rows cost nothing, nothing breaks."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import models
from jobs.access import SYSTEM
from jobs.lifecycle import Source
from jobs.models import AuditEntry, DeletedJob, ProviderSettings, TrainingConfig, UnifiedJob, WebhookDelivery
from jobs.services import api_keys
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

Fill = Callable[[int], None]

# Not shown, each for a reason.
NOT_REGISTERED = {
    models.JobTally: "parts of sums that the database keeps itself; the lists show what they add up to",
    models.StoreClaim: "one row that says which store this is; the page on the system says it",
}
# What forms may change. Everything else of every table stays as it was, whatever is sent.
EDITABLE = {
    "auth.user",
    "auth.group",
    "jobs.team",
    "jobs.membership",
    "jobs.hardwareprice",
    "jobs.modelhardware",
    "jobs.providersettings",
    "jobs.providercredential",
}
# Of these rows some fields may be changed.
EDITABLE_FIELDS = {"jobs.unifiedjob": {"config_name"}, "jobs.trainingconfig": {"description", "owner", "updated_at"}}
# Deleting goes through services: tombstones, the audit log.
DELETABLE = EDITABLE | {"jobs.deletedjob", "jobs.trainingconfig", "jobs.unifiedjob"}
MANAGED = [
    pytest.param(model, id=model._meta.label_lower)
    for model in sorted(admin.site._registry, key=lambda model: model._meta.label_lower)
]


@pytest.fixture
def fill(make_job: MakeJob) -> Fill:
    """Put rows into every table that the administration shows."""
    made = 0

    def add(rows: int) -> None:
        nonlocal made
        for _ in range(rows):
            made += 1
            _fill_once(make_job, made)

    return add


def _fill_once(make_job: MakeJob, number: int) -> None:
    now = timezone.now()
    user = User.objects.create_user(f"ada{number}")
    team = models.Team.objects.create(name=f"team {number}")
    models.Membership.objects.create(user=user, team=team)
    Group.objects.get_or_create(name=f"group {number}")
    api_keys.create_key(SYSTEM, user, name="nightly", scopes=(), days=None)
    job = make_job(config_name=f"portrait {number}", owner=user, team=team, status="failed", error_message="Out of it")
    models.StatusChange.objects.create(job=job, previous="running", status="failed", source=Source.POLLER)
    log = models.JobLog(job=job)
    log.replace("step 1\n", is_final=True)
    log.save()
    models.QueueEntry.objects.create(job=job, status="failed")
    models.QueueLimits.objects.get_or_create(pk=1)
    archive = models.DatasetArchive.objects.create(
        archive_id=f"{number:032d}", owner=user, name="set.zip", size_bytes=5, sha256="ab"
    )
    models.JobSubmission.objects.create(
        job=job, config={"a": 1}, hardware_profile="1x-l40s", archive=archive, retry_of=job
    )
    models.IdempotencyKey.objects.create(scope=f"user {number}", key="k", job=job)
    TrainingConfig.objects.create(name=f"config-{number}", owner=user, config={"a": 1})
    models.PollCycle.objects.create(provider="replicate", error="One was missed.")
    WebhookDelivery.objects.create(
        provider="replicate", webhook_id=f"msg_{number}", sent_at=now, job=job, error="not yet", content=b"x"
    )
    models.HistoryWalk.objects.create(provider="replicate", state="completed")
    DeletedJob.objects.create(provider="replicate", external_id=f"gone{number}", job_id=f"gone{number}")
    ProviderSettings.objects.create(provider=f"provider{number}")
    models.ProviderCredential.objects.create(provider=f"provider{number}", ciphertext=b"x", last_four="abcd")
    models.ModelHardware.objects.create(model=f"owner/model{number}", hardware="gpu-h100")
    AuditEntry.objects.create(actor=user.username, user=user, via="session", action="job.cancel", target=job.job_id)


def list_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def page_of(row: Model) -> str:
    return f"{list_of(type(row))}{row.pk}/change/"


def rows_of(model: type[Model]) -> dict[Any, dict[str, Any]]:
    return {
        row["pk"]: row for row in model._base_manager.values("pk", *(f.attname for f in model._meta.concrete_fields))
    }


def all_rows() -> dict[str, dict[Any, dict[str, Any]]]:
    """Every row of ours. The log of who opened what is none of them."""
    shown = [model for model in apps.get_models() if model._meta.app_label in ("jobs", "auth")]
    return {model._meta.label_lower: rows_of(model) for model in shown if model is not AuditEntry}


def filters_on(page: str) -> Iterator[str]:
    """The addresses that the filters of a list lead to."""
    _, _, filters = page.partition('id="changelist-filter"')
    for address in re.findall(r'href="(\?[^"]*)"', filters):
        yield unescape(address)


def columns_on(page: str) -> Iterator[str]:
    """The addresses that put a list into another order."""
    for address in re.findall(r'<div class="text"><a href="(\?[^"]*)"', page):
        yield unescape(address)


def test_every_table_is_shown_or_has_a_reason() -> None:
    ours = set(apps.get_app_config("jobs").get_models())
    assert ours - set(admin.site._registry) == set(NOT_REGISTERED)


@pytest.mark.parametrize("model", MANAGED)
def test_list_rows_filters_order_and_search_open(client: Client, fill: Fill, model: type[Model]) -> None:
    fill(2)
    answer = client.get(list_of(model))
    assert answer.status_code == 200
    page = answer.content.decode()
    for query in {*filters_on(page), *columns_on(page)}:
        assert client.get(list_of(model) + query).status_code == 200, query
    if 'id="searchbar"' in page:
        for term in ("portrait", "ada1", "x'\"%_\\", "0" * 300, "\x00", "é٣"):
            assert client.get(list_of(model), {"q": term}).status_code == 200, term
    for row in model._base_manager.all()[:2]:
        assert client.get(page_of(row)).status_code == 200


@pytest.mark.parametrize("model", MANAGED)
def test_more_rows_take_no_more_queries(client: Client, fill: Fill, model: type[Model]) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    # Accounts: the owner's is not the newest.
    client.get("/admin/")
    fill(2)
    # What is looked up once in a process: the owner, types of content.
    for path in (list_of(model), page_of(model._base_manager.latest("pk"))):
        client.get(path)
    few = count(list_of(model)), count(page_of(model._base_manager.latest("pk")))
    fill(9)
    many = count(list_of(model)), count(page_of(model._base_manager.latest("pk")))
    assert many == few


@pytest.mark.parametrize("model", MANAGED)
def test_what_is_sent_changes_what_may_be_changed_and_nothing_else(
    client: Client, fill: Fill, model: type[Model]
) -> None:
    fill(1)
    client.get("/admin/")
    row = model._base_manager.latest("pk")
    sent: dict[str, Any] = {field.name: "1" for field in model._meta.concrete_fields}
    sent |= {"status": "running", "state": "running", "verdict": "received", "cost_usd": "999", "_save": "Save"}
    for inline in ("history", "membership"):
        sent |= {f"{inline}-TOTAL_FORMS": "1", f"{inline}-INITIAL_FORMS": "1", f"{inline}-0-status": "completed"}
    before = all_rows()
    label = model._meta.label_lower
    client.post(page_of(row), sent)
    client.post(f"{list_of(model)}add/", sent)
    # As a list with fields to edit in it would take them.
    client.post(list_of(model), {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": row.pk, **sent})
    assert _differences(before, all_rows(), but=EDITABLE) <= {(label, name) for name in EDITABLE_FIELDS.get(label, ())}
    before = all_rows()
    client.post(list_of(model), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    client.post(f"{list_of(model)}{row.pk}/delete/", {"post": "yes"})
    if label not in DELETABLE:
        assert all_rows() == before


def _differences(
    before: dict[str, dict[Any, dict[str, Any]]], after: dict[str, dict[Any, dict[str, Any]]], *, but: set[str]
) -> set[tuple[str, str]]:
    """Each table and field of which any row is another one."""
    found = set()
    for label, rows in before.items():
        if label in but:
            continue
        if set(rows) != set(after[label]):
            found.add((label, "rows"))
        for pk, row in rows.items():
            found |= {(label, name) for name, value in row.items() if after[label].get(pk, {}).get(name) != value}
    return {(label, name.removesuffix("_id")) for label, name in found}


@pytest.mark.parametrize("status", ["queued", "running"])
def test_form_that_was_open_for_long_undoes_nothing(
    client: Client, make_job: MakeJob, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(status="queued")
    seen = UnifiedJob.objects.get(pk=job.pk)
    UnifiedJob.objects.filter(pk=job.pk).update(cost_usd=7, stage="training")
    # The form's row is the one that it was read with.
    monkeypatch.setattr("jobs.job_admin.UnifiedJobAdmin.get_object", lambda *_: seen)
    client.post(page_of(job), {"config_name": "renamed", "history-TOTAL_FORMS": "0", "history-INITIAL_FORMS": "0"})
    job.refresh_from_db()
    assert (job.config_name, job.cost_usd, job.stage) == ("renamed", Decimal(7), "training")
    assert AuditEntry.objects.get(action="job.rename").details == {"was": None, "name": "renamed"}


def test_job_leads_to_all_that_belongs_to_it_and_is_led_to(client: Client, fill: Fill) -> None:
    fill(2)
    job = UnifiedJob.objects.get(config_name="portrait 2")
    other = UnifiedJob.objects.get(config_name="portrait 1")
    page = client.get(page_of(job)).content.decode()
    related = page[page.index('class="related-rows"') :]
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', related[: related.index("</ul>")])]
    assert len(links) == 6
    for link in links:
        answer = client.get(link)
        assert answer.status_code == 200, link
        shown = answer.content.decode()
        assert job.job_id in shown or f"portrait {2}" in shown, link
        assert other.job_id not in shown, link
    assert f'href="/jobs/{job.job_id}"' in page
    for model in (models.StatusChange, WebhookDelivery, models.QueueEntry, models.JobLog, models.JobSubmission):
        assert f'href="{page_of(job)}"' in client.get(list_of(model)).content.decode()


def test_ended_job_with_a_history_is_deleted_by_the_service(client: Client, fill: Fill) -> None:
    fill(1)
    job = UnifiedJob.objects.get()
    models.JobSubmission.objects.update(retry_of=None)
    path = f"{list_of(UnifiedJob)}{job.pk}/delete/"
    assert client.get(path).status_code == 200
    assert client.post(path, {"post": "yes"}).status_code == 302
    assert not UnifiedJob.objects.exists()
    assert DeletedJob.objects.filter(external_id=job.external_id).exists()


def test_lists_count_to_a_limit_and_say_so(client: Client, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(3)
    assert "3 jobs" in client.get(list_of(UnifiedJob)).content.decode()
    monkeypatch.setattr("jobs.admin_lists.MOST_COUNTED", 2)
    assert "more than 2: filter or search" in client.get(list_of(UnifiedJob)).content.decode()


@pytest.mark.parametrize(
    ("path", "terms"),
    [
        ("unifiedjob", ["wanted-id", "wanted", "their-wanted", "portrait of a fox", "a FOX"]),
        ("statuschange", ["wanted-id", "their-wanted", "fox"]),
        ("queueentry", ["wanted-id", "fox"]),
        ("webhookdelivery", ["wanted-id", "their-wanted", "msg_fox", "f0f0", "F0F0"]),
        ("auditentry", ["wanted-id", "renard", "ren"]),
    ],
)
def test_search_finds_by_ids_their_beginnings_and_names(
    client: Client, make_job: MakeJob, path: str, terms: list[str]
) -> None:
    for job_id, external_id, name, webhook_id, digest, actor in (
        ("wanted-id", "their-wanted", "portrait of a fox", "msg_fox", "f0f0f0", "renard"),
        ("other-id", "their-other", "portrait of a hound", "msg_hound", "c0c0c0", "minou"),
    ):
        job = make_job(job_id=job_id, external_id=external_id, config_name=name, status="failed")
        models.StatusChange.objects.create(job=job, status="failed", source=Source.SYNC)
        models.QueueEntry.objects.create(job=job, status="failed")
        WebhookDelivery.objects.create(
            provider="replicate", webhook_id=webhook_id, sent_at=timezone.now(), job=job, body_sha256=digest
        )
        AuditEntry.objects.create(actor=actor, via="session", action="job.cancel", target=job_id)
    for term in terms:
        page = client.get(f"/admin/jobs/{path}/", {"q": term}).content.decode()
        results = page[page.index('id="result_list"') :]
        assert "fox" in results or "wanted-id" in results, term
        assert "hound" not in results, term
        assert "other-id" not in results, term


def test_too_many_jobs_at_once_are_refused(client: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [make_job() for _ in range(3)]
    monkeypatch.setattr("jobs.job_admin.MOST_AT_ONCE", 2)
    data = {"action": "cancel", "_selected_action": [job.pk for job in jobs]}
    page = client.post(list_of(UnifiedJob), data, follow=True).content.decode()
    assert "At most 2 jobs at once; nothing was done." in page
    assert not UnifiedJob.objects.filter(cancel_requested_at__isnull=False).exists()


def test_provider_settings_are_checked_and_written_by_the_service(
    client: Client, host_names: dict[str, list[str]]
) -> None:
    host_names["inside.example"] = ["10.0.0.5"]
    host_names["hooks.example"] = ["93.184.216.34"]
    path = f"{list_of(ProviderSettings)}add/"
    form = {"provider": "replicate", "cost_limit_period": "monthly", "cost_limit_action": "warn"}
    refused = client.post(path, form | {"webhook_url": "https://inside.example/hook"})
    assert refused.status_code == 200
    assert not ProviderSettings.objects.exists()
    assert "needs an amount" in client.post(path, form | {"cost_limit_enabled": "on"}).content.decode()
    answer = client.post(path, form | {"webhook_url": "https://hooks.example/hook", "cost_limit_amount": "12.50"})
    assert answer.status_code == 302
    row = ProviderSettings.objects.get()
    assert (row.webhook_url, str(row.cost_limit_amount)) == ("https://hooks.example/hook", "12.50")
    assert {"provider.webhook_url.set", "cost_limit.set"} <= set(AuditEntry.objects.values_list("action", flat=True))
    client.post(page_of(row), form | {"cost_limit_enabled": "on", "cost_limit_amount": "12.50", "webhook_url": ""})
    row.refresh_from_db()
    assert (row.webhook_url, row.cost_limit_enabled) == ("", True)
    client.post(f"{list_of(ProviderSettings)}{row.pk}/delete/", {"post": "yes"})
    assert not ProviderSettings.objects.exists()
    assert AuditEntry.objects.filter(action="provider.settings.delete").exists()


def test_prices_that_are_changed_by_hand_are_written_down(client: Client) -> None:
    price = models.HardwarePrice.objects.first()
    assert price is not None
    form = {
        "provider": price.provider,
        "hardware": price.hardware,
        "usd_per_second": "0.5",
        "effective_from": str(price.effective_from),
    }
    assert client.post(page_of(price), form).status_code == 302
    entry = AuditEntry.objects.get(action="price.change")
    assert entry.details["usd_per_second"] == "0.50000000" or entry.details["usd_per_second"] == "0.5"
