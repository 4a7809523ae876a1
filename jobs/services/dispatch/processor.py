"""One pass over the queue (SPEC B6). Any number of them may run at once."""

from dataclasses import dataclass

import structlog

from jobs import coordination
from jobs.services import queue
from jobs.services.dispatch import claiming, looking, sending, uploading

logger = structlog.get_logger(__name__)

LEASE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did, in entries. ``settled``: made to agree with their jobs; ``decided``: jobs that were looked
    for, and found or given up; ``started``: jobs that their providers took."""

    settled: int = 0
    ended: int = 0
    released: int = 0
    decided: int = 0
    claimed: int = 0
    started: int = 0


def tick() -> Pass | None:
    """One pass, unless another worker is at one: a slow provider holds up one thread and not all.

    ``None`` then. Raises ``redis.RedisError`` if Redis is away.
    """
    with coordination.lease("queue", seconds=LEASE_SECONDS) as renew:
        return process() if renew is not None else None


def process() -> Pass:
    """Settle what was interrupted, look for what may have been started, and hand over what is next and fits."""
    settled = queue.settle_entries()
    ended = claiming.end_cancelled()
    released = looking.release_unsent()
    decided = looking.look_for_sent()
    claims = claiming.claim_next()
    ready = uploading.without_uploads(claims)
    started = sending.send(ready)
    done = Pass(settled, ended, released, decided, len(claims), started)
    if claims or decided or released:
        logger.info("queue processed", claimed=len(claims), started=started, decided=decided, released=released)
    return done
