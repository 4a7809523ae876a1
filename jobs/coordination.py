"""What the processes agree on through Redis: leases, and one call for many askers.

Without Redis every process goes on alone: answers are then shared among its own threads only.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)

SOCKET_TIMEOUT_SECONDS = 2.0
HASTY_TIMEOUT_SECONDS = 0.75
# Longer than any produce() may take: a provider's answer has its own deadline well below.
FLIGHT_SECONDS = 30.0
ANSWER_KEPT_SECONDS = 60.0
# A killed process is back within five seconds, and should not wait long for what it held itself.
DEAD_HOLDER_SECONDS = 9.0

Renew = Callable[[], None]

_local_locks: dict[str, threading.Lock] = {}
_local_answers: dict[str, tuple[float, Any]] = {}
_local_guard = threading.Lock()
_connected: "list[redis.Redis]" = []


@cache
def client() -> "redis.Redis":
    """This process's connection pool."""
    return _connect(SOCKET_TIMEOUT_SECONDS)


@cache
def hasty_client() -> "redis.Redis":
    """For those who ask how Redis is: a Redis that hangs is told within two seconds."""
    return _connect(HASTY_TIMEOUT_SECONDS)


def _connect(timeout_seconds: float) -> "redis.Redis":
    connected = redis.Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        # For a connection that a restart of Redis left dead; nobody waits for a Redis that is away.
        retry=Retry(NoBackoff(), 1),
    )
    # Threads that ask first at the same moment each make one, of which the cache keeps the last. The others must not be
    # collected while a pipeline of theirs is at work: redis-py then cuts its connection under it.
    _connected.append(connected)
    return connected


def key(name: str) -> str:
    """A key of this store's own: a sandbox and a real store may share one Redis."""
    return f"{settings.REDIS_KEY_PREFIX}{name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON value, how old it is, and whether somebody else's call produced it."""

    value: Any
    age_seconds: float
    is_shared: bool


def single_flight(
    name: str, produce: Callable[[], Any], *, fresh_seconds: float = 0.0, wait_seconds: float = 20.0
) -> Answer:
    """Let all who ask at once share one call of ``produce`` and its answer, a JSON value.

    An answer not older than ``fresh_seconds`` is taken as it is. Whoever has waited ``wait_seconds`` calls for itself.
    """
    oldest = time.time() - fresh_seconds
    if answer := _shared(name, oldest):
        return answer
    with _flight(name, wait_seconds):
        if answer := _shared(name, oldest):
            return answer
        value = produce()
        _share(name, value)
        return Answer(value, 0.0, is_shared=False)


@contextmanager
def lease(name: str, *, seconds: float) -> Iterator[Renew | None]:
    """Hold a name alone among all processes; yields ``None`` if another one holds it, else a function that renews.

    A holder that dies frees the name within ``DEAD_HOLDER_SECONDS``; one that hangs, ``seconds`` after it last renewed.
    Raises ``redis.RedisError`` if Redis is away.
    """
    life = min(seconds, DEAD_HOLDER_SECONDS)
    # The thread that keeps it must be able to show that it is ours.
    lock = client().lock(key(f"lease:{name}"), timeout=life, blocking=False, thread_local=False)
    if not lock.acquire():
        yield None
        return
    keeper = _Keeper(lock, life, seconds)
    try:
        yield keeper.renew
    finally:
        keeper.stop()
        _release(lock, name)


class _Keeper:
    """Keeps a lease alive while its holder lives, and for ``seconds`` after the holder last renewed it."""

    def __init__(self, lock: Any, life: float, seconds: float) -> None:
        self._lock, self._life, self._seconds = lock, life, seconds
        self._renewed_at = time.monotonic()
        self._stopped = threading.Event()
        self._guard = threading.Lock()
        if seconds > life:
            threading.Thread(target=self._run, name="lease", daemon=True).start()

    def renew(self) -> None:
        """The holder is still at it. Raises ``redis.RedisError`` if the lease is lost."""
        with self._guard:
            self._lock.reacquire()
        self._renewed_at = time.monotonic()

    def stop(self) -> None:
        """Keep it no longer; once this returns, nothing renews it."""
        self._stopped.set()
        with self._guard:
            pass

    def _run(self) -> None:
        while not self._stopped.wait(self._life / 3):
            if time.monotonic() > self._renewed_at + self._seconds - self._life:
                return
            with self._guard:
                if self._stopped.is_set():
                    return
                try:
                    self._lock.reacquire()
                except redis.RedisError as error:
                    # Lost to an outage; the holder learns of it when it renews.
                    logger.warning("lease not kept", error=str(error))


@contextmanager
def _flight(name: str, wait_seconds: float) -> Iterator[None]:
    """Hold a call alone among all processes, or among our own threads while Redis is away."""
    deadline = time.monotonic() + wait_seconds
    local = _local_lock(name)
    is_first_here = local.acquire(timeout=wait_seconds)
    lock = client().lock(key(f"flight:{name}"), timeout=FLIGHT_SECONDS, sleep=0.02)
    is_held = False
    try:
        is_held = lock.acquire(blocking_timeout=max(deadline - time.monotonic(), 0.0))
    except redis.RedisError as error:
        logger.warning("calls are shared within this process only: Redis is away", error=str(error))
    try:
        yield
    finally:
        if is_held:
            _release(lock, name)
        if is_first_here:
            local.release()


def _release(lock: Any, name: str) -> None:
    try:
        lock.release()
    except redis.RedisError as error:
        # Lost to time or to an outage; either way it ends by itself, and what was done under it is done.
        logger.warning("lease not given back", name=name, error=str(error))


def _shared(name: str, oldest: float) -> Answer | None:
    """The last answer, if it was given at ``oldest`` (seconds since the epoch) or later."""
    try:
        stored = client().get(key(f"answer:{name}"))
        stamp, value = json.loads(str(stored)) if stored is not None else (0.0, None)
    except redis.RedisError:
        stamp, value = _local_answers.get(name, (0.0, None))
    return Answer(value, max(time.time() - stamp, 0.0), is_shared=True) if stamp >= oldest else None


def _share(name: str, value: Any) -> None:
    """Share an answer. It is good whether or not it can be shared: the call behind it is not made again."""
    answer = (time.time(), value)
    try:
        client().set(key(f"answer:{name}"), json.dumps(answer), ex=int(ANSWER_KEPT_SECONDS))
    except redis.RedisError as error:
        _local_answers[name] = answer
        logger.warning("answer shared within this process only: Redis is away", error=str(error))


def _local_lock(name: str) -> threading.Lock:
    with _local_guard:
        return _local_locks.setdefault(name, threading.Lock())


def forget_local_answers() -> None:
    """Drop what this process shares among its own threads."""
    _local_answers.clear()
