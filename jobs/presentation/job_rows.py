"""Jobs as rows of the list: a page of them costs the same number of queries whatever its length."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from jobs.access import SYSTEM, Actor
from jobs.lifecycle import ACTIVE, JobStatus, LogsState
from jobs.models import HardwarePrice, JobQuerySet
from jobs.models.job import duration_seconds
from jobs.presentation.cancellations import CancellingView, cancelling_view
from jobs.presentation.costs import CostView, cost_view
from jobs.presentation.formats import Moment, duration, moment
from jobs.presentation.job_money import budget_note
from jobs.presentation.progress import ProgressFacts, ProgressView, progress_view
from jobs.presentation.statuses import StatusBadge, badge
from jobs.presentation.uploads import UploadProgress, uploads_under_way
from jobs.services import queue
from providers import names

SHORT_ID_CHARACTERS = 10

COLUMNS = (
    "pk",
    "job_id",
    "provider",
    "status",
    "config_name",
    "created_at",
    "started_at",
    "completed_at",
    "cost_usd",
    "hardware_type",
    "error_message",
    "stage",
    "progress",
    "last_log",
    "eta_seconds",
    "progress_at",
    "last_synced_at",
    "last_sync_error",
    "lost_at",
    "logs_state",
    "owner_id",
    "cancel_requested_at",
    "cancel_requested_by",
    "cancel_accepted_at",
    "cancel_error",
    "budget_usd",
    "budget_told_percent",
)
PROGRESS_COLUMNS = (
    "progress",
    "stage",
    "last_log",
    "error_message",
    "eta_seconds",
    "started_at",
    "progress_at",
)


@dataclass(frozen=True, slots=True)
class JobRow:
    """One line of the list. ``ticks_since`` is set while the duration still grows."""

    job_id: str
    short_id: str
    name: str
    status: StatusBadge
    progress: ProgressView
    is_running: bool
    created: Moment | None
    started: Moment | None
    duration: str
    ticks_since: str
    cost: CostView
    hardware: str
    provider: str
    synced: Moment | None
    sync_error: str
    lost: Moment | None
    log_problem: str
    cancelling: CancellingView | None
    budget: str


def job_rows(jobs: JobQuerySet, now: datetime, *, actor: Actor = SYSTEM) -> list[JobRow]:
    """The rows of a queryset, in its order: at most four queries."""
    found = list(jobs.annotate(model_name=KT("metadata__model")).values(*COLUMNS, "model_name"))
    if not found:
        return []
    positions = queue.positions([row["pk"] for row in found if row["status"] == JobStatus.PENDING])
    uploads = uploads_under_way([row["pk"] for row in found if row["status"] == JobStatus.UPLOADING])
    labels = hardware_labels()
    return [_row(values, positions, uploads, labels, now, actor) for values in found]


def hardware_labels() -> dict[str, str]:
    """The readable names of machines, as the price table has them."""
    return dict(HardwarePrice.objects.exclude(label="").order_by().values_list("hardware", "label").distinct())


def display_name(config_name: str | None, model_name: str | None) -> str:
    """What people call a job: its own name, else its model's without the owner."""
    return config_name or (model_name or "").rpartition("/")[2] or _("Unnamed job")


def short_id(job_id: str) -> str:
    """Enough of an id to tell jobs apart at a glance."""
    return job_id if len(job_id) <= SHORT_ID_CHARACTERS + 1 else f"{job_id[:SHORT_ID_CHARACTERS]}…"


def provider_label(provider: str) -> str:
    """A provider's name for people; a job of no provider runs here."""
    return names.LABELS.get(provider, provider) or _("This machine")


def _cancelling(values: Mapping[str, Any], actor: Actor, now: datetime) -> CancellingView | None:
    return cancelling_view(
        requested_at=values["cancel_requested_at"],
        requested_by=values["cancel_requested_by"],
        accepted_at=values["cancel_accepted_at"],
        problem=values["cancel_error"],
        provider=provider_label(values["provider"]),
        may_cancel=actor.may_cancel(values["owner_id"]),
        now=now,
    )


def _log_problem(state: str) -> str:
    """Nothing, unless some of the log is gone."""
    return {LogsState.PARTIAL: _("Its log was saved in part."), LogsState.LOST: _("Its log is lost.")}.get(
        LogsState(state), ""
    )


def _row(
    values: Mapping[str, Any],
    positions: Mapping[int, int],
    uploads: Mapping[int, UploadProgress],
    labels: Mapping[str, str],
    now: datetime,
    actor: Actor,
) -> JobRow:
    status, started_at = values["status"], values["started_at"]
    # SQLite gives a JSON value in its own type, whatever was expected to be there.
    model_name = values["model_name"] if isinstance(values["model_name"], str) else None
    hardware = values["hardware_type"]
    started = moment(started_at, now)
    is_cancelling = values["cancel_requested_at"] is not None and status in ACTIVE
    facts = ProgressFacts(
        status=status,
        queue_position=positions.get(values["pk"]),
        upload=uploads.get(values["pk"]),
        **{name: values[name] for name in PROGRESS_COLUMNS},
    )
    return JobRow(
        job_id=values["job_id"],
        short_id=short_id(values["job_id"]),
        name=display_name(values["config_name"], model_name),
        status=badge(status, is_cancelling=is_cancelling),
        progress=progress_view(facts, now),
        is_running=status == JobStatus.RUNNING,
        created=moment(values["created_at"], now),
        started=started,
        duration=duration(duration_seconds(started_at, values["completed_at"], status, now)),
        ticks_since=started.iso if started and status in ACTIVE else "",
        cost=cost_view(values["cost_usd"], status=status, started_at=started_at, hardware=hardware),
        hardware=labels.get(hardware, hardware or ""),
        provider=provider_label(values["provider"]),
        synced=moment(values["last_synced_at"], now),
        sync_error=values["last_sync_error"] or "",
        lost=moment(values["lost_at"], now),
        log_problem=_log_problem(values["logs_state"]),
        cancelling=_cancelling(values, actor, now) if is_cancelling else None,
        budget=budget_note(values["budget_told_percent"], values["budget_usd"]),
    )
