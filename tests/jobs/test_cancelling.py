"""Cancelling: the wish first, the provider next, and its word decides (jobs.services.cancelling and what it uses)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.utils import timezone

from jobs import coordination
from jobs.access import RESEARCHER, SYSTEM, VIEW_ALL, Actor
from jobs.lifecycle import JobStatus, Source
from jobs.models import AuditEntry, QueueEntry, QueueLimits, StatusChange, UnifiedJob
from jobs.services import cancelling, sync
from jobs.services.cancel_requests import pause_seconds, pursue_cancellations
from jobs.services.cancel_wishes import note_wish
from jobs.services.lookup import InvalidState, JobNotFound
from jobs.services.snapshots import apply_snapshot, take_own_step
from providers import names
from providers.errors import ProviderError, ProviderRateLimited, ProviderTimeout, ProviderUnavailable
from tests.conftest import MakeJob, MakeSnapshot
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

LONG = {"queue": 1, "train": 900_000}
CANCEL = "POST /v1/trainings/{id}/cancel"


def running(sandbox: RunningSandbox, **plan: Any) -> UnifiedJob:
    """A job that runs at the sandbox for as long as a test takes, and is known here."""
    job = sandbox.add_job(kind="training", created_offset=-60, durations=LONG, **plan)
    sync.discover_jobs(names.REPLICATE)
    return UnifiedJob.objects.get(external_id=job["id"])


def waiting(make_job: MakeJob, **entry: Any) -> UnifiedJob:
    """A job that was submitted here and waits in the queue."""
    job = make_job(status="pending", external_id=None, origin="submitted")
    QueueEntry.objects.create(job=job, **entry)
    return job


def asked_for(sandbox: RunningSandbox) -> int:
    count: int = sandbox.requests()["counts"].get(CANCEL, 0)
    return count


def let_pauses_end() -> None:
    for key in coordination.client().scan_iter(coordination.key("cancel:*")):
        coordination.client().delete(key)


def test_cancelled_is_what_the_provider_says_and_the_wish_is_kept_with_it(sandbox: RunningSandbox) -> None:
    job = running(sandbox)
    done = cancelling.cancel_job(SYSTEM, job.job_id)
    assert (done.job.status, done.is_cancelling) == ("cancelled", False)
    assert done.message == "Cancelled, confirmed by Replicate."
    assert done.job.cancel_requested_at is not None
    change = StatusChange.objects.filter(job=job).first()
    assert change is not None
    assert (change.previous, change.status, change.source) == ("running", "cancelled", Source.CANCEL)
    entry = AuditEntry.objects.get(action="job.cancel")
    assert (entry.target, entry.actor, entry.details) == (job.job_id, "system", {"was": "running"})


def test_job_of_a_provider_that_says_yes_goes_on_as_cancelling_until_it_has_ended(sandbox: RunningSandbox) -> None:
    job = running(sandbox, ignores_cancel=True)
    done = cancelling.cancel_job(SYSTEM, job.job_id)
    assert (done.job.status, done.is_cancelling) == ("running", True)
    assert done.job.cancel_accepted_at is not None
    assert "bills until it has ended" in done.message
    assert StatusChange.objects.filter(job=job, status="cancelled").count() == 0
    sandbox.change_job(job.external_id or "", status="canceled", completed_at=timezone.now().isoformat())
    sync.refresh_active_jobs(source=Source.POLLER)
    job.refresh_from_db()
    assert (job.status, job.is_cancelling) == ("cancelled", False)


def test_job_that_ended_by_itself_keeps_its_end_whatever_was_wished(sandbox: RunningSandbox) -> None:
    job = running(sandbox)
    ended_at = timezone.now().isoformat()
    sandbox.change_job(job.external_id or "", status="succeeded", completed_at=ended_at)
    with pytest.raises(InvalidState, match=r"already ended \(completed\)"):
        cancelling.cancel_job(SYSTEM, job.job_id)
    job.refresh_from_db()
    assert (job.status, job.is_cancelling) == ("completed", False)
    assert job.cancel_requested_at is not None
    assert pursue_cancellations() == 0


def test_ended_job_is_neither_wished_for_nor_asked_for(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = make_job(status="failed")
    with pytest.raises(InvalidState, match="already ended"):
        cancelling.cancel_job(SYSTEM, job.job_id)
    job.refresh_from_db()
    assert job.cancel_requested_at is None
    assert sandbox.requests()["total"] == 0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"kind": "status", "status": 504}, ProviderTimeout, id="time-out, nothing happened"),
        pytest.param({"kind": "reset"}, ProviderUnavailable, id="connection lost, nothing happened"),
        pytest.param({"kind": "429", "retry_after": 40}, ProviderRateLimited, id="slow down"),
        pytest.param({"kind": "status", "status": 422}, ProviderError, id="refused"),
        pytest.param({"kind": "html"}, ProviderError, id="a proxy's page"),
    ],
)
def test_wish_that_was_not_heard_stays_is_told_and_is_asked_for_again(
    sandbox: RunningSandbox, fault: dict[str, Any], kind: type[ProviderError]
) -> None:
    job = running(sandbox)
    sandbox.fault(method="POST", path="*/cancel", times=1, **fault)
    with pytest.raises(kind, match=r"The cancellation is noted and will be asked for again\.$"):
        cancelling.cancel_job(SYSTEM, job.job_id)
    job.refresh_from_db()
    assert (job.status, job.is_cancelling) == ("running", True)
    assert job.cancel_error
    assert job.cancel_accepted_at is None
    assert job.failed_checks == 0
    # Both the pause of the wish and the rest that the provider asked for.
    coordination.client().flushdb()
    assert pursue_cancellations() == 1
    job.refresh_from_db()
    assert (job.status, job.cancel_error) == ("cancelled", "")


def test_lost_answer_to_a_cancellation_that_happened_is_found_out(sandbox: RunningSandbox) -> None:
    job = running(sandbox)
    sandbox.fault("half_body", method="POST", path="*/cancel", times=1)
    with pytest.raises(ProviderUnavailable):
        cancelling.cancel_job(SYSTEM, job.job_id)
    job.refresh_from_db()
    assert job.status == "running"
    let_pauses_end()
    assert pursue_cancellations() == 1
    job.refresh_from_db()
    assert job.status == "cancelled"
    change = StatusChange.objects.filter(job=job).first()
    assert change is not None
    assert change.source == Source.CANCEL


def test_asking_again_asks_the_provider_again_and_keeps_the_first_wish(sandbox: RunningSandbox) -> None:
    job = running(sandbox, ignores_cancel=True)
    first = cancelling.cancel_job(SYSTEM, job.job_id).job.cancel_requested_at
    assert cancelling.cancel_job(SYSTEM, job.job_id).job.cancel_requested_at == first
    assert asked_for(sandbox) == 2


def test_a_tick_leaves_a_wish_alone_until_its_pause_is_over(sandbox: RunningSandbox) -> None:
    job = running(sandbox, ignores_cancel=True)
    cancelling.cancel_job(SYSTEM, job.job_id)
    # What the provider has taken is not asked for again at once.
    assert int(coordination.client().ttl(coordination.key(f"cancel:{job.pk}"))) > 30
    assert pursue_cancellations() == 0
    let_pauses_end()
    assert pursue_cancellations() == 1
    assert pursue_cancellations() == 0


@pytest.mark.parametrize(
    ("age", "is_accepted", "pause"),
    [(0, False, 5), (30, False, 15), (7200, False, 300), (0, True, 60), (7200, True, 300)],
)
def test_pauses_grow_with_the_age_of_the_wish(make_job: MakeJob, age: int, is_accepted: bool, pause: int) -> None:
    now = timezone.now()
    accepted_at = now if is_accepted else None
    job = make_job(cancel_requested_at=now - timedelta(seconds=age), cancel_accepted_at=accepted_at)
    assert pause_seconds(job, now) == pause


def test_one_provider_in_trouble_is_asked_once_in_a_tick_and_by_one_process(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    for _ in range(12):
        make_job(cancel_requested_at=timezone.now())
    sandbox.fault("status", status=500, method="POST")
    assert pursue_cancellations() == 1
    assert asked_for(sandbox) == 1
    with coordination.lease("cancellations", seconds=5):
        assert pursue_cancellations() == 0


def test_a_job_that_the_provider_does_not_know_is_lost_and_asked_for_ever_more_rarely(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    job = make_job(created_at=timezone.now() - timedelta(hours=1))
    with pytest.raises(ProviderError, match="noted"):
        cancelling.cancel_job(SYSTEM, job.job_id)
    job.refresh_from_db()
    assert job.lost_at is not None
    assert (job.status, job.is_cancelling) == ("running", True)
    for _ in range(3):
        let_pauses_end()
        pursue_cancellations()
    assert asked_for(sandbox) == 2


def test_job_that_was_never_sent_ends_here_without_a_call(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    job = waiting(make_job)
    done = cancelling.cancel_job(SYSTEM, job.job_id)
    assert (done.job.status, done.is_cancelling) == ("cancelled", False)
    assert done.message == "Cancelled before it was sent to its provider."
    assert done.job.completed_at is not None
    assert QueueEntry.objects.get(job=job).status == "cancelled"
    assert StatusChange.objects.get(job=job).source == Source.CANCEL
    assert sandbox.requests()["total"] == 0


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"status": "dispatching"}, id="claimed"),
        pytest.param({"status": "dispatching", "sent_at": timezone.now()}, id="sent"),
        pytest.param({"status": "pending", "sent_at": timezone.now()}, id="sent, and nobody knows what came of it"),
    ],
)
def test_job_that_may_have_been_sent_is_not_ended_here(
    sandbox: RunningSandbox, make_job: MakeJob, make_snapshot: MakeSnapshot, entry: dict[str, Any]
) -> None:
    job = waiting(make_job, **entry)
    done = cancelling.cancel_job(SYSTEM, job.job_id)
    assert (done.job.status, done.is_cancelling) == ("pending", True)
    assert "handed over" in done.message
    assert pursue_cancellations() == 0
    external = sandbox.add_job(kind="training", created_offset=-60, durations=LONG)
    UnifiedJob.objects.filter(pk=job.pk).update(external_id=external["id"], status="queued")
    assert pursue_cancellations() == 1
    job.refresh_from_db()
    assert job.status == "cancelled"


def test_claimed_job_that_goes_back_to_the_queue_unsent_ends_with_the_next_tick(make_job: MakeJob) -> None:
    job = waiting(make_job, status="dispatching")
    cancelling.cancel_job(SYSTEM, job.job_id)
    QueueEntry.objects.filter(job=job).update(status="pending")
    pursue_cancellations()
    job.refresh_from_db()
    assert job.status == "cancelled"


@pytest.mark.parametrize("fields", [{"job_type": "local", "provider": ""}, {"status": "running"}])
def test_what_nobody_can_be_asked_for_is_refused(make_job: MakeJob, fields: dict[str, str]) -> None:
    job = make_job(external_id=None, **fields)
    with pytest.raises(InvalidState):
        cancelling.cancel_job(SYSTEM, job.job_id)
    job.refresh_from_db()
    assert job.cancel_requested_at is None


def test_another_persons_job_is_not_there_and_one_that_can_be_seen_is_not_theirs_to_cancel(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    job = make_job()
    stranger = Actor(user_id=None, name="eve", permissions=RESEARCHER, via="session")
    with pytest.raises(JobNotFound):
        cancelling.cancel_job(stranger, job.job_id)
    onlooker = Actor(user_id=None, name="eve", permissions=RESEARCHER | {VIEW_ALL}, via="session")
    with pytest.raises(PermissionDenied, match="You may view this job, not change it"):
        cancelling.cancel_job(onlooker, job.job_id)
    job.refresh_from_db()
    assert job.cancel_requested_at is None
    assert (AuditEntry.objects.get().outcome, AuditEntry.objects.get().actor) == ("refused", "eve")
    assert sandbox.requests()["total"] == 0


def test_many_are_cancelled_with_an_outcome_each(sandbox: RunningSandbox, make_job: MakeJob) -> None:
    fine, stubborn = running(sandbox), running(sandbox, ignores_cancel=True)
    ended, queued = make_job(status="failed"), waiting(make_job)
    ids = [fine.job_id, stubborn.job_id, ended.job_id, "nope", queued.job_id, fine.job_id]
    found = {outcome.job_id: outcome for outcome in cancelling.cancel_jobs(SYSTEM, ids)}
    assert list(found) == ids[:-1]
    statuses = {key: outcome.cancellation.job.status for key, outcome in found.items() if outcome.cancellation}
    assert statuses == {fine.job_id: "cancelled", stubborn.job_id: "running", queued.job_id: "cancelled"}
    assert isinstance(found[ended.job_id].error, InvalidState)
    assert isinstance(found["nope"].error, JobNotFound)
    assert StatusChange.objects.filter(job=fine, status="cancelled", source=Source.CANCEL).count() == 1
    assert asked_for(sandbox) == 2


def test_many_wishes_cost_one_call_while_the_provider_is_down_and_all_are_noted(
    sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    jobs = [make_job() for _ in range(20)]
    sandbox.fault("status", status=503, method="POST")
    outcomes = cancelling.cancel_jobs(SYSTEM, [job.job_id for job in jobs])
    assert asked_for(sandbox) == 1
    assert isinstance(outcomes[0].error, ProviderError)
    assert [outcome.cancellation is not None and outcome.cancellation.is_cancelling for outcome in outcomes] == [
        True
    ] * 20
    assert UnifiedJob.objects.filter(cancel_requested_at__isnull=False).count() == 20


def in_threads(*work: Callable[[], object]) -> list[object]:
    """Run each in a thread with a connection of its own, all at once; what they gave, or the error."""
    barrier = threading.Barrier(len(work))
    results: list[object] = [None] * len(work)

    def run(number: int) -> None:
        try:
            barrier.wait()
            results[number] = work[number]()
        except Exception as error:  # noqa: BLE001  (looked at by the test)
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_a_wish_and_the_word_of_the_end_at_once_make_one_end(
    make_job: MakeJob, make_snapshot: MakeSnapshot, sandbox: RunningSandbox
) -> None:
    for _ in range(5):
        job = running(sandbox)
        over = make_snapshot(external_id=job.external_id, status="completed")
        in_threads(
            lambda job=job: cancelling.cancel_job(SYSTEM, job.job_id),  # type: ignore[misc]
            lambda over=over: apply_snapshot(over, source=Source.WEBHOOK),  # type: ignore[misc]
        )
        job.refresh_from_db()
        ends = list(StatusChange.objects.filter(job=job, status__in=("completed", "cancelled", "failed")))
        assert [change.status for change in ends] == [job.status]
        assert not job.is_cancelling


def claim(job: UnifiedJob) -> bool:
    """What the queue's dispatcher does: under its lock, the entry is taken if it still waits."""
    with transaction.atomic():
        QueueLimits.objects.select_for_update().get(pk=QueueLimits.KEY)
        entries = QueueEntry.objects.filter(job=job, status="pending")
        taken = bool(entries.update(status="dispatching", claimed_at=timezone.now()))
        if taken:
            take_own_step(job.pk, JobStatus.UPLOADING, source=Source.QUEUE)
    return taken


