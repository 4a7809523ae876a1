"""Files in requests, written where they belong while they arrive: none is held in memory, or twice on disk."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from jobs.access import Actor
from jobs.models import DatasetArchive
from jobs.services.archives import (
    MAX_ARCHIVE_BYTES,
    ArchiveTooLarge,
    IncomingArchive,
    NoRoomForArchive,
    NotAnArchive,
    require_room,
)
from jobs.training_config import MAX_CONFIG_BYTES, InvalidField

REFUSALS = (ArchiveTooLarge, NotAnArchive, NoRoomForArchive)
CHUNK_BYTES = 64 * 1024
# What stands around the file in a form: two configurations and some text.
FORM_BYTES = 4 * 1024 * 1024


class NoFiles(FileUploadHandler):
    """For every path that takes no files: they are read away."""

    def new_file(self, *arguments: Any, **options: Any) -> None:  # noqa: ARG002
        """Take none."""
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: no file is taken."""

    def file_complete(self, file_size: int) -> None:
        """Never called: no file is taken."""


class ArchiveUploads(FileUploadHandler):
    """The dataset archive of a form, and small files of JSON beside it.

    Reading the form ends when the archive is refused; the fields before it are there, and ``problem`` tells why.
    Whoever uses this calls ``discard`` in the end, whatever happens.
    """

    chunk_size = CHUNK_BYTES

    def __init__(self, archive_field: str, text_fields: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.problem: Exception | None = None
        self.texts: dict[str, bytes] = {}
        self._archive_field = archive_field
        self._text_fields = text_fields
        self._incoming: IncomingArchive | None = None
        self._name = ""
        self._is_complete = False
        self._length = 0

    @property
    def has_archive(self) -> bool:
        return self._is_complete and self.problem is None

    def keep(self, actor: Actor) -> DatasetArchive:
        """Keep the archive that has arrived. Raises as ``IncomingArchive`` does."""
        assert self._incoming is not None
        return self._incoming.keep(actor, self._name)

    def discard(self) -> None:
        """Leave nothing of what was not kept."""
        if self._incoming is not None:
            self._incoming.discard()

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: str, encoding: str | None = None
    ) -> None:
        """Take note of how long the whole is."""
        del input_data, META, boundary, encoding
        self._length = content_length

    def new_file(self, field_name: str, file_name: str, *arguments: Any, **options: Any) -> None:
        """Begin the archive or a text; skip anything else."""
        super().new_file(field_name, file_name, *arguments, **options)
        if field_name in self._text_fields:
            self.texts[field_name] = b""
        elif field_name == self._archive_field and self._incoming is None:
            self._name = file_name
            self._incoming = IncomingArchive()
            self._try(lambda: require_room(self._length - FORM_BYTES))
        else:
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:  # noqa: ARG002
        """Take the next bytes of the file that was begun."""
        if self.field_name in self._text_fields:
            self.texts[self.field_name] += raw_data
            if len(self.texts[self.field_name]) > MAX_CONFIG_BYTES:
                self.problem = InvalidField(
                    self.field_name, f"This file is larger than {MAX_CONFIG_BYTES // 1024} KiB."
                )
                raise StopUpload(connection_reset=True)
            return
        assert self._incoming is not None
        incoming = self._incoming
        self._try(lambda: incoming.write(raw_data))

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002
        """Nothing becomes of it here: whoever reads the form decides."""
        if self.field_name == self._archive_field:
            self._is_complete = True

    def _try(self, step: Any) -> None:
        try:
            step()
        except REFUSALS as error:
            self.problem = error
            # The rest is not read: the answer need not wait for it.
            raise StopUpload(connection_reset=True) from error


def read_raw_archive(request: HttpRequest, incoming: IncomingArchive, length: int) -> None:
    """Take a request's whole body for an archive. Raises as ``IncomingArchive`` does, and ``UnreadablePostError``."""
    require_room(length)
    while chunk := request.read(CHUNK_BYTES):
        incoming.write(chunk)
    if incoming.size_bytes != length:
        raise UnreadablePostError("the body is shorter than was announced")


def content_length(request: HttpRequest) -> int:
    """The announced length of a request's body; 0 if there is none."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    return int(announced) if announced.isdecimal() and len(announced) <= len(str(MAX_ARCHIVE_BYTES)) + 6 else 0
