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
    "path", ["/", "/api/cloud/jobs", "/api/nowhere", "/admin/", "/i18n.js", "/static/css/base.css"]
)
@pytest.mark.parametrize("host", ["testserver", "evil.example"])
def test_every_answer_tells_the_browser_to_trust_nobody(client: Client, path: str, host: str) -> None:
    headers = client.get(path, headers={"Host": host}).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Server" not in headers


@pytest.mark.parametrize(
    "path",
    ["/api/cloud/jobs", "/api/cloud/metrics", "/api/cloud/jobs/none", "/api/nowhere", "/api/schema", "/fragments/jobs"],
)
def test_no_cache_keeps_what_is_private(client: Client, path: str) -> None:
    assert "no-store" in client.get(path).headers["Cache-Control"]


def test_cookies_are_for_our_own_pages_and_out_of_scripts_reach(client: Client) -> None:
    client.get("/")
    client.get("/admin/login/")
    answer = client.post("/look", {"language": "en", "next": "/"})
    cookies = {**client.cookies, **answer.cookies}
    assert {"csrftoken", "django_language"} <= set(cookies)
    for name, cookie in cookies.items():
        assert cookie["samesite"] == "Lax"
        assert cookie["httponly"], name


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/api/cloud/jobs/sync", b"", True),
        ("/api/cloud/jobs/abc/inline-progress/", b"", True),
        ("/api/cloud/jobs", b"limit=5&sync_active=true", True),
        ("/api/cloud/providers/replicate/validate", b"", True),
        ("/api/cloud/providers/replicate/token", b"", True),
        ("/api/cloud/providers/replicate/config", b"", True),
        ("/api/cloud/replicate/status", b"", True),
        ("/admin/jobs/providercredential/add/", b"", True),
        ("/admin/jobs/unifiedjob/", b"", True),
        ("/admin/jobs/unifiedjob/5/change/", b"", False),
        ("/api/cloud/jobs", b"limit=5", False),
        ("/", b"", False),
    ],
)
def test_requests_that_may_wait_for_a_provider_have_threads_of_their_own(
    path: str, query: bytes, expected: bool
) -> None:
    assert may_wait_for_provider(path, query) is expected
