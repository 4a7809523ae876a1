"""Readers of ``/api/events`` that come back after every cut, as browsers do (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlsplit

from tests.chaos.verdict import EVENT, Heard

# Longer than the pause between two keep-alives.
SILENCE_SECONDS = 25.0
RECONNECT_SECONDS = 0.3


class Listener(threading.Thread):
    """Follows the stream from its very beginning, and keeps every event that it got in whole."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name=name, daemon=True)
        self.heard: list[Heard] = []
        self.connections = 0
        self.refusals = 0
        self.is_open = False
        self._netloc = urlsplit(url).netloc
        self._newest_id = "0"
        self._is_over = threading.Event()
        self._socket: socket.socket | None = None

    @property
    def newest_event(self) -> int:
        return int(self._newest_id)

    def run(self) -> None:
        while not self._is_over.is_set():
            # Cut at any moment and in any way: what was read so far is what counts.
            with suppress(OSError, http.client.HTTPException):
                self._follow()
            self.is_open = False
            self._is_over.wait(RECONNECT_SECONDS)

    def close(self) -> None:
        """Go away, as a closed tab does."""
        self._is_over.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self.join(timeout=SILENCE_SECONDS)

    def _follow(self) -> None:
        connection = http.client.HTTPConnection(self._netloc, timeout=SILENCE_SECONDS)
        try:
            connection.request("GET", "/api/events", headers={"Last-Event-ID": self._newest_id})
            self._socket = connection.sock
            answer = connection.getresponse()
            if answer.status != HTTPStatus.OK:
                self.refusals += 1
                # Its own pause would be half a minute; asking more often is ruder, and finds more.
                self._is_over.wait(1.0)
                return
            self.connections += 1
            self.is_open = True
            self._read(answer)
        finally:
            connection.close()

    def _read(self, answer: http.client.HTTPResponse) -> None:
        event_id, data = self._newest_id, list[str]()
        while line := answer.readline():
            if not line.endswith(b"\n"):
                return
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            if name == "id":
                event_id = value
            elif name == "data":
                data.append(value)
            elif not name and not value:
                # An event counts when its empty line has come; half of one is as if it had never been sent.
                self._newest_id = event_id
                if data:
                    self._take(int(event_id), json.loads("\n".join(data)))
                data = []

    def _take(self, event_id: int, body: dict[str, str | None]) -> None:
        told = {name: body.get(name) for name in ("job_id", "previous", "status")} if body["type"] == EVENT else {}
        self.heard.append(Heard(event_id, body["type"] or "", **told))
