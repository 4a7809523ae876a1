"""The product as ``manage.py up`` runs it, the sandbox beside it, and the hands that hurt its processes and database.

The sandbox is a process of ours and not of ``up``: it is the truth that the product is held against, so it stays.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
import requests

from simpletuner_cloud.embedded_redis import free_port
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
SQLITE, POSTGRESQL = "sqlite", "postgresql"
DATABASES = (SQLITE, POSTGRESQL)

TOKEN = "chaos-token-not-a-secret"
POLL_SECONDS = 5.0
RECONCILE_SECONDS = 10.0
STREAMS_PER_ADDRESS = 8
START_SECONDS = 120.0
STOP_SECONDS = 20.0

STARTED = re.compile(r'event="process started".* child=(?P<child>\w+) pid=(?P<pid>\d+)')
SANDBOX_READY = re.compile(r"sandbox ready at (\S+)/v1")
# What would lead the product to other servers than ours, or away from its defaults.
FOREIGN_VARIABLES = ("REDIS_URL", "DATABASE_URL", "REPLICATE_API_TOKEN", "TEST_DATABASE")
FOREIGN_PREFIXES = ("SIMPLETUNER_", "SANDBOX_")

Row = tuple[Any, ...]


class NotRunning(Exception):
    """A part did not come up in time; the text says where its log is."""


@dataclass(frozen=True)
class Start:
    """One start of a process: who, and its process id."""

    child: str
    pid: int


class Database:
    """The product's database seen from outside, with the hands of an operator."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind = kind
        self._file = home / "sandbox" / "db.sqlite3"
        self.url = servers.new_postgresql_database("chaos") if kind == POSTGRESQL else ""

    def rows(self, query: str) -> Sequence[Row]:
        """The answer to a query that both databases understand."""
        if self.kind == POSTGRESQL:
            with psycopg.connect(self.url) as connection:
                return connection.execute(query.encode()).fetchall()
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=30)) as file:
            return file.execute(query).fetchall()

    def trouble(self, seconds: float) -> None:
        """Cut every connection (PostgreSQL), or hold the write lock for so long (SQLite)."""
        if self.kind == POSTGRESQL:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            return
        with closing(sqlite3.connect(self._file, timeout=30, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            file.execute("ROLLBACK")


class Sandbox:
    """The provider: a process of its own, reached over HTTP as the product reaches it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._log = folder / "sandbox.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "providers.sandbox", "--port", "0", "--population", "none"),
                    *("--token", TOKEN, "--speed", "1", "--seed", str(seed)),
                ],
                cwd=ROOT,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._wait_for_url()

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A call of the control API (docs/sandbox.md)."""
        return self._json(requests.request(method, f"{self.url}/_sandbox{path}", json=body, timeout=20))

    def get(self, path: str) -> Any:
        """What Replicate would answer."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return self._json(requests.get(f"{self.url}{path}", headers=headers, timeout=20))

    def stop(self) -> None:
        end(self._process)

    @staticmethod
    def _json(answer: requests.Response) -> Any:
        answer.raise_for_status()
        return answer.json()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := SANDBOX_READY.search(self._log.read_text(errors="replace")):
                return found[1]
            time.sleep(0.05)
        raise NotRunning(f"The sandbox did not start: {self._log}")


class Product:
    """``manage.py up`` with everything that it starts. All its output is in one file, over all its restarts."""

    def __init__(self, folder: Path, *, sandbox_url: str, database: Database, home: Path) -> None:
        self.log_file = folder / "product.log"
        self.home = home
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._environment = clean_environment() | {
            "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
            "SIMPLETUNER_CLOUD_HOME": str(home),
            "SIMPLETUNER_PORT": str(self._port),
            "SIMPLETUNER_JOB_POLL_INTERVAL": f"{POLL_SECONDS:g}",
            "SIMPLETUNER_RECONCILE_INTERVAL": f"{RECONCILE_SECONDS:g}",
            "SIMPLETUNER_SSE_MAX_PER_IP": str(STREAMS_PER_ADDRESS),
            "SIMPLETUNER_SANDBOX_URL": sandbox_url,
            "SIMPLETUNER_SANDBOX_TOKEN": TOKEN,
            "SIMPLETUNER_ENTERPRISE_CONFIG": str(home / "none.yaml"),
        }
        if database.url:
            self._environment["DATABASE_URL"] = database.url
        self._process: subprocess.Popen[bytes] | None = None
        self._starts: dict[str, Start] = {}
        self._read_up_to = 0
        self._reading = threading.Lock()
        self.log_file.touch()

    def start(self) -> None:
        """Start everything, and return when requests are answered."""
        with self._reading:
            self._starts = {}
            self._read_up_to = self.log_file.stat().st_size
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/api/cloud/health/ready", timeout=2).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise NotRunning(f"The product did not come up: {self.log_file}")

    def end(self, *, is_killed: bool) -> int:
        """End everything, politely or not; returns the exit code."""
        if self._process is None:
            return 0
        if is_killed:
            self._process.kill()
        code = end(self._process)
        self._process = None
        return code

    def lines(self) -> list[str]:
        """Everything that any of its processes ever said."""
        return self.log_file.read_text(errors="replace").splitlines()

    def newest(self, child: str) -> Start | None:
        """The start of the process that now plays this part, since ``up`` itself was started last."""
        with self._reading:
            with self.log_file.open("rb") as log:
                log.seek(self._read_up_to)
                whole_lines = log.read().rpartition(b"\n")[0]
            self._read_up_to += len(whole_lines)
            for match in STARTED.finditer(whole_lines.decode(errors="replace")):
                self._starts[match["child"]] = Start(match["child"], int(match["pid"]))
            return self._starts.get(child)

    def signal(self, child: str, number: signal.Signals, *, start: Start | None = None) -> Start | None:
        """Send a signal to the process that now plays this part (to that of ``start``, if it still does)."""
        running = self.newest(child)
        if running is None or (start is not None and running != start):
            return None
        try:
            os.kill(running.pid, number)
        except ProcessLookupError:
            return None
        return running

    def redis(self) -> redis.Redis:
        """A client of the embedded Redis."""
        url = (self.home / "sandbox" / "redis" / "url").read_text().strip()
        return redis.Redis.from_url(url, decode_responses=True, socket_timeout=5)


@dataclass(frozen=True)
class System:
    """Everything that a run needs. ``folder`` holds it all: the home directory and the logs."""

    folder: Path
    sandbox: Sandbox
    database: Database
    product: Product

    @property
    def webhook_url(self) -> str:
        return f"{self.product.url}/api/webhooks/replicate"


@contextmanager
def running_system(folder: Path, *, database: str, seed: int) -> Iterator[System]:
    """Bring up sandbox, database and product; all of them have ended when this returns."""
    home = folder / "home"
    home.mkdir(parents=True)
    sandbox = Sandbox(folder, seed)
    try:
        store = Database(database, home)
        product = Product(folder, sandbox_url=sandbox.url, database=store, home=home)
        try:
            product.start()
            yield System(folder, sandbox, store, product)
        finally:
            product.end(is_killed=False)
    finally:
        sandbox.stop()


def clean_environment() -> dict[str, str]:
    """Our environment without what would change the product's ways."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in FOREIGN_VARIABLES and not name.startswith(FOREIGN_PREFIXES)
    }


def end(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end, and insist after a while."""
    process.terminate()
    try:
        return process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
