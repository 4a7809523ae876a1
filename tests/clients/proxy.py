"""Something between a client and the server that sees every request and can cut connections, as networks do."""

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HEAD = re.compile(rb"(GET|POST|DELETE|PUT) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Seen:
    """A request that passed through. ``headers``: by their names in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Proxy:
    """Passes bytes on until it is told to cut."""

    target: tuple[str, int]
    listener: socket.socket
    seen: list[Seen] = field(default_factory=list)
    is_shut: bool = False
    answers_to_lose: int = 0
    turned_away: int = 0
    answered: int = 0
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def cut(self) -> None:
        """Reset every connection that stands."""
        pairs, self._pairs = self._pairs, []
        for client, server in pairs:
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def count(self, method: str, path: str) -> int:
        return sum((request.method, request.path) == (method, path) for request in self.seen)

    def streams(self) -> list[Seen]:
        return [request for request in self.seen if request.path == "/api/events"]

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.is_shut:
                self.turned_away += 1
                client.close()
                continue
            server = socket.create_connection(self.target)
            self._pairs.append((client, server))
            for source, sink, look in ((client, server, self._look), (server, client, self._count)):
                threading.Thread(target=_pass_on, args=(source, sink, look), daemon=True).start()

    def _count(self, data: bytes) -> None:
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise ConnectionAbortedError
        self.answered += data.count(b"HTTP/1.1 200 ")

    def _look(self, data: bytes) -> None:
        for method, path, lines in HEAD.findall(data):
            pairs = (line.partition(":") for line in lines.decode("latin-1").split("\r\n"))
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            self.seen.append(Seen(method.decode(), path.decode(), headers))


def _pass_on(source: socket.socket, sink: socket.socket, look: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            look(data)
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_proxy(url: str) -> Iterator[Proxy]:
    """Run one in front of the server at ``url``."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy((str(parts.hostname), int(parts.port or 80)), listener)
        threading.Thread(target=proxy.serve, name="proxy", daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.cut()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something is so, and fail if it does not come about."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
