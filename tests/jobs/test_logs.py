"""Reading logs: jobs.services.logs."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import JobLog, UnifiedJob
from jobs.services import logs, sync
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def save_log(job: UnifiedJob, text: str, *, is_final: bool = False) -> None:
    log = JobLog(job=job)
    log.replace(text, is_final=is_final)
    log.save()


def discovered(sandbox: RunningSandbox, **plan: object) -> UnifiedJob:
    sandbox.add_job(**({"kind": "training", "created_offset": -120, "durations": {"queue": 10, "train": 9e5}} | plan))
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    return UnifiedJob.objects.get()


def test_log_of_a_running_job_is_the_providers_and_is_kept(sandbox: RunningSandbox, client: Client) -> None:
    job = discovered(sandbox, logs="step 1/10\nstep 2/10")
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    assert answer == {
        "job_id": job.job_id,
        "logs": "step 1/10\nstep 2/10",
        "source": "provider",
        "is_final": False,
        "problem": None,
    }
    assert JobLog.objects.get().text == "step 1/10\nstep 2/10"


def test_log_removed_at_the_provider_is_served_from_our_copy(sandbox: RunningSandbox) -> None:
    job = discovered(sandbox, logs="step 1/10\nstep 2/10")
    logs.read_log(job.job_id)
    sandbox.change_job(
        job.job_id, status="succeeded", completed_at="2026-11-20T10:00:00Z", logs="", output=None, data_removed=True
    )
    log = logs.read_log(job.job_id)
    assert (log.text, log.problem) == ("step 1/10\nstep 2/10", None)


def test_trouble_of_the_provider_never_stands_in_the_log(
    make_job: MakeJob, sandbox: RunningSandbox, client: Client
) -> None:
    job = make_job(status="running")
    save_log(job, "step 1/10")
    sandbox.fault("status", status=500)
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs").json()
    assert (answer["logs"], answer["source"]) == ("step 1/10", "store")
    assert "HTTP 500" in answer["problem"]


def test_without_any_copy_the_trouble_is_told_as_an_error(
    make_job: MakeJob, sandbox: RunningSandbox, client: Client
) -> None:
    job = make_job(status="running")
    sandbox.fault("status", status=500)
    answer = client.get(f"/api/cloud/jobs/{job.job_id}/logs")
    assert (answer.status_code, answer.json()["code"]) == (502, "provider_error")


def test_final_log_is_served_without_asking(make_job: MakeJob, sandbox: RunningSandbox) -> None:
    job = make_job(status="completed")
    save_log(job, "done", is_final=True)
    sandbox.reset_requests()
    log = logs.read_log(job.job_id)
    assert (log.text, log.source, log.is_final) == ("done", "store", True)
    assert sandbox.requests()["total"] == 0


def test_ended_job_without_a_log_is_asked_for_once(sandbox: RunningSandbox) -> None:
    job = discovered(sandbox, logs="")
    sandbox.change_job(job.job_id, status="succeeded", completed_at="2026-11-20T10:00:00Z")
    sync.discover_jobs("replicate")
    sandbox.reset_requests()
    assert [logs.read_log(job.job_id).text for _ in range(3)] == ["", "", ""]
    assert sandbox.requests()["total"] == 1


def test_final_logs_are_captured_while_the_provider_has_them(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = discovered(sandbox, logs="step 10/10\ndone")
    sandbox.change_job(job.job_id, status="succeeded", completed_at=timezone.now().isoformat())
    sync.discover_jobs("replicate")
    long_ago = make_job(status="completed", completed_at=timezone.now() - timedelta(hours=2))
    assert logs.capture_final_logs() == 1
    log = JobLog.objects.get(job=job)
    assert (log.text, log.is_final) == ("step 10/10\ndone", True)
    assert not JobLog.objects.filter(job=long_ago).exists()
    assert logs.capture_final_logs() == 0


def test_one_log_that_cannot_be_read_does_not_hold_up_the_others(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    lost = make_job(status="failed", completed_at=timezone.now() - timedelta(minutes=50))
    job = discovered_beside(sandbox)
    assert logs.capture_final_logs() == 1
    assert JobLog.objects.get().job == job
    lost.refresh_from_db()
    assert lost.status == "failed"


def discovered_beside(sandbox: RunningSandbox) -> UnifiedJob:
    added = sandbox.add_job(kind="training", created_offset=-120, durations={"queue": 10, "train": 9e5}, logs="x")
    sandbox.change_job(added["id"], status="succeeded", completed_at=timezone.now().isoformat())
    sync.discover_jobs("replicate")
    return UnifiedJob.objects.get(external_id=added["id"])


def test_provider_that_is_down_is_asked_for_one_final_log_only(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    jobs = [make_job(status="failed", completed_at=timezone.now() - timedelta(minutes=5)) for _ in range(20)]
    sandbox.fault("status", status=503)
    sandbox.reset_requests()
    assert logs.capture_final_logs() == 0
    assert sandbox.requests()["total"] == 1
    assert not JobLog.objects.filter(job__in=jobs).exists()


def test_readers_of_a_log_that_cannot_be_had_share_the_refusal(
    sandbox: RunningSandbox, make_job: MakeJob, client: Client
) -> None:
    job = make_job(status="running")
    sandbox.fault("status", status=503)
    sandbox.reset_requests()
    answers = [client.get(f"/api/cloud/jobs/{job.job_id}/logs") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [502] * 5
    assert sandbox.requests()["total"] == 1
