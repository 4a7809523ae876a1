import json
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


def objects(file: Path, script: str, **environment: str) -> list[dict[str, object]]:
    """Each line as JSON; standard output and the file must agree, and hold one object a line."""
    ran = run(file, script, SIMPLETUNER_LOG_FORMAT="json", **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == file.read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse_constant) for line in ran.stdout.splitlines()]


def refuse_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def test_json_has_the_same_facts_with_their_types(file: Path) -> None:
    (line,) = objects(file, 'log.info("sync done", found=3, ok=True, nothing=None)', SIMPLETUNER_PROCESS="worker")
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "level": "info",
        "process": "worker",
        "event": "sync done",
        "logger": "jobs.example",
        "found": 3,
        "ok": True,
        "nothing": None,
    }


STRANGE = [
    "log.info('x', value=object())",
    "log.info('x', value=float('nan'))",
    "log.info('x', value={(1, 2): {3}})",
    "log.info('x', value=b'bytes')",
    r"log.info('x', value='\ud800 alone')",
    r"log.info('x', value='a\u2028b\x85c\rd\ne')",
    "log.info('x', value=ValueError('y'))",
    "value = []; value.append(value); log.info('x', value=value)",
    "old.warning('%s', {float('inf')})",
    "old.warning('x', extra={'value': {1: object()}})",
]


def test_json_is_one_readable_line_whatever_is_logged(file: Path) -> None:
    assert len(objects(file, "\n".join(STRANGE))) == len(STRANGE)


@pytest.mark.parametrize("call", ["log.exception('failed')", "old.exception('failed')"], ids=["ours", "a library's"])
def test_exception_stands_in_the_json_line(file: Path, call: str) -> None:
    (line,) = objects(file, f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {call}\n")
    assert str(line["exception"]).endswith("ZeroDivisionError: division by zero")


def test_error_that_ends_a_thread_or_a_process_is_logged_in_one_line(file: Path) -> None:
    script = (
        "import threading\nthread = threading.Thread(target=lambda: 1 / 0, name='t1')\nthread.start()\nthread.join()\n"
    )
    ran = run(file, script + "raise ValueError('out')", SIMPLETUNER_LOG_FORMAT="json", SIMPLETUNER_PROCESS="web")
    assert (ran.returncode, ran.stderr) == (1, "")
    thread, process = (json.loads(line) for line in ran.stdout.splitlines())
    assert (thread["level"], thread["thread"], "ZeroDivisionError" in thread["exception"]) == ("error", "t1", True)
    assert (process["level"], "ValueError: out" in process["exception"]) == ("critical", True)


def test_person_at_a_terminal_still_sees_a_traceback(file: Path) -> None:
    ran = run(file, "raise ValueError('out')")
    assert ran.stderr.startswith("Traceback")


def test_warning_of_python_is_a_line_of_the_log(file: Path) -> None:
    script = "import warnings; warnings.warn('old habit', UserWarning)"
    (line,) = objects(file, script, SIMPLETUNER_PROCESS="worker")
    assert (line["level"], line["logger"], "old habit" in str(line["event"])) == ("warning", "py.warnings", True)


def test_control_characters_do_not_reach_a_terminal(file: Path) -> None:
    values = ("a\\rb", "a\\x1b[31mb", "a\\u2028b", "a\\x00b", "a\\tb")
    ran = run(file, "\n".join(f"log.info('x', value='{value}')" for value in values))
    assert [line.isprintable() for line in ran.stdout.rstrip("\n").split("\n")] == [True] * len(values)


def test_known_secret_is_masked_wherever_a_line_holds_it(file: Path) -> None:
    ran = run(
        file,
        "from jobs import known_secrets\n"
        "known_secrets.remember('r8_0123456789secretwxyz', 'short')\n"
        "known_secrets.remember_password('redis://:p%40ss-hunter2@host/0')\n"
        "log.info('short r8_0123456789secretwxyz', token='r8_0123456789secretwxyz', url='redis://:p%40ss-hunter2@host')\n"
        "old.error('no %s', ValueError('p@ss-hunter2'))\n"
        "try:\n"
        "    raise RuntimeError('Bearer r8_0123456789secretwxyz')\n"
        "except RuntimeError:\n"
        "    log.exception('failed')\n",
    )
    told = ran.stdout + file.read_text(encoding="utf-8")
    assert "secret" not in told
    assert "hunter2" not in told
    assert "••••wxyz" in told
    assert "short" in told


def test_folder_of_the_file_is_made(file: Path) -> None:
    deep = file.parent / "var" / "log" / "ours.log"
    assert [line["event"] for line in lines(deep, 'log.info("x")')] == ["x"]


def test_file_that_cannot_be_written_stops_the_start_and_names_its_setting(file: Path) -> None:
    (file.parent / "taken").write_text("a file, and no folder")
    for impossible in (file.parent, file.parent / "taken" / "server.log"):
        ran = run(impossible, "")
        assert ran.returncode != 0
        assert "(SIMPLETUNER_LOG_FILE) cannot be written" in ran.stderr


def test_unknown_format_stops_the_start_and_names_itself(file: Path) -> None:
    ran = run(file, "", SIMPLETUNER_LOG_FORMAT="xml")
    assert "SIMPLETUNER_LOG_FORMAT must be one of logfmt, json" in ran.stderr
