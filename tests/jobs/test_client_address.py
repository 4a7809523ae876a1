from ipaddress import ip_network

import pytest

from jobs.client_address import client_address, is_in

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        pytest.param("203.0.113.9", [], "203.0.113.9", id="no proxy"),
        pytest.param("203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="forged by a client without a proxy"),
        pytest.param("10.0.0.2", ["198.51.100.1"], "198.51.100.1", id="one proxy"),
        pytest.param("10.0.0.2", ["1.2.3.4, 198.51.100.1"], "198.51.100.1", id="forged in front of a proxy"),
        pytest.param("10.0.0.2", ["1.2.3.4, 198.51.100.1, 10.0.0.3"], "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.2", ["1.2.3.4", "198.51.100.1"], "198.51.100.1", id="two headers"),
        pytest.param("10.0.0.2", ["10.0.0.7"], "10.0.0.7", id="nobody but proxies"),
        pytest.param("10.0.0.2", [], "10.0.0.2", id="a proxy that says nothing"),
        pytest.param("10.0.0.2", ["198.51.100.1, unknown"], "10.0.0.2", id="a hop that is no address"),
        pytest.param("10.0.0.2", ["198.51.100.1:4711"], "198.51.100.1", id="with a port"),
        pytest.param("::1", ["[2001:db8::5]:4711"], "2001:db8::5", id="IPv6 with a port"),
        pytest.param("::ffff:10.0.0.2", ["2001:db8::5"], "2001:db8::5", id="a mapped proxy"),
        pytest.param("unix", ["198.51.100.1"], "unix", id="a peer without an address"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded_for: list[str], expected: str) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == expected


@pytest.mark.parametrize(
    ("address", "expected"), [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.0.0.1", False), ("nonsense", False)]
)
def test_membership(address: str, expected: bool) -> None:
    assert is_in(address, TRUSTED) is expected
