"""What beat ticks. A task only calls a service: arguments are none, and a tick may come twice or never."""

from celery import shared_task

from jobs.services import background_switch, history_walk, logs, polling, queue, webhooks


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


@shared_task
def apply_webhooks() -> None:
    """Apply what lies in the inbox still: deliveries that had to wait for the provider or for the database."""
    if background_switch.tick():
        webhooks.apply_received()


@shared_task
def capture_logs() -> None:
    """Read the logs of ended jobs before their provider deletes them."""
    if background_switch.tick():
        logs.capture_due_logs()


@shared_task
def walk_history() -> None:
    """The next steps of a walk through a provider's history, if one is under way."""
    if background_switch.tick():
        history_walk.advance()
