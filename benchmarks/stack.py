"""Everything that is measured, started for it alone: sandbox, Redis, database and one web process."""

import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import LATENCY_SECONDS, Sandbox
from simpletuner_cloud.embedded_redis import free_port
from tests import servers

FOREIGN = ("REPLICATE_API_TOKEN", "DATABASE_URL", "TEST_DATABASE")


@dataclass
class Stack:
    """What runs. ``web_pid``: the web process. ``sandbox`` is a fresh account for each case (``new_account``)."""

    url: str
    web_pid: int
    sandbox: Sandbox
    latency_seconds: float
    database: str

    def new_account(self, population: str = "none") -> Sandbox:
        """Put an account without a past in the place of the last one, and empty the store."""
        self.sandbox.stop()
        self.sandbox = Sandbox(population, latency=self.latency_seconds, port=self.sandbox.port)
        empty_store()
        return self.sandbox


@contextmanager
def running(database: str, *, latency_seconds: float = LATENCY_SECONDS) -> Iterator[Stack]:
    """Start it all, and set Django up in this process for the same store. Once in a process."""
    sandbox = Sandbox("none", latency=latency_seconds)
    with tempfile.TemporaryDirectory(prefix="simpletuner-bench-") as home:
        port = free_port()
        for name in FOREIGN:
            os.environ.pop(name, None)
        os.environ |= {
            "SIMPLETUNER_CLOUD_HOME": home,
            "SIMPLETUNER_ENTERPRISE_CONFIG": f"{home}/none.yaml",
            "SIMPLETUNER_PORT": str(port),
            "SIMPLETUNER_SANDBOX_URL": sandbox.url,
            "SIMPLETUNER_SSE_MAX_PER_IP": "10000",
            "SIMPLETUNER_PROVIDER_CALLS_PER_MINUTE": "600000",
            "SIMPLETUNER_LOG_LEVEL": "ERROR",
            "REDIS_URL": servers.redis_url(),
            "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
        }
        if database == "postgresql":
            os.environ["DATABASE_URL"] = servers.new_postgresql_database("bench")
        _prepare()
        web = subprocess.Popen([sys.executable, "-m", "simpletuner_cloud.web"])
        url = f"http://127.0.0.1:{port}"
        stack = Stack(url, web.pid, sandbox, latency_seconds, database)
        try:
            _wait_for(url)
            yield stack
        finally:
            web.terminate()
            web.wait()
            stack.sandbox.stop()


def empty_store() -> None:
    """Delete every job with what is its, quickly."""
    from jobs.models import JobLog, JobTally, QueueEntry, StatusChange, UnifiedJob, WebhookDelivery

    # The tally last: deleting jobs writes to it.
    for model in (StatusChange, JobLog, QueueEntry, WebhookDelivery, UnifiedJob, JobTally):
        rows = model._default_manager.all()
        rows._raw_delete(rows.db)


def fill_store(count: int) -> None:
    """Put so many jobs into the store, whose ages, names and states differ, in one statement."""
    from django.db import connection

    from jobs.models import UnifiedJob
    from jobs.services import job_counts

    empty_store()
    if count == 0:
        return
    UnifiedJob.objects.create(job_id="bench0", provider="replicate", external_id="bench0", status="completed")
    names = [str(field.column) for field in UnifiedJob._meta.concrete_fields if field.column != "id"]
    numbered = {
        "job_id": "'bench' || n",
        "external_id": "'bench' || n",
        "config_name": "'training ' || n",
        "status": "CASE n % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'completed' END",
        "created_at": (
            "created_at - n * INTERVAL '7 seconds'"
            if connection.vendor == "postgresql"
            else "strftime('%Y-%m-%d %H:%M:%f', created_at, '-' || (n * 7) || ' seconds')"
        ),
    }
    values = ", ".join(numbered.get(name, f'"{name}"') for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    numbers = (
        f"generate_series(1, {count - 1}) AS numbers(n)"
        if connection.vendor == "postgresql"
        else f"(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count - 1})"
        " SELECT n FROM numbers) AS numbers"
    )
    with connection.cursor() as cursor:
        if count > 1:
            cursor.execute(
                f"INSERT INTO jobs_unifiedjob ({columns}) SELECT {values} FROM jobs_unifiedjob, {numbers}"
                " WHERE job_id = 'bench0'"
            )
        # As the worker does every few seconds.
        job_counts.make_compact()
        cursor.execute("ANALYZE")


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    return _megabytes(Path(f"/proc/{pid}/status"), "VmRSS:")


def proportional_mb(pid: int) -> float:
    """Resident memory of a process, where it counts of what it shares with others only its part."""
    return _megabytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _megabytes(path: Path, name: str) -> float:
    return int(next(line for line in path.read_text().splitlines() if line.startswith(name)).split()[1]) / 1024


def _prepare() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    # Pages name their files by what is in them.
    call_command("collectstatic", verbosity=0, interactive=False)


def _wait_for(url: str) -> None:
    from benchmarks.streams import wait_for

    wait_for(lambda: urllib.request.urlopen(f"{url}/api/cloud/health/live", timeout=5).close())
