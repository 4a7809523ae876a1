"""The web server's own protocol: ``simpletuner_cloud.web``."""

import socket
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from jobs.connections import ABORT
from simpletuner_cloud.asgi import WebApplication


@pytest.fixture
def scopes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the application is asked. Must be asked for before the server is started."""
    seen: list[Any] = []
    answer = WebApplication._answer

    async def note(self: WebApplication, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await answer(self, scope, receive, send)

    monkeypatch.setattr(WebApplication, "_answer", note)
    return seen


def test_header_with_an_underscore_cannot_pass_for_one_with_a_hyphen(scopes: list[Any], web: str) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X_Forwarded_For": "198.51.100.1", "x_forwarded-for": "198.51.100.2"}
    assert requests.get(f"{web}/api/cloud/health/live", headers=headers, timeout=10).status_code == 200
    names = [name for name, _ in scopes[0]["headers"]]
    assert names.count(b"x-forwarded-for") == 1
    assert not [name for name in names if b"_" in name]


def test_client_address_is_never_taken_from_a_header_by_the_server_itself(scopes: list[Any], web: str) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    requests.get(f"{web}/api/cloud/health/live", headers=headers, timeout=10)
    assert scopes[0]["client"][0] == "127.0.0.1"


@pytest.mark.skipif(sys.platform != "linux", reason="the options are Linux's")
def test_peer_that_takes_or_acknowledges_nothing_is_given_up_within_a_minute(scopes: list[Any], web: str) -> None:
    """What the system does with these takes a link that goes down without a word; here it is seen that they are set."""
    address = urlsplit(web)
    with socket.create_connection((address.hostname, address.port or 80)) as connection:
        connection.sendall(f"GET /api/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        connection.recv(1024)
        protocol = scopes[0]["extensions"][ABORT]["abort"].__self__
        server_side = protocol.transport.get_extra_info("socket")
        assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 40_000
        assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) <= 128 * 1024
