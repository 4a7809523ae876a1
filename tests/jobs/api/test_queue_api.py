"""The API of the queue: shapes, permissions, and what it refuses."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from jobs.access import RESEARCHER, VIEWER, Actor
from jobs.api import authentication
from jobs.models import AuditEntry, QueueEntry, QueueLimits
from jobs.services.actors import owner_account
from jobs.services.dispatch import processor
from tests.jobs.dispatch_helpers import at_sandbox, entry_of, let_pass, limit, now_minus, submit
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

ENTRY_KEYS = {
    *("id", "job_id", "user_id", "user", "team", "provider", "config_name", "priority", "priority_override"),
    *("effective_priority", "status", "position", "queued_at", "started_at", "completed_at", "attempt", "max_attempts"),
    *("error_message", "waiting_reason", "estimated_wait_seconds"),
}


def post(client: Client, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    answer = client.post(f"/api/queue{path}", json.dumps({} if body is None else body), content_type="application/json")
    return answer.status_code, answer.json()


def get(client: Client, path: str = "", **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/queue{path}", query)
    assert answer.status_code == 200, answer.content
    content: dict[str, Any] = answer.json()
    return content


@pytest.fixture
def ada(db: None) -> AbstractUser:
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def as_ada(ada: AbstractUser, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Requests are ada's from now on, with these permissions."""

    def act(permissions: frozenset[str]) -> None:
        actor = Actor(user_id=ada.pk, name="ada", permissions=permissions, via="session")
        monkeypatch.setattr(authentication.ActorAuthentication, "authenticate", lambda _self, _request: (ada, actor))

    return act


@pytest.mark.parametrize("slash", ["", "/"])
def test_entries_are_listed_in_the_order_in_which_they_are_served(client: Client, slash: str) -> None:
    late, high, early = submit("late"), submit("high", priority=20), submit("early", queued_at=now_minus(minutes=2))
    running = submit("running", status="running")
    body = get(client, slash)
    assert [entry["job_id"] for entry in body["entries"]] == [job.job_id for job in (running, high, early, late)]
    assert [entry["position"] for entry in body["entries"]] == [None, 1, 2, 3]
    assert body["total"] == 4
    assert set(body["entries"][0]) == ENTRY_KEYS


def test_list_is_cut_and_what_ended_is_left_out_unless_asked_for(client: Client) -> None:
    for name in ("a", "b", "c"):
        submit(name)
    submit("over", status="completed")
    assert [entry["config_name"] for entry in get(client, limit=2, offset=1)["entries"]] == ["b", "c"]
    assert get(client)["total"] == 3
    everything = get(client, include_completed=True, limit=2, offset=2)
    assert ([entry["config_name"] for entry in everything["entries"]], everything["total"]) == (["c", "over"], 4)
    assert [entry["config_name"] for entry in get(client, status="completed")["entries"]] == ["over"]
    assert get(client, status="dispatching") == {"entries": [], "total": 0}


def test_list_costs_the_same_queries_however_long_it_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    submit("first", owner=owner_account())
    with django_assert_num_queries(6):
        get(client)
    for number in range(20):
        submit(str(number))
    with django_assert_num_queries(6):
        get(client)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"},
        {"limit": "1e9"},
        {"limit": "abc"},
        {"offset": "-1"},
        {"status": "bogus"},
        {"include_completed": "maybe"},
    ],
    ids=str,
)
def test_bad_parameters_are_refused_by_name(client: Client, query: dict[str, str]) -> None:
    answer = client.get("/api/queue", query)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, list(query))


def test_reason_names_the_limit_that_an_entry_waits_for(client: Client, ada: AbstractUser) -> None:
    owner = owner_account()
    for holder in (owner, owner):
        submit(owner=holder, status="running")
    mine = submit(owner=owner)
    hers = submit(owner=ada, queued_at=now_minus(minutes=1))
    assert get(client, f"/position/{mine.job_id}")["waiting_reason"] == "2 of 2 slots used by you"
    assert get(client, f"/position/{hers.job_id}")["waiting_reason"] == "is next"
    limit(max_concurrent=2)
    assert get(client, f"/position/{hers.job_id}")["waiting_reason"] == "2 of 2 slots are in use"
    assert get(client, f"/position/{mine.job_id}")["position"] == 2


