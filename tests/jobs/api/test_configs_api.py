"""/api/configs: stored configurations."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs.access import Actor
from jobs.models import AuditEntry, StoreClaim, TrainingConfig
from jobs.services import store
from tests.jobs.submitting import CONFIG, DATASETS, SECRET, actor_of_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def act_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Actor], None]:
    def act(actor: Actor) -> None:
        monkeypatch.setattr("jobs.api.authentication.owner_actor", lambda **_: actor)

    return act


def put(client: Client, name: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = client.put(f"/api/configs/{name}", json.dumps(body), content_type="application/json")
    found: dict[str, Any] = answer.json()
    assert answer.status_code == status, found
    return found


def test_configuration_is_kept_shown_listed_changed_and_deleted(client: Client) -> None:
    put(client, "my%20flux", config=CONFIG, dataloader_config=DATASETS, description="first")
    shown = client.get("/api/configs/my%20flux").json()
    assert shown["config"] == CONFIG | {"dataloader_config": DATASETS}
    assert (shown["name"], shown["description"], shown["owner"]) == ("my flux", "first", "owner")
    put(client, "my%20flux", 200, config={"--model_family": "sdxl", "dataloader_config": []})
    listed = client.get("/api/configs").json()
    assert listed["total"] == 1
    summary = listed["configs"][0]
    assert (summary["name"], summary["model_family"], summary["description"]) == ("my flux", "sdxl", "first")
    assert "config" not in summary
    assert client.delete("/api/configs/my%20flux").json() == {"success": True, "name": "my flux"}
    gone = client.get("/api/configs/my%20flux")
    assert (gone.status_code, gone.json()["code"]) == (404, "config_not_found")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "config.create",
        "config.change",
        "config.delete",
    ]


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        pytest.param("x", {}, "config", id="nothing"),
        pytest.param("x", {"config": CONFIG, "model_family": "flux"}, "model_family", id="unknown key"),
        pytest.param("x", {"config": CONFIG, "owner": "me"}, "owner", id="owner"),
        pytest.param("x", {"config": [1]}, "config", id="a list"),
        pytest.param("x", {"config": None}, "config", id="null"),
        pytest.param("x", {"config": {"a": "\x00"}}, "config", id="nul"),
        pytest.param("x", {"config": {"a": "x" * 1024 * 1024}}, "config", id="large"),
        pytest.param("x", {"config": {"hub_token": "••••"}}, "config", id="masked secret that is not known"),
        pytest.param("x", {"config": CONFIG, "dataloader_config": "x"}, "dataloader_config", id="datasets a text"),
        pytest.param("x", {"config": CONFIG, "description": "x" * 2001}, "description", id="long description"),
        pytest.param("-x", {"config": CONFIG}, "name", id="name that begins with a dash"),
        pytest.param("x" * 129, {"config": CONFIG}, "name", id="long name"),
        pytest.param("x%0Ay", {"config": CONFIG}, "name", id="line break in a name"),
        pytest.param("%E2%80%AEx", {"config": CONFIG}, "name", id="name that runs backwards"),
    ],
)
def test_bad_field_is_named_and_nothing_is_kept(client: Client, name: str, body: dict[str, Any], field: str) -> None:
    refused = put(client, name, 400, **body)
    assert (refused["code"], list(refused["errors"])) == ("invalid_parameter", [field])
    assert not TrainingConfig.objects.exists()


def test_numbers_that_json_does_not_know_are_refused(client: Client) -> None:
    for number in ("NaN", "1e999", "-Infinity"):
        body = f'{{"config": {{"learning_rate": {number}}}}}'
        assert client.put("/api/configs/x", body, content_type="application/json").status_code == 400
    assert not TrainingConfig.objects.exists()


def test_team_sees_everybodys_and_changes_its_own(client: Client, act_as: Callable[[Actor], None]) -> None:
    ada, bob, eve, boss = (get_user_model().objects.create_user(name) for name in ("ada", "bob", "eve", "boss"))
    act_as(actor_of_role(ada, "researcher"))
    put(client, "adas", config=CONFIG)
    act_as(actor_of_role(bob, "lead"))
    assert client.get("/api/configs/adas").status_code == 200
    assert put(client, "adas", 403, config={})["code"] == "permission_denied"
    assert client.delete("/api/configs/adas").status_code == 403
    act_as(actor_of_role(eve, "viewer"))
    assert client.get("/api/configs").json()["total"] == 1
    put(client, "eves", 403, config={})
    act_as(actor_of_role(boss, "admin"))
    put(client, "adas", 200, config={"a": 1})
    kept = TrainingConfig.objects.get()
    assert (kept.owner, kept.config) == (ada, {"a": 1})


def test_secret_is_masked_and_survives_being_sent_back_masked(client: Client) -> None:
    config = CONFIG | {"hub_token": SECRET, "tracking": {"api_key": "short"}, "note": f"--wandb_token={SECRET}"}
    put(client, "x", config=config)
    answer = client.get("/api/configs/x")
    assert SECRET not in answer.content.decode()
    shown = answer.json()["config"]
    assert (shown["hub_token"], shown["tracking"]) == ("••••wxyz", {"api_key": "••••"})
    put(client, "x", 200, config=shown | {"max_train_steps": 7})
    assert TrainingConfig.objects.get().config == config | {"max_train_steps": 7}
    # At another place it is only a mask.
    put(client, "x", 400, config=shown | {"copied": shown["hub_token"]})
    put(client, "y", 400, config=shown)


def test_fresh_sandbox_has_two_examples_once(db: None) -> None:
    StoreClaim.objects.all().delete()
    store.claim_store("sandbox", with_examples=True)
    assert TrainingConfig.objects.count() == 2
    TrainingConfig.objects.first().delete()  # type: ignore[union-attr]
    store.claim_store("sandbox", with_examples=True)
    assert TrainingConfig.objects.count() == 1


def test_live_store_has_none(db: None) -> None:
    StoreClaim.objects.all().delete()
    store.claim_store("live", with_examples=False)
    assert not TrainingConfig.objects.exists()


def test_example_can_be_submitted_at_once(client: Client) -> None:
    StoreClaim.objects.all().delete()
    store.claim_store("sandbox", with_examples=True)
    body = {"config_name_to_load": "example-flux-lora"}
    assert client.post("/api/cloud/jobs/submit", body, content_type="application/json").json()["success"] is True
