"""The log of a job, kept because providers delete theirs (Replicate: one hour after the end)."""

import zlib

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.log_archive import Archive, compress, digests, merge
from jobs.models.job import UnifiedJob


class JobLog(models.Model):
    """Everything that was ever read of a job's log, compressed, within ``settings.LOG_ARCHIVE_BYTES``.

    ``is_final``: the provider told all of it after the job's end. ``is_cut``: some of it is not kept, or was never
    read, and a notice in the text says where.
    """

    job = models.OneToOneField(UnifiedJob, models.CASCADE, related_name="log", verbose_name=_("job"))
    compressed = models.BinaryField(_("content"), default=b"", editable=False)
    # Of all that was read; what is kept of it can be shorter.
    characters = models.PositiveIntegerField(_("characters"), default=0)
    is_cut = models.BooleanField(_("cut"), default=False, db_default=False)
    # Where the hole is that the limit made, and how large.
    head_characters = models.PositiveIntegerField(_("characters before the cut"), default=0, db_default=0)
    left_out_characters = models.PositiveIntegerField(_("characters left out"), default=0, db_default=0)
    # The provider's copy that was taken over last: a copy that continues it is told without unpacking ours.
    copy_characters = models.PositiveIntegerField(_("characters of the last copy"), default=0, db_default=0)
    copy_digest = models.CharField(_("digest of the last copy"), max_length=32, blank=True, default="", db_default="")
    is_final = models.BooleanField(_("read after the end"), default=False)
    saved_at = models.DateTimeField(_("saved"), default=timezone.now)

    class Meta:
        verbose_name = _("log")
        verbose_name_plural = _("logs")

    def __str__(self) -> str:
        return f"{self.job_id}: {self.characters}"

    @property
    def text(self) -> str:
        """What is kept; where something is missing, a line says so."""
        return self.archive.text

    @property
    def is_at_hand(self) -> bool:
        """Whether the content was loaded with the row, or set since."""
        return "compressed" not in self.get_deferred_fields()

    def replace(self, text: str, *, is_final: bool) -> None:
        """Take over a copy of the provider's log; what was kept before stays."""
        self.is_final = self.is_final or is_final
        if not self.follow(text):
            self.join(text)

    def follow(self, text: str) -> bool:
        """Take over a copy that continues the last one, without reading ``compressed``.

        ``False``: whether and how it belongs to what is kept must be told by ``join``.
        """
        if not text:
            return True
        known = self.copy_characters
        if self.characters and not known:
            return False
        if len(text) < known:
            return False
        before, now = digests(text, known, len(text))
        if known and before != self.copy_digest:
            return False
        if len(text) == known:
            return True
        if self.copy_characters != self.characters:
            # Other copies stand before this one: the new part is to be put behind them.
            return False
        if self.left_out_characters:
            head = self.head_characters
            # No more than can be kept is copied.
            start = max(head + self.left_out_characters, len(text) - settings.LOG_ARCHIVE_BYTES)
            self._keep(Archive(text[start:], text[:head], start - head))
        else:
            self._keep(Archive(text))
        self.copy_characters, self.copy_digest = len(text), now
        return True

    def join(self, text: str) -> None:
        """Take over any copy of the provider's log."""
        kept = self.archive
        merged = merge(kept, text)
        if merged is kept:
            return
        self._keep(merged)
        self.copy_characters, self.copy_digest = len(text), digests(text, len(text))[0]

    @property
    def archive(self) -> Archive:
        """What is kept, unpacked."""
        content = zlib.decompress(self.compressed).decode() if self.compressed else ""
        head = self.head_characters if self.left_out_characters else 0
        return Archive(content[head:], content[:head], self.left_out_characters)

    def _keep(self, archive: Archive) -> None:
        kept = archive.within(settings.LOG_ARCHIVE_BYTES)
        self.compressed = compress(kept.head, kept.tail)
        self.characters = kept.characters
        self.head_characters, self.left_out_characters = len(kept.head), kept.left_out
        self.is_cut = self.is_cut or kept.has_gap or kept.left_out > 0
        self.saved_at = timezone.now()


# What a write of a log that grew has to save.
GROWING_FIELDS = (
    "compressed",
    "characters",
    "is_cut",
    "head_characters",
    "left_out_characters",
    "copy_characters",
    "copy_digest",
    "is_final",
    "saved_at",
)
