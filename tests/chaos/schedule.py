"""What goes wrong and when. Pure: a schedule follows from its seed and length alone, never from what happens meanwhile.

Every stream of actions (kills, provider faults, new jobs, ...) has dice of its own, so that a change of one of them
leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any

Json = Mapping[str, Any]

PROCESSES = ("web", "worker", "beat", "redis")
ID_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"

FULL_SECONDS = 120.0
"""A run that is shorter is a short one: everything comes faster, and the whole system is never down at once."""
KILL_ROUND_SECONDS = 65.0
"""Between two kills of one process in a long run.

The supervisor takes a process that keeps dying within a minute for a broken one and restarts it ever later, which is
right, and would make most of a run an outage.
"""
REFUSED_TOKEN = 401


class Traffic(StrEnum):
    """What people and pages do to the product."""

    SYNC = "sync"
    HISTORY = "history sync"
    LIST = "refreshed list"
    PROGRESS = "inline progress"
    LOGS = "logs"
    CANCEL = "cancel"
    PAGE = "page"


@dataclass(frozen=True)
class Kill:
    """``kill -9``."""

    process: str


@dataclass(frozen=True)
class Freeze:
    """``SIGSTOP``, and ``SIGCONT`` some seconds later."""

    process: str
    seconds: float


@dataclass(frozen=True)
class Outage:
    """The whole product goes, killed or asked to end, and comes back some seconds later."""

    is_killed: bool
    seconds: float


@dataclass(frozen=True)
class DatabaseTrouble:
    """SQLite: somebody else holds the write lock for so long. PostgreSQL: all connections are cut."""

    seconds: float


@dataclass(frozen=True)
class ProviderTrouble:
    """Fault rules of the sandbox (docs/sandbox.md) for some seconds."""

    name: str
    rules: tuple[Json, ...]
    seconds: float

    @property
    def refuses_the_token(self) -> bool:
        return any(rule.get("status") == REFUSED_TOKEN for rule in self.rules)


@dataclass(frozen=True)
class WebhookTrouble:
    """How deliveries go wrong for some seconds: the sandbox's ``drop``, ``duplicate``, ``delay_seconds``, ..."""

    name: str
    disorder: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class WebhookAddress:
    """Our webhook URL is set, which turns the fast poll off, or removed."""

    is_set: bool


@dataclass(frozen=True)
class NewJob:
    """A job begins at the provider. ``calls_us``: it was created with our webhook URL."""

    plan: Json
    calls_us: bool


@dataclass(frozen=True)
class Requests:
    """So many clients ask the same thing at once. ``choice`` (0 to 1) says of which job."""

    traffic: Traffic
    clients: int
    choice: float = 0.0


