"""Jobs as rows of the list: a page of them costs the same number of queries whatever its length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from jobs.access import SUBMIT, SYSTEM, VIEW_ALL, Actor
from jobs.lifecycle import ACTIVE, JobStatus, JobType, LogsState, Origin
from jobs.models import HardwarePrice, JobQuerySet
from jobs.models.job import duration_seconds
from jobs.presentation.cancellations import CancellingView, cancelling_view
from jobs.presentation.costs import CostView, cost_view
from jobs.presentation.formats import Moment, duration, moment
from jobs.presentation.job_money import budget_note
from jobs.presentation.progress import ProgressFacts, ProgressView, progress_view
from jobs.presentation.seen import Seen, last_sources, seen
from jobs.presentation.statuses import StatusBadge, badge
from jobs.presentation.uploads import UploadProgress, uploads_under_way
from jobs.services import queue, retrying
from jobs.services.job_filters import owner_names
from jobs.services.retrying import RETRYABLE
from jobs.services.submission_sources import CONFIG_INPUT
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
    "job_type",
    "external_id",
    "origin",
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
    """One line of the list. ``ticks_since`` is set while the duration still grows.

    ``retry_key`` is set if the job can be submitted again as it was. ``owner``: whose it is, for those who see others'.
    """

    pk: int
    created_at: datetime
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
    owner: str
    seen: Seen
    can_cancel: bool
    can_clone: bool
    retry_key: str


@dataclass(frozen=True, slots=True)
class Several:
    """What is looked up for all rows of a page at once. ``retries`` has those that can be submitted again."""

    positions: Mapping[int, int]
    uploads: Mapping[int, UploadProgress]
    labels: Mapping[str, str]
    sources: Mapping[int, str]
    retries: Mapping[int, int]
    owners: Mapping[int, str]


def job_rows(jobs: JobQuerySet, now: datetime, *, actor: Actor = SYSTEM) -> list[JobRow]:
    """The rows of a queryset, in its order: at most seven queries."""
    has_config = ExpressionWrapper(Q(metadata__input__has_key=CONFIG_INPUT), output_field=BooleanField())
    marked = jobs.annotate(model_name=KT("metadata__model"), has_config=has_config)
    found = list(marked.values(*COLUMNS, "model_name", "has_config"))
    if not found:
        return []
    positions = queue.positions([row["pk"] for row in found if row["status"] == JobStatus.PENDING])
    uploads = uploads_under_way([row["pk"] for row in found if row["status"] == JobStatus.UPLOADING])
    retryable = [row["pk"] for row in found if row["status"] in RETRYABLE and _tells_material(row)]
    several = Several(
        positions=positions,
        uploads=uploads,
        labels=hardware_labels(),
        sources=last_sources([row["pk"] for row in found]),
        retries=retrying.counts(retryable),
        owners=_owners(found, actor),
    )
    return [_row(values, several, now, actor) for values in found]


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


def _tells_material(values: Mapping[str, Any]) -> bool:
    """As ``submission_sources.tells_material``, of a row without its metadata."""
    return values["origin"] == Origin.SUBMITTED or bool(values["has_config"])


def _owners(found: Sequence[Mapping[str, Any]], actor: Actor) -> Mapping[int, str]:
    """Names of owners, where there are several people and this one sees more than their own jobs."""
    if settings.SINGLE_USER or not actor.can(VIEW_ALL):
        return {}
    return owner_names({row["owner_id"] for row in found if row["owner_id"] is not None})


def _can_cancel(values: Mapping[str, Any], actor: Actor) -> bool:
    """Whether there is somebody to ask for its end, or it still waits here, and it was not asked for yet."""
    waits_here = values["status"] in (JobStatus.PENDING, JobStatus.UPLOADING)
    return (
        values["status"] in ACTIVE
        and values["cancel_requested_at"] is None
        and values["job_type"] == JobType.CLOUD
        and (bool(values["external_id"]) or waits_here)
        and actor.may_cancel(values["owner_id"])
    )


def _row(values: Mapping[str, Any], several: Several, now: datetime, actor: Actor) -> JobRow:
    status, started_at = values["status"], values["started_at"]
    # SQLite gives a JSON value in its own type, whatever was expected to be there.
    model_name = values["model_name"] if isinstance(values["model_name"], str) else None
    hardware = values["hardware_type"]
    started = moment(started_at, now)
    is_cancelling = values["cancel_requested_at"] is not None and status in ACTIVE
    facts = ProgressFacts(
        status=status,
        queue_position=several.positions.get(values["pk"]),
        upload=several.uploads.get(values["pk"]),
        **{name: values[name] for name in PROGRESS_COLUMNS},
    )
    may_submit = actor.can(SUBMIT)
    retries = several.retries.get(values["pk"])
    return JobRow(
        pk=values["pk"],
        created_at=values["created_at"],
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
        hardware=several.labels.get(hardware, hardware or ""),
        provider=provider_label(values["provider"]),
        synced=moment(values["last_synced_at"], now),
        sync_error=values["last_sync_error"] or "",
        lost=moment(values["lost_at"], now),
        log_problem=_log_problem(values["logs_state"]),
        cancelling=_cancelling(values, actor, now) if is_cancelling else None,
        budget=budget_note(values["budget_told_percent"], values["budget_usd"]),
        owner=several.owners.get(values["owner_id"], ""),
        seen=seen(values, several.sources.get(values["pk"], ""), now),
        can_cancel=_can_cancel(values, actor),
        can_clone=may_submit and _tells_material(values),
        retry_key=f"{values['job_id']}-{retries}" if may_submit and retries is not None else "",
    )
