"""Who may come in is settled before anything starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.simpletuner_cloud.test_settings import variables_read

ROOT = Path(settings.BASE_DIR)
REACHABLE = {"SIMPLETUNER_HOST": "0.0.0.0"}
ACCOUNTS = {"SIMPLETUNER_ACCESS": "accounts"}


def run(tmp_path: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # The last one is what tests with a browser set for their own process.
    ours = variables_read() | {"DJANGO_ALLOW_ASYNC_UNSAFE"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    clean |= {"SIMPLETUNER_CLOUD_HOME": str(tmp_path / "home"), "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings"}
    return subprocess.run(
        [sys.executable, *command], env=clean | environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def shown(tmp_path: Path, expression: str, **environment: str) -> str:
    done = run(tmp_path, "-c", f"from django.conf import settings as s; print({expression})", **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("manage.py", "up"), id="everything"),
        pytest.param(("-m", "simpletuner_cloud.web"), id="web"),
        pytest.param(("-m", "celery", "-A", "simpletuner_cloud.celery", "worker"), id="worker"),
    ],
)
def test_nothing_starts_that_strangers_could_reach_without_accounts(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(tmp_path, *command, **REACHABLE)
    assert done.returncode != 0
    complaint = done.stderr.strip()
    assert "SIMPLETUNER_HOST is 0.0.0.0" in complaint
    assert "Set SIMPLETUNER_ACCESS=accounts" in complaint


@pytest.mark.parametrize("host", ["192.0.2.7", "::", "server.example"])
def test_every_other_address_needs_accounts(tmp_path: Path, host: str) -> None:
    assert "SIMPLETUNER_ACCESS" in run(tmp_path, "manage.py", "check", SIMPLETUNER_HOST=host).stderr
    assert run(tmp_path, "manage.py", "check", SIMPLETUNER_HOST=host, **ACCOUNTS).returncode == 0


def test_debug_mode_is_refused_where_others_can_reach_it(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", SIMPLETUNER_DEBUG="1", **REACHABLE, **ACCOUNTS)
    assert done.returncode == 1
    assert done.stderr.startswith("error: SIMPLETUNER_DEBUG")
    assert "Traceback" not in done.stderr
    assert run(tmp_path, "manage.py", "check", SIMPLETUNER_DEBUG="1", **ACCOUNTS).returncode == 0


def test_misspelt_mode_is_refused(tmp_path: Path) -> None:
    assert "SIMPLETUNER_ACCESS must be" in run(tmp_path, "manage.py", "check", SIMPLETUNER_ACCESS="open").stderr


def test_alone_on_this_machine_nobody_logs_in_unless_asked_to(tmp_path: Path) -> None:
    flags = "s.SINGLE_USER, s.HTTPS, s.SESSION_COOKIE_SECURE"
    assert shown(tmp_path, flags) == "True False False"
    assert shown(tmp_path, flags, **ACCOUNTS) == "False False False"
    assert shown(tmp_path, flags, **ACCOUNTS, SIMPLETUNER_HTTPS="true") == "False True True"


def test_where_others_come_in_cookies_travel_by_tls_alone(tmp_path: Path) -> None:
    names = "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE"
    assert shown(tmp_path, names, **REACHABLE, **ACCOUNTS) == "__Host-sessionid __Host-csrftoken True True"
    assert "True True" not in shown(tmp_path, names, **REACHABLE, **ACCOUNTS, SIMPLETUNER_HTTPS="false")


def test_deployment_check_of_django_finds_nothing(tmp_path: Path) -> None:
    """Two warnings are silenced, both about subdomains; settings.py says why."""
    checks = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = run(tmp_path, *checks, **REACHABLE, **ACCOUNTS, SIMPLETUNER_ALLOWED_HOSTS="jobs.example, .team.example")
    assert done.returncode == 0, done.stderr
    assert "2 silenced" in done.stdout + done.stderr
    origins = shown(tmp_path, "s.CSRF_TRUSTED_ORIGINS", SIMPLETUNER_ALLOWED_HOSTS="jobs.example, .team.example, *")
    assert origins == "['https://jobs.example', 'https://*.team.example']"
    # And it does find something where there is something to be found.
    assert run(tmp_path, *checks, **REACHABLE, **ACCOUNTS, SIMPLETUNER_HTTPS="0").returncode != 0