@pytest.mark.django_db(transaction=True)
def test_a_wish_and_a_claim_at_once_are_a_cancelled_job_or_a_claimed_one_with_a_wish(make_job: MakeJob) -> None:
    QueueLimits.objects.get_or_create(pk=QueueLimits.KEY)
    for _ in range(10):
        job = waiting(make_job)
        claimed, noted = in_threads(lambda job=job: claim(job), lambda job=job: note_wish(SYSTEM, job.pk))  # type: ignore[misc]
        assert not isinstance(noted, Exception), noted
        job.refresh_from_db()
        entry = QueueEntry.objects.get(job=job)
        assert (job.status, entry.status) in (("cancelled", "cancelled"), ("uploading", "dispatching"))
        assert claimed is (entry.status == "dispatching")
        assert job.cancel_requested_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_wish_waits_for_a_claim_that_has_begun(make_job: MakeJob) -> None:
    """The claim holds the queue's lock, and has not written anything yet: the wish must not end the job under it."""
    QueueLimits.objects.get_or_create(pk=QueueLimits.KEY)
    job = waiting(make_job)
    has_lock = threading.Event()

    def slow_claim() -> None:
        with transaction.atomic():
            QueueLimits.objects.select_for_update().get(pk=QueueLimits.KEY)
            entry = QueueEntry.objects.get(job=job)
            has_lock.set()
            threading.Event().wait(0.3)
            entry.status = "dispatching"
            entry.save()

    def wish() -> None:
        has_lock.wait()
        note_wish(SYSTEM, job.pk)

    if connections["default"].vendor == "sqlite":
        # One writer at a time, and no row locks: whoever reads first and writes later is refused.
        claim(job)
        note_wish(SYSTEM, job.pk)
    else:
        assert in_threads(slow_claim, wish) == [None, None]
    job.refresh_from_db()
    assert job.is_cancelling
    assert QueueEntry.objects.get(job=job).status == "dispatching"
