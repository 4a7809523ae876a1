"""Rules of the house that no linter sees (docs/architecture.md)."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)


def lines(*folders: str) -> Iterator[tuple[str, str]]:
    """Each line of our code with the path of its file."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line in path.read_text(encoding="utf-8").splitlines():
                yield str(path.relative_to(ROOT)), line


def test_a_jobs_status_is_written_by_merge_and_nowhere_else() -> None:
    assigned = {path for path, line in lines("jobs", "simpletuner_cloud") if re.search(r"\.status\s*=[^=]", line)}
    updated = {
        path for path, line in lines("jobs", "simpletuner_cloud") if re.search(r"\.update\([^)]*\bstatus=", line)
    }
    assert assigned == set()
    assert updated == {"jobs/services/queue.py"}, "the queue writes the status of its entries, not of jobs"


def test_source_of_a_change_is_recorded_and_never_decided_by() -> None:
    writers = lines("jobs/services", "jobs/models", "jobs/api", "jobs/stream")
    assert [line for _, line in writers if re.search(r"\b(?:if|elif|match|while)\b.*\bsource\b", line)] == []


def test_nobody_waits_by_sleeping_but_for_a_turn_and_in_a_thread_of_its_own() -> None:
    sleepers = {path for path, line in lines("jobs", "providers/replicate") if "time.sleep" in line}
    assert sleepers == {
        # A call waits for its place in the budget, or for the outcome of the breaker's probe: two seconds at most.
        "jobs/services/call_governor.py",
        # The thread that brings counts to Redis now and then.
        "jobs/services/telemetry.py",
        # The worker rests between writes of what a flood of webhooks has left: a quarter of a second at most.
        "jobs/services/webhooks.py",
    }


def test_no_lock_file_names_an_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        pins = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert [line for line in pins if re.search(r"https?://|index-url|find-links", line)] == []


def test_every_locked_package_has_its_hash() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        pinned = re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)
        hashed = re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
        assert len(pinned) == len(hashed) > 40
