"""POST /api/cloud/jobs/submit and what belongs to it (SPEC B5)."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.access import Actor
from jobs.lifecycle import Origin
from jobs.models import (
    AuditEntry,
    DatasetArchive,
    IdempotencyKey,
    JobSubmission,
    Membership,
    ProviderSettings,
    QueueEntry,
    StatusChange,
    Team,
    TrainingConfig,
    UnifiedJob,
)
from jobs.services import leftovers, submitting
from jobs.services.actors import owner_actor
from jobs.services.snapshots import take_own_step
from jobs.services.submission_plans import Request
from tests.conftest import MakeJob
from tests.jobs.submitting import CONFIG, DATASETS, SECRET, actor_of_role, zip_bytes

pytestmark = pytest.mark.django_db

SUBMIT = "/api/cloud/jobs/submit"
ActAs = Callable[[Actor], None]


@pytest.fixture
def act_as(monkeypatch: pytest.MonkeyPatch) -> ActAs:
    """From now on every request to the API comes from this actor."""

    def act(actor: Actor) -> None:
        monkeypatch.setattr("jobs.api.authentication.owner_actor", lambda **_: actor)

    return act


@pytest.fixture
def ada(db: None) -> Any:
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def bob(db: None) -> Any:
    return get_user_model().objects.create_user("bob")


def submit(client: Client, status: int = 200, query: str = "", **body: Any) -> dict[str, Any]:
    answer = client.post(f"{SUBMIT}{query}", json.dumps(body), content_type="application/json")
    found: dict[str, Any] = answer.json()
    assert answer.status_code == status, found
    return found


def end(job_id: str, status: str = "failed") -> UnifiedJob:
    job = UnifiedJob.objects.get(job_id=job_id)
    take_own_step(job.pk, status, source="queue", error="no room")  # type: ignore[arg-type]
    job.refresh_from_db()
    return job


def test_submitted_job_waits_in_the_queue_with_all_that_it_was_submitted_with(client: Client) -> None:
    done = submit(
        client,
        query="?provider=replicate",
        config=CONFIG,
        dataloader_config=DATASETS,
        config_name="portraits",
        hardware_profile="l40s-x2",
        webhook_url="https://hooks.example.com/x",
        tracker_run_name="run-7",
        budget_usd=12.5,
    )
    assert done | {"job_id": ""} == {
        "success": True,
        "job_id": "",
        "status": "pending",
        "idempotent_hit": False,
        "data_uploaded": False,
        "cost_limit_warning": None,
        "quota_warnings": ["No archive goes with this job, so its trainer gets nothing of your own machine: images."],
        "error": None,
        "queue_position": 1,
    }
    job = UnifiedJob.objects.get(job_id=done["job_id"])
    assert (job.config_name, job.hardware_type, job.provider) == ("portraits", "gpu-2x-l40s", "replicate")
    assert job.metadata == {"model": "simpletuner/advanced-trainer-l40s-x2"}
    assert (job.origin, job.owner_id, job.external_id) == (Origin.SUBMITTED, owner_actor().user_id, None)
    assert job.budget_usd == Decimal("12.5")
    assert job.submission.config == CONFIG
    assert job.submission.dataloader_config == DATASETS
    assert (job.submission.hardware_profile, job.submission.tracker_run_name) == ("l40s-x2", "run-7")
    assert job.submission.webhook_url == "https://hooks.example.com/x"
    assert job.queue_entry.priority == owner_actor().priority
    change = StatusChange.objects.get(job=job)
    assert (change.previous, change.status, change.source) == (None, "pending", "submit")
    assert AuditEntry.objects.get(action="job.submit").target == job.job_id
    assert client.get(f"/api/cloud/jobs/{job.job_id}").json()["job"]["queue_position"] == 1


def test_datasets_may_stand_inside_the_configuration(client: Client) -> None:
    done = submit(client, config=CONFIG | {"dataloader_config": DATASETS})
    submission = JobSubmission.objects.get(job__job_id=done["job_id"])
    assert (submission.config, submission.dataloader_config) == (CONFIG, DATASETS)


def test_stored_configuration_is_loaded_by_its_name_as_the_command_line_does(client: Client) -> None:
    TrainingConfig.objects.create(name="my flux", config=CONFIG, dataloader_config=DATASETS)
    done = submit(client, config_name_to_load="my flux", idempotency_key=None, hardware_profile=None)
    job = UnifiedJob.objects.get(job_id=done["job_id"])
    assert (job.config_name, job.hardware_type) == ("my flux", "gpu-h100")
    assert (job.submission.config, job.submission.dataloader_config) == (CONFIG, DATASETS)


def test_name_without_a_stored_configuration_loads_the_newest_submission_of_that_name(client: Client) -> None:
    submit(client, config=CONFIG, config_name="old name")
    submit(client, config=CONFIG | {"max_train_steps": 9}, config_name="old name", hardware_profile="l40s")
    done = submit(client, config_name_to_load="old name")
    submission = JobSubmission.objects.get(job__job_id=done["job_id"])
    assert submission.config["max_train_steps"] == 9
    assert submission.hardware_profile == "l40s"


def test_nobody_loads_a_submission_that_is_not_for_him_to_see(
    client: Client, act_as: ActAs, ada: Any, bob: Any
) -> None:
    act_as(actor_of_role(ada, "researcher"))
    submit(client, config=CONFIG, config_name="adas")
    act_as(actor_of_role(bob, "researcher"))
    assert submit(client, 404, config_name_to_load="adas")["code"] == "config_not_found"
    assert submit(client, 400, config=CONFIG, retry_of=UnifiedJob.objects.get().job_id)["errors"].keys() == {"retry_of"}


def test_unknown_configuration_is_404(client: Client) -> None:
    for name in ("nothing", "a/b", "x\ty"):
        assert submit(client, 404, config_name_to_load=name)["code"] == "config_not_found"
    assert not UnifiedJob.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "config", id="nothing given"),
        pytest.param({"config": CONFIG, "config_name_to_load": "x"}, "config", id="both given"),
        pytest.param({"config": []}, "config", id="no object"),
        pytest.param({"config": "text"}, "config", id="a text"),
        pytest.param({"config": {"a": "\x00"}}, "config", id="nul"),
        pytest.param({"config": {"a\x00": 1}}, "config", id="nul in a key"),
        pytest.param({"config": {"a": "\ud800"}}, "config", id="half a character"),
        pytest.param({"config": {"a": 2**70}}, "config", id="huge number"),
        pytest.param({"config": {"a": "x" * 1024 * 1024}}, "config", id="too large"),
        pytest.param({"config": {"hub_token": "••••wxyz"}}, "config", id="a mask"),
        pytest.param({"config": CONFIG, "dataloader_config": {"id": "x"}}, "dataloader_config", id="datasets no list"),
        pytest.param({"config": CONFIG, "dataloader_config": ["x"]}, "dataloader_config", id="dataset no object"),
        pytest.param(
            {"config": CONFIG | {"dataloader_config": DATASETS}, "dataloader_config": [{"id": "other"}]},
            "dataloader_config",
            id="two sets of datasets",
        ),
        pytest.param({"config": CONFIG, "hardware_profile": "a100"}, "hardware_profile", id="unknown profile"),
        pytest.param({"config": CONFIG, "hardware_profile": 7}, "hardware_profile", id="profile a number"),
        pytest.param({"config": CONFIG, "webhook_url": "ftp://x"}, "webhook_url", id="webhook"),
        pytest.param({"config": CONFIG, "budget_usd": -1}, "budget_usd", id="negative budget"),
        pytest.param({"config": CONFIG, "budget_usd": "NaN"}, "budget_usd", id="no budget"),
        pytest.param({"config": CONFIG, "priority": 31}, "priority", id="priority too high"),
        pytest.param({"config": CONFIG, "upload_id": "nope"}, "upload_id", id="unknown upload"),
        pytest.param({"config": CONFIG, "retry_of": "nope"}, "retry_of", id="unknown job"),
        pytest.param({"config": CONFIG, "config_name": "x" * 256}, "config_name", id="long name"),
        pytest.param({"config": CONFIG, "idempotency_key": "x" * 256}, "idempotency_key", id="long key"),
        pytest.param({"config": CONFIG, "idempotency_key": ["x"]}, "idempotency_key", id="key a list"),
    ],
)
def test_bad_field_is_named_and_nothing_is_stored(client: Client, body: dict[str, Any], field: str) -> None:
    refused = submit(client, 400, **body)
    assert refused["code"] == "invalid_parameter"
    assert list(refused["errors"]) == [field]
    assert field in refused["detail"]
    assert not UnifiedJob.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="half a body"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b'{"config": {"a": NaN}}', 400, id="nan"),
        pytest.param(b'{"config": {"a": 1e999}}', 400, id="infinite"),
        pytest.param(b'{"config": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}", 400, id="deep"),
        pytest.param(b'{"config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, id="very deep"),
        pytest.param(b"\xff\xfe", 400, id="no unicode"),
        pytest.param(b" " * (4 * 1024 * 1024 + 1), 413, id="five megabytes"),
    ],
)
def test_body_that_is_no_use_is_refused_in_words(client: Client, body: bytes, status: int) -> None:
    answer = client.post(SUBMIT, body, content_type="application/json")
    assert answer.status_code == status, answer.content
    assert isinstance(answer.json()["detail"], str)
    assert not UnifiedJob.objects.exists()


def test_other_methods_and_types_are_refused(client: Client) -> None:
    assert client.post(SUBMIT, "config=1", content_type="application/x-www-form-urlencoded").status_code == 415
    assert client.put(SUBMIT, "{}", content_type="application/json").status_code in (403, 405)


def test_provider_that_is_unknown_or_not_configured_is_named(client: Client, settings: Settings) -> None:
    unknown = submit(client, 404, query="?provider=moonbase", config=CONFIG)
    assert unknown["code"] == "provider_not_found"
    assert "moonbase" in unknown["detail"]
    settings.PROVIDERS = {}
    assert submit(client, 503, config=CONFIG)["code"] == "provider_not_configured"
    assert not UnifiedJob.objects.exists()


def test_viewer_may_not_submit(client: Client, act_as: ActAs, ada: Any) -> None:
    act_as(actor_of_role(ada, "viewer"))
    submit(client, 403, config=CONFIG)
    assert client.post("/api/cloud/uploads?name=x", zip_bytes(), content_type="application/zip").status_code == 403
    assert client.put("/api/configs/x", "{}", content_type="application/json").status_code == 403


def test_priority_is_for_leads_to_set(client: Client, act_as: ActAs, ada: Any) -> None:
    act_as(actor_of_role(ada, "researcher"))
    assert submit(client, 403, config=CONFIG, priority=5)["code"] == "permission_denied"
    act_as(actor_of_role(ada, "lead"))
    done = submit(client, config=CONFIG, priority=5)
    assert QueueEntry.objects.get(job__job_id=done["job_id"]).priority_override == 5


def test_job_belongs_to_who_submitted_it_and_to_his_team(client: Client, act_as: ActAs, ada: Any) -> None:
    team = Team.objects.create(name="portraits")
    Membership.objects.create(user=ada, team=team)
    act_as(actor_of_role(ada, "researcher"))
    job = UnifiedJob.objects.get(job_id=submit(client, config=CONFIG)["job_id"])
    assert (job.owner, job.team) == (ada, team)


def test_limit_of_cost_warns_or_refuses(client: Client, make_job: MakeJob) -> None:
    make_job(cost_usd=Decimal("9.5"))
    limit = ProviderSettings.objects.create(
        provider="replicate", cost_limit_enabled=True, cost_limit_amount=5, cost_limit_action="warn"
    )
    assert "limit of $5.00" in submit(client, config=CONFIG)["cost_limit_warning"]
    limit.cost_limit_action = "block"
    limit.save()
    refused = submit(client, 409, config=CONFIG)
    assert refused["code"] == "cost_limit_reached"
    assert "limit of $5.00" in refused["detail"]
    assert JobSubmission.objects.count() == 1


def test_whoever_has_used_up_his_places_is_told_that_the_job_waits(client: Client) -> None:
    for _ in range(2):
        submit(client, config=CONFIG)
    QueueEntry.objects.update(status="running")
    assert submit(client, config=CONFIG)["quota_warnings"] == ["You have 2 of 2 jobs running; this one waits."]


# Keys


def test_same_key_gives_the_same_job(client: Client) -> None:
    first = submit(client, config=CONFIG, idempotency_key="k")
    again = submit(client, config=CONFIG, idempotency_key="k")
    assert (again["job_id"], again["idempotent_hit"]) == (first["job_id"], True)
    assert again["quota_warnings"] == []
    assert UnifiedJob.objects.count() == QueueEntry.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"config": CONFIG | {"max_train_steps": 1}},
        {"config": CONFIG, "hardware_profile": "l40s"},
        {"config": CONFIG, "budget_usd": 3},
        {"config_name_to_load": "gone"},
    ],
)
def test_same_key_with_another_request_gives_the_old_job_and_says_so(client: Client, other: dict[str, Any]) -> None:
    first = submit(client, config=CONFIG, idempotency_key="k")
    again = submit(client, idempotency_key="k", **other)
    assert (again["job_id"], again["idempotent_hit"]) == (first["job_id"], True)
    assert again["quota_warnings"] == [submitting.KEY_WAS_USED]


def test_key_is_known_although_the_limit_of_cost_was_reached_meanwhile(client: Client, make_job: MakeJob) -> None:
    first = submit(client, config=CONFIG, idempotency_key="k")
    make_job(cost_usd=Decimal(50))
    ProviderSettings.objects.create(
        provider="replicate", cost_limit_enabled=True, cost_limit_amount=5, cost_limit_action="block"
    )
    assert submit(client, config=CONFIG, idempotency_key="k")["job_id"] == first["job_id"]


def test_keys_of_two_people_are_two_keys(client: Client, act_as: ActAs, ada: Any, bob: Any) -> None:
    act_as(actor_of_role(ada, "researcher"))
    first = submit(client, config=CONFIG, idempotency_key="k")
    act_as(actor_of_role(bob, "researcher"))
    assert submit(client, config=CONFIG, idempotency_key="k")["job_id"] != first["job_id"]


def test_key_of_yesterday_makes_a_new_job(client: Client) -> None:
    first = submit(client, config=CONFIG, idempotency_key="k")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    again = submit(client, config=CONFIG, idempotency_key="k")
    assert (again["job_id"] != first["job_id"], again["idempotent_hit"]) == (True, False)
    assert IdempotencyKey.objects.get().job.job_id == again["job_id"]


def test_key_of_a_deleted_job_is_free_again(client: Client) -> None:
    first = submit(client, config=CONFIG, idempotency_key="k")
    end(first["job_id"]).delete()
    again = submit(client, config=CONFIG, idempotency_key="k")
    assert (again["job_id"] != first["job_id"], again["idempotent_hit"]) == (True, False)


def test_expired_keys_are_deleted_and_others_stay(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "BATCH_ROWS", 2)
    for number in range(5):
        submit(client, config=CONFIG, idempotency_key=f"old{number}")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    submit(client, config=CONFIG, idempotency_key="new")
    leftovers.prune()
    assert [key.key for key in IdempotencyKey.objects.all()] == ["new"]
    assert UnifiedJob.objects.count() == 6


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_expired", [False, True], ids=["a new key", "an expired key"])
def test_twenty_requests_with_one_key_at_once_are_one_job(is_expired: bool) -> None:
    actor = owner_actor()
    old = None
    if is_expired:
        old = submitting.submit(actor, Request(config=CONFIG, idempotency_key="k")).job
        IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=25))
    gate = threading.Barrier(20)

    def one() -> tuple[str, bool]:
        try:
            gate.wait()
            done = submitting.submit(actor, Request(config=CONFIG, idempotency_key="k"))
            return done.job.job_id, done.idempotent_hit
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        outcomes = [future.result() for future in [pool.submit(one) for _ in range(20)]]
    assert len({job_id for job_id, _ in outcomes}) == 1
    assert [hit for _, hit in outcomes].count(False) == 1
    jobs = UnifiedJob.objects.exclude(pk=old.pk) if old else UnifiedJob.objects.all()
    assert (jobs.count(), QueueEntry.objects.filter(job__in=jobs).count(), IdempotencyKey.objects.count()) == (1, 1, 1)
    assert StatusChange.objects.filter(job__in=jobs).count() == 1
    assert AuditEntry.objects.filter(action="job.submit", target=outcomes[0][0]).count() == 1


# Retry, clone, and what a job was submitted with


@pytest.fixture
def archive(db: None) -> Iterator[DatasetArchive]:
    found = DatasetArchive.objects.create(
        archive_id="a" * 32, owner_id=owner_actor().user_id, name="set.zip", size_bytes=4, sha256="0" * 64
    )
    found.path.parent.mkdir(exist_ok=True)
    found.path.write_bytes(b"PK..")
    yield found
    found.path.unlink(missing_ok=True)


def retry(client: Client, job_id: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/api/cloud/jobs/{job_id}/retry", json.dumps(body), content_type="application/json")
    found: dict[str, Any] = answer.json()
    assert answer.status_code == status, found
    return found


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_failed_and_cancelled_jobs_are_retried_as_they_were(
    client: Client, archive: DatasetArchive, status: str
) -> None:
    first = submit(
        client,
        config=CONFIG | {"hub_token": SECRET},
        dataloader_config=DATASETS,
        config_name="p",
        hardware_profile="l40s",
        upload_id=archive.archive_id,
        webhook_url="https://hooks.example.com/x",
        tracker_run_name="r",
        budget_usd=4,
    )
    assert first["data_uploaded"] is True
    end(first["job_id"], status)
    again = retry(client, first["job_id"])
    old, new = (JobSubmission.objects.get(job__job_id=done["job_id"]) for done in (first, again))
    for field in ("config", "dataloader_config", "hardware_profile", "archive_id", "webhook_url", "tracker_run_name"):
        assert getattr(old, field) == getattr(new, field)
    assert new.retry_of == old.job
    assert old.mark != new.mark
    assert (new.job.config_name, new.job.budget_usd) == ("p", Decimal(4))
    assert again["data_uploaded"] is True
    assert AuditEntry.objects.get(action="job.retry").details["retry_of"] == first["job_id"]


def test_only_ended_jobs_are_retried(client: Client, make_job: MakeJob) -> None:
    first = submit(client, config=CONFIG)
    refused = retry(client, first["job_id"], 409)
    assert (refused["code"], "pending" in refused["detail"]) == ("invalid_state", True)
    assert retry(client, make_job(status="completed").job_id, 409)["code"] == "invalid_state"
    assert retry(client, "nope", 404)["code"] == "job_not_found"


def test_retry_with_a_key_is_one_job(client: Client) -> None:
    first = submit(client, config=CONFIG)
    end(first["job_id"])
    one = retry(client, first["job_id"], idempotency_key="r")
    two = retry(client, first["job_id"], idempotency_key="r")
    assert (two["job_id"], two["idempotent_hit"], two["quota_warnings"]) == (one["job_id"], True, [])


def test_retry_does_not_start_without_the_archive_that_the_job_needs(client: Client, archive: DatasetArchive) -> None:
    first = submit(client, config=CONFIG, config_name="p", upload_id=archive.archive_id)
    end(first["job_id"])
    archive.path.unlink()
    assert "archive" in retry(client, first["job_id"], 409)["detail"]
    # By its name the configuration is asked for, so that is what one gets, and is told.
    loaded = submit(client, config_name_to_load="p")
    assert loaded["data_uploaded"] is False
    assert "archive" in loaded["quota_warnings"][0]


def test_archive_that_lies_at_the_provider_still_goes_with_a_retry(client: Client, archive: DatasetArchive) -> None:
    first = submit(client, config=CONFIG, upload_id=archive.archive_id)
    end(first["job_id"])
    archive.path.unlink()
    archive.provider_url = "https://files.example.com/1"
    archive.provider_expires_at = timezone.now() + timedelta(hours=1)
    archive.save()
    assert retry(client, first["job_id"])["data_uploaded"] is True


def test_discovered_job_is_retried_if_its_provider_tells_how_it_was_made(client: Client, make_job: MakeJob) -> None:
    told = {"config_json": json.dumps(CONFIG), "dataloader_json": json.dumps(DATASETS), "images": "https://x.example/z"}
    job = make_job(status="failed", hardware_type="gpu-l40s", metadata={"input": told})
    submission = JobSubmission.objects.get(job__job_id=retry(client, job.job_id)["job_id"])
    assert (submission.config, submission.dataloader_config) == (CONFIG, DATASETS)
    assert (submission.hardware_profile, submission.retry_of) == ("l40s", job)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param({}, "tells no configuration", id="nothing"),
        pytest.param({"steps": 4}, "tells no configuration", id="another model"),
        pytest.param({"config_json": '{"a": "cut of'}, "incomplete", id="cut off"),
        pytest.param({"config_json": "[]"}, "cannot be read", id="no object"),
        pytest.param({"config_json": {"hub_token": "••••"}}, "secrets that are not known here", id="masked"),
    ],
)
def test_discovered_job_that_cannot_be_read_says_why(
    client: Client, make_job: MakeJob, told: dict[str, Any], reason: str
) -> None:
    job = make_job(status="failed", metadata={"input": told})
    refused = retry(client, job.job_id, 409)
    assert (refused["code"], reason in refused["detail"]) == ("invalid_state", True), refused


def test_submission_is_shown_masked_and_only_to_who_may_see_the_job(
    client: Client, act_as: ActAs, ada: Any, bob: Any, make_job: MakeJob
) -> None:
    act_as(actor_of_role(ada, "researcher"))
    done = submit(client, config=CONFIG | {"hub_token": SECRET}, webhook_url="https://h.example.com/key-123456")
    address = f"/api/cloud/jobs/{done['job_id']}/submission"
    shown = client.get(address).json()
    assert shown["config"] == CONFIG | {"hub_token": "••••wxyz"}
    assert (shown["hardware_profile"], shown["archive"], shown["retry_of"]) == ("h100", None, None)
    assert "key-" not in shown["webhook_url"]
    act_as(actor_of_role(bob, "researcher"))
    assert client.get(address).status_code == 404
    assert client.post(f"/api/cloud/jobs/{done['job_id']}/retry").status_code == 404
    act_as(actor_of_role(bob, "lead"))
    assert client.get(address).status_code == 200
    elsewhere = client.get(f"/api/cloud/jobs/{make_job().job_id}/submission")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "submission_not_found")
