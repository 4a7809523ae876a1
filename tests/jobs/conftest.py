"""What tests of the background work and its supervision may use."""

import socket
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from pytest_django import Settings

from jobs import coordination
from jobs.services import heartbeats
from simpletuner_cloud.embedded_redis import free_port

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


def _connect_anew() -> None:
    coordination.client.cache_clear()
    coordination.hasty_client.cache_clear()