def test_reason_tells_of_the_last_attempt_and_of_the_provider(client: Client, sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("status", status=422, body={"detail": "Bad input"}, method="POST", path="/v1/predictions", times=1)
    processor.process()
    reason = get(client, f"/position/{job.job_id}")["waiting_reason"]
    assert reason.startswith("waits for its next attempt at ")
    assert "Bad input" in reason
    QueueEntry.objects.update(next_attempt_at=None)
    sandbox.fault("429", retry_after="60", method="POST", path="/v1/predictions", times=1)
    processor.process()
    QueueEntry.objects.update(next_attempt_at=None)
    assert "Replicate asks us to slow down until" in get(client, f"/position/{job.job_id}")["waiting_reason"]


def test_stats_count_all_and_name_people_only_to_who_may_see_them(
    client: Client, ada: AbstractUser, as_ada: Any
) -> None:
    submit(owner=ada, status="running", queued_at=now_minus(minutes=3), started_at=now_minus(minutes=2))
    submit(owner=ada, status="dispatching")
    submit(owner=owner_account())
    stats = get(client, "/stats")
    assert (stats["queue_depth"], stats["running"], stats["dispatching"]) == (1, 1, 1)
    assert stats["avg_wait_seconds"] == pytest.approx(60, abs=1)
    assert stats["by_status"]["pending"] == 1
    assert stats["by_user"] == {"ada": 2, "owner": 1}
    assert (stats["max_concurrent"], stats["user_max_concurrent"], stats["enable_fair_share"]) == (5, 2, False)
    as_ada(VIEWER)
    assert get(client, "/stats")["by_user"] is None


def test_people_see_their_own_jobs_only(client: Client, ada: AbstractUser, as_ada: Any) -> None:
    others, hers = submit("other's", owner=owner_account(), queued_at=now_minus(minutes=1)), submit("hers", owner=ada)
    as_ada(RESEARCHER)
    (entry,) = get(client)["entries"]
    assert (entry["job_id"], entry["position"]) == (hers.job_id, 2)
    own = get(client, "/me")
    assert (own["pending_count"], own["running_count"], own["blocked_count"], own["best_position"]) == (1, 0, 0, 2)
    assert own["pending_jobs"][0]["job_id"] == hers.job_id
    assert client.get(f"/api/queue/position/{others.job_id}").status_code == 404
    assert post(client, f"/{others.job_id}/cancel")[0] == 404
    assert entry_of(others).status == "pending"


def test_own_jobs_beyond_their_limit_count_as_blocked(client: Client) -> None:
    for _ in range(2):
        submit(owner=owner_account(), status="running")
    submit(owner=owner_account())
    own = get(client, "/me")
    assert (own["pending_count"], own["running_count"], own["blocked_count"]) == (1, 2, 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/concurrency", {"max_concurrent": 9}),
        ("/process", {}),
        ("/cleanup", {}),
        ("/JOB/priority", {"priority": 30}),
        ("/JOB/send-again", {}),
    ],
    ids=["limits", "process", "cleanup", "priority", "send again"],
)
def test_researchers_change_nothing_of_everybodys(
    client: Client, ada: AbstractUser, as_ada: Any, path: str, body: dict[str, Any]
) -> None:
    job = submit(owner=ada)
    as_ada(RESEARCHER)
    status, answer = post(client, path.replace("JOB", job.job_id), body)
    assert (status, set(answer)) == (403, {"detail", "code"})
    assert not QueueLimits.objects.filter(max_concurrent=9).exists()
    assert entry_of(job).priority_override is None


def test_viewer_may_not_cancel(client: Client, ada: AbstractUser, as_ada: Any) -> None:
    job = submit(owner=ada)
    as_ada(VIEWER)
    assert post(client, f"/{job.job_id}/cancel")[0] == 403
    assert entry_of(job).status == "pending"


def test_limits_are_changed_one_by_one_and_written_down(client: Client) -> None:
    body = {"max_concurrent": 7, "enable_fair_share": True}
    expected = {
        "max_concurrent": 7,
        "user_max_concurrent": 2,
        "team_max_concurrent": 10,
        "enable_fair_share": True,
        "ageing_minutes": 6,
    }
    assert post(client, "/concurrency", body) == (200, {"success": True, **expected})
    assert get(client, "/concurrency") == expected
    entry = AuditEntry.objects.get(action="queue.limits")
    assert entry.details == {"changed": {"max_concurrent": [5, 7], "enable_fair_share": [False, True]}}


@pytest.mark.parametrize(
    "body",
    [
        {"max_concurrent": 0},
        {"user_max_concurrent": -1},
        {"team_max_concurrent": 1e9},
        {"ageing_minutes": "fast"},
        {"max_concurent": 5},
        {"enable_fair_share": "perhaps"},
        {"max_concurrent": None},
    ],
    ids=str,
)
def test_limits_that_are_none_are_refused_by_name(client: Client, body: dict[str, Any]) -> None:
    status, answer = post(client, "/concurrency", body)
    assert (status, list(answer["errors"])) == (400, list(body))
    assert get(client, "/concurrency")["max_concurrent"] == 5


@pytest.mark.parametrize("body", [[], "x", 5])
def test_body_that_is_no_object_is_refused(client: Client, body: Any) -> None:
    answer = client.post("/api/queue/concurrency", json.dumps(body), content_type="application/json")
    assert answer.status_code == 400


