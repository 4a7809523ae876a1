"""The one write: whatever learnt a snapshot, it comes in here (SPEC B2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from jobs import events
from jobs.lifecycle import TERMINAL, JobStatus, JobType, Origin, Source
from jobs.models import DeletedJob, HardwarePrice, StatusChange, UnifiedJob
from jobs.pricing import PriceBook
from jobs.progress import parse_log
from jobs.services import log_keeping, queue
from jobs.services.retention_tables import is_past_keeping
from providers.snapshots import JobSnapshot

logger = structlog.get_logger(__name__)

BATCH_ROWS = 500
# Two writers may meet in discovering the same job: the loser starts over and finds the row. A batch can lose more than
# once, to writers that bring in its jobs one by one.
ATTEMPTS = 10
# Any constant will do, as long as nothing else in this database takes the same advisory lock.
HISTORY_LOCK = 0x53544331


@dataclass(frozen=True, slots=True)
class Applied:
    """What a snapshot did to its job. ``created``: the row is new. ``changed``: names of the fields."""

    job: UnifiedJob
    created: bool
    changed: frozenset[str]


def apply_snapshot(snapshot: JobSnapshot, *, source: Source, create: bool = False) -> Applied | None:
    """Write a provider's report to our row. ``None`` if the job is unknown here and ``create`` is not set."""
    return next(iter(apply_snapshots([snapshot], source=source, create=create)), None)


def apply_snapshots(snapshots: Sequence[JobSnapshot], *, source: Source, create: bool = False) -> list[Applied]:
    """Write many reports at a constant number of queries for each 500 of them.

    One transaction a batch; events leave after its commit. Reports of unknown jobs are left out unless ``create``.
    """
    applied: list[Applied] = []
    for batch in _batches(snapshots):
        for attempt in range(1, ATTEMPTS + 1):
            try:
                applied.extend(_apply_batch(batch, source=source, create=create))
                break
            except IntegrityError:
                if attempt == ATTEMPTS:
                    raise
    return applied


@transaction.atomic
def create_job(job: UnifiedJob, *, source: Source) -> UnifiedJob:
    """Store a job that was submitted here, with the first row of its history."""
    job.save(force_insert=True)
    _record_history([(None, job)], provider_times={}, source=source, now=timezone.now())
    return job


@transaction.atomic
def take_own_step(job_pk: int, status: JobStatus, *, source: Source, error: str | None = None) -> Applied | None:
    """Move a job by a step that is ours to decide: uploading, or the end of one that never reached its provider.

    The other way in for a status, by the same rules. ``None`` if the job is gone. A job that its provider knows ends by
    its provider's word alone: asked to end such a one, this changes nothing.
    """
    job = UnifiedJob.objects.select_for_update().filter(pk=job_pk).first()
    if job is None:
        return None
    if job.external_id is not None:
        return Applied(job, created=False, changed=frozenset())
    now, previous = timezone.now(), job.status
    changed = job.move(status, error=error, at=now)
    if changed:
        job.save(update_fields=sorted(changed))
    if "status" in changed:
        _record_history([(previous, job)], provider_times={}, source=source, now=now)
        if job.status in TERMINAL:
            queue.close_entries([job], now)
    return Applied(job, created=False, changed=changed)


@transaction.atomic
def _apply_batch(snapshots: Sequence[JobSnapshot], *, source: Source, create: bool) -> list[Applied]:
    now = timezone.now()
    prices = HardwarePrice.objects.book()
    rows = _lock_rows(snapshots)
    joined = _join_by_mark(snapshots, rows)
    rows |= joined
    new = _new_rows(snapshots, rows, now) if create else {}
    previous = {key: job.status for key, job in rows.items()}
    changed: dict[tuple[str, str], frozenset[str]] = {key: frozenset({"external_id"}) for key in joined}
    reports: list[log_keeping.LogReport] = []
    for snapshot in snapshots:
        key = (snapshot.provider, snapshot.external_id)
        job = rows.get(key) or new.get(key)
        if job is not None:
            was_terminal = job.is_terminal
            changed[key] = changed.get(key, frozenset()) | _merge(job, snapshot, prices)
            job.last_synced_at = now
            reports.append(log_keeping.LogReport(job, snapshot, has_just_ended=job.is_terminal and not was_terminal))
    grown, standings = log_keeping.take_over(reports, now)
    for key, names in standings.items():
        changed[key] |= names
    # In one order too: of two batches that bring in the same jobs, one waits for the other and not both.
    UnifiedJob.objects.bulk_create(sorted(new.values(), key=_key))
    touched = [rows[key] for key in changed if key in rows]
    fields = frozenset().union(*(changed[key] for key in changed if key in rows))
    if fields:
        UnifiedJob.objects.all().write((rows[key] for key in changed if key in rows and changed[key]), fields)
    UnifiedJob.objects.filter(pk__in=[job.pk for job in touched]).update(last_synced_at=now)
    moved = [rows[key] for key in changed if key in rows and "status" in changed[key]]
    provider_times = {snapshot.external_id: snapshot.as_of for snapshot in snapshots}
    _record_history(
        [(None, job) for job in new.values()] + [(previous[_key(job)], job) for job in moved],
        provider_times=provider_times,
        source=source,
        now=now,
    )
    queue.note_taken_over(list(joined.values()), now)
    queue.close_entries([job for job in moved if job.status in TERMINAL], now)
    log_keeping.save(grown)
    jobs = rows | new
    return [Applied(jobs[key], key in new, names) for key, names in changed.items()]


