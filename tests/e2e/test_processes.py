"""``manage.py up`` with its processes killed: each is back within seconds, and goes on where it was.

The bounds are generous, for machines that are busy; docs/performance.md has what was measured.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import cast

import pytest
import redis
import requests

from jobs.services import heartbeats
from tests.chaos.system import SQLITE, System, running_system

BACK_SECONDS = 10.0
# A poll is due every five seconds; what a dead holder kept is free after nine.
AT_WORK_SECONDS = 25.0
CHILDREN = ("worker", "beat", "redis", "web")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole product, and a sandbox with a job that runs for long."""
    folder = tmp_path_factory.mktemp("processes")
    with running_system(folder, database=os.environ.get("TEST_DATABASE", SQLITE), seed=1) as running:
        yield running


def wait_until(condition: Callable[[], object], *, within: float, what: str) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within, f"not within {within} s: {what}"
        time.sleep(0.05)


def add_running_job(system: System) -> str:
    plan = {"kind": "training", "created_offset": -60, "durations": {"queue": 5, "train": 9e5}}
    job_id = str(system.sandbox.control("POST", "/jobs", plan)["id"])
    requests.post(f"{system.product.url}/api/cloud/jobs/sync", timeout=20).raise_for_status()
    return job_id


def end_at_the_provider(system: System, job_id: str) -> None:
    facts = {"status": "succeeded", "completed_at": datetime.now(UTC).isoformat()}
    system.sandbox.control("PATCH", f"/jobs/{job_id}", facts)


def status(system: System, job_id: str) -> str:
    """What the store says of a job, without asking the web server."""
    return str(system.database.rows(f"SELECT status FROM jobs_unifiedjob WHERE external_id = '{job_id}'")[0][0])


def heart(system: System, child: str, pid: int) -> bool:
    """Whether that process has told that it lives."""
    try:
        stored = cast("dict[str, str]", system.product.redis().hgetall("simpletuner:sandbox:heartbeats"))
    except redis.RedisError:
        return False
    return any((heard.role, heard.pid) == (child, pid) for heard in heartbeats.read(stored, now=0))


def is_at_work(system: System, child: str, pid: int) -> bool:
    if child == "redis":
        try:
            return bool(system.product.redis().ping())
        except redis.RedisError:
            return False
    if child == "web":
        try:
            return requests.get(f"{system.product.url}/api/cloud/jobs?limit=1", timeout=2).ok
        except requests.RequestException:
            return False
    return heart(system, child, pid)


@pytest.mark.parametrize("child", CHILDREN)
def test_a_killed_process_is_back_within_seconds_each_time_and_goes_on(system: System, child: str) -> None:
    job_id = add_running_job(system)
    for number in range(2):
        killed = system.product.signal(child, signal.SIGKILL)
        assert killed is not None

        def is_back() -> bool:
            newest = system.product.newest(child)
            return newest is not None and newest != killed and is_at_work(system, child, newest.pid)  # noqa: B023

        wait_until(is_back, within=BACK_SECONDS, what=f"{child} after kill {number + 1}")
    end_at_the_provider(system, job_id)
    wait_until(lambda: status(system, job_id) == "completed", within=AT_WORK_SECONDS, what="a poll noticed the end")


def test_health_is_good_again_and_tells_of_one_worker_and_one_beat(system: System) -> None:
    def is_healthy() -> bool:
        body = requests.get(f"{system.product.url}/api/cloud/health", timeout=5).json()
        told = {part["name"]: part["message"] for part in body["components"]}
        # A service that has just started is healthy before it has heard of anybody.
        is_heard = told["workers"].startswith("1 worker,") and told["beat"].startswith("last heard of")
        return bool(is_heard and body["status"] == "healthy")

    wait_until(is_healthy, within=45, what="healthy, with one worker and one beat")
    scraped = requests.get(f"{system.product.url}/api/cloud/metrics/prometheus", timeout=5).text
    assert 'simpletuner_processes{role="worker"} 1.0' in scraped


def test_a_stop_in_the_middle_of_a_hanging_poll_is_clean_and_the_next_start_goes_on(system: System) -> None:
    job_id = add_running_job(system)
    system.sandbox.control("DELETE", "/requests")
    system.sandbox.control("POST", "/faults", {"kind": "timeout", "seconds": 30})
    try:
        wait_until(lambda: system.sandbox.control("GET", "/requests")["total"] > 0, within=30, what="a poll that hangs")
        started = time.monotonic()
        assert system.product.end(is_killed=False) == 0
        assert time.monotonic() - started < 15
        assert status(system, job_id) == "running"
    finally:
        system.sandbox.control("DELETE", "/faults")
    end_at_the_provider(system, job_id)
    system.product.start()
    wait_until(
        lambda: status(system, job_id) == "completed", within=AT_WORK_SECONDS, what="the poller after the restart"
    )
    ended = system.database.rows(
        "SELECT count(*) FROM jobs_statuschange c JOIN jobs_unifiedjob j ON j.id = c.job_id "
        f"WHERE j.external_id = '{job_id}' AND c.status = 'completed'"
    )
    assert ended[0][0] == 1
