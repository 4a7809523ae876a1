"""What many event streams cost one web process: ``python -m benchmarks.streams [readers]``.

Starts a Redis and a web process of its own on an empty SQLite store in a temporary folder. The readers, the writer and
the server share the machine, so that the latencies are upper bounds.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import redis

from simpletuner_cloud.embedded_redis import find_server, free_port

READERS = 1000
SINGLE_EVENTS, SINGLE_PAUSE_SECONDS = 50, 0.2
BURST_EVENTS = 500
# To Redis and the database, opened meanwhile and kept for the next reader: 7 or 8, of 100 readers as of 2,000.
KEPT_CONNECTIONS = 10
CHANGE = b'data: {"type":"job_status_changed"'
START_SECONDS, WAIT_SECONDS, LEAVE_SECONDS = 30.0, 60.0, 10.0


class Reader:
    """One stream. What arrives is kept with its time and looked at afterwards: the readers must not be what is slow."""

    def __init__(self) -> None:
        self.heard = 0
        self.ids: list[int] = []
        self._pieces: list[tuple[float, bytes]] = []

    async def open(self, port: int) -> None:
        """Connect, and return when the stream has begun."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._writer.write(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        while b": connected" not in (line := await self._reader.readline()):
            if not line or b" 429 " in line:
                raise RuntimeError("the stream was refused")

    async def read(self) -> None:
        """Take what comes until cancelled."""
        tail = b""
        while data := await self._reader.read(65536):
            self._pieces.append((time.time(), data))
            self.heard += (tail + data).count(CHANGE)
            # Too short to be counted twice.
            tail = data[-len(CHANGE) + 1 :]

    def close(self) -> None:
        self._writer.close()

    def lags(self) -> list[float]:
        """How late each event came, in seconds, since this was asked last."""
        lags = []
        rest = b""
        for arrived, data in self._pieces:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.startswith(b"id: "):
                    self.ids.append(int(line[4:]))
                elif line.startswith(CHANGE):
                    at = datetime.fromisoformat(orjson.loads(line[6:])["at"])
                    lags.append(arrived - at.timestamp())
        self._pieces.clear()
        return lags


@contextmanager
def servers() -> Iterator[tuple[int, int]]:
    """Redis and the web process; yields the web's port and process id."""
    with tempfile.TemporaryDirectory() as home:
        redis_port, port = free_port(), free_port()
        os.environ |= {
            "SIMPLETUNER_CLOUD_HOME": home,
            "SIMPLETUNER_ENTERPRISE_CONFIG": f"{home}/none.yaml",
            "SIMPLETUNER_PORT": str(port),
            "SIMPLETUNER_SSE_MAX_PER_IP": "10000",
            "SIMPLETUNER_LOG_LEVEL": "ERROR",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
        }
        for name in ("REPLICATE_API_TOKEN", "DATABASE_URL"):
            os.environ.pop(name, None)
        store = subprocess.Popen([find_server(), "--port", str(redis_port), "--save", ""], stdout=subprocess.DEVNULL)
        web = None
        try:
            prepare(redis_port)
            web = subprocess.Popen([sys.executable, "-m", "simpletuner_cloud.web"])
            yield port, web.pid
        finally:
            for process in (web, store):
                if process is not None:
                    process.terminate()
                    process.wait()


def prepare(redis_port: int) -> None:
    """Wait for Redis, and make the tables."""
    import django
    from django.core.management import call_command

    wait_for(lambda: redis.Redis(port=redis_port).ping())
    django.setup()
    call_command("migrate", verbosity=0)


