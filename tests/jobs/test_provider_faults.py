"""No fault of a provider changes what is known of a job (SPEC B2.2): each fault through each door."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
import responses
from django.test import Client
from django.utils import timezone

from jobs.lifecycle import Source
from jobs.models import JobLog, StatusChange, UnifiedJob
from jobs.services import polling, sync
from jobs.services.lookup import get_job
from providers.errors import ProviderError
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

REPLICATE = re.compile(r"https://replicate\.invalid/.*")
JOB = "abcdefghij0123456789abcdef"

HALF = '{"id": "abcdefghij0123456789abcdef", "sta'


def page(*rows: object) -> str:
    return json.dumps({"previous": None, "next": None, "results": list(rows)})


FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "502 in HTML": {"status": 502, "body": "<html>Bad gateway</html>", "content_type": "text/html"},
    "503 without a word": {"status": 503, "body": ""},
    "401": {"status": 401, "json": {"detail": "You did not pass a valid authentication token"}},
    "403": {"status": 403, "json": {"detail": "Forbidden"}},
    "404": {"status": 404, "json": {"detail": "Not found."}},
    "422": {"status": 422, "json": {"title": "Invalid"}},
    "429 with seconds": {"status": 429, "headers": {"Retry-After": "30"}},
    "429 with a date": {"status": 429, "headers": {"Retry-After": "Fri, 20 Nov 2037 12:00:00 GMT"}},
    "429 in words": {"status": 429, "json": {"detail": "Your rate limit resets in ~30s."}},
    "a redirect": {"status": 301, "headers": {"Location": "https://elsewhere.example/"}},
    "a time-out": {"body": requests.ReadTimeout()},
    "a reset": {"body": requests.ConnectionError("reset")},
    "half an answer": {"body": requests.exceptions.ChunkedEncodingError("broken")},
    "half a JSON": {"body": HALF},
    "HTML with 200": {"body": "<!doctype html><p>Checking your browser", "content_type": "text/html"},
    "nothing with 200": {"body": ""},
    "null": {"body": "null"},
    "a list": {"body": "[]"},
    "a text": {"body": '"failed"'},
    "a number": {"body": "7"},
    "an object of nothing": {"body": "{}"},
    "wrong types": {"json": {"id": 7, "status": ["failed"], "results": "all", "next": 5}},
    "an id that is a path": {"json": {"id": "../account", "status": "failed", "results": [{"id": "../x"}]}},
    "another job": {"json": {"id": "z" * 26, "status": "failed", "results": [{"id": 5, "status": "failed"}]}},
    "deep JSON": {"body": "[" * 100_000},
}


def poll(_client: Client) -> None:
    assert polling.run_cycle() is not None


def press_sync(client: Client) -> None:
    assert client.post("/api/cloud/jobs/sync").status_code in (401, 403, 429, 502, 503, 504)


def ask_for_the_list(client: Client) -> None:
    answer = client.get("/api/cloud/jobs?sync_active=true")
    assert answer.status_code == 200
    assert len(answer.json()["jobs"]) == UnifiedJob.objects.count()
    assert answer.json()["sync"]["errors"]


def look_at_the_progress(client: Client) -> None:
    answer = client.get(f"/api/cloud/jobs/{JOB}/inline-progress")
    assert (answer.status_code, answer.json()["progress"]) == (200, 40.0)


def read_the_log(client: Client) -> None:
    answer = client.get(f"/api/cloud/jobs/{JOB}/logs")
    assert (answer.status_code, answer.json()["logs"]) == (200, "kept")


def refresh_one(_client: Client) -> None:
    with pytest.raises(ProviderError):
        sync.refresh_job(get_job(JOB), source=Source.PERSON)


DOORS = (poll, press_sync, ask_for_the_list, look_at_the_progress, read_the_log, refresh_one)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("others", [0, 4], ids=["asked singly", "asked by lists"])
def test_no_fault_changes_a_job_through_any_door_and_it_is_told_why(
    make_job: MakeJob,
    client: Client,
    http: responses.RequestsMock,
    fault: dict[str, Any],
    door: Callable[[Client], None],
    others: int,
) -> None:
    http.assert_all_requests_are_fired = False
    http.get(REPLICATE, **fault)
    job = make_job(external_id=JOB, progress=40.0, progress_at=timezone.now(), cost_usd="1.25", output_url="https://a/")
    log = JobLog(job=job)
    log.join("kept")
    log.save()
    for _ in range(others):
        make_job(status="queued")
    before = list(UnifiedJob.objects.order_by("pk").values("status", "progress", "cost_usd", "output_url", "metadata"))
    door(client)
    assert list(UnifiedJob.objects.order_by("pk").values(*before[0])) == before
    assert JobLog.objects.get(job=job).text == "kept"
    assert not StatusChange.objects.exists()
    if door is not press_sync:
        assert UnifiedJob.objects.get(pk=job.pk).last_sync_error


@pytest.mark.parametrize("word", ["paused", "", None, 5, "x" * 10_000, "süß", "\x00"])
def test_unknown_status_word_changes_no_status(
    make_job: MakeJob, client: Client, http: responses.RequestsMock, word: object
) -> None:
    http.assert_all_requests_are_fired = False
    row = {"id": JOB, "status": word, "created_at": "2026-11-20T10:00:00Z"}
    http.get(re.compile(r".*/v1/(trainings|predictions)$"), body=page(row))
    http.get(REPLICATE, json=row)
    make_job(external_id=JOB)
    poll(client)
    client.get("/api/cloud/jobs?sync_active=true")
    job = UnifiedJob.objects.get()
    assert job.status == "running"
    assert job.last_sync_error
