"""Every process as ``make run`` starts them, used as the customer's document uses them (SPEC A, section by section).

On SQLite everything is embedded; on PostgreSQL the database is the test server's.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page

from simpletuner_cloud.embedded_redis import free_port
from tests import servers
from tests.jobs.stream.listener import StreamListener

START_SECONDS = 40.0
# A second passes as a minute: jobs end within the test.
SANDBOX_SPEED = "60"
POLL_SECONDS = "5"


@dataclass
class System:
    """A running product and its state folder."""

    url: str
    home: Path
    process: subprocess.Popen[str]
    # What the document's first command answered, before any test had its turn.
    first_sync: dict[str, Any]

    def get(self, path: str) -> Any:
        answer = requests.get(self.url + path, timeout=15)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The product, from a state folder that does not exist yet."""
    home = tmp_path_factory.mktemp("home") / "new"
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
        "SIMPLETUNER_CLOUD_HOME": str(home),
        "SIMPLETUNER_PORT": str(port),
        "SIMPLETUNER_JOB_POLL_INTERVAL": POLL_SECONDS,
        "SIMPLETUNER_SANDBOX_SPEED": SANDBOX_SPEED,
        "SIMPLETUNER_ENTERPRISE_CONFIG": str(home / "none.yaml"),
    }
    if os.environ.get("TEST_DATABASE") == "postgresql":
        environment["DATABASE_URL"] = servers.new_postgresql_database("whole")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or []), daemon=True)
    reader.start()
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process, lines)
        yield System(url, home, process, first_sync=curl("-X", "POST", f"{url}/api/cloud/jobs/sync"))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0, "".join(lines[-40:])
        reader.join(timeout=5)


def wait_until_ready(url: str, process: subprocess.Popen[str], lines: list[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "".join(lines)
        try:
            if requests.get(f"{url}/api/cloud/health/ready", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("".join(lines[-60:]))


def curl(*arguments: str) -> Any:
    program = shutil.which("curl")
    assert program, "curl is part of what the customer's document uses"
    done = subprocess.run([program, "-sS", *arguments], capture_output=True, text=True, check=True, timeout=30)
    return json.loads(done.stdout)


def test_the_documents_commands_work_as_they_stand(system: System) -> None:
    assert curl(f"{system.url}/api/cloud/providers/replicate/validate")["valid"] is True
    body = system.first_sync
    assert body["synced"] >= 1
    assert body["message"] == f"Discovered {body['synced']} new jobs from Replicate"
    log = (system.home / "server.log").read_text()
    lines = [line for line in log.splitlines() if "job status polling" in line]
    assert len(lines) == 1
    assert "every 5 s" in lines[0]


def test_poller_moves_jobs_and_tells_it_while_nobody_asks(system: System) -> None:
    requests.post(f"{system.url}/api/cloud/jobs/sync", timeout=15)
    listener = StreamListener(system.url)
    try:
        events = listener.wait_for(1) or listener.wait_for(1) or listener.wait_for(1)
        assert events, "no job moved"
        assert events[0]["source"] == "poller"
        job = system.get(f"/api/cloud/jobs/{events[0]['job_id']}")["job"]
        assert job["last_synced_at"]
    finally:
        listener.close()


def test_the_documents_scripts_work_in_a_page(system: System, page: Page) -> None:
    requests.post(f"{system.url}/api/cloud/jobs/sync", timeout=15)
    page.goto(f"{system.url}/api/cloud/health/live")
    result = page.evaluate(
        """async () => {
            const source = new EventSource('/api/events');
            const opened = new Promise((done) => source.addEventListener('open', done));
            const told = new Promise((done) => source.addEventListener('message', (event) => {
                const data = JSON.parse(event.data);
                if (data.type === 'job_status_changed') done([data.job_id, data.status]);
            }));
            await opened;
            const list = await (await fetch('/api/cloud/jobs?limit=50&provider=replicate&sync_active=true')).json();
            const running = list.jobs.filter((job) => job.status === 'running');
            const progress = [];
            for (const job of running) {
                const response = await fetch(`/api/cloud/jobs/${job.job_id}/inline-progress`);
                if (response.ok) progress.push(await response.json());
            }
            const event = await Promise.race([told, new Promise((done) => setTimeout(() => done(null), 25000))]);
            source.close();
            return {running: running.length, progress, event};
        }"""
    )
    assert len(result["progress"]) == result["running"] > 0
    assert set(result["progress"][0]) == {"job_id", "stage", "last_log", "progress"}
    assert result["event"], "no event within 25 s"


def test_health_is_good_and_every_process_is_known(system: System) -> None:
    deadline = time.monotonic() + 20
    while (body := system.get("/api/cloud/health"))["status"] != "healthy" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert body["status"] == "healthy", body


def test_provider_that_hangs_keeps_nobody_from_the_list(system: System) -> None:
    requests.post(f"{system.url}/api/cloud/jobs/sync", timeout=15)
    sandbox = sandbox_url(system)
    requests.post(f"{sandbox}/_sandbox/faults", json={"kind": "timeout", "seconds": 30}, timeout=5).raise_for_status()
    try:
        started = time.monotonic()
        hung = [
            threading.Thread(target=requests.get, args=(f"{system.url}/api/cloud/jobs?sync_active=true",), daemon=True)
            for _ in range(6)
        ]
        for thread in hung:
            thread.start()
        time.sleep(0.5)
        begun = time.monotonic()
        assert system.get("/api/cloud/jobs?limit=5")["total"] > 0
        assert time.monotonic() - begun < 2
        failure = requests.post(f"{system.url}/api/cloud/jobs/sync", timeout=30)
        assert failure.status_code == 504
        assert failure.json()["code"] == "provider_timeout"
        assert time.monotonic() - started < 20
    finally:
        requests.delete(f"{sandbox}/_sandbox/faults", timeout=5)


def sandbox_url(system: System) -> str:
    """Where the bundled sandbox listens, as its process was told."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if "providers.sandbox" in words and str(system.home) in " ".join(words):
            return f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    raise AssertionError("the sandbox does not run")


def test_a_page_elsewhere_can_neither_read_nor_press(system: System, page: Page) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<title>elsewhere</title>")

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    try:
        page.goto(f"http://localhost:{elsewhere.server_port}/")
        outcome = page.evaluate(
            """async (url) => {
                const read = await fetch(`${url}/api/cloud/jobs`).then((r) => r.status, () => 'refused');
                const press = await fetch(`${url}/api/cloud/jobs/sync`, {method: 'POST', mode: 'no-cors'})
                    .then((r) => r.type, () => 'refused');
                return {read, press};
            }""",
            system.url,
        )
    finally:
        elsewhere.shutdown()
    assert outcome["read"] == "refused"
    # The browser shows the page nothing of the answer; that it was refused is seen by asking the same way.
    answer = requests.post(
        f"{system.url}/api/cloud/jobs/sync",
        headers={"Origin": f"http://localhost:{elsewhere.server_port}"},
        timeout=5,
    )
    assert answer.status_code == 403
