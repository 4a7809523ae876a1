"""A program that is kept running: its process, its restarts, and how to tell that it answers."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

# A killed process is to be back within five seconds each time, and needs up to two of them to start: what is left is
# pause enough for one that dies again and again.
LONGEST_DELAY_SECONDS = 2.5
STABLE_SECONDS = 10.0
PR_SET_PDEATHSIG = 1

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. A foundation is started before the others and stopped after them, because they need it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int | None = None
    health_path: str = ""
    is_foundation: bool = False
    log_file: str = ""

    def is_ready(self) -> bool:
        """Whether it listens and, if it has a health path, answers 200 there. One without a port is always ready."""
        if self.port is None:
            return True
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                if not self.health_path:
                    return True
                # http.client would bring TLS and mail parsing along, several megabytes for one status line.
                request = f"GET {self.health_path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nConnection: close\r\n\r\n"
                connection.sendall(request.encode())
                return connection.recv(16).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
        except OSError:
            return False


class Backoff:
    """How long to wait before the next restart: not at all at first, then 1, then 2, then 2.5 seconds each time."""

    def __init__(self) -> None:
        self._failures = 0

    def next_delay(self, ran_seconds: float) -> float:
        """Return the seconds to wait for a process that ended after ``ran_seconds``."""
        if ran_seconds >= STABLE_SECONDS:
            self._failures = 0
        delay = 2.0 ** (self._failures - 1) if self._failures else 0.0
        self._failures += 1
        return min(delay, LONGEST_DELAY_SECONDS)


class Child:
    """A program and the process that currently runs it, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.start_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._backoff = Backoff()

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start it in a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone."""
        self._started_at = time.monotonic()
        try:
            self._process = subprocess.Popen(
                self.program.command,
                env={**os.environ, **self.program.environment},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )
        except OSError as error:
            self.start_at = time.monotonic() + self._backoff.next_delay(0)
            logger.error("process cannot be started", child=self.program.name, error=str(error))
        else:
            logger.info("process started", child=self.program.name, pid=self._process.pid)

    def reap(self) -> int | None:
        """Return the exit code (minus the signal's number) if the process has ended, and plan its restart."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._kill_group()
        self._process = None
        self.start_at = time.monotonic() + self._backoff.next_delay(time.monotonic() - self._started_at)
        return code

    def terminate(self) -> None:
        """Ask the process to end. It is left to itself to tell its own children."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process and everything it started."""
        if self._process is not None:
            self._kill_group()
            self._process.wait()
            self._process = None

    def _kill_group(self) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # the usual case after an exit: nobody of the group is left
        except PermissionError as error:
            # macOS answers so for a group of nothing but zombies.
            logger.debug("process group cannot be killed", child=self.program.name, error=str(error))


def describe_ending(code: int | None) -> dict[str, object]:
    """Say how a process ended, in words for the log."""
    if code is None:
        return {}
    if code >= 0:
        return {"exit_code": code}
    # Real-time signals have no names of their own.
    return {"signal": {known.value: known.name for known in signal.Signals}.get(-code, str(-code))}


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a new process does first so that it cannot outlive us, not even if we are killed; Linux only.

    It runs between fork and exec, which is safe because the supervisor has one thread. Everything is looked up here,
    before the fork.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            # It died before the request above, which therefore never fires.
            os._exit(1)

    return end_with_parent