def wait_for(attempt: Callable[[], object]) -> None:
    """Try until it does not raise."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            attempt()
        except (redis.ConnectionError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def make_changes(numbers: range) -> None:
    """Discover jobs, all in one batch: one event for each."""
    from jobs.lifecycle import Source
    from jobs.services.snapshots import apply_snapshots
    from providers.snapshots import JobSnapshot, RemoteStatus

    apply_snapshots(
        [
            JobSnapshot(
                provider="replicate",
                external_id=f"bench{number:06d}",
                status=RemoteStatus.RUNNING,
                raw_status="processing",
                as_of=datetime.now(UTC),
                kind="training",
            )
            for number in numbers
        ],
        source=Source.SYNC,
        create=True,
    )


def status_of(process_id: int, name: str) -> int:
    """A number from /proc: ``Threads``, or ``VmRSS`` in kB."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def cpu_seconds(process_id: int) -> float:
    """What the process has used so far; does not depend on what else the machine does."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def heard(readers: list[Reader], count: int) -> None:
    """Wait until every reader has got so many events."""
    async with asyncio.timeout(WAIT_SECONDS):
        while any(reader.heard < count for reader in readers):
            await asyncio.sleep(0.02)


def lateness(readers: list[Reader]) -> tuple[float, float, float]:
    """How late the events came that were heard since the last time, in ms: p50, p99 and the latest."""
    lags = sorted(lag for reader in readers for lag in reader.lags())
    middle, most = (lags[int(len(lags) * share)] * 1000 for share in (0.5, 0.99))
    return middle, most, lags[-1] * 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """What so many readers cost; latencies are p50, p99 and the latest, in ms."""

    readers: int
    connected_seconds: float
    threads: int
    memory_mb: float
    kb_per_reader: float
    single: tuple[float, float, float]
    burst: tuple[float, float, float]
    burst_cpu_seconds: float
    whole: int
    threads_afterwards: int
    kb_per_reader_afterwards: float
    left_behind: int

    def to_text(self) -> str:
        single, burst = (
            f"p50 {middle:.0f} ms, p99 {most:.0f} ms, latest {latest:.0f} ms"
            for middle, most, latest in (self.single, self.burst)
        )
        return "\n".join(
            [
                f"{self.readers:,} readers connected in {self.connected_seconds:.1f} s",
                f"threads {self.threads}, memory {self.memory_mb:.0f} MB + {self.kb_per_reader:.1f} kB per reader",
                f"single events: {single}",
                f"burst: {burst}",
                f"the web process used {self.burst_cpu_seconds:.2f} s of one core for the burst",
                f"readers that got everything once and in order: {self.whole:,} of {self.readers:,}",
                f"afterwards: threads {self.threads_afterwards}, memory + {self.kb_per_reader_afterwards:.1f} kB each",
                f"open files left behind once all had gone: {self.left_behind}",
            ]
        )


async def run_cases(
    count: int, port: int, process_id: int, *, singles: int = SINGLE_EVENTS, burst: int = BURST_EVENTS
) -> Measured:
    """Connect the readers, make single events and a burst, and let all readers go."""
    files = open_files(process_id)
    memory = status_of(process_id, "VmRSS")
    readers = [Reader() for _ in range(count)]
    started = time.perf_counter()
    for start in range(0, count, 50):
        await asyncio.gather(*(reader.open(port) for reader in readers[start : start + 50]))
    connected_seconds = time.perf_counter() - started
    tasks = [asyncio.create_task(reader.read()) for reader in readers]
    grown, threads = status_of(process_id, "VmRSS") - memory, status_of(process_id, "Threads")
    for number in range(singles):
        await asyncio.to_thread(make_changes, range(number, number + 1))
        await asyncio.sleep(SINGLE_PAUSE_SECONDS)
    await heard(readers, singles)
    single_lateness = lateness(readers)
    used = cpu_seconds(process_id)
    await asyncio.to_thread(make_changes, range(singles, singles + burst))
    await heard(readers, singles + burst)
    used = cpu_seconds(process_id) - used
    burst_lateness = lateness(readers)
    whole = sum(reader.ids == readers[0].ids == sorted(set(reader.ids)) for reader in readers)
    grown_afterwards, threads_afterwards = status_of(process_id, "VmRSS") - memory, status_of(process_id, "Threads")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for reader in readers:
        reader.close()
    return Measured(
        readers=count,
        connected_seconds=connected_seconds,
        threads=threads,
        memory_mb=memory / 1024,
        kb_per_reader=grown / count,
        single=single_lateness,
        burst=burst_lateness,
        burst_cpu_seconds=used,
        whole=whole,
        threads_afterwards=threads_afterwards,
        kb_per_reader_afterwards=grown_afterwards / count,
        left_behind=await files_left(process_id, files),
    )


def open_files(process_id: int) -> int:
    """Sockets and files that a process has open."""
    return len(os.listdir(f"/proc/{process_id}/fd"))


async def files_left(process_id: int, before: int) -> int:
    """How many more it has open once the readers have gone."""
    deadline = time.monotonic() + LEAVE_SECONDS
    while (left := open_files(process_id) - before) > KEPT_CONNECTIONS and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return max(left, 0)


def main() -> None:
    """Measure with as many readers as the command line says."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else READERS
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with servers() as (port, process_id):
        address = f"http://127.0.0.1:{port}/api/cloud/health/live"
        wait_for(lambda: urllib.request.urlopen(address, timeout=5).close())
        print(asyncio.run(run_cases(count, port, process_id)).to_text())


if __name__ == "__main__":
    main()
