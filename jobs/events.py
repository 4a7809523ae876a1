"""Typed events, and the only place that sends them.

A change of status is one row of the status history. What is sent of it here merely wakes the readers, which then read
the history: an event that could not be sent is late by a few seconds, not lost.

An announcement is transient: it stands nowhere, and whoever does not hear it has missed it.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypedDict

import orjson
import redis
import structlog
from django.db import transaction
from django_eventstream import send_event

from jobs.channels import jobs_channel
from jobs.models import StatusChange

logger = structlog.get_logger(__name__)

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"

STATUS_CHANGED = "job_status_changed"
ANNOUNCED_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Of these only the stream itself may speak.
RESERVED_KINDS = frozenset({STATUS_CHANGED, "resync"})
# Every open page gets each of them.
LARGEST_ANNOUNCEMENT_BYTES = 8192
# The announcement as a string of JSON inside of JSON, where each quote and each letter beyond ASCII takes more room.
LARGEST_MESSAGE_BYTES = 8 * LARGEST_ANNOUNCEMENT_BYTES

# While Redis is away each attempt costs its connection timeout: a batch of changes must not wait for each of them.
PAUSE_AFTER_FAILURE_SECONDS = 5.0
_paused_until = 0.0


class JobStatusChanged(TypedDict):
    """What ``job_status_changed`` tells (SPEC A6.1): a hint to read the job again, not the job."""

    type: str
    job_id: str
    status: str
    previous: str | None
    provider: str
    source: str
    at: str


def payload(change: StatusChange) -> JobStatusChanged:
    """The event for one row of the history; ``change.job`` must be at hand."""
    return JobStatusChanged(
        type=STATUS_CHANGED,
        job_id=change.job.job_id,
        status=change.status,
        previous=change.previous,
        provider=change.job.provider,
        source=change.source,
        at=change.recorded_at.isoformat().replace("+00:00", "Z"),
    )


def job_status_changed(change: StatusChange) -> None:
    """Send the event after the commit; without a transaction, at once."""
    body = payload(change)
    transaction.on_commit(lambda: _send(body), robust=True)


def announce(kind: str, facts: Mapping[str, JSON]) -> None:
    """Tell all open pages ``{"type": kind, **facts}`` once, after the commit; without a transaction, at once.

    For what a page can also read elsewhere: nobody is told later, and while Redis is away nobody is told at all. One of
    more than ``LARGEST_ANNOUNCEMENT_BYTES`` is not sent. Raises ``ValueError`` for a kind that is reserved or no word,
    for a fact named ``type``, and for numbers that JSON does not know.
    """
    if not is_announced_kind(kind) or "type" in facts:
        raise ValueError(f"not an announcement: {kind!r}")
    body: dict[str, JSON] = {"type": kind, **facts}
    size = len(json.dumps(body, allow_nan=False).encode())
    if size > LARGEST_ANNOUNCEMENT_BYTES:
        logger.warning("announcement is too large and was not sent", kind=kind, bytes=size)
        return
    transaction.on_commit(lambda: _send(body), robust=True)


def is_announced_kind(kind: object) -> bool:
    """Whether ``type`` of a message is one that an announcement may have."""
    return isinstance(kind, str) and ANNOUNCED_KIND.fullmatch(kind) is not None and kind not in RESERVED_KINDS


def read_announcement(message: bytes) -> bytes | None:
    """The announcement in a message from Redis, as one line of JSON; ``None`` if it holds none of this store's.

    Anybody who reaches Redis can publish there, so nothing about a message is taken for granted.
    """
    if len(message) > LARGEST_MESSAGE_BYTES:
        return None
    try:
        envelope = orjson.loads(message)
        if not isinstance(envelope, dict) or envelope.get("channel") != jobs_channel():
            return None
        body = orjson.loads(envelope.get("data", ""))
        if not isinstance(body, dict) or not is_announced_kind(body.get("type")):
            return None
        line = orjson.dumps(body)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # The second for what is nested too deeply.
        return None
    return line if len(line) <= LARGEST_ANNOUNCEMENT_BYTES else None


def _send(body: JobStatusChanged | dict[str, JSON]) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        send_event(jobs_channel(), "message", body)
    except redis.RedisError as error:
        _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("event not sent; readers will find a change in the history", type=body["type"], error=str(error))
