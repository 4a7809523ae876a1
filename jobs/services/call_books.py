"""Where calls to a provider's account are counted: in Redis for all processes, or in memory while Redis is away."""

import threading
import time
from dataclasses import dataclass
from typing import Protocol

import redis
from redis.commands.core import Script

from jobs import coordination

# The whole of a minute's calls is never spent at once: so many parts of it may be, and the rest comes evenly.
BURSTS_PER_MINUTE = 5
KEPT_SECONDS = 86_400

# A call takes a token at once, or reserves one that comes within ARGV[3] seconds, or is told how long it would take.
# KEYS: breaker, bucket, spent class. ARGV: capacity, tokens a second, patience, 1 if the breaker was looked at before.
TAKE = """
local breaker = redis.call('GET', KEYS[1]) or ''
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local said = string.format('%.6f', now)
if breaker ~= '' and ARGV[4] ~= '1' then return {breaker, said, '0', '0'} end
local spent = math.max(redis.call('PTTL', KEYS[3]), 0) / 1000
local capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local bucket = redis.call('HMGET', KEYS[2], 'tokens', 'at')
local tokens, at = tonumber(bucket[1] or capacity), tonumber(bucket[2] or now)
tokens = math.min(capacity, tokens + math.max(now - at, 0) * rate)
local wait = math.max((1 - tokens) / rate, spent, 0)
if wait > tonumber(ARGV[3]) then return {breaker, said, '0', tostring(wait)} end
redis.call('HSET', KEYS[2], 'tokens', string.format('%.6f', tokens - 1), 'at', string.format('%.6f', math.max(now, at)))
redis.call('EXPIRE', KEYS[2], 86400)
return {breaker, said, tostring(wait), ''}
"""
# KEYS: breaker. ARGV: what is expected to stand there, what is to stand there (empty: nothing), seconds to keep it.
REPLACE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """So many calls in any minute, of which a part may come in a burst."""

    per_minute: int

    @property
    def burst(self) -> float:
        return float(max(self.per_minute // BURSTS_PER_MINUTE, 1))

    @property
    def per_second(self) -> float:
        return max(self.per_minute - self.burst, 1.0) / 60.0

    def refilled(self, tokens: float, at: float, *, now: float) -> float:
        """What has become of ``tokens`` that were there ``at`` a time."""
        return min(self.burst, tokens + max(now - at, 0.0) * self.per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the book says to a call.

    ``breaker``: the stored breaker, empty if nothing is held back. ``now``: the book's clock. ``wait_seconds``
    before the call; ``short_seconds``: it has no place, and how long until there may be one, which is 0 if none was
    asked for because the breaker has to be looked at first.
    """

    breaker: str
    now: float
    wait_seconds: float = 0.0
    short_seconds: float | None = None


class Book(Protocol):
    """One account's counts. Methods raise ``redis.RedisError`` if the book is in Redis and Redis is away."""

    def take(self, call: str, budget: Budget, *, patience: float, is_allowed: bool) -> Place:
        """Take one of the budget's calls for ``call`` (method and route)."""

    def look(self) -> Place:
        """Read the breaker and the clock; takes nothing."""

    def replace(self, expected: str, breaker: str) -> bool:
        """Store the breaker if ``expected`` still stands there; whether it did."""

    def hold_back(self, call: str, seconds: float) -> None:
        """None of these calls is left at the provider for a while; others may be."""

    def left(self, budget: Budget) -> float:
        """How many calls of the budget may go out at once now; takes none."""


class SharedBook:
    """The book of all processes. Redis's clock counts, and each method is one exchange with it."""

    def __init__(self, account: str) -> None:
        self._account = account

    def take(self, call: str, budget: Budget, *, patience: float, is_allowed: bool) -> Place:
        keys = [self._key("breaker"), self._key("bucket"), self._key(f"spent:{call}")]
        arguments = [budget.burst, budget.per_second, patience, int(is_allowed)]
        breaker, now, wait, short = _script(TAKE)(keys=keys, args=arguments)
        return Place(
            breaker=breaker, now=float(now), wait_seconds=float(wait), short_seconds=float(short) if short else None
        )

    def look(self) -> Place:
        pipeline = coordination.hasty_client().pipeline(transaction=False)
        pipeline.get(self._key("breaker"))
        pipeline.time()
        breaker, (seconds, microseconds) = pipeline.execute()
        return Place(breaker=breaker or "", now=seconds + microseconds / 1e6)

    def replace(self, expected: str, breaker: str) -> bool:
        return bool(_script(REPLACE)(keys=[self._key("breaker")], args=[expected, breaker, KEPT_SECONDS]))

    def hold_back(self, call: str, seconds: float) -> None:
        coordination.hasty_client().set(self._key(f"spent:{call}"), "1", px=max(int(seconds * 1000), 1))

    def left(self, budget: Budget) -> float:
        pipeline = coordination.hasty_client().pipeline(transaction=False)
        pipeline.hmget(self._key("bucket"), "tokens", "at")
        pipeline.time()
        (tokens, at), (seconds, microseconds) = pipeline.execute()
        if tokens is None or at is None:
            return budget.burst
        return budget.refilled(float(tokens), float(at), now=seconds + microseconds / 1e6)

    def _key(self, name: str) -> str:
        return coordination.key(f"calls:{self._account}:{name}")


class OwnBook:
    """The book of one process, while nobody else can be asked."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._breaker = ""
        self._spent: dict[str, float] = {}
        self._tokens: float | None = None
        self._at = 0.0

    def take(self, call: str, budget: Budget, *, patience: float, is_allowed: bool) -> Place:
        with self._guard:
            now = time.time()
            if self._breaker and not is_allowed:
                return Place(breaker=self._breaker, now=now, short_seconds=0.0)
            known = budget.burst if self._tokens is None else self._tokens
            tokens = budget.refilled(known, self._at, now=now)
            wait = max((1.0 - tokens) / budget.per_second, self._spent.get(call, 0.0) - now, 0.0)
            if wait > patience:
                return Place(breaker=self._breaker, now=now, short_seconds=wait)
            self._tokens, self._at = tokens - 1.0, max(now, self._at)
            return Place(breaker=self._breaker, now=now, wait_seconds=wait)

    def look(self) -> Place:
        return Place(breaker=self._breaker, now=time.time())

    def replace(self, expected: str, breaker: str) -> bool:
        with self._guard:
            if self._breaker != expected:
                return False
            self._breaker = breaker
            return True

    def hold_back(self, call: str, seconds: float) -> None:
        self._spent[call] = time.time() + seconds

    def left(self, budget: Budget) -> float:
        with self._guard:
            known = budget.burst if self._tokens is None else self._tokens
            return budget.refilled(known, self._at, now=time.time())


def _script(text: str) -> Script:
    client: redis.Redis = coordination.hasty_client()
    return client.register_script(text)
