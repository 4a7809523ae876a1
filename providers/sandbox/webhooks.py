"""Telling the URLs that jobs were created with what happens to the jobs: signed, and as unreliably as asked."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from ipaddress import ip_address
from random import Random
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests

from . import payloads
from .account import Account
from .plan import JobPlan, Kind
from .signing import PUBLISHED_TEST_SECRET, signature
from .trajectory import moment

LOOK_EVERY_SECONDS = 0.1
LOGS_AT_MOST_EVERY_SECONDS = 0.5
"""Replicate's own throttle of `logs` and `output` events."""
USUAL_EVENTS = ("output", "completed")
"""What is sent if a job was created without a filter."""
PAUSES_BEFORE_RETRIES = (0.5, 1.0, 2.0, 4.0)
"""Of terminal events only; all others are sent once. Replicate goes on for about a minute."""
ANSWER_WITHIN_SECONDS = 10.0
LAST_DELIVERIES = 500


@dataclass
class Disorder:
    """How deliveries are to go wrong: shares from 0 to 1, drawn from `seed`, and real seconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_seconds: float = 0.0
    shuffle_seconds: float = 0.0
    """Each delivery waits a random part of this, so that later ones overtake earlier ones."""
    seed: int = 0

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Disorder:
        """Raises ValueError for keys and values that make no sense."""
        if unknown := content.keys() - {known.name for known in fields(cls)}:
            raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
        if any(
            isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 for value in content.values()
        ):
            raise ValueError("every value must be a number from 0 on")
        return cls(**content)


@dataclass
class Delivery:
    """One event and what became of it: a status code per attempt, None where there was no answer."""

    job: str
    event: str
    url: str
    webhook_id: str
    at: float
    fate: str = "pending"
    """pending, delivered, failed, dropped or refused."""
    answers: list[int | None] = field(default_factory=list)


@dataclass
class _Told:
    """What a job's URL has been told so far."""

    status: str = "starting"
    log_length: int = 0
    logs_at: float = 0.0


class Webhooks:
    """Looks at the jobs again and again, because nothing in the sandbox ticks by itself."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._told: dict[str, _Told] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._deliveries: deque[Delivery] = deque(maxlen=LAST_DELIVERIES)
        self.set_disorder(Disorder())
        now = account.clock.now()
        for job in account.jobs():
            if job.webhook is not None:
                # What happened before this process began was told, or lost, by the one before.
                self._told[job.id] = _Told(status=moment(job, now).status)

    async def run(self) -> None:
        try:
            while True:
                self._look()
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()

    def set_disorder(self, disorder: Disorder) -> None:
        self._disorder = disorder
        self._dice = Random(disorder.seed)

    def forget(self) -> None:
        self._deliveries.clear()

    def to_json(self) -> dict[str, Any]:
        """The disorder in force, and the newest deliveries last."""
        return {"disorder": asdict(self._disorder), "deliveries": [asdict(item) for item in self._deliveries]}

    def _look(self) -> None:
        now = self._account.clock.now()
        for job in [job for job in self._account.jobs() if job.webhook is not None]:
            wanted = USUAL_EVENTS if job.webhook_events_filter is None else job.webhook_events_filter
            events = [event for event in self._news(job, now) if event in wanted]
            if events:
                self._announce(job, events, now)

    def _news(self, job: JobPlan, now: float) -> Iterator[str]:
        """The events that have happened to a job since the last look."""
        told, standing = self._told.setdefault(job.id, _Told()), moment(job, now)
        before, told.status = told.status, standing.status
        if before == "starting" and standing.started_at is not None:
            yield "start"
        if standing.status == "processing" and time.monotonic() - told.logs_at >= LOGS_AT_MOST_EVERY_SECONDS:
            length = len(self._payload(job, now)["logs"] or "")
            if length > told.log_length:
                told.log_length, told.logs_at = length, time.monotonic()
                yield "logs"
        if standing.is_terminal and standing.status != before:
            if standing.status == "succeeded":
                yield "output"
            yield "completed"

    def _announce(self, job: JobPlan, events: list[str], now: float) -> None:
        body = orjson.dumps(self._payload(job, now))
        for event in events:
            delivery = Delivery(job.id, event, job.webhook or "", f"msg_{secrets.token_urlsafe(20)}", time.time())
            self._deliveries.append(delivery)
            if not self._account.options.allow_webhooks_anywhere and not _is_this_machine(delivery.url):
                delivery.fate = "refused"
            elif self._dice.random() < self._disorder.drop:
                delivery.fate = "dropped"
            else:
                for _ in range(2 if self._dice.random() < self._disorder.duplicate else 1):
                    wait = self._disorder.delay_seconds + self._dice.random() * self._disorder.shuffle_seconds
                    task = asyncio.get_running_loop().create_task(_deliver(delivery, body, wait))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    def _payload(self, job: JobPlan, now: float) -> payloads.Json:
        options = self._account.options
        return payloads.full(
            job,
            now=now,
            origin=options.public_url,
            retention_seconds=options.retention_seconds,
            urls_of=Kind.PREDICTION,
        )


async def _deliver(delivery: Delivery, body: bytes, wait: float) -> None:
    """Send, and send again with the same id if it is the end of a job that was not heard."""
    await asyncio.sleep(wait)
    for pause in (*PAUSES_BEFORE_RETRIES, None) if delivery.event == "completed" else (None,):
        answer = await _post(delivery, body)
        delivery.answers.append(answer)
        if answer is not None and 200 <= answer < 300:
            delivery.fate = "delivered"
            return
        if pause is not None:
            await asyncio.sleep(pause)
    delivery.fate = "failed"


async def _post(delivery: Delivery, body: bytes) -> int | None:
    """The status of the answer; None without one. The thread is a daemon, to let no slow receiver delay our end."""
    timestamp = int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(PUBLISHED_TEST_SECRET, delivery.webhook_id, timestamp, body),
    }
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[int | None] = loop.create_future()

    def tell(status: int | None) -> None:
        if not answered.done():
            answered.set_result(status)

    def send() -> None:
        status = None
        with suppress(requests.RequestException):
            # Redirects are not followed, as Replicate follows none.
            status = requests.post(
                delivery.url, data=body, headers=headers, timeout=ANSWER_WITHIN_SECONDS, allow_redirects=False
            ).status_code
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(tell, status)

    threading.Thread(target=send, name="webhook", daemon=True).start()
    return await answered


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
