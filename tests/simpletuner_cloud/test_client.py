"""Whose word counts about where a request comes from."""

from ipaddress import ip_network

import pytest
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db

LIVE = "/api/cloud/health/live"


@pytest.fixture
def https(settings: Settings, with_accounts: None) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^api/cloud/health/(live|ready)/?$"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 3600
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)


@pytest.mark.usefixtures("https")
def test_only_a_proxy_of_ours_says_that_a_request_came_by_tls(client: Client) -> None:
    by_proxy = client.get("/login", REMOTE_ADDR="10.1.2.3", headers={"x-forwarded-proto": "https"})
    assert by_proxy.status_code == 200
    assert by_proxy.headers["Strict-Transport-Security"] == "max-age=3600"
    by_liar = client.get("/login", REMOTE_ADDR="203.0.113.9", headers={"x-forwarded-proto": "https"})
    assert by_liar.status_code == 301
    assert by_liar.headers["Location"].startswith("https://")
    assert client.get("/login", REMOTE_ADDR="10.1.2.3").status_code == 301


@pytest.mark.usefixtures("https")
def test_health_checks_need_no_tls(client: Client) -> None:
    assert client.get(LIVE).status_code == 200
    assert client.get("/api/cloud/health/ready").status_code == 200
    assert client.get("/api/cloud/health").status_code == 301
