"""GET and PUT /api/cloud/providers/{provider}/config, and what they do to the poller."""

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.models import ProviderSettings, UnifiedJob
from jobs.services import polling
from tests.conftest import MakeJob
from tests.deliveries import PATH
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

CONFIG = "/api/cloud/providers/replicate/config"
NO_LIMIT = (False, 0.0, "monthly", "warn")
URL = "https://your-server.example/api/webhooks/replicate"


def put(client: Client, body: Any, path: str = CONFIG) -> tuple[int, dict[str, Any]]:
    answer = client.put(path, json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def limit_of(values: dict[str, Any]) -> tuple[bool, float, str, str]:
    enabled, amount, period, action = (
        values[f"cost_limit_{name}"] for name in ("enabled", "amount", "period", "action")
    )
    return enabled, amount, period, action


@pytest.fixture
def file_url(settings: Settings) -> str:
    url = "https://file.example/api/webhooks/replicate"
    settings.ENTERPRISE = dataclasses.replace(settings.ENTERPRISE, webhook_urls={"replicate": url})
    return url


@pytest.mark.parametrize("slash", ["", "/"])
def test_nothing_is_set_at_first(client: Client, slash: str) -> None:
    body = client.get(CONFIG + slash).json()
    values = body["config"]
    assert body == {"provider": "replicate", **values, "config": values}
    assert (values["webhook_url"], values["webhook_url_source"]) == ("", "none")
    assert limit_of(values) == NO_LIMIT


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:8001/api/webhooks/replicate", "http://localhost/x", f" {URL} "])
def test_url_is_set_and_told(client: Client, url: str) -> None:
    status, body = put(client, {"webhook_url": url})
    assert (status, body["webhook_url"], body["webhook_url_source"]) == (200, url.strip(), "settings")
    assert client.get(CONFIG).json() == body


@pytest.mark.parametrize(
    "url",
    [
        "http://your-server.example/x",
        "ftp://your-server.example",
        "your-server.example",
        "https://",
        "https://user:secret@your-server.example",
        "https://a b.example",
        "javascript:alert(1)",
        "https://x\u0000.example",
        "x" * 3000,
        5,
        True,
        ["https://a.example"],
        {"a": 1},
    ],
)
def test_other_urls_are_refused_by_the_fields_name(client: Client, url: object) -> None:
    status, body = put(client, {"webhook_url": url})
    assert (status, body["code"], list(body["errors"])) == (400, "invalid_parameter", ["webhook_url"])
    assert not ProviderSettings.objects.exists()


def test_unknown_settings_are_refused_by_name_and_nothing_is_changed(client: Client) -> None:
    status, body = put(client, {"webhook_url": URL, "webhok": 1, "version_override": "x"})
    assert (status, sorted(body["errors"])) == (400, ["version_override", "webhok"])
    assert not ProviderSettings.objects.exists()


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_body_that_is_no_object_is_refused(client: Client, body: object) -> None:
    assert put(client, body)[0] == 400


def test_what_is_not_named_stays(client: Client) -> None:
    put(client, {"webhook_url": URL})
    assert put(client, {})[1]["webhook_url"] == URL


@pytest.mark.parametrize("nothing", ["", None, "  "])
def test_removed_url_wins_over_the_files_until_the_row_is_gone(client: Client, file_url: str, nothing: object) -> None:
    assert client.get(CONFIG).json()["webhook_url_source"] == "file"
    assert put(client, {"webhook_url": URL})[1]["webhook_url"] == URL
    _, removed = put(client, {"webhook_url": nothing})
    assert (removed["webhook_url"], removed["webhook_url_source"]) == ("", "settings")
    assert polling.webhook_url("replicate") == ""
    ProviderSettings.objects.all().delete()
    assert client.get(CONFIG).json()["webhook_url"] == file_url


def test_unknown_provider_is_not_found(client: Client) -> None:
    path = "/api/cloud/providers/nobody/config"
    assert client.get(path).status_code == 404
    assert put(client, {"webhook_url": URL}, path)[0] == 404


def test_page_elsewhere_cannot_set_it(client: Client) -> None:
    answer = client.put(
        CONFIG, json.dumps({"webhook_url": URL}), "application/json", HTTP_ORIGIN="https://evil.example"
    )
    assert answer.status_code == 403
    assert not ProviderSettings.objects.exists()


def test_log_says_who_may_call_now_and_keeps_the_urls_key(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    put(client, {"webhook_url": f"{URL}?key=hidden-key"})
    told = caplog.text
    assert "webhook URL set" in told
    assert "your-server.example" in told
    assert "any address" in told
    assert "hidden-key" not in told


def test_fast_poll_ends_with_the_url_and_begins_again_without_it(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    make_job(external_id=job["id"], status="queued", last_synced_at=timezone.now())

    def is_polled() -> bool:
        sandbox.reset_requests()
        polling.run_cycle()
        return bool(sandbox.requests()["total"])

    assert is_polled()
    put(client, {"webhook_url": f"https://your-server.example{PATH}"})
    assert not polling.current_policy().enabled
    assert not is_polled()
    put(client, {"webhook_url": ""})
    assert polling.current_policy().enabled
    assert is_polled()


def test_end_that_no_webhook_told_is_found_by_the_slow_look(
    client: Client, sandbox: RunningSandbox, make_job: MakeJob
) -> None:
    job = sandbox.add_job(kind="training", created_offset=-60, durations={"queue": 5, "train": 9e5})
    row = make_job(external_id=job["id"], status="running", last_synced_at=timezone.now())
    put(client, {"webhook_url": URL})
    sandbox.change_job(job["id"], status="failed")
    polling.run_cycle()
    row.refresh_from_db()
    assert row.status == "running"
    UnifiedJob.objects.update(last_synced_at=timezone.now() - timedelta(seconds=301))
    polling.run_cycle()
    row.refresh_from_db()
    assert row.status == "failed"
    assert row.history.get().source == "poller"
