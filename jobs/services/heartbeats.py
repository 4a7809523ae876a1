"""Which workers and beats are alive: each process says so itself, every few seconds, in Redis.

Times are the Redis server's, so that hosts whose clocks disagree do not take each other for dead.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import redis
import structlog
from django.conf import settings

from jobs import coordination

logger = structlog.get_logger(__name__)

PULSE_SECONDS = 5.0
# Three in a row that did not come.
ALIVE_SECONDS = 16.0
# How long it stays known of a process that died when it was last heard of.
REMEMBERED_SECONDS = 3600

# Atomic, and by the server's own clock: write ours, drop what is long past.
BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '^%d+'))
  if not at or at < now - tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[i]) end
end
"""


class Role(StrEnum):
    """The processes that do work in the background."""

    WORKER = "worker"
    BEAT = "beat"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of one process.

    ``age_seconds``: since the sign. ``idle_seconds``: from its last piece of work (a task done, a tick sent) to the
    sign, or from its start if there was none yet.
    """

    role: Role
    host: str
    pid: int
    version: str
    running_seconds: float
    idle_seconds: float
    age_seconds: float

    @property
    def is_alive(self) -> bool:
        return self.age_seconds <= ALIVE_SECONDS


class Pulse:
    """This process's heartbeat: a thread that tells of it until it is stopped."""

    def __init__(self, role: Role, *, interval_seconds: float = PULSE_SECONDS) -> None:
        self._role = role
        self._interval_seconds = interval_seconds
        self._started = self._last_work = time.monotonic()
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{role}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def note_work(self) -> None:
        """The process has just done what it is there for."""
        self._last_work = time.monotonic()

    def beat(self) -> None:
        """Tell of this process once. Raises ``redis.RedisError``."""
        now = time.monotonic()
        facts = {
            "version": settings.VERSION,
            "running": round(now - self._started, 1),
            "idle": round(now - self._last_work, 1),
        }
        with self._guard:
            if not self._stopped.is_set():
                coordination.client().eval(
                    BEAT, 1, heartbeats_key(), self._field, json.dumps(facts), REMEMBERED_SECONDS
                )

    def stop(self) -> None:
        """End it, and forget this process: it did not die, it was asked to end."""
        self._stopped.set()
        try:
            # A beat that is under way must not come after this.
            with self._guard:
                coordination.client().hdel(heartbeats_key(), self._field)
        except redis.RedisError as error:
            logger.debug("heartbeat not taken back", error=str(error))

    @property
    def _field(self) -> str:
        return f"{self._role}:{os.getpid()}:{socket.gethostname()}"

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.beat()
            except redis.RedisError as error:
                logger.debug("no heartbeat: Redis is away", error=str(error))
            self._stopped.wait(self._interval_seconds)


def heartbeats_key() -> str:
    return coordination.key("heartbeats")


def heartbeats() -> list[Heartbeat]:
    """Every process that was heard of within the last hour, the latest first. Raises ``redis.RedisError``."""
    pipeline = coordination.client().pipeline(transaction=False)
    pipeline.time()
    pipeline.hgetall(heartbeats_key())
    (seconds, _), stored = pipeline.execute()
    return read(stored, now=seconds)


def read(stored: Mapping[str, str], *, now: float) -> list[Heartbeat]:
    """The heartbeats as they lie in Redis, ``now`` being its time in seconds; what is not understood is left out."""
    found = []
    for field, value in stored.items():
        role, _, rest = field.partition(":")
        pid, _, host = rest.partition(":")
        stamp, _, text = value.partition(" ")
        try:
            facts = json.loads(text)
            heartbeat = Heartbeat(
                role=Role(role),
                host=host,
                pid=int(pid),
                version=str(facts["version"]),
                running_seconds=float(facts["running"]),
                idle_seconds=float(facts["idle"]),
                age_seconds=max(now - float(stamp), 0.0),
            )
        except (ValueError, KeyError, TypeError):
            # Of another version of ours, which may well run beside this one during an upgrade.
            logger.debug("heartbeat not understood", field=field)
            continue
        found.append(heartbeat)
    return sorted(found, key=lambda heartbeat: heartbeat.age_seconds)


def alive(all_heartbeats: Iterable[Heartbeat], role: Role) -> list[Heartbeat]:
    """Those of a role that are alive."""
    return [heartbeat for heartbeat in all_heartbeats if heartbeat.role is role and heartbeat.is_alive]
