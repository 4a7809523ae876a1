"""Whom a stream counts for, with proxies in front: ``SIMPLETUNER_TRUSTED_PROXIES`` and ``X-Forwarded-For``."""

from ipaddress import ip_network

import httpx
import pytest
from pytest_django import Settings

from tests.jobs.stream.conftest import Listen


@pytest.fixture(autouse=True)
def _one_stream_each(settings: Settings) -> None:
    """Must be there before the server is started."""
    settings.SSE_MAX_PER_IP = 1


@pytest.fixture
def _behind_a_proxy(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")]


def status(listen: Listen, url: str, *forwarded_for: str) -> int:
    headers = {"X-Forwarded-For": ", ".join(forwarded_for)} if forwarded_for else {}
    answered: int = listen(url, headers=headers).status
    return answered


def test_forged_header_gains_nothing_without_a_proxy(web: str, listen: Listen) -> None:
    assert status(listen, web) == 200
    assert status(listen, web, "203.0.113.9") == 429
    assert status(listen, web, "203.0.113.9", "127.0.0.1") == 429


@pytest.mark.usefixtures("_behind_a_proxy")
def test_clients_behind_a_trusted_proxy_count_each_for_themselves(web: str, listen: Listen) -> None:
    assert status(listen, web, "203.0.113.9") == 200
    assert status(listen, web, "203.0.113.10") == 200
    assert status(listen, web, "203.0.113.9") == 429


@pytest.mark.usefixtures("_behind_a_proxy")
def test_forged_header_gains_nothing_behind_a_trusted_proxy(web: str, listen: Listen) -> None:
    """The proxy appends the address that it saw; what stands before it was sent by the client."""
    assert status(listen, web, "203.0.113.9") == 200
    assert status(listen, web, "198.51.100.1", "203.0.113.9") == 429
    assert status(listen, web, "198.51.100.2", "203.0.113.9", "10.0.0.3") == 429
    assert status(listen, web, "127.0.0.1", "203.0.113.9") == 429


@pytest.mark.usefixtures("_behind_a_proxy")
def test_forged_header_of_its_own_gains_nothing_either(web: str, listen: Listen) -> None:
    """Some proxies add a header of their own instead of appending to the client's."""
    assert status(listen, web, "203.0.113.9") == 200
    headers = [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")]
    assert httpx.get(f"{web}/api/events", headers=headers).status_code == 429


@pytest.mark.usefixtures("_behind_a_proxy")
def test_ipv6_clients_behind_a_proxy_count_by_network(web: str, listen: Listen) -> None:
    assert status(listen, web, "2001:db8:1:2::1") == 200
    assert status(listen, web, "2001:db8:1:2::2") == 429
    assert status(listen, web, "2001:db8:1:3::1") == 200


@pytest.mark.usefixtures("_behind_a_proxy")
@pytest.mark.parametrize("value", ["garbage", "", ",,,", "203.0.113.9, garbage", "x" * 5000, "1.2.3.4.5", "\xff"])
def test_unreadable_header_counts_for_the_proxy(web: str, listen: Listen, value: str) -> None:
    assert status(listen, web) == 200
    assert httpx.get(f"{web}/api/events", headers={b"X-Forwarded-For": value.encode("latin-1")}).status_code == 429