Action = (
    Kill
    | Freeze
    | Outage
    | DatabaseTrouble
    | ProviderTrouble
    | WebhookTrouble
    | WebhookAddress
    | NewJob
    | Requests
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Step:
    """An action and its time, in seconds since the beginning."""

    at: float
    action: Action = field(compare=False)


@dataclass(frozen=True)
class Schedule:
    """All that happens in a run, in order."""

    seed: int
    seconds: float
    steps: tuple[Step, ...]

    @property
    def is_short(self) -> bool:
        return self.seconds < FULL_SECONDS

    def to_text(self) -> str:
        """One line a step, for a reader who follows a failure."""
        return "\n".join(f"{step.at:8.2f}  {step.action}" for step in self.steps)


def make(seed: int, seconds: float) -> Schedule:
    """The schedule of a seed."""
    is_short = seconds < FULL_SECONDS
    streams: tuple[Iterable[Step], ...] = (
        _kills(Random(f"{seed}:kills"), seconds),
        _freezes(Random(f"{seed}:freezes"), seconds, is_short),
        () if is_short else _outages(Random(f"{seed}:outages"), seconds),
        _database(Random(f"{seed}:database"), seconds, is_short),
        _provider(Random(f"{seed}:provider"), seconds, is_short),
        _webhooks(Random(f"{seed}:webhooks"), seconds, is_short),
        _addresses(Random(f"{seed}:addresses"), seconds, is_short),
        _jobs(Random(f"{seed}:jobs"), seconds, is_short),
        _requests(Random(f"{seed}:requests"), seconds, is_short),
    )
    steps = sorted(step for stream in streams for step in stream if step.at < seconds)
    return Schedule(seed, seconds, tuple(steps))


def _kills(rng: Random, seconds: float) -> Iterator[Step]:
    """Each process once a round, each always in the same part of it: so two kills of one are a round apart."""
    round_seconds = min(KILL_ROUND_SECONDS, seconds)
    order = rng.sample(PROCESSES, len(PROCESSES))
    slot = round_seconds / len(order)
    for number in count():
        if number * round_seconds >= seconds:
            return
        for place, process in enumerate(order):
            yield Step(number * round_seconds + place * slot + rng.uniform(0.2, 0.4) * slot, Kill(process))


def _freezes(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    pause = (5.0, 9.0) if is_short else (10.0, 25.0)
    for at in _times(rng, seconds, pause):
        process = rng.choice(PROCESSES)
        longest = 2.5 if is_short else 20.0 if process in ("worker", "beat") else 8.0
        yield Step(at, Freeze(process, round(rng.uniform(0.5, longest), 2)))


def _outages(rng: Random, seconds: float) -> Iterator[Step]:
    for number, at in enumerate(_times(rng, seconds - 60.0, (100.0, 170.0))):
        yield Step(at, Outage(is_killed=number % 2 == 0, seconds=round(rng.uniform(2.0, 15.0), 2)))


def _database(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    pause, longest = ((7.0, 12.0), 2.0) if is_short else ((15.0, 40.0), 8.0)
    for at in _times(rng, seconds, pause):
        yield Step(at, DatabaseTrouble(round(rng.uniform(0.5, longest), 2)))


def _provider(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    """One trouble after the other, every kind before any comes again."""
    trouble, calm = ((1.5, 3.0), (1.0, 2.0)) if is_short else ((2.0, 9.0), (2.0, 8.0))
    deck: list[tuple[str, tuple[Json, ...]]] = []
    at = rng.uniform(*calm)
    while at < seconds:
        if not deck:
            deck = provider_troubles(rng)
            rng.shuffle(deck)
        name, rules = deck.pop()
        length = round(rng.uniform(*trouble), 2)
        yield Step(at, ProviderTrouble(name, rules, length))
        at += length + rng.uniform(*calm)


def provider_troubles(rng: Random) -> list[tuple[str, tuple[Json, ...]]]:
    """Every way in which a provider fails, by name; where a part of the calls suffers, which part is drawn."""

    def rule(kind: str, **values: Any) -> Json:
        return {"kind": kind, "seed": rng.getrandbits(16), **values}

    def some(kind: str, **values: Any) -> Json:
        return rule(kind, **{"probability": round(rng.uniform(0.3, 0.9), 2), **values})

    server_errors = tuple(some("status", status=status, probability=0.3) for status in (500, 502, 503, 504))
    return [
        ("time-outs", (some("timeout", seconds=12.0),)),
        ("resets", (some("reset"),)),
        ("half answers", (some("half_body"),)),
        ("bad JSON", (some("bad_json"),)),
        ("HTML with 200", (some("html"),)),
        ("null", (some("null_body"),)),
        ("lists", (some("list_body"),)),
        ("unknown words", (some("unknown_status"),)),
        ("a huge body", (rule("huge_body", size_bytes=60_000_000, times=2),)),
        ("429 with seconds", (rule("429", retry_after=str(rng.randint(1, 4)), times=rng.randint(1, 3)),)),
        ("429 with text", (rule("429", times=1, body={"detail": "Request was throttled. Rate limit resets in ~3s."}),)),
        ("5xx", server_errors),
        ("nothing but 500", (rule("status", status=500),)),
        ("token refused", (rule("status", status=REFUSED_TOKEN, body={"detail": "You did not pass a valid token"}),)),
        ("single jobs not found", (some("status", status=404, path="^/v1/(predictions|trainings)/", method="GET"),)),
        ("lists fail", (rule("status", status=502, path="^/v1/(predictions|trainings)$"),)),
        ("latency", (some("latency", seconds=round(rng.uniform(0.5, 4.0), 2)),)),
        ("lost answers", (some("lost_answer"),)),
        ("late lists", (some("late_list", seconds=6.0, path="^/v1/(predictions|trainings)$"),)),
        ("latency and resets", (some("latency", seconds=1.0), some("reset", probability=0.3))),
    ]


def _webhooks(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    trouble, calm = ((3.0, 5.0), (1.0, 2.0)) if is_short else ((8.0, 20.0), (4.0, 10.0))
    deck: list[tuple[str, dict[str, float]]] = []
    at = rng.uniform(*calm)
    while at < seconds:
        if not deck:
            deck = [
                ("loss", {"drop": round(rng.uniform(0.3, 0.8), 2)}),
                ("total loss", {"drop": 1.0}),
                ("duplication", {"duplicate": 1.0, "shuffle_seconds": 2.0}),
                ("delay", {"delay_seconds": round(rng.uniform(2.0, 6.0), 2)}),
                ("reordering", {"shuffle_seconds": round(rng.uniform(3.0, 8.0), 2)}),
                ("everything", {"drop": 0.2, "duplicate": 0.5, "delay_seconds": 1.0, "shuffle_seconds": 5.0}),
            ]
            rng.shuffle(deck)
        name, disorder = deck.pop()
        length = round(rng.uniform(*trouble), 2)
        yield Step(at, WebhookTrouble(name, {**disorder, "seed": rng.getrandbits(16)}, length))
        at += length + rng.uniform(*calm)


def _addresses(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    """By turns: with the poller, and with webhooks and the slow reconcile."""
    pause = (8.0, 11.0) if is_short else (35.0, 70.0)
    for number, at in enumerate(_times(rng, seconds, pause)):
        yield Step(at, WebhookAddress(is_set=number % 2 == 0))


def _jobs(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    pause = (0.5, 1.5) if is_short else (1.0, 3.5)
    for at in _times(rng, seconds, pause):
        twins = 8 if rng.random() < 0.02 else 1
        for _ in range(twins):
            yield Step(at, new_job(rng, is_short))


def new_job(rng: Random, is_short: bool) -> NewJob:
    """A job that lives for 10 to 60 seconds (in a short run 4 to 14) and ends in any way."""
    lifetime = rng.uniform(4.0, 14.0) if is_short else rng.uniform(10.0, 60.0)
    queue = rng.uniform(0.05, 0.3)
    outcomes = ("succeeded", "failed", "canceled-by-deadline", "aborted")
    outcome = rng.choices(outcomes, (6, 2, 1, 1))[0]
    steps = rng.randint(40, 150)
    plan: dict[str, Any] = {
        "id": "".join(rng.choices(ID_LETTERS, k=26)),
        "kind": rng.choice(("training", "prediction")),
        "outcome": outcome,
        "seed": rng.getrandbits(31),
        "speed": 1.0,
        "total_steps": steps,
        "validate_every": 0,
        "checkpoint_every": steps // 2,
        "durations": {
            "queue": round(lifetime * queue, 2),
            "load": round(lifetime * 0.05, 2),
            "preprocess": round(lifetime * 0.05, 2),
            "train": round(lifetime * (0.8 - queue), 2),
            "validate": 0.0,
            "checkpoint": round(lifetime * 0.02, 2),
            "finish": round(lifetime * 0.05, 2),
        },
    }
    if outcome == "failed":
        plan["stop_fraction"] = round(rng.uniform(0.1, 0.9), 2)
        plan["error"] = f"RuntimeError: planned failure of {plan['id']}"
    calls_us = rng.random() < 0.5
    if calls_us and rng.random() < 0.5:
        plan["webhook_events_filter"] = ["start", "output", "logs", "completed"]
    return NewJob(plan, calls_us)


def _requests(rng: Random, seconds: float, is_short: bool) -> Iterator[Step]:
    pause = (0.3, 1.2) if is_short else (0.3, 2.0)
    kinds = (
        (Traffic.SYNC, 3), (Traffic.HISTORY, 1), (Traffic.LIST, 4), (Traffic.PROGRESS, 5), (Traffic.LOGS, 4),
        (Traffic.CANCEL, 1), (Traffic.PAGE, 1),
    )  # fmt: skip
    names, weights = zip(*kinds, strict=True)
    for at in _times(rng, seconds, pause):
        traffic = rng.choices(names, weights)[0]
        at_once = 1 if traffic is Traffic.CANCEL else rng.choice((1, 1, 2, 5))
        yield Step(at, Requests(traffic, at_once, round(rng.random(), 4)))


def _times(rng: Random, seconds: float, pause: tuple[float, float]) -> Iterator[float]:
    at = rng.uniform(0.2, 0.6) * pause[1]
    while at < seconds:
        yield at
        at += rng.uniform(*pause)
