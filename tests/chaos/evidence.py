"""When the faults are over: let the system settle, within a bounded time, then gather what the verdict is made from."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import redis
import requests

from tests.chaos.listeners import Listener
from tests.chaos.system import POLL_SECONDS, RECONCILE_SECONDS, STREAMS_PER_ADDRESS, System
from tests.chaos.verdict import STATUSES, TERMINAL, Change, Kept, Truth, parse_time, wrong_jobs

SETTLE_SECONDS = 3 * POLL_SECONDS + RECONCILE_SECONDS
"""What the product may take until it has heard of everything: three rounds of the poller, or one reconcile."""
SLACK_SECONDS = 30.0
"""For a machine that has something else to do."""
LOG_CAPTURE_SECONDS, SHORT_LOG_CAPTURE_SECONDS = 90.0, 5.0
"""The product looks for a log soon after the end, and believes that there is none after a minute. In a short run it is
asked instead."""
REDIS_AND_STREAMS_SECONDS = 75.0
"""The places of a killed web process are free again within a minute."""
PROVIDER_KEEPS_SECONDS = 3600.0
LOOK_SECONDS = 1.0
PAGE_ROWS = 1000
KINDS = ("predictions", "trainings")


@dataclass(frozen=True)
class Outcome:
    """What was found in the end. ``late_logs``: how many were only read when somebody asked for them."""

    truths: Sequence[Truth]
    jobs: Sequence[Kept]
    changes: Sequence[Change]
    problems: Sequence[str]
    late_logs: int


class Auditor:
    """Looks at the system from outside: by its API, its database and the provider."""

    def __init__(
        self, system: System, listeners: Sequence[Listener], *, is_short: bool, say: Callable[[str], None]
    ) -> None:
        self._log_capture_seconds = SHORT_LOG_CAPTURE_SECONDS if is_short else LOG_CAPTURE_SECONDS
        self._system = system
        self._listeners = listeners
        self._say = say
        self._problems: list[str] = []

    def gather(self) -> Outcome:
        """Let everything settle, then let an hour pass at the provider and look at what is left."""
        self._system.product.wait_until_ready()
        self._sync()
        self._settle()
        self._say("waiting for health, an empty queue and free streams")
        self._require(self._is_healthy, POLL_SECONDS * 4 + SLACK_SECONDS, "the product does not become healthy again")
        self._require(self._has_no_backlog, SLACK_SECONDS, "messages are left in the queue")
        self._require(self._has_free_streams, REDIS_AND_STREAMS_SECONDS, "places of event streams are not given back")
        self._say("waiting for the last logs")
        late_logs = self._read_late_logs()
        truths = self.truths()
        self._say("an hour passes: the provider deletes logs and outputs")
        self._system.sandbox.control("POST", "/clock", {"advance": 2 * PROVIDER_KEEPS_SECONDS})
        self._sync()
        changes = self._changes()
        self._require(
            lambda: self._have_heard_all(changes), SLACK_SECONDS, "listeners do not hear of the newest changes"
        )
        return Outcome(truths, self._with_logs(self.jobs()), self._changes(), tuple(self._problems), late_logs)

    def truths(self) -> list[Truth]:
        """Every job of the provider, in full."""
        return [
            Truth.from_payload(self._system.sandbox.get(f"/v1/{kind}/{row['id']}"))
            for kind in KINDS
            for row in self._rows(kind)
        ]

    def jobs(self) -> list[Kept]:
        """Every job of the product, without its log."""
        rows = self._system.database.rows("SELECT job_id, logs_state FROM jobs_unifiedjob")
        states: dict[str, str] = dict(rows)
        found: list[Kept] = []
        while True:
            page = self._get(f"/api/cloud/jobs?limit={PAGE_ROWS}&offset={len(found)}")
            found.extend(_kept(job, states.get(job["job_id"], "")) for job in page["jobs"])
            if len(page["jobs"]) < PAGE_ROWS:
                break
        if len(found) != len(states):
            self._problems.append(f"the list has {len(found)} jobs, the table {len(states)}")
        return found

    def _rows(self, kind: str) -> list[Any]:
        """Every row of one of the provider's lists."""
        rows: list[Any] = []
        path: str | None = f"/v1/{kind}"
        while path:
            page = self._system.sandbox.get(path)
            rows.extend(page["results"])
            path = page["next"].removeprefix(self._system.sandbox.url) if page["next"] else None
        return rows

    def _settle(self) -> None:
        """Wait until all jobs have ended at the provider, and then until the product knows of it."""
        self._say("waiting for the last jobs to end")
        while any(STATUSES[row["status"]] not in TERMINAL for kind in KINDS for row in self._rows(kind)):
            time.sleep(LOOK_SECONDS)
        begun = time.monotonic()
        truths = self.truths()
        self._wait_for(lambda: not list(wrong_jobs(truths, self.jobs())), SETTLE_SECONDS + SLACK_SECONDS)
        seconds = time.monotonic() - begun
        self._say(f"settled after {seconds:.1f} s")
        self._problems.extend(f"{wrong} ({seconds:.0f} s after its end)" for wrong in wrong_jobs(truths, self.jobs()))

    def _sync(self) -> None:
        """Press Sync, and let the whole history be walked through, as somebody does after a bad day."""
        validated = requests.get(f"{self._system.product.url}/api/cloud/providers/replicate/validate", timeout=30)
        if not validated.ok:
            self._problems.append(f"the provider could not be validated: {validated.status_code}")
        for query in ("", "?history=true"):
            self._require(partial(self._press, query), SETTLE_SECONDS + SLACK_SECONDS, f"sync{query} does not succeed")
        self._require(self._has_walked, SETTLE_SECONDS + SLACK_SECONDS, "the walk through the history does not end")

    def _press(self, query: str) -> bool:
        answer = requests.post(f"{self._system.product.url}/api/cloud/jobs/sync{query}", timeout=60)
        return answer.ok

    def _has_walked(self) -> bool:
        return not self._system.database.rows("SELECT id FROM jobs_historywalk WHERE state = 'running'")

    def _is_healthy(self) -> bool:
        return bool(self._get("/api/cloud/health")["status"] == "healthy")

    def _has_no_backlog(self) -> bool:
        """Whether at some moment no message waits in the broker."""
        with self._system.product.redis() as client:
            try:
                return not any(client.llen(key) for key in client.scan_iter(_type="list"))
            except redis.RedisError:
                return False

    def _has_free_streams(self) -> bool:
        """Whether exactly as many streams can be opened as the limit leaves beside our listeners."""
        if not all(listener.is_open for listener in self._listeners):
            return False
        with _open_streams(self._system.product.url, STREAMS_PER_ADDRESS + 1) as opened:
            return opened == STREAMS_PER_ADDRESS - len(self._listeners)

    def _have_heard_all(self, changes: Sequence[Change]) -> bool:
        newest = max((change.row for change in changes), default=0)
        return all(listener.newest_event >= newest for listener in self._listeners)

    def _read_late_logs(self) -> int:
        """Wait for the capture of logs, then ask for those that are still to come, as somebody who opens the job does.

        A log that could not be read at the job's end may have its next try later, within the provider's hour; one that
        has no next try is left alone, for the verdict to find.
        """
        ended = "status IN ('completed', 'failed', 'cancelled')"
        unread = f"SELECT job_id FROM jobs_unifiedjob WHERE {ended} AND logs_state = 'live'"
        self._wait_for(lambda: not self._system.database.rows(unread), self._log_capture_seconds)
        late = self._system.database.rows(f"{unread} AND next_log_capture_at IS NOT NULL")
        for (job_id,) in late:
            self._get(f"/api/cloud/jobs/{job_id}/logs")
        return len(late)

    def _with_logs(self, jobs: Sequence[Kept]) -> list[Kept]:
        found = []
        for job in jobs:
            answer = requests.get(f"{self._system.product.url}/api/cloud/jobs/{job.job_id}/logs", timeout=30)
            found.append(replace(job, log=answer.json()["logs"] if answer.status_code == HTTPStatus.OK else None))
        return found

    def _changes(self) -> list[Change]:
        query = (
            "SELECT c.id, j.job_id, c.previous, c.status FROM jobs_statuschange c"
            " JOIN jobs_unifiedjob j ON j.id = c.job_id ORDER BY c.id"
        )
        return [Change(*row) for row in self._system.database.rows(query)]

    def _get(self, path: str) -> Any:
        answer = requests.get(self._system.product.url + path, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _require(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        if not self._wait_for(condition, seconds):
            self._problems.append(f"{otherwise} within {seconds:.0f} s")
            self._say(self._problems[-1])

    def _wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True


@contextmanager
def _open_streams(url: str, most: int) -> Iterator[int]:
    """Open event streams until one is refused, at most so many; yields how many are open."""
    connections: list[http.client.HTTPConnection] = []
    try:
        for _ in range(most):
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
            connections.append(connection)
            connection.request("GET", "/api/events")
            if connection.getresponse().status != HTTPStatus.OK:
                yield len(connections) - 1
                return
        yield most
    finally:
        for connection in connections:
            connection.close()


def _kept(job: Mapping[str, Any], logs_state: str) -> Kept:
    cost = job["cost_usd"]
    return Kept(
        job_id=job["job_id"],
        external_id=job["external_id"],
        status=job["status"],
        started_at=parse_time(job["started_at"]),
        completed_at=parse_time(job["completed_at"]),
        cost_usd=None if cost is None else Decimal(str(cost)),
        error=job["error_message"],
        output_url=job["output_url"],
        logs_state=logs_state,
    )
