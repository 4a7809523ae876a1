"""How many streams an address may hold, counted over all web processes (SPEC A6.2).

Each stream is a lease in Redis that its process keeps renewing: a killed process gives its places back by itself.
Without Redis each process counts its own streams.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from typing import NamedTuple

import structlog

from jobs.client_address import address_group
from jobs.stream.redis_client import REDIS_TROUBLE, redis_client

logger = structlog.get_logger(__name__)

LEASE_SECONDS, RENEW_SECONDS = 30, 10
ANSWER_SECONDS = 2.0
# While Redis hangs each question costs its time: the next readers do not wait for it.
PAUSE_AFTER_FAILURE_SECONDS = 5.0
CONNECTIONS = 8

# Atomic, and by the server's own clock: drop what has ended or expired, then add if there is room.
ACQUIRE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for index = 4, #ARGV do redis.call('ZREM', KEYS[1], ARGV[index]) end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[2]) * 2)
return 1
"""
# Adds what is not there: leases that were given while Redis was away, or that it forgot.
RENEW = """
local now = tonumber(redis.call('TIME')[1])
for index = 2, #ARGV do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[index]) end
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[1]) * 2)
"""


class Lease(NamedTuple):
    """One place, and whom it counts for: ``streams:<address>`` or ``user-streams:<account>``."""

    group: str
    token: str


class ConnectionLeases:
    """The streams that this process holds, known to all processes."""

    def __init__(self, url: str, prefix: str, limit: int) -> None:
        self._client = redis_client(url, answer_seconds=ANSWER_SECONDS, connections=CONNECTIONS, retries=1)
        self._acquire = self._client.register_script(ACQUIRE)
        self._renew = self._client.register_script(RENEW)
        self._prefix = prefix
        self._limit = limit
        # Tokens by group.
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        # Given back here, but Redis may still count them.
        self._ended: defaultdict[str, set[str]] = defaultdict(set)
        self._has_ended = asyncio.Event()
        self._away_until = 0.0

    async def acquire(self, address: str) -> Lease | None:
        """A lease for one more stream of an address; ``None`` if it holds as many as it may."""
        return await self._take(f"streams:{address_group(address)}")

    async def acquire_for_user(self, user_id: int) -> Lease | None:
        """A lease for one more stream of an account, wherever it reads from; ``None`` if it holds as many as it may."""
        return await self._take(f"user-streams:{user_id}")

    async def _take(self, group: str) -> Lease | None:
        lease = Lease(group, uuid.uuid4().hex)
        if len(self._held.get(lease.group, ())) >= self._limit:
            return None
        # Held before the answer comes, so that simultaneous requests of one address see each other.
        self._held[lease.group].add(lease.token)
        if time.monotonic() < self._away_until:
            return lease
        ended = self._ended.pop(lease.group, set())
        try:
            granted = await self._acquire(
                keys=[self._key(lease.group)], args=[self._limit, LEASE_SECONDS, lease.token, *ended]
            )
        except REDIS_TROUBLE as error:
            self._ended[lease.group] |= ended
            self._note_away(error)
            return lease
        except BaseException:
            # Whoever asked has gone meanwhile: nobody else would ever give this place back.
            self._ended[lease.group] |= ended
            self.release(lease)
            raise
        if not granted:
            self._drop(lease)
            return None
        return lease

    def release(self, lease: Lease) -> None:
        """Give a place back. Redis is told soon, and later again if it cannot be told now."""
        self._drop(lease)
        self._ended[lease.group].add(lease.token)
        self._has_ended.set()

    async def keep_for_ever(self) -> None:
        """Keep this process's leases alive, and tell Redis of those that have ended, many at a time."""
        clock = asyncio.get_running_loop().time
        renew_at = clock() + RENEW_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(renew_at):
                    await self._has_ended.wait()
            except TimeoutError:
                is_due = True
            else:
                is_due = False
            try:
                if is_due:
                    await self.renew()
                    renew_at = clock() + RENEW_SECONDS
                await self.give_back()
            except REDIS_TROUBLE as error:
                self._note_away(error)
                renew_at = clock() + PAUSE_AFTER_FAILURE_SECONDS

    async def renew(self) -> None:
        """Tell Redis of all leases. Raises one of ``REDIS_TROUBLE``."""
        for group, tokens in [(group, list(tokens)) for group, tokens in self._held.items()]:
            await self._renew(keys=[self._key(group)], args=[LEASE_SECONDS, *tokens])
            # One that ended meanwhile has perhaps just been added again.
            if ended := set(tokens) - self._held.get(group, set()):
                self._ended[group] |= ended

    async def give_back(self) -> None:
        """Tell Redis of the leases that have ended. Raises one of ``REDIS_TROUBLE``."""
        self._has_ended.clear()
        for group, tokens in [(group, list(tokens)) for group, tokens in self._ended.items()]:
            if tokens:
                await self._client.zrem(self._key(group), *tokens)
            self._ended[group] -= set(tokens)
            if not self._ended[group]:
                del self._ended[group]

    async def close(self) -> None:
        """Give every place back."""
        for group, tokens in self._held.items():
            self._ended[group] |= tokens
        self._held.clear()
        try:
            await self.give_back()
            await self._client.aclose()
        except REDIS_TROUBLE as error:
            logger.debug("leases will expire by themselves", error=str(error))

    def _drop(self, lease: Lease) -> None:
        held = self._held[lease.group]
        held.discard(lease.token)
        if not held:
            del self._held[lease.group]

    def _note_away(self, error: Exception) -> None:
        if time.monotonic() >= self._away_until:
            logger.warning("streams are counted in this process only: Redis is away", error=str(error))
        self._away_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS

    def _key(self, group: str) -> str:
        return f"{self._prefix}{group}"
