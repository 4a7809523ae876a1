"""Taking a job on: checked, stored and put into the queue, which hands it to the provider (SPEC B5, B6)."""

from dataclasses import dataclass

import structlog
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from jobs.access import Actor
from jobs.lifecycle import JobStatus, JobType, Origin, Source
from jobs.models import DatasetArchive, JobSubmission, Membership, QueueEntry, UnifiedJob
from jobs.services import archives, audit, cost_limits, idempotency, queue, quotas
from jobs.services.snapshots import create_job
from jobs.services.submission_plans import Plan, Request
from jobs.services.submission_plans import plan as make_plan
from jobs.services.training_configs import ConfigNotFound
from jobs.training_config import InvalidField
from providers import registry

logger = structlog.get_logger(__name__)

# Of requests with one key at once, all but one start over, and find the job of that one.
ATTEMPTS = 5
KEY_WAS_USED = "This key has given this job before, for another request. The new request was not used."


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of it. ``cost_limit_warning`` is empty if there is nothing to tell."""

    job: UnifiedJob
    idempotent_hit: bool
    has_archive: bool
    queue_position: int | None
    cost_limit_warning: str = ""
    quota_warnings: tuple[str, ...] = ()


def submit(actor: Actor, request: Request) -> Submitted:
    """Store a job and its place in the queue, in one transaction.

    Raises ``InvalidField``, ``ConfigNotFound``, ``JobNotFound``, ``CostLimitReached``, ``PermissionDenied``,
    ``UnknownProvider`` and ``ProviderNotConfigured``. Nothing was stored then.
    """
    registry.get_provider(request.provider)
    done = _submit(actor, request)
    if not done.idempotent_hit:
        logger.info(
            "job submitted",
            job_id=done.job.job_id,
            provider=done.job.provider,
            hardware=done.job.hardware_type,
            has_archive=done.has_archive,
        )
    return done


def _submit(actor: Actor, request: Request) -> Submitted:
    if not request.idempotency_key:
        return _store(actor, make_plan(actor, request), key="")
    for attempt in range(1, ATTEMPTS + 1):
        if known := idempotency.job_of(actor, request.idempotency_key):
            return _hit(actor, known, request)
        try:
            return _store(actor, make_plan(actor, request), key=request.idempotency_key)
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt answers or raises")


@transaction.atomic
def _store(actor: Actor, plan: Plan, *, key: str) -> Submitted:
    warning = cost_limits.require_room(plan.provider)
    archive = _locked(plan.archive)
    team = Membership.objects.filter(user_id=actor.user_id).first() if actor.user_id is not None else None
    waits = quotas.reasons_to_wait(actor, team.team_id if team else None)
    job = create_job(
        UnifiedJob(
            job_type=JobType.CLOUD,
            provider=plan.provider,
            status=JobStatus.PENDING,
            config_name=plan.config_name or None,
            hardware_type=plan.profile.hardware,
            metadata={"model": plan.profile.model},
            owner_id=actor.user_id,
            team_id=team.team_id if team else None,
            origin=Origin.SUBMITTED,
            budget_usd=plan.budget_usd,
        ),
        source=Source.SUBMIT,
    )
    JobSubmission.objects.create(
        job=job,
        config=dict(plan.config),
        dataloader_config=plan.datasets,
        hardware_profile=plan.profile.profile_id,
        webhook_url=plan.webhook_url,
        tracker_run_name=plan.tracker_run_name,
        archive=archive,
        retry_of=plan.retry_of,
    )
    QueueEntry.objects.create(job=job, priority=actor.priority, priority_override=plan.priority)
    if key:
        idempotency.take(actor, key, job)
    audit.record(
        actor,
        "job.submit" if plan.retry_of is None else "job.retry",
        job.job_id,
        provider=plan.provider,
        hardware_profile=plan.profile.profile_id,
        config_name=plan.config_name,
        retry_of=plan.retry_of.job_id if plan.retry_of else None,
    )
    return Submitted(
        job=job,
        idempotent_hit=False,
        has_archive=archive is not None,
        queue_position=queue.positions([job.pk]).get(job.pk),
        cost_limit_warning=warning,
        quota_warnings=(*plan.notes, *waits),
    )


def _locked(archive: DatasetArchive | None) -> DatasetArchive | None:
    """The archive, which nobody deletes until the job stands beside it."""
    if archive is None:
        return None
    found = DatasetArchive.objects.select_for_update().filter(pk=archive.pk).first()
    if found is None or not archives.is_available(found):
        raise InvalidField("upload_id", "This upload has just been deleted. Upload it anew.")
    return found


def _hit(actor: Actor, job: UnifiedJob, request: Request) -> Submitted:
    """The job that the key gave. What else the new request may want, is told and not done."""
    submission = JobSubmission.objects.select_related("archive", "retry_of").filter(job=job).first()
    is_same = submission is not None and _asks_for(actor, request, job, submission)
    return Submitted(
        job=job,
        idempotent_hit=True,
        has_archive=submission is not None and submission.archive_id is not None,
        queue_position=queue.positions([job.pk]).get(job.pk),
        quota_warnings=() if is_same else (KEY_WAS_USED,),
    )


def _asks_for(actor: Actor, request: Request, job: UnifiedJob, stored: JobSubmission) -> bool:
    """Whether a request asks for what the job was submitted with."""
    try:
        plan = make_plan(actor, request)
    except (InvalidField, ConfigNotFound, PermissionDenied):
        return False
    asked = (plan.config, plan.datasets, plan.profile.profile_id, plan.webhook_url, plan.tracker_run_name)
    had = (
        stored.config,
        stored.dataloader_config,
        stored.hardware_profile,
        stored.webhook_url,
        stored.tracker_run_name,
    )
    return (
        asked == had
        and plan.provider == job.provider
        and (plan.config_name or None) == job.config_name
        and plan.budget_usd == job.budget_usd
        and (plan.archive.pk if plan.archive else None) == stored.archive_id
        and plan.retry_of == stored.retry_of
    )
