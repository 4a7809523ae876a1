from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from providers.sandbox.__main__ import options_from, parser
from tests.sandbox_server import Json


@contextmanager
def started(*flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the URL that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "providers.sandbox", "--port", "0", *flags],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def first_training(url: str, token: str) -> Json:
    answer = requests.get(f"{url}/trainings", headers={"Authorization": f"Bearer {token}"}, timeout=5)
    answer.raise_for_status()
    trainings: list[Json] = answer.json()["results"]
    return trainings[0]


def test_command_prints_its_url_serves_there_and_ends_quickly_on_sigterm() -> None:
    with started("--population", "3", "--token", "hush") as (process, url):
        assert url.endswith("/v1")
        assert first_training(url, "hush")
        assert requests.get(f"{url}/trainings", timeout=5).status_code == 401
        process.send_signal(signal.SIGTERM)
        before = time.perf_counter()
        process.wait(timeout=5)
        assert time.perf_counter() - before < 2


def test_command_ends_quickly_even_while_a_request_hangs() -> None:
    with started("--population", "none") as (process, url):
        requests.post(url.replace("/v1", "/_sandbox/faults"), json={"kind": "timeout"}, timeout=5)
        session = requests.Session()
        with pytest.raises(requests.ReadTimeout):
            session.get(f"{url}/account", timeout=0.2, headers={"Authorization": "Bearer sandbox-token-not-a-secret"})
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=4)


def test_command_reads_its_settings_from_the_environment_too() -> None:
    with started(SANDBOX_POPULATION="3", SANDBOX_TOKEN="from-env") as (_, url):
        assert first_training(url, "from-env")


def test_restarted_command_shows_the_same_jobs(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    with started("--state", state, "--population", "3") as (_, url):
        before = first_training(url, "sandbox-token-not-a-secret")["id"]
    with started("--state", state, "--population", "none") as (_, url):
        assert first_training(url, "sandbox-token-not-a-secret")["id"] == before


def test_a_port_in_use_and_a_wrong_setting_are_reported_in_one_line() -> None:
    with started("--population", "none") as (_, url):
        port = url.split(":")[-1].removesuffix("/v1")
        for flags in (["--port", port], ["--population", "many"]):
            again = subprocess.run(
                [sys.executable, "-m", "providers.sandbox", *flags],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert again.returncode == 2
            assert again.stderr.startswith("sandbox: ")
            assert again.stderr.count("\n") == 1


def test_every_flag_reaches_its_option(tmp_path: Path) -> None:
    arguments = parser().parse_args(
        [
            "--speed", "60", "--population", "250", "--token", "t", "--seed", "4", "--latency", "0.05",
            "--retention-seconds", "9", "--state", str(tmp_path / "s"), "--allow-webhooks-anywhere",
        ]
    )  # fmt: skip
    options = options_from(arguments)
    assert (options.speed, options.population, options.token, options.seed) == (60.0, "250", "t", 4)
    assert (options.latency_seconds, options.retention_seconds) == (0.05, 9.0)
    assert (options.state, options.allow_webhooks_anywhere) == (tmp_path / "s", True)
