"""A reader of event streams, as a browser would be one."""

import http.client
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

WAIT_SECONDS = 15.0


class StreamListener:
    """Reads ``/api/events`` in a thread and keeps what it got: ``message`` events and their ids, and the rest apart."""

    def __init__(self, base_url: str, *, headers: dict[str, str] | None = None, query: str = "") -> None:
        self.events: list[dict[str, Any]] = []
        self.ids: list[int] = []
        self.keep_alives: list[float] = []
        # What a browser would send back as Last-Event-ID.
        self.cursor: int | None = None
        self._kind, self._data = "message", ""
        self.is_over = threading.Event()
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc)
        self._connection.request("GET", f"/api/events{query}", headers=headers or {})
        # Kept: http.client forgets its socket when an answer without a length begins.
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._opened.wait(WAIT_SECONDS), "the stream did not open"

    def _read(self) -> None:
        try:
            while line := self._response.readline():
                self._take(line.decode().rstrip("\n"))
        except (OSError, ValueError, http.client.HTTPException):
            # Closed from either side: what was read so far is what counts.
            self.is_over.set()
        finally:
            self.is_over.set()
            self._opened.set()

    def _take(self, line: str) -> None:
        if line.startswith("id: "):
            self.cursor = int(line[4:])
        elif line.startswith("event: "):
            self._kind = line[7:]
        elif line.startswith("data: "):
            self._data += line[6:]
        elif line.startswith(":"):
            self._opened.set()
        elif not line:
            self._dispatch()

    def _dispatch(self) -> None:
        kind, data, self._kind, self._data = self._kind, self._data, "message", ""
        if data and kind == "keep-alive":
            self.keep_alives.append(time.monotonic())
        elif data and kind == "message":
            assert self.cursor is not None, "an event without an id"
            self.ids.append(self.cursor)
            self.events.append(json.loads(data))

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The events, once there are ``count`` of them."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.events) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.events

    def close(self) -> None:
        """Go away, as a closed tab does."""
        if not self.is_over.is_set():
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=WAIT_SECONDS)
        self._connection.close()
