"""The wire format of server-sent events (WHATWG HTML, section 9.2)."""

import orjson

from jobs.services.history import Event

# How long a browser waits before it connects again, in milliseconds.
OPENING = b"retry: 3000\n: connected\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def frame(event: Event) -> bytes:
    """One ``message`` event. Its id is what the browser sends back as ``Last-Event-ID``."""
    return b"id: %d\nevent: message\ndata: %s\n\n" % (event.id, orjson.dumps(event.body))


def resync(newest_id: int) -> bytes:
    """Tells a reader that too much was missed to be replayed: read everything anew, and go on from here."""
    return b'id: %d\nevent: message\ndata: {"type":"resync"}\n\n' % newest_id
