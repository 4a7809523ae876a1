"""``GET /api/events`` (SPEC A6) over a socket, with a real Redis."""

import json
import subprocess
import sys
import time

import httpx
import pytest
from pytest_django import Settings

from jobs import events
from jobs.lifecycle import Source
from jobs.models import StatusChange
from jobs.services.snapshots import apply_snapshots
from tests.conftest import MakeJob, MakeSnapshot
from tests.jobs.stream.conftest import Change, Listen
from tests.web_server import running_web


def test_change_of_status_reaches_a_reader_with_the_id_of_its_history_row(
    web: str, listen: Listen, change: Change
) -> None:
    listener = listen(web)
    started = time.monotonic()
    job = change()
    event = listener.wait_for(1)[0]
    assert time.monotonic() - started < 3
    assert (event["type"], event["job_id"], event["status"]) == ("job_status_changed", job.job_id, "running")
    assert listener.ids == [StatusChange.objects.get().pk]


def test_stream_is_marked_so_that_nothing_on_its_way_holds_it_back(web: str, listen: Listen) -> None:
    listener = listen(web)
    assert listener.status == 200
    assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "no-cache" in listener.headers["cache-control"]
    assert listener.headers["x-accel-buffering"] == "no"


def test_burst_of_five_hundred_changes_reaches_twenty_readers_whole(
    web: str, listen: Listen, make_snapshot: MakeSnapshot, settings: Settings
) -> None:
    """django-eventstream's own reader delivered 10 to 12 of 500."""
    settings.SSE_MAX_PER_IP = 100
    with running_web() as url:
        readers = [listen(url) for _ in range(20)]
        snapshots = [make_snapshot(external_id=f"burst{number:04d}") for number in range(500)]
        apply_snapshots(snapshots, source=Source.SYNC, create=True)
        expected = list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))
        for reader in readers:
            reader.wait_for(500)
            assert reader.ids == expected


def test_change_made_in_another_process_reaches_the_reader(
    web: str, listen: Listen, make_job: MakeJob, settings: Settings
) -> None:
    listener = listen(web)
    job = make_job(status="running")
    publish = "import redis, sys; redis.Redis.from_url(sys.argv[1]).publish('events_channel', '{}')"
    StatusChange.objects.create(job=job, previous="running", status="completed", source="poller")
    subprocess.run([sys.executable, "-c", publish, settings.REDIS_URL], check=True)
    assert listener.wait_for(1)[0]["status"] == "completed"


@pytest.mark.parametrize("path", ["/api/events", "/api/events/"])
def test_only_get_is_allowed_with_and_without_the_slash(web: str, path: str) -> None:
    answer = httpx.post(f"{web}{path}")
    assert answer.status_code == 405
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.example"}, id="another host (DNS rebinding)"),
        pytest.param({"Origin": "https://evil.example"}, id="another origin"),
    ],
)
def test_page_elsewhere_cannot_listen(web: str, headers: dict[str, str]) -> None:
    assert httpx.get(f"{web}/api/events", headers=headers).status_code == 403


def test_streams_end_when_the_server_stops(transactional_db: None, listen: Listen) -> None:
    with running_web() as url:
        listener = listen(url)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert listener.is_over.wait(5)


def test_payload_is_small_and_names_no_more_than_ids_and_statuses(change: Change) -> None:
    change()
    body = events.payload(StatusChange.objects.select_related("job").get())
    assert set(body) == {"type", "job_id", "status", "previous", "provider", "source", "at"}
    assert len(json.dumps(body)) < 400
