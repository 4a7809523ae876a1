"""The settings as operators meet them: what can be set is what is documented, and bad values name themselves."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
READ = re.compile(r'env\.(?:text|flag|number|integer|days|words|url|networks|keys)\(\s*"([A-Z_]+)"')
LISTED = re.compile(r"^#?([A-Z][A-Z_]+)=", re.MULTILINE)
# Read by docker compose alone.
COMPOSE_ONLY = {"POSTGRES_PASSWORD"}


def variables_read() -> set[str]:
    return {name for path in (ROOT / "simpletuner_cloud").rglob("*.py") for name in READ.findall(path.read_text())}


def test_every_variable_is_in_the_example_and_in_the_documentation() -> None:
    read = variables_read()
    assert "SIMPLETUNER_JOB_POLL_INTERVAL" in read
    assert set(LISTED.findall((ROOT / ".env.example").read_text())) - COMPOSE_ONLY == read
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert read <= documented


def load(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of their own."""
    clean = {name: value for name, value in os.environ.items() if name not in variables_read()}
    clean |= {"SIMPLETUNER_CLOUD_HOME": str(tmp_path / "home"), "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings"}
    show = (
        "from django.conf import settings as s;"
        "print(s.PORT, s.HOST, s.STORE_MODE, s.PROVIDERS['replicate']['base_url'], s.DATABASES['default']['NAME'])"
    )
    return subprocess.run(
        [sys.executable, "-c", show], env=clean | environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIMPLETUNER_PORT", "eight"),
        ("SIMPLETUNER_PORT", "70000"),
        ("SIMPLETUNER_JOB_POLL_INTERVAL", "0"),
        ("SIMPLETUNER_JOB_POLL_INTERVAL", "-5"),
        ("SIMPLETUNER_JOB_POLL_INTERVAL", "fast"),
        ("SIMPLETUNER_JOB_POLL_INTERVAL", "1e9"),
        ("SIMPLETUNER_SSE_MAX_PER_IP", "0"),
        ("SIMPLETUNER_DEBUG", "maybe"),
        ("SIMPLETUNER_LOG_LEVEL", "LOUD"),
        ("SIMPLETUNER_LOG_FORMAT", "xml"),
        ("SIMPLETUNER_RECONCILE_INTERVAL", "-1"),
        ("SIMPLETUNER_PROVIDER_CALLS_PER_MINUTE", "0"),
        ("SIMPLETUNER_LOG_ARCHIVE_MB", "0"),
        ("SIMPLETUNER_RETENTION_DAYS_JOBS", "31"),
        ("SIMPLETUNER_RETENTION_DAYS_EVENTS", "1"),
        ("SIMPLETUNER_RETENTION_DAYS_LOGS", "-1"),
        ("SIMPLETUNER_TRUSTED_PROXIES", "everybody"),
        ("SIMPLETUNER_WEBHOOK_ALLOWED_ADDRESSES", "10.0.0.0/99"),
        ("DATABASE_URL", "mysql://user:hunter2@host/name"),
        ("REDIS_URL", "http://host"),
        ("REPLICATE_API_BASE_URL", "ftp://host"),
        ("SIMPLETUNER_CLOUD_HOME", "/dev/null/home"),
        ("SIMPLETUNER_STORE", "production"),
        ("SIMPLETUNER_CREDENTIALS_KEY", "hunter2"),
        ("SIMPLETUNER_PRIVATE_NETWORKS_ALLOWED", "everything"),
    ],
)
def test_bad_value_stops_the_start_and_names_the_setting(tmp_path: Path, name: str, value: str) -> None:
    done = load(tmp_path, **{name: value})
    assert done.returncode != 0
    complaint = done.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured" in complaint
    assert name in complaint
    assert "hunter2" not in done.stderr


def test_without_a_token_it_is_the_sandbox_with_a_store_of_its_own(tmp_path: Path) -> None:
    sandbox = load(tmp_path)
    live = load(tmp_path, REPLICATE_API_TOKEN="r8_secret", REPLICATE_API_BASE_URL="http://127.0.0.1:9/")
    assert sandbox.stdout.split()[:3] == ["8001", "127.0.0.1", "sandbox"]
    assert live.stdout.split()[2:4] == ["live", "http://127.0.0.1:9/"]
    assert sandbox.stdout.split()[-1] != live.stdout.split()[-1]
    assert live.stdout.split()[-1].startswith(str(tmp_path / "home"))


def test_secret_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    load(tmp_path)
    key = tmp_path / "home" / "secret_key"
    first = key.read_text()
    load(tmp_path)
    assert key.read_text() == first
    assert len(first) >= 50
    assert key.stat().st_mode & 0o077 == 0
