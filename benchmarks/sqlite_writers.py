"""Twenty writers at once on one SQLite store: ``python -m benchmarks.sqlite_writers``.

Each writer does what the product's processes do: it applies snapshots that create a job and move it on, and changes a
row that all the others change too. Afterwards the store is held against what the writers say they wrote: nothing may be
missing, and no writer may have met "database is locked".
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED_PROVIDER = "shared"


@dataclass(frozen=True, slots=True)
class Written:
    """What one writer, or all together, wrote. ``waits``: seconds of each write, or the slowest ones of all."""

    jobs: int
    changes: int
    additions: int
    waits: list[float]
    errors: list[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was written, and what of it the store does not hold."""

    written: Written
    missing: list[str]


def run(home: Path, *, processes: int, threads: int, seconds: float) -> Outcome:
    """Let ``processes`` times ``threads`` writers loose on a new store below ``home``."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
        "SIMPLETUNER_CLOUD_HOME": str(home),
        "SIMPLETUNER_LOG_LEVEL": "ERROR",
        "DATABASE_URL": "",
        "REPLICATE_API_TOKEN": "",
        # Nobody listens there: the store alone is looked at.
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    this = [sys.executable, "-m", "benchmarks.sqlite_writers"]
    subprocess.run([*this, "--prepare"], cwd=ROOT, env=environment, check=True)
    writers = [
        subprocess.Popen(
            [*this, "--write", str(number), "--threads", str(threads), "--seconds", str(seconds)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        # Closing its input is the starting signal.
        assert writer.stdin is not None
        writer.stdin.close()
        writer.stdin = None
    reports = [Written(**json.loads(writer.communicate(timeout=seconds + 120)[0])) for writer in writers]
    together = add_up(reports)
    check = subprocess.run([*this, "--count"], cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return Outcome(together, missing(together, json.loads(check.stdout)))


def add_up(reports: list[Written]) -> Written:
    return Written(
        jobs=sum(report.jobs for report in reports),
        changes=sum(report.changes for report in reports),
        additions=sum(report.additions for report in reports),
        waits=sorted(wait for report in reports for wait in report.waits),
        errors=[error for report in reports for error in report.errors],
    )


def missing(written: Written, stored: dict[str, int]) -> list[str]:
    """In words, what the store lacks or has too much of."""
    said = {"jobs": written.jobs, "changes": written.changes, "additions": written.additions}
    return [f"{name}: {count} written, {stored[name]} stored" for name, count in said.items() if count != stored[name]]


def prepare() -> None:
    from django.core.management import call_command

    from jobs.models import HistoryWalk

    call_command("migrate", interactive=False, verbosity=0)
    HistoryWalk.objects.create(provider=SHARED_PROVIDER)


def count() -> dict[str, int]:
    from jobs.models import HistoryWalk, StatusChange, UnifiedJob

    return {
        "jobs": UnifiedJob.objects.count(),
        "changes": StatusChange.objects.count(),
        "additions": HistoryWalk.objects.get(provider=SHARED_PROVIDER).pages,
    }


class Writer(threading.Thread):
    """Writes until its time is over."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name=name)
        self._seconds = seconds
        self.written = Written(0, 0, 0, [], [])

    def run(self) -> None:
        from django.db import DatabaseError, connection
        from django.db.models import F

        from jobs.lifecycle import Source
        from jobs.models import HistoryWalk
        from jobs.services.snapshots import apply_snapshot
        from providers.snapshots import JobSnapshot, RemoteStatus

        jobs = changes = additions = 0
        waits: list[float] = []
        errors: list[str] = []
        until = time.monotonic() + self._seconds
        words = (RemoteStatus.QUEUED, RemoteStatus.RUNNING, RemoteStatus.COMPLETED)
        while time.monotonic() < until:
            for word in words:
                snapshot = JobSnapshot(
                    provider="replicate",
                    external_id=f"{self.name}n{jobs:05d}",
                    status=word,
                    raw_status=word.value,
                    as_of=datetime.now(UTC),
                    kind="training",
                )
                began = time.monotonic()
                try:
                    apply_snapshot(snapshot, source=Source.POLLER, create=True)
                    changes += 1
                    HistoryWalk.objects.filter(provider=SHARED_PROVIDER).update(pages=F("pages") + 1)
                    additions += 1
                except DatabaseError as error:
                    errors.append(str(error))
                waits.append(round(time.monotonic() - began, 4))
            jobs += 1
        connection.close()
        self.written = Written(jobs, changes, additions, waits, errors)


def write(number: int, threads: int, seconds: float) -> Written:
    from django.db import connection

    # Beforehand, as in a process that has been running for a while.
    connection.ensure_connection()
    writers = [Writer(f"p{number:02d}t{thread:02d}", seconds) for thread in range(threads)]
    print("ready", flush=True)
    sys.stdin.read()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return add_up([writer.written for writer in writers])


def main() -> None:
    """Measure; or play one of the parts that ``run`` gives to processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--write", type=int)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args()
    if options.write is not None or options.prepare or options.count:
        import django

        django.setup()
    if options.write is not None:
        print(json.dumps(asdict(write(options.write, options.threads, options.seconds))))
    elif options.prepare:
        prepare()
    elif options.count:
        print(json.dumps(count()))
    else:
        with tempfile.TemporaryDirectory(prefix="sqlite-writers-") as home:
            report(run(Path(home), processes=options.processes, threads=options.threads, seconds=options.seconds))


def report(outcome: Outcome) -> None:
    waits = outcome.written.waits
    print(f"writes: {outcome.written.changes + outcome.written.additions}, errors: {len(outcome.written.errors)}")
    print(f"missing: {'; '.join(outcome.missing) or 'nothing'}")
    middle, late, last = waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1]
    print(f"two writes took: median {middle:.3f} s, 99 of 100 {late:.3f} s, slowest {last:.3f} s")
    for error in sorted(set(outcome.written.errors)):
        print(f"error: {error}")


if __name__ == "__main__":
    main()
