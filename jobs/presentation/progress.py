"""How far a job is, in words and as a bar."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from jobs.lifecycle import JobStatus
from jobs.presentation.formats import percent, rough_duration, spoken_time_left
from jobs.presentation.uploads import UploadProgress

# Below this, what has passed says too little of what is to come.
LEAST_PERCENT_FOR_ESTIMATE = 5.0
# An estimate that nothing has confirmed for so long is worth nothing.
ESTIMATE_HOLDS = timedelta(minutes=15)
LINE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class ProgressFacts:
    """The columns that progress is told from."""

    status: str
    progress: float | None
    stage: str | None
    last_log: str | None
    error_message: str | None
    eta_seconds: float | None
    started_at: datetime | None
    progress_at: datetime | None
    queue_position: int | None = None
    upload: UploadProgress | None = None


@dataclass(frozen=True, slots=True)
class ProgressView:
    """A bar and its words. ``value`` is ``None`` for a bar that cannot tell how far; ``finish_ms`` is a Unix time."""

    has_bar: bool
    value: float | None
    text: str
    spoken: str
    stage: str
    line: str
    is_problem: bool
    is_uploading: bool
    finish_ms: int | None


def progress_view(facts: ProgressFacts, now: datetime) -> ProgressView:
    """What to show of a job's progress."""
    is_running = facts.status == JobStatus.RUNNING
    value = _value(facts)
    left = seconds_left(facts, now) if is_running else None
    is_problem = facts.status == JobStatus.FAILED and bool(facts.error_message)
    line = first_line(facts.error_message) if is_problem else facts.last_log
    return ProgressView(
        has_bar=is_running or value is not None,
        value=value,
        text=_text(facts, value, left),
        spoken=_spoken(value, left),
        stage=stage_label(facts.stage) if is_running else "",
        line=(line or "")[:LINE_CHARACTERS],
        is_problem=is_problem,
        is_uploading=facts.status == JobStatus.UPLOADING and facts.upload is not None,
        finish_ms=None if left is None else int((now.timestamp() + left) * 1000),
    )


def seconds_left(facts: ProgressFacts, now: datetime) -> float | None:
    """The trainer's own estimate, else from the pace so far; ``None`` if neither can be had or it is overdue."""
    if facts.progress_at is None or now - facts.progress_at > ESTIMATE_HOLDS:
        return None
    left = facts.eta_seconds
    if left is None:
        if facts.started_at is None or (facts.progress or 0) < LEAST_PERCENT_FOR_ESTIMATE:
            return None
        done = facts.progress or 0
        left = (facts.progress_at - facts.started_at).total_seconds() * (100 - done) / done
    left -= (now - facts.progress_at).total_seconds()
    return left if left > 0 else None


def stage_label(stage: str | None) -> str:
    """The reader's word for a stage; the contract's words stay as they are in the API."""
    labels = {
        "Preprocessing": _("Preprocessing"),
        "Warmup": _("Warmup"),
        "Training": _("Training"),
        "Validation": _("Validation"),
        "Saving checkpoint": _("Saving checkpoint"),
    }
    return labels.get(stage or "", stage or "")


def first_line(text: str | None) -> str:
    """The first line that says something."""
    return next((line.strip() for line in (text or "").splitlines() if line.strip()), "")


def _value(facts: ProgressFacts) -> float | None:
    if facts.status == JobStatus.COMPLETED:
        return 100.0
    if facts.status == JobStatus.UPLOADING and facts.upload is not None:
        return facts.upload.percent
    return facts.progress


def _text(facts: ProgressFacts, value: float | None, left: float | None) -> str:
    if facts.status == JobStatus.RUNNING:
        if value is None:
            return _("No progress reported yet")
        words = {"percent": percent(value), "left": "" if left is None else rough_duration(left)}
        return _("%(percent)s · %(left)s left") % words if left is not None else _("%(percent)s · estimating…") % words
    if facts.status == JobStatus.PENDING and facts.queue_position is not None:
        return _("Waiting, place %(place)s in the queue") % {"place": facts.queue_position}
    if facts.status in (JobStatus.PENDING, JobStatus.QUEUED):
        return _("Waiting to start")
    if facts.status == JobStatus.UPLOADING and facts.upload is not None:
        return facts.upload.text
    if facts.status == JobStatus.UPLOADING:
        return _("Handing over to the provider")
    if value is None:
        return ""
    if facts.status == JobStatus.COMPLETED:
        return percent(value)
    return _("stopped at %(percent)s") % {"percent": percent(value)}


def _spoken(value: float | None, left: float | None) -> str:
    if value is None:
        return _("no progress reported yet")
    said = _("%(value)s percent") % {"value": int(value)}
    return said if left is None else _("%(percent)s, %(left)s") % {"percent": said, "left": spoken_time_left(left)}
