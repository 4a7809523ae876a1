"""What pages show and offer to whom."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import AuditEntry, UnifiedJob
from jobs.services import health
from tests.conftest import MakeAccount, MakeJob

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_accounts")]


def as_role(make_account: MakeAccount, role: str) -> tuple[Client, User]:
    user = make_account(role, role)
    client = Client()
    client.force_login(user)
    return client, user


@pytest.mark.parametrize(
    "path",
    [
        "/jobs/{}",
        "/jobs/{}/",
        "/jobs/{}/saved.log",
        "/jobs/{}/cancel",
        "/fragments/jobs/{}",
        "/fragments/jobs/{}/log-state",
    ],
)
def test_anothers_job_has_no_page(make_account: MakeAccount, make_job: MakeJob, path: str) -> None:
    theirs = make_job(config_name="secret-project", external_id="theirs", job_id="ours")
    researcher, user = as_role(make_account, "researcher")
    for name in (theirs.job_id, theirs.external_id):
        answer = researcher.get(path.format(name))
        assert answer.status_code == 404
        assert "secret-project" not in answer.content.decode()
    mine = make_job(owner=user)
    assert researcher.get(path.format(mine.job_id)).status_code == 200
    lead, _ = as_role(make_account, "lead")
    assert lead.get(path.format(theirs.job_id)).status_code == 200


def test_list_search_chips_and_cards_are_of_ones_own_jobs(make_account: MakeAccount, make_job: MakeJob) -> None:
    researcher, user = as_role(make_account, "researcher")
    make_job(owner=user, config_name="my-portrait", cost_usd="1.25")
    for _ in range(3):
        make_job(config_name="secret-project", cost_usd="1000")
    for path in ("/", "/fragments/jobs", "/?q=secret", "/?q=portrait", "/?status=running", "/fragments/metrics"):
        page = researcher.get(path).content.decode()
        assert "secret-project" not in page
        assert "1,000" not in page
        assert "$3" not in page
    page = researcher.get("/").content.decode()
    assert "my-portrait" in page
    assert 'All <span class="chip-count">1</span>' in page
    lead, _ = as_role(make_account, "lead")
    assert 'All <span class="chip-count">4</span>' in lead.get("/").content.decode()


@pytest.mark.parametrize(
    ("role", "offers"),
    [("viewer", False), ("researcher", False), ("lead", True), ("admin", True)],
)
def test_what_one_may_not_press_is_not_there(make_account: MakeAccount, role: str, offers: bool) -> None:
    client, _ = as_role(make_account, role)
    page = client.get("/").content.decode()
    assert ("<sync-button" in page) == offers
    assert ("<history-import" in page) == offers
    assert ("/admin/" in page) == (role == "admin")


@pytest.mark.parametrize("path", ["/sync", "/sync/history", "/sync/history/stop"])
def test_forms_that_were_not_offered_are_refused_and_written_down(make_account: MakeAccount, path: str) -> None:
    researcher, _ = as_role(make_account, "researcher")
    answer = researcher.post(path)
    assert answer.status_code == 403
    assert "Your role does not allow this" in answer.content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target, entry.outcome) == ("researcher", "request", path, "refused")


def test_viewer_looks_at_their_job_and_cannot_end_it(make_account: MakeAccount, make_job: MakeJob) -> None:
    viewer, user = as_role(make_account, "viewer")
    job = make_job(owner=user)
    assert "<cancel-job" not in viewer.get(f"/jobs/{job.job_id}").content.decode()
    assert "<cancel-job" not in viewer.get(f"/fragments/jobs/{job.job_id}").content.decode()
    assert viewer.post(f"/jobs/{job.job_id}/cancel").status_code == 403
    assert UnifiedJob.objects.get().status == "running"
    researcher, other = as_role(make_account, "researcher")
    mine = make_job(owner=other)
    assert "<cancel-job" in researcher.get(f"/jobs/{mine.job_id}").content.decode()


def test_notices_about_everybodys_jobs_are_for_who_sees_them(
    make_account: MakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tuple(
        health.Component(name, health.Health.DEGRADED, f"{name} is not well") for name in ("queue", "replicate", "disk")
    )
    report: Any = health.HealthReport(health.Health.DEGRADED, 1.0, parts)
    monkeypatch.setattr(health, "report", lambda: report)
    researcher, _ = as_role(make_account, "researcher")
    lead, _ = as_role(make_account, "lead")
    told = researcher.get("/fragments/notices").content.decode()
    assert "replicate is not well" in told
    assert "queue is not well" not in told
    assert "queue is not well" in lead.get("/fragments/notices").content.decode()


def test_account_without_a_role_sees_an_empty_list(make_account: MakeAccount, make_job: MakeJob) -> None:
    client = Client()
    user = make_account("new")
    client.force_login(user)
    make_job(owner=user, config_name="mine")
    assert "mine" not in client.get("/fragments/jobs").content.decode()
    assert "No role" in client.get("/account").content.decode()
