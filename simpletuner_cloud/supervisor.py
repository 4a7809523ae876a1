"""Keep a set of programs running: start them in order, restart the dead, stop them together.

It knows nothing of Django: ``manage.py up`` turns itself into this module once everything is prepared, so that what
stays in memory beside the real work is small. It has one thread; ``Child.start`` relies on that.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from simpletuner_cloud import logs
from simpletuner_cloud.processes import Child, Program, describe_ending

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STDIN = 0

# Run as a script, ``__name__`` would not say where a line comes from.
logger = structlog.get_logger("simpletuner_cloud.supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that the supervisor has to know; travels as JSON, through a pipe because it may hold passwords."""

    programs: tuple[Program, ...]
    banner: str
    log_file: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        programs = (Program(**{**program, "command": tuple(program["command"])}) for program in values["programs"])
        return cls(**{**values, "programs": tuple(programs)})


class Supervisor:
    """Runs programs until a signal asks it to stop."""

    def __init__(
        self, programs: Sequence[Program], *, on_ready: Callable[[], None] | None = None, grace_seconds: float = 6.0
    ) -> None:
        self.grace_seconds = grace_seconds
        self._children = [Child(program) for program in programs]
        self._on_ready = on_ready
        self._asked_to_stop_at: float | None = None
        self._is_hurried = False
        self._wakeup_reader, self._wakeup_writer = socket.socketpair()

    def run(self) -> int:
        """Return the exit code: 0 after a stop that was asked for, 1 if a foundation did not come up."""
        with self._signals():
            try:
                if not self._start():
                    return 1
                while self._asked_to_stop_at is None:
                    self._restart_the_dead()
                    self._announce_when_ready()
                    self._sleep(self._seconds_until_next_look())
                return 0
            finally:
                self._stop()

    def _start(self) -> bool:
        for child in sorted(self._children, key=lambda child: not child.program.is_foundation):
            if self._asked_to_stop_at is not None:
                break
            child.start()
            if child.program.is_foundation and not self._comes_up(child):
                return False
        return True

    def _comes_up(self, child: Child, *, seconds: float = 10.0) -> bool:
        deadline = time.monotonic() + seconds
        while not child.program.is_ready():
            code = child.reap()
            if code is not None or time.monotonic() > deadline or not child.is_running:
                log_file = child.program.log_file or None
                logger.error(
                    "process did not come up", child=child.program.name, **describe_ending(code), log_file=log_file
                )
                return False
            if self._asked_to_stop_at is not None:
                break
            self._sleep(0.02)
        return True

    def _restart_the_dead(self) -> None:
        for child in self._children:
            code = child.reap()
            if code is not None:
                delay = round(max(0.0, child.start_at - time.monotonic()), 1)
                logger.warning(
                    "process ended", child=child.program.name, **describe_ending(code), restart_in_seconds=delay
                )
            if not child.is_running and child.start_at <= time.monotonic():
                child.start()

    def _announce_when_ready(self) -> None:
        if self._on_ready is None:
            return
        if all(child.is_running and child.program.is_ready() for child in self._children if child.program.port):
            self._on_ready()
            self._on_ready = None

    def _seconds_until_next_look(self) -> float:
        """Return how long nothing is due; the end of a process and a signal wake us earlier."""
        due = [child.start_at - time.monotonic() for child in self._children if not child.is_running]
        if self._on_ready is not None:
            due.append(0.1)
        return max(0.0, min(due, default=60.0))

    def _stop(self) -> None:
        running = [child for child in self._children if child.is_running]
        logger.info("stopping", processes=len(running))
        self._stop_together([child for child in running if not child.program.is_foundation], self.grace_seconds)
        self._stop_together([child for child in running if child.program.is_foundation], self.grace_seconds / 3)
        logger.info("stopped")

    def _stop_together(self, children: Sequence[Child], grace_seconds: float) -> None:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + grace_seconds
        while remaining := [child for child in children if child.is_running]:
            if self._is_hurried or time.monotonic() >= deadline:
                logger.warning("killing", children=",".join(child.program.name for child in remaining))
                for child in remaining:
                    child.kill()
                return
            for child in remaining:
                child.reap()
            if any(child.is_running for child in remaining):
                self._sleep(max(0.0, min(0.5, deadline - time.monotonic())))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let signals interrupt ``_sleep``, and unblock those that waited while ``manage.py up`` became us."""
        self._wakeup_reader.setblocking(False)
        self._wakeup_writer.setblocking(False)
        # Under nohup SIGHUP is ignored, and should stay so.
        chosen = [number for number in STOP_SIGNALS if number != signal.SIGHUP or _is_heeded(signal.SIGHUP)]
        previous: dict[signal.Signals, Any] = {number: signal.signal(number, self._on_stop_signal) for number in chosen}
        # Python wakes a descriptor only for signals that have a handler of its own.
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        previous_descriptor = signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous_descriptor)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._wakeup_reader.close()
            self._wakeup_writer.close()

    def _on_stop_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._asked_to_stop_at is None:
            self._asked_to_stop_at = now
        elif now - self._asked_to_stop_at > 1:
            # One Ctrl-C or one closed terminal may deliver several signals at once; impatience comes later.
            self._is_hurried = True

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wakeup_reader], [], [], seconds)[0]:
            self._wakeup_reader.recv(4096)


def main() -> int:
    """Read a plan from standard input and run it."""
    plan = Plan.from_json(sys.stdin.read())
    logs.configure(Path(plan.log_file))
    return Supervisor(plan.programs, on_ready=lambda: print(plan.banner, flush=True)).run()


def become_supervisor(plan: Plan) -> None:
    """Replace this process by one that runs ``plan``, under the same process id. Does not return."""
    # Stop signals that arrive between the two programs wait for the handlers of the second.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as pipe:
        pipe.write(plan.to_json())
    os.dup2(reader, STDIN)
    os.set_inheritable(STDIN, True)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "simpletuner_cloud.supervisor"])


def _is_heeded(number: signal.Signals) -> bool:
    return signal.getsignal(number) is not signal.SIG_IGN


if __name__ == "__main__":
    sys.exit(main())
