"""Whether the product came through. Pure: evidence in, sentences about what is wrong out; none means it did.

It knows the contract and the provider's documentation, not the product: nothing of the code under test is imported.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

STATUSES = {
    "starting": "queued",
    "processing": "running",
    "succeeded": "completed",
    "failed": "failed",
    "canceled": "cancelled",
    "aborted": "cancelled",
}
ORDER = ("pending", "uploading", "queued", "running")
TERMINAL = frozenset({"completed", "failed", "cancelled"})

# US dollars a second (replicate.com/pricing), of the machines that the models of the simulated account name.
PRICES = {
    "simpletuner/advanced-trainer-h100": Decimal("0.001525"),
}

EVENT, RESYNC = "job_status_changed", "resync"
STRANGER_STATUSES = frozenset({500})
"""What no client may ever see, whatever goes wrong. 502, 503 and 504 say whose trouble it is and when to come back."""

TROUBLE = re.compile(
    r"level=(?:error|critical)|Traceback \(most recent call last\)|database is locked|unforeseen", re.IGNORECASE
)


@dataclass(frozen=True)
class Truth:
    """A job as its provider tells it in the end, without faults; ``log`` is the whole of it."""

    external_id: str
    status: str
    model: str | None
    started_at: datetime | None
    completed_at: datetime | None
    run_seconds: float | None
    error: str | None
    output_url: str | None
    log: str

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Truth:
        """Read Replicate's object of one job."""
        output = payload.get("output")
        if isinstance(output, dict):
            output = output.get("weights")
        elif isinstance(output, list):
            output = output[0] if output else None
        return cls(
            external_id=payload["id"],
            status=payload["status"],
            model=payload.get("model"),
            started_at=parse_time(payload.get("started_at")),
            completed_at=parse_time(payload.get("completed_at")),
            run_seconds=payload["metrics"].get("predict_time"),
            error=payload.get("error"),
            output_url=output,
            log=payload.get("logs") or "",
        )

    @property
    def is_terminal(self) -> bool:
        return STATUSES[self.status] in TERMINAL

    @property
    def cost_usd(self) -> Decimal | None:
        """Billed seconds at the machine's price; None where the machine is not known."""
        if self.status == "aborted":
            return Decimal(0)
        price = PRICES.get(self.model or "")
        if price is None or self.run_seconds is None:
            return None
        return (price * Decimal(str(self.run_seconds))).quantize(Decimal("0.000001"))


@dataclass(frozen=True)
class Kept:
    """A job as the product tells it. ``log`` was read from it when the provider had deleted its own."""

    job_id: str
    external_id: str | None
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    cost_usd: Decimal | None
    error: str | None
    output_url: str | None
    logs_state: str = "saved"
    log: str | None = None


@dataclass(frozen=True)
class Change:
    """A row of the status history. ``row`` is its id, and that of its event."""

    row: int
    job_id: str
    previous: str | None
    status: str


@dataclass(frozen=True)
class Heard:
    """One event as one listener got it."""

    id: int
    type: str
    job_id: str | None = None
    previous: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a client's request came to; no status: no answer."""

    request: str
    status: int | None


@dataclass(frozen=True)
class Expected:
    """A kind of log line that faults of ours cause, and why it is right that it is there."""

    pattern: re.Pattern[str]
    reason: str


def wrong_jobs(truths: Iterable[Truth], jobs: Iterable[Kept]) -> Iterator[str]:
    """Jobs that are missing, doubled or invented, or of which we say something else than their provider."""
    kept: dict[str | None, list[Kept]] = defaultdict(list)
    for job in jobs:
        kept[job.external_id].append(job)
    for truth in truths:
        ours = kept.pop(truth.external_id, [])
        if not ours:
            yield f"job {truth.external_id} ({truth.status}) is missing"
        elif len(ours) > 1:
            yield f"job {truth.external_id} is there {len(ours)} times"
        else:
            yield from _differences(truth, ours[0])
    for external_id in kept:
        yield f"job {external_id} is not known to its provider"


def _differences(truth: Truth, job: Kept) -> Iterator[str]:
    pairs: dict[str, tuple[object, object]] = {
        "status": (STATUSES[truth.status], job.status),
        "started_at": (truth.started_at, job.started_at),
    }
    if truth.is_terminal:
        pairs |= {
            "completed_at": (truth.completed_at, job.completed_at),
            "cost_usd": (truth.cost_usd, job.cost_usd),
            "output_url": (truth.output_url, job.output_url),
        }
        if truth.status != "aborted":  # of which the provider says nothing, and we in words of our own
            pairs["error"] = (truth.error, job.error)
    for name, (expected, found) in pairs.items():
        if expected != found:
            yield f"job {truth.external_id}: {name} is {found!s}, its provider says {expected!s}"