def _batches(snapshots: Sequence[JobSnapshot]) -> Iterator[Sequence[JobSnapshot]]:
    for start in range(0, len(snapshots), BATCH_ROWS):
        yield snapshots[start : start + BATCH_ROWS]


def _key(job: UnifiedJob) -> tuple[str, str]:
    return job.provider, job.external_id or ""


def _snapshot_key(snapshot: JobSnapshot) -> tuple[str, str]:
    return snapshot.provider, snapshot.external_id


def _lock_rows(snapshots: Sequence[JobSnapshot]) -> dict[tuple[str, str], UnifiedJob]:
    """The known rows, locked in one order by every writer so that two batches never wait for each other."""
    rows = (
        UnifiedJob.objects.select_for_update()
        .filter(
            provider__in={snapshot.provider for snapshot in snapshots},
            external_id__in={snapshot.external_id for snapshot in snapshots},
        )
        .order_by("pk")
    )
    return {_key(job): job for job in rows}


def _join_by_mark(
    snapshots: Sequence[JobSnapshot], known: dict[tuple[str, str], UnifiedJob]
) -> dict[tuple[str, str], UnifiedJob]:
    """Our own jobs that reached the provider before we learnt their id there, by the mark that we sent along.

    Whoever sees such a job first joins it: the answer to its creation, a webhook, a sync, or a look for it. If it was
    taken for somebody else's meanwhile, that row gives way.
    """
    marked = {
        snapshot.mark: snapshot
        for snapshot in snapshots
        if snapshot.mark and not _is_ours(known.get(_snapshot_key(snapshot)))
    }
    if not marked:
        return {}
    waiting = (
        UnifiedJob.objects.select_for_update(of=("self",))
        .filter(submission__mark__in=marked, external_id__isnull=True)
        .select_related("submission")
        .order_by("pk")
    )
    joined = {}
    for job in waiting:
        snapshot = marked[job.submission.mark]
        if job.provider != snapshot.provider or job.is_terminal:
            continue
        key = _snapshot_key(snapshot)
        if stranger := known.pop(key, None):
            stranger.delete()
        job.external_id = snapshot.external_id
        joined[key] = job
    return joined


def _is_ours(job: UnifiedJob | None) -> bool:
    return job is not None and job.origin == Origin.SUBMITTED


def _new_rows(
    snapshots: Sequence[JobSnapshot], known: dict[tuple[str, str], UnifiedJob], now: datetime
) -> dict[tuple[str, str], UnifiedJob]:
    """Unsaved rows for jobs that the store lacks.

    Their id is the provider's own, so that links stay good when a lost store is rebuilt; a taken one gets a prefix.
    What somebody has deleted here does not come back, nor does what ended longer ago than jobs are kept.
    """
    missing = {
        _snapshot_key(snapshot): snapshot
        for snapshot in snapshots
        if _snapshot_key(snapshot) not in known and not is_past_keeping(snapshot)
    }
    if not missing:
        return {}
    deleted = DeletedJob.objects.filter(external_id__in=[external_id for _, external_id in missing])
    for key in deleted.values_list("provider", "external_id"):
        missing.pop(key, None)
    ids = [external_id for _, external_id in missing]
    taken = set(UnifiedJob.objects.filter(job_id__in=ids).values_list("job_id", flat=True))
    rows = {}
    for (provider, external_id), snapshot in missing.items():
        job_id = f"{provider}-{external_id}" if external_id in taken else external_id
        taken.add(job_id)
        rows[provider, external_id] = UnifiedJob(
            job_id=job_id,
            job_type=JobType.CLOUD,
            provider=provider,
            external_id=external_id,
            # The least that a provider can mean; whatever it really says moves forward from there.
            status=UnifiedJob.FIRST_REMOTE_STATUS,
            created_at=snapshot.created_at or now,
        )
    return rows


def _merge(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
    changed = job.merge(snapshot, prices)
    if snapshot.status is None and "last_sync_error" in changed:
        logger.warning("unknown status word", job_id=job.job_id, word=snapshot.raw_status, kept=job.status)
    if snapshot.logs:
        changed |= job.note_progress(parse_log(snapshot.logs), snapshot.as_of)
    return changed


def _record_history(
    changes: Sequence[tuple[str | None, UnifiedJob]],
    *,
    provider_times: dict[str, datetime],
    source: Source,
    now: datetime,
) -> None:
    if not changes:
        return
    _order_history()
    rows = StatusChange.objects.bulk_create(
        StatusChange(
            job=job,
            previous=previous,
            status=job.status,
            source=source,
            provider_time=provider_times.get(job.external_id or ""),
            recorded_at=now,
        )
        for previous, job in changes
    )
    for row in rows:
        events.job_status_changed(row)


def _order_history() -> None:
    """Make history ids commit in their order, so that "everything after id N" misses nothing.

    PostgreSQL hands out ids before the commit: without this a reader could see 11, then 10. SQLite has one writer.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [HISTORY_LOCK])
