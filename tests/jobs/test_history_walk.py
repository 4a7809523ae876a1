"""A lost store is rebuilt (SPEC A2.4): jobs.services.history_walk."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
import responses
import time_machine
from django.db import DataError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from responses.matchers import query_param_matcher

from jobs import coordination, events
from jobs.lifecycle import TERMINAL, Source
from jobs.models import HistoryWalk, StatusChange, UnifiedJob, WalkState
from jobs.pricing import PriceBook
from jobs.services import history_walk, sync
from jobs.services.history_walk import Position, advance, cancel, facts, latest, start
from jobs.services.lookup import InvalidState
from providers import registry
from providers.errors import ProviderError, ProviderNotConfigured, UnexpectedPayload, UnknownProvider
from providers.snapshots import JobSnapshot, Page
from tests.conftest import MakeJob
from tests.sandbox_server import RunningSandbox, running_sandbox

pytestmark = pytest.mark.django_db

API = "https://replicate.invalid/v1"
LISTS = ("GET /v1/predictions", "GET /v1/trainings")


@pytest.fixture(autouse=True)
def _patient_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick ends by its pages, however slow this machine is."""
    monkeypatch.setattr(history_walk, "TICK_SECONDS", 120.0)


@pytest.fixture
def large_account(settings: Settings) -> Iterator[RunningSandbox]:
    """An account with 1,205 jobs: thirteen or fourteen pages."""
    with running_sandbox(population="1200") as server:
        settings.PROVIDERS = {"replicate": {"token": server.token, "base_url": server.url}}
        yield server


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was announced, in its order."""
    heard: list[Any] = []
    monkeypatch.setattr(events, "announce", lambda kind, told, _audience: heard.append({"type": kind, **told}))
    return heard


def walk() -> HistoryWalk:
    found = latest("replicate")
    assert found is not None
    return found


def rows(prefix: str, numbers: Any, status: str = "succeeded") -> list[dict[str, Any]]:
    return [{"id": f"{prefix}{n}", "status": status, "created_at": "2025-03-01T10:00:00Z"} for n in numbers]


def page(http: responses.RequestsMock, name: str, cursor: str | None, body: Any = None, **answer: Any) -> None:
    """Script one page of a list; registered twice, it answers the second time with the second."""
    query = {"cursor": cursor} if cursor else {}
    http.get(f"{API}/{name}", match=[query_param_matcher(query)], json=body, **answer)


def listed(found: list[dict[str, Any]], following: str | None = None, name: str = "trainings") -> dict[str, Any]:
    return {"results": found, "next": f"{API}/{name}?cursor={following}" if following else None}


def empty(http: responses.RequestsMock, name: str) -> None:
    page(http, name, None, listed([]))


def is_complete(sandbox: RunningSandbox) -> bool:
    """Whether the store knows every job that the provider lists, each once, with one history row."""
    truth = set()
    for kind in ("predictions", "trainings"):
        following: str | None = ""
        while following is not None:
            body = sandbox.get(f"/{kind}", **({"cursor": following} if following else {}))
            truth |= {row["id"] for row in body["results"]}
            following = body["next"].partition("cursor=")[2].replace("%3D", "=") if body["next"] else None
    known = list(UnifiedJob.objects.values_list("external_id", flat=True))
    discovered = StatusChange.objects.filter(previous=None).count()
    return set(known) == truth and len(known) == len(truth) == discovered


def test_walk_brings_in_every_job_of_both_lists_in_as_many_calls_as_there_are_pages(
    large_account: RunningSandbox,
) -> None:
    large_account.reset_requests()
    start("replicate")
    advance()
    done = walk()
    calls = large_account.requests()["counts"]
    assert (done.state, done.seen, done.found, done.error) == ("completed", 1205, 1205, "")
    assert sum(calls.values()) == done.pages <= 14
    assert set(calls) == set(LISTS), "no log is asked for"
    assert is_complete(large_account)
    ended = StatusChange.objects.filter(previous=None, source=Source.SYNC).exclude(status__in=["running", "queued"])
    assert ended.count() >= 1200


def test_second_walk_over_a_known_account_changes_nothing_and_says_so(large_account: RunningSandbox) -> None:
    start("replicate")
    advance()
    ended = list(UnifiedJob.objects.filter(status__in=TERMINAL).values_list("pk", flat=True))
    told = StatusChange.objects.filter(job__in=ended).order_by("pk").values_list("pk", "status")
    before = list(told)
    start("replicate")
    advance()
    assert (walk().seen, walk().found) == (1205, 0)
    assert is_complete(large_account)
    assert len(before) == len(ended) > 1000
    assert list(told.all()) == before


def test_page_costs_the_same_number_of_queries_at_the_beginning_and_at_the_end(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "MOST_PAGES_PER_TICK", 1)
    start("replicate")
    costs = []
    while walk().state == WalkState.RUNNING:
        with CaptureQueriesContext(connection) as queries:
            advance()
        costs.append(len(queries))
    assert len(costs) == walk().pages
    assert max(costs[1:]) - min(costs[1:]) <= 2
    assert max(costs) <= 22


def test_newest_jobs_of_both_lists_come_first(http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_walk, "MOST_PAGES_PER_TICK", 2)
    page(http, "trainings", None, listed(rows("t", [3]), "old"))
    page(http, "predictions", None, listed(rows("p", [3]), "old", "predictions"))
    start("replicate")
    advance()
    assert set(UnifiedJob.objects.values_list("external_id", flat=True)) == {"t3", "p3"}


def test_tick_takes_its_share_of_the_calls_and_leaves_the_rest_to_the_poller(settings: Settings) -> None:
    settings.PROVIDER_CALLS_PER_MINUTE = 2400
    assert history_walk._pages_per_tick() == history_walk.MOST_PAGES_PER_TICK
    settings.PROVIDER_CALLS_PER_MINUTE = 180
    assert history_walk._pages_per_tick() == 5
    settings.PROVIDER_CALLS_PER_MINUTE = 1
    assert history_walk._pages_per_tick() == 1


def test_tick_ends_by_its_time_and_the_next_one_goes_on(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "TICK_SECONDS", 0.0)
    start("replicate")
    advance()
    assert walk().pages == 1
    advance()
    assert walk().pages == 2


# Starting, joining, ending


def test_walk_that_was_asked_for_twice_is_one_walk(announced: list[Any]) -> None:
    first, second = start("replicate"), start("replicate")
    assert (first.joined, second.joined) == (False, True)
    assert first.walk.pk == second.walk.pk
    assert [told["id"] for told in announced] == [first.walk.pk]


def test_walk_that_somebody_else_began_in_the_same_moment_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    first = start("replicate")
    monkeypatch.setattr(history_walk, "_running", lambda _provider: None)
    second = start("replicate")
    assert (second.joined, second.walk.pk) == (True, first.walk.pk)


@pytest.mark.django_db(transaction=True)
def test_walks_asked_for_at_once_are_one_walk() -> None:
    barrier = threading.Barrier(5)
    joined: list[bool] = []

    def press() -> None:
        barrier.wait()
        joined.append(start("replicate").joined)
        connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(joined) == [False, True, True, True, True]
    assert HistoryWalk.objects.count() == 1


def test_walk_needs_a_provider_that_is_configured(settings: Settings) -> None:
    with pytest.raises(UnknownProvider):
        start("nowhere")
    settings.PROVIDERS = {}
    with pytest.raises(ProviderNotConfigured):
        start("replicate")
    assert not HistoryWalk.objects.exists()


def test_cancelled_walk_reads_nothing_more_and_keeps_what_it_brought(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "MOST_PAGES_PER_TICK", 1)
    start("replicate")
    advance()
    assert cancel("replicate").state == WalkState.CANCELLED
    advance()
    assert UnifiedJob.objects.count() == walk().seen == 100
    with pytest.raises(InvalidState):
        cancel("replicate")
    assert start("replicate").joined is False


def test_page_that_was_being_read_while_somebody_cancelled_is_not_written(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = history_walk._read

    def read_and_cancel(of: HistoryWalk, kind: str) -> Page:
        found = read(of, kind)
        cancel("replicate")
        return found

    monkeypatch.setattr(history_walk, "_read", read_and_cancel)
    start("replicate")
    advance()
    assert (walk().state, walk().pages) == ("cancelled", 0)
    assert not UnifiedJob.objects.exists()
    assert not StatusChange.objects.exists()


def test_no_tick_without_a_walk_asks_for_anything() -> None:
    with CaptureQueriesContext(connection) as queries:
        advance()
    assert len(queries) == 1


def test_second_process_idles_while_one_holds_the_walk(sandbox: RunningSandbox) -> None:
    start("replicate")
    sandbox.reset_requests()
    with coordination.lease("history:replicate", seconds=30):
        advance()
    assert sandbox.requests()["total"] == 0
    advance()
    assert walk().state == WalkState.COMPLETED


def test_process_whose_lease_ran_out_does_not_set_the_walk_back(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "MOST_PAGES_PER_TICK", 1)
    read = history_walk._read

    def read_slowly(of: HistoryWalk, kind: str) -> Page:
        found = read(of, kind)
        monkeypatch.setattr(history_walk, "_read", read)
        coordination.client().flushdb()
        advance()
        return found

    monkeypatch.setattr(history_walk, "_read", read_slowly)
    start("replicate")
    advance()
    assert (walk().pages, walk().seen, walk().found) == (1, 100, 100)


# Going on after a crash


class Crash(Exception):
    """The process dies here."""


def die_at(monkeypatch: pytest.MonkeyPatch, step: str, *, before: bool) -> None:
    """Advance until the fourth call of a function: it is the last thing that happens, or the first that does not."""
    whole: Callable[..., Any] = getattr(history_walk, step)
    calls = 0

    def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4 and before:
            raise Crash
        result = whole(*arguments, **options)
        if calls == 4:
            raise Crash
        return result

    with monkeypatch.context() as patch:
        patch.setattr(history_walk, step, dying)
        with pytest.raises(Crash):
            advance()


def test_job_that_cannot_be_stored_is_counted_and_holds_up_neither_its_page_nor_the_next(
    http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge = UnifiedJob.merge

    def merged(job: UnifiedJob, snapshot: JobSnapshot, prices: PriceBook) -> frozenset[str]:
        if snapshot.external_id == "first1":
            raise DataError("value too long")
        return merge(job, snapshot, prices)

    monkeypatch.setattr(UnifiedJob, "merge", merged)
    empty(http, "predictions")
    page(http, "trainings", None, listed(rows("first", range(3)), "c2"))
    page(http, "trainings", "c2", listed(rows("second", range(2))))
    start("replicate")
    advance()
    assert (walk().state, walk().pages, walk().found, walk().unreadable) == ("completed", 3, 4, 1)
    assert set(UnifiedJob.objects.values_list("external_id", flat=True)) == {"first0", "first2", "second0", "second1"}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", ["_read", "apply_fit", "_write", "_take_page"])
def test_walk_that_died_at_any_step_goes_on_and_counts_nothing_twice(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    start("replicate")
    die_at(monkeypatch, step, before=before)
    assert walk().state == WalkState.RUNNING
    assert UnifiedJob.objects.count() == walk().found, "jobs and place are written together"
    assert walk().pages == (4 if (step, before) == ("_take_page", False) else 3)
    advance()
    assert (walk().state, walk().seen, walk().found) == ("completed", 1205, 1205)
    assert is_complete(large_account)


def test_lease_that_is_lost_ends_the_tick_and_not_the_walk(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = history_walk._take_page

    def take_and_lose(*arguments: Any, **options: Any) -> bool:
        coordination.client().flushdb()
        return take(*arguments, **options)

    start("replicate")
    with monkeypatch.context() as patch:
        patch.setattr(history_walk, "_take_page", take_and_lose)
        with pytest.raises(redis.exceptions.LockError):
            advance()
    assert walk().pages == 1
    advance()
    assert (walk().state, walk().found) == ("completed", 1205)


def test_store_that_is_emptied_during_a_walk_gets_no_half_page(
    large_account: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = history_walk._read

    def read_and_reset(of: HistoryWalk, kind: str) -> Page:
        found = read(of, kind)
        if of.pages == 2:
            UnifiedJob.objects.all().delete()
            HistoryWalk.objects.all().delete()
        return found

    start("replicate")
    with monkeypatch.context() as patch:
        patch.setattr(history_walk, "_read", read_and_reset)
        advance()
    assert not UnifiedJob.objects.exists()
    assert start("replicate").joined is False
    advance()
    assert is_complete(large_account)


# Trouble


def fail(sandbox: RunningSandbox, **fault: Any) -> float:
    """Let a walk meet a fault; the seconds that it then waits."""
    start("replicate")
    sandbox.fault(**fault)
    advance()
    found = walk()
    assert found.state == WalkState.RUNNING
    assert found.error
    assert found.next_try_at is not None
    return (found.next_try_at - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "html"},
        {"kind": "null_body"},
        {"kind": "bad_json"},
        {"kind": "reset"},
        {"kind": "half_body"},
        {"kind": "429", "retry_after": 7},
        {"kind": "status", "status": 401},
        {"kind": "status", "status": 404},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}".strip(),
)
def test_trouble_makes_a_walk_wait_with_the_reason_and_it_ends_complete(
    large_account: RunningSandbox, fault: dict[str, Any]
) -> None:
    wait = fail(large_account, **fault)
    large_account.reset_requests()
    advance()
    assert large_account.requests()["total"] == 0, "nothing is asked before the time"
    large_account.clear_faults()
    coordination.client().flushdb()
    with time_machine.travel(timezone.now() + timedelta(seconds=wait + 1)):
        advance()
    assert (walk().state, walk().found, walk().error) == ("completed", 1205, "")


def test_walk_waits_longer_with_each_failure_but_not_for_ever(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    error = UnexpectedPayload("Half an answer.")
    waits = [history_walk._wait_seconds(error, failures) for failures in (1, 2, 3, 7, 100_000)]
    assert waits == [5.0, 10.0, 20.0, 300.0, 300.0]


def test_walk_keeps_to_the_time_that_the_provider_names(large_account: RunningSandbox) -> None:
    assert 70.0 <= fail(large_account, kind="429", retry_after=70) <= 90.0


def test_refused_token_is_tried_again_at_once_by_whoever_asks_and_rarely_otherwise(
    large_account: RunningSandbox,
) -> None:
    assert fail(large_account, kind="status", status=401) > 250.0
    assert "refused the token" in walk().error
    large_account.clear_faults()
    coordination.client().flushdb()
    registry.forget_providers()
    assert start("replicate").joined is True
    advance()
    assert walk().state == WalkState.COMPLETED


def test_list_that_cannot_be_read_does_not_hold_up_the_other(large_account: RunningSandbox) -> None:
    start("replicate")
    large_account.fault("status", status=422, match={"path": "/v1/trainings*"})
    advance()
    trainings = UnifiedJob.objects.filter(external_kind="training")
    assert not trainings.exists()
    assert UnifiedJob.objects.count() == walk().seen > 100
    assert (walk().state, walk().error != "", walk().next_try_at is not None) == ("running", True, True)
    large_account.clear_faults()
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        advance()
    assert walk().state == WalkState.COMPLETED
    assert is_complete(large_account)


def test_token_that_is_taken_away_during_a_walk_makes_it_wait(sandbox: RunningSandbox, settings: Settings) -> None:
    start("replicate")
    registry.forget_providers()
    settings.PROVIDERS = {}
    advance()
    assert (walk().state, walk().next_try_at is not None) == ("running", True)
    assert "Replicate" in walk().error


# Lists that lie


def test_expired_cursor_begins_that_list_again_once_and_says_so(http: responses.RequestsMock) -> None:
    empty(http, "predictions")
    page(http, "trainings", None, listed(rows("t", [1]), "gone"))
    page(http, "trainings", "gone", {"detail": "Invalid cursor"}, status=400)
    page(http, "trainings", None, listed(rows("t", [2, 1]), "good"))
    page(http, "trainings", "good", listed(rows("t", [0])))
    start("replicate")
    advance()
    assert (walk().state, walk().seen, walk().found, walk().error) == ("completed", 4, 3, "")
    assert history_walk.notes(walk()) == [
        "Replicate no longer knew the next page of its training list, which was begun again from its top."
    ]
    assert StatusChange.objects.count() == 3


def test_cursor_that_is_refused_again_makes_the_walk_wait_instead_of_reading_for_ever(
    http: responses.RequestsMock,
) -> None:
    empty(http, "predictions")
    page(http, "trainings", None, listed(rows("t", [1]), "bad"))
    page(http, "trainings", "bad", {"detail": "Invalid cursor"}, status=400)
    start("replicate")
    advance()
    assert (walk().state, walk().pages) == ("running", 3)
    assert "Invalid cursor" in walk().error


@pytest.mark.parametrize("loop", [(0, 0), (0, 3), (2, 5), (6, 6), (3, 9)], ids=str)
def test_next_link_that_leads_back_ends_the_list_and_says_so(
    loop: tuple[int, int], http: responses.RequestsMock
) -> None:
    first, last = loop
    page(http, "trainings", None, listed(rows("t", ["top"]), "0"))
    for number in range(last + 1):
        following = str(first if number == last else number + 1)
        page(http, "trainings", str(number), listed(rows("t", [number]), following))
    empty(http, "predictions")
    start("replicate")
    for _ in range(5):
        advance()
    assert walk().state == WalkState.COMPLETED
    assert walk().found == last + 2
    assert walk().pages <= 4 * (last + 2) + 2
    assert "leads back" in " ".join(history_walk.notes(walk()))


def test_long_list_without_a_loop_is_never_taken_for_one() -> None:
    here = Position()
    for number in range(5000):
        here = here.after(Page(snapshots=(), cursor=str(number)))
        assert not here.is_read
    assert here.after(Page(snapshots=())).ending == ""


def test_list_that_never_ends_is_left_and_the_walk_says_so(
    http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "MOST_PAGES_PER_LIST", 3)
    empty(http, "predictions")
    page(http, "trainings", None, listed([], "0"))
    for number in range(2):
        page(http, "trainings", str(number), listed([], str(number + 1)))
    start("replicate")
    advance()
    assert walk().state == WalkState.COMPLETED
    assert "left after 3 pages, before its end" in facts(walk())["notes"][0]


def test_job_that_moves_to_the_next_page_while_we_read_is_one_job(http: responses.RequestsMock) -> None:
    empty(http, "predictions")
    page(http, "trainings", None, listed(rows("t", [5, 4, 3], "processing"), "2"))
    page(http, "trainings", "2", listed(rows("t", [3, 2, 1])))
    start("replicate")
    advance()
    assert (walk().seen, walk().found, walk().updated) == (6, 5, 1)
    moved = UnifiedJob.objects.get(external_id="t3")
    assert [change.status for change in moved.history.order_by("pk")] == ["running", "completed"]


def test_job_that_stands_twice_and_in_both_lists_is_one_job(http: responses.RequestsMock) -> None:
    page(http, "predictions", None, listed(rows("t", [1, 1, 2]), name="predictions"))
    page(http, "trainings", None, listed(rows("t", [2, 2])))
    start("replicate")
    advance()
    assert walk().found == UnifiedJob.objects.count() == StatusChange.objects.count() == 2


def test_rows_that_are_not_understood_are_counted_and_spoil_nothing(http: responses.RequestsMock) -> None:
    empty(http, "predictions")
    page(http, "trainings", None, listed([{"status": "succeeded"}, None, *rows("t", [1]), {"id": "../x"}]))  # type: ignore[list-item]
    start("replicate")
    advance()
    assert (walk().state, walk().seen, walk().unreadable) == ("completed", 1, 3)


def test_empty_page_in_the_middle_does_not_end_the_list(http: responses.RequestsMock) -> None:
    empty(http, "predictions")
    page(http, "trainings", None, listed([], "more"))
    page(http, "trainings", "more", listed(rows("t", [1])))
    start("replicate")
    advance()
    assert walk().found == 1


# Beside the others


def test_late_page_does_not_set_back_what_others_learnt_meanwhile(
    http: responses.RequestsMock, make_job: MakeJob
) -> None:
    job = make_job(external_id="t1", status="completed", provider_status="succeeded")
    empty(http, "predictions")
    page(http, "trainings", None, listed(rows("t", [1], "processing")))
    start("replicate")
    advance()
    job.refresh_from_db()
    assert job.status == "completed"
    assert not StatusChange.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_walk_sync_and_poller_at_once_make_each_job_once(large_account: RunningSandbox) -> None:
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except ProviderError as error:
            errors.append(error)
        finally:
            connections.close_all()

    def refresh() -> None:
        for _ in range(5):
            sync.refresh_active_jobs(source=Source.POLLER)

    start("replicate")
    works: list[Callable[[], object]] = [advance, lambda: sync.discover_jobs("replicate"), refresh]
    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while walk().state == WalkState.RUNNING:
        advance()
    assert errors == []
    assert is_complete(large_account)
    changes: dict[int, list[str]] = {}
    for change in StatusChange.objects.order_by("pk"):
        changes.setdefault(change.job_id, []).append(change.status)
    for job in UnifiedJob.objects.all():
        assert changes[job.pk][-1] == job.status
        assert len(set(changes[job.pk])) == len(changes[job.pk])


# What is told


def test_progress_is_announced_at_the_start_and_the_end_and_not_with_every_page(
    large_account: RunningSandbox, announced: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_walk, "ANNOUNCED_EVERY_SECONDS", 60.0)
    start("replicate")
    advance()
    assert {told["type"] for told in announced} == {"history_sync"}
    assert [announced[0]["state"], announced[-1]["state"]] == ["running", "completed"]
    assert len(announced) < walk().pages
    assert announced[-1] == {"type": "history_sync", **facts(walk())}


def test_what_it_waits_for_is_announced(sandbox: RunningSandbox, announced: list[Any]) -> None:
    fail(sandbox, kind="status", status=503)
    assert "503" in announced[-1]["error"]
    assert announced[-1]["next_try_at"].endswith("Z")
