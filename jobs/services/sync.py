"""Keeping the store in step: discovering jobs, and refreshing the active ones (SPEC A2, A4, A5.2)."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import redis
import structlog
from django.utils import timezone

from jobs import coordination
from jobs.access import VIEW_ALL, Actor
from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services import shared_errors
from jobs.services.failed_checks import apply_fit, record_failure, record_failures, record_refusal
from jobs.services.provider_calls import ANSWERS, asking, note_failure, note_success
from jobs.services.snapshots import BATCH_ROWS, Applied
from providers import registry
from providers.base import Provider
from providers.errors import ProviderAuthError, ProviderError, ProviderRateLimited
from providers.snapshots import FetchFailure, JobSnapshot

logger = structlog.get_logger(__name__)

DISCOVERY_LIMIT = 100
# What was read is written down, and a lease renewed, at least so often; a single call takes a few seconds at most.
STEP_SECONDS = 5.0
# Jobs that are put off are asked for all the same when a person wants the list, but not more often.
PUT_OFF_PAUSE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a full sync did. ``joined``: another sync was already running, and its outcome is told here.

    ``found`` counts each new job once in all: whoever only joined found none.
    """

    provider_label: str
    found: int
    updated: int
    errors: tuple[str, ...]
    joined: bool = False
    found_by_other: int = 0


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh of active jobs did. ``changed`` counts changes of status."""

    active: int = 0
    refreshed: int = 0
    changed: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()

    def plus(self, other: "Refresh") -> "Refresh":
        return Refresh(
            active=self.active + other.active,
            refreshed=self.refreshed + other.refreshed,
            changed=self.changed + other.changed,
            failed=self.failed + other.failed,
            errors=self.errors + tuple(error for error in other.errors if error not in self.errors),
        )


def discover_jobs(provider: str) -> Discovery:
    """Bring in the newest jobs of a provider: unknown ones become rows, known ones are brought up to date.

    Raises ``ProviderError`` if nothing could be read, or if part of it could not and nothing new was found: a failure
    is never told as "0 found". What was read is kept in either case.
    """
    registry.get_provider(provider)
    answer = coordination.single_flight(
        f"sync:{provider}", lambda: shared_errors.outcome_of(lambda: asdict(_discover(provider)))
    )
    facts = shared_errors.result_of(answer.value)
    found = Discovery(**(facts | {"errors": tuple(facts["errors"])}))
    if not answer.is_shared:
        return found
    return Discovery(
        provider_label=found.provider_label,
        found=0,
        updated=found.updated,
        errors=found.errors,
        joined=True,
        found_by_other=found.found,
    )


def refresh_active_jobs(
    *,
    source: Source,
    provider: str | None = None,
    silent_since: datetime | None = None,
    include_put_off: bool = False,
    on_progress: Callable[[], None] | None = None,
) -> Refresh:
    """Bring every active cloud job up to date, however old it is; with ``silent_since`` those not heard of since.

    Jobs that are put off because of their own trouble are left out until they are due (``services.failed_checks``),
    unless ``include_put_off``.
    Never raises ``ProviderError``: a provider's trouble is counted, recorded on its jobs, and told in the result.
    ``on_progress`` is called every few seconds of a long refresh; what it raises ends it.
    """
    jobs = UnifiedJob.objects.active().at_providers().not_heard_of_since(silent_since)
    if provider:
        jobs = jobs.filter(provider=provider)
    if not include_put_off:
        jobs = jobs.due_for_check(timezone.now())
    grouped: dict[str, list[UnifiedJob]] = defaultdict(list)
    for job in jobs.only("pk", "provider", "external_id", "external_kind", "created_at").iterator(chunk_size=2000):
        grouped[job.provider].append(job)
    total = Refresh()
    for name, active in sorted(grouped.items()):
        total = total.plus(_refresh_provider(name, active, source=source, on_progress=on_progress))
    return total


def refresh_for_list(provider: str | None) -> Refresh:
    """``sync_active``: many pages that ask at once share one refresh."""

    def refresh() -> dict[str, Any]:
        may_ask_for_all = _may_ask_for_all(provider)
        return asdict(
            refresh_active_jobs(source=Source.SYNC_ACTIVE, provider=provider, include_put_off=may_ask_for_all)
        )

    answer = coordination.single_flight(f"sync_active:{provider or 'all'}", refresh, wait_seconds=15.0)
    return Refresh(**(answer.value | {"errors": tuple(answer.value["errors"])}))


def refresh_job(job: UnifiedJob, *, source: Source) -> JobSnapshot:
    """Ask for one job with its log, and apply the answer. Raises ``ProviderError``; it is recorded on the job."""
    try:
        with asking(job.provider) as provider:
            snapshot = provider.fetch(job.reference)
    except ProviderError as error:
        record_refusal(job, error)
        raise
    _applied, unfit = apply_fit([snapshot], source=source)
    if unfit:
        record_refusal(job, unfit[0].error)
        raise unfit[0].error
    return snapshot


def _discover(name: str) -> Discovery:
    with asking(name) as provider:
        listing = provider.list_recent(limit=DISCOVERY_LIMIT)
    for error in listing.errors:
        note_failure(name, error)
    asked_at = timezone.now()
    applied, unfit = apply_fit(listing.snapshots, source=Source.SYNC, create=True)
    record_failures(name, unfit, anything_read=True, asked_at=asked_at, knows_us=lambda: True)
    errors = (*listing.errors, *(failure.error for failure in unfit))
    found = sum(result.created for result in applied)
    if errors and not found:
        raise errors[0]
    result = Discovery(
        provider_label=registry.get_label(name),
        found=found,
        updated=sum(1 for result in applied if result.changed and not result.created),
        errors=tuple(error.message for error in errors),
    )
    logger.info("sync done", provider=name, found=found, updated=result.updated, errors=len(result.errors))
    return result


def _refresh_provider(
    name: str, jobs: Sequence[UnifiedJob], *, source: Source, on_progress: Callable[[], None] | None
) -> Refresh:
    started = timezone.now()
    pks = [job.pk for job in jobs]
    try:
        provider = registry.get_provider(name)
    except ProviderError as error:
        record_failure(pks, error.message)
        return Refresh(active=len(jobs), failed=len(jobs), errors=(error.message,))
    reader = _Reader(source, on_progress)
    try:
        for outcome in provider.fetch_many([job.reference for job in jobs]):
            reader.take(outcome)
        reader.write()
    except ProviderError as error:
        note_failure(name, error)
        record_failure(pks, error.message)
        return reader.done.plus(Refresh(active=len(jobs), failed=len(jobs), errors=(error.message,)))
    failures = reader.failures
    trouble = record_failures(
        name,
        failures,
        anything_read=reader.done.refreshed > 0,
        asked_at=started,
        knows_us=lambda: _knows_us(provider),
    )
    errors = tuple(dict.fromkeys(failure.error.message for failure in failures))
    total = reader.done.plus(Refresh(active=len(jobs), failed=len(failures), errors=errors))
    if trouble is not None:
        note_failure(name, trouble)
        total = total.plus(Refresh(errors=(trouble.message,)))
    else:
        _note_outcome(name, failures, anything_read=total.refreshed > 0)
    logger.info(
        "active jobs refreshed",
        provider=name,
        active=total.active,
        refreshed=total.refreshed,
        changed=total.changed,
        failed=total.failed,
        seconds=round(_seconds_since(started), 3),
    )
    return total


class _Reader:
    """Takes what a provider tells of jobs, and writes it down every few seconds or every 500 jobs."""

    def __init__(self, source: Source, on_progress: Callable[[], None] | None) -> None:
        self.done = Refresh()
        self.failures: list[FetchFailure] = []
        self._source = source
        self._on_progress = on_progress
        self._pending: list[JobSnapshot] = []
        self._written_at = time.monotonic()

    def take(self, outcome: JobSnapshot | FetchFailure) -> None:
        if isinstance(outcome, FetchFailure):
            self.failures.append(outcome)
        else:
            self._pending.append(outcome)
        if len(self._pending) >= BATCH_ROWS or time.monotonic() > self._written_at + STEP_SECONDS:
            self.write()
            if self._on_progress:
                self._on_progress()

    def write(self) -> None:
        applied, unfit = apply_fit(self._pending, source=self._source) if self._pending else ([], [])
        self.done = self.done.plus(Refresh(refreshed=len(applied), changed=_status_changes(applied)))
        self.failures += unfit
        self._pending = []
        self._written_at = time.monotonic()


def as_told_to(actor: Actor, refresh: Refresh) -> Refresh:
    """A refresh concerns everybody's jobs: who sees their own alone is told how those now stand."""
    if actor.can(VIEW_ALL):
        return refresh
    errors = UnifiedJob.objects.visible_to(actor).active().at_providers().values_list("last_sync_error", flat=True)
    failures = [error for error in errors if error]
    return Refresh(
        active=len(errors),
        refreshed=len(errors) - len(failures),
        failed=len(failures),
        errors=tuple(dict.fromkeys(failures)),
    )


