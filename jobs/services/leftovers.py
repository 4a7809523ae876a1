"""Deleting what submissions leave behind: uploads that nobody uses any more, and keys that have expired."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import redis
import structlog
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from jobs import coordination
from jobs.lifecycle import ACTIVE
from jobs.models import DatasetArchive, IdempotencyKey
from jobs.services.archives import archives_folder
from jobs.services.idempotency import KEY_HOLDS

logger = structlog.get_logger(__name__)

PRUNE_EVERY_SECONDS = 600
# Unused ones from their upload on; used ones from the end of their last job on, so that it can be retried.
ARCHIVE_HOLDS = timedelta(hours=24)
BATCH_ROWS = 500


def prune() -> None:
    """Every ten minutes, whichever worker comes first."""
    if _is_time():
        delete_expired_keys()
        delete_old_archives()
        delete_stray_files()


def delete_expired_keys(now: datetime | None = None) -> int:
    """Delete keys of submissions that give no job any more, in small batches; returns how many."""
    expired = IdempotencyKey.objects.filter(created_at__lt=(now or timezone.now()) - KEY_HOLDS)
    deleted = 0
    while batch := list(expired.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS]):
        deleted += IdempotencyKey.objects.filter(pk__in=batch).delete()[0]
    return deleted


def delete_old_archives(now: datetime | None = None) -> int:
    """Delete our copies of archives that were not used for a day, or whose jobs have all ended a day ago."""
    before = (now or timezone.now()) - ARCHIVE_HOLDS
    old = (
        DatasetArchive.objects.filter(created_at__lt=before, deleted_at__isnull=True)
        .exclude(submissions__job__status__in=ACTIVE)
        .annotate(last_end=Max("submissions__job__completed_at"), last_use=Max("submissions__submitted_at"))
        .filter(Q(last_end__isnull=True) | Q(last_end__lt=before), Q(last_use__isnull=True) | Q(last_use__lt=before))
    )
    deleted = 0
    for pk in list(old.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS]):
        deleted += _delete(pk)
    return deleted


def delete_stray_files(now: float | None = None) -> int:
    """Delete files of which the store knows nothing: uploads that broke off with their process."""
    before = (now or time.time()) - ARCHIVE_HOLDS.total_seconds()
    strays = [path for path in _files() if _is_older(path, before)]
    known = set(
        DatasetArchive.objects.filter(
            archive_id__in=[path.name for path in strays], deleted_at__isnull=True
        ).values_list("archive_id", flat=True)
    )
    gone = [path for path in strays if path.name not in known]
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        logger.info("stray uploads deleted", count=len(gone))
    return len(gone)


def _delete(pk: int) -> bool:
    with transaction.atomic():
        archive = DatasetArchive.objects.select_for_update().filter(pk=pk).first()
        # Looked at again under the lock: a submission may have taken it meanwhile.
        if archive is None or archive.submissions.filter(job__status__in=ACTIVE).exists():
            return False
        if archive.submissions.exists():
            archive.deleted_at = timezone.now()
            archive.save(update_fields=["deleted_at"])
        else:
            DatasetArchive.objects.filter(pk=pk).delete()
    # Should this fail, the file is a stray.
    archive.path.unlink(missing_ok=True)
    logger.info("upload deleted: not used any more", archive=archive.archive_id, bytes=archive.size_bytes)
    return True


def _files() -> list[Path]:
    folder = archives_folder()
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False


def _is_time() -> bool:
    """Not while Redis is away."""
    try:
        return bool(coordination.client().set(coordination.key("leftovers:pruned"), 1, nx=True, ex=PRUNE_EVERY_SECONDS))
    except redis.RedisError as error:
        logger.debug("leftovers not pruned: Redis is away", error=str(error))
        return False
