"""Commands that submit: jobs submit, its dry run, and jobs retry."""

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from jobs.lifecycle import JobStatus, Source
from jobs.models import JobSubmission, TrainingConfig, UnifiedJob
from jobs.services import cost_limits
from jobs.services.actors import owner_actor
from jobs.services.snapshots import take_own_step
from providers.profiles import PROFILES
from tests.cli.command_line import COMMANDS, CommandLine
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

SUBMITS = [command for command in COMMANDS if command.startswith("jobs submit") and "--dry-run" not in command]
DRY_RUNS = [command for command in COMMANDS if "--dry-run" in command]
HUB = {"id": "hub", "type": "huggingface", "dataset_name": "acme/pets"}
PETS = {"id": "pets", "type": "local", "instance_data_dir": "/home/me/pets"}


@pytest.fixture
def portrait(web: str) -> TrainingConfig:
    """A stored configuration whose dataset needs no upload."""
    return TrainingConfig.objects.create(
        name="portrait",
        config={
            "model_type": "lora",
            "model_family": "flux",
            "resolution": 1024,
            "train_batch_size": 1,
            "gradient_accumulation_steps": 1,
            "max_train_steps": 1500,
            "learning_rate": 1e-4,
        },
        dataloader_config=[HUB],
    )


def submitted(cli: CommandLine, command: str, **arguments: object) -> dict[str, Any]:
    outcome = cli.run(command, **{"config": "portrait", "provider": "replicate", **arguments})
    assert (outcome.exit_code, outcome.error) == (0, "")
    answer: dict[str, Any] = outcome.answers["submit"]
    return answer


@pytest.mark.parametrize("command", SUBMITS)
def test_configuration_is_submitted_by_its_name(cli: CommandLine, portrait: TrainingConfig, command: str) -> None:
    answer = submitted(cli, command, key="a-key", profile="l40s-x2")
    job = UnifiedJob.objects.get(job_id=answer["job_id"])
    assert answer["status"] == job.status == "pending"
    assert (job.config_name, answer["idempotent_hit"], answer["data_uploaded"]) == ("portrait", False, False)
    assert job.submission.hardware_profile == ("l40s-x2" if "PROFILE" in command else "h100")
    assert job.submission.config == portrait.config


def test_second_submission_with_the_same_key_is_the_same_job(cli: CommandLine, portrait: TrainingConfig) -> None:
    command = "jobs submit CONFIG --idempotency-key KEY"
    first, second = (submitted(cli, command, key="a-key") for _ in range(2))
    assert (first["idempotent_hit"], second["idempotent_hit"]) == (False, True)
    assert first["job_id"] == second["job_id"]
    assert submitted(cli, command, key="another")["job_id"] != first["job_id"]


@pytest.mark.parametrize("profile", sorted(PROFILES["replicate"]))
def test_every_hardware_profile_of_the_command_line_is_known(
    cli: CommandLine, portrait: TrainingConfig, profile: str
) -> None:
    submitted(cli, "jobs submit CONFIG --hardware-profile PROFILE", profile=profile)
    assert JobSubmission.objects.get().hardware_profile == profile


def test_unknown_configuration_is_an_error_in_words(cli: CommandLine) -> None:
    outcome = cli.run("jobs submit CONFIG", config="nothere", provider="replicate")
    assert outcome.exit_code == 1
    assert "nothere" in outcome.error
    assert not UnifiedJob.objects.exists()


def test_dataset_that_nobody_uploaded_is_warned_of(cli: CommandLine, portrait: TrainingConfig) -> None:
    assert submitted(cli, "jobs submit CONFIG")["quota_warnings"] == []
    portrait.dataloader_config = [HUB, PETS]
    portrait.save()
    (warning,) = submitted(cli, "jobs submit CONFIG")["quota_warnings"]
    assert "pets" in warning
    assert "hub" not in warning


