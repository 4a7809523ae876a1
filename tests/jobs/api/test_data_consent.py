"""POST /api/cloud/data-consent/preview."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

PREVIEW = "/api/cloud/data-consent/preview"
EMBEDS = {"id": "text", "type": "local", "dataset_type": "text_embeds", "cache_dir": "cache/text"}


def preview(client: Client, body: Any) -> tuple[int, dict[str, Any]]:
    answer = client.post(PREVIEW, json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "shape", [list, lambda datasets: {"dataloader_config": datasets, "other": 1}], ids=["list", "object"]
)
def test_local_datasets_are_named(client: Client, shape: Any) -> None:
    pets = {"id": "pets", "type": "local", "instance_data_dir": "/home/me/pets"}
    status, body = preview(client, shape([pets, EMBEDS, {"id": "hub", "type": "huggingface"}]))
    assert status == 200
    assert body == {
        "consent_mode": "ask",
        "requires_upload": True,
        "datasets": [{"id": "pets", "file_count": 0, "total_size_mb": 0.0}],
        "total_files": 0,
        "total_size_mb": 0.0,
        "message": body["message"],
    }
    assert "pets" in body["message"]
    assert "archive" in body["message"]


@pytest.mark.parametrize("datasets", [[], [EMBEDS], [{"id": "hub", "type": "huggingface"}]])
def test_nothing_has_to_be_uploaded_otherwise(client: Client, datasets: list[Any]) -> None:
    _, body = preview(client, datasets)
    assert (body["requires_upload"], body["datasets"]) == (False, [])
    assert body["message"].startswith("Nothing has to be uploaded")


def test_no_folder_of_the_server_is_looked_into(client: Client, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x" * 5_000_000)
    there, not_there = (
        preview(client, [{"id": "a", "instance_data_dir": str(path)}])[1] for path in (tmp_path, tmp_path / "no")
    )
    assert there == not_there
    assert there["total_size_mb"] == 0.0


@pytest.mark.parametrize(
    "body",
    [None, {}, "text", 5, {"dataloader_config": None}, {"dataloader_config": {}}, [1], [[]], [{}, None], [{}] * 1001],
    ids=lambda body: str(body)[:30],
)
def test_anything_else_is_refused_by_the_fields_name(client: Client, body: object) -> None:
    status, problem = preview(client, body)
    assert (status, list(problem["errors"])) == (400, ["dataloader_config"])
    assert isinstance(problem["detail"], str)


def test_body_that_is_no_json_is_refused(client: Client) -> None:
    assert client.post(PREVIEW, "{", content_type="application/json").status_code == 400
