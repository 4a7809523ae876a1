"""PUT and DELETE /api/cloud/providers/{provider}/token, and the same as SimpleTuner's command line asks for it."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from jobs.access import VIEWER, Actor
from jobs.api.authentication import ActorAuthentication
from jobs.models import AuditEntry, ProviderCredential
from providers import registry
from tests.jobs.conftest import REAL_TOKEN
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

OURS = ("put", "/api/cloud/providers/replicate/token", "api_token")
THEIRS = ("post", "/api/cloud/replicate/token", "token")
DOORS = pytest.mark.parametrize(("method", "path", "field"), [OURS, THEIRS], ids=["ours", "SimpleTuner's"])


def send(client: Client, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    answer = client.generic(method.upper(), path, json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


@DOORS
def test_token_is_set_and_forgotten(client: Client, live: RunningSandbox, method: str, path: str, field: str) -> None:
    status, body = send(client, method, path, {field: REAL_TOKEN})
    assert (status, body["success"], body["error"], body["last_four"]) == (200, True, None, "wxyz")
    assert REAL_TOKEN not in json.dumps(body)
    assert registry.get_token("replicate") == REAL_TOKEN
    assert AuditEntry.objects.get().actor == "owner"
    status, body = send(client, "delete", f"{path}/", None)
    assert (status, body["success"], body["last_four"]) == (200, True, "")
    assert client.post("/api/cloud/jobs/sync").status_code == 503


@DOORS
def test_token_that_the_provider_refuses_is_not_taken(
    client: Client, live: RunningSandbox, method: str, path: str, field: str
) -> None:
    wrong = "r8_wrong_but_well_formed_token"
    status, body = send(client, method, path, {field: wrong})
    assert (status, body["success"], body["code"]) == (422, False, "token_refused")
    assert body["error"] == body["detail"]
    assert wrong not in json.dumps(body)
    assert not ProviderCredential.objects.exists()
    status, body = send(client, method, path, {field: wrong, "check": False})
    assert (status, body["success"]) == (200, True)
    # All that the command line shows of a token that was saved.
    assert "not checked" in body["error"]


@DOORS
@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "r8_geheim geheim",
        "geheim\u00e9",
        "geheim" * 100,
        "a\x00geheim",
        5,
        None,
        ["geheim"],
        {"geheim": 1},
    ],
)
def test_what_is_no_token_is_refused_by_the_fields_name_and_not_repeated(
    client: Client, live: RunningSandbox, method: str, path: str, field: str, value: object
) -> None:
    status, body = send(client, method, path, {field: value})
    assert (status, body["code"], list(body["errors"])) == (400, "invalid_parameter", [field])
    assert "geheim" not in json.dumps(body)
    assert live.requests()["total"] == 0


@DOORS
@pytest.mark.parametrize("body", [{}, [], None, "text", {"check": "maybe"}])
def test_body_without_a_token_is_refused(
    client: Client, live: RunningSandbox, method: str, path: str, field: str, body: object
) -> None:
    assert send(client, method, path, body)[0] == 400


def test_token_of_the_environment_is_changed_there(client: Client, live: RunningSandbox, settings: Settings) -> None:
    settings.PROVIDERS = {"replicate": {"token": REAL_TOKEN, "base_url": live.url}}
    for method, path, field in (OURS, THEIRS):
        status, body = send(client, method, path, {field: "r8_another_token_0000"})
        assert (status, body["code"]) == (409, "invalid_state")
        assert "REPLICATE_API_TOKEN" in body["detail"]
        assert send(client, "delete", path, None)[0] == 409


def test_unknown_provider_and_other_methods_are_told(client: Client, live: RunningSandbox) -> None:
    assert send(client, "put", "/api/cloud/providers/nobody/token", {"api_token": REAL_TOKEN})[0] == 404
    assert send(client, "delete", "/api/cloud/providers/nobody/token", None)[0] == 404
    for _, path, _ in (OURS, THEIRS):
        # Nobody may read one.
        assert client.get(path).status_code in (403, 405)


def test_whoever_may_not_configure_providers_is_refused(
    client: Client, live: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Actor(user_id=None, name="viewer", permissions=VIEWER, via="session")
    monkeypatch.setattr(ActorAuthentication, "authenticate", lambda *_: (None, viewer))
    for method, path, field in (OURS, THEIRS):
        assert send(client, method, path, {field: REAL_TOKEN})[0] in (401, 403)
        assert send(client, "delete", path, None)[0] in (401, 403)
    assert not ProviderCredential.objects.exists()


def test_page_elsewhere_cannot_set_a_token(client: Client, live: RunningSandbox) -> None:
    answer = client.post(
        "/api/cloud/replicate/token",
        json.dumps({"token": REAL_TOKEN}),
        content_type="application/json",
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403


def test_sandbox_says_from_when_on_the_token_is_used(client: Client, account: RunningSandbox) -> None:
    status, body = send(client, *THEIRS[:2], {"token": REAL_TOKEN})
    assert (status, body["success"]) == (200, True)
    assert "until the next start" in body["message"]
    assert "••••wxyz" in client.get("/").content.decode()