@pytest.mark.parametrize("action", ["warn", "block"])
def test_limit_of_cost_that_is_reached_is_told(
    cli: CommandLine, portrait: TrainingConfig, make_job: MakeJob, action: str
) -> None:
    make_job(cost_usd=Decimal("7.50"), created_at=timezone.now())
    cost_limits.set_limit(owner_actor(), "replicate", enabled=True, amount=Decimal(5), action=action)
    outcome = cli.run("jobs submit CONFIG", config="portrait", provider="replicate")
    if action == "block":
        assert outcome.exit_code == 1
        assert "$5.00" in outcome.error
    else:
        assert outcome.exit_code == 0
        assert "$5.00" in outcome.answers["submit"]["cost_limit_warning"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_ended_job_is_submitted_anew_by_its_configurations_name(
    cli: CommandLine, portrait: TrainingConfig, make_job: MakeJob, status: str
) -> None:
    job = make_job(status=status, config_name="portrait")
    outcome = cli.run("jobs retry JOB", job_id=job.job_id)
    assert outcome.exit_code == 0
    again = UnifiedJob.objects.get(job_id=outcome.answers["submit"]["job_id"])
    assert again.pk != job.pk
    assert (again.status, again.config_name) == ("pending", "portrait")


def test_retry_takes_the_submission_itself_where_no_such_configuration_is_stored(
    cli: CommandLine, portrait: TrainingConfig
) -> None:
    first = submitted(cli, "jobs submit CONFIG")["job_id"]
    portrait.delete()
    take_own_step(UnifiedJob.objects.get().pk, JobStatus.FAILED, source=Source.SUBMIT, error="Its provider is gone.")
    outcome = cli.run("jobs retry JOB", job_id=first)
    assert outcome.exit_code == 0
    again = JobSubmission.objects.get(job__job_id=outcome.answers["submit"]["job_id"])
    assert again.config == JobSubmission.objects.get(job__job_id=first).config


@pytest.mark.parametrize("status", ["running", "completed", "pending"])
def test_other_jobs_are_not_retried(cli: CommandLine, make_job: MakeJob, status: str) -> None:
    outcome = cli.run("jobs retry JOB", job_id=make_job(status=status, config_name="portrait").job_id)
    assert outcome.exit_code == 1
    assert status in outcome.error
    assert "submit" not in outcome.answers


@pytest.mark.parametrize("command", DRY_RUNS)
def test_dry_run_tells_all_and_submits_nothing(cli: CommandLine, portrait: TrainingConfig, command: str) -> None:
    portrait.dataloader_config = [PETS, HUB]
    portrait.save()
    outcome = cli.run(command, config="portrait", provider="replicate")
    assert (outcome.exit_code, outcome.errors) == (0, {})
    assert outcome.answers["config"]["config"]["max_train_steps"] == 1500
    assert outcome.answers["validate"]["user_info"]["username"] == "studio-north"
    preview = outcome.answers["preview"]
    assert (preview["requires_upload"], [dataset["id"] for dataset in preview["datasets"]]) == (True, ["pets"])
    assert "gpu-h100" in outcome.answers["offer"]["config"]["hardware_info"]
    assert not UnifiedJob.objects.exists()


def test_dry_run_ends_where_the_token_is_refused(
    cli: CommandLine, portrait: TrainingConfig, sandbox: RunningSandbox
) -> None:
    sandbox.fault("status", status=401)
    outcome = cli.run("jobs submit CONFIG --dry-run", config="portrait", provider="replicate")
    assert outcome.exit_code == 1
    assert "token" in outcome.error
    assert "preview" not in outcome.answers


def test_dry_run_of_an_unknown_configuration_ends_at_once(cli: CommandLine) -> None:
    outcome = cli.run("jobs submit CONFIG --dry-run", config="nothere", provider="replicate")
    assert outcome.exit_code == 1
    assert outcome.answers == {}


def test_dry_run_without_datasets_leaves_the_preview_out(cli: CommandLine, portrait: TrainingConfig) -> None:
    portrait.dataloader_config = []
    portrait.save()
    outcome = cli.run("jobs submit CONFIG --dry-run", config="portrait", provider="replicate")
    assert outcome.exit_code == 0
    assert "preview" not in outcome.answers
