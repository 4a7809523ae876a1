"""Deleting records: only of what has ended, and so that nothing brings it back (jobs.services.deleting)."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from jobs.access import SYSTEM, VIEW_ALL, VIEW_OWN, Actor
from jobs.lifecycle import Source
from jobs.models import AuditEntry, DeletedJob, StatusChange, UnifiedJob, WebhookDelivery
from jobs.services import deleting, history_walk, sync, webhooks
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.snapshots import apply_snapshot
from tests.conftest import MakeJob, MakeSnapshot
from tests.deliveries import body_of, signed
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def ended(sandbox: RunningSandbox) -> UnifiedJob:
    job = sandbox.add_job(kind="training", created_offset=-600, speed=9e5)
    sync.discover_jobs("replicate")
    found = UnifiedJob.objects.get(external_id=job["id"])
    assert found.is_terminal
    return found


def was_asked_for_jobs(sandbox: RunningSandbox) -> bool:
    return any(call.endswith("/{id}") for call in sandbox.requests()["counts"])


def received(body: bytes, webhook_id: str = "msg_1") -> WebhookDelivery:
    webhooks.receive("replicate", signed(body, webhook_id=webhook_id), body)
    WebhookDelivery.objects.update(next_try_at=timezone.now())
    webhooks.apply_received()
    return WebhookDelivery.objects.get(webhook_id=webhook_id)


@pytest.mark.parametrize("status", ["pending", "uploading", "queued", "running"])
def test_active_job_is_not_deleted(make_job: MakeJob, status: str) -> None:
    job = make_job(status=status)
    with pytest.raises(InvalidState, match="Only jobs that have ended"):
        deleting.delete_job(SYSTEM, job.job_id)
    assert UnifiedJob.objects.count() == 1
    assert DeletedJob.objects.count() == AuditEntry.objects.count() == 0


def test_deleted_job_leaves_a_tombstone_and_a_line_in_the_audit_log(make_job: MakeJob) -> None:
    job = make_job(status="completed", config_name="portraits")
    assert deleting.delete_job(SYSTEM, job.job_id) == job.job_id
    grave = DeletedJob.objects.get()
    assert (grave.provider, grave.external_id, grave.deleted_by) == ("replicate", job.external_id, "system")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.details["name"]) == ("job.delete", job.job_id, "portraits")


def test_what_no_provider_knew_needs_no_tombstone(make_job: MakeJob) -> None:
    job = make_job(status="cancelled", external_id=None)
    deleting.delete_job(SYSTEM, job.job_id)
    assert (UnifiedJob.objects.count(), DeletedJob.objects.count()) == (0, 0)


def test_no_sync_and_no_import_brings_a_deleted_job_back(sandbox: RunningSandbox) -> None:
    job, other = ended(sandbox), ended(sandbox)
    deleting.delete_job(SYSTEM, job.job_id)
    sync.discover_jobs("replicate")
    history_walk.start("replicate")
    for _ in range(5):
        history_walk.advance()
    walk = history_walk.latest("replicate")
    assert walk is not None
    assert walk.state == "completed"
    sync.refresh_active_jobs(source=Source.POLLER)
    assert list(UnifiedJob.objects.values_list("pk", flat=True)) == [other.pk]


def test_webhook_of_a_deleted_job_is_settled_and_never_tried_again(sandbox: RunningSandbox) -> None:
    job = ended(sandbox)
    deleting.delete_job(SYSTEM, job.job_id)
    sandbox.reset_requests()
    kept = received(body_of(job.external_id or "", "succeeded"))
    assert (kept.verdict, kept.job, kept.next_try_at) == ("stale", None, None)
    assert "deleted here" in kept.error
    assert UnifiedJob.objects.count() == 0
    assert not was_asked_for_jobs(sandbox)


def test_hint_of_a_deleted_job_is_settled_too(sandbox: RunningSandbox) -> None:
    job = ended(sandbox)
    deleting.delete_job(SYSTEM, job.job_id)
    sandbox.reset_requests()
    body = b'{"job_id": "%s", "event": "training.completed"}' % (job.external_id or "").encode()
    kept = received(body)
    assert (kept.verdict, kept.next_try_at) == ("stale", None)
    assert UnifiedJob.objects.count() == 0
    assert not was_asked_for_jobs(sandbox)


def test_job_that_is_deleted_while_its_webhook_is_looked_into_settles_it(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(sandbox)
    deleting.delete_job(SYSTEM, job.job_id)
    monkeypatch.setattr(deleting, "was_deleted", lambda *_: False)
    assert received(body_of(job.external_id or "", "succeeded")).verdict == "stale"


def test_late_word_of_a_deleted_job_changes_nothing(make_job: MakeJob, make_snapshot: MakeSnapshot) -> None:
    job = make_job(status="completed")
    deleting.delete_job(SYSTEM, job.job_id)
    late = make_snapshot(external_id=job.external_id, status="running")
    assert apply_snapshot(late, source=Source.POLLER) is None
    assert apply_snapshot(late, source=Source.SYNC, create=True) is None
    assert StatusChange.objects.count() == 0


def test_deletion_that_was_taken_back_lets_the_next_sync_find_the_job(sandbox: RunningSandbox, client: Client) -> None:
    job = ended(sandbox)
    deleting.delete_job(SYSTEM, job.job_id)
    grave = DeletedJob.objects.get()
    assert job.job_id in client.get("/admin/jobs/deletedjob/").content.decode()
    client.post(f"/admin/jobs/deletedjob/{grave.pk}/delete/", {"post": "yes"})
    assert DeletedJob.objects.count() == 0
    assert AuditEntry.objects.filter(action="job.delete.take_back", target=job.job_id, actor="owner").count() == 1
    sync.discover_jobs("replicate")
    assert UnifiedJob.objects.get().external_id == job.external_id


def test_only_who_may_cancel_a_job_may_delete_it(make_job: MakeJob) -> None:
    job = make_job(status="failed", created_at=timezone.now() - timedelta(days=1))
    with pytest.raises(JobNotFound):
        deleting.delete_job(Actor(None, "eve", frozenset({VIEW_OWN}), "session"), job.job_id)
    with pytest.raises(PermissionDenied):
        deleting.delete_job(Actor(None, "eve", frozenset({VIEW_OWN, VIEW_ALL}), "session"), job.job_id)
    assert UnifiedJob.objects.count() == 1


def test_record_is_deleted_in_the_admin_by_the_same_service(make_job: MakeJob, client: Client) -> None:
    job = make_job(status="failed")
    client.post(f"/admin/jobs/unifiedjob/{job.pk}/delete/", {"post": "yes"})
    assert UnifiedJob.objects.count() == 0
    assert DeletedJob.objects.get().deleted_by == "owner"
