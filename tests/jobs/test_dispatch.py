"""Handing jobs over to a provider: what goes out, what comes back, and what a failure means."""

import json
import threading
import time

import pytest
from django.utils import timezone
from pytest_django import Settings

from jobs.access import SYSTEM
from jobs.lifecycle import JobStatus, Source
from jobs.models import JobSubmission, ProviderSettings, QueueEntry, UnifiedJob
from jobs.services import cancelling, queue_actions, sync
from jobs.services.dispatch import claiming, looking, processor, sending
from jobs.services.snapshots import apply_snapshot
from providers.launch import TrainingRequest
from providers.replicate.provider import ReplicateProvider
from providers.snapshots import JobSnapshot
from simpletuner_cloud.embedded_redis import free_port
from tests.jobs.dispatch_helpers import at_sandbox, entry_of, history_of, let_pass, limit, now_minus, settle, submit
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db


def test_waiting_job_is_started_and_linked_in_one_pass(
    sandbox: RunningSandbox, host_names: dict[str, list[str]]
) -> None:
    host_names["studio.example"] = ["93.184.216.34"]
    job = submit(
        "mugs-v2", webhook_url="https://studio.example/hook", config={"hf_token": "hf_x", "hub_model_id": "a/b"}
    )
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://us.example/api/webhooks/replicate")
    done = processor.process()
    assert (done.claimed, done.started) == (1, 1)
    (there,) = at_sandbox(sandbox, job)
    job.refresh_from_db()
    assert (job.external_id, job.external_kind, job.status) == (there["id"], "prediction", JobStatus.QUEUED)
    assert there["model"] == "simpletuner/advanced-trainer-h100"
    assert there["webhook"] == f"https://us.example/api/webhooks/replicate?job={job.submission.mark}"
    assert there["webhook_events_filter"] == ["start", "completed"]
    assert there["input"] == {
        "config_json": json.dumps({"hub_model_id": "a/b"}),
        "dataloader_json": json.dumps([{"id": "images", "type": "local"}]),
        "hf_token": "hf_x",
        "hub_model_id": "a/b",
        "webhook_config": json.dumps([{"url": "https://studio.example/hook", "events": ["all"]}]),
        "config_name": "mugs-v2",
        "simpletuner_cloud_job": job.submission.mark,
    }
    entry = entry_of(job)
    assert (entry.status, entry.attempts, entry.reason) == ("running", 1, "")
    assert history_of(job) == [(None, "pending"), ("pending", "queued")]


def test_page_shows_neither_the_mark_nor_the_webhook_of_the_submission(sandbox: RunningSandbox) -> None:
    job = submit(webhook_url="https://studio.example/a-secret-path")
    processor.process()
    job.refresh_from_db()
    shown = json.dumps(job.metadata)
    assert job.submission.mark not in shown
    assert "a-secret-path" not in shown


def test_every_hardware_profile_can_be_started(sandbox: RunningSandbox) -> None:
    limit(max_concurrent=20)
    profiles = ["h100", "h100-x2", "h100-x4", "h100-x8", "l40s", "l40s-x2", "l40s-x4", "l40s-x8"]
    jobs = [submit(profile=profile) for profile in profiles]
    assert processor.process().started == len(profiles)
    models = [at_sandbox(sandbox, job)[0]["model"] for job in jobs]
    assert models == [f"simpletuner/advanced-trainer-{profile}" for profile in profiles]


