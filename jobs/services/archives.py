"""Dataset archives on their way in: written to disk as they arrive, checked, and kept until they are of no more use."""

import errno
import hashlib
import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from jobs.access import Actor
from jobs.lifecycle import JobStatus
from jobs.models import DatasetArchive
from jobs.services import audit
from jobs.services.lookup import InvalidState

logger = structlog.get_logger(__name__)

MAX_ARCHIVE_BYTES = 100 * 1024 * 1024
# What else writes to this disk shall go on: the database first of all.
KEPT_FREE_BYTES = 256 * 1024 * 1024
MAX_NAME_CHARACTERS = 255
# Until then our copy is the only one.
NEEDS_ARCHIVE = (JobStatus.PENDING, JobStatus.UPLOADING)
# Of one that is on its way in: only what is complete has its id for a name.
INCOMING_SUFFIX = ".incoming"

# An archive by its first bytes: zip (also an empty one), gzip, bzip2, xz, zstandard.
MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
# A plain tar says so only here.
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
HEAD_BYTES = TAR_MAGIC_AT + len(TAR_MAGIC)


class ArchiveTooLarge(Exception):
    """More than may be kept."""

    def __init__(self) -> None:
        super().__init__(f"A dataset archive may have {MAX_ARCHIVE_BYTES // 1024**2} MiB at most.")


class NotAnArchive(Exception):
    """The first bytes are those of neither a zip nor a tar file."""

    def __init__(self) -> None:
        super().__init__("This is no zip or tar archive, by its first bytes.")


class NoRoomForArchive(Exception):
    """The disk is too full."""

    def __init__(self) -> None:
        super().__init__("There is not enough room on the server's disk for this archive. Nothing was kept.")


class ArchiveNotFound(Exception):
    """No archive of that id belongs to whoever asks."""

    def __init__(self, archive_id: str) -> None:
        super().__init__(f"There is no upload {archive_id[:64]!r} of yours here.")


def archives_folder() -> Path:
    """Where they lie."""
    return Path(settings.STORE_DIR) / "archives"


def require_room(size_bytes: int) -> None:
    """Raises ``ArchiveTooLarge`` or ``NoRoomForArchive`` before anything was sent."""
    if size_bytes > MAX_ARCHIVE_BYTES:
        raise ArchiveTooLarge
    if shutil.disk_usage(settings.STORE_DIR).free < size_bytes + KEPT_FREE_BYTES:
        raise NoRoomForArchive


class IncomingArchive:
    """A file that grows as an archive arrives; nothing of it is left unless it is kept.

    ``write`` and ``keep`` raise ``ArchiveTooLarge``, ``NotAnArchive`` and ``NoRoomForArchive``, as soon as it is known.
    """

    def __init__(self) -> None:
        self.archive_id = uuid.uuid4().hex
        self.size_bytes = 0
        self._path = archives_folder() / f"{self.archive_id}{INCOMING_SUFFIX}"
        self._hash = hashlib.sha256()
        self._head = b""
        self._is_checked = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size_bytes += len(chunk)
        if self.size_bytes > MAX_ARCHIVE_BYTES:
            raise ArchiveTooLarge
        if not self._is_checked:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._check_head()
        self._hash.update(chunk)
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
                self._file = self._path.open("wb")
            self._file.write(chunk)
        except OSError as error:
            raise _as_no_room(error) from error

    @transaction.atomic
    def keep(self, actor: Actor, name: str) -> DatasetArchive:
        """Keep what has arrived as the actor's archive."""
        if not self._is_checked:
            self._check_head()
        assert self._file is not None, "a head that was accepted is in the file"
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _as_no_room(error) from error
        archive = DatasetArchive.objects.create(
            archive_id=self.archive_id,
            owner_id=actor.user_id,
            name=file_name(name),
            size_bytes=self.size_bytes,
            sha256=self._hash.hexdigest(),
        )
        audit.record(actor, "upload.create", self.archive_id, name=archive.name, size_bytes=archive.size_bytes)
        self._path.replace(archive.path)
        return archive

    def discard(self) -> None:
        """Leave nothing of what was not kept."""
        if self._file is not None:
            self._file.close()
        self._path.unlink(missing_ok=True)

    def _check_head(self) -> None:
        if not self._head.startswith(MAGIC) and self._head[TAR_MAGIC_AT:HEAD_BYTES] != TAR_MAGIC:
            raise NotAnArchive
        self._is_checked = True


def find_archive(actor: Actor, archive_id: str) -> DatasetArchive:
    """The actor's own upload of that id. Raises ``ArchiveNotFound`` also for another's."""
    found = None
    if "\x00" not in archive_id and actor.user_id is not None:
        found = DatasetArchive.objects.filter(archive_id=archive_id, owner_id=actor.user_id).first()
    if found is None:
        raise ArchiveNotFound(archive_id)
    return found


def is_available(archive: DatasetArchive) -> bool:
    """Whether it can go with a job still: our copy is there, or the provider's is."""
    if archive.deleted_at is None and archive.path.is_file():
        return True
    return bool(archive.provider_url) and (
        archive.provider_expires_at is not None and archive.provider_expires_at > timezone.now()
    )


def delete_archive(actor: Actor, archive_id: str) -> None:
    """Delete an upload that no job is to be handed over with. Raises ``ArchiveNotFound``, ``InvalidState``."""
    with transaction.atomic():
        find_archive(actor, archive_id)
        archive = DatasetArchive.objects.select_for_update().get(archive_id=archive_id)
        if archive.submissions.filter(job__status__in=NEEDS_ARCHIVE).exists():
            raise InvalidState("A job that has yet to be handed to its provider needs this upload.")
        if archive.submissions.exists():
            # What the job was submitted with stays on record.
            archive.deleted_at = archive.deleted_at or timezone.now()
            archive.save(update_fields=["deleted_at"])
        else:
            DatasetArchive.objects.filter(pk=archive.pk).delete()
        audit.record(actor, "upload.delete", archive_id)
    archive.path.unlink(missing_ok=True)


def file_name(name: str) -> str:
    """A client's name for a file, as far as it can be kept: without folders, and without what no text may hold."""
    last = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(character for character in last if character.isprintable()).strip()
    return clean.encode("utf-8", "replace").decode()[-MAX_NAME_CHARACTERS:] or "archive"


def _as_no_room(error: OSError) -> Exception:
    return NoRoomForArchive() if error.errno in (errno.ENOSPC, errno.EDQUOT) else error
