"""Two machines in one: each has a web server, a worker and a beat; PostgreSQL, Redis and the provider are shared.

Work divides, nothing is done twice, and either machine may be lost without a word at any time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import redis
import requests
from django.db import connection

from simpletuner_cloud.embedded_redis import free_port
from simpletuner_cloud.roles import our_programs
from tests.chaos.listeners import Listener
from tests.chaos.system import POSTGRESQL, ROOT, TOKEN, Database, Sandbox, clean_environment
from tests.servers import RedisServer

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite is a file on one machine: two need PostgreSQL"
)

POLL_SECONDS = 5.0
WAIT_SECONDS = 60.0
JOBS = 30
RUNNING = {"kind": "training", "created_offset": -600, "durations": {"queue": 1, "train": 900_000}}
COMMANDS = {program.name: program.command for program in our_programs()}


class Node:
    """One machine. It shares no file with the other, only what the environment names."""

    def __init__(self, name: str, folder: Path, shared: dict[str, str]) -> None:
        self._log = folder / f"{name}.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = (
            clean_environment() | shared | {"SIMPLETUNER_CLOUD_HOME": str(folder / name), "SIMPLETUNER_PORT": str(port)}
        )
        self._processes: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Make the tables."""
        command = [sys.executable, "manage.py", "up", "--prepare-only"]
        subprocess.run(command, cwd=ROOT, env=self._environment, check=True, capture_output=True, timeout=WAIT_SECONDS)

    def start(self) -> None:
        """Start all three; returns at once."""
        with self._log.open("ab") as log:
            self._processes = [
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=self._environment | {"SIMPLETUNER_PROCESS": role},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
                for role, command in COMMANDS.items()
            ]

    def kill(self) -> None:
        """The power fails."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes = []

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/cloud/health/ready", timeout=2).ok
        except requests.RequestException:
            return False

    def has_worked(self, redis_url: str) -> bool:
        """Whether its worker has done a task: the time since its last one is then shorter than its life."""
        pid = dict(zip(COMMANDS, self._processes, strict=False))["worker"].pid
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            stored = client.hgetall("simpletuner:sandbox:heartbeats")
        facts = [json.loads(value.partition(" ")[2]) for field, value in stored.items() if f"worker:{pid}:" in field]
        return any(fact["idle"] < fact["running"] for fact in facts)

    def count(self, status: str) -> int:
        """How many jobs of a status its API tells of."""
        answer = requests.get(f"{self.url}/api/cloud/jobs?limit=1&status={status}", timeout=10)
        answer.raise_for_status()
        total: int = answer.json()["total"]
        return total

    def sync(self) -> int:
        answer = requests.post(f"{self.url}/api/cloud/jobs/sync", timeout=30)
        answer.raise_for_status()
        found: int = answer.json()["synced"]
        return found


@dataclass(frozen=True)
class Pair:
    """Both machines and what they share."""

    one: Node
    other: Node
    sandbox: Sandbox
    database: Database
    redis_url: str


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    database = Database(POSTGRESQL, tmp_path)
    server, sandbox = RedisServer(), Sandbox(tmp_path, seed=1)
    server.start()
    (tmp_path / "enterprise.yaml").write_text("background: {queue_processing: {interval_seconds: 1}}")
    shared = {
        "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
        "DATABASE_URL": database.url,
        "REDIS_URL": server.url,
        "SIMPLETUNER_SECRET_KEY": "the same on both machines, and long enough",
        "SIMPLETUNER_SANDBOX_URL": sandbox.url,
        "SIMPLETUNER_SANDBOX_TOKEN": TOKEN,
        "SIMPLETUNER_JOB_POLL_INTERVAL": f"{POLL_SECONDS:g}",
        "SIMPLETUNER_ENTERPRISE_CONFIG": str(tmp_path / "enterprise.yaml"),
    }
    nodes = [Node(name, tmp_path, shared) for name in ("one", "other")]
    try:
        nodes[0].prepare()
        for node in nodes:
            node.start()
        for node in nodes:
            wait_for(node.is_ready, "the web server answers")
        yield Pair(nodes[0], nodes[1], sandbox, database, server.url)
    finally:
        for node in nodes:
            node.kill()
        sandbox.stop()
        server.remove()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def complete(sandbox: Sandbox, job_ids: list[str]) -> None:
    now = datetime.now(UTC).isoformat()
    for job_id in job_ids:
        sandbox.control("PATCH", f"/jobs/{job_id}", {"status": "succeeded", "completed_at": now})


def ends_heard(listener: Listener) -> list[str | None]:
    return [heard.job_id for heard in listener.heard if heard.status == "completed"]


def test_two_machines_divide_the_work_do_nothing_twice_and_either_may_be_lost(pair: Pair) -> None:
    one, other, sandbox = pair.one, pair.other, pair.sandbox
    jobs = [sandbox.control("POST", "/jobs", RUNNING)["id"] for _ in range(JOBS)]
    first, second, third = jobs[:10], jobs[10:20], jobs[20:]
    listeners = [Listener(name, node.url) for name, node in (("one", one), ("other", other))]
    for listener in listeners:
        listener.start()
    wait_for(lambda: all(listener.is_open for listener in listeners), "both streams are open")

    # Both are asked to sync at once: each new job is found once in all.
    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(Node.sync, (one, other))) == JOBS
    complete(sandbox, first)
    wait_for(lambda: one.count("completed") == other.count("completed") == len(first), "both tell of the first ends")
    wait_for(lambda: all(len(ends_heard(each)) == len(first) for each in listeners), "both streams tell of them")
    wait_for(lambda: all(node.has_worked(pair.redis_url) for node in (one, other)), "both workers have done something")

    one.kill()
    complete(sandbox, second)
    wait_for(lambda: other.count("completed") == 20, "the other one goes on alone")
    wait_for(lambda: len(ends_heard(listeners[1])) == 20, "and its stream")

    one.start()
    wait_for(one.is_ready, "it is back")
    other.kill()
    complete(sandbox, third)
    wait_for(lambda: one.count("completed") == JOBS, "and goes on alone in its turn")
    wait_for(lambda: len(ends_heard(listeners[0])) == JOBS, "its reader is told what it missed meanwhile")
    for listener in listeners:
        listener.close()

    assert sorted(map(str, ends_heard(listeners[0]))) == sorted(jobs), "each end once"
    assert sorted(map(str, ends_heard(listeners[1]))) == sorted(first + second), "each end once"
    require_nothing_was_done_twice(pair)


def require_nothing_was_done_twice(pair: Pair) -> None:
    """By the status history, the poller's own record, and the provider's record of calls."""
    history = pair.database.rows("SELECT job_id, previous, status FROM jobs_statuschange ORDER BY id")
    assert len(history) == len(set(history))
    for job in {row[0] for row in history}:
        told = [(previous, status) for job_id, previous, status in history if job_id == job]
        assert told[0][0] is None
        assert [status for _, status in told[:-1]] == [previous for previous, _ in told[1:]]
    cycles = pair.database.rows("SELECT started_at, seconds FROM jobs_pollcycle ORDER BY started_at")
    gaps = [(later[0] - earlier[0]).total_seconds() for earlier, later in pairwise(cycles)]
    assert min(gaps) > POLL_SECONDS / 2, "one cycle within each period, however busy the machine is"
    calls = pair.sandbox.control("GET", "/requests")["counts"]
    # A list page for each cycle and for the one sync, and perhaps for a cycle that a kill cut off.
    assert calls["GET /v1/trainings"] <= len(cycles) + 1 + 2
    # Each end is looked at once, and its log read once.
    assert calls.get("GET /v1/trainings/{id}", 0) <= 2 * JOBS
