"""Compact progress (SPEC A1): jobs.services.inline_progress and its endpoint."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.utils import timezone

from jobs.models import UnifiedJob
from jobs.services import sync
from jobs.services.inline_progress import inline_progress
from jobs.services.lookup import JobNotFound
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

LOG = "Loading models\nepoch 1/4\nStep 1500/5000 - loss: 0.0234"


@pytest.fixture
def running(sandbox: RunningSandbox) -> UnifiedJob:
    """A running job whose provider shows ``LOG``."""
    sandbox.add_job(kind="training", created_offset=-120, durations={"queue": 10, "train": 100_000}, logs=LOG)
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    return UnifiedJob.objects.get()


def calls(sandbox: RunningSandbox) -> int:
    total: int = sandbox.requests()["total"]
    return total


def test_running_job_answers_what_its_log_says(running: UnifiedJob, client: Client) -> None:
    answer = client.get(f"/api/cloud/jobs/{running.job_id}/inline-progress")
    assert answer.status_code == 200
    assert answer.json() == {
        "job_id": running.job_id,
        "stage": "Training",
        "last_log": "Step 1500/5000 - loss: 0.0234",
        "progress": 30.0,
    }
    assert answer.headers["Age"] == "0"


def test_two_hundred_requests_within_five_seconds_cost_at_most_two_calls(
    running: UnifiedJob, sandbox: RunningSandbox, transactional_db: None
) -> None:
    answers: list[float | None] = []

    def ask() -> None:
        for _ in range(20):
            answers.append(inline_progress(running.job_id).progress)
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [30.0] * 200
    assert calls(sandbox) <= 2


def test_after_five_seconds_the_provider_is_asked_again(running: UnifiedJob, sandbox: RunningSandbox) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        inline_progress(running.job_id)
        clock.shift(timedelta(seconds=4.9))
        assert inline_progress(running.job_id).age_seconds == pytest.approx(4.9)
        assert calls(sandbox) == 1
        clock.shift(timedelta(seconds=0.2))
        inline_progress(running.job_id)
    assert calls(sandbox) == 2


def test_provider_that_fails_leaves_the_last_known_progress_with_its_age(
    running: UnifiedJob, sandbox: RunningSandbox, client: Client
) -> None:
    inline_progress(running.job_id)
    sandbox.fault("status", status=502)
    with time_machine.travel(timezone.now() + timedelta(seconds=90)):
        answer = client.get(f"/api/cloud/jobs/{running.job_id}/inline-progress")
    assert answer.status_code == 200
    assert (answer.json()["progress"], answer.json()["stage"]) == (30.0, "Training")
    assert 85 <= int(answer.headers["Age"]) <= 95
    running.refresh_from_db()
    assert running.status == "running"


def test_failing_provider_is_not_asked_by_every_browser(running: UnifiedJob, sandbox: RunningSandbox) -> None:
    sandbox.fault("status", status=502)
    for _ in range(30):
        inline_progress(running.job_id)
    assert calls(sandbox) <= 2


@pytest.mark.parametrize(
    ("status", "progress"),
    [("pending", None), ("queued", None), ("failed", None), ("cancelled", None), ("completed", 100.0)],
)
def test_job_that_is_not_running_answers_nulls_without_asking(
    make_job: MakeJob, sandbox: RunningSandbox, client: Client, status: str, progress: float | None
) -> None:
    job = make_job(status=status, stage="Training", progress=42.0, last_log="old")
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/inline-progress/")
    assert answer.status_code == 200
    assert answer.json() == {"job_id": job.job_id, "stage": None, "last_log": None, "progress": progress}
    assert calls(sandbox) == 0


def test_end_seen_by_a_progress_request_is_stored_and_answered(running: UnifiedJob, sandbox: RunningSandbox) -> None:
    sandbox.change_job(running.job_id, status="succeeded", completed_at="2026-11-20T10:00:00Z")
    found = inline_progress(running.job_id)
    assert (found.stage, found.progress) == (None, 100.0)
    running.refresh_from_db()
    assert running.status == "completed"


def test_unknown_job_is_404(client: Client) -> None:
    answer = client.get("/api/cloud/jobs/nope/inline-progress")
    assert answer.status_code == 404
    assert answer.json()["code"] == "job_not_found"
    with pytest.raises(JobNotFound):
        inline_progress("nope")
