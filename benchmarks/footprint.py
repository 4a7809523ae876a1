"""``manage.py up`` on a fresh home: how long until it answers, and what it holds when it is idle."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.results import Result, at_most, told
from benchmarks.stack import proportional_mb, resident_mb
from simpletuner_cloud.embedded_redis import free_port

ROOT = Path(__file__).resolve().parents[1]
IDLE_SECONDS = 20.0
LONGEST_START_SECONDS = 120.0
FOREIGN = ("REPLICATE_API_TOKEN", "DATABASE_URL", "REDIS_URL", "SIMPLETUNER_SANDBOX_URL", "DJANGO_SETTINGS_MODULE")


def footprint() -> Iterator[Result]:
    """Start twice: on a fresh store, which is migrated first, and on the one that this leaves."""
    with tempfile.TemporaryDirectory(prefix="simpletuner-bench-") as home:
        for store in ("a fresh store", "a migrated store"):
            port = free_port()
            environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
            environment |= {"SIMPLETUNER_CLOUD_HOME": home, "SIMPLETUNER_PORT": str(port)}
            started = time.perf_counter()
            up = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
            )
            try:
                _wait_for_answer(f"http://127.0.0.1:{port}/api/cloud/health/live")
                yield at_most(f"first 200, {store}", time.perf_counter() - started, 5, unit=" s", digits=1)
                if store == "a migrated store":
                    time.sleep(IDLE_SECONDS)
                    family = _family(up.pid)
                    memory = sum(proportional_mb(pid) for pid in family)
                    yield at_most("idle memory of all processes", memory, 400, unit=" MB", digits=0)
                    counted_often = sum(resident_mb(pid) for pid in family)
                    yield told("the same, what they share counted for each", f"{counted_often:.0f} MB")
            finally:
                up.terminate()
                up.wait()


def _wait_for_answer(url: str) -> None:
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.02)
    raise RuntimeError("The product did not come up.")


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        rest += children.get(one, [])
    return found
