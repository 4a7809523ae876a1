"""Keeping the store in step: discovering jobs, and refreshing the active ones (SPEC A2, A4, A5.2)."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import Source
from jobs.models import UnifiedJob
from jobs.services import shared_errors
from jobs.services.provider_calls import asking, note_failure
from jobs.services.snapshots import BATCH_ROWS, Applied, apply_snapshot, apply_snapshots
from providers import registry
from providers.errors import ProviderAuthError, ProviderError, ProviderRateLimited
from providers.snapshots import FetchFailure, JobSnapshot

logger = structlog.get_logger(__name__)

DISCOVERY_LIMIT = 100


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
    on_progress: Callable[[], None] | None = None,
) -> Refresh:
    """Bring every active cloud job up to date, however old it is; with ``silent_since`` those not heard of since.

    Never raises ``ProviderError``: a provider's trouble is counted, recorded on its jobs, and told in the result.
    ``on_progress`` is called between batches of a long refresh.
    """
    jobs = UnifiedJob.objects.active().at_providers().not_heard_of_since(silent_since)
    if provider:
        jobs = jobs.filter(provider=provider)
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
        return asdict(refresh_active_jobs(source=Source.SYNC_ACTIVE, provider=provider))

    answer = coordination.single_flight(f"sync_active:{provider or 'all'}", refresh, wait_seconds=15.0)
    return Refresh(**(answer.value | {"errors": tuple(answer.value["errors"])}))


def refresh_job(job: UnifiedJob, *, source: Source) -> JobSnapshot:
    """Ask for one job with its log, and apply the answer. Raises ``ProviderError``; it is recorded on the job."""
    try:
        with asking(job.provider) as provider:
            snapshot = provider.fetch(job.reference)
    except ProviderError as error:
        record_failure([job.pk], error.message)
        raise
    apply_snapshot(snapshot, source=source)
    return snapshot


def record_failure(pks: Sequence[int], message: str) -> None:
    """Write down why jobs could not be refreshed. Their status stays (SPEC B2.2)."""
    UnifiedJob.objects.filter(pk__in=pks).exclude(last_sync_error=message).update(last_sync_error=message)


def _discover(name: str) -> Discovery:
    with asking(name) as provider:
        listing = provider.list_recent(limit=DISCOVERY_LIMIT)
    for error in listing.errors:
        note_failure(name, error)
    applied = apply_snapshots(listing.snapshots, source=Source.SYNC, create=True)
    found = sum(result.created for result in applied)
    if listing.errors and not found:
        raise listing.errors[0]
    result = Discovery(
        provider_label=registry.get_label(name),
        found=found,
        updated=sum(1 for result in applied if result.changed and not result.created),
        errors=tuple(error.message for error in listing.errors),
    )
    logger.info("sync done", provider=name, found=found, updated=result.updated, errors=len(result.errors))
    return result


def _refresh_provider(
    name: str, jobs: Sequence[UnifiedJob], *, source: Source, on_progress: Callable[[], None] | None
) -> Refresh:
    started = timezone.now()
    references = [job.reference for job in jobs]
    pending: list[JobSnapshot] = []
    failures: list[FetchFailure] = []
    total = Refresh(active=len(jobs))
    try:
        with asking(name) as provider:
            for outcome in provider.fetch_many(references):
                if isinstance(outcome, FetchFailure):
                    failures.append(outcome)
                    continue
                pending.append(outcome)
                if len(pending) >= BATCH_ROWS:
                    total = total.plus(_apply(pending, source))
                    pending = []
                    if on_progress:
                        on_progress()
    except ProviderError as error:
        record_failure([job.pk for job in jobs], error.message)
        return total.plus(Refresh(failed=len(jobs), errors=(error.message,)))
    total = total.plus(_apply(pending, source)).plus(_record_failures(jobs, failures))
    _note_trouble(name, failures, anything_read=total.refreshed > 0)
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


def _apply(snapshots: Sequence[JobSnapshot], source: Source) -> Refresh:
    applied = apply_snapshots(snapshots, source=source)
    return Refresh(refreshed=len(applied), changed=_status_changes(applied))


def _status_changes(applied: Iterable[Applied]) -> int:
    return sum("status" in result.changed for result in applied)


def _record_failures(jobs: Sequence[UnifiedJob], failures: Sequence[FetchFailure]) -> Refresh:
    if not failures:
        return Refresh()
    pks = {job.external_id: job.pk for job in jobs}
    by_message: dict[str, list[int]] = defaultdict(list)
    for failure in failures:
        by_message[failure.error.message].append(pks[failure.external_id])
    for message, failed in by_message.items():
        record_failure(failed, message)
    return Refresh(failed=len(failures), errors=tuple(by_message))


def _note_trouble(name: str, failures: Sequence[FetchFailure], *, anything_read: bool) -> None:
    """Of a hundred equal refusals the provider's state needs one, and the gravest: it decides whether to ask again.

    A single job that cannot be read while others can is that job's trouble, not the provider's.
    """
    gravest = max((failure.error for failure in failures), key=_gravity, default=None)
    if gravest is not None and (_gravity(gravest) or not anything_read):
        note_failure(name, gravest)


def _gravity(error: ProviderError) -> int:
    return 2 if isinstance(error, ProviderRateLimited) else int(isinstance(error, ProviderAuthError))


def _seconds_since(started: datetime) -> float:
    return (timezone.now() - started).total_seconds()
