"""What beat ticks. A task only calls a service: arguments are none, and a tick may come twice or never."""

from collections.abc import Callable

import redis
import structlog
from celery import shared_task
from django.db import InterfaceError, OperationalError

from jobs.services import background_switch, history_walk, job_counts, leftovers, logs, polling, queue, webhooks

logger = structlog.get_logger(__name__)


@shared_task
def poll_active_jobs() -> None:
    """One cycle of the status poller (SPEC A5.2)."""
    _tick(polling.run_cycle)


@shared_task
def process_queue() -> None:
    """One pass over the queue (SPEC B6)."""
    _tick(queue.settle_entries)


@shared_task
def apply_webhooks() -> None:
    """Apply what lies in the inbox still: deliveries that had to wait for the provider or for the database."""
    _tick(webhooks.apply_received)


@shared_task
def capture_logs() -> None:
    """Read the logs of ended jobs before their provider deletes them."""
    _tick(logs.capture_due_logs)
    # Rarely, and by whom it costs least.
    _tick(leftovers.prune)


@shared_task
def compact_counts() -> None:
    """Keep the numbers of jobs short to add up."""
    _tick(job_counts.make_compact)


@shared_task
def walk_history() -> None:
    """The next steps of a walk through a provider's history, if one is under way."""
    _tick(history_walk.advance)


def _tick(work: Callable[[], object]) -> None:
    """Do a piece of work unless the background work is off. If Redis or the database is away, the next tick tries."""
    try:
        if background_switch.tick():
            work()
    except redis.RedisError as error:
        logger.warning("tick given up: Redis is away, or was", work=work.__name__, error=str(error))
    except (OperationalError, InterfaceError) as error:
        logger.error("tick given up: the database does not answer", work=work.__name__, error=str(error))
