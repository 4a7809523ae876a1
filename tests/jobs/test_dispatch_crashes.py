"""Handing a job over is stopped at each of its lines, and goes on after: one job at the provider, one row here.

A child process does the work and ends without a word at the chosen line, as by a power cut: no handler runs, nothing is
given back, and the database undoes what was not committed.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from jobs import coordination, events
from jobs.lifecycle import Source
from jobs.models import DatasetArchive, QueueEntry, UnifiedJob
from jobs.services import call_governor, queue, snapshots, sync, telemetry
from jobs.services.dispatch import calls, claiming, endings, looking, processor, sending, uploading
from providers import registry
from providers.replicate import launching, provider
from tests.jobs.dispatch_helpers import at_sandbox, entry_of, is_unbroken, let_pass, limit, settle, stored, submit
from tests.sandbox_server import RunningSandbox

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

KILLED = 77
CHILD_SECONDS = 20
# Everything from the claim to the commit of the answer.
MODULES = (
    *(calls, claiming, endings, looking, processor, sending, uploading, queue, snapshots, events, launching),
    provider,
)
FILES = frozenset(str(module.__file__) for module in MODULES)

WRITING = frozenset(str(module.__file__) for module in (snapshots, events))
UPLOADING = frozenset(str(module.__file__) for module in (endings, uploading))

Line = tuple[str, int]


def run_in_child(on_line: Callable[[Line], None], work: Callable[[], object]) -> int:
    """The exit status of a child that does the work; ``on_line`` is told of each line before it runs, in any thread."""
    connections.close_all()
    registry.forget_providers()
    coordination.client().connection_pool.disconnect()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        signal.alarm(CHILD_SECONDS)
        # It is ended in the middle of things: what it says would be said twice.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

        def trace(frame: FrameType, event: str, _argument: Any) -> Any:
            if frame.f_code.co_filename not in FILES:
                return None
            if event == "line":
                on_line((frame.f_code.co_filename, frame.f_lineno))
            return trace

        threading.settrace(trace)
        sys.settrace(trace)
        work()
        sys.settrace(None)
        os._exit(0)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        # Whatever it was, the child must not go on as a second pytest.
        os._exit(1)


def lines_of(work: Callable[[], object], note: Path) -> list[Line]:
    """The lines that the work runs, each once, in the order in which they are first reached."""
    seen: dict[Line, None] = {}
    with note.open("w") as file:

        def write(line: Line) -> None:
            if line not in seen:
                seen[line] = None
                file.write(f"{line[0]}\t{line[1]}\n")
                file.flush()

        assert run_in_child(write, work) == 0
    return [(name, int(number)) for name, number in (row.split("\t") for row in note.read_text().splitlines())]


def kill_at(line: Line) -> Callable[[Line], None]:
    def kill(reached: Line) -> None:
        if reached == line:
            os._exit(KILLED)

    return kill


def assert_whole(sandbox: RunningSandbox, job: UnifiedJob, where: str) -> None:
    """One job there, one row here, linked, its history without a gap, and its place free when it ends."""
    there = at_sandbox(sandbox, job)
    assert len(there) == 1, where
    job.refresh_from_db()
    assert job.external_id == there[0]["id"], where
    assert UnifiedJob.objects.filter(external_id=job.external_id).count() == 1, where
    assert is_unbroken(job), where
    assert (entry_of(job).status, QueueEntry.objects.filter(status="dispatching").count()) == ("running", 0), where
    sandbox.change_job(there[0]["id"], status="canceled", completed_at=there[0]["created_at"])
    sync.refresh_job(job, source=Source.POLLER)
    job.refresh_from_db()
    assert (job.status, entry_of(job).status) == ("cancelled", "cancelled"), where
    assert is_unbroken(job), where


@pytest.fixture(autouse=True)
def _nobody_else_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that writes its counts when the child is made would leave it a lock that nobody opens."""
    monkeypatch.setattr(telemetry, "flush", lambda: None)


@pytest.fixture
def roomy() -> Iterator[None]:
    limit(max_concurrent=3, user_max_concurrent=3)
    yield
    call_governor.forget_own_books()


def test_handing_over_may_stop_at_any_line(sandbox: RunningSandbox, roomy: None, tmp_path: Path) -> None:
    first = submit()
    lines = lines_of(processor.process, tmp_path / "lines")
    assert_whole(sandbox, first, "undisturbed")
    assert len(lines) > 150
    for line in lines:
        where = f"{Path(line[0]).name}:{line[1]}"
        job = submit(where)
        assert run_in_child(kill_at(line), processor.process) == KILLED, where
        let_pass(61)
        settle()
        assert_whole(sandbox, job, where)


def test_looking_for_a_lost_answer_may_stop_at_any_line(sandbox: RunningSandbox, roomy: None, tmp_path: Path) -> None:
    def leave_unanswered(name: str) -> UnifiedJob:
        job = submit(name)
        sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
        processor.process()
        assert entry_of(job).sent_at is not None
        call_governor.forget_own_books()
        coordination.client().flushdb()
        let_pass(31)
        return job

    first = leave_unanswered("undisturbed")
    # How an answer is written is gone through above, line by line.
    lines = [line for line in lines_of(looking.look_for_sent, tmp_path / "lines") if line[0] not in WRITING]
    assert_whole(sandbox, first, "undisturbed")
    assert len(lines) > 60
    for line in lines:
        where = f"{Path(line[0]).name}:{line[1]}"
        job = leave_unanswered(where)
        assert run_in_child(kill_at(line), looking.look_for_sent) == KILLED, where
        let_pass(61)
        settle()
        assert_whole(sandbox, job, where)


def test_bringing_a_dataset_may_stop_at_any_line(
    sandbox: RunningSandbox, roomy: None, tmp_path: Path, settings: Settings
) -> None:
    settings.STORE_DIR = tmp_path

    def claim(name: str) -> UnifiedJob:
        job = submit(name, archive=stored(name.encode()))
        processor.process()
        assert entry_of(job).status == "dispatching"
        return job

    first = claim("undisturbed")
    # How the job is then sent, and how that is written, is gone through above.
    lines = [line for line in lines_of(uploading.upload_waiting, tmp_path / "lines") if line[0] in UPLOADING]
    assert_whole(sandbox, first, "undisturbed")
    assert len([line for line in lines if line[0] == str(uploading.__file__)]) > 50
    for line in lines:
        where = f"{Path(line[0]).name}:{line[1]}"
        job = claim(where)
        assert run_in_child(kill_at(line), uploading.upload_waiting) == KILLED, where
        # What the dead one held in Redis runs out.
        coordination.client().flushdb()
        for _ in range(4):
            let_pass(61)
            settle(passes=2)
            uploading.upload_waiting()
        assert_whole(sandbox, job, where)
        archive = DatasetArchive.objects.get(submissions__job=job)
        assert at_sandbox(sandbox, job)[0]["input"]["images"] == archive.provider_url, where
