"""One reader of a stream and what waits for it."""

import asyncio

from jobs.access import VIEW_ALL
from jobs.stream.readers import UNCHECKED, Reader

# What may wait for a reader beside what its connection holds: some 4,000 events. The bytes are shared by all readers.
QUEUE_BYTES = 1024**2
# At least this much is handed on at once if it waits: a burst costs few writes.
CHUNK_BYTES = 16 * 1024


class Listener:
    """A bounded queue of frames, and a flag that cuts the reader off when it does not keep up.

    ``after_id``: the newest event that happened before; ``None`` if the history could not be read yet. ``reader``: who
    reads, and what is kept from everybody else.
    """

    def __init__(self, after_id: int | None, reader: Reader = UNCHECKED) -> None:
        self.after_id = after_id
        self.reader = reader
        self.sees_all = reader.actor.can(VIEW_ALL)
        self.is_cut = asyncio.Event()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._has_frames = asyncio.Event()

    def offer(self, data: bytes) -> None:
        """Queue frames. A full queue cuts the listener off: it comes back and is replayed what it missed."""
        if self.is_cut.is_set():
            return
        if self._waiting_bytes + len(data) > QUEUE_BYTES:
            self.cut()
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._has_frames.set()

    def cut(self) -> None:
        """End this listener; what waits is dropped."""
        self.is_cut.set()
        self._waiting = []
        self._waiting_bytes = 0

    async def take(self) -> bytes:
        """The next frames, in their order; waits for them."""
        await self._has_frames.wait()
        size = count = 0
        while count < len(self._waiting) and size < CHUNK_BYTES:
            size += len(self._waiting[count])
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= size
        if not self._waiting:
            self._has_frames.clear()
        return b"".join(taken)
