"""Everything the page of one job shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from jobs.lifecycle import ACTIVE, JobStatus, JobType
from jobs.models import JobLog, JobSubmission, UnifiedJob
from jobs.presentation import uploads
from jobs.presentation.costs import CostView, cost_view
from jobs.presentation.formats import Moment, duration, moment
from jobs.presentation.job_rows import display_name, hardware_labels, provider_label
from jobs.presentation.links import link
from jobs.presentation.log_text import last_lines
from jobs.presentation.progress import ProgressFacts, ProgressView, progress_view
from jobs.presentation.statuses import StatusBadge, badge
from jobs.services import queue, retrying
from jobs.services.submission_sources import tells_material
from jobs.training_config import DATASETS_KEY
from providers.masking import masked


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """A change of status: who noticed it, and when by the provider's clock and by ours."""

    status: StatusBadge
    source: str
    provider_time: Moment | None
    recorded: Moment | None


@dataclass(frozen=True, slots=True)
class Setting:
    """One entry of the job's input; ``is_block`` for a value that needs lines of its own."""

    name: str
    value: str
    is_block: bool


@dataclass(frozen=True, slots=True)
class JobPage:
    """The overview of a job, which is refreshed while one looks at it.

    ``output``: the address of its result; ``output_url``: the same if a link may lead there. ``is_removed``: its files,
    by the provider.
    """

    job_id: str
    name: str
    status: StatusBadge
    progress: ProgressView
    is_active: bool
    is_running: bool
    can_cancel: bool
    can_retry: bool
    can_clone: bool
    retry_key: str
    cost: CostView
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


def job_page(job: UnifiedJob, now: datetime | None = None) -> JobPage:
    """The overview: two more queries than the job itself, three while it waits in our queue."""
    now = now or timezone.now()
    metadata = _mapping(job.metadata)
    started = moment(job.started_at, now)
    model, output = _text(metadata.get("model")), job.output_url or ""
    return JobPage(
        job_id=job.job_id,
        name=display_name(job.config_name, model),
        status=badge(job.status),
        progress=progress_view(_facts(job), now),
        is_active=job.is_active,
        is_running=job.status == JobStatus.RUNNING,
        can_cancel=job.is_active and job.job_type == JobType.CLOUD and bool(job.external_id),
        can_retry=_can_retry(job),
        can_clone=tells_material(job),
        retry_key=_retry_key(job),
        cost=cost_view(job.cost_usd, status=job.status, started_at=job.started_at, hardware=job.hardware_type),
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


def settings_of(job: UnifiedJob) -> list[Setting]:
    """The job's input, as it was masked when it came in; until its provider tells it, what it was submitted with."""
    inputs = _mapping(_mapping(job.metadata).get("input")) or _submitted(job)
    return [_setting(name, value) for name, value in inputs.items()]


def stored_log(job: UnifiedJob) -> str:
    """The end of our own copy of the log; empty if there is none."""
    log = JobLog.objects.filter(job=job).first()
    return last_lines(log.text) if log else ""


def _submitted(job: UnifiedJob) -> Mapping[str, Any]:
    found = JobSubmission.objects.filter(job=job).first()
    if found is None:
        return {}
    datasets = {DATASETS_KEY: masked(found.dataloader_config)} if found.dataloader_config else {}
    return {**_mapping(masked(found.config)), **datasets}


def _retry_key(job: UnifiedJob) -> str:
    """Pressed twice, Retry is one new job; pressed again after that, another."""
    return f"{job.job_id}-{job.retries.count()}" if _can_retry(job) else ""


def _can_retry(job: UnifiedJob) -> bool:
    return retrying.can_retry(job) and tells_material(job)


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
            status=badge(change.status),
            source=str(change.get_source_display()),
            provider_time=moment(change.provider_time, now),
            recorded=moment(change.recorded_at, now),
        )
        for change in job.history.order_by("pk")
    ]


def _setting(name: str, value: object) -> Setting:
    if isinstance(value, str):
        return Setting(name, value, is_block="\n" in value)
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return Setting(name, text, is_block="\n" in text)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
