"""One reader of the history per process, many listeners.

Redis only wakes the reader. What it delivers comes from the status history, so neither a burst nor an outage of Redis
loses anything: the reader goes on after the last id it has seen.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import redis.asyncio
import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from redis.exceptions import RedisError

from jobs.services import history
from jobs.stream.frames import frame

logger = structlog.get_logger(__name__)

Result = TypeVar("Result")

# django-eventstream publishes everything on this one channel.
CHANNEL = "events_channel"
# How often the history is looked at without being woken: rarely while Redis is heard, often while it is not.
LOOK_SECONDS, LOOK_WHILE_DEAF_SECONDS = 5.0, 1.0
RECONNECT_SECONDS, LONGEST_RECONNECT_SECONDS = 0.25, 5.0
QUEUE_FRAMES = 1000
BATCH_EVENTS = 1000


class Listener:
    """One connected reader: a bounded queue of frames, and a flag that cuts it off when it does not keep up."""

    def __init__(self, after_id: int) -> None:
        self.after_id = after_id
        self.frames: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_FRAMES)
        self.is_cut = asyncio.Event()

    def offer(self, data: bytes) -> None:
        """Queue a frame. A full queue cuts the listener off: it comes back and is replayed what it missed."""
        try:
            self.frames.put_nowait(data)
        except asyncio.QueueFull:
            self.is_cut.set()


class EventHub:
    """Reads new history rows once and hands them to all listeners of this process."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.newest_id = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._is_deaf = True
        self._delivery = asyncio.Lock()
        # One thread, so one database connection, however many listeners there are.
        self._database = ThreadPoolExecutor(1, thread_name_prefix="events")

    async def start(self) -> None:
        """Begin at the end of the history. Returns when listeners may join."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._read())]
            with suppress(DatabaseError):
                self.newest_id = await self.ask_database(history.latest_id)

    async def stop(self) -> None:
        """End the tasks and cut off every listener."""
        for listener in self.listeners:
            listener.is_cut.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._database.shutdown(wait=False)

    async def join(self) -> Listener:
        """A new listener, from now on.

        The history is read up to its end before: a reader that comes from another process, which was quicker, must
        not be told again what it has already heard there.
        """
        with suppress(DatabaseError):
            await self._deliver()
        listener = Listener(self.newest_id)
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)

    async def ask_database(self, query: Callable[..., Result], *arguments: Any) -> Result:
        """Run a query in this hub's own thread. Raises ``DatabaseError``."""

        def run() -> Result:
            close_old_connections()
            try:
                return query(*arguments)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._database, run)

    async def _listen(self) -> None:
        """Stay subscribed: a restarted Redis deafens nobody."""
        pause = RECONNECT_SECONDS
        while True:
            client = redis.asyncio.Redis.from_url(
                settings.REDIS_URL, health_check_interval=15, socket_connect_timeout=2, socket_keepalive=True
            )
            try:
                async with client, client.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    self._is_deaf, pause = False, RECONNECT_SECONDS
                    self._wake.set()  # what happened while nobody listened
                    async for _ in subscription.listen():
                        self._wake.set()
            except (RedisError, OSError) as error:
                if not self._is_deaf:
                    logger.warning("events come from the history alone: Redis is away", error=str(error))
                self._is_deaf = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RECONNECT_SECONDS)

    async def _read(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_WHILE_DEAF_SECONDS if self._is_deaf else LOOK_SECONDS)
            self._wake.clear()
            try:
                await self._deliver()
            except DatabaseError as error:
                logger.warning("history not readable; trying again", error=str(error))
                await asyncio.sleep(LOOK_WHILE_DEAF_SECONDS)

    async def _deliver(self) -> None:
        """Hand out everything that is new. Raises ``DatabaseError``."""
        async with self._delivery:
            while True:
                events = await self.ask_database(lambda: history.events_after(self.newest_id, limit=BATCH_EVENTS))
                for event in events:
                    data = frame(event)
                    for listener in self.listeners:
                        listener.offer(data)
                if events:
                    self.newest_id = events[-1].id
                if len(events) < BATCH_EVENTS:
                    return
