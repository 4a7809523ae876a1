"""What tests of the background work and its supervision may use."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from pytest_django import Settings

from jobs import coordination
from jobs.services import heartbeats
from simpletuner_cloud.embedded_redis import free_port
from tests.sandbox_server import RunningSandbox, running_sandbox

REAL_TOKEN = "r8_TheTokenOfTheRealAccount000000wxyz"

Age = Callable[[float], None]


@pytest.fixture
def age_heartbeats() -> Age:
    """Make every heartbeat that was heard so far that many seconds older."""

    def age(seconds: float) -> None:
        stored = cast("dict[str, str]", coordination.client().hgetall(heartbeats.heartbeats_key()))
        for field, value in stored.items():
            stamp, _, facts = value.partition(" ")
            coordination.client().hset(heartbeats.heartbeats_key(), field, f"{int(stamp) - int(seconds)} {facts}")

    return age


@pytest.fixture
def no_redis(settings: Settings) -> Iterator[None]:
    """Nobody listens where Redis should."""
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    _connect_anew()
    yield
    _connect_anew()


@pytest.fixture
def hung_redis(settings: Settings) -> Iterator[None]:
    """Somebody listens where Redis should, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.REDIS_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        _connect_anew()
        yield
    _connect_anew()


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Path:
    """A home directory of the test's own, with a database for each store."""
    settings.HOME = tmp_path
    settings.LIVE_STORE_DIR = tmp_path / "live"
    settings.CREDENTIALS_KEYS = ()
    settings.CREDENTIALS_KEY_FILE = tmp_path / "credentials_key"
    settings.EACH_STORE_HAS_ITS_DATABASE = True
    return tmp_path


@pytest.fixture
def account(settings: Settings, home: Path) -> Iterator[RunningSandbox]:
    """A server that stands for the real Replicate and takes ``REAL_TOKEN`` alone; the bundled sandbox is another."""
    with running_sandbox(token=REAL_TOKEN) as server:
        settings.LIVE_PROVIDERS = {"replicate": {"base_url": server.url}}
        yield server


@pytest.fixture
def live(settings: Settings, account: RunningSandbox) -> RunningSandbox:
    """The real account's store, started without a token in the environment."""
    settings.IS_SANDBOX = False
    settings.PROVIDERS = {"replicate": {"token": "", "base_url": account.url}}
    return account


def _connect_anew() -> None:
    coordination.client.cache_clear()
    coordination.hasty_client.cache_clear()
