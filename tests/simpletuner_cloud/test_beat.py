"""Two beats at once: each due tick is sent once, and one that dies is replaced by the other."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.chaos.system import ROOT, clean_environment
from tests.servers import RedisServer

QUEUE, PROVIDER_QUEUE = "simpletuner:sandbox:simpletuner-sandbox", "simpletuner:sandbox:simpletuner-sandbox-replicate"
TASKS_AT_A_PROVIDER = ("poll_active_jobs", "apply_webhooks", "capture_logs", "walk_history")
TICK = "jobs.tasks.process_queue"
WAIT_SECONDS = 60.0

Beat = subprocess.Popen[bytes]


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def start_beat(tmp_path: Path, own_redis: RedisServer) -> Iterator[Callable[[], Beat]]:
    """Start a beat whose queue processor ticks every second."""
    config = tmp_path / "enterprise.yaml"
    config.write_text("background: {queue_processing: {interval_seconds: 1}}")
    started: list[Beat] = []

    def start() -> Beat:
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "simpletuner_cloud.celery", "--skip-checks", "beat"]
        process = subprocess.Popen(
            [*command, "--pidfile="],
            cwd=ROOT,
            env=clean_environment()
            | {
                "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
                "SIMPLETUNER_CLOUD_HOME": str(tmp_path / "home"),
                "SIMPLETUNER_ENTERPRISE_CONFIG": str(config),
                "REDIS_URL": own_redis.url,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def sent(client: redis.Redis, queue: str) -> list[tuple[str, int]]:
    """What was sent to a queue, oldest first: the task, and the process that sent it."""
    messages = [json.loads(message)["headers"] for message in reversed(client.lrange(queue, 0, -1))]
    return [(headers["task"], int(headers["origin"].partition("@")[0].removeprefix("gen"))) for headers in messages]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_of_two_beats_one_sends_each_tick_and_the_other_takes_over_when_it_is_killed(
    own_redis: RedisServer, start_beat: Callable[[], Beat]
) -> None:
    client = redis.Redis.from_url(own_redis.url, decode_responses=True)
    beats = {beat.pid: beat for beat in (start_beat(), start_beat())}

    def ticks() -> list[int]:
        return [pid for task, pid in sent(client, QUEUE) if task == TICK]

    def alive() -> int:
        return len(client.hkeys("simpletuner:sandbox:heartbeats"))

    wait_for(lambda: alive() == 2 and bool(ticks()), "two beats tick")
    before, started = len(ticks()), time.monotonic()
    wait_for(lambda: len(ticks()) >= before + 4, "four more ticks")
    assert time.monotonic() - started >= 4 * 0.9 - 0.2, "a tick within each period"
    at_start = Counter(task for task, _ in sent(client, PROVIDER_QUEUE))
    assert at_start.keys() == {f"jobs.tasks.{name}" for name in TASKS_AT_A_PROVIDER}
    assert at_start["jobs.tasks.poll_active_jobs"] == at_start["jobs.tasks.capture_logs"] == 1, (
        "at once, by one of them"
    )
    leader = ticks()[-1]
    beats[leader].kill()
    beats[leader].wait()
    killed_after = len(ticks())
    wait_for(lambda: len(ticks()) >= killed_after + 2, "the other one goes on")
    assert set(ticks()[killed_after:]) == beats.keys() - {leader}
