"""docker-compose.yml as text: what can be known of it without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.archive_uploads import FORM_BYTES
from jobs.services.archives import MAX_ARCHIVE_BYTES
from jobs.services.heartbeats import Role
from simpletuner_cloud.asgi import UPLOAD_PATHS

ROOT = Path(__file__).resolve().parents[1]
# Runs once and ends.
ONE_SHOT = {"prepare"}
OURS = ("web", "worker", "beat", "prepare")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def documented() -> set[str]:
    """Every variable that .env.example names."""
    return set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))


def test_it_is_two_web_two_workers_one_beat_a_database_and_redis(compose: dict[str, Any]) -> None:
    services = compose["services"]
    counts = {name: services[name].get("deploy", {}).get("replicas", 1) for name in services}
    assert {name: counts[name] for name in ("web", "worker", "beat", "postgres", "redis", "proxy")} == {
        "web": 2,
        "worker": 2,
        "beat": 1,
        "postgres": 1,
        "redis": 1,
        "proxy": 1,
    }


def test_every_service_is_watched_and_started_again(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        check = service["healthcheck"]
        assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        assert {"interval", "timeout", "retries"} <= set(check), name


def test_every_variable_that_is_passed_on_exists(compose: dict[str, Any], documented: set[str]) -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    passed = {name for service in OURS for name in compose["services"][service]["environment"]}
    named = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert passed | named <= documented | {"POSTGRES_PASSWORD"}


def test_every_variable_that_makes_sense_in_a_container_is_passed_on(
    compose: dict[str, Any], documented: set[str]
) -> None:
    elsewhere = {
        # Set in the image.
        "SIMPLETUNER_CLOUD_HOME",
        # Mounted at its default place.
        "SIMPLETUNER_ENTERPRISE_CONFIG",
        # In the home volume; a container's log is its standard output.
        "SIMPLETUNER_LOG_FILE",
        # The sandbox's own, on its command line.
        "SIMPLETUNER_SANDBOX_SPEED",
        "SIMPLETUNER_SANDBOX_POPULATION",
        # Not where others can reach it.
        "SIMPLETUNER_DEBUG",
        "POSTGRES_PASSWORD",
    }
    assert documented - elsewhere <= set(compose["services"]["web"]["environment"])


def test_worker_and_beat_are_watched_by_their_heartbeats(compose: dict[str, Any]) -> None:
    for role in ("worker", "beat"):
        assert role in list(Role)
        assert compose["services"][role]["healthcheck"]["test"] == ["CMD", "python", "manage.py", "heartbeat", role]


def test_the_proxy_lets_large_webhooks_through_and_only_there(compose: dict[str, Any]) -> None:
    proxy = compose["configs"]["proxy"]["content"]
    webhooks = re.search(r"location \^~ /api/webhooks/ \{(.*?)\}", proxy, re.DOTALL)
    assert webhooks
    assert "client_max_body_size 25m;" in webhooks[1]
    assert proxy.count("client_max_body_size 25m") == 1
    events = re.search(r"location = /api/events \{(.*?)\}", proxy, re.DOTALL)
    assert events
    assert "proxy_buffering off;" in events[1]


def test_only_the_network_of_the_proxy_is_believed_about_addresses(compose: dict[str, Any]) -> None:
    (inside,) = compose["networks"]["inside"]["ipam"]["config"]
    trusted = compose["services"]["web"]["environment"]["SIMPLETUNER_TRUSTED_PROXIES"]
    assert trusted == f"${{SIMPLETUNER_TRUSTED_PROXIES:-{inside['subnet']}}}"
    assert compose["services"]["proxy"]["ports"][0].startswith("127.0.0.1:")


def test_what_ends_is_given_the_time_it_takes(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name: services[name]["stop_grace_period"] for name in ("web", "worker")} == {"web": "15s", "worker": "60s"}


def test_proxy_lets_an_archive_through_where_one_is_taken_and_nowhere_else(compose: dict[str, Any]) -> None:
    proxy = compose["configs"]["proxy"]["content"]
    uploads = re.search(r"location ~ (\S+) \{\s+client_max_body_size (\d+)m;\s+proxy_request_buffering off;", proxy)
    assert uploads
    path = re.compile(uploads[1].replace("$$", "$"))
    assert all(path.match(taken) or path.match(f"{taken}/") for taken in UPLOAD_PATHS)
    assert not any(path.match(other) for other in ("/api/cloud/uploads/abc", "/jobs/newer", "/api/cloud/jobs"))
    assert int(uploads[2]) * 1024**2 >= MAX_ARCHIVE_BYTES + FORM_BYTES


def test_who_comes_in_is_asked_who_they_are(compose: dict[str, Any]) -> None:
    for name in OURS:
        environment = compose["services"][name]["environment"]
        assert (environment["SIMPLETUNER_HOST"], environment["SIMPLETUNER_ACCESS"]) == ("0.0.0.0", "accounts")
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"SIMPLETUNER_HOST=0\.0\.0\.0 \\\n\s+SIMPLETUNER_ACCESS=accounts", image)


def test_what_a_proxy_in_front_says_of_tls_reaches_the_application(compose: dict[str, Any]) -> None:
    """Else, with SIMPLETUNER_HTTPS, every request would be sent back to where it came from."""
    proxy = compose["configs"]["proxy"]["content"]
    assert "map $$http_x_forwarded_proto $$scheme_of_client" in proxy
    assert "proxy_set_header X-Forwarded-Proto $$scheme_of_client;" in proxy
