from __future__ import annotations

import hashlib

import pytest

from tests.sandbox_server import RunningSandbox


def test_uploaded_file_is_measured_listed_and_read_back(sandbox: RunningSandbox) -> None:
    answer = sandbox.call("POST", "/v1/files", files={"content": ("a.zip", b"PK\r\n--data", "application/zip")})
    file = answer.json()
    assert (answer.status_code, file["name"], file["content_type"], file["size"]) == (
        201,
        "a.zip",
        "application/zip",
        10,
    )
    assert file["checksums"]["sha256"] == hashlib.sha256(b"PK\r\n--data").hexdigest()
    assert sandbox.get("/files")["results"] == [file]
    assert sandbox.get(f"/files/{file['id']}") == file
    assert sandbox.call("GET", file["urls"]["get"].removeprefix(sandbox.url)).json() == file


def test_file_beyond_the_limit_is_too_large(sandbox: RunningSandbox) -> None:
    body = bytes(100 * 1024 * 1024 + 1)
    answer = sandbox.call("POST", "/v1/files", files={"content": ("big", body)})
    assert (answer.status_code, answer.json()["detail"]) == (413, "Files must be less than 100MB in size")


@pytest.mark.parametrize("arguments", [{"files": {"other": ("a", b"b")}}, {"json": {"content": "x"}}, {"data": b"x"}])
def test_form_without_content_is_refused(sandbox: RunningSandbox, arguments: dict[str, object]) -> None:
    assert sandbox.call("POST", "/v1/files", **arguments).status_code == 422


def test_unknown_file_is_not_found(sandbox: RunningSandbox) -> None:
    assert sandbox.call("GET", "/v1/files/nothing").status_code == 404
