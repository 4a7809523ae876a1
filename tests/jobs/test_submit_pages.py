"""The pages for new jobs and stored configurations, without a browser."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from jobs.access import Actor
from jobs.lifecycle import Source
from jobs.models import DatasetArchive, JobSubmission, ProviderSettings, QueueEntry, TrainingConfig, UnifiedJob
from jobs.services import archives, submitting
from jobs.services.actors import owner_actor
from jobs.services.snapshots import apply_snapshot, take_own_step
from jobs.services.submission_plans import Request
from providers.replicate import cleaning
from tests.conftest import MakeJob, MakeSnapshot
from tests.jobs.submitting import CONFIG, DATASETS, SECRET, actor_of_role, zip_bytes

pytestmark = pytest.mark.django_db

NEW = "/jobs/new"


@pytest.fixture(autouse=True)
def _clean_folder() -> Iterator[None]:
    yield
    folder = archives.archives_folder()
    for path in folder.iterdir() if folder.is_dir() else ():
        path.unlink()


def page(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return unescape(answer.content.decode())


def field(html: str, name: str) -> str:
    """What a text area holds."""
    found = re.search(rf'<textarea id="{name}".*?>\n(.*?)</textarea>', html, re.DOTALL)
    assert found, name
    return found[1]


def error_at(html: str, name: str) -> str:
    found = re.search(rf'id="{name}-error">.*?<span>(.*?)</span>', html, re.DOTALL)
    return found[1] if found else ""


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def post(client: Client, **values: Any) -> Any:
    return client.post(NEW, {"config": json.dumps(CONFIG), "hardware_profile": "h100"} | values, follow=True)


def submit(**fields: Any) -> UnifiedJob:
    job = submitting.submit(owner_actor(), Request(**({"config": CONFIG} | fields))).job
    job.refresh_from_db()
    return job


def fail(job: UnifiedJob) -> None:
    take_own_step(job.pk, "failed", source=Source.QUEUE, error="no room")  # type: ignore[arg-type]


def test_form_offers_machines_with_todays_prices_and_stored_configurations(client: Client) -> None:
    TrainingConfig.objects.create(name="my flux", config=CONFIG)
    html = page(client, NEW)
    assert "H100 · $5.49 per hour" in html
    assert "8x H100" in html
    assert "my flux – flux lora" in html


def test_form_that_is_filled_in_makes_a_job_and_leads_to_it(client: Client) -> None:
    answer = post(
        client,
        datasets=json.dumps(DATASETS),
        hardware_profile="l40s",
        config_name="portraits",
        tracker_run_name="run",
        webhook_url="https://hooks.example.com/1",
        budget_usd="7.5",
        priority="9",
    )
    job = UnifiedJob.objects.get()
    assert answer.redirect_chain == [(f"/jobs/{job.job_id}", 302)]
    assert said(answer)[0] == "Submitted. Place 1 in the queue."
    assert (job.config_name, job.hardware_type, job.budget_usd) == ("portraits", "gpu-l40s", Decimal("7.5"))
    assert (job.submission.config, job.submission.dataloader_config) == (CONFIG, DATASETS)
    assert (job.submission.tracker_run_name, job.submission.webhook_url) == ("run", "https://hooks.example.com/1")
    assert QueueEntry.objects.get().priority_override == 9


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        pytest.param({"config": '{\n  "a": 1,\n  "b" 2\n}'}, "config", "Line 3, column 7", id="a missing colon"),
        pytest.param({"config": ""}, "config", "Paste a configuration", id="nothing"),
        pytest.param({"config": '{"a": 1, "a": 2}'}, "config", "twice", id="a key twice"),
        pytest.param({"config": '{"a": NaN}'}, "config", "NaN", id="nan"),
        pytest.param({"config": "[" * 100_000}, "config", "", id="very deep"),
        pytest.param({"config": "[1]"}, "config", "object", id="a list"),
        pytest.param({"datasets": "[\n{]"}, "datasets", "Line 2", id="datasets broken"),
        pytest.param({"datasets": "{}"}, "datasets", "list", id="datasets an object"),
        pytest.param({"hardware_profile": "a100"}, "hardware_profile", "a100", id="machine"),
        pytest.param({"webhook_url": "http://elsewhere.example"}, "webhook_url", "https", id="webhook"),
        pytest.param({"budget_usd": "much"}, "budget_usd", "number", id="budget"),
        pytest.param({"priority": "99"}, "priority", "30", id="priority"),
        pytest.param({"upload_id": "gone"}, "archive", "gone", id="archive"),
        pytest.param({"archive": SimpleUploadedFile("x.zip", b"no zip")}, "archive", "no zip or tar", id="no archive"),
        pytest.param({"config_file": SimpleUploadedFile("x.json", b"\xff\xfe")}, "config", "UTF-8", id="no text"),
        pytest.param(
            {"config_file": SimpleUploadedFile("x.json", b" " * 1024 * 1025)}, "config", "1024 KiB", id="large file"
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(
    client: Client, values: dict[str, Any], name: str, words: str
) -> None:
    answer = post(client, **({"config_name": "kept <name>", "tracker_run_name": "run"} | values))
    html = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert error_at(html, name)
    assert words in error_at(html, name)
    assert 'value="kept <name>"' in html
    assert 'value="kept <name>"' not in answer.content.decode()
    if isinstance(values.get("config"), str):
        assert field(html, "config") == values["config"]
    assert not UnifiedJob.objects.exists()
    assert not DatasetArchive.objects.exists()


def test_all_that_cannot_be_read_is_told_at_once(client: Client) -> None:
    html = unescape(post(client, config="{", datasets="[", budget_usd="much").content.decode())
    assert all(error_at(html, name) for name in ("config", "datasets", "budget_usd"))


def test_archive_and_files_of_json_go_along_without_a_script(client: Client) -> None:
    content = zip_bytes(200_000)
    answer = post(
        client,
        config="",
        config_file=SimpleUploadedFile("config.json", b"\xef\xbb\xbf" + json.dumps(CONFIG).encode()),
        datasets_file=SimpleUploadedFile("d.json", json.dumps(DATASETS).encode()),
        archive=SimpleUploadedFile("set.zip", content),
    )
    assert answer.status_code == 200
    submission = JobSubmission.objects.get()
    assert (submission.config, submission.dataloader_config) == (CONFIG, DATASETS)
    assert submission.archive is not None
    assert submission.archive.path.read_bytes() == content


def test_archive_that_arrived_need_not_be_sent_again_when_something_else_was_wrong(client: Client) -> None:
    refused = post(client, config="{", archive=SimpleUploadedFile("set.zip", zip_bytes()))
    html = unescape(refused.content.decode())
    assert "set.zip" in html
    assert "has arrived" in html
    upload_id = re.search(r'name="upload_id" value="(\w+)"', html)
    assert upload_id
    post(client, upload_id=upload_id[1])
    assert JobSubmission.objects.get().archive_id == DatasetArchive.objects.get().pk


def test_archive_that_is_too_large_costs_nothing_that_was_typed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 100_000)
    answer = post(client, config_name="typed", archive=SimpleUploadedFile("set.zip", zip_bytes(300_000)))
    html = unescape(answer.content.decode())
    assert "at most" in error_at(html, "archive")
    assert 'value="typed"' in html
    assert list(archives.archives_folder().iterdir()) == []


def test_form_that_is_sent_twice_is_one_job(client: Client) -> None:
    key = re.search(r'name="idempotency_key" value="([^"]+)"', page(client, NEW))
    assert key
    first, second = (post(client, idempotency_key=key[1]) for _ in range(2))
    assert first.redirect_chain == second.redirect_chain
    assert said(second) == ["This was submitted before: here is its job."]
    assert UnifiedJob.objects.count() == 1


def test_form_needs_its_token() -> None:
    strict = Client(enforce_csrf_checks=True)
    refused = strict.post(NEW, {"config": json.dumps(CONFIG), "archive": SimpleUploadedFile("x.zip", zip_bytes())})
    assert refused.status_code == 403
    assert not UnifiedJob.objects.exists()
    assert not DatasetArchive.objects.exists()
    html = page(strict, NEW)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert token
    values = {"config": json.dumps(CONFIG), "csrfmiddlewaretoken": token[1], "hardware_profile": "h100"}
    assert strict.post(NEW, values).status_code == 302


def test_limit_of_cost_and_full_places_are_told(client: Client, make_job: MakeJob) -> None:
    make_job(cost_usd=Decimal(50))
    limit = ProviderSettings.objects.create(
        provider="replicate", cost_limit_enabled=True, cost_limit_amount=5, cost_limit_action="warn"
    )
    assert any("limit of $5.00" in message for message in said(post(client)))
    limit.cost_limit_action = "block"
    limit.save()
    refused = post(client, config_name="typed")
    assert refused.status_code == 400
    assert "limit of $5.00" in refused.content.decode()
    assert 'value="typed"' in refused.content.decode()


def test_stored_configuration_is_loaded_masked_and_submitted_whole(client: Client) -> None:
    config = CONFIG | {"hub_token": SECRET}
    TrainingConfig.objects.create(name="x", config=config, dataloader_config=DATASETS)
    html = page(client, f"{NEW}?config=x")
    assert SECRET not in html
    changed = json.loads(field(html, "config")) | {"max_train_steps": 3}
    post(client, loaded="x", config=json.dumps(changed), datasets=field(html, "datasets"))
    assert JobSubmission.objects.get().config == config | {"max_train_steps": 3}
    assert JobSubmission.objects.get().dataloader_config == DATASETS
    unknown = page(client, f"{NEW}?config=nothing")
    assert "no configuration named 'nothing'" in unknown


def test_job_is_cloned_with_its_secrets_and_its_archive(client: Client) -> None:
    upload = client.post("/api/cloud/uploads?name=s.zip", zip_bytes(), content_type="application/zip").json()
    config = CONFIG | {"hub_token": SECRET}
    hook = "https://hooks.example.com/key-123456"
    job = submit(
        config=config, config_name="p", hardware_profile="l40s-x4", upload_id=upload["upload_id"], webhook_url=hook
    )
    html = page(client, f"{NEW}?from={job.job_id}")
    assert SECRET not in html
    assert '<option value="l40s-x4"' in html
    assert re.search(r'<option value="l40s-x4"[^>]* selected', html)
    assert "s.zip" in html
    assert hook not in html
    shown = re.search(r'name="webhook_url" [^>]*value="([^"]+)"', html)
    assert shown
    values = {"config": field(html, "config"), "webhook_url": shown[1], "reuse_archive": "on", "config_name": "p2"}
    post(client, source_job=job.job_id, **values)
    clone = JobSubmission.objects.exclude(job=job).get()
    assert (clone.config, clone.archive_id) == (config, job.submission.archive_id)
    assert (clone.retry_of, clone.job.config_name, clone.webhook_url) == (None, "p2", hook)


def test_job_whose_provider_tells_its_configuration_is_cloned_too(client: Client, make_job: MakeJob) -> None:
    told = {"config_json": json.dumps(CONFIG), "hf_token": "••••"}
    html = page(client, f"{NEW}?from={make_job(metadata={'input': told}).job_id}")
    assert json.loads(field(html, "config")) == CONFIG | {"hf_token": "••••"}
    other = page(client, f"{NEW}?from={make_job(metadata={'input': {'prompt': 'x'}}).job_id}")
    assert "tells no configuration" in other
    assert page(client, f"{NEW}?from=nobody", 404)


def test_retry_and_clone_are_offered_where_they_lead_somewhere(client: Client, make_job: MakeJob) -> None:
    job = submit()
    html = page(client, f"/jobs/{job.job_id}")
    assert ("Clone" in html, ">Retry<" in html) == (True, False)
    fail(job)
    assert ">Retry<" in page(client, f"/jobs/{job.job_id}")
    elsewhere = page(client, f"/jobs/{make_job(status='failed').job_id}")
    assert (">Clone<" in elsewhere, ">Retry<" in elsewhere) == (False, False)


def test_retry_pressed_twice_is_one_job_and_pressed_later_another(client: Client) -> None:
    job = submit(config_name="p")
    fail(job)

    def key() -> str:
        found = re.search(r'name="key" value="([^"]+)"', page(client, f"/jobs/{job.job_id}"))
        assert found
        return found[1]

    first_key = key()
    for _ in range(2):
        answer = client.post(f"/jobs/{job.job_id}/retry", {"key": first_key}, follow=True)
    assert said(answer) == ["This was submitted before: here is its job."]
    assert job.retries.count() == 1
    client.post(f"/jobs/{job.job_id}/retry", {"key": key()})
    assert job.retries.count() == 2


def test_retry_that_cannot_be_says_why(client: Client, make_job: MakeJob) -> None:
    job = make_job(status="failed")
    answer = client.post(f"/jobs/{job.job_id}/retry", follow=True)
    assert "was not submitted here" in said(answer)[0]
    assert client.get(f"/jobs/{job.job_id}/retry").status_code == 302
    assert client.post("/jobs/nobody/retry").status_code == 404


def test_viewer_finds_no_form(client: Client, monkeypatch: pytest.MonkeyPatch, make_job: MakeJob) -> None:
    viewer = actor_of_role(get_user_model().objects.create_user("eve"), "viewer")
    _act_as(monkeypatch, viewer)
    TrainingConfig.objects.create(name="x", config=CONFIG)
    job = make_job(status="failed")
    for address in (NEW, "/configs/new", "/configs/x/delete"):
        assert client.get(address).status_code == 403
    for address in (NEW, "/configs/x/edit", "/configs/x/delete", f"/jobs/{job.job_id}/retry"):
        assert client.post(address, {"config": "{}"}).status_code == 403
    html = page(client, "/configs/x/edit")
    assert ("readonly" in html, ">Save<" in html) == (True, False)
    assert not UnifiedJob.objects.exclude(pk=job.pk).exists()


def _act_as(monkeypatch: pytest.MonkeyPatch, actor: Actor) -> None:
    monkeypatch.setattr("simpletuner_cloud.client.owner_actor", lambda **_: actor)


# Stored configurations


def test_configuration_is_kept_changed_and_deleted_by_its_pages(client: Client) -> None:
    assert "No configurations yet" in page(client, "/configs")
    values = {"name": "my flux", "description": "d", "config": json.dumps(CONFIG), "datasets": json.dumps(DATASETS)}
    saved = client.post("/configs/new", values, follow=True)
    assert saved.redirect_chain == [("/configs/my%20flux/edit", 302)]
    assert "flux lora" in page(client, "/configs")
    html = page(client, "/configs/my%20flux/edit")
    assert json.loads(field(html, "datasets")) == DATASETS
    client.post("/configs/my%20flux/edit", {"config": '{"a": 1}', "datasets": "", "description": ""})
    kept = TrainingConfig.objects.get()
    assert (kept.config, kept.dataloader_config, kept.description) == ({"a": 1}, [], "")
    assert "Delete “my flux”?" in page(client, "/configs/my%20flux/delete")
    client.post("/configs/my%20flux/delete")
    assert not TrainingConfig.objects.exists()
    assert client.get("/configs/my%20flux/edit", follow=True).redirect_chain == [("/configs", 302)]


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        pytest.param({"name": ""}, "name", "required", id="no name"),
        pytest.param({"name": "taken"}, "name", "already", id="taken name"),
        pytest.param({"name": "../x"}, "name", "Letters", id="a path for a name"),
        pytest.param({"config": "{\n\n1}"}, "config", "Line 3", id="broken"),
        pytest.param({"datasets": "7"}, "datasets", "list", id="datasets a number"),
    ],
)
def test_configuration_that_is_wrong_is_not_kept_and_not_lost(
    client: Client, values: dict[str, str], name: str, words: str
) -> None:
    TrainingConfig.objects.create(name="taken", config=CONFIG)
    answer = client.post("/configs/new", {"name": "x", "config": '{"typed": 1}', "datasets": ""} | values)
    html = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert words in error_at(html, name)
    assert field(html, "config") == values.get("config", '{"typed": 1}')
    assert TrainingConfig.objects.get().config == CONFIG


def test_masked_secret_survives_being_saved_by_the_page(client: Client) -> None:
    TrainingConfig.objects.create(name="x", config=CONFIG | {"hub_token": SECRET})
    html = page(client, "/configs/x/edit")
    assert SECRET not in html
    client.post("/configs/x/edit", {"config": field(html, "config").replace("1500", "7"), "datasets": ""})
    assert TrainingConfig.objects.get().config == CONFIG | {"hub_token": SECRET, "max_train_steps": 7}


# On its way to the provider


def test_upload_on_its_way_is_told_in_the_list_and_on_the_page(client: Client) -> None:
    upload = client.post("/api/cloud/uploads?name=s.zip", zip_bytes(), content_type="application/zip").json()
    job, bare = submit(upload_id=upload["upload_id"]), submit()
    for one in (job, bare):
        take_own_step(one.pk, "uploading", source=Source.QUEUE)  # type: ignore[arg-type]
    DatasetArchive.objects.update(size_bytes=50 * 1024**2, sent_bytes=12.5 * 1024**2)
    for address in ("/", f"/jobs/{job.job_id}"):
        html = page(client, address).replace("\xa0", " ")
        assert "Uploading the dataset: 12.5 MB of 50.0 MB" in html
        assert 'value="25.0"' in html
        assert re.search(r"<job-progress[^>]* uploads", html)
    plain = page(client, f"/jobs/{bare.job_id}")
    assert "Handing over to the provider" in plain
    assert not re.search(r"<job-progress[^>]* uploads", plain)


# Secrets


def test_planted_secret_shows_nowhere(
    client: Client, make_snapshot: MakeSnapshot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    dressed = f"https://name:{SECRET}@git.example.com/x?access_token={SECRET}"
    config = CONFIG | {
        "hub_token": SECRET,
        "--wandb_api_key": SECRET,
        "database_password": SECRET,
        "webhook_config": [{"webhook_url": f"https://discord.com/api/webhooks/1/{SECRET}"}],
        "extra": {"deep": [{"credentials": {"user": SECRET}}]},
        "repository": dressed,
        "arguments": f"--hub_token {SECRET} --steps 4",
        "as_text": json.dumps({"hf_token": SECRET}),
    }
    datasets = [{"id": "s3", "aws_secret_access_key": SECRET}]
    body = {"config": config, "dataloader_config": datasets}
    assert client.put("/api/configs/secretive", body, content_type="application/json").status_code == 201
    again = {"config_name_to_load": "secretive", "idempotency_key": "k"}
    for _ in range(2):
        client.post("/api/cloud/jobs/submit", again, content_type="application/json")
    job = UnifiedJob.objects.get()
    submission = JobSubmission.objects.get()
    assert submission.config == config
    addresses = [
        "/",
        "/configs",
        "/configs/secretive/edit",
        f"{NEW}?config=secretive",
        f"{NEW}?from={job.job_id}",
        f"/jobs/{job.job_id}",
        f"/fragments/jobs/{job.job_id}",
        "/api/configs",
        "/api/configs/secretive",
        "/api/cloud/jobs",
        f"/api/cloud/jobs/{job.job_id}",
        f"/api/cloud/jobs/{job.job_id}/submission",
        f"/admin/jobs/jobsubmission/{submission.pk}/change/",
        f"/admin/jobs/unifiedjob/{job.pk}/change/",
        f"/admin/jobs/trainingconfig/{TrainingConfig.objects.get().pk}/change/",
        "/admin/jobs/trainingconfig/",
        "/admin/jobs/jobsubmission/",
        "/admin/jobs/auditentry/",
    ]
    shown = {address: client.get(address).content.decode() for address in addresses}
    refused = client.put("/api/configs/secretive", body | {"surprise": SECRET}, content_type="application/json")
    shown["refusal"] = refused.content.decode()
    shown["form"] = post(client, config=json.dumps(config), budget_usd="wrong").content.decode()
    assert field(unescape(shown["form"]), "config") == json.dumps(config), "what one types oneself stays as it is"
    del shown["form"]
    # What the provider repeats of it.
    inputs = {"config_json": json.dumps(config), "hf_token": SECRET}
    told = make_snapshot(mark=submission.mark, metadata={"input": cleaning.shown_input(inputs)})
    apply_snapshot(told, source=Source.POLLER)
    job.refresh_from_db()
    assert job.external_id == told.external_id
    shown |= {f"later {address}": client.get(address).content.decode() for address in addresses}
    for address, content in shown.items():
        assert SECRET not in content, address
    assert "wxyz" in shown[f"/api/cloud/jobs/{job.job_id}/submission"]
    assert "job submitted" in caplog.text
    assert SECRET not in caplog.text


def test_archive_of_an_earlier_job_that_is_gone_is_told(client: Client) -> None:
    upload = client.post("/api/cloud/uploads?name=s.zip", zip_bytes(), content_type="application/zip").json()
    job = submit(upload_id=upload["upload_id"])
    DatasetArchive.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    assert "is not kept any more" in page(client, f"{NEW}?from={job.job_id}")
