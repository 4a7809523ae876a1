"""How many streams an address may hold: ``jobs.stream.leases``."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
import redis
from django.db import connection
from pytest_django import Settings

from jobs.client_address import address_group
from jobs.stream.leases import ConnectionLeases
from simpletuner_cloud.embedded_redis import free_port
from tests import servers
from tests.jobs.stream.conftest import Listen
from tests.web_server import running_web

START_SECONDS = 30.0
# A server whose leases run out after two seconds instead of thirty.
SHORT_LEASES = """
import simpletuner_cloud.asgi
from jobs.stream import leases
from simpletuner_cloud.web import main
leases.LEASE_SECONDS, leases.RENEW_SECONDS = 2, 0.5
main()
"""


def test_sixth_stream_of_an_address_is_refused_and_a_closed_one_frees_its_place(web: str, listen: Listen) -> None:
    readers = [listen(web) for _ in range(5)]
    refusal = httpx.get(f"{web}/api/events")
    assert refusal.status_code == 429
    assert refusal.headers["Retry-After"] == "30"
    assert refusal.headers["Content-Type"] == "application/json"
    assert refusal.json() == {
        "detail": "Too many open event streams from this address (limit 5).",
        "code": "too_many_streams",
    }
    readers[0].close()
    deadline = time.monotonic() + 5
    while (again := listen(web)).status != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert again.status == 200


def test_streams_are_counted_across_processes(web: str, listen: Listen) -> None:
    with running_web() as other:
        for url in (web, other, web, other, web):
            assert listen(url).status == 200
        assert listen(web).status == 429
        assert listen(other).status == 429


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::"),
        ("2001:db8:1:3:bbbb::2", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("unknown", "unknown"),
    ],
)
def test_ipv6_counts_by_network(address: str, group: str) -> None:
    assert address_group(address) == group


@pytest.fixture
def leases(settings: Settings) -> ConnectionLeases:
    """Two streams for each address."""
    return ConnectionLeases(settings.REDIS_URL, settings.REDIS_KEY_PREFIX, 2)


def places_taken(settings: Settings, group: str) -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        taken = client.zcard(f"{settings.REDIS_KEY_PREFIX}streams:{group}")
    assert isinstance(taken, int)
    return taken


def test_lease_that_ends_while_it_is_renewed_keeps_no_place(
    leases: ConnectionLeases, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        lease = await leases.acquire("203.0.113.9")
        assert lease is not None
        renew: Any = leases._renew

        async def end_meanwhile(**arguments: Any) -> None:
            leases.release(lease)
            await leases.give_back()
            await renew(**arguments)

        monkeypatch.setattr(leases, "_renew", end_meanwhile)
        await leases.renew()
        await leases.give_back()
        assert places_taken(settings, "203.0.113.9") == 0
        await leases.close()

    asyncio.run(run())


def test_renewal_brings_back_what_redis_forgot_each_once(leases: ConnectionLeases, settings: Settings) -> None:
    async def run() -> None:
        for address in ("203.0.113.9", "203.0.113.9", "2001:db8::1"):
            assert await leases.acquire(address)
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()
        await leases.renew()
        await leases.renew()
        assert [places_taken(settings, group) for group in ("203.0.113.9", "2001:db8::")] == [2, 1]
        await leases.close()
        assert [places_taken(settings, group) for group in ("203.0.113.9", "2001:db8::")] == [0, 0]

    asyncio.run(run())


def test_place_is_free_at_once_for_who_comes_after_one_that_left(leases: ConnectionLeases) -> None:
    """A page that is loaded again closes a stream and opens one in the same moment."""

    async def run() -> None:
        first = await leases.acquire("203.0.113.9")
        assert first
        assert await leases.acquire("203.0.113.9")
        for _ in range(20):
            leases.release(first)
            first = await leases.acquire("203.0.113.9")
            assert first
        assert await leases.acquire("203.0.113.9") is None
        await leases.close()

    asyncio.run(run())


def test_thousand_readers_that_leave_at_once_are_told_to_redis_over_few_connections(settings: Settings) -> None:
    async def run() -> None:
        leases = ConnectionLeases(settings.REDIS_URL, settings.REDIS_KEY_PREFIX, 10_000)
        keeping = asyncio.create_task(leases.keep_for_ever())
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            before = len(client.client_list())
            held = await asyncio.gather(*(leases.acquire(f"203.0.113.{number % 100}") for number in range(1000)))
            assert places_taken(settings, "203.0.113.7") == 10
            for lease in held:
                assert lease is not None
                leases.release(lease)
            async with asyncio.timeout(10):
                while client.keys(f"{settings.REDIS_KEY_PREFIX}streams:*"):
                    await asyncio.sleep(0.01)
            assert len(client.client_list()) - before <= 8
        keeping.cancel()
        await leases.close()

    asyncio.run(run())


def database_url() -> str:
    """The test's database, for another process."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return servers.postgresql_url().replace("/postgres?", f"/{name}?")


def test_killed_process_gives_its_places_back(web: str, listen: Listen, settings: Settings) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SHORT_LEASES],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "simpletuner_cloud.settings",
            "DATABASE_URL": database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "SIMPLETUNER_PORT": str(port),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        other = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not is_answering(other):
            assert process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # One that stays, elsewhere: what Redis knows of the address does not just run out as a whole.
        assert listen(web).status == 200
        assert [listen(other).status for _ in range(4)] == [200] * 4
        # Longer than a lease: it is renewed.
        time.sleep(2.5)
        assert listen(web).status == 429
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        while listen(web).status != 200:
            assert time.monotonic() < killed + START_SECONDS
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()


def is_answering(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/cloud/health/live").status_code == 200
    except httpx.TransportError:
        return False
