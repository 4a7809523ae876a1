import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from jobs import waiting_token
from simpletuner_cloud.store_mode import StoreMode, store_mode

ROOT = Path(__file__).resolve().parents[2]
PRINT_SETTINGS = """
from simpletuner_cloud import settings as s
provider = s.PROVIDERS["replicate"]
print(s.STORE_MODE.value, s.IS_SANDBOX, s.DATABASES["default"]["NAME"], s.REDIS_KEY_PREFIX, *s.CELERY_TASK_QUEUES,
      provider["base_url"], provider["token"], sep="|")
"""


def settings_of(home: Path, **environment: str) -> list[str]:
    """What the product's settings are in a process with this environment."""
    variables = {"PATH": os.environ["PATH"], "SIMPLETUNER_CLOUD_HOME": str(home), **environment}
    run = subprocess.run(
        [sys.executable, "-c", PRINT_SETTINGS],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout.strip().splitlines()[-1].split("|")


@pytest.mark.parametrize(
    ("token", "is_stored", "chosen", "mode"),
    [
        ("", False, "", StoreMode.SANDBOX),
        ("r8_abc", False, "", StoreMode.LIVE),
        ("", True, "", StoreMode.LIVE),
        ("r8_abc", True, "", StoreMode.LIVE),
        ("", False, "live", StoreMode.LIVE),
        ("", True, "sandbox", StoreMode.SANDBOX),
    ],
)
def test_token_decides_the_world_unless_the_operator_does(
    tmp_path: Path, token: str, is_stored: bool, chosen: str, mode: StoreMode
) -> None:
    if is_stored:
        waiting_token.mark(tmp_path / "live", "replicate")
    assert store_mode(token, home=tmp_path, chosen=chosen) is mode


@pytest.mark.parametrize(("token", "chosen"), [("", "real"), ("r8_secret", "sandbox")])
def test_choice_that_makes_no_sense_stops_the_start(tmp_path: Path, token: str, chosen: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="SIMPLETUNER_STORE") as caught:
        store_mode(token, home=tmp_path, chosen=chosen)
    assert "r8_secret" not in str(caught.value)


def test_stored_token_alone_leads_to_the_real_account_and_its_store(tmp_path: Path) -> None:
    waiting_token.mark(tmp_path / "live", "replicate")
    mode, _, database, *_, base_url, used = settings_of(tmp_path)
    assert (mode, database) == ("live", str(tmp_path / "live" / "db.sqlite3"))
    # The token itself is in the database.
    assert (base_url, used) == ("https://api.replicate.com", "")


@pytest.mark.parametrize("token", ["", "   "])
def test_without_a_token_we_speak_to_the_sandbox_and_use_its_store(tmp_path: Path, token: str) -> None:
    mode, is_sandbox, database, prefix, queue, asking, base_url, used = settings_of(
        tmp_path, REPLICATE_API_TOKEN=token, REPLICATE_API_BASE_URL="https://api.replicate.com"
    )
    assert (mode, is_sandbox) == ("sandbox", "True")
    assert database == str(tmp_path / "sandbox" / "db.sqlite3")
    assert (prefix, queue) == ("simpletuner:sandbox:", "simpletuner-sandbox")
    assert asking == "simpletuner-sandbox-replicate"
    assert base_url == "http://127.0.0.1:8002"
    assert used == "sandbox-token-not-a-secret"


def test_with_a_token_we_speak_to_the_real_account_and_use_its_store(tmp_path: Path) -> None:
    mode, is_sandbox, database, prefix, queue, asking, base_url, used = settings_of(
        tmp_path, REPLICATE_API_TOKEN="r8_abc"
    )
    assert (mode, is_sandbox) == ("live", "False")
    assert database == str(tmp_path / "live" / "db.sqlite3")
    assert (prefix, queue, asking) == ("simpletuner:live:", "simpletuner-live", "simpletuner-live-replicate")
    assert (base_url, used) == ("https://api.replicate.com", "r8_abc")


def test_worlds_share_nothing_that_is_written(tmp_path: Path) -> None:
    sandbox = settings_of(tmp_path)
    live = settings_of(tmp_path, REPLICATE_API_TOKEN="r8_abc")
    assert not set(sandbox) & set(live)