def broken_history(jobs: Iterable[Kept], changes: Iterable[Change]) -> Iterator[str]:
    """Transitions without a row, with two rows, or backwards."""
    chains: dict[str, list[Change]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: change.row):
        chains[change.job_id].append(change)
    for job in jobs:
        chain = chains.pop(job.job_id, [])
        if not chain:
            yield f"job {job.job_id} has no history"
            continue
        before: str | None = None
        for change in chain:
            if change.previous != before:
                yield f"job {job.job_id}: row {change.row} goes on from {change.previous} where {before} was reached"
            if before is not None and not _is_forward(before, change.status):
                yield f"job {job.job_id}: row {change.row} goes from {before} to {change.status}"
            before = change.status
        if before != job.status:
            yield f"job {job.job_id} is {job.status}, its history ends with {before}"
    for job_id in chains:
        yield f"there is a history of job {job_id}, but no job"


def _is_forward(before: str, after: str) -> bool:
    if before in TERMINAL:
        return False
    return after in TERMINAL or ORDER.index(after) > ORDER.index(before)


def wrong_events(changes: Iterable[Change], listeners: Mapping[str, Sequence[Heard]]) -> Iterator[str]:
    """Events that a listener lacks, got twice, out of order or with another content than their row.

    A ``resync`` tells a listener to read everything anew: up to its id, events may be missing from then on.
    """
    rows = {change.row: change for change in changes}
    for name, heard in listeners.items():
        newest = 0
        missing = set(rows)
        for event in heard:
            if event.type == RESYNC:
                missing -= {row for row in missing if row <= event.id}
                newest = max(newest, event.id)
            elif event.type == EVENT:
                if event.id <= newest:
                    yield f"listener {name} heard event {event.id} after {newest}"
                newest = max(newest, event.id)
                missing.discard(event.id)
                row = rows.get(event.id)
                told = Change(event.id, event.job_id or "", event.previous, event.status or "")
                if row is None:
                    yield f"listener {name} heard event {event.id}, of which there is no row"
                elif row != told:
                    yield f"listener {name} heard {told}, the row says {row}"
        if missing:
            yield f"listener {name} lacks {len(missing)} events: {_some(sorted(missing))}"


def lost_logs(truths: Iterable[Truth], jobs: Iterable[Kept]) -> Iterator[str]:
    """Ended jobs whose log is not, to the last character, the one that their provider had."""
    kept = {job.external_id: job for job in jobs}
    for truth in truths:
        job = kept.get(truth.external_id)
        if job is None or not truth.is_terminal:
            continue
        if job.log != truth.log:
            kept_length = "none" if job.log is None else str(len(job.log))
            yield (
                f"job {truth.external_id}: its log has {len(truth.log)} characters, kept are {kept_length}"
                f" ({job.logs_state})"
            )
        elif truth.log and job.logs_state != "saved":
            yield f"job {truth.external_id}: its log was kept whole, and counts as {job.logs_state}"


def wrong_answers(answers: Iterable[Answer]) -> Iterator[str]:
    """Requests that clients got a 500 for."""
    wrong = Counter(answer.request for answer in answers if answer.status in STRANGER_STATUSES)
    for request, times in wrong.items():
        yield f"{request} was answered with 500, {times} times"


def unexpected_lines(lines: Iterable[str], allowed: Sequence[Expected]) -> Iterator[str]:
    """Errors and tracebacks in the log that no fault of ours explains; each kind once."""
    found: Counter[str] = Counter()
    for line in lines:
        if TROUBLE.search(line) and not any(expected.pattern.search(line) for expected in allowed):
            found[_without_circumstances(line)] += 1
    for line, times in found.items():
        yield f"the log has, {times} times: {line[:1500]}"


def _without_circumstances(line: str) -> str:
    """The line without times, numbers and job ids, so that the same trouble reads the same."""
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f-]{32,36}\b|\b[0-9a-z]{26}\b|\bmsg_[\w-]+|\b\d[\d.:TZ-]*\b", "#", line)


def late_restarts(seconds_until_restart: Mapping[str, Sequence[float | None]], *, within: float) -> Iterator[str]:
    """Killed processes that were not started again in time; None: not at all."""
    for process, all_seconds in seconds_until_restart.items():
        for seconds in all_seconds:
            if seconds is None or seconds > within:
                fate = "stayed away" if seconds is None else f"came back after {seconds:.1f} s"
                yield f"{process} was killed and {fate}"


def parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _some(values: Sequence[int], most: int = 10) -> str:
    return ", ".join(map(str, values[:most])) + (", …" if len(values) > most else "")
