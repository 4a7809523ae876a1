"""Commands that end and remove: jobs cancel, jobs delete."""

import pytest

from jobs.models import UnifiedJob
from jobs.services import polling, sync
from tests.cli.command_line import CommandLine
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox


def test_running_job_is_cancelled_at_its_provider(cli: CommandLine, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    sync.discover_jobs("replicate")
    assert cli.run("jobs cancel JOB", job_id=job["id"]).exit_code == 0
    assert sandbox.get(f"/trainings/{job['id']}")["status"] == "canceled"
    polling.run_cycle()
    assert UnifiedJob.objects.get().status == "cancelled"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_ended_job_is_deleted(cli: CommandLine, make_job: MakeJob, status: str) -> None:
    job = make_job(status=status)
    assert cli.run("jobs delete JOB --force", job_id=job.job_id).exit_code == 0
    outcome = cli.run("jobs delete JOB --force", job_id=job.job_id)
    assert outcome.exit_code == 1
    assert job.job_id in outcome.error
    assert not UnifiedJob.objects.exists()


def test_job_that_runs_is_not_deleted(cli: CommandLine, make_job: MakeJob) -> None:
    job = make_job(status="running")
    outcome = cli.run("jobs delete JOB --force", job_id=job.job_id)
    assert outcome.exit_code == 1
    assert outcome.error
    assert UnifiedJob.objects.filter(pk=job.pk).exists()
