"""Commands that look: jobs list, get and logs, status, config show, cost-limit show."""

import time
from typing import Any

import pytest
import requests

from jobs.services import polling, sync
from tests.cli.command_line import COMMANDS, CommandLine
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

LISTS = [command for command in COMMANDS if command.startswith("jobs list")]


def jobs_of(cli: CommandLine, command: str, **arguments: object) -> list[dict[str, Any]]:
    outcome = cli.run(command, **arguments)
    assert (outcome.exit_code, outcome.error) == (0, "")
    jobs: list[dict[str, Any]] = outcome.answers["list"]["jobs"]
    return jobs


@pytest.mark.parametrize("command", LISTS)
def test_every_list_can_be_printed_whatever_the_jobs(cli: CommandLine, make_job: MakeJob, command: str) -> None:
    for status in ("pending", "uploading", "queued", "running", "completed", "failed", "cancelled"):
        make_job(status=status, config_name=None if status == "queued" else status)
    make_job(job_type="local", provider="", external_id=None)
    jobs = jobs_of(cli, command, status="running", provider="replicate")
    assert jobs
    if "STATUS" in command:
        assert {job["status"] for job in jobs} == {"running"}
    if "PROVIDER" in command:
        assert {job["provider"] for job in jobs} == {"replicate"}
    if "--limit 5" in command:
        assert len(jobs) <= 5


@pytest.mark.parametrize("status", ["pending", "queued", "running", "completed", "failed", "cancelled"])
def test_every_word_for_a_status_is_understood(cli: CommandLine, make_job: MakeJob, status: str) -> None:
    job = make_job(status=status)
    assert [row["job_id"] for row in jobs_of(cli, "jobs list --status STATUS", status=status)] == [job.job_id]


def test_twenty_newest_jobs_are_listed_without_asking_the_provider(
    cli: CommandLine, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    for _ in range(23):
        make_job()
    assert len(jobs_of(cli, "jobs list")) == 20
    assert sandbox.requests()["total"] == 0


def test_list_with_sync_tells_what_has_happened_meanwhile(cli: CommandLine, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60)
    sync.discover_jobs("replicate")
    sandbox.change_job(job["id"], status="failed", error="out of memory")
    assert jobs_of(cli, "jobs list")[0]["status"] != "failed"
    assert jobs_of(cli, "jobs list --sync")[0]["status"] == "failed"


def test_list_with_sync_answers_also_while_the_provider_does_not(
    cli: CommandLine, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    make_job()
    sandbox.fault("status", status=503)
    assert len(jobs_of(cli, "jobs list --sync")) == 1


def test_unknown_filter_is_refused_in_words(cli: CommandLine) -> None:
    outcome = cli.run("jobs list --provider PROVIDER", provider="nowhere")
    assert outcome.exit_code == 1
    assert outcome.error.startswith("provider: ")


@pytest.mark.parametrize("command", ["jobs get JOB", "jobs get JOB --format json"])
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_one_job_is_told_in_full(cli: CommandLine, sandbox: RunningSandbox, command: str, outcome: str) -> None:
    job = sandbox.add_job(kind="training", created_offset=-90_000, outcome=outcome)
    sync.discover_jobs("replicate")
    told = cli.run(command, job_id=job["id"]).answers["get"]["job"]
    assert told["status"] == {"succeeded": "completed", "failed": "failed"}[outcome]
    assert told["started_at"] < told["finished_at"]
    assert told["job_type"] == "cloud"
    assert bool(told["error_message"]) == (outcome == "failed")


@pytest.mark.parametrize(
    "command", ["jobs get JOB", "jobs logs JOB", "jobs logs JOB --follow", "jobs cancel JOB", "jobs delete JOB --force"]
)
def test_unknown_job_is_an_error_in_words(cli: CommandLine, command: str) -> None:
    outcome = cli.run(command, job_id="nothere")
    assert outcome.exit_code == 1
    assert "nothere" in outcome.error


def test_log_is_printed(cli: CommandLine, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-300)
    sync.discover_jobs("replicate")
    text = sandbox.get(f"/trainings/{job['id']}")["logs"]
    printed = cli.run("jobs logs JOB", job_id=job["id"]).answers["logs"]["logs"]
    assert len(text) > 100
    assert printed.startswith(text[:100])


def test_log_that_cannot_be_read_is_an_error_in_words(cli: CommandLine, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-300)
    sync.discover_jobs("replicate")
    sandbox.fault("status", status=503)
    outcome = cli.run("jobs logs JOB", job_id=job["id"])
    assert outcome.exit_code == 1
    assert "Replicate" in outcome.error


def test_followed_log_is_printed_to_its_end_and_once(cli: CommandLine, sandbox: RunningSandbox) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, total_steps=50, durations={"train": 200})
    sync.discover_jobs("replicate")

    def pause(seconds: float) -> None:
        sandbox.advance(120)
        polling.run_cycle()
        time.sleep(seconds)

    cli.pause = pause
    outcome = cli.run("jobs logs JOB --follow", job_id=job["id"])
    assert outcome.exit_code == 0
    assert outcome.rounds > 2
    assert outcome.answers["get"]["job"]["status"] == "completed"
    assert outcome.printed == sandbox.get(f"/trainings/{job['id']}")["logs"]


@pytest.mark.parametrize("command", ["status", "status --format json", "status --replicate"])
def test_status_tells_of_every_part_and_of_the_providers_page(
    cli: CommandLine, sandbox: RunningSandbox, command: str
) -> None:
    sandbox.plan_status_page(ongoing_incidents=[{}, {}], scheduled_maintenances=[{}])
    outcome = cli.run(command)
    assert outcome.exit_code == 0
    parts = {part["name"]: part for part in outcome.answers["health"]["components"]}
    assert {"database", "redis", "workers", "queue", "replicate"} <= parts.keys()
    # Only when it is asked for, the provider is asked.
    assert (parts["replicate"]["latency_ms"] is not None) == (command == "status --replicate")
    system = outcome.answers["system"]
    assert (system["operational"], len(system["ongoing_incidents"]), len(system["scheduled_maintenances"])) == (
        False,
        2,
        1,
    )


def test_status_without_the_providers_page_is_told_all_the_same(cli: CommandLine, sandbox: RunningSandbox) -> None:
    sandbox.fault("reset", path="/api/*")
    outcome = cli.run("status")
    assert (outcome.exit_code, outcome.errors) == (0, {})
    assert "status page" in outcome.answers["system"]["error"]


def test_header_and_address_are_as_recorded(web: str) -> None:
    """An empty query and a content type without a body, as the command line sends them, are no errors."""
    answer = requests.get(f"{web}/api/cloud/health?", headers={"Content-Type": "application/json"}, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("command", ["config show", "config show --format json", "cost-limit show"])
def test_settings_are_shown_before_anything_is_set(cli: CommandLine, command: str) -> None:
    config = cli.run(command, provider="replicate").answers["config"]["config"]
    assert config["cost_limit_enabled"] is False
    assert f"${config['cost_limit_amount']:.2f}" == "$0.00"


@pytest.mark.parametrize("command", ["config show", "cost-limit show"])
def test_settings_of_an_unknown_provider_are_an_error_in_words(cli: CommandLine, command: str) -> None:
    outcome = cli.run(command, provider="nowhere")
    assert outcome.exit_code == 1
    assert "nowhere" in outcome.error
