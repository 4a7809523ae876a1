"""Replicate's own OpenAPI vouches for the shape of every answer."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.sandbox_server import Json, RunningSandbox, running_sandbox

SPECIFICATION = Path(__file__).resolve().parents[4] / "shared" / "providers" / "replicate-openapi.json"
VERSION = "6029be968faad5bcc6d44e827af89eee22d61c35f3b5d0950751815506a9db04"

pytestmark = pytest.mark.skipif(
    not SPECIFICATION.is_file(), reason=f"needs Replicate's OpenAPI document at {SPECIFICATION}, which is not kept here"
)

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@formats.checks("uri")
def is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme and urlsplit(value).netloc)


def with_nulls(schema: Any) -> Any:
    """The document says 3.1 but marks what may be null in the way of 3.0: `nullable: true` beside a type."""
    if isinstance(schema, list):
        return [with_nulls(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {key: with_nulls(value) for key, value in schema.items()}
    if converted.pop("nullable", False) is True:
        converted["type"] = [converted["type"], "null"]
    return converted


class Specification:
    def __init__(self) -> None:
        self._document = with_nulls(json.loads(SPECIFICATION.read_text()))

    def check(self, method: str, path: str, answer: Any) -> Any:
        """Validate an HTTP answer against the operation's schema for its status, and hand back its JSON."""
        responses = self._document["paths"][path][method]["responses"]
        schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
        whole = {**schema, "components": self._document["components"]}
        Draft202012Validator(whole, format_checker=formats).validate(answer.json())
        return answer.json()


@pytest.fixture(scope="module")
def specification() -> Specification:
    return Specification()


SHORT = {"queue": 2, "load": 1, "preprocess": 1, "train": 6, "validate": 0, "checkpoint": 0, "finish": 0}
STATES: dict[str, Json] = {
    "starting": {},
    "processing": {"created_offset": -400},
    "succeeded": {"created_offset": -60, "durations": SHORT},
    "failed": {"created_offset": -60, "durations": SHORT, "outcome": "failed"},
    "canceled": {"created_offset": -60, "durations": SHORT, "outcome": "canceled-by-deadline"},
    "aborted": {"created_offset": -60, "durations": SHORT, "outcome": "aborted"},
}


@pytest.mark.parametrize("kind", ["prediction", "training"])
@pytest.mark.parametrize("status", STATES)
def test_job_in_every_state_conforms(
    sandbox: RunningSandbox, specification: Specification, kind: str, status: str
) -> None:
    job = sandbox.add_job(kind=kind, **STATES[status])
    shown = specification.check("get", f"/{kind}s/{{{kind}_id}}", sandbox.call("GET", f"/v1/{kind}s/{job['id']}"))
    assert shown["status"] == status
    specification.check("get", "/predictions/{prediction_id}", sandbox.call("GET", f"/v1/predictions/{job['id']}"))
    cancelled = sandbox.call("POST", f"/v1/{kind}s/{job['id']}/cancel")
    if kind == "prediction":
        specification.check("post", "/predictions/{prediction_id}/cancel", cancelled)
    else:
        # The document has no schema for the answer to cancelling a training; it is the training.
        specification.check("get", "/trainings/{training_id}", cancelled)


@pytest.mark.parametrize("kind", ["prediction", "training"])
def test_forgotten_job_conforms(sandbox: RunningSandbox, specification: Specification, kind: str) -> None:
    job = sandbox.add_job(kind=kind, created_offset=-4000, durations=SHORT)
    shown = specification.check("get", f"/{kind}s/{{{kind}_id}}", sandbox.call("GET", f"/v1/{kind}s/{job['id']}"))
    assert shown["data_removed"] is True


@pytest.mark.parametrize("kind", ["predictions", "trainings"])
def test_every_page_of_a_large_account_conforms(specification: Specification, kind: str) -> None:
    with running_sandbox(population="700") as sandbox:
        url, pages = f"/v1/{kind}", 0
        while url:
            page = specification.check("get", f"/{kind}", sandbox.call("GET", url))
            url = (page["next"] or "").removeprefix(sandbox.url)
            pages += 1
    assert pages >= 3


def test_the_demo_conforms(specification: Specification) -> None:
    with running_sandbox(population="demo") as sandbox:
        for kind in ("prediction", "training"):
            for row in specification.check("get", f"/{kind}s", sandbox.call("GET", f"/v1/{kind}s"))["results"]:
                specification.check("get", f"/{kind}s/{{{kind}_id}}", sandbox.call("GET", f"/v1/{kind}s/{row['id']}"))


@pytest.mark.parametrize("path", ["/account", "/hardware", "/webhooks/default/secret"])
def test_fixed_answers_conform(sandbox: RunningSandbox, specification: Specification, path: str) -> None:
    assert specification.check("get", path, sandbox.call("GET", f"/v1{path}"))


@pytest.mark.parametrize(
    ("template", "path", "body"),
    [
        ("/predictions", "/predictions", {"version": f"acme/mugs:{VERSION}"}),
        ("/models/{model_owner}/{model_name}/predictions", "/models/acme/mugs/predictions", {}),
        ("/deployments/{deployment_owner}/{deployment_name}/predictions", "/deployments/acme/front/predictions", {}),
        (
            "/models/{model_owner}/{model_name}/versions/{version_id}/trainings",
            f"/models/ostris/flux-dev-lora-trainer/versions/{VERSION}/trainings",
            {"destination": "acme/mugs", "webhook": "https://example.com/h", "webhook_events_filter": ["completed"]},
        ),
    ],
)
def test_answers_to_creating_conform(
    sandbox: RunningSandbox, specification: Specification, template: str, path: str, body: Json
) -> None:
    created = specification.check("post", template, sandbox.call("POST", f"/v1{path}", json={**body, "input": {}}))
    assert created["status"] == "starting"


def test_models_and_versions_conform(sandbox: RunningSandbox, specification: Specification) -> None:
    model, template = "/models/ostris/flux-dev-lora-trainer", "/models/{model_owner}/{model_name}"
    known = specification.check("get", template, sandbox.call("GET", f"/v1{model}"))
    versions = specification.check("get", f"{template}/versions", sandbox.call("GET", f"/v1{model}/versions"))
    assert versions["results"][0]["id"] == known["latest_version"]["id"]
    path = f"/v1{model}/versions/{known['latest_version']['id']}"
    specification.check("get", f"{template}/versions/{{version_id}}", sandbox.call("GET", path))


def test_the_check_itself_notices_a_wrong_answer(sandbox: RunningSandbox, specification: Specification) -> None:
    job = sandbox.add_job(kind="prediction", status="hibernating")
    with pytest.raises(Exception, match="hibernating"):
        specification.check("get", "/predictions/{prediction_id}", sandbox.call("GET", f"/v1/predictions/{job['id']}"))


def test_files_conform(sandbox: RunningSandbox, specification: Specification) -> None:
    created = sandbox.call("POST", "/v1/files", files={"content": ("a.zip", b"PK")})
    file = specification.check("post", "/files", created)
    specification.check("get", "/files", sandbox.call("GET", "/v1/files"))
    specification.check("get", "/files/{file_id}", sandbox.call("GET", f"/v1/files/{file['id']}"))
