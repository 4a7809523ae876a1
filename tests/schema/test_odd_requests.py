"""Requests that no generator of good manners sends, over the real server: each is answered, and with a 4xx."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.schema.fuzzing import Operation, operations, published_schema

pytestmark = pytest.mark.usefixtures("sandbox")

DOCUMENT = published_schema()
OPERATIONS = list(operations(DOCUMENT))
TAKE_JSON = [
    found
    for found in OPERATIONS
    if "application/json" in DOCUMENT["paths"][found.path][found.method].get("requestBody", {}).get("content", {})
    # Its body is a provider's, and is not looked into before its signature was.
    and found.operation_id != "webhooks_receive"
]
TEXT_FIELDS = (
    *("api_token", "config_name", "description", "hardware_profile", "idempotency_key", "name", "provider", "retry_of"),
    *("token", "tracker_run_name", "upload_id", "user", "webhook_url"),
)
BODIES = {
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "not a number": b'{"budget_usd": NaN, "config": {"a": NaN}}',
    "infinity": b'{"config": {"model_family": 1e999}, "job_ids": [1e999]}',
    "more digits than Python reads": b'{"priority": ' + b"9" * 6000 + b"}",
    "half a character": json.dumps(dict.fromkeys((*TEXT_FIELDS, "\ud800"), "\ud800")).encode(),
    "half a character in a list": b'{"dataloader_config": [{"id": "a\\ud800"}], "job_ids": ["\\udfff"]}',
    "no UTF-8": b'{"name": "\xff"}',
    "half an object": b'{"name": "a"',
    "too much": b'{"name": "' + b"a" * (4 * 1024**2) + b'"}',
}
CONTENT_TYPES = (
    "application/json; charset=hex",
    "application/json; charset=unicode_escape",
    "application/json; a*=nowhere''%41",
    "application/x-www-form-urlencoded; charset=hex",
    "multipart/form-data",
    "multipart/form-data; boundary=x; charset=undefined",
    "text/plain; charset=punycode",
    "@@;;=",
)


def address(web: str, operation: Operation) -> str:
    names = {"provider": "replicate", "key_id": "1", "job_id": "nothere", "name": "nothere", "upload_id": "nothere"}
    return web + operation.path.format(**names)


def problem(answer: requests.Response, what: object) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, f"{what}: {answer.status_code} {answer.text[:300]}"
    assert answer.headers["Content-Type"] == "application/json", what
    body: dict[str, Any] = answer.json()
    assert {"detail", "code"} <= set(body), what
    return body


@pytest.mark.parametrize("name", BODIES)
def test_json_that_cannot_be_kept_is_refused_everywhere(name: str, web: str) -> None:
    for operation in TAKE_JSON:
        answer = requests.request(
            operation.method,
            address(web, operation),
            data=BODIES[name],
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        # 404: the job was looked for before the body.
        assert answer.status_code in (400, 404, 413), f"{operation.label}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code in operation.responses
        problem(answer, operation.label)


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_no_content_type_is_the_end_of_a_request(content_type: str, web: str) -> None:
    for operation in OPERATIONS:
        answer = requests.request(
            operation.method,
            address(web, operation) + "?status=%C3%A9%5Cud800",
            data=b"\\ud800\xff",
            headers={"Content-Type": content_type},
            timeout=30,
        )
        assert answer.status_code < 500, f"{operation.label}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code in operation.responses, f"{operation.label}: {answer.status_code}"


def test_the_charset_that_a_request_names_changes_nothing(web: str) -> None:
    answer = requests.get(
        f"{web}/api/cloud/jobs?status=%C3%A9", headers={"Content-Type": "text/plain; charset=latin-1"}, timeout=30
    )
    assert "é" in problem(answer, "latin-1")["errors"]["status"][0]


@pytest.mark.parametrize(
    "query", [b"status=%C3%A9", b"status=%FF", b"status=%00", b"limit=%D9%A1%00", b"limit=" + b"9" * 5000]
)
def test_a_query_of_any_characters_is_answered(query: bytes, web: str) -> None:
    problem(requests.get(f"{web}/api/cloud/jobs?{query.decode()}", timeout=30), query)


@pytest.mark.parametrize("target", [b"/api/cloud/jobs?status=\xc3\xa9", b"/api/cloud/jobs/\xff", b"/api/keys?x=\xff"])
def test_bytes_that_no_target_may_have_are_refused_by_the_server(target: bytes, web: str) -> None:
    place = urlsplit(web)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 400


@pytest.mark.parametrize("odd", ["%00", "%FF", "%ED%A0%80", "a%2Fb", "a%0Ab", "9" * 4000, "..%2F..%2Fetc"])
def test_names_of_any_characters_lead_nowhere(odd: str, web: str) -> None:
    for operation in OPERATIONS:
        if "{" not in operation.path or operation.is_open:
            continue
        path, _, rest = operation.path.partition("{")
        answer = requests.request(operation.method, f"{web}{path}{odd}{rest.partition('}')[2]}", json={}, timeout=30)
        assert answer.status_code in operation.responses, f"{operation.label}: {answer.status_code} {answer.text[:300]}"
        problem(answer, operation.label)


def test_what_is_asked_for_in_another_format_is_the_same_or_is_refused(web: str) -> None:
    for operation in OPERATIONS:
        if operation.method != "get" or "{" in operation.path:
            continue
        url = address(web, operation)
        plain = requests.get(url, timeout=30)
        assert requests.get(f"{url}?format=xml", timeout=30).status_code == plain.status_code, operation.label
        assert problem(requests.get(url, headers={"Accept": "image/png"}, timeout=30), url)["code"] == "not_acceptable"


def test_head_is_get_without_a_body_and_options_is_answered(web: str) -> None:
    for path in _paths():
        url = web + path
        got, asked = requests.get(url, timeout=30), requests.head(url, timeout=30)
        assert (asked.status_code, asked.content) == (got.status_code, b""), path
        assert asked.headers.get("Content-Type") == got.headers.get("Content-Type"), path
        assert requests.options(url, timeout=30).status_code in (200, 405), path


def _paths() -> Iterator[str]:
    for path in DOCUMENT["paths"]:
        if "{" not in path:
            yield path
