"""Replicate's real answers, kept beside the repository: each must be understood."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import responses

from providers.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    RemoteJobNotFound,
)
from providers.http import ApiClient
from providers.replicate import mapping
from providers.snapshots import JobSnapshot

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "providers" / "fixtures"
FILES = sorted(path for path in RECORDINGS.glob("replicate*/*.json"))
ERRORS: dict[int, type[ProviderError]] = {
    401: ProviderAuthError,
    402: ProviderRejected,
    404: RemoteJobNotFound,
    422: ProviderRejected,
    429: ProviderRateLimited,
    502: ProviderUnavailable,
}
RETRY_AFTER = {"429_low_credit_create": 7.0, "429_newer_text": 30.0, "429_plain": 1.0}

pytestmark = pytest.mark.skipif(not FILES, reason=f"there are no recordings at {RECORDINGS}")


def recording(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def is_error(path: Path) -> bool:
    return int(recording(path)["response"]["status"]) >= 400


def is_job(path: Path) -> bool:
    body = recording(path)["response"]["body"]
    return not is_error(path) and isinstance(body, dict) and {"id", "status"} <= body.keys()


def path_of(path: Path) -> str:
    return urlsplit(str(recording(path)["request"]["url"])).path


JOBS = [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in FILES if is_job(path)]
LISTS = [
    pytest.param(path, id=f"{path.parent.name}/{path.stem}")
    for path in FILES
    if path_of(path).endswith(("/predictions", "/trainings")) and not is_error(path) and not is_job(path)
]
FAILURES = [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in FILES if is_error(path)]


def answered(path: Path, http: responses.RequestsMock) -> object:
    """The recorded answer, read by our client."""
    found = recording(path)["response"]
    body = found["body"] if isinstance(found["body"], str) else json.dumps(found["body"])
    headers = {name: value for name, value in found["headers"].items() if name.lower() != "content-type"}
    http.get("https://api.replicate.com/v1/x", status=found["status"], headers=headers, body=body)
    client = ApiClient(label="Replicate", base_url="https://api.replicate.com", token="test-token")
    return client.get("/v1/x")


def read(path: Path, http: responses.RequestsMock) -> tuple[JobSnapshot, dict[str, Any]]:
    answer: Any = answered(path, http)
    body: dict[str, Any] = recording(path)["response"]["body"]
    return mapping.snapshot(answer.payload, as_of=answer.as_of), body


@pytest.mark.parametrize("path", JOBS)
def test_recorded_job_is_understood(path: Path, http: responses.RequestsMock) -> None:
    snapshot, body = read(path, http)
    assert snapshot.external_id == body["id"]
    assert snapshot.status is mapping.STATUS[body["status"]]
    assert snapshot.created_at is not None
    assert (snapshot.started_at is None) == (not body.get("started_at"))
    assert (snapshot.completed_at is None) == (not body.get("completed_at"))
    assert snapshot.run_seconds == (body.get("metrics") or {}).get("predict_time")
    assert snapshot.error == (body.get("error") or None)
    assert snapshot.logs == (body.get("logs") or None)
    assert snapshot.metadata.get("model") == body.get("model")
    assert snapshot.hardware is None or str(body["model"]).startswith("simpletuner/")


@pytest.mark.parametrize("path", LISTS)
def test_recorded_list_is_understood(path: Path, http: responses.RequestsMock) -> None:
    answer: Any = answered(path, http)
    rows, following = mapping.page(answer.payload)
    assert rows
    assert following == recording(path)["response"]["body"]["next"]
    for row in rows:
        assert mapping.snapshot(row, as_of=answer.as_of).status is not None


@pytest.mark.parametrize("path", FAILURES)
def test_recorded_error_is_understood(path: Path, http: responses.RequestsMock) -> None:
    with pytest.raises(ProviderError) as caught:
        answered(path, http)
    assert type(caught.value) is ERRORS[recording(path)["response"]["status"]]
    assert "<html" not in caught.value.message
    if isinstance(caught.value, ProviderRateLimited):
        assert caught.value.retry_after == RETRY_AFTER[path.stem]


def test_recorded_body_with_raw_control_characters_is_understood(http: responses.RequestsMock) -> None:
    path = RECORDINGS / "replicate_synthetic" / "body_with_raw_control_chars.txt"
    http.get("https://api.replicate.com/v1/x", body=path.read_bytes())
    client = ApiClient(label="Replicate", base_url="https://api.replicate.com", token="test-token")
    answer = client.get("/v1/x")
    assert mapping.snapshot(answer.payload, as_of=answer.as_of).external_id


def test_every_recording_is_looked_at() -> None:
    looked_at = {str(case.id) for case in (*JOBS, *LISTS, *FAILURES)}
    assert {f"{path.parent.name}/{path.stem}" for path in FILES} - looked_at == {
        "replicate/file-operations__01_post_201",
        "replicate/hardware-list__01_get_200",
        "replicate/predictions-create__01_get_200",
        "replicate_synthetic/account",
        "replicate_synthetic/webhook_secret",
    }


def test_recorded_account_and_hardware_are_understood() -> None:
    account = recording(RECORDINGS / "replicate_synthetic" / "account.json")["response"]["body"]
    hardware = recording(RECORDINGS / "replicate" / "hardware-list__01_get_200.json")["response"]["body"]
    assert mapping.account(account).username == "acme"
    assert [machine.sku for machine in mapping.hardware(hardware)][:2] == ["cpu", "gpu-t4"]
