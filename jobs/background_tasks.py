"""The background work as the contract names it (SPEC A5.6): a manager, and two coroutines to start and stop it."""

from functools import cache

from asgiref.sync import sync_to_async

from jobs.services import background_switch


class BackgroundTaskManager:
    """The switch of the poller and the queue processor; all processes share it."""

    @property
    def _running(self) -> bool:
        """Whether the background work is on."""
        return background_switch.is_running()


@cache
def get_task_manager() -> BackgroundTaskManager:
    """Return this process's manager."""
    return BackgroundTaskManager()


async def start_background_tasks() -> None:
    """Switch poller and queue processor on. Raises ``redis.RedisError`` if Redis cannot be told."""
    await sync_to_async(background_switch.start)()


async def stop_background_tasks() -> None:
    """Switch poller and queue processor off. Raises ``redis.RedisError`` if Redis cannot be told."""
    await sync_to_async(background_switch.stop)()
