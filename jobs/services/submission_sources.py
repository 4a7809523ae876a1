"""Where a configuration to be submitted comes from: a stored one, an earlier submission, or what a provider tells."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from jobs.access import Actor
from jobs.lifecycle import Origin
from jobs.models import DatasetArchive, JobSubmission, TrainingConfig, UnifiedJob
from jobs.services.lookup import InvalidState
from jobs.services.training_configs import NAME, ConfigNotFound
from jobs.training_config import InvalidField, separate
from providers import profiles

# What a trainer is given its configuration by.
CONFIG_INPUT, DATASETS_INPUT = "config_json", "dataloader_json"
# What it takes beside the configuration, and we keep in it.
OWN_INPUTS = ("hf_token", "hub_model_id")


class SubmissionNotFound(Exception):
    """The job was not submitted here."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The job {job_id[:128]!r} was not submitted here.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A configuration with all that goes with it; never to be shown unmasked."""

    config: Mapping[str, Any]
    datasets: list[Any] = field(default_factory=list)
    config_name: str = ""
    hardware_profile: str = ""
    webhook_url: str = ""
    tracker_run_name: str = ""
    archive: DatasetArchive | None = None


def submission_of(job: UnifiedJob) -> JobSubmission:
    """What a job was submitted with. Raises ``SubmissionNotFound``."""
    found = JobSubmission.objects.select_related("job", "archive", "retry_of").filter(job=job).first()
    if found is None:
        raise SubmissionNotFound(job.job_id)
    return found


def stored_material(config: TrainingConfig) -> Material:
    """What is kept under a name."""
    return Material(config=config.config, datasets=config.dataloader_config, config_name=config.name)


def submitted_material(submission: JobSubmission) -> Material:
    """What a job was submitted with."""
    return Material(
        config=submission.config,
        datasets=submission.dataloader_config,
        config_name=submission.job.config_name or "",
        hardware_profile=submission.hardware_profile,
        webhook_url=submission.webhook_url,
        tracker_run_name=submission.tracker_run_name,
        archive=submission.archive,
    )


def named_material(actor: Actor, name: str) -> Material:
    """The configuration that is kept under a name, else the newest submission of that name that the actor may see.

    Raises ``ConfigNotFound``.
    """
    kept = TrainingConfig.objects.filter(name=name).first() if NAME.match(name) else None
    if kept is not None:
        return stored_material(kept)
    submissions = JobSubmission.objects.filter(
        job__in=UnifiedJob.objects.visible_to(actor).filter(config_name=name)
    ).select_related("job", "archive")
    newest = None if "\x00" in name else submissions.order_by("-submitted_at", "-pk").first()
    if newest is None:
        raise ConfigNotFound(name)
    return submitted_material(newest)


def tells_material(job: UnifiedJob) -> bool:
    """Whether ``material_of`` is worth asking: cheap, and no promise."""
    inputs = job.metadata.get("input") if isinstance(job.metadata, dict) else None
    return job.origin == Origin.SUBMITTED or (isinstance(inputs, dict) and CONFIG_INPUT in inputs)


def material_of(job: UnifiedJob) -> Material:
    """What a job runs with: as it was submitted here, else as its provider tells it, with masks.

    Raises ``InvalidState`` with the reason if that cannot be read.
    """
    with suppress(SubmissionNotFound):
        return submitted_material(submission_of(job))
    inputs = job.metadata.get("input") if isinstance(job.metadata, dict) else None
    if not isinstance(inputs, dict) or CONFIG_INPUT not in inputs:
        raise InvalidState(
            "This job was not submitted here, and its provider tells no configuration of it that could be used again."
        )
    try:
        config, datasets = separate(_read(inputs[CONFIG_INPUT]), _read(inputs.get(DATASETS_INPUT)))
    except InvalidField as error:
        raise InvalidState(
            f"This job was not submitted here, and what its provider tells of it cannot be read: {error.message}"
        ) from None
    run_name = inputs.get("tracker_run_name")
    return Material(
        config={name: inputs[name] for name in OWN_INPUTS if inputs.get(name)} | config,
        datasets=datasets,
        config_name=job.config_name or "",
        hardware_profile=_profile(job),
        tracker_run_name=run_name if isinstance(run_name, str) else "",
    )


def _read(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidField(CONFIG_INPUT, "it is incomplete, or no JSON.") from None


def _profile(job: UnifiedJob) -> str:
    """The profile of the job's machine; empty, for the default, if there is none."""
    known = profiles.PROFILES.get(job.provider, {}).values()
    return next((profile.profile_id for profile in known if profile.hardware == job.hardware_type), "")
