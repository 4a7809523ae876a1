"""Many clients at once, in one thread: as little as possible beside what is measured."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.results import percentile


@dataclass
class Answers:
    """What a load got: the seconds of each good answer, and how many were not good."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    duration: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.duration if self.duration else 0.0

    def milliseconds(self, share: float) -> float:
        return 1000 * percentile(self.seconds, share)


class Client:
    """One connection that is kept open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, path: str, *, method: str = "GET", body: bytes = b"", headers: str = "") -> int:
        """Send a request and read its answer to the end; returns the status."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{length}{headers}\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
        if b"content-length" in fields:
            await self._reader.readexactly(int(fields[b"content-length"]))
        elif fields.get(b"transfer-encoding") == b"chunked":
            while size := int(await self._reader.readline(), 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readline()
        if fields.get(b"connection") == b"close":
            self.close()
        return int(lines[0].split()[1])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def load(url: str, path: Callable[[int], str], *, clients: int, seconds: float) -> Answers:
    """Let so many clients ask again and again, each as soon as it has its answer, for the ``path`` of its number."""
    answers = Answers()
    deadline = time.perf_counter() + seconds

    async def ask(number: int) -> None:
        client = Client(url)
        while time.perf_counter() < deadline:
            await timed(client, path(number), answers)
        client.close()

    started = time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(clients)))
    answers.duration = time.perf_counter() - started
    return answers


async def timed(client: Client, path: str, answers: Answers, *, method: str = "GET") -> None:
    """Ask once and note how long it took."""
    started = time.perf_counter()
    try:
        status = await client.request(path, method=method)
    except (OSError, asyncio.IncompleteReadError):
        client.close()
        answers.failures += 1
        return
    if status == 200:
        answers.seconds.append(time.perf_counter() - started)
    else:
        answers.failures += 1
