"""One run: bring everything up, follow the schedule, let it settle, judge."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import verdict
from tests.chaos.actors import Actors
from tests.chaos.evidence import Auditor, Outcome
from tests.chaos.listeners import Listener
from tests.chaos.schedule import Schedule
from tests.chaos.system import System, running_system
from tests.chaos.verdict import Expected

LISTENERS = 3
RESTART_SECONDS = 5.0
REPLAY_SECONDS = 30.0

# Every line of the log that tells of an error must be explained here by a fault of ours.
ALLOWED = (
    Expected(
        re.compile(r"logger=django\.request status_code=50[234]"),
        "An answer that tells a client that the provider, the database or Redis is away, and is meant to.",
    ),
    Expected(
        re.compile(
            r'event="consumer: (?:Cannot connect to redis|Connection to broker lost).* logger=celery\.worker\.consumer'
        ),
        "Redis was killed or frozen: the worker says so, and connects again.",
    ),
    Expected(
        re.compile(r"provider refused the token; it is not asked any more"),
        "The provider refused the token for a while, which an operator has to be told, once each time.",
    ),
    Expected(
        re.compile(
            r"psycopg\.errors\.AdminShutdown|terminating connection due to administrator command"
            r"|server closed the connection unexpectedly|the connection is (?:closed|lost)"
        ),
        "A connection was cut in the middle of its work: what was asked fails once, as a 503 or until the next tick.",
    ),
)


@dataclass
class Report:
    """What a run did and what came of it, as text. ``findings`` is empty if all is well."""

    seed: int
    seconds: float
    database: str
    folder: Path
    lines: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.findings

    def to_text(self) -> str:
        head = f"chaos: seed {self.seed}, {self.seconds:g} s, {self.database}"
        if self.is_good:
            return "\n".join([head, *self.lines, "GOOD: nothing was wrong and nothing was lost."])
        found = [f"  {finding}" for finding in self.findings]
        where = [f"Home directory, logs, schedule: {self.folder}", f"Again: {self._command()}"]
        return "\n".join([head, *self.lines, f"BAD: {len(found)} findings", *found, *where])

    def _command(self) -> str:
        return f"python -m tests.chaos --seed {self.seed} --seconds {self.seconds:g} --database {self.database}"


def run(schedule: Schedule, *, database: str, say: Callable[[str], None]) -> Report:
    """Run a schedule. The folder of the run is kept if something was wrong, and deleted if not."""
    folder = Path(tempfile.mkdtemp(prefix=f"simpletuner-chaos-{schedule.seed}-"))
    report = Report(schedule.seed, schedule.seconds, database, folder)
    (folder / "schedule.txt").write_text(schedule.to_text(), encoding="utf-8")
    begun = time.monotonic()
    with running_system(folder, database=database, seed=schedule.seed) as system:
        say(f"seed {schedule.seed}: {len(schedule.steps)} steps in {schedule.seconds:g} s on {database}, in {folder}")
        _run(schedule, system, report, say)
    report.lines.append(f"took {time.monotonic() - begun:.0f} s")
    (folder / "report.txt").write_text(report.to_text(), encoding="utf-8")
    if report.is_good:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _run(schedule: Schedule, system: System, report: Report, say: Callable[[str], None]) -> None:
    listeners = [Listener(str(number), system.product.url) for number in range(1, LISTENERS + 1)]
    for listener in listeners:
        listener.start()
    actors = Actors(system)
    try:
        actors.perform(schedule)
    finally:
        say("the faults are over")
        actors.close()
    outcome = Auditor(system, listeners, is_short=schedule.is_short, say=say).gather()
    listeners.append(_late_listener(system, outcome))
    for listener in listeners:
        listener.close()
    report.findings = findings(outcome, actors, listeners, system.product.lines())
    report.lines = summary(outcome, actors, listeners)


def _late_listener(system: System, outcome: Outcome) -> Listener:
    """One that was away all the time and now asks for everything: it is told the whole history, or to read anew."""
    late = Listener("late", system.product.url)
    late.start()
    newest = max((change.row for change in outcome.changes), default=0)
    deadline = time.monotonic() + REPLAY_SECONDS
    while late.newest_event < newest and time.monotonic() < deadline:
        time.sleep(0.1)
    return late


def findings(outcome: Outcome, actors: Actors, listeners: list[Listener], log_lines: list[str]) -> list[str]:
    """Everything that is wrong, gravest first."""
    return [
        *verdict.wrong_jobs(outcome.truths, outcome.jobs),
        *verdict.broken_history(outcome.jobs, outcome.changes),
        *verdict.wrong_events(outcome.changes, {listener.name: listener.heard for listener in listeners}),
        *verdict.lost_logs(outcome.truths, outcome.jobs),
        *verdict.wrong_answers(actors.answers),
        *verdict.late_restarts(actors.restarts, within=RESTART_SECONDS),
        *outcome.problems,
        *(f"the test itself stumbled: {problem}" for problem in actors.problems),
        *verdict.unexpected_lines(log_lines, ALLOWED),
    ]


def summary(outcome: Outcome, actors: Actors, listeners: list[Listener]) -> list[str]:
    """Counts of what was done and what came of it."""
    statuses = Counter(job.status for job in outcome.jobs)
    answers = Counter(str(answer.status or "none") for answer in actors.answers)
    restarts = [seconds for all_seconds in actors.restarts.values() for seconds in all_seconds if seconds is not None]
    connections = sum(listener.connections for listener in listeners)
    resyncs = sum(event.type == verdict.RESYNC for listener in listeners for event in listener.heard)
    heard = sum(event.type == verdict.EVENT for listener in listeners for event in listener.heard)
    return [
        *(f"  {times:5}  {name}" for name, times in sorted(actors.done.items())),
        f"jobs: {len(outcome.jobs)} ({_counts(statuses)})",
        f"transitions: {len(outcome.changes)}",
        f"events: {heard} heard by {len(listeners)} listeners over {connections} connections, {resyncs} resyncs",
        f"logs: {outcome.late_logs} read late",
        f"the last webhooks: {_counts(actors.fates)}",
        f"answers: {_counts(answers)}",
        f"restarts: {len(restarts)}, the slowest after {max(restarts, default=0):.1f} s",
    ]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counter.items())) or "none"
