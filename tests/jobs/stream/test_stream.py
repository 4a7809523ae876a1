"""``GET /api/events`` (SPEC A6) over a socket, with a real Redis."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import redis
from django_eventstream import send_event
from pytest_django import Settings

from jobs import events
from jobs.lifecycle import Source
from jobs.models import StatusChange, UnifiedJob
from jobs.services.snapshots import apply_snapshot, apply_snapshots
from jobs.stream.leases import address_group
from tests.conftest import MakeJob, MakeSnapshot
from tests.jobs.stream.listener import StreamListener
from tests.servers import RedisServer
from tests.web_server import running_web

Listen = Callable[..., StreamListener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Open streams that are closed at the end of the test."""
    opened: list[StreamListener] = []

    def open_stream(url: str, **options: object) -> StreamListener:
        opened.append(StreamListener(url, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_stream
    for listener in opened:
        listener.close()


def change(make_job: MakeJob, make_snapshot: MakeSnapshot) -> UnifiedJob:
    """A queued job that is now seen running."""
    job = make_job(status="queued")
    apply_snapshot(make_snapshot(external_id=job.external_id), source=Source.POLLER)
    return job


def test_change_of_status_reaches_a_reader_with_the_id_of_its_history_row(
    web: str, listen: Listen, make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    listener = listen(web)
    started = time.monotonic()
    job = change(make_job, make_snapshot)
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


@pytest.mark.parametrize(
    "how", [pytest.param("header", id="Last-Event-ID header"), pytest.param("query", id="last_event_id in the query")]
)
def test_returning_reader_gets_what_it_missed_once_and_in_order(
    web: str, listen: Listen, make_job: MakeJob, make_snapshot: MakeSnapshot, how: str
) -> None:
    for _ in range(5):
        change(make_job, make_snapshot)
    ids = list(StatusChange.objects.order_by("pk").values_list("pk", flat=True))
    seen = str(ids[1])
    if how == "header":
        listener = listen(web, headers={"Last-Event-ID": seen})
    else:
        listener = listen(web, query=f"?last_event_id={seen}")
    listener.wait_for(3)
    change(make_job, make_snapshot)
    listener.wait_for(4)
    assert listener.ids == list(StatusChange.objects.filter(pk__gt=ids[1]).order_by("pk").values_list("pk", flat=True))


def test_reader_that_missed_too_much_is_told_to_read_anew(
    web: str, listen: Listen, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.services.history.REPLAY_EVENTS", 10)
    job = make_job()
    with running_web() as url:
        StatusChange.objects.bulk_create(
            StatusChange(job=job, previous="queued", status="running", source="sync") for _ in range(12)
        )
        newest = StatusChange.objects.latest("pk").pk
        early = listen(url)
        early.wait_for(12)
        listener = listen(url, headers={"Last-Event-ID": "0"})
        assert listener.wait_for(1) == [{"type": "resync"}]
        assert listener.ids == [newest]


@pytest.mark.parametrize("last_id", ["garbage", "-1", "9" * 40, "1e3", "error", "999999"])
def test_impossible_last_event_id_is_not_heeded(
    web: str, listen: Listen, make_job: MakeJob, make_snapshot: MakeSnapshot, last_id: str
) -> None:
    change(make_job, make_snapshot)
    listener = listen(web, headers={"Last-Event-ID": last_id})
    assert listener.status == 200
    change(make_job, make_snapshot)
    listener.wait_for(1)
    assert len(listener.events) == 1


def test_restarted_redis_deafens_nobody(
    transactional_db: None,
    listen: Listen,
    make_job: MakeJob,
    make_snapshot: MakeSnapshot,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """django-eventstream's own reader stayed deaf until the web process was restarted."""
    server = RedisServer()
    server.start()
    settings.REDIS_URL = server.url
    publisher = send_event.__globals__
    monkeypatch.setitem(publisher, "redis_client", redis.Redis.from_url(server.url, socket_timeout=1))
    monkeypatch.setattr(events, "PAUSE_AFTER_FAILURE_SECONDS", 0.0)
    try:
        with running_web() as url:
            old = listen(url)
            change(make_job, make_snapshot)
            assert len(old.wait_for(1)) == 1
            server.stop()
            change(make_job, make_snapshot)
            assert len(old.wait_for(2)) == 2, "what happened meanwhile comes from the history"
            server.start()
            time.sleep(1.0)
            new = listen(url)
            change(make_job, make_snapshot)
            assert len(old.wait_for(3)) == 3
            assert len(new.wait_for(1)) == 1
    finally:
        server.remove()


def test_sixth_stream_of_an_address_is_refused_and_a_closed_one_frees_its_place(web: str, listen: Listen) -> None:
    readers = [listen(web) for _ in range(5)]
    refusal = httpx.get(f"{web}/api/events", headers={"X-Forwarded-For": "203.0.113.9"})
    assert refusal.status_code == 429
    assert int(refusal.headers["Retry-After"]) > 0
    assert refusal.json()["code"] == "too_many_streams"
    readers[0].close()
    deadline = time.monotonic() + 5
    while (again := listen(web)).status != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert again.status == 200


def test_streams_are_counted_across_processes(web: str, listen: Listen) -> None:
    with running_web() as other:
        for url in (web, other, web, other, web):
            assert listen(url).status == 200
        assert listen(web).status == 429
        assert listen(other).status == 429


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


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::"),
        ("unknown", "unknown"),
    ],
)
def test_ipv6_counts_by_network(address: str, group: str) -> None:
    assert address_group(address) == group


def test_payload_is_small_and_names_no_more_than_ids_and_statuses(
    make_job: MakeJob, make_snapshot: MakeSnapshot
) -> None:
    change(make_job, make_snapshot)
    body = events.payload(StatusChange.objects.select_related("job").get())
    assert set(body) == {"type", "job_id", "status", "previous", "provider", "source", "at"}
    assert len(json.dumps(body)) < 400
