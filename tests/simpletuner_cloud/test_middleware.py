"""What every request passes: simpletuner_cloud.middleware, and the lanes of simpletuner_cloud.asgi."""

import pytest
from django.test import Client

from simpletuner_cloud.asgi import may_wait_for_provider

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 409, id="a program names no page"),
        pytest.param({"Origin": "http://testserver"}, 409, id="our own page"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="a page elsewhere"),
        pytest.param({"Origin": "null"}, 403, id="a sandboxed frame"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="a form elsewhere"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, 409, id="a form of ours"),
    ],
)
def test_page_elsewhere_cannot_press_anything(
    client: Client, make_job: object, headers: dict[str, str], status: int
) -> None:
    job = make_job(status="failed")  # type: ignore[operator]
    answer = client.post(f"/api/cloud/jobs/{job.job_id}/cancel", headers=headers)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)


def test_host_that_is_not_ours_is_refused(client: Client) -> None:
    assert client.get("/api/cloud/jobs", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/api/cloud/jobs", "/api/docs/", "/admin/", "/api/nowhere"])
def test_every_answer_carries_a_strict_policy(client: Client, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("unsafe-inline" in policy) == path.startswith("/api/docs")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/api/cloud/jobs/sync", b"", True),
        ("/api/cloud/jobs/abc/inline-progress/", b"", True),
        ("/api/cloud/jobs", b"limit=5&sync_active=true", True),
        ("/api/cloud/providers/replicate/validate", b"", True),
        ("/api/cloud/jobs", b"limit=5", False),
        ("/", b"", False),
    ],
)
def test_requests_that_may_wait_for_a_provider_have_threads_of_their_own(
    path: str, query: bytes, expected: bool
) -> None:
    assert may_wait_for_provider(path, query) is expected
