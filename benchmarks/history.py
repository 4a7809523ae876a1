"""How fast a walk through a provider's history is: ``python -m benchmarks.history [jobs]``.

Starts the sandbox as a process of its own, with 50 ms of latency, and an empty SQLite store in a temporary folder, and
walks through the account twice: into the empty store, and again when every job is known. A reader of the status history
stands by as the event hub of a web process does, and counts the events and their bytes. The pause that beat makes
between ticks is left out of the seconds and told apart.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.engine import LATENCY_SECONDS, Sandbox

DEFAULT_JOBS = 50_000


def main() -> None:
    """Walk through an account of so many jobs."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_JOBS
    with tempfile.TemporaryDirectory(prefix="simpletuner-bench-") as home:
        os.environ |= {
            "SIMPLETUNER_CLOUD_HOME": home,
            "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
            "SIMPLETUNER_LOG_LEVEL": "ERROR",
        }
        from tests.servers import redis_url

        os.environ["REDIS_URL"] = redis_url()
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from providers import registry

        call_command("migrate", verbosity=0)
        provider = Sandbox(str(jobs))
        settings.PROVIDERS["replicate"]["base_url"] = provider.url
        registry.forget_providers()
        try:
            walk(f"{jobs:,} jobs into an empty store", provider)
            walk(f"{jobs:,} known jobs", provider)
        finally:
            provider.stop()


def walk(name: str, provider: Sandbox) -> None:
    """Walk once and print what it cost."""
    from django.db import connection

    from jobs.services import history, history_walk
    from jobs.stream.frames import frame

    provider.calls()
    before = history.latest_id()
    history_walk.start("replicate")
    seconds, ticks, queries = 0.0, 0, 0

    def count(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    while (found := history_walk.latest("replicate")) is not None and found.state == "running":
        started = time.perf_counter()
        with connection.execute_wrapper(count):
            history_walk.advance()
        seconds += time.perf_counter() - started
        ticks += 1
    assert found is not None
    sizes: list[int] = []
    while events := history.events_after(before, limit=1000):
        sizes.extend(len(frame(event)) for event in events)
        before = events[-1].id
    facts = {
        "jobs read": f"{found.seen:,}",
        "new": f"{found.found:,}",
        "seconds of work": f"{seconds:.1f}",
        "jobs a second of work": f"{found.seen / seconds:,.0f}",
        "ticks": ticks,
        "pages": found.pages,
        "provider calls": provider.calls(),
        "queries a page": f"{queries / max(found.pages, 1):.1f}",
        "events": f"{len(sizes):,}",
        "MB of events": f"{sum(sizes) / 1e6:.1f}",
        "MB resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(f"{name}, provider latency {LATENCY_SECONDS * 1000:.0f} ms")
    for label, value in facts.items():
        print(f"  {label:24s} {value:>10}", flush=True)


if __name__ == "__main__":
    main()
