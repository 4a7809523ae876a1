"""The ASGI application behind ``/api/events``."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import structlog
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.conf import settings
from django.db import Error as DatabaseError
from django.http.request import split_domain_port, validate_host

from jobs.access import VIEW_OWN, Actor
from jobs.client_address import client_address
from jobs.connections import abort
from jobs.services import history, logins
from jobs.services.authentication import BAD_KEY, NOTHING_SENT, REALM, Credentials
from jobs.stream.frames import KEEP_ALIVE, cursor, frame, opening, resync
from jobs.stream.hub import EventHub
from jobs.stream.leases import ConnectionLeases, Lease
from jobs.stream.listener import Listener
from jobs.stream.readers import UNCHECKED, Reader, credentials_of, reader_of

logger = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 15.0
# A reader that takes nothing for so long, while something waits for it, is gone or as good as gone.
WRITE_SECONDS = 30.0
# Whatever else fails to notice that a peer has vanished.
LONGEST_STREAM_SECONDS = 3600.0
# For the last words to a reader; one that does not take them is dropped.
FAREWELL_SECONDS = 0.5
RETRY_AFTER_SECONDS = 30
REPLAY_CHUNK_EVENTS = 100
# More digits than any id of ours has; what is longer need not be read as a number.
LONGEST_ID, LARGEST_ID = 18, 10**18

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # nginx and its like would otherwise hold events back until a buffer is full.
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
REFUSAL_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]

CHALLENGE = [(b"www-authenticate", REALM.encode())]


class EventStream:
    """Serves event streams. ``start`` and ``stop`` belong to the process's lifespan."""

    def __init__(self) -> None:
        self._hub: EventHub | None = None
        self._leases: ConnectionLeases | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False

    async def start(self) -> EventHub:
        """Bring up the hub, once per event loop."""
        loop = asyncio.get_running_loop()
        if self._hub is None or self._loop is not loop:
            self._loop = loop
            self._hub = EventHub()
            self._leases = ConnectionLeases(settings.REDIS_URL, settings.REDIS_KEY_PREFIX, settings.SSE_MAX_PER_IP)
            self._renewal = asyncio.create_task(self._leases.keep_for_ever())
            await self._hub.start()
        elif self._hub.is_broken:
            broken, self._hub = self._hub, EventHub()
            await broken.stop()
            await self._hub.start()
        return self._hub

    async def stop(self) -> None:
        """End every stream and give all places back; no new one begins."""
        self._is_over = True
        if self._renewal is not None:
            self._renewal.cancel()
        if self._hub is not None:
            await self._hub.stop()
        if self._leases is not None:
            await self._leases.close()
        self._hub = self._leases = self._renewal = None

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] != "GET":
            await _refuse(send, HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is allowed.", "method_not_allowed")
            return
        if not _is_ours(headers):
            await _refuse(send, HTTPStatus.FORBIDDEN, "This host or origin may not read events.", "permission_denied")
            return
        if self._is_over:
            await _refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping.", "stopping")
            return
        address = _address(scope)
        credentials = Credentials() if settings.SINGLE_USER else credentials_of(scope["headers"], address)
        if not credentials and not settings.SINGLE_USER:
            await _refuse(send, HTTPStatus.UNAUTHORIZED, NOTHING_SENT, "not_authenticated", CHALLENGE)
            return
        hub = await self.start()
        leases = self._leases
        assert leases is not None
        held: list[Lease] = []
        try:
            # Before the database is asked: whoever knocks without end waits here, and not in front of everybody's news.
            if not await _take_place(leases.acquire(address), "from this address", held, send):
                return
            reader = await _admit(hub, credentials, send) if credentials else UNCHECKED
            if reader is None:
                return
            if credentials and reader.actor.user_id is not None:
                place = leases.acquire_for_user(reader.actor.user_id)
                if not await _take_place(place, "of this account", held, send):
                    return
            await _serve(hub, scope, reader, _last_event_id(scope, headers), receive, send)
        finally:
            for lease in held:
                leases.release(lease)


async def _take_place(place: Awaitable[Lease | None], whose: str, held: list[Lease], send: ASGISendCallable) -> bool:
    """Add one more place to those held; whether there was one. If not, it is told."""
    lease = await place
    if lease is None:
        detail = f"Too many open event streams {whose} (limit {settings.SSE_MAX_PER_IP})."
        await _refuse(send, HTTPStatus.TOO_MANY_REQUESTS, detail, "too_many_streams", _retry_after(RETRY_AFTER_SECONDS))
        return False
    held.append(lease)
    return True


async def _admit(hub: EventHub, credentials: Credentials, send: ASGISendCallable) -> Reader | None:
    """Who wants to read; ``None`` if they were told that they may not."""
    try:
        reader = await hub.ask_database(reader_of, credentials)
    except DatabaseError as error:
        logger.warning("reader not looked up", error=str(error))
        detail = "The database does not answer just now; try again."
        await _refuse(send, HTTPStatus.SERVICE_UNAVAILABLE, detail, "database_unavailable", _retry_after(5))
        return None
    if reader is not None and reader.actor.can(VIEW_OWN):
        return reader
    if reader is not None:
        await _refuse(send, HTTPStatus.FORBIDDEN, "Your role may not see jobs.", "permission_denied")
    elif not credentials.api_key:
        await _refuse(send, HTTPStatus.UNAUTHORIZED, NOTHING_SENT, "not_authenticated", CHALLENGE)
    elif wait := await asyncio.to_thread(logins.note_bad_key, credentials.address):
        detail = "Too many bad API keys came from this address."
        await _refuse(send, HTTPStatus.TOO_MANY_REQUESTS, detail, "too_many_attempts", _retry_after(wait))
    else:
        await _refuse(send, HTTPStatus.UNAUTHORIZED, BAD_KEY, "invalid_api_key", CHALLENGE)
    return None


async def _serve(
    hub: EventHub,
    scope: HTTPScope,
    reader: Reader,
    last_id: int | None,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
) -> None:
    """Write the stream until the reader leaves, does not keep up, may not read it, or has been here for very long."""
    listener = await hub.join(reader)
    endings = [
        asyncio.create_task(_write(hub, listener, last_id, send)),
        asyncio.create_task(_wait_for_disconnect(receive)),
        asyncio.create_task(listener.is_cut.wait()),
    ]
    try:
        await asyncio.wait(endings, timeout=LONGEST_STREAM_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(listener)
        for task in endings:
            task.cancel()
        results = await asyncio.gather(*endings, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError):
                logger.error("event stream ended by an error", exc_info=result)
    try:
        # Waits for room in the connection, which a reader that does not read never makes.
        async with asyncio.timeout(FAREWELL_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except OSError:
        abort(scope)


async def _write(hub: EventHub, listener: Listener, last_id: int | None, send: ASGISendCallable) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS, "trailers": False})
    await _send_body(send, opening(listener.after_id if last_id is None else None))
    if last_id is not None and listener.after_id is not None:
        for data in await _missed(hub, listener.reader.actor, last_id, listener.after_id):
            await _send_body(send, data)
    clock = asyncio.get_running_loop().time
    keep_alive_at = clock() + KEEP_ALIVE_SECONDS
    while True:
        # By the clock and not after a silence: who waits for it may not look at anything else.
        if clock() >= keep_alive_at:
            await _send_body(send, KEEP_ALIVE)
            keep_alive_at = clock() + KEEP_ALIVE_SECONDS
        try:
            async with asyncio.timeout_at(keep_alive_at):
                data = await listener.take()
        except TimeoutError:
            continue
        await _send_body(send, data)


async def _missed(hub: EventHub, actor: Actor, last_id: int, newest_id: int) -> Sequence[bytes]:
    """What a returning reader has not seen yet, or the word that it has to read everything anew.

    So too for an id that was never given here: its reader comes from another store, or from before this one was reset.
    """
    if last_id == newest_id:
        return []
    if last_id > newest_id:
        return [resync(newest_id)]
    try:
        events = await hub.ask_database(history.missed_between, last_id, newest_id, actor)
    except DatabaseError as error:
        logger.warning("missed events not readable; the reader is told to read anew", error=str(error))
        return [resync(newest_id)]
    if events is None:
        return [resync(newest_id)]
    starts = range(0, len(events), REPLAY_CHUNK_EVENTS)
    chunks = [b"".join(map(frame, events[start : start + REPLAY_CHUNK_EVENTS])) for start in starts]
    if not events or events[-1].id < newest_id:
        # The last ones were for others: the next time they are not looked through again.
        chunks.append(cursor(newest_id))
    return chunks


async def _send_body(send: ASGISendCallable, body: bytes) -> None:
    """Write, and wait until there is room. Raises ``TimeoutError`` if the reader makes none."""
    async with asyncio.timeout(WRITE_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _wait_for_disconnect(receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _address(scope: HTTPScope) -> str:
    """Whom a stream counts for."""
    peer = scope.get("client")
    forwarded_for = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer[0] if peer else "unknown", forwarded_for, settings.TRUSTED_PROXIES)


def _last_event_id(scope: HTTPScope, headers: dict[str, str]) -> int | None:
    """The id after which to go on, from the header or the query; anything that is no number is not heeded."""
    text = headers.get("last-event-id", "").strip() or next(_ids_in_query(scope["query_string"]), "")
    if not text.isascii() or not text.isdecimal():
        return None
    return int(text) if len(text) <= LONGEST_ID else LARGEST_ID


def _ids_in_query(query: bytes) -> Iterator[str]:
    """Clients write the name as ``last_event_id`` or ``lastEventId``."""
    for name, values in parse_qs(query.decode("latin-1")).items():
        if name.replace("_", "").lower() == "lasteventid":
            yield values[-1].strip()


def _is_ours(headers: dict[str, str]) -> bool:
    """Whether the request was meant for us and comes from our own page (or from no page)."""
    host = headers.get("host", "")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _retry_after(seconds: float) -> list[tuple[bytes, bytes]]:
    return [(b"retry-after", str(ceil(seconds)).encode())]


async def _refuse(
    send: ASGISendCallable,
    status: HTTPStatus,
    detail: str,
    code: str,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    all_headers: list[Any] = [*REFUSAL_HEADERS, *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": all_headers, "trailers": False})
    body = orjson.dumps({"detail": detail, "code": code})
    await send({"type": "http.response.body", "body": body, "more_body": False})
