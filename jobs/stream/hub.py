"""One reader of the history per process, many listeners.

Redis wakes the reader and brings announcements. Changes of status come from the status history, so neither a burst nor
an outage of Redis loses one: the reader goes on after the last id it has seen.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import redis
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from jobs.events import Announcement, read_announcement
from jobs.services import history
from jobs.services.history import Event
from jobs.stream.frames import announcement, cursor, frame, resync
from jobs.stream.listener import Listener
from jobs.stream.readers import UNCHECKED, Reader, has_changed
from jobs.stream.redis_client import REDIS_TROUBLE, redis_client

logger = structlog.get_logger(__name__)

Result = TypeVar("Result")

# django-eventstream publishes everything on this one channel.
CHANNEL = "events_channel"
# How often the history is looked at without being woken: rarely while Redis is heard, often while it is not.
LOOK_SECONDS, LOOK_WHILE_DEAF_SECONDS = 5.0, 1.0
RECONNECT_SECONDS, LONGEST_RECONNECT_SECONDS = 0.25, 5.0
# A Redis that hangs, or whose host is gone, closes no connection: one that says nothing is asked, and has to answer.
SILENCE_SECONDS, ANSWER_SECONDS = 2.0, 2.0
BATCH_EVENTS = 200
# A key that is revoked, a session that ends, a role that is taken away: the stream ends within a minute, with time to
# spare for a database that is slow.
CHECK_SECONDS = 30.0
# How many announcements may wait for the history to be read; more are dropped.
MOST_ANNOUNCEMENTS = 200


class EventHub:
    """Reads new history rows once and hands them to all listeners of this process."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        # None until the history could be read for the first time.
        self.newest_id: int | None = None
        self._announcements: deque[Announcement] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._is_deaf = True
        self._delivery = asyncio.Lock()
        # One thread, so one database connection, however many listeners there are.
        self._database = ThreadPoolExecutor(1, thread_name_prefix="events")

    async def start(self) -> None:
        """Begin at the end of the history. Returns when listeners may join."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(task) for task in (self._listen(), self._read(), self._check())]
            for task in self._tasks:
                task.add_done_callback(self._note_end)
            with suppress(DatabaseError):
                await self._deliver()

    async def stop(self) -> None:
        """End the tasks and cut off every listener."""
        for listener in self.listeners:
            listener.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._database.shutdown(wait=False)

    async def join(self, reader: Reader = UNCHECKED) -> Listener:
        """A new listener, from now on.

        The history is read up to its end before: a reader that comes from another process, which was quicker, must
        not be told again what it has already heard there.
        """
        with suppress(DatabaseError):
            await self._deliver()
        listener = Listener(self.newest_id, reader)
        self.listeners.add(listener)
        return listener

    @property
    def is_broken(self) -> bool:
        """Whether it has ended without having been told to: nothing would ever be delivered again."""
        return any(task.done() for task in self._tasks)

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)

    async def ask_database(self, query: Callable[..., Result], *arguments: Any) -> Result:
        """Run a query in this hub's own thread. Raises ``django.db.Error``."""

        def run() -> Result:
            close_old_connections()
            try:
                return query(*arguments)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._database, run)

    async def _listen(self) -> None:
        """Stay subscribed: a Redis that was restarted, hung or could not be reached deafens nobody."""
        pause = RECONNECT_SECONDS
        while True:
            try:
                async for message in self._messages():
                    self._is_deaf, pause = False, RECONNECT_SECONDS
                    self._hear(message)
            except REDIS_TROUBLE as error:
                if not self._is_deaf:
                    logger.warning("events come from the history alone: Redis is away", error=str(error))
            if not self._is_deaf:
                self._is_deaf = True
                self._wake.set()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_RECONNECT_SECONDS)

    async def _messages(self) -> AsyncGenerator[dict[str, Any], None]:
        """What one subscription hears, its own beginning first. Raises one of ``REDIS_TROUBLE`` at its end."""
        # Trying again is up to us, who know that nothing is heard meanwhile.
        client = redis_client(settings.REDIS_URL, answer_seconds=ANSWER_SECONDS, connections=1, retries=0)
        async with client, client.pubsub() as subscription:
            await subscription.subscribe(CHANNEL)
            is_asked = True
            while True:
                message = await subscription.get_message(timeout=ANSWER_SECONDS if is_asked else SILENCE_SECONDS)
                if message is not None:
                    is_asked = False
                    yield message
                elif is_asked:
                    raise redis.TimeoutError(f"no answer within {ANSWER_SECONDS:g} s")
                else:
                    await subscription.ping()
                    is_asked = True

    def _hear(self, message: dict[str, Any]) -> None:
        """Take what Redis says. A new subscription wakes too, for what happened while nobody listened."""
        if message["type"] == "pong":
            return
        if message["type"] == "message":
            body = read_announcement(message["data"])
            if body is not None and len(self._announcements) < MOST_ANNOUNCEMENTS:
                self._announcements.append(body)
        self._wake.set()

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
                self._wake.set()

    async def _deliver(self) -> None:
        """Hand out everything that is new. Raises ``django.db.Error``."""
        async with self._delivery:
            # What was announced after a change has to come after it: only those are due that were here before reading.
            due = len(self._announcements)
            newest_id = await self._deliver_history()
            for _ in range(due):
                self._offer_announcement(newest_id, self._announcements.popleft())

    async def _deliver_history(self) -> int:
        if self.newest_id is None:
            self.newest_id = newest_id = await self.ask_database(history.latest_id)
            # Who joined before then may have missed anything.
            self._offer(resync(newest_id))
            return newest_id
        newest_id = self.newest_id
        while True:
            events = await self.ask_database(history.events_after, newest_id, BATCH_EVENTS)
            if events:
                self._offer_events(events)
                self.newest_id = newest_id = events[-1].id
            if len(events) < BATCH_EVENTS:
                return newest_id

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        logger.critical("the reader of the history has ended", exc_info=task.exception())
        # They come back, and find another one.
        for listener in self.listeners:
            listener.cut()

    async def _check(self) -> None:
        """End the streams of those who may not read them any more, or may now read something else."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                # One at a time: news do not wait until all are looked at.
                for reader in {listener.reader for listener in self.listeners if listener.reader.credentials}:
                    if await self.ask_database(has_changed, reader):
                        self._cut_off(reader)
            except DatabaseError as error:
                # Without a database there is no news of a job either.
                logger.warning("readers not checked; trying again", error=str(error))

    def _cut_off(self, reader: Reader) -> None:
        for listener in self.listeners:
            if listener.reader == reader:
                listener.cut()

    def _offer_events(self, events: Sequence[Event]) -> None:
        """Hand out events, each encoded once. Who sees all gets them as one piece, everybody else what is theirs."""
        frames = [frame(event) for event in events]
        everything, end = b"".join(frames), cursor(events[-1].id)
        of_user: dict[int | None, bytes] = {}
        for listener in self.listeners:
            if listener.sees_all:
                listener.offer(everything)
                continue
            actor = listener.reader.actor
            if actor.user_id not in of_user:
                seen = [data for event, data in zip(events, frames, strict=True) if actor.may_see(event.owner_id)]
                # Without it, the reader's place would stay behind, and all that is not for it would count as missed.
                of_user[actor.user_id] = b"".join(seen) if seen and seen[-1] is frames[-1] else b"".join([*seen, end])
            listener.offer(of_user[actor.user_id])

    def _offer_announcement(self, newest_id: int, heard: Announcement) -> None:
        data = announcement(newest_id, heard.line)
        for listener in self.listeners:
            if heard.audience.includes(listener.reader.actor):
                listener.offer(data)

    def _offer(self, data: bytes) -> None:
        for listener in self.listeners:
            listener.offer(data)