def test_priority_moves_a_waiting_job_and_null_takes_it_back(client: Client) -> None:
    first, second = submit("first", queued_at=now_minus(minutes=1)), submit("second")
    assert post(client, f"/{second.job_id}/priority", {"priority": 25})[1] == {
        "success": True,
        "job_id": second.job_id,
        "priority_override": 25,
        "effective_priority": 25,
    }
    assert [entry["job_id"] for entry in get(client)["entries"]] == [second.job_id, first.job_id]
    assert post(client, f"/{second.job_id}/priority", {"priority": None})[1]["effective_priority"] == 10
    assert [entry["job_id"] for entry in get(client)["entries"]] == [first.job_id, second.job_id]


@pytest.mark.parametrize("body", [{"priority": 31}, {"priority": -1}, {"priority": "high"}, {}], ids=str)
def test_priority_that_is_none_is_refused(client: Client, body: dict[str, Any]) -> None:
    job = submit()
    status, answer = post(client, f"/{job.job_id}/priority", body)
    assert (status, list(answer["errors"])) == (400, ["priority"])


def test_priority_of_a_job_that_runs_is_no_question_any_more(client: Client) -> None:
    job = submit(status="running")
    assert post(client, f"/{job.job_id}/priority", {"priority": 1})[0] == 409


def test_waiting_job_is_cancelled_without_asking_its_provider(client: Client, sandbox: RunningSandbox) -> None:
    job = submit()
    status, body = post(client, f"/{job.job_id}/cancel")
    assert (status, body["success"], body["status"], body["cancelling"]) == (200, True, "cancelled", False)
    assert entry_of(job).status == "cancelled"
    processor.process()
    assert at_sandbox(sandbox, job) == []
    assert post(client, f"/{job.job_id}/cancel")[0] == 409
    assert AuditEntry.objects.get(action="job.cancel").target == job.job_id


def test_started_job_is_cancelled_at_its_provider(client: Client, sandbox: RunningSandbox) -> None:
    job = submit()
    processor.process()
    assert post(client, f"/{job.job_id}/cancel")[1]["status"] == "cancelled"
    assert at_sandbox(sandbox, job)[0]["status"] == "canceled"


def test_processing_by_hand_starts_what_fits(client: Client, sandbox: RunningSandbox) -> None:
    job = submit()
    status, body = post(client, "/process")
    assert (status, body["processed"], body["claimed"]) == (200, 1, 1)
    assert entry_of(job).status == "running"


def test_cleanup_deletes_old_entries_and_no_job(client: Client) -> None:
    old = submit("old", status="completed", finished_at=now_minus(days=31))
    young = submit("young", status="failed", finished_at=now_minus(days=29))
    waiting = submit("waiting", queued_at=now_minus(days=90))
    assert post(client, "/cleanup?days=0")[0] == 400
    assert post(client, "/cleanup") == (200, {"success": True, "deleted": 1})
    assert set(QueueEntry.objects.values_list("job_id", flat=True)) == {young.pk, waiting.pk}
    old.refresh_from_db()
    assert get(client, f"/position/{old.job_id}") == {
        "job_id": old.job_id,
        "position": None,
        "status": None,
        "waiting_reason": None,
        "estimated_wait_seconds": None,
    }


def test_job_that_may_have_started_is_sent_again_by_hand_only_when_that_is_in_question(
    client: Client, sandbox: RunningSandbox
) -> None:
    job = submit()
    assert post(client, f"/{job.job_id}/send-again")[0] == 409
    sandbox.fault("reset", method="POST", path="/v1/predictions", times=1)
    processor.process()
    assert post(client, f"/{job.job_id}/send-again")[0] == 409
    let_pass(301)
    assert post(client, f"/{job.job_id}/send-again")[0] == 200
    assert (entry_of(job).status, entry_of(job).sent_at) == ("pending", None)
    processor.process()
    assert len(at_sandbox(sandbox, job)) == 1


@pytest.mark.parametrize("job_id", ["nobody", "..%2f", "%00", "x" * 5000], ids=["unknown", "path", "nul", "long"])
def test_unknown_jobs_are_not_found(client: Client, job_id: str) -> None:
    assert client.get(f"/api/queue/position/{job_id}").status_code == 404
    assert client.post(f"/api/queue/{job_id}/cancel").status_code == 404


def test_wrong_methods_are_refused(client: Client) -> None:
    assert client.put("/api/queue/concurrency").status_code in (403, 405)
    assert client.get("/api/queue/process").status_code in (403, 405)


def test_job_tells_its_place_and_how_long_it_may_wait(client: Client) -> None:
    submit("over", status="completed", started_at=now_minus(minutes=70), finished_at=now_minus(minutes=10))
    for _ in range(5):
        submit(status="running")
    job = submit("waits")
    found = client.get(f"/api/cloud/jobs/{job.job_id}").json()["job"]
    assert (found["queue_position"], found["estimated_wait_seconds"]) == (1, 3600.0)
