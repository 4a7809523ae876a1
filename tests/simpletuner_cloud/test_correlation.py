"""One id from a request through tasks to the provider: simpletuner_cloud.correlation, its middleware and signals."""

import logging
import threading
from collections.abc import Iterator

import pytest
import requests
import structlog
from celery import shared_task
from celery.contrib.testing.worker import start_worker
from django.test import Client
from pytest_django import Settings
from structlog.testing import capture_logs

from jobs import coordination
from simpletuner_cloud import correlation
from simpletuner_cloud.celery import app
from tests.sandbox_server import RunningSandbox

heard: list[str | None] = []
done = threading.Event()
logger = structlog.get_logger(__name__)


@shared_task
def listen() -> None:
    """Write down for whom this thread works."""
    heard.append(correlation.current())
    done.set()


@pytest.fixture(autouse=True)
def _nothing_bound() -> Iterator[None]:
    correlation.unbind()
    yield
    correlation.unbind()


@pytest.mark.parametrize("proposed", ["a", "req-1_2.3", "x" * 64])
def test_a_clients_id_is_taken(client: Client, proposed: str) -> None:
    answer = client.get("/api/cloud/health/live", headers={"X-Correlation-ID": proposed})
    assert answer.headers["X-Correlation-ID"] == proposed


@pytest.mark.parametrize("proposed", ["", "a b", "x" * 65, "a\tb", 'a"b', "é", "a;b", "{}"])
def test_what_could_break_a_log_line_or_a_header_is_replaced(client: Client, proposed: str) -> None:
    answer = client.get("/api/cloud/health/live", headers={"X-Correlation-ID": proposed})
    assert answer.headers["X-Correlation-ID"] != proposed
    assert correlation.ACCEPTED.fullmatch(answer.headers["X-Correlation-ID"])


def test_requests_without_one_get_different_ids(client: Client) -> None:
    answers = [client.get("/api/cloud/health/live").headers["X-Correlation-ID"] for _ in range(2)]
    assert answers[0] != answers[1]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/api/nowhere", "/nowhere", "/api/cloud/jobs?limit=x"])
def test_every_answer_names_it(client: Client, path: str) -> None:
    assert client.get(path, headers={"X-Correlation-ID": "mine"}).headers["X-Correlation-ID"] == "mine"


def test_a_refused_host_and_origin_name_it_too(client: Client) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = client.post("/api/cloud/jobs/sync", headers={"X-Correlation-ID": "mine", **headers})
        assert (answer.status_code in (400, 403), answer.headers["X-Correlation-ID"]) == (True, "mine")


def test_a_thread_that_served_a_request_is_free_afterwards(client: Client) -> None:
    client.get("/api/cloud/health/live", headers={"X-Correlation-ID": "mine"})
    assert correlation.current() is None


@pytest.mark.django_db
def test_djangos_own_line_about_a_failed_request_carries_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        seen.append(correlation.current())

    seen: list[str | None] = []
    monkeypatch.setattr(logging.getLogger("django.request"), "error", fail)
    monkeypatch.setattr("jobs.views.pages.metric_cards", lambda: 1 / 0)
    client.raise_request_exception = False
    assert client.get("/", headers={"X-Correlation-ID": "mine"}).status_code == 500
    assert seen == ["mine"]
    assert correlation.current() is None


@pytest.mark.django_db
def test_lines_of_a_request_carry_it(client: Client) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        client.get("/api/cloud/jobs", headers={"Host": "evil.example", "X-Correlation-ID": "mine"})
    assert [(line["event"], line["correlation_id"]) for line in lines] == [("host refused", "mine")]


def test_a_request_is_known_by_its_id_at_the_provider(web: str, sandbox: RunningSandbox) -> None:
    for _ in range(4):
        sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    requests.post(f"{web}/api/cloud/jobs/sync", headers={"X-Correlation-ID": "sync-1"}, timeout=15).raise_for_status()
    calls = sandbox.requests()["last"]
    assert len(calls) >= 2, "both lists, each read by a thread of the provider's pool"
    assert {call["correlation_id"] for call in calls} == {"sync-1"}


@pytest.fixture
def _worker(settings: Settings) -> Iterator[None]:
    """A real worker in a thread, on the real broker."""
    heard.clear()
    done.clear()
    app.loader.import_default_modules()
    with start_worker(app, pool="threads", concurrency=1, perform_ping_check=False, shutdown_timeout=10):
        yield


@pytest.mark.usefixtures("_worker")
def test_a_task_works_for_whoever_started_it_and_a_tick_for_itself() -> None:
    correlation.bind("request-7")
    listen.delay()
    assert done.wait(10)
    done.clear()
    correlation.unbind()
    listen.delay()
    assert done.wait(10)
    done.clear()
    listen.delay()
    assert done.wait(10)
    first, second, third = heard
    assert first == "request-7"
    assert second
    assert third
    assert len({first, second, third}) == 3
    assert coordination.client().ping()
