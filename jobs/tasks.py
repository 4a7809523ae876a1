"""What beat ticks. A task only calls a service, and a tick may come twice or never.

Those that ask a provider are sent once for each (``simpletuner_cloud.schedule``); without a name they see to all, one
after another.
"""

from collections.abc import Callable

import redis
import structlog
from celery import shared_task
from django.db import InterfaceError, OperationalError

from jobs.services import (
    background_switch,
    budgets,
    cancel_requests,
    history_walk,
    job_counts,
    leftovers,
    logs,
    polling,
    retention,
    webhooks,
)
from jobs.services.dispatch import processor, uploading

logger = structlog.get_logger(__name__)


@shared_task
def poll_active_jobs(provider: str | None = None) -> None:
    """One cycle of the status poller (SPEC A5.2)."""
    _tick(polling.run_cycle, provider)


@shared_task
def process_queue() -> None:
    """One pass over the queue (SPEC B6)."""
    _tick(processor.tick)


@shared_task
def upload_archives() -> None:
    """Bring the datasets of jobs that are next to their providers."""
    _tick(uploading.upload_waiting)


@shared_task
def apply_webhooks(provider: str | None = None) -> None:
    """Apply what lies in the inbox still: deliveries that had to wait for the provider or for the database."""
    _tick(webhooks.apply_received, provider)


@shared_task
def capture_logs(provider: str | None = None) -> None:
    """Read the logs of ended jobs before their provider deletes them."""
    _tick(logs.capture_due_logs, provider)
    # Rarely, and by whom it costs least.
    _tick(leftovers.prune)


@shared_task
def compact_counts() -> None:
    """Keep the numbers of jobs short to add up."""
    _tick(job_counts.make_compact)


@shared_task
def walk_history(provider: str | None = None) -> None:
    """The next steps of a walk through a provider's history, if one is under way."""
    _tick(history_walk.advance, provider)


@shared_task
def pursue_cancellations() -> None:
    """Put wishes for the end of jobs to their providers that were not heard, or not confirmed."""
    _tick(cancel_requests.pursue_cancellations)


@shared_task
def watch_budgets() -> None:
    """See which jobs reach a mark of their budget."""
    _tick(budgets.watch)


@shared_task
def delete_old_rows() -> None:
    """Delete what is older than the settings keep, a little at a time."""
    _tick(retention.run)


def _tick(work: Callable[..., object], *arguments: object) -> None:
    """Do a piece of work unless the background work is off. If Redis or the database is away, the next tick tries."""
    try:
        if background_switch.tick():
            work(*arguments)
    except redis.RedisError as error:
        logger.warning("tick given up: Redis is away, or was", work=work.__name__, error=str(error))
    except (OperationalError, InterfaceError) as error:
        logger.error("tick given up: the database does not answer", work=work.__name__, error=str(error))
