"""The limit of cost and the hardware in /api/cloud/providers/{provider}/config."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs import access
from jobs.api import authentication
from jobs.models import AuditEntry, HardwarePrice, ProviderSettings
from jobs.services import actors, cost_limits
from tests.jobs.api.test_provider_config import CONFIG, NO_LIMIT, URL, limit_of, put

pytestmark = pytest.mark.django_db

# As the command line sends it.
LIMIT = {
    "cost_limit_enabled": True,
    "cost_limit_amount": 49.9,
    "cost_limit_period": "weekly",
    "cost_limit_action": "block",
}
WRONG: dict[str, list[Any]] = {
    "cost_limit_enabled": ["perhaps", 5, [], {}, 0.5],
    "cost_limit_amount": [0, -1, "much", True, [], {}, 1e300, 0.001, 1e12],
    "cost_limit_period": ["yearly", "", 7, True, [], {}],
    "cost_limit_action": ["require_approval", "", 1, False, [], {}],
}


@contextmanager
def permitted(monkeypatch: pytest.MonkeyPatch, *permissions: str) -> Iterator[None]:
    """Whoever asks has these permissions alone."""
    actor = dataclasses.replace(actors.owner_actor(), permissions=frozenset(permissions))
    with monkeypatch.context() as patch:
        patch.setattr(authentication, "owner_actor", lambda **_: actor)
        yield


def test_limit_is_set_and_told_and_in_force(client: Client) -> None:
    status, body = put(client, LIMIT)
    assert status == 200
    assert limit_of(body) == limit_of(body["config"]) == (True, 49.9, "weekly", "block")
    assert client.get(CONFIG).json() == body
    check = cost_limits.check("replicate")
    assert check is not None
    assert check.limit_usd == Decimal("49.90")


def test_limit_is_disabled_and_its_amount_remembered(client: Client) -> None:
    put(client, LIMIT)
    assert limit_of(put(client, {"cost_limit_enabled": False})[1]) == (False, 49.9, "weekly", "block")
    assert cost_limits.check("replicate") is None


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"cost_limit_amount": 5}, (True, 5.0, "weekly", "block")),
        ({"cost_limit_amount": "5.25"}, (True, 5.25, "weekly", "block")),
        ({"cost_limit_period": "daily"}, (True, 49.9, "daily", "block")),
        ({"cost_limit_action": "warn"}, (True, 49.9, "weekly", "warn")),
        ({"cost_limit_enabled": None}, (False, 49.9, "weekly", "block")),
        ({"cost_limit_amount": None}, (False, 0.0, "weekly", "block")),
        ({"cost_limit_period": None}, (True, 49.9, "monthly", "block")),
        ({"cost_limit_action": None}, (True, 49.9, "weekly", "warn")),
        ({}, (True, 49.9, "weekly", "block")),
    ],
    ids=str,
)
def test_one_key_changes_alone_and_null_clears_it(
    client: Client, change: dict[str, Any], limit: tuple[object, ...]
) -> None:
    put(client, LIMIT)
    assert limit_of(put(client, change)[1]) == limit
    assert limit_of(client.get(CONFIG).json()) == limit


def test_all_cleared_is_as_before_anything_was_set(client: Client) -> None:
    put(client, LIMIT)
    assert limit_of(put(client, dict.fromkeys(LIMIT))[1]) == NO_LIMIT


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=str,
)
def test_wrong_values_are_refused_by_the_fields_name_and_nothing_is_changed(
    client: Client, name: str, value: object
) -> None:
    status, body = put(client, {**LIMIT, "webhook_url": URL, name: value})
    assert (status, list(body["errors"])) == (400, [name])
    assert body["detail"].startswith(f"{name}: ")
    assert not ProviderSettings.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "change", [{"cost_limit_enabled": True}, {"cost_limit_enabled": True, "cost_limit_amount": None}]
)
def test_limit_without_an_amount_is_refused(client: Client, change: dict[str, Any]) -> None:
    status, body = put(client, change)
    assert (status, list(body["errors"])) == (400, ["cost_limit_amount"])
    assert limit_of(client.get(CONFIG).json()) == NO_LIMIT


def test_bad_webhook_url_takes_the_limit_with_it(client: Client) -> None:
    status, body = put(client, {**LIMIT, "webhook_url": "http://elsewhere.example"})
    assert (status, list(body["errors"])) == (400, ["webhook_url"])
    assert not ProviderSettings.objects.exists()


def test_limit_leaves_the_webhook_url_to_the_file(client: Client, settings: Settings) -> None:
    settings.ENTERPRISE = dataclasses.replace(settings.ENTERPRISE, webhook_urls={"replicate": URL})
    body = put(client, LIMIT)[1]
    assert (body["webhook_url"], body["webhook_url_source"]) == (URL, "file")


@pytest.mark.parametrize(
    "name", ["hardware_info", "hardware_profiles", "default_hardware_profile", "webhook_url_source"]
)
def test_facts_cannot_be_set(client: Client, name: str) -> None:
    status, body = put(client, {name: "x"})
    assert (status, body["errors"]) == (400, {name: ["This can be read only."]})


def test_prices_are_those_of_today(client: Client) -> None:
    today = timezone.now().date()
    HardwarePrice.objects.filter(provider="replicate").delete()
    for days, price in ((-400, "0.001"), (-1, "0.002"), (1, "0.009")):
        HardwarePrice.objects.create(
            provider="replicate",
            hardware="gpu-l40s",
            label="Nvidia L40S" if days == -1 else "",
            usd_per_second=price,
            effective_from=today + timedelta(days=days),
        )
    HardwarePrice.objects.create(provider="elsewhere", hardware="gpu", usd_per_second=1, effective_from=today)
    HardwarePrice.objects.create(
        provider="replicate", hardware="soon", usd_per_second=1, effective_from=today + timedelta(days=1)
    )
    assert client.get(CONFIG).json()["config"]["hardware_info"] == {
        "gpu-l40s": {"name": "Nvidia L40S", "cost_per_second": 0.002}
    }


def test_profiles_have_prices(client: Client) -> None:
    config = client.get(CONFIG).json()["config"]
    profiles = {profile["id"]: profile for profile in config["hardware_profiles"]}
    assert config["default_hardware_profile"] == "h100"
    assert profiles["l40s-x2"] == {
        "id": "l40s-x2",
        "label": "2x L40S",
        "model": "simpletuner/advanced-trainer-l40s-x2",
        "hardware": "gpu-2x-l40s",
    }
    priced = config["hardware_info"]
    assert [profile["id"] for profile in profiles.values() if profile["hardware"] not in priced] == []


def test_what_was_changed_is_on_record_without_the_urls_key(client: Client) -> None:
    put(client, {**LIMIT, "webhook_url": f"{URL}?key=hidden"})
    put(client, {"cost_limit_amount": None})
    entries = list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "target"))
    assert entries == [
        ("owner", "cost_limit.set", "replicate"),
        ("owner", "provider.webhook_url.set", "replicate"),
        ("owner", "cost_limit.remove", "replicate"),
    ]
    assert "hidden" not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        *(({name: value}, access.CHANGE_LIMITS) for name, value in LIMIT.items()),
        ({"webhook_url": URL}, access.CONFIGURE_PROVIDERS),
    ],
    ids=str,
)
def test_each_change_takes_its_own_permission(
    client: Client, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], needed: str
) -> None:
    put(client, {"cost_limit_amount": 1})
    others = access.EVERYTHING - {needed}
    with permitted(monkeypatch, *others):
        status, body = put(client, change)
    assert (status, body["code"]) == (403, "permission_denied")
    assert next(iter(change)) in body["detail"]
    with permitted(monkeypatch, access.VIEW_OWN, needed):
        assert put(client, change)[0] == 200


def test_looking_takes_no_more_than_seeing_ones_own_jobs(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with permitted(monkeypatch, access.VIEW_OWN):
        assert client.get(CONFIG).status_code == 200
    with permitted(monkeypatch):
        assert client.get(CONFIG).status_code == 403
