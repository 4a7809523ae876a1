"""Bringing datasets to the provider before their jobs are started there.

It takes minutes, so it has ticks of its own. An upload starts nothing: one that is lost is simply made again.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog
from django.db.models import F, QuerySet
from django.utils import timezone

from jobs import coordination
from jobs.models import DatasetArchive, JobSubmission, QueueEntry, QueueStatus
from jobs.services.dispatch import calls, endings, outcomes, sending
from jobs.services.provider_calls import asking
from jobs.services.queue import Claim
from providers.errors import ProviderError
from providers.launch import UploadedFile

logger = structlog.get_logger(__name__)

LEASE_SECONDS = 120.0
# The provider's own limit of an upload is below.
LONGEST_SECONDS = 1200.0
PROGRESS_EVERY_SECONDS = 1.0
# A job may wait at its provider before it reads the file; what is deleted earlier is brought anew.
LEAST_LIFE = timedelta(hours=2)


def without_uploads(claims: Sequence[Claim]) -> list[Claim]:
    """Those of the claimed jobs that can be sent at once; the others are taken up by ``upload_waiting``."""
    archives = _archives([claim.job_pk for claim in claims])
    return [claim for claim in claims if not _needs_upload(archives.get(claim.job_pk))]


def upload_waiting() -> int:
    """Bring the datasets of claimed jobs to their providers, and send the jobs; returns how many were taken.

    One worker at a time. Raises ``redis.RedisError`` if Redis is away.
    """
    if not _claimed().exists():
        return 0
    with coordination.lease("queue-uploads", seconds=LEASE_SECONDS) as renew:
        return _upload_all(renew) if renew is not None else 0


def _upload_all(renew: coordination.Renew) -> int:
    entries = {entry.job_id: entry for entry in _claimed()}
    archives = {pk: archive for pk, archive in _archives(list(entries)).items() if _needs_upload(archive)}
    uploads: dict[int, _Upload] = {}
    for job_pk, archive in archives.items():
        entry = entries[job_pk]
        assert entry.claimed_at is not None
        claim = Claim(entry.pk, entry.job_id, entry.claimed_at)
        if not endings.begin_uploading(claim):
            continue
        # Jobs that share an archive share its upload.
        upload = uploads.setdefault(archive.pk, _Upload(archive, entry.job.provider))
        upload.claims.append(claim)
    claims = [claim for upload in uploads.values() for claim in upload.claims]
    taken = 0
    with calls.call_threads() as pool:
        under_way = {pool.submit(upload.run): upload for upload in uploads.values()}

        def meanwhile() -> None:
            renew()
            for upload in uploads.values():
                upload.write_progress()

        deadline = time.monotonic() + LONGEST_SECONDS
        for upload, answer in calls.answers(under_way, deadline=deadline, claims=claims, meanwhile=meanwhile):
            taken += _arrived(upload, answer)
    return taken


class _Upload:
    """One archive on its way; ``sent_bytes`` is set by the thread that sends, and written down by ours."""

    def __init__(self, archive: DatasetArchive, provider: str) -> None:
        self.archive, self.provider = archive, provider
        self.claims: list[Claim] = []
        self.sent_bytes = 0
        self._path, self._name = Path(archive.path), archive.name
        self._written_at = 0.0
        self._written_bytes = -1

    def run(self) -> UploadedFile:
        with asking(self.provider) as source:
            return source.upload(self._path, self._name, self._note)

    def write_progress(self, *, at_once: bool = False) -> None:
        """At most once a second."""
        now = time.monotonic()
        if self.sent_bytes != self._written_bytes and (at_once or now - self._written_at >= PROGRESS_EVERY_SECONDS):
            self._written_at, self._written_bytes = now, self.sent_bytes
            DatasetArchive.objects.filter(pk=self.archive.pk).update(sent_bytes=self.sent_bytes)

    def _note(self, sent_bytes: int) -> None:
        self.sent_bytes = sent_bytes


def _arrived(upload: _Upload, answer: UploadedFile | ProviderError) -> int:
    upload.write_progress(at_once=True)
    if isinstance(answer, ProviderError):
        for claim in upload.claims:
            endings.not_started(claim, answer, outcomes.of_preparation(answer))
        return 0
    DatasetArchive.objects.filter(pk=upload.archive.pk).update(
        provider_url=answer.url, provider_expires_at=answer.expires_at, sent_bytes=F("size_bytes")
    )
    logger.info("dataset uploaded", provider=upload.provider, archive=upload.archive.archive_id)
    return sending.send([claim for claim in upload.claims if claim.renew()])


def _claimed() -> QuerySet[QueueEntry]:
    """Entries that were taken and not sent yet, of jobs with a dataset."""
    taken = QueueEntry.objects.filter(status=QueueStatus.DISPATCHING, sent_at__isnull=True)
    return taken.filter(job__submission__archive__isnull=False).select_related("job").order_by("pk")


def _archives(job_pks: Sequence[int]) -> dict[int, DatasetArchive]:
    found = JobSubmission.objects.filter(job__in=job_pks, archive__isnull=False).select_related("archive")
    return {submission.job_id: submission.archive for submission in found if submission.archive}


def _needs_upload(archive: DatasetArchive | None) -> bool:
    if archive is None:
        return False
    expires_at = archive.provider_expires_at
    return not archive.provider_url or (expires_at is not None and expires_at < timezone.now() + LEAST_LIFE)