def _may_ask_for_all(provider: str | None) -> bool:
    """Whether it is a minute since somebody asked for the jobs that are put off."""
    try:
        key = coordination.key(f"asked-for-all:{provider or 'all'}")
        return bool(coordination.client().set(key, "1", nx=True, ex=PUT_OFF_PAUSE_SECONDS))
    except redis.RedisError as error:
        logger.warning("jobs that are put off stay so: Redis is away", error=str(error))
        return False


def _knows_us(provider: Provider) -> bool:
    """Whether the newest page of one of its lists has a job that is known here: then it is the right account."""
    for kind in provider.lists:
        try:
            page = provider.read_page(kind)
        except ProviderError as error:
            logger.info("list not read", provider=provider.name, list=kind, error=error.message)
            continue
        ids = [snapshot.external_id for snapshot in page.snapshots]
        if UnifiedJob.objects.filter(provider=provider.name, external_id__in=ids).exists():
            return True
    return False


def _status_changes(applied: Iterable[Applied]) -> int:
    return sum("status" in result.changed for result in applied)


def _note_outcome(name: str, failures: Sequence[FetchFailure], *, anything_read: bool) -> None:
    """Of a hundred equal refusals the provider's state needs one, and the gravest: it decides how the provider is.

    A single job that cannot be read while others can is that job's trouble, not the provider's.
    """
    if anything_read or any(isinstance(failure.error, ANSWERS) for failure in failures):
        note_success(name)
    gravest = max((failure.error for failure in failures), key=_gravity, default=None)
    if gravest is not None and (_gravity(gravest) or not anything_read):
        note_failure(name, gravest)


def _gravity(error: ProviderError) -> int:
    return 2 if isinstance(error, ProviderRateLimited) else int(isinstance(error, ProviderAuthError))


def _seconds_since(started: datetime) -> float:
    return (timezone.now() - started).total_seconds()
