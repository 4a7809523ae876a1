import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import logging, pathlib, sys
import structlog
from simpletuner_cloud import logs
logs.configure(pathlib.Path(sys.argv[1]))
log, old = structlog.get_logger("jobs.example"), logging.getLogger("library")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def run(file: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process whose logging is ours."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(file)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines(file: Path, script: str, **environment: str) -> list[dict[str, str]]:
    """The pairs of each line; standard output and the file must agree."""
    ran = run(file, script, **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == file.read_text(encoding="utf-8")
    return [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in ran.stdout.splitlines()]


def test_line_names_its_time_level_process_and_event(file: Path) -> None:
    (line,) = lines(file, 'log.info("sync done", found=3, ok=True, nothing=None)', SIMPLETUNER_PROCESS="worker")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "process": "worker",
        "event": "sync done",
        "logger": "jobs.example",
        "found": "3",
        "ok": "true",
        "nothing": "",
    }


def test_line_begins_with_the_same_keys(file: Path) -> None:
    assert run(file, 'log.info("x", a=1)').stdout.startswith("timestamp=")
    (line,) = lines(file.with_name("other.log"), 'log.info("x", a=1)')
    assert list(line)[:4] == ["timestamp", "level", "process", "event"]


def test_process_without_a_name_is_manage(file: Path) -> None:
    assert lines(file, 'log.info("x")')[0]["process"] == "manage"


def test_line_of_another_library_looks_the_same(file: Path) -> None:
    (line,) = lines(file, 'old.warning("lost %s after %d s", "it", 5, extra={"attempt": 2})')
    assert (line["level"], line["event"], line["logger"]) == ("warning", "lost it after 5 s", "library")
    assert (line["process"], line["attempt"]) == ("manage", "2")


@pytest.mark.parametrize("call", ["log.exception('failed')", "old.exception('failed')"], ids=["ours", "a library's"])
def test_exception_is_told_in_one_line(file: Path, call: str) -> None:
    (line,) = lines(file, f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {call}\n")
    assert (line["level"], line["event"]) == ("error", "failed")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_text_from_outside_cannot_forge_a_line(file: Path) -> None:
    (line,) = lines(file, r"""log.info("x", error='a\nlevel=error event="forged"')""")
    assert line["level"] == "info"
    assert line["error"] == 'a\\nlevel=error event="forged"'


def test_other_scripts_are_written_as_they_are(file: Path) -> None:
    (line,) = lines(file, 'log.info("काम पूरा हुआ")', PYTHONIOENCODING="utf-8")
    assert line["event"] == "काम पूरा हुआ"


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("", ["info", "warning", "error"]),
        ("DEBUG", ["debug", "info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("ERROR", ["error"]),
    ],
)
@pytest.mark.parametrize("logger", ["log", "old"], ids=["ours", "a library's"])
def test_level_is_chosen_by_the_environment(file: Path, logger: str, level: str, seen: list[str]) -> None:
    script = "".join(f"{logger}.{name}('x')\n" for name in ("debug", "info", "warning", "error"))
    assert [line["level"] for line in lines(file, script, SIMPLETUNER_LOG_LEVEL=level)] == seen


@pytest.mark.parametrize("level", ["loud", "CRITICAL", "10"])
def test_unknown_level_stops_the_start_and_names_itself(file: Path, level: str) -> None:
    ran = run(file, "", SIMPLETUNER_LOG_LEVEL=level)
    assert ran.returncode != 0
    assert "SIMPLETUNER_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR" in ran.stderr


def test_requests_are_not_logged_one_by_one(file: Path) -> None:
    script = "logging.getLogger('uvicorn.access').info('GET /')\nlog.info('x')\n"
    assert [line["event"] for line in lines(file, script)] == ["x"]


def test_file_is_rotated_and_only_some_are_kept(file: Path) -> None:
    script = """
for handler in logging.getLogger().handlers:
    if type(handler).__name__ == "ConcurrentRotatingFileHandler":
        assert (handler.maxBytes, handler.backupCount) == (10 * 1024**2, 5), vars(handler)
        handler.maxBytes = 2000
for number in range(200):
    log.info("x", filling="x" * 100)
"""
    ran = run(file, script)
    assert (ran.returncode, ran.stderr) == (0, "")
    kept = sorted(path.name for path in file.parent.glob("server.log*"))
    assert kept == ["server.log", *(f"server.log.{number}" for number in range(1, 6))]
    assert all(path.stat().st_size <= 2500 for path in file.parent.glob("server.log*"))


def test_processes_share_the_file_without_losing_lines(file: Path) -> None:
    script = PRELUDE + "for number in range(200):\n    log.info('x', number=number)\n"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(file)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "SIMPLETUNER_PROCESS": name},
            stdout=subprocess.DEVNULL,
        )
        for name in ("web", "worker")
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    written = [dict(pair.split("=", 1) for pair in shlex.split(line)) for line in file.read_text().splitlines()]
    for name in ("web", "worker"):
        assert [line["number"] for line in written if line["process"] == name] == [str(n) for n in range(200)]
