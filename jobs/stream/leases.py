"""How many streams an address may hold, counted over all web processes (SPEC A6.2).

Each stream is a lease in Redis that its process keeps renewing: a killed process gives its places back by itself.
Without Redis each process counts its own streams.
"""

import asyncio
import ipaddress
import uuid
from collections import Counter

import redis.asyncio
import structlog
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)

LEASE_SECONDS, RENEW_SECONDS = 30, 10
IPV6_PREFIX = 64

# Atomic, and by the server's own clock: drop what has expired, then add if there is room.
ACQUIRE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[2]) * 2)
return 1
"""
RENEW = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[2])
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[1]) * 2)
"""


class ConnectionLeases:
    """The streams that this process holds, known to all processes."""

    def __init__(self, url: str, prefix: str, limit: int) -> None:
        self._client = redis.asyncio.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        self._acquire = self._client.register_script(ACQUIRE)
        self._renew = self._client.register_script(RENEW)
        self._prefix = prefix
        self._limit = limit
        self._held: dict[str, str] = {}

    async def acquire(self, address: str) -> str | None:
        """A lease for one more stream of an address; ``None`` if it holds as many as it may."""
        group = address_group(address)
        if Counter(self._held.values())[group] >= self._limit:
            return None
        lease = uuid.uuid4().hex
        # Held before the answer comes, so that simultaneous requests of one address see each other.
        self._held[lease] = group
        try:
            granted = await self._acquire(keys=[self._key(group)], args=[self._limit, LEASE_SECONDS, lease])
        except (RedisError, OSError) as error:
            logger.warning("streams are counted in this process only: Redis is away", error=str(error))
            return lease
        except BaseException:
            # Whoever asked has gone meanwhile: nobody else would ever give this place back.
            del self._held[lease]
            raise
        if not granted:
            del self._held[lease]
            return None
        return lease

    async def release(self, lease: str) -> None:
        """Give a place back."""
        group = self._held.pop(lease, None)
        if group is None:
            return
        try:
            await self._client.zrem(self._key(group), lease)
        except (RedisError, OSError) as error:
            logger.debug("lease will expire by itself", error=str(error))

    async def renew_for_ever(self) -> None:
        """Keep this process's leases alive."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                for lease, group in list(self._held.items()):
                    await self._renew(keys=[self._key(group)], args=[LEASE_SECONDS, lease])
            except (RedisError, OSError) as error:
                logger.debug("leases not renewed", error=str(error))

    async def close(self) -> None:
        """Give every place back."""
        for lease in list(self._held):
            await self.release(lease)
        await self._client.aclose()

    def _key(self, group: str) -> str:
        return f"{self._prefix}streams:{group}"


def address_group(address: str) -> str:
    """Whom a stream counts for: an IPv4 address, or an IPv6 network, of which one household has all the addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False).network_address)
    return str(parsed)
