"""Typed events, and the only place that sends them.

A change of status is one row of the status history. What is sent of it here merely wakes the readers, which then read
the history: an event that could not be sent is late by a few seconds, not lost.

An announcement is transient: it stands nowhere, and whoever does not hear it has missed it.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypedDict

import orjson
import redis
import structlog
from django.db import transaction
from django_eventstream import send_event

from jobs.access import VIEW_ALL, Actor
from jobs.channels import jobs_channel
from jobs.models import StatusChange, UnifiedJob

logger = structlog.get_logger(__name__)

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"

STATUS_CHANGED = "job_status_changed"
ANNOUNCED_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Of these only the stream itself may speak.
RESERVED_KINDS = frozenset({STATUS_CHANGED, "resync"})
# Beside the facts on the way through Redis; readers do not get it.
AUDIENCE = "audience"
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


@dataclass(frozen=True, slots=True)
class Audience:
    """Who hears an announcement: all, those who have ``permission``, or the owner of a job and who sees all jobs."""

    permission: str = ""
    owner_id: int | None = None
    is_everyone: bool = False

    def includes(self, actor: Actor) -> bool:
        if self.is_everyone:
            return True
        if self.permission:
            return actor.can(self.permission)
        return actor.may_see(self.owner_id)

    def as_facts(self) -> dict[str, JSON]:
        return {"permission": self.permission, "owner_id": self.owner_id, "is_everyone": self.is_everyone}


# Whoever does not say for whom an announcement is has not thought of those who may not hear it.
THOSE_WHO_SEE_ALL = Audience(permission=VIEW_ALL)
EVERYONE = Audience(is_everyone=True)


def owner_of(job: UnifiedJob) -> Audience:
    """Those for whom the job exists at all."""
    return Audience(owner_id=job.owner_id)


def announce(kind: str, facts: Mapping[str, JSON], audience: Audience = THOSE_WHO_SEE_ALL) -> None:
    """Tell open pages ``{"type": kind, **facts}`` once, after the commit; without a transaction, at once.

    For what a page can also read elsewhere: nobody is told later, and while Redis is away nobody is told at all. One of
    more than ``LARGEST_ANNOUNCEMENT_BYTES`` is not sent. Raises ``ValueError`` for a kind that is reserved or no word,
    for a fact named ``type`` or ``audience``, and for numbers that JSON does not know.
    """
    if not is_announced_kind(kind) or "type" in facts or AUDIENCE in facts:
        raise ValueError(f"not an announcement: {kind!r}")
    body: dict[str, JSON] = {"type": kind, **facts}
    size = len(json.dumps(body, allow_nan=False).encode())
    if size > LARGEST_ANNOUNCEMENT_BYTES:
        logger.warning("announcement is too large and was not sent", kind=kind, bytes=size)
        return
    if audience != THOSE_WHO_SEE_ALL:
        body[AUDIENCE] = audience.as_facts()
    transaction.on_commit(lambda: _send(body), robust=True)


def is_announced_kind(kind: object) -> bool:
    """Whether ``type`` of a message is one that an announcement may have."""
    return isinstance(kind, str) and ANNOUNCED_KIND.fullmatch(kind) is not None and kind not in RESERVED_KINDS


@dataclass(frozen=True, slots=True)
class Announcement:
    """One line of JSON, and who may read it."""

    line: bytes
    audience: Audience


def read_announcement(message: bytes) -> Announcement | None:
    """The announcement in a message from Redis; ``None`` if it holds none of this store's.

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
        audience = _audience(body.pop(AUDIENCE, None))
        line = orjson.dumps(body)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # The second for what is nested too deeply.
        return None
    return Announcement(line, audience) if len(line) <= LARGEST_ANNOUNCEMENT_BYTES else None


def _audience(facts: object) -> Audience:
    """Who is meant; of what cannot be understood, those who see everything anyway."""
    match facts:
        case {"permission": str(permission), "owner_id": int() | None as owner_id, "is_everyone": bool(is_everyone)}:
            return Audience(permission, owner_id, is_everyone)
    return THOSE_WHO_SEE_ALL


def _send(body: JobStatusChanged | dict[str, JSON]) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        send_event(jobs_channel(), "message", body)
    except redis.RedisError as error:
        _paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("event not sent; readers will find a change in the history", type=body["type"], error=str(error))
