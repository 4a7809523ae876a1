"""What the page of one job shows in each of its parts, and in its overview."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from jobs.access import CANCEL_ALL, SYSTEM, Actor
from jobs.lifecycle import ACTIVE, JobStatus, JobType, Origin
from jobs.models import JobLog, UnifiedJob
from jobs.presentation import uploads
from jobs.presentation.cancellations import CancellingView, cancelling_view
from jobs.presentation.costs import CostView
from jobs.presentation.formats import Moment, duration, moment
from jobs.presentation.job_money import JobMoney, job_money
from jobs.presentation.job_rows import display_name, hardware_labels, provider_label
from jobs.presentation.links import link
from jobs.presentation.log_text import SHOWN_LINES, last_lines
from jobs.presentation.progress import ProgressFacts, ProgressView, progress_view
from jobs.presentation.statuses import StatusBadge, badge
from jobs.services import queue, retrying
from jobs.services.submission_sources import tells_material


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """A change of status: who noticed it, and when by the provider's clock and by ours."""

    previous: StatusBadge | None
    status: StatusBadge
    source: str
    provider_time: Moment | None
    recorded: Moment | None


@dataclass(frozen=True, slots=True)
class JobRights:
    """What whoever looks at the page may do with the job as it stands."""

    can_delete: bool
    can_claim: bool
    can_budget: bool


@dataclass(frozen=True, slots=True)
class JobPage:
    """The overview of a job, which is refreshed while one looks at it.

    ``state``: the API's word, ``status``: what is shown of it. ``output``: the address of its result, ``output_url``:
    the same if a link may lead there. ``is_removed``: its files, by the provider. ``is_unclaimed``: nobody here owns it
    or waved it aside.
    """

    job_id: str
    name: str
    state: str
    status: StatusBadge
    progress: ProgressView
    is_active: bool
    is_running: bool
    can_cancel: bool
    can_retry: bool
    can_clone: bool
    retry_key: str
    cancelling: CancellingView | None
    rights: JobRights
    is_unclaimed: bool
    is_ignored: bool
    waits_here: bool
    cost: CostView
    money: JobMoney
    hardware: str
    provider: str
    model: str
    created: Moment | None
    started: Moment | None
    completed: Moment | None
    duration: str
    ticks_since: str
    synced: Moment | None
    sync_error: str
    lost: Moment | None
    error: str
    provider_page: str
    output: str
    output_url: str
    is_removed: bool
    timeline: list[TimelineStep]


def job_page(job: UnifiedJob, now: datetime | None = None, *, actor: Actor = SYSTEM) -> JobPage:
    """The overview, with what the actor may do: four more queries than the job itself, five while it waits here."""
    now = now or timezone.now()
    metadata = _mapping(job.metadata)
    started = moment(job.started_at, now)
    model, output = _text(metadata.get("model")), job.output_url or ""
    money = job_money(job, now)
    may_cancel = actor.may_cancel(job.owner_id)
    is_ownerless = job.origin == Origin.DISCOVERED and job.owner_id is None
    return JobPage(
        job_id=job.job_id,
        name=display_name(job.config_name, model),
        state=job.status,
        status=badge(job.status, is_cancelling=job.is_cancelling),
        progress=progress_view(_facts(job), now),
        is_active=job.is_active,
        is_running=job.status == JobStatus.RUNNING,
        can_retry=_can_retry(job),
        can_clone=tells_material(job),
        retry_key=_retry_key(job),
        can_cancel=may_cancel and _is_cancellable(job) and not job.is_cancelling,
        cancelling=_cancelling(job, may_cancel, now) if job.is_cancelling else None,
        rights=JobRights(
            can_delete=may_cancel and job.is_terminal,
            can_claim=is_ownerless and actor.can(CANCEL_ALL) and actor.user_id is not None,
            can_budget=may_cancel and job.is_active and job.job_type == JobType.CLOUD,
        ),
        is_unclaimed=is_ownerless and job.ignored_at is None,
        is_ignored=is_ownerless and job.ignored_at is not None,
        waits_here=job.status == JobStatus.PENDING and job.external_id is None,
        cost=money.cost,
        money=money,
        hardware=hardware_labels().get(job.hardware_type or "", job.hardware_type or ""),
        provider=provider_label(job.provider),
        model=model,
        created=moment(job.created_at, now),
        started=started,
        completed=moment(job.completed_at, now),
        duration=duration(job.duration_seconds(now)),
        ticks_since=started.iso if started and job.status in ACTIVE else "",
        synced=moment(job.last_synced_at, now),
        sync_error=job.last_sync_error or "",
        lost=moment(job.lost_at, now),
        error=job.error_message or "",
        provider_page=link(metadata.get("web_url"), job.provider),
        output=output if output.startswith(("https://", "http://")) else "",
        output_url=link(job.output_url, job.provider),
        is_removed=metadata.get("data_removed") is True,
        timeline=_timeline(job, now),
    )


def stored_log(job: UnifiedJob, lines: int = SHOWN_LINES) -> str:
    """The end of our own copy of the log; empty if there is none."""
    log = JobLog.objects.filter(job=job).first()
    return last_lines(log.text, lines) if log else ""


def _retry_key(job: UnifiedJob) -> str:
    """Pressed twice, Retry is one new job; pressed again after that, another."""
    return f"{job.job_id}-{job.retries.count()}" if _can_retry(job) else ""


def _can_retry(job: UnifiedJob) -> bool:
    return retrying.can_retry(job) and tells_material(job)


def _is_cancellable(job: UnifiedJob) -> bool:
    """Whether there is somebody to ask, or it still waits here."""
    is_ours = job.status in (JobStatus.PENDING, JobStatus.UPLOADING)
    return job.is_active and job.job_type == JobType.CLOUD and (bool(job.external_id) or is_ours)


def _cancelling(job: UnifiedJob, may_cancel: bool, now: datetime) -> CancellingView | None:
    return cancelling_view(
        requested_at=job.cancel_requested_at,
        requested_by=job.cancel_requested_by,
        accepted_at=job.cancel_accepted_at,
        problem=job.cancel_error,
        provider=provider_label(job.provider),
        may_cancel=may_cancel,
        now=now,
    )


def _facts(job: UnifiedJob) -> ProgressFacts:
    position = queue.positions([job.pk]).get(job.pk) if job.status == JobStatus.PENDING else None
    upload = uploads.uploads_under_way([job.pk]).get(job.pk) if job.status == JobStatus.UPLOADING else None
    return ProgressFacts(
        status=job.status,
        progress=job.progress,
        stage=job.stage,
        last_log=job.last_log,
        error_message=job.error_message,
        eta_seconds=job.eta_seconds,
        started_at=job.started_at,
        progress_at=job.progress_at,
        queue_position=position,
        upload=upload,
    )


def _timeline(job: UnifiedJob, now: datetime) -> list[TimelineStep]:
    return [
        TimelineStep(
            previous=badge(change.previous) if change.previous else None,
            status=badge(change.status),
            source=str(change.get_source_display()),
            provider_time=moment(change.provider_time, now),
            recorded=moment(change.recorded_at, now),
        )
        for change in job.history.order_by("pk")
    ]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
