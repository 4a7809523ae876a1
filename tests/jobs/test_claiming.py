"""Handing out places: never more than the limits allow, whoever else is at it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle import Origin
from jobs.models import JobSubmission, QueueEntry, Team, UnifiedJob
from jobs.queue_order import Places
from jobs.services import queue, queue_actions, queue_limits
from jobs.services.dispatch import claiming, looking, processor
from tests.jobs.dispatch_helpers import at_sandbox, entry_of, let_pass, limit, now_minus, submit
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(db: None) -> list[AbstractUser]:
    return [get_user_model().objects.create_user(name) for name in ("ada", "bob", "eve")]


def taken() -> set[str]:
    held = QueueEntry.objects.filter(status__in=("dispatching", "running"))
    return {str(name) for name in held.values_list("job__config_name", flat=True)}


def in_threads(count: int, work: Callable[[], object]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_places_go_by_priority_within_the_limits_of_all_and_of_each(people: list[AbstractUser]) -> None:
    ada, bob, eve = people
    for number in range(4):
        submit(f"ada-{number}", owner=ada, priority=20, queued_at=now_minus(seconds=60 - number))
    for number in range(2):
        submit(f"bob-{number}", owner=bob, queued_at=now_minus(seconds=50 - number))
    for number in range(2):
        submit(f"eve-{number}", owner=eve, queued_at=now_minus(seconds=40 - number))
    assert len(claiming.claim_next()) == 5
    assert taken() == {"ada-0", "ada-1", "bob-0", "bob-1", "eve-0"}
    assert claiming.claim_next() == []


def test_teams_share_when_fair_share_is_on(people: list[AbstractUser]) -> None:
    team = Team.objects.create(name="blue")
    limit(team_max_concurrent=1, enable_fair_share=True)
    submit("first", owner=people[0], team=team)
    submit("second", owner=people[1], team=team)
    submit("other", owner=people[2])
    claiming.claim_next()
    assert taken() == {"first", "other"}


def test_limits_lowered_below_what_runs_stop_nobody_and_start_nobody(people: list[AbstractUser]) -> None:
    for number in range(4):
        submit(f"runs-{number}", owner=people[number % 3], status="running")
    submit("waits", owner=people[2])
    queue_limits.change(max_concurrent=2)
    assert claiming.claim_next() == []
    assert len(taken()) == 4
    QueueEntry.objects.filter(status="running").order_by("pk")[:1].get()
    for entry in QueueEntry.objects.filter(status="running")[:3]:
        entry.delete()
    assert len(claiming.claim_next()) == 1


def test_priority_set_by_hand_decides_at_the_next_pass() -> None:
    limit(max_concurrent=1)
    submit("first", queued_at=now_minus(minutes=1))
    second = submit("second")
    queue_actions.set_priority(second.pk, 30)
    claiming.claim_next()
    assert taken() == {"second"}


def test_age_decides_over_priority_in_the_end() -> None:
    limit(max_concurrent=1, ageing_minutes=1)
    submit("old", priority=0, queued_at=now_minus(minutes=40))
    submit("new", priority=30)
    claiming.claim_next()
    assert taken() == {"old"}


def test_entry_that_waits_for_its_next_attempt_is_passed_over() -> None:
    submit("later", priority=30, next_attempt_at=now_minus(seconds=-60))
    submit("now")
    claiming.claim_next()
    assert taken() == {"now"}


def test_job_cancelled_while_it_waits_ends_here_without_a_place(sandbox: RunningSandbox) -> None:
    limit(max_concurrent=1)
    submit("runs", status="running")
    job = submit("unwanted", cancel_asked=True)
    processor.process()
    job.refresh_from_db()
    assert (job.status, entry_of(job).status) == ("cancelled", "cancelled")
    assert at_sandbox(sandbox, job) == []


def test_provider_that_rests_is_handed_nothing(sandbox: RunningSandbox) -> None:
    submit()
    sandbox.fault("429", retry_after="60", method="GET", path="/v1/models/*", times=1)
    processor.process()
    QueueEntry.objects.update(next_attempt_at=None)
    assert claiming.claim_next() == []


@pytest.mark.django_db(transaction=True)
def test_many_processors_at_once_pass_no_limit(people: list[AbstractUser]) -> None:
    limit(max_concurrent=6)
    for number in range(24):
        submit(f"job-{number}", owner=people[number % 3])
    in_threads(6, claiming.claim_next)
    held = QueueEntry.objects.filter(status="dispatching").values_list("job__owner__username", "attempts")
    assert Counter(name for name, _ in held) == {"ada": 2, "bob": 2, "eve": 2}
    assert {attempts for _, attempts in held} == {1}


@pytest.mark.django_db(transaction=True)
def test_nobody_counts_places_while_another_hands_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(max_concurrent=1)
    for number in range(2):
        submit(f"job-{number}")
    both_have_counted = threading.Barrier(2)
    held_places = queue.held_places

    def count_together() -> Places:
        places = held_places()
        with suppress(threading.BrokenBarrierError):
            both_have_counted.wait(1.0)
        return places

    monkeypatch.setattr(queue, "held_places", count_together)
    in_threads(2, claiming.claim_next)
    assert both_have_counted.broken, "they counted at the same time"
    assert len(taken()) == 1


@pytest.mark.django_db(transaction=True)
def test_two_processors_at_once_start_each_job_once(sandbox: RunningSandbox, people: list[AbstractUser]) -> None:
    limit(max_concurrent=6)
    jobs = [submit(f"job-{number}", owner=people[number % 3]) for number in range(9)]
    sandbox.fault("latency", seconds=0.05, path="/v1/*")
    in_threads(3, processor.process)
    let_pass(90)
    in_threads(3, processor.process)
    assert [len(at_sandbox(sandbox, job)) for job in jobs].count(1) == 6
    assert sandbox.requests()["counts"]["POST /v1/predictions"] == 6
    assert len(taken()) == 6


@pytest.mark.django_db(transaction=True)
def test_stale_claim_is_taken_back_by_one_of_many(people: list[AbstractUser]) -> None:
    submit("left")
    (claim,) = claiming.claim_next()
    let_pass(looking.CLAIM_SECONDS + 1)
    released: list[int] = []
    in_threads(4, lambda: released.append(looking.release_unsent()))
    assert sum(released) == 1
    entry = QueueEntry.objects.get()
    assert (entry.status, entry.attempts) == ("pending", 0)
    assert not claim.renew(), "whoever was away for too long has lost it"


def test_ten_thousand_that_wait_cost_a_pass_no_more_queries_than_ten(db: None) -> None:
    limit(max_concurrent=2)

    def add(count: int) -> None:
        jobs = UnifiedJob.objects.bulk_create(
            UnifiedJob(provider="replicate", origin=Origin.SUBMITTED) for _ in range(count)
        )
        JobSubmission.objects.bulk_create(JobSubmission(job=job, hardware_profile="h100") for job in jobs)
        QueueEntry.objects.bulk_create(QueueEntry(job=job) for job in jobs)

    counts = []
    for count in (10, 9990):
        add(count)
        with CaptureQueriesContext(connection) as queries:
            started = time.monotonic()
            assert len(claiming.claim_next()) == 2
            seconds = time.monotonic() - started
        counts.append(len(queries))
        QueueEntry.objects.filter(status="dispatching").delete()
    assert counts[0] == counts[1] < 12
    assert seconds < 15
