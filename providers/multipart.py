"""A file as a form, read piece by piece: no archive has to fit into memory."""

import re
import secrets
import time
from collections.abc import Iterator
from typing import BinaryIO

from providers.errors import ProviderRejected, ProviderTimeout
from providers.launch import OnProgress

UNSAFE_IN_NAME = re.compile(r'[\x00-\x1f\x7f"\\]')
PIECE_BYTES = 64 * 1024


class FileForm:
    """The body of a ``multipart/form-data`` request with one file in the field ``content``.

    Reading it goes on until ``seconds`` are over, and raises ``ProviderTimeout`` then: a line that is only just alive
    would keep it for ever. Raises ``ProviderRejected`` if the file cannot be read to its end.
    """

    def __init__(self, file: BinaryIO, *, name: str, size: int, seconds: float, on_progress: OnProgress) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        shown = UNSAFE_IN_NAME.sub("_", name) or "file"
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{shown}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file, self._size, self._left = file, size, size
        self._deadline = time.monotonic() + seconds
        self._on_progress = on_progress

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(PIECE_BYTES):
            yield piece

    def read(self, amount: int = PIECE_BYTES) -> bytes:
        """The next piece; never more of the file than its size, which the request has announced."""
        if time.monotonic() > self._deadline:
            raise ProviderTimeout("The file was not sent in time.")
        if self._head:
            piece, self._head = self._head[:amount], self._head[amount:]
        elif self._left:
            piece = self._read_file(min(amount, self._left))
            self._left -= len(piece)
            self._on_progress(self._size - self._left)
        else:
            piece, self._tail = self._tail[:amount], self._tail[amount:]
        return piece

    def _read_file(self, amount: int) -> bytes:
        try:
            piece = self._file.read(amount)
        except OSError as error:
            raise ProviderRejected(f"The file cannot be read here ({type(error).__name__}).") from error
        if not piece:
            raise ProviderRejected("The file became shorter while it was sent.")
        return piece
