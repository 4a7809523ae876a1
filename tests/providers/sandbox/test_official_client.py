"""Replicate's own Python client vouches for the behaviour."""

from __future__ import annotations

import pytest
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.pagination import paginate

from tests.sandbox_server import Json, RunningSandbox, running_sandbox

VERSION = "6029be968faad5bcc6d44e827af89eee22d61c35f3b5d0950751815506a9db04"
SHORT = {"queue": 2, "load": 1, "preprocess": 1, "train": 6, "validate": 0, "checkpoint": 0, "finish": 0}


@pytest.fixture
def client(sandbox: RunningSandbox) -> Client:
    return Client(api_token=sandbox.token, base_url=sandbox.url)


def test_client_finds_the_sandbox_by_its_environment_variables(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its releases disagree about the variable's name; whichever this one reads, it must not call the real Replicate.
    for name in ("REPLICATE_API_BASE_URL", "REPLICATE_BASE_URL"):
        monkeypatch.setenv(name, sandbox.url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", sandbox.token)
    assert Client().accounts.current().username == "studio-north"


def test_client_with_a_wrong_token_is_refused(sandbox: RunningSandbox) -> None:
    with pytest.raises(ReplicateError) as refusal:
        Client(api_token="wrong", base_url=sandbox.url).trainings.list()
    assert (refusal.value.status, refusal.value.title) == (401, "Unauthenticated")


@pytest.mark.parametrize("kind", ["prediction", "training"])
def test_client_lists_every_job_over_all_pages(sandbox: RunningSandbox, client: Client, kind: str) -> None:
    created = [sandbox.add_job(kind=kind, created_offset=-number)["id"] for number in range(230)]
    pages = list(paginate(getattr(client, f"{kind}s").list))
    assert [len(page) for page in pages] == [100, 100, 30]
    assert [job.id for page in pages for job in page] == created
    previous = getattr(client, f"{kind}s").list(pages[2].previous)
    assert [job.id for job in previous] == [job.id for job in pages[1]]


# The client's enumeration of statuses lacks "aborted", so it cannot read such a job at all.
@pytest.mark.parametrize("kind", ["prediction", "training"])
@pytest.mark.parametrize(
    ("status", "plan"),
    [
        ("starting", {}),
        ("processing", {"created_offset": -400}),
        ("succeeded", {"created_offset": -60, "durations": SHORT}),
        ("failed", {"created_offset": -60, "durations": SHORT, "outcome": "failed"}),
        ("canceled", {"created_offset": -60, "durations": SHORT, "outcome": "canceled-by-deadline"}),
    ],
)
def test_client_reads_jobs_in_every_state_it_knows(
    sandbox: RunningSandbox, client: Client, kind: str, status: str, plan: Json
) -> None:
    job = sandbox.add_job(kind=kind, **plan)
    got = getattr(client, f"{kind}s").get(job["id"])
    assert (got.status, got.error) == (status, job["error"])
    # The job goes on between the two looks: the later log has the earlier one as its beginning.
    assert (got.logs or "").startswith(job["logs"] or "")
    assert got.started_at == job.get("started_at")
    assert got.output == job.get("output")


def test_client_creates_reloads_and_sees_a_training_succeed(sandbox: RunningSandbox, client: Client) -> None:
    training = client.trainings.create(
        model="ostris/flux-dev-lora-trainer",
        version=VERSION,
        input={"input_images": "https://example.com/m.zip", "steps": 300},
        destination="acme/mugs",
        webhook="https://example.com/hook",
        webhook_events_filter=["completed"],
    )
    assert training.input is not None
    assert (training.status, training.input["steps"]) == ("starting", 300)
    seen: list[str] = []
    for seconds in (600, 3000):
        sandbox.advance(seconds)
        training.reload()
        seen.append(training.status)
    assert seen == ["processing", "succeeded"]
    assert training.output is not None
    assert training.output["version"].startswith("acme/mugs:")


def test_client_cancels_a_training(client: Client) -> None:
    training = client.trainings.create(
        version=f"ostris/flux-dev-lora-trainer:{VERSION}", input={}, destination="acme/mugs"
    )
    training.cancel()
    assert training.status == "canceled"
    assert client.trainings.get(training.id).completed_at == training.completed_at


@pytest.mark.parametrize(
    "target", [{"version": f"acme/mugs:{VERSION}"}, {"model": "acme/mugs"}, {"deployment": "acme/front"}], ids=str
)
def test_client_creates_follows_and_cancels_a_prediction(sandbox: RunningSandbox, client: Client, target: Json) -> None:
    prediction = client.predictions.create(**target, input={"prompt": "a mug", "num_inference_steps": 280})
    created: str = prediction.status
    sandbox.advance(60)
    prediction.reload()
    assert (created, prediction.status) == ("starting", "processing")
    assert prediction.progress is not None
    assert prediction.progress.percentage > 0
    prediction.cancel()
    assert client.predictions.get(prediction.id).status == "canceled"


def test_client_runs_a_model_of_the_catalogue_to_its_end() -> None:
    with running_sandbox(speed=10_000.0) as sandbox:
        client = Client(api_token=sandbox.token, base_url=sandbox.url)
        client.poll_interval = 0.02
        version = client.models.get("simpletuner/advanced-trainer-h100").latest_version
        assert version is not None
        output = client.run(
            f"simpletuner/advanced-trainer-h100:{version.id}",
            input={"max_train_steps": 10},
            use_file_output=False,
            wait=False,
        )
    assert isinstance(output, str)
    assert output.endswith("/output.zip")


def test_client_reads_account_hardware_secret_models_and_versions(client: Client) -> None:
    assert client.accounts.current().type == "organization"
    assert "gpu-h100" in [hardware.sku for hardware in client.hardware.list()]
    assert client.webhooks.default.secret().key.startswith("whsec_")
    model = client.models.get("ostris/flux-dev-lora-trainer")
    assert model.latest_version is not None
    assert model.versions.get(model.latest_version.id).id == model.versions.list()[0].id


def test_client_is_told_of_an_unknown_job(client: Client) -> None:
    with pytest.raises(ReplicateError) as refusal:
        client.trainings.get("a" * 26)
    assert (refusal.value.status, refusal.value.detail) == (404, "The requested resource could not be found.")


def test_client_retries_a_throttled_list_by_itself(sandbox: RunningSandbox, client: Client) -> None:
    sandbox.fault("429", retry_after=0, times=2)
    assert len(client.trainings.list()) == 0
    assert sandbox.requests()["counts"] == {"GET /v1/trainings": 3}
