"""The example clients in docs/clients, run as programs against the running product."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings as django_settings

from jobs.models import TrainingConfig, UnifiedJob
from jobs.services import polling, sync
from tests.clients.proxy import Proxy, running_proxy, wait_until
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox

EXAMPLES = Path(django_settings.BASE_DIR) / "docs" / "clients"
PROGRAMS = {
    "python": [sys.executable, str(EXAMPLES / "python" / "cloud_client.py")],
    "javascript": ["node", str(EXAMPLES / "javascript" / "cloud-client.mjs")],
}
Program = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(params=PROGRAMS)
def proxy(request: pytest.FixtureRequest, web: str, sandbox: RunningSandbox) -> Iterator[Proxy]:
    """What the clients connect to; each test runs with each client."""
    with running_proxy(web) as running:
        yield running


@pytest.fixture
def start(request: pytest.FixtureRequest, proxy: Proxy) -> Iterator[Program]:
    """Start the client with these arguments."""
    program = PROGRAMS[request.node.callspec.params["proxy"]]
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*program, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "SIMPLETUNER_HOST": "127.0.0.1",
                "SIMPLETUNER_PORT": str(proxy.port),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finished(process: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    # Decoded here: as text, a bar's \r would be read as a new line.
    return process.returncode, out.decode(), err.decode()


def running_job(sandbox: RunningSandbox) -> str:
    job: str = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})["id"]
    sync.discover_jobs("replicate")
    return job


def change_job(sandbox: RunningSandbox, job_id: str, status: str = "succeeded") -> None:
    sandbox.change_job(job_id, status=status)
    polling.run_cycle()


def is_listening(proxy: Proxy) -> bool:
    """Whether it has a stream, and has been told how the job is at its beginning."""
    return len(proxy.streams()) == 1 and proxy.answered == 2


@contextmanager
def no_stream_left(web: str) -> Iterator[None]:
    with ExitStack() as streams:
        for _ in range(django_settings.SSE_MAX_PER_IP):
            streams.enter_context(requests.get(f"{web}/api/events", stream=True, timeout=10)).raise_for_status()
        yield


def test_jobs_are_listed_and_told(start: Program, make_job: MakeJob) -> None:
    job, other = make_job(status="running", config_name="portrait"), make_job(status="failed")
    code, out, err = finished(start("list"))
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{other.job_id} failed -", f"{job.job_id} running portrait"]
    assert finished(start("list", "failed"))[1].splitlines() == [f"{other.job_id} failed -"]
    code, out, _ = finished(start("get", job.job_id))
    told: dict[str, Any] = json.loads(out)
    assert (code, told["job_id"], told["status"]) == (0, job.job_id, "running")


@pytest.mark.parametrize("verb", ["get", "wait", "logs", "cancel"])
def test_refusal_is_told_in_words(start: Program, verb: str) -> None:
    code, out, err = finished(start(verb, "nothere"))
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert "nothere" in err


def test_key_is_sent_as_the_command_line_sends_it(start: Program, proxy: Proxy) -> None:
    finished(start("list", SIMPLETUNER_API_KEY="a-key"))
    finished(start("list"))
    assert [request.headers.get("x-api-key") for request in proxy.seen] == ["a-key", None]


def test_configuration_is_submitted_by_its_name(start: Program, proxy: Proxy) -> None:
    TrainingConfig.objects.create(name="portrait", config={"max_train_steps": 10})
    code, out, err = finished(start("submit", "portrait"))
    assert (code, err) == (0, "")
    job = UnifiedJob.objects.get(job_id=out.strip())
    assert (job.config_name, job.status) == ("portrait", "pending")


def test_submission_whose_answer_was_lost_is_sent_again_and_stays_one_job(start: Program, proxy: Proxy) -> None:
    TrainingConfig.objects.create(name="portrait", config={"max_train_steps": 10})
    proxy.answers_to_lose = 1
    code, out, _ = finished(start("submit", "portrait"))
    assert code == 0
    assert UnifiedJob.objects.get().job_id == out.strip()
    assert proxy.count("POST", "/api/cloud/jobs/submit?provider=replicate") == 2


def test_job_is_cancelled(start: Program, sandbox: RunningSandbox) -> None:
    job_id = running_job(sandbox)
    code, out, _ = finished(start("cancel", job_id))
    assert code == 0
    assert out.strip() in ("cancelled", "running")
    assert sandbox.get(f"/trainings/{job_id}")["status"] == "canceled"


@pytest.mark.parametrize(("end", "word", "code"), [("succeeded", "completed", 0), ("failed", "failed", 1)])
def test_end_of_a_job_is_told_by_an_event(
    start: Program, proxy: Proxy, sandbox: RunningSandbox, end: str, word: str, code: int
) -> None:
    job_id = running_job(sandbox)
    waiting = start("wait", job_id)
    wait_until(lambda: is_listening(proxy))
    change_job(sandbox, job_id, end)
    assert finished(waiting)[:2] == (code, f"{word}\n")
    # Once when the stream began, and once at the event.
    assert proxy.count("GET", f"/api/cloud/jobs/{job_id}") == 2
    assert len(proxy.streams()) == 1


def test_job_that_has_ended_is_not_waited_for(start: Program, make_job: MakeJob) -> None:
    assert finished(start("wait", make_job(status="cancelled").job_id))[:2] == (1, "cancelled\n")


def test_dropped_stream_is_taken_up_where_it_broke_off(start: Program, proxy: Proxy, sandbox: RunningSandbox) -> None:
    job_id = sandbox.add_job(kind="training", status="starting")["id"]
    sync.discover_jobs("replicate")
    waiting = start("wait", job_id)
    wait_until(lambda: is_listening(proxy))
    change_job(sandbox, job_id, "processing")
    # It has heard of that: it has read the job anew.
    wait_until(lambda: proxy.count("GET", f"/api/cloud/jobs/{job_id}") == 2)
    newest = UnifiedJob.objects.get(external_id=job_id).history.latest("pk").pk
    proxy.cut()
    wait_until(lambda: len(proxy.streams()) == 2)
    assert [stream.headers.get("last-event-id") for stream in proxy.streams()] == [None, str(newest)]
    change_job(sandbox, job_id)
    assert finished(waiting)[:2] == (0, "completed\n")


def test_what_happened_while_the_server_was_away_is_not_missed(
    start: Program, proxy: Proxy, sandbox: RunningSandbox
) -> None:
    job_id = running_job(sandbox)
    waiting = start("wait", job_id)
    wait_until(lambda: is_listening(proxy))
    proxy.is_shut = True
    proxy.cut()
    change_job(sandbox, job_id)
    wait_until(lambda: proxy.turned_away)
    proxy.is_shut = False
    assert finished(waiting)[:2] == (0, "completed\n")


def test_where_no_stream_is_to_be_had_the_job_is_looked_at(
    start: Program, proxy: Proxy, web: str, sandbox: RunningSandbox
) -> None:
    job_id = running_job(sandbox)
    with no_stream_left(web):
        waiting = start("wait", job_id)
        wait_until(lambda: proxy.count("GET", f"/api/cloud/jobs/{job_id}") == 2)
        # Asked once; the server said how long to leave it alone.
        assert len(proxy.streams()) == 1
        change_job(sandbox, job_id)
        assert finished(waiting)[:2] == (0, "completed\n")


def test_too_many_requests_are_waited_out(start: Program, proxy: Proxy, sandbox: RunningSandbox) -> None:
    job_id = running_job(sandbox)
    sandbox.fault("429", retry_after=2, path="/v1/*", times=1)
    code, out, err = finished(start("logs", job_id))
    assert (code, err) == (0, "")
    assert len(out) > 100
    assert proxy.count("GET", f"/api/cloud/jobs/{job_id}/logs") == 2


def test_followed_log_is_printed_to_its_end_and_once(start: Program, proxy: Proxy, sandbox: RunningSandbox) -> None:
    job_id = sandbox.add_job(kind="training", created_offset=-60, total_steps=50, durations={"train": 200})["id"]
    sync.discover_jobs("replicate")
    following = start("logs", job_id, "--follow")
    wait_until(lambda: proxy.count("GET", f"/api/cloud/jobs/{job_id}/logs") == 1)
    sandbox.advance(100)
    polling.run_cycle()
    wait_until(lambda: proxy.count("GET", f"/api/cloud/jobs/{job_id}/logs") == 2)
    sandbox.advance(400)
    polling.run_cycle()
    code, out, err = finished(following)
    assert (code, err) == (0, "")
    assert out == sandbox.get(f"/trainings/{job_id}")["logs"]
