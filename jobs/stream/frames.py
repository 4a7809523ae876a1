"""The wire format of server-sent events (WHATWG HTML, section 9.2)."""

import orjson

from jobs.services.history import Event

# How long a browser waits before it connects again, in milliseconds.
RETRY_MILLISECONDS = 3000
# The comment is for whatever lies in between, the event for a page, which cannot see comments and has to notice a
# connection that died without a word. Listeners of ``message`` do not hear it.
KEEP_ALIVE = b': keep-alive\nevent: keep-alive\ndata: {"type":"keep-alive"}\n\n'


def opening(newest_id: int | None) -> bytes:
    """The first words of a stream.

    An id without data is no event, but a browser sends it back as ``Last-Event-ID``: so also a reader that leaves
    before the first event can be told what it missed. ``None``: the reader has an id already, or there is none yet.
    """
    cursor = b"" if newest_id is None else b"id: %d\n" % newest_id
    return b"retry: %d\n%s: connected\n\n" % (RETRY_MILLISECONDS, cursor)


def frame(event: Event) -> bytes:
    """One ``message`` event. Its id is what the browser sends back as ``Last-Event-ID``."""
    return _message(event.id, orjson.dumps(event.body))


def cursor(event_id: int) -> bytes:
    """Moves a reader's place in the history and tells it nothing: what happened up to there was not for it.

    It stands behind all events up to that id that are for the reader, never before one of them.
    """
    return b"id: %d\n\n" % event_id


def announcement(newest_id: int, body: bytes) -> bytes:
    """A transient event: it carries the id of the event before it, so that a reader's place in the history stays."""
    return _message(newest_id, body)


def resync(newest_id: int) -> bytes:
    """Tells a reader that too much was missed to be replayed: read everything anew, and go on from here."""
    return _message(newest_id, b'{"type":"resync"}')


def _message(event_id: int, data: bytes) -> bytes:
    return b"id: %d\nevent: message\ndata: %s\n\n" % (event_id, data)