def test_lost_answer_is_found_by_the_mark_and_not_sent_again(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
    processor.process()
    entry = entry_of(job)
    assert (entry.status, entry.looks) == ("dispatching", 0)
    assert "It is being looked for" in entry.reason
    settle()
    job.refresh_from_db()
    (there,) = at_sandbox(sandbox, job)
    assert (job.external_id, entry_of(job).status) == (there["id"], "running")


@pytest.mark.parametrize(
    "fault",
    [{"kind": "timeout", "seconds": 0.2}, {"kind": "reset"}, {"kind": "status", "status": 503}, {"kind": "html"}],
    ids=lambda fault: fault["kind"],
)
def test_job_that_never_arrived_is_sent_again_after_several_looks(
    sandbox: RunningSandbox, fault: dict[str, object]
) -> None:
    job = submit()
    sandbox.fault(**fault, method="POST", path="/v1/predictions", times=1)  # type: ignore[arg-type]
    processor.process()
    passed = 0
    while passed + 30 < looking.QUIET.total_seconds():
        let_pass(30)
        passed += 30
        processor.process()
        assert sandbox.requests()["counts"]["POST /v1/predictions"] == 1
        assert entry_of(job).status == "dispatching"
    let_pass(30)
    processor.process()
    assert len(at_sandbox(sandbox, job)) == 1
    assert (entry_of(job).status, entry_of(job).attempts) == ("running", 2)


def test_job_that_lists_show_late_is_not_sent_again(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
    sandbox.fault("late_list", path="/v1/predictions", seconds=100, method="GET")
    processor.process()
    for _ in range(4):
        let_pass(25)
        processor.process()
        sandbox.advance(25)
    assert entry_of(job).status == "dispatching"
    let_pass(25)
    processor.process()
    sandbox.clear_faults()
    assert len(at_sandbox(sandbox, job)) == 1
    assert entry_of(job).status == "running"


def test_look_that_could_not_read_everything_does_not_count(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("reset", method="POST", path="/v1/predictions", times=1)
    processor.process()
    sandbox.fault("bad_json", method="GET", path="/v1/predictions")
    for _ in range(8):
        let_pass(31)
        processor.process()
    assert (entry_of(job).status, entry_of(job).looks) == ("dispatching", 0)
    assert "could not be looked for" in entry_of(job).reason
    sandbox.clear_faults()
    settle()
    assert len(at_sandbox(sandbox, job)) == 1


def test_sync_between_the_providers_answer_and_our_commit_links_the_same_row(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
    processor.process()
    sync.discover_jobs("replicate")
    assert UnifiedJob.objects.get().pk == job.pk
    assert entry_of(job).status == "running"
    settle()
    assert len(at_sandbox(sandbox, job)) == 1


def test_refusals_are_tried_again_later_and_end_the_job_at_last(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("status", status=422, body={"detail": "Input is bad"}, method="POST", path="/v1/predictions")
    processor.process()
    entry = entry_of(job)
    assert (entry.status, entry.attempts, entry.sent_at) == ("pending", 1, None)
    assert "Input is bad" in entry.reason
    assert entry.next_attempt_at is not None
    processor.process()
    assert entry_of(job).attempts == 1
    settle()
    job.refresh_from_db()
    assert (job.status, entry_of(job).status, entry_of(job).attempts) == ("failed", "failed", 3)
    assert "Input is bad" in (job.error_message or "")
    assert sandbox.requests()["counts"]["POST /v1/predictions"] == 3


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "429", "retry_after": "40"}, "slow down"),
        ({"kind": "status", "status": 401}, "token"),
    ],
    ids=["rate limit", "token"],
)
def test_provider_that_is_not_to_be_asked_uses_up_no_attempt(
    sandbox: RunningSandbox, fault: dict[str, object], says: str
) -> None:
    job = submit()
    sandbox.fault(**fault, method="POST", path="/v1/predictions")  # type: ignore[arg-type]
    for _ in range(6):
        processor.process()
        QueueEntry.objects.update(next_attempt_at=None)
    entry = entry_of(job)
    assert (entry.status, entry.attempts) == ("pending", 0)
    assert says in entry.reason
    assert sandbox.requests()["counts"]["POST /v1/predictions"] == 1


@pytest.mark.django_db(transaction=True)
def test_webhook_that_overtakes_the_answer_links_the_same_row(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit()
    launch = ReplicateProvider.launch

    def overtaken(self: ReplicateProvider, request: TrainingRequest, version: str) -> JobSnapshot:
        answer = launch(self, request, version)
        body = json.dumps(sandbox.get(f"/predictions/{answer.external_id}")).encode()
        webhook = self.read_webhook(body, sent_at=answer.as_of)
        assert isinstance(webhook, JobSnapshot)
        delivery = threading.Thread(target=apply_snapshot, args=(webhook,), kwargs={"source": Source.WEBHOOK})
        delivery.start()
        delivery.join()
        return answer

    monkeypatch.setattr(ReplicateProvider, "launch", overtaken)
    assert processor.process().started == 1
    job.refresh_from_db()
    assert UnifiedJob.objects.count() == 1
    assert job.external_id == at_sandbox(sandbox, job)[0]["id"]
    assert list(job.history.order_by("pk").values_list("status", "source")) == [
        ("pending", "submit"),
        ("queued", "webhook"),
    ]


def test_job_whose_data_are_gone_is_not_sent_again_until_a_person_says_so(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
    processor.process()
    (there,) = at_sandbox(sandbox, job)
    sandbox.change_job(there["id"], input={}, data_removed=True, webhook=None, status="succeeded")
    for _ in range(14):
        let_pass(31)
        processor.process()
    entry = entry_of(job)
    assert (entry.status, sandbox.requests()["counts"]["POST /v1/predictions"]) == ("dispatching", 1)
    assert there["id"] in entry.reason
    queue_actions.send_again(job.pk)
    processor.process()
    assert entry_of(job).status == "running"
    assert len(at_sandbox(sandbox, job)) == 1


@pytest.mark.parametrize(
    "stranger",
    [
        {"model": "simpletuner/advanced-trainer-l40s"},
        {"created_offset": -3600},
        {"known": True},
    ],
    ids=["another trainer", "another time", "seen with its input"],
)
def test_emptied_jobs_that_cannot_be_ours_leave_nothing_in_question(
    sandbox: RunningSandbox, stranger: dict[str, object]
) -> None:
    known = stranger.pop("known", False)
    other = sandbox.add_job(kind="prediction", input={"steps": 5}, **stranger)
    if known:
        sync.discover_jobs("replicate")
    sandbox.change_job(other["id"], input={}, data_removed=True)
    job = submit()
    sandbox.fault("reset", method="POST", path="/v1/predictions", times=1)
    processor.process()
    settle()
    assert entry_of(job).status == "running"


def test_emptied_job_of_a_later_time_leaves_nothing_in_question(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("reset", method="POST", path="/v1/predictions", times=1)
    processor.process()
    let_pass(1500)
    other = sandbox.add_job(kind="prediction")
    sandbox.change_job(other["id"], input={}, data_removed=True)
    for _ in range(looking.LOOKS_NEEDED):
        let_pass(301)
        processor.process()
    assert entry_of(job).status == "running"


def test_mark_in_the_webhook_alone_is_enough(sandbox: RunningSandbox) -> None:
    ProviderSettings.objects.create(provider="replicate", webhook_url="https://us.example/api/webhooks/replicate?a=b")
    job = submit()
    sandbox.fault("lost_answer", method="POST", path="/v1/predictions", times=1)
    processor.process()
    (there,) = at_sandbox(sandbox, job)
    sandbox.change_job(there["id"], input={}, data_removed=True, status="succeeded")
    let_pass(31)
    processor.process()
    job.refresh_from_db()
    assert (job.external_id, job.status) == (there["id"], "completed")


def test_end_asked_for_after_the_claim_comes_before_the_call(sandbox: RunningSandbox) -> None:
    job = submit()
    claims = claiming.claim_next()
    assert cancelling.cancel_job(SYSTEM, job.job_id).is_cancelling
    assert sending.send(claims) == 0
    job.refresh_from_db()
    assert (job.status, entry_of(job).status, at_sandbox(sandbox, job)) == ("cancelled", "cancelled", [])


def test_end_asked_for_elsewhere_after_the_claim_is_seen_before_the_call(sandbox: RunningSandbox) -> None:
    job = submit()
    claims = claiming.claim_next()
    UnifiedJob.objects.update(cancel_requested_at=timezone.now())
    assert sending.send(claims) == 0
    job.refresh_from_db()
    assert (job.status, entry_of(job).status, at_sandbox(sandbox, job)) == ("cancelled", "cancelled", [])


def test_end_asked_for_while_it_is_in_question_waits_for_the_answer(sandbox: RunningSandbox) -> None:
    job = submit()
    sandbox.fault("reset", method="POST", path="/v1/predictions", times=1)
    processor.process()
    assert cancelling.cancel_job(SYSTEM, job.job_id).is_cancelling
    assert entry_of(job).status == "dispatching"
    settle()
    job.refresh_from_db()
    assert (job.status, at_sandbox(sandbox, job)) == ("cancelled", [])


def test_worker_that_was_away_for_too_long_sends_nothing(sandbox: RunningSandbox) -> None:
    job = submit()
    claims = claiming.claim_next()
    let_pass(looking.CLAIM_SECONDS + 1)
    looking.release_unsent()
    assert sending.send(claims) == 0
    assert sandbox.requests()["counts"].get("POST /v1/predictions", 0) == 0
    assert entry_of(job).status == "pending"


def test_call_that_was_held_up_here_is_not_made(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit()
    monkeypatch.setattr(sending, "STALE_SECONDS", -1.0)
    processor.process()
    entry = entry_of(job)
    assert (entry.status, entry.attempts, entry.sent_at) == ("pending", 0, None)
    assert sandbox.requests()["counts"].get("POST /v1/predictions", 0) == 0


def test_slow_provider_does_not_hold_a_pass_for_longer_than_its_limit(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(max_concurrent=20)
    for _ in range(3):
        submit()
    sandbox.fault("latency", seconds=3, path="/v1/models/*")
    monkeypatch.setattr(sending, "BEGIN_SECONDS", 0.5)
    began = time.monotonic()
    processor.process()
    assert time.monotonic() - began < 2.5
    assert set(QueueEntry.objects.values_list("status", "attempts")) == {("pending", 0)}


def test_unreachable_provider_ends_no_job(settings: Settings, sandbox: RunningSandbox) -> None:
    """A provider's trouble never becomes a job's status (SPEC B2.2)."""
    job = submit()
    settings.PROVIDERS = {"replicate": {"token": "t", "base_url": f"http://127.0.0.1:{free_port()}"}}
    for _ in range(8):
        processor.process()
        QueueEntry.objects.update(next_attempt_at=None)
    job.refresh_from_db()
    assert (job.status, entry_of(job).status, entry_of(job).attempts) == ("pending", "pending", 0)


def test_job_that_breaks_its_call_leaves_the_others_alone(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(max_concurrent=20)
    poison, good = submit("poison"), submit("good")
    launch = ReplicateProvider.launch

    def break_off(self: ReplicateProvider, request: TrainingRequest, version: str) -> JobSnapshot:
        if request.name == "poison":
            raise TypeError("a defect of ours")
        return launch(self, request, version)

    monkeypatch.setattr(ReplicateProvider, "launch", break_off)
    processor.process()
    assert (entry_of(good).status, entry_of(poison).status) == ("running", "dispatching")


def test_job_of_an_unknown_profile_ends_with_the_reason(sandbox: RunningSandbox) -> None:
    job = submit(profile="abacus")
    processor.process()
    job.refresh_from_db()
    assert (job.status, entry_of(job).status) == ("failed", "failed")
    assert "abacus" in (job.error_message or "")


def test_place_is_free_when_the_job_has_ended(sandbox: RunningSandbox) -> None:
    limit(max_concurrent=1)
    first, second = submit("first", queued_at=now_minus(minutes=1)), submit("second")
    processor.process()
    assert (entry_of(first).status, entry_of(second).status) == ("running", "pending")
    sandbox.change_job(at_sandbox(sandbox, first)[0]["id"], status="failed", error="boom")
    sync.discover_jobs("replicate")
    processor.process()
    assert (entry_of(first).status, entry_of(second).status) == ("failed", "running")


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254"])
def test_webhook_url_that_leads_inside_by_the_time_of_use_goes_to_nobody(
    sandbox: RunningSandbox, host_names: dict[str, list[str]], address: str
) -> None:
    job = submit(max_attempts=1)
    JobSubmission.objects.filter(job=job).update(webhook_url="https://hooks.example.com/x")
    host_names["hooks.example.com"] = [address]
    processor.process()
    job.refresh_from_db()
    assert (job.status, at_sandbox(sandbox, job)) == ("failed", [])
    assert "Its webhook URL" in (job.error_message or "")


def test_webhook_url_that_leads_to_a_public_address_goes_along(
    sandbox: RunningSandbox, host_names: dict[str, list[str]]
) -> None:
    job = submit()
    JobSubmission.objects.filter(job=job).update(webhook_url="https://hooks.example.com/x")
    host_names["hooks.example.com"] = ["93.184.216.34"]
    processor.process()
    (there,) = at_sandbox(sandbox, job)
    assert "hooks.example.com" in there["input"]["webhook_config"]
