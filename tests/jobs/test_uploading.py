"""Datasets on their way to the provider."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from jobs.access import SYSTEM
from jobs.models import DatasetArchive
from jobs.services import cancelling
from jobs.services.dispatch import looking, processor, uploading
from tests.jobs.dispatch_helpers import at_sandbox, entry_of, history_of, let_pass, stored, submit
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(settings: Settings, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path


def posts(sandbox: RunningSandbox, path: str) -> int:
    found: int = sandbox.requests()["counts"].get(f"POST {path}", 0)
    return found


def test_archive_is_uploaded_and_then_its_job_is_started_with_its_address(sandbox: RunningSandbox) -> None:
    archive = stored(name='mügs "v2".zip')
    job = submit(archive=archive)
    assert processor.process().started == 0
    assert at_sandbox(sandbox, job) == []
    assert uploading.upload_waiting() == 1
    (file,) = sandbox.get("/files")["results"]
    assert (file["size"], file["checksums"]["sha256"]) == (archive.size_bytes, archive.sha256)
    assert at_sandbox(sandbox, job)[0]["input"]["images"] == file["urls"]["get"]
    archive.refresh_from_db()
    assert (archive.sent_bytes, archive.provider_url) == (archive.size_bytes, file["urls"]["get"])
    assert archive.provider_expires_at is not None
    assert history_of(job) == [(None, "pending"), ("pending", "uploading"), ("uploading", "queued")]


def test_archive_that_lies_there_already_is_not_sent_again(sandbox: RunningSandbox) -> None:
    archive = stored()
    for _ in range(2):
        job = submit(archive=archive)
        processor.process()
        uploading.upload_waiting()
        assert len(at_sandbox(sandbox, job)) == 1
    assert posts(sandbox, "/v1/files") == 1


def test_archive_that_will_soon_be_gone_there_is_sent_anew(sandbox: RunningSandbox) -> None:
    archive = stored()
    archive.provider_url, archive.provider_expires_at = "https://old.example/f", timezone.now() + timedelta(minutes=30)
    archive.save()
    job = submit(archive=archive)
    processor.process()
    uploading.upload_waiting()
    assert at_sandbox(sandbox, job)[0]["input"]["images"] != "https://old.example/f"


def test_jobs_that_share_an_archive_share_its_upload(sandbox: RunningSandbox) -> None:
    archive = stored()
    jobs = [submit(archive=archive) for _ in range(2)]
    processor.process()
    assert uploading.upload_waiting() == 2
    assert posts(sandbox, "/v1/files") == 1
    assert all(len(at_sandbox(sandbox, job)) == 1 for job in jobs)


def test_upload_that_fails_is_made_again_and_uses_up_no_attempt(sandbox: RunningSandbox) -> None:
    job = submit(archive=stored())
    sandbox.fault("status", status=503, method="POST", path="/v1/files", times=1)
    processor.process()
    assert uploading.upload_waiting() == 0
    entry = entry_of(job)
    assert (entry.status, entry.attempts, entry.sent_at) == ("pending", 0, None)
    assert "trouble of its own" in entry.reason
    let_pass(61)
    processor.process()
    assert uploading.upload_waiting() == 1
    assert len(at_sandbox(sandbox, job)) == 1


def test_archive_that_is_too_large_for_the_provider_ends_the_job_with_the_reason(sandbox: RunningSandbox) -> None:
    archive = stored(b"x")
    with archive.path.open("ab") as file:
        file.truncate(101 * 1024 * 1024)
    job = submit(archive=archive, max_attempts=1)
    processor.process()
    uploading.upload_waiting()
    job.refresh_from_db()
    assert (job.status, entry_of(job).status) == ("failed", "failed")
    assert "up to 100 MiB" in (job.error_message or "")
    assert posts(sandbox, "/v1/files") == 0


def test_missing_archive_ends_the_job_with_the_reason(sandbox: RunningSandbox) -> None:
    archive = stored()
    archive.path.unlink()
    job = submit(archive=archive, max_attempts=1)
    processor.process()
    uploading.upload_waiting()
    job.refresh_from_db()
    assert job.status == "failed"
    assert "cannot be read here" in (job.error_message or "")


def test_job_cancelled_before_its_upload_sends_nothing(sandbox: RunningSandbox) -> None:
    job = submit(archive=stored())
    processor.process()
    assert cancelling.cancel_job(SYSTEM, job.job_id).is_cancelling
    assert uploading.upload_waiting() == 0
    job.refresh_from_db()
    assert job.status == "cancelled"
    assert (posts(sandbox, "/v1/files"), at_sandbox(sandbox, job)) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_slow_upload_keeps_its_claim_tells_its_progress_and_is_not_disturbed(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = stored(b"y" * 3_000_000)
    job = submit(archive=archive)
    processor.process()
    sandbox.fault("latency", seconds=1.5, method="POST", path="/v1/files")
    monkeypatch.setattr("jobs.services.dispatch.calls.RENEW_EVERY_SECONDS", 0.1)
    monkeypatch.setattr("jobs.services.dispatch.uploading.PROGRESS_EVERY_SECONDS", 0.0)

    def upload() -> None:
        uploading.upload_waiting()
        connections.close_all()

    worker = threading.Thread(target=upload)
    worker.start()
    while worker.is_alive() and history_of(job)[-1][1] != "uploading":
        worker.join(0.01)
    seen: set[int] = set()
    renewals = set()
    while worker.is_alive():
        seen.add(DatasetArchive.objects.get().sent_bytes)
        assert uploading.upload_waiting() == 0, "another worker leaves it alone"
        assert looking.release_unsent() == 0
        renewals.add(entry_of(job).claimed_at)
        worker.join(0.1)
    assert seen > {0}
    assert len(renewals - {None}) >= 3
    assert len(at_sandbox(sandbox, job)) == 1
