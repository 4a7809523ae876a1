"""The log of a job, kept because providers delete theirs (Replicate: one hour after the end)."""

import zlib

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models.job import UnifiedJob

COMPRESSION_LEVEL = 6


class JobLog(models.Model):
    """The longest log ever seen of a job, compressed. ``is_final``: it was read after the job's end."""

    job = models.OneToOneField(UnifiedJob, models.CASCADE, related_name="log", verbose_name=_("job"))
    compressed = models.BinaryField(_("content"), default=b"", editable=False)
    # Of the provider's log as it was read; what is kept of it can be shorter.
    characters = models.PositiveIntegerField(_("characters"), default=0)
    is_cut = models.BooleanField(_("cut"), default=False, db_default=False)
    is_final = models.BooleanField(_("read after the end"), default=False)
    saved_at = models.DateTimeField(_("saved"), default=timezone.now)

    class Meta:
        verbose_name = _("log")
        verbose_name_plural = _("logs")

    def __str__(self) -> str:
        return f"{self.job_id}: {self.characters}"

    @property
    def text(self) -> str:
        return zlib.decompress(self.compressed).decode() if self.compressed else ""

    def replace(self, text: str, *, is_final: bool) -> None:
        """Take over a newer copy; a shorter one never replaces a longer one."""
        self.is_final = self.is_final or is_final
        if len(text) > self.characters:
            self.compressed = zlib.compress(text.encode(), COMPRESSION_LEVEL)
            self.characters = len(text)
            self.saved_at = timezone.now()
