"""How the streams speak to Redis: without waiting long, and knowing what its absence looks like."""

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

# The last is what uvloop says of a connection that is closed already; redis-py lets it through.
REDIS_TROUBLE = (RedisError, OSError, RuntimeError)


def redis_client(url: str, *, answer_seconds: float, connections: int, retries: int) -> "redis.asyncio.Redis":
    """A client whose questions end after ``answer_seconds``, with so many connections at most.

    ``retries``: how often at once, for connections that a restart of Redis left dead.
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=answer_seconds,
        socket_timeout=answer_seconds,
        socket_connect_timeout=answer_seconds,
        retry=Retry(NoBackoff(), retries, supported_errors=(RedisConnectionError,)),
    )
    return redis.asyncio.Redis.from_pool(pool)
