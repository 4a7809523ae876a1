"""How far dataset archives are on their way to the provider."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from jobs.models import JobSubmission
from jobs.presentation.formats import file_size


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """Bytes that are sent on, of how many."""

    sent_bytes: int
    size_bytes: int

    @property
    def percent(self) -> float:
        """Never beyond 100: an upload that is begun anew counts on."""
        return min(100.0 * self.sent_bytes / self.size_bytes, 100.0) if self.size_bytes else 100.0

    @property
    def text(self) -> str:
        """Such as ``Uploading the dataset: 12.5 MB of 50.0 MB``."""
        words = {"sent": file_size(min(self.sent_bytes, self.size_bytes)), "size": file_size(self.size_bytes)}
        return _("Uploading the dataset: %(sent)s of %(size)s") % words


def uploads_under_way(job_pks: Sequence[int]) -> dict[int, UploadProgress]:
    """How far the archives of these jobs are; nothing for those without one."""
    if not job_pks:
        return {}
    rows = JobSubmission.objects.filter(job__in=job_pks, archive__isnull=False).values_list(
        "job_id", "archive__sent_bytes", "archive__size_bytes"
    )
    return {job: UploadProgress(sent or 0, size or 0) for job, sent, size in rows}
