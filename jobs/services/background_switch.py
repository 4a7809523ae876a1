"""Whether the background work is on (SPEC A5.6).

The work is done by Celery's worker at beat's ticks, in other processes than the one that asks. The switch therefore
lives in Redis, where every process sees it: "on" is kept alive by the ticks themselves, and "stopped" stays until
somebody starts it again.
"""

import redis
import structlog

from jobs import coordination
from jobs.services.polling import current_policy

logger = structlog.get_logger(__name__)

TICKS_TO_BE_MISSED = 3
SHORTEST_LIFE_SECONDS = 60.0


def is_running() -> bool:
    """Whether the work was started, not stopped, and ticks; ``False`` too while Redis cannot be asked."""
    try:
        stopped, ticking = coordination.client().mget(_key("stopped"), _key("ticking"))
    except redis.RedisError as error:
        logger.warning("background work unknown: Redis is away", error=str(error))
        return False
    return stopped is None and ticking is not None


def start() -> None:
    """Switch the work on for all processes, and say in the log how it will run. Raises ``redis.RedisError``."""
    coordination.client().delete(_key("stopped"))
    _keep_alive()
    logger.info(current_policy().describe())


def stop() -> None:
    """Switch the work off for all processes, until it is started again. Raises ``redis.RedisError``."""
    coordination.client().set(_key("stopped"), "1")
    coordination.client().delete(_key("ticking"))
    logger.info("background work is stopped")


def tick() -> bool:
    """Called by each tick before its work: whether to go on with it."""
    if coordination.client().exists(_key("stopped")):
        return False
    _keep_alive()
    return True


def _keep_alive() -> None:
    life = max(TICKS_TO_BE_MISSED * current_policy().interval_seconds, SHORTEST_LIFE_SECONDS)
    coordination.client().set(_key("ticking"), "1", ex=int(life))


def _key(name: str) -> str:
    return coordination.key(f"background:{name}")
