"""A database that is locked, read-only, full or gone is told as 503 "try again", and nothing is half-written."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest
import requests
from django.db import InterfaceError, OperationalError, connection, connections
from django.test import Client
from redis.exceptions import LockNotOwnedError

from jobs import tasks
from jobs.access import Actor
from jobs.models import QueueEntry, UnifiedJob
from jobs.services import queue
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db(transaction=True)

ON_SQLITE = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own trouble")
ON_POSTGRESQL = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own trouble")


def pragma(text: str) -> int:
    with connection.cursor() as cursor:
        row = cursor.execute(f"PRAGMA {text}").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def locked() -> Iterator[None]:
    """Another process writes, and takes longer than our patience."""
    patience = pragma("busy_timeout")
    pragma("busy_timeout=20")
    try:
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
    finally:
        pragma(f"busy_timeout={patience}")


@contextmanager
def read_only() -> Iterator[None]:
    pragma("query_only=ON")
    yield
    pragma("query_only=OFF")


@contextmanager
def full() -> Iterator[None]:
    """Not one more page fits."""
    pragma(f"max_page_count={pragma('page_count')}")
    yield
    pragma("max_page_count=1073741823")


Trouble = Callable[[], AbstractContextManager[None]]
TROUBLES = [pytest.param(locked, id="locked"), pytest.param(read_only, id="read-only")]


@ON_SQLITE
@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_api_answers_try_again_and_nothing_is_changed(client: Client, make_job: MakeJob, trouble: Trouble) -> None:
    job = make_job(status="completed")
    with trouble():
        answer = client.delete(f"/api/cloud/jobs/{job.job_id}")
        assert client.get(f"/api/cloud/jobs/{job.job_id}").status_code == 200, "what only reads goes on"
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["code"] == "database_unavailable"
    assert UnifiedJob.objects.count() == 1
    assert client.delete(f"/api/cloud/jobs/{job.job_id}").status_code == 200


@ON_SQLITE
def test_a_full_disk_loses_nothing_that_was_there(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="completed", error_message="x")
    with full(), pytest.raises(OperationalError, match="full"):
        UnifiedJob.objects.filter(pk=job.pk).update(error_message="y" * 2_000_000)
    assert UnifiedJob.objects.get().error_message == "x"
    assert client.get("/api/cloud/jobs").json()["total"] == 1


@pytest.mark.parametrize("error", [OperationalError("database is locked"), InterfaceError("connection already closed")])
def test_a_page_says_so_in_words_and_asks_to_try_again(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(_actor: Actor) -> None:
        raise error

    monkeypatch.setattr("jobs.views.pages.metric_cards", refuse)
    client.raise_request_exception = False
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "The database does not answer just now" in answer.content.decode()
    assert "locked" not in answer.content.decode()
    assert "Content-Security-Policy" in answer.headers


def test_another_error_stays_a_500_in_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.views.pages.metric_cards", lambda _actor: 1 / 0)
    client.raise_request_exception = False
    answer = client.get("/")
    assert (answer.status_code, "Retry-After" in answer.headers) == (500, False)
    assert "Something went wrong here" in answer.content.decode()


def test_trouble_before_any_view_is_told_as_json_below_api(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise InterfaceError("connection already closed")

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", refuse)
    client.raise_request_exception = False
    client.handler.load_middleware()
    answer = client.get("/api/cloud/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


@pytest.mark.parametrize(
    ("trouble", "level", "told"),
    [
        (OperationalError("database is locked"), logging.ERROR, "the database does not answer"),
        (LockNotOwnedError("lost"), logging.WARNING, "Redis is away, or was"),
    ],
)
def test_a_tick_that_met_trouble_says_so_in_one_line_and_is_followed_by_one_that_works(
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: Exception,
    level: int,
    told: str,
) -> None:
    ended = QueueEntry.objects.create(job=make_job(status="completed"))

    def settle_entries() -> int:
        raise trouble

    monkeypatch.setattr(queue, "settle_entries", settle_entries)
    tasks.process_queue()
    assert [(record.levelno, record.exc_info) for record in caplog.records if told in record.getMessage()] == [
        (level, None)
    ]
    monkeypatch.undo()
    tasks.process_queue()
    ended.refresh_from_db()
    assert ended.status == "completed"


@pytest.fixture
def _kept_connections(transactional_db: None) -> Iterator[None]:
    """Connections live on between requests, as in production."""
    options = connections.settings["default"]
    before = options["CONN_MAX_AGE"]
    options["CONN_MAX_AGE"] = 600
    yield
    options["CONN_MAX_AGE"] = before
    if connection.vendor == "postgresql":
        end_all_other_connections()


def end_all_other_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@ON_POSTGRESQL
@pytest.mark.usefixtures("_kept_connections")
def test_a_connection_that_was_ended_between_two_requests_is_not_noticed(web: str, make_job: MakeJob) -> None:
    make_job()
    assert requests.get(f"{web}/api/cloud/jobs", timeout=10).json()["total"] == 1
    assert end_all_other_connections() >= 1
    for path in ("/api/cloud/jobs", "/", "/api/cloud/health/ready"):
        assert requests.get(web + path, timeout=10).status_code == 200


@ON_POSTGRESQL
def test_a_connection_that_is_ended_in_the_middle_is_told_as_try_again(
    web: str, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()

    def end_our_own(*_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr("jobs.api.views.get_job", end_our_own)
    answer = requests.get(f"{web}/api/cloud/jobs/{job.job_id}", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    monkeypatch.undo()
    assert requests.get(f"{web}/api/cloud/jobs/{job.job_id}", timeout=10).status_code == 200
