"""What beat ticks. A task only calls a service: arguments are none, and a tick may come twice or never."""

from celery import shared_task

from jobs.services import background_switch, polling, queue


@shared_task
def poll_active_jobs() -> None:
    """One cycle of the status poller (SPEC A5.2)."""
    if background_switch.tick():
        polling.run_cycle()


@shared_task
def process_queue() -> None:
    """One pass over the queue (SPEC B6)."""
    if background_switch.tick():
        queue.settle_entries()
