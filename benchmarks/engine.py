"""What syncing costs at a provider that takes 50 ms to answer: ``python -m benchmarks.engine``.

Starts the sandbox as a process of its own and an empty SQLite store in a temporary folder, and prints for each case the
seconds, the provider calls and the database queries. Seconds vary with the machine; calls and queries do not.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import requests

LATENCY_SECONDS = 0.05
READY = re.compile(r"sandbox ready at (http://[^/]+)/v1")
RUNNING: dict[str, object] = {"kind": "training", "created_offset": -600, "durations": {"queue": 5, "train": 900_000}}
ENDED: dict[str, object] = {"kind": "training", "created_offset": -90_000, "durations": {"queue": 5, "train": 60}}


class Sandbox:
    """A sandbox process with an account of its own."""

    def __init__(self, population: str, *, latency: float = LATENCY_SECONDS, port: int = 0) -> None:
        command = [sys.executable, "-m", "providers.sandbox", "--port", str(port), "--speed", "1"]
        self._process = subprocess.Popen(
            [*command, "--population", population, "--latency", str(latency)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        match = READY.search(self._process.stdout.readline())
        assert match, "the sandbox did not start"
        self.url = match[1]
        self.port = int(self.url.rpartition(":")[2])

    def add_running(self, count: int, **plan: object) -> None:
        self.add(count, RUNNING | plan)

    def add(self, count: int, plan: dict[str, object]) -> None:
        with requests.Session() as session:
            for _ in range(count):
                session.post(f"{self.url}/_sandbox/jobs", json=plan, timeout=10).raise_for_status()

    def calls(self) -> int:
        """Calls since the last look."""
        total: int = requests.get(f"{self.url}/_sandbox/requests", timeout=10).json()["total"]
        requests.delete(f"{self.url}/_sandbox/requests", timeout=10)
        return total

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


@contextmanager
def sandbox(population: str = "none") -> Iterator[Sandbox]:
    """A sandbox, wired as the provider."""
    from django.conf import settings

    from providers import registry

    running = Sandbox(population)
    settings.PROVIDERS["replicate"]["base_url"] = running.url
    registry.forget_providers()
    try:
        yield running
    finally:
        running.stop()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took."""

    seconds: float
    calls: int
    queries: int


def cost_of(provider: Sandbox, work: Callable[[], object]) -> Cost:
    """Do the work once and tell what it took."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    provider.calls()
    with CaptureQueriesContext(connection) as queries:
        started = time.perf_counter()
        work()
        seconds = time.perf_counter() - started
    return Cost(seconds, provider.calls(), len(queries))


def measured(name: str, provider: Sandbox, work: Callable[[], object]) -> None:
    """Do the work once and print what it cost."""
    cost = cost_of(provider, work)
    print(f"{name:52s} {cost.seconds:8.3f} {cost.calls:6d} {cost.queries:8d}", flush=True)


def fill_store(count: int) -> None:
    """Put ended jobs of another account into the store."""
    from jobs.models import UnifiedJob

    for start in range(0, count, 1000):
        UnifiedJob.objects.bulk_create(
            UnifiedJob(job_id=f"old{n}", provider="replicate", external_id=f"old{n}", status="completed")
            for n in range(start, min(start + 1000, count))
        )


def empty_store() -> None:
    from jobs.models import UnifiedJob

    UnifiedJob.objects.all().delete()


def main() -> None:
    """Run every case."""
    with tempfile.TemporaryDirectory(prefix="simpletuner-bench-") as home:
        os.environ |= {
            "SIMPLETUNER_CLOUD_HOME": home,
            "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
            # Nobody is there: locks are then the process's own, and what is measured is the engine alone.
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "SIMPLETUNER_LOG_LEVEL": "ERROR",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        run_cases()


def run_cases() -> None:
    """Print one line for each case."""
    from jobs.lifecycle import Source
    from jobs.services import sync

    print(f"{'provider latency 50 ms':52s} {'seconds':>8s} {'calls':>6s} {'queries':>8s}")
    for known in (0, 10_000, 100_000):
        empty_store()
        fill_store(known)
        with sandbox("100") as provider:
            measured(f"sync, 100 new into a store of {known:,}", provider, lambda: sync.discover_jobs("replicate"))
            measured(f"sync, 100 known in a store of {known:,}", provider, lambda: sync.discover_jobs("replicate"))
    for active in (10, 50, 100, 500, 1000, 5000):
        empty_store()
        with sandbox() as provider:
            provider.add_running(active)
            bring_in(active)
            measured(
                f"refresh of {active:,} active jobs",
                provider,
                lambda: sync.refresh_active_jobs(source=Source.POLLER),
            )
    empty_store()
    with sandbox() as provider:
        provider.add_running(500)
        provider.add_running(500, kind="prediction")
        bring_in(1000)
        measured("refresh of 1,000 in both lists", provider, lambda: sync.refresh_active_jobs(source=Source.POLLER))
        provider.add(9000, ENDED)
        measured("the same, 10,000 being listed", provider, lambda: sync.refresh_active_jobs(source=Source.POLLER))
    empty_store()
    with sandbox() as provider:
        provider.add_running(900)
        provider.add(1000, ENDED)
        provider.add_running(100, created_offset=-180_000)
        bring_in(2000)
        measured(
            "1,000, a hundred of them behind 1,000 that ended",
            provider,
            lambda: sync.refresh_active_jobs(source=Source.POLLER),
        )


def bring_in(count: int) -> None:
    """Bring the account's jobs into the store, however many they are."""
    from jobs.lifecycle import Source
    from jobs.services.snapshots import apply_snapshots
    from providers import registry

    listing = registry.get_provider("replicate").list_recent(limit=count)
    apply_snapshots(listing.snapshots, source=Source.SYNC, create=True)


if __name__ == "__main__":
    main()
