"""jobs.services.webhook_secrets: had once, kept through a rotation, and never a flood of calls."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import responses
import time_machine

from jobs import coordination
from jobs.services import webhook_secrets
from jobs.services.webhook_secrets import SecretUnavailable, verified
from providers.errors import InvalidWebhook
from tests.deliveries import body_of, signed

SECRET_URL = "https://replicate.invalid/v1/webhooks/default/secret"
OLD, NEW, STRANGE = "whsec_b2xkIG9sZCBvbGQ=", "whsec_bmV3IG5ldyBuZXc=", "whsec_c3RyYW5nZXI="
BODY = body_of("abc")
START = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> object:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def has(http: responses.RequestsMock, key: str) -> responses.BaseResponse:
    return http.upsert(responses.GET, SECRET_URL, json={"key": key})


def calls(http: responses.RequestsMock) -> int:
    return len(http.calls)


def arrives(secret: str) -> None:
    verified("replicate", signed(BODY, secret=secret), BODY)


def test_secret_is_asked_for_once(http: responses.RequestsMock) -> None:
    has(http, OLD)
    for _ in range(5):
        arrives(OLD)
    assert calls(http) == 1


def test_secret_is_asked_for_again_after_its_hour(http: responses.RequestsMock, clock: time_machine.Traveller) -> None:
    has(http, OLD)
    arrives(OLD)
    clock.shift(3599)
    arrives(OLD)
    assert calls(http) == 1
    clock.shift(2)
    arrives(OLD)
    assert calls(http) == 2


def test_rotated_secret_is_found_at_the_first_mismatch(http: responses.RequestsMock) -> None:
    has(http, OLD)
    arrives(OLD)
    has(http, NEW)
    arrives(NEW)
    assert calls(http) == 2


def test_old_secret_counts_through_the_overlap_and_no_longer(
    http: responses.RequestsMock, clock: time_machine.Traveller
) -> None:
    has(http, OLD)
    arrives(OLD)
    has(http, NEW)
    arrives(NEW)
    clock.shift(86_390)
    arrives(NEW)
    arrives(OLD)
    clock.shift(20)
    arrives(NEW)
    with pytest.raises(InvalidWebhook):
        arrives(OLD)


def test_flood_of_bad_signatures_is_one_call_a_minute(
    http: responses.RequestsMock, clock: time_machine.Traveller
) -> None:
    has(http, OLD)
    arrives(OLD)
    for _ in range(50):
        with pytest.raises(InvalidWebhook):
            arrives(STRANGE)
    assert calls(http) == 2
    clock.shift(61)
    for _ in range(50):
        with pytest.raises(InvalidWebhook):
            arrives(STRANGE)
    assert calls(http) == 3


def test_delivery_that_is_bad_otherwise_costs_no_call(http: responses.RequestsMock) -> None:
    has(http, OLD)
    arrives(OLD)
    for headers in ({}, signed(BODY, secret=OLD, stamp=5), signed(BODY, secret=OLD) | {"webhook-signature": "v0,x"}):
        with pytest.raises(InvalidWebhook):
            verified("replicate", headers, BODY)
    assert calls(http) == 1


def test_threads_share_one_call(http: responses.RequestsMock) -> None:
    go = threading.Barrier(8)

    def slow(_request: object) -> tuple[int, dict[str, str], str]:
        threading.Event().wait(0.05)
        return 200, {}, f'{{"key": "{OLD}"}}'

    http.add_callback(responses.GET, SECRET_URL, slow)

    def arrive() -> None:
        go.wait()
        arrives(OLD)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(arrive) for _ in range(8)]:
            done.result()
    assert calls(http) == 1


def test_without_any_secret_nothing_is_taken_and_the_provider_not_pestered(
    http: responses.RequestsMock, clock: time_machine.Traveller
) -> None:
    http.get(SECRET_URL, status=500)
    for _ in range(5):
        with pytest.raises(SecretUnavailable) as told:
            arrives(OLD)
    assert told.value.retry_after == 5
    assert calls(http) == 1
    clock.shift(6)
    has(http, OLD)
    arrives(OLD)


@pytest.mark.parametrize("body", ["null", "[]", "{}", '{"key": 5}', '{"key": ""}', '{"key": "whsec_é"}', "<html>"])
def test_answer_that_is_no_secret_is_none(http: responses.RequestsMock, body: str) -> None:
    http.get(SECRET_URL, body=body)
    with pytest.raises(SecretUnavailable):
        arrives(OLD)


def test_known_secret_is_used_while_the_provider_is_down(
    http: responses.RequestsMock, clock: time_machine.Traveller
) -> None:
    has(http, OLD)
    arrives(OLD)
    http.upsert(responses.GET, SECRET_URL, status=500)
    clock.shift(7200)
    arrives(OLD)
    arrives(OLD)
    assert calls(http) == 2
    clock.shift(86_400)
    with pytest.raises(SecretUnavailable):
        arrives(OLD)


def test_secret_stands_neither_in_redis_nor_in_the_log(
    http: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    has(http, OLD)
    arrives(OLD)
    has(http, NEW)
    arrives(NEW)
    client = coordination.client()
    stored = "".join(
        str(client.hgetall(key)) if client.type(key) == "hash" else str(client.get(key)) for key in _keys()
    )
    assert "webhook secret was rotated" in caplog.text
    for secret in (OLD, NEW):
        assert secret.removeprefix("whsec_") not in stored + caplog.text


def _keys() -> list[str]:
    return [str(key) for key in coordination.client().scan_iter()]


def test_forgotten_secret_is_asked_for_anew(http: responses.RequestsMock) -> None:
    has(http, OLD)
    arrives(OLD)
    webhook_secrets.forget_secrets()
    arrives(OLD)
    assert calls(http) == 2
