"""The whole product as `make run` starts it, logging at the finest level: what it leaves behind holds no secret."""

import base64
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from simpletuner_cloud.embedded_redis import free_port
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.security.planted import Haul, secret

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
# The files that are the keys, and the one that says where the embedded Redis is: each for its owner alone.
KEY_FILES = {"secret_key", "credentials_key", "redis.conf", "url"}
SECRETS = {
    "provider's token": secret("provider", "r8_", 37),
    "hub token": secret("hub", "hf_", 34),
    "API key": secret("key", "stk_"),
    "signing key": secret("signing"),
    "credentials key": base64.urlsafe_b64encode(random.Random(7).randbytes(32)).decode(),
}


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@pytest.fixture
def account() -> Iterator[RunningSandbox]:
    with running_sandbox(token=SECRETS["provider's token"]) as server:
        told = f"401 for {SECRETS['hub token']}\n"
        for status in ("failed", "processing"):
            job = server.add_job(
                kind="training", created_offset=-60, durations={"queue": 1, "train": 9e5}, logs=told,
                input={"hf_token": SECRETS["hub token"]},
            )  # fmt: skip
            server.change_job(job["id"], status=status, error=told if status == "failed" else None)
        yield server


def test_nothing_that_the_processes_leave_behind_holds_a_secret(account: RunningSandbox, tmp_path: Path) -> None:
    home, output, port = tmp_path / "home", tmp_path / "output", free_port()
    ours = ("SIMPLETUNER_", "DJANGO_", "REPLICATE_", "REDIS_", "DATABASE_", "SANDBOX_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "SIMPLETUNER_CLOUD_HOME": str(home),
        "SIMPLETUNER_PORT": str(port),
        "SIMPLETUNER_LOG_LEVEL": "DEBUG",
        "SIMPLETUNER_JOB_POLL_INTERVAL": "5",
        "SIMPLETUNER_SECRET_KEY": SECRETS["signing key"],
        "SIMPLETUNER_CREDENTIALS_KEY": SECRETS["credentials key"],
        "SIMPLETUNER_STORE": "live",
        "REPLICATE_API_BASE_URL": account.url,
    }
    url = f"http://127.0.0.1:{port}"
    haul = Haul(SECRETS)
    with output.open("wb") as file:
        product = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "Press Ctrl-C" in output.read_text(), START_SECONDS, "the banner")
        session = requests.Session()
        session.headers["X-API-Key"] = SECRETS["API key"]
        with session.get(f"{url}/api/events", stream=True, timeout=30) as stream:
            body = {"api_token": SECRETS["provider's token"]}
            for answer in (
                session.put(f"{url}/api/cloud/providers/replicate/token", json=body, timeout=15),
                session.post(f"{url}/api/cloud/jobs/sync", timeout=15),
                session.get(f"{url}/api/cloud/jobs?sync_active=true", timeout=15),
                session.get(f"{url}/api/cloud/health?include_providers=true", timeout=15),
                session.get(f"{url}/", timeout=15),
            ):
                assert answer.status_code == 200
                haul.add(answer.url, answer.text)
            account.fault("status", status=401, path="/v1/*")
            wait_until(
                lambda: "the token is refused" in session.get(f"{url}/fragments/notices", timeout=15).text.lower(),
                20,
                "the worker's word of the refused token",
            )
            first = next(stream.iter_content(64 * 1024))
            assert first
            haul.add("the stream of events", first)
    finally:
        product.send_signal(signal.SIGTERM)
        product.wait(timeout=20)
    assert "level=debug" in (home / "server.log").read_text()
    files = [path for path in [*home.rglob("*"), output] if path.is_file() and "static" not in path.parts]
    for path in files:
        if path.name in KEY_FILES:
            assert path.stat().st_mode & 0o077 == 0, path
        else:
            haul.add(path.name, path.read_bytes())
    assert {"db.sqlite3", "server.log", "output"} <= {path.name for path in files}
    assert haul.leaks == []
